"""The client of one installation: its settings, one transport, and its resources."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from attrs import frozen

from kapture_async._core.arguments import Payload, check_flag, check_whole, is_one_of, pairs_of
from kapture_async._core.base_client import BaseClient, undocumented_operation
from kapture_async._core.codec import Codec
from kapture_async._core.errors import ConfigurationError, InvalidInputError
from kapture_async._core.phase import Effect
from kapture_async._core.secret import Secret
from kapture_async._core.transport.auth import TokenProvider, check_printable
from kapture_async._core.transport.request import Form
from kapture_async._core.transport.retry import RetryPolicy
from kapture_async._core.transport.settings import Timeout, check_headers, wrapped_headers
from kapture_async._core.transport.transport import Observer

from ._api import LOGIN_API, SERVICE, Installation, Operations, TicketIdIn, auth_of, base_url_of
from ._files import MAX_ATTACHMENT_BYTES
from ._responses import check_response, claims_success, is_stale_token


@frozen(kw_only=True)
class Tokens:
    """The result of a login (SERVICE.md, section 2.3). Its repr shows no token.

    Attributes:
        access: goes with every call; its life is limited, by how much is not documented.
        refresh: for the service's refresh call, whose path is not documented.
    """

    access: Secret
    refresh: Secret | None = None


if TYPE_CHECKING:
    import aiohttp

    from .attachments import Attachments
    from .categories import Categories
    from .tags import Tags
    from .tickets.resource import Tickets


class SupportClient(BaseClient):
    """Client of one installation of the white-label Support Ticket API.

    ::

        async with SupportClient(
            "https://support.example.com/api/v1", apikey="...", access_token="..."
        ) as client:
            await client.tickets.create(
                subject="Printer on fire", comment="Since noon.", category=3, priority="3"
            )

    It can be created anywhere, also outside a running event loop.
    It belongs to the loop of its first call, and serves any number of concurrent calls.

    Args:
        base_url: the whole address before ``/support/...``, with the installation's prefix and
            version (SERVICE.md, section 2.1). Invisible characters of a copied address are
            taken out.
        apikey: the application key; goes with every call (section 2.2).
        access_token: the access token of the user, a JWT, with or without ``Bearer`` before it.
        token_provider: a function that gives a new access token, async or plain (a plain one is
            called in a thread of its own, so it may block); see :data:`TokenProvider`. Asked
            before the first call if there is no ``access_token``, and again, once per call, when
            the service refuses the token as no longer good; the call is then sent once more,
            which is safe, as it was refused at the door. However many calls need another token,
            it is asked once. Of this client it may call :meth:`login` only. The path of the
            service's own refresh call is not documented (section 2.3), so it is not built in;
            see :meth:`request`.
        headers: extra headers of every call.
        timeout: seconds for a whole call with its retries, or a :class:`Timeout`; ``None`` is no
            limit. Default 60 seconds, of which 10 for connecting and 30 of silence.
        retry: how often and how fast to retry where that is safe; see :class:`RetryPolicy`.
            What is safe is not a setting.
        paths: other paths for single operations, such as
            ``{"tickets.create": "/creat/support/ticket/"}``: the vendor's samples differ from
            its headings, which are used by default (section 5, A1).
        ticket_id_in: where the detailed view gets its ticket id: in the ``"body"`` of the GET as
            documented, in the ``"query"``, or in ``"both"`` (section 5, B3).
        max_attachment_bytes: the size of a file that is checked before sending; 2 MiB as
            documented (section 3.2).
        session: your own aiohttp session; it is never closed.
        proxy: a proxy's URL, or ``"env"`` to read the proxy variables (never a ``.netrc``).
        ssl_context: for a private certificate authority. Verification cannot be turned off here.
        keep_alive: reuse connections. ``False`` opens a new one for each request; for servers or
            firewalls that close idle connections without notice.
        transport: how requests leave. ``"direct"`` writes them straight to a connection, at a
            third of the cost; ``"session"`` sends each through ``aiohttp.ClientSession``, which
            is done anyway where a mock, a recorder or a tracer listens in on it, and with a
            session of your own.
        max_connections: the most connections, and so the most requests in flight.
        max_reply_bytes: the most decoded bytes of one reply; default 8 MiB, more for lists.
            Downloads have a limit of their own.
        allow_http: accept a plain http address that is not loopback.
        on_event: called with every attempt, retry and wait; see :mod:`support_async.events`.

    Raises:
        ConfigurationError: a setting is wrong. Secrets are never shown.
    """

    def __init__(
        self,
        base_url: str,
        *,
        apikey: str | Secret,
        access_token: str | Secret | None = None,
        token_provider: TokenProvider | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 - immutable
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        paths: Mapping[str, str] | None = None,
        ticket_id_in: TicketIdIn = "both",
        max_attachment_bytes: int = MAX_ATTACHMENT_BYTES,
        session: aiohttp.ClientSession | None = None,
        proxy: str | Secret | None = None,
        ssl_context: ssl.SSLContext | None = None,
        keep_alive: bool = True,
        transport: Literal["direct", "session"] = "direct",
        max_connections: int = 100,
        max_reply_bytes: int | None = None,
        allow_http: bool = False,
        on_event: Observer | None = None,
    ) -> None:
        # Wrapped before anything can fail: a traceback may show this frame's variables.
        apikey = Secret.wrap(apikey, "apikey")
        access_token = Secret.wrap(access_token, "access_token")
        proxy = Secret.wrap(proxy, "proxy")
        headers = wrapped_headers(headers)
        check_flag("allow_http", allow_http, ConfigurationError)
        if not is_one_of(ticket_id_in, "both", "body", "query"):
            raise ConfigurationError("ticket_id_in must be 'both', 'body' or 'query'")
        check_whole("max_attachment_bytes", max_attachment_bytes, 1, ConfigurationError)
        self._token = auth_of(apikey, access_token, token_provider)
        self._installation = Installation(
            operations=Operations.at(paths, ticket_id_in),
            ticket_id_in=ticket_id_in,
            max_attachment_bytes=max_attachment_bytes,
        )
        self._connect(
            service=SERVICE,
            base_url=base_url_of(base_url, allow_http=allow_http),
            auth=self._token,
            # Error texts may otherwise come translated (section 2.2).
            headers={"Accept-Language": Secret("en"), **check_headers(headers)},
            timeout=timeout,
            retry=retry,
            session=session,
            proxy=proxy,
            ssl_context=ssl_context,
            keep_alive=keep_alive,
            transport=transport,
            max_connections=max_connections,
            max_reply_bytes=max_reply_bytes,
            on_event=on_event,
            claims_success=claims_success,
            is_stale=is_stale_token,
            check_response=check_response,
            codec=Codec(),
        )

    @classmethod
    def from_env(
        cls,
        *,
        token_provider: TokenProvider | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 - immutable
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        paths: Mapping[str, str] | None = None,
        ticket_id_in: TicketIdIn = "both",
        max_attachment_bytes: int = MAX_ATTACHMENT_BYTES,
        session: aiohttp.ClientSession | None = None,
        proxy: str | Secret | None = None,
        ssl_context: ssl.SSLContext | None = None,
        keep_alive: bool = True,
        transport: Literal["direct", "session"] = "direct",
        max_connections: int = 100,
        max_reply_bytes: int | None = None,
        allow_http: bool = False,
        on_event: Observer | None = None,
    ) -> Self:
        """A client from the environment.

        Reads ``SUPPORT_BASE_URL``, ``SUPPORT_APIKEY`` and ``SUPPORT_ACCESS_TOKEN``. An empty
        variable counts as not set.

        Args:
            token_provider: as for the class; with one, ``SUPPORT_ACCESS_TOKEN`` may be missing.
            headers, timeout, retry, paths, ticket_id_in, max_attachment_bytes, session, proxy,
                ssl_context, keep_alive, transport, max_connections, max_reply_bytes, allow_http,
                on_event: as for the class.

        Raises:
            ConfigurationError: a variable is missing or wrong; it names the variables.
        """
        proxy = Secret.wrap(proxy, "proxy")  # as in __init__: a traceback may show this frame, too
        headers = wrapped_headers(headers)
        names = ["SUPPORT_BASE_URL", "SUPPORT_APIKEY"]
        if token_provider is None:
            names.append("SUPPORT_ACCESS_TOKEN")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise ConfigurationError(
                f"{' and '.join(missing)} {verb} not set",
                next_step="SUPPORT_BASE_URL is such as https://support.example.com/api/v1.",
            )
        return cls(
            os.environ["SUPPORT_BASE_URL"],
            apikey=os.environ["SUPPORT_APIKEY"],
            access_token=os.environ.get("SUPPORT_ACCESS_TOKEN") or None,
            token_provider=token_provider,
            headers=headers,
            timeout=timeout,
            retry=retry,
            paths=paths,
            ticket_id_in=ticket_id_in,
            max_attachment_bytes=max_attachment_bytes,
            session=session,
            proxy=proxy,
            ssl_context=ssl_context,
            keep_alive=keep_alive,
            transport=transport,
            max_connections=max_connections,
            max_reply_bytes=max_reply_bytes,
            allow_http=allow_http,
            on_event=on_event,
        )

    @cached_property
    def categories(self) -> Categories:
        """What tickets are about."""
        from . import Categories  # with all public names, which say whose they are

        return Categories(self._requestor, self._installation)

    @cached_property
    def tags(self) -> Tags:
        """What tickets are sorted by."""
        from . import Tags  # with all public names, which say whose they are

        return Tags(self._requestor, self._installation)

    @cached_property
    def tickets(self) -> Tickets:
        """Create, list, get, update, reply to, close, reopen and push tickets."""
        from . import Tickets  # with all public names, which say whose they are

        return Tickets(self._requestor, self._installation)

    @cached_property
    def attachments(self) -> Attachments:
        """Download the files on tickets."""
        from . import Attachments  # with all public names, which say whose they are

        return Attachments(self._requestor, self._installation)

    async def login(self, username: str | Secret, password: str | Secret) -> Tokens:
        """Log a user in (SERVICE.md, section 2.3); further calls use the new access token.

        Needs only the apikey. As a token provider, so that a long run outlives its token::

            async def provider():
                return await client.login(username, password)

        Args:
            username, password: of the user.

        Returns:
            Both tokens, as :class:`Secret`.

        Raises:
            InvalidInputError: one of the two is empty.
            ConfigurationError: one of the two holds a line break or another control character.
            AuthenticationError: the credentials or the apikey are refused, or the user is not
                active.
            HelpdeskError: the call failed; it is safe to try again.
        """
        username = Secret.wrap(username, "username")
        password = Secret.wrap(password, "password")
        if not username or not password:
            raise InvalidInputError("the user name and the password must not be empty")
        check_printable("the user name", username)
        check_printable("the password", password)
        form = Form((("username", username.reveal()), ("password", password.reveal())))
        response = await self._requestor.call(
            self._installation.operations.login, form, secrets=(username, password)
        )
        given = Payload(response.body)
        response.body = None
        self._token.use(given["access"])
        refresh = given.get("refresh")
        return Tokens(
            access=Secret(given["access"]),
            refresh=Secret(refresh) if isinstance(refresh, str) and refresh else None,
        )

    async def request(
        self,
        path: str,
        *,
        method: str = "POST",
        form: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        effect: Effect = "write",
        authenticated: bool = True,
        marks_success: bool = True,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Any:
        """Call any path of the service, with the same retries and checks.

        For calls of the platform that are not documented, such as refreshing a token where an
        installation has a path for it::

            async def provider():
                answer = await client.request(
                    "/user/token/refresh/", form={"refresh": refresh}, effect="read",
                    authenticated=False, marks_success=False,
                )
                return answer["access"]

        Args:
            path: such as ``"/user/profile/"``; its parts percent-encoded, with its last slash.
            method: HTTP method.
            form: the fields of a multipart form, as texts or numbers; a list is the same field
                several times (SERVICE.md, B1), ``None`` leaves it out.
            query: the query string; as for ``form``.
            effect: ``"read"`` only if the call changes nothing: reads are sent again if their
                answer is lost, writes never.
            authenticated: send the access token; without, only the apikey goes along.
            marks_success: the answer has the documented envelope (section 2.4). False for bare
                ones; then any JSON object or list that reports no error is taken.
            headers: headers of this call only.

        Returns:
            The decoded answer, in its envelope if it has one.

        Raises:
            InvalidInputError: an argument is invalid or cannot be encoded; nothing was sent.
            HelpdeskError: as for every call.
        """
        checked = check_headers(headers)
        check_flag("authenticated", authenticated)
        operation = undocumented_operation(
            path,
            method=method,
            effect=effect,
            api="" if authenticated else LOGIN_API,
            wrap="none" if form is None else "form",
            marks_success=marks_success,
        )
        data = None if form is None else Form(pairs_of("form", form))
        pairs = pairs_of("query", {} if query is None else query)
        return (await self._requestor.call(operation, data, query=pairs, headers=checked)).body
