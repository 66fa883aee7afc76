"""The client of one tenant: its settings, one transport, and its resources."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import tzinfo
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, Self

from ._api import ADVICE, INDIA, SERVICE, base_url_of, codec_of
from ._auth import Credential, auth_of, from_environment, wrapped
from ._core.arguments import check_flag, check_text, check_whole, is_one_of, pairs_of
from ._core.base_client import BaseClient, undocumented_operation
from ._core.errors import ConfigurationError, InvalidInputError
from ._core.phase import Effect
from ._core.requestor import PageSize
from ._core.response import Says, VendorWords
from ._core.secret import Secret
from ._core.transport.request import Form
from ._core.transport.retry import RetryPolicy
from ._core.transport.settings import Timeout, check_headers, wrapped_headers
from ._core.transport.transport import Observer
from ._core.transport.urls import check_path
from ._responses import check_response, claims_success

if TYPE_CHECKING:
    import aiohttp

    from .customers.resource import Customers
    from .faqs import Faqs
    from .orders import Orders
    from .tickets.resource import Tickets


class KaptureClient(BaseClient):
    """Client of the Kapture CRM API of one tenant.

    ::

        async with KaptureClient("mytenant", token="...") as client:
            added = await client.tickets.add(title="Printer on fire")
            print(added.ticket_id)

    It can be created anywhere, also outside a running event loop.
    It belongs to the loop of its first call, and serves any number of concurrent calls.

    Args:
        subdomain: the tenant's part of ``https://<subdomain>.kapturecrm.com``.
        base_url: the full address instead, such as ``https://mytenant.int.kapturecrm.com``.
        token: the ready-made token from the admin console, with or without ``Basic`` before it;
            it is sent as it is (SERVICE.md, section 0).
        username, password: real HTTP Basic instead of a token.
        credentials: other keys for single APIs, each a token or a ``(username, password)`` pair;
            the names are ``add_ticket``, ``update_ticket``, ``get_ticket``, ``pull_tickets``,
            ``add_customer``, ``update_customer``, ``get_customer``, ``pull_customers``,
            ``add_order``, ``update_order``, ``pull_orders``, ``get_faqs``, ``faq_categories``
            and ``request``; ``orders`` stands for the three of orders. Kapture issues one key
            per API. The order API takes a user name and a password by the vendor's pages: with
            ``token=``, name ``orders`` here, as a pair, or as a token if your tenant takes one.
        headers: extra headers of every call. Some tenants need ``x-api-key`` and
            ``x-api-type: TICKET`` (SERVICE.md, section 15).
        timeout: seconds for a whole call with its retries, or a :class:`Timeout`; ``None`` is no
            limit. Default 60 seconds, of which 10 for connecting and 30 of silence.
        retry: how often and how fast to retry where that is safe; see :class:`RetryPolicy`.
            What is safe is not a setting.
        timezone: the zone of the service's dates, which carry none; a ``tzinfo`` or an IANA
            name. Default UTC+05:30, as found from the vendor's sample (SERVICE.md, section 0).
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
        max_reply_bytes: the most decoded bytes of one reply; default 8 MiB, more for reads.
        exclusive_end: the ``end_date`` of a ticket pull is not part of its window, as the vendor's
            own curl may mean it (SERVICE.md, section 4): each day is then asked for with the next
            one as its end.
        says_none: what this tenant's answers say in place of rows where there are none, beside the
            usual phrases ("No data found", ...): texts, compared whole and without case, or a
            function of the words and the ``status`` of an answer, both text. What says "none" in
            words never proves to a lookup that a ticket is absent.
        says_success, says_failed: what ``status`` says so, beside ``"success"`` and ``"failed"``:
            texts, or a function as for ``says_none``. An answer of which both are true is neither.
            Declaring a success where nothing was done loses tickets.
        page_size: rows per page of every pull, export, lookup and ``doctor``, for tenants with
            pagination enabled ("limit: Required field, if PaginationEnabled", SERVICE.md, section
            4). Pages are asked for until nothing new comes. Left out, a pull asks for a day at
            once; a service that demands a limit is asked for pages of 100 from then on.
        allow_http: accept a plain http address that is not loopback.
        on_event: called with every attempt, retry and wait; see :mod:`kapture_async.events`.

    Raises:
        ConfigurationError: a setting is wrong. Secrets are never shown.
    """

    def __init__(
        self,
        subdomain: str | None = None,
        *,
        base_url: str | None = None,
        token: str | Secret | None = None,
        username: str | Secret | None = None,
        password: str | Secret | None = None,
        credentials: Mapping[str, Credential] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 - immutable
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        timezone: tzinfo | str | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | Secret | None = None,
        ssl_context: ssl.SSLContext | None = None,
        keep_alive: bool = True,
        transport: Literal["direct", "session"] = "direct",
        max_connections: int = 100,
        max_reply_bytes: int | None = None,
        exclusive_end: bool = False,
        says_none: Says | None = None,
        says_success: Says | None = None,
        says_failed: Says | None = None,
        page_size: int | None = None,
        allow_http: bool = False,
        on_event: Observer | None = None,
    ) -> None:
        # Wrapped before anything can fail: a traceback may show this frame's variables.
        token, username = Secret.wrap(token, "token"), Secret.wrap(username, "username")
        password = Secret.wrap(password, "password")
        proxy = Secret.wrap(proxy, "proxy")
        credentials = wrapped(credentials)
        headers = wrapped_headers(headers)
        check_flag("allow_http", allow_http, ConfigurationError)
        check_flag("exclusive_end", exclusive_end, ConfigurationError)
        zone = _zone(timezone)
        words = VendorWords.of(says_none, says_success, says_failed)
        if page_size is not None:
            check_whole("page_size", page_size, 1, ConfigurationError)
        self._keys = auth_of(token, username, password, credentials)
        self._connect(
            service=SERVICE,
            base_url=base_url_of(subdomain, base_url, allow_http=allow_http),
            auth=self._keys,
            headers=check_headers(headers),
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
            claims_success=partial(claims_success, words=words),
            check_response=check_response,
            advice=ADVICE,
            codec=codec_of(zone),
            words=words,
            exclusive_end=exclusive_end,
            page_size=PageSize(page_size),
        )

    @classmethod
    def from_env(
        cls,
        *,
        credentials: Mapping[str, Credential] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 - immutable
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008 - immutable
        timezone: tzinfo | str | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | Secret | None = None,
        ssl_context: ssl.SSLContext | None = None,
        keep_alive: bool = True,
        transport: Literal["direct", "session"] = "direct",
        max_connections: int = 100,
        max_reply_bytes: int | None = None,
        exclusive_end: bool = False,
        says_none: Says | None = None,
        says_success: Says | None = None,
        says_failed: Says | None = None,
        page_size: int | None = None,
        allow_http: bool = False,
        on_event: Observer | None = None,
    ) -> Self:
        """A client from the environment.

        Reads ``KAPTURE_BASE_URL`` or ``KAPTURE_SUBDOMAIN``, and ``KAPTURE_TOKEN`` or
        ``KAPTURE_USERNAME`` with ``KAPTURE_PASSWORD``; for the order API also
        ``KAPTURE_ORDERS_USERNAME`` with ``KAPTURE_ORDERS_PASSWORD``. Where the tenant has one key
        per API, ``KAPTURE_TOKEN_ADD_TICKET``, ``KAPTURE_TOKEN_PULL_TICKETS`` and so on, named as
        in ``credentials``, go before the others. An empty variable counts as unset.

        Args:
            credentials: as for the class, over the key from the environment.
            headers, timeout, retry, timezone, session, proxy, ssl_context, keep_alive,
                transport, max_connections, max_reply_bytes, exclusive_end, says_none, says_success,
                says_failed, page_size, allow_http, on_event: as for the class.

        Raises:
            ConfigurationError: a variable is missing or wrong; it names the variables.
        """
        proxy = Secret.wrap(proxy, "proxy")  # as in __init__: a traceback may show this frame, too
        credentials = from_environment(wrapped(credentials))
        headers = wrapped_headers(headers)
        base_url = os.environ.get("KAPTURE_BASE_URL") or None
        subdomain = os.environ.get("KAPTURE_SUBDOMAIN") or None
        if base_url is None and subdomain is None:
            raise ConfigurationError(
                "neither KAPTURE_BASE_URL nor KAPTURE_SUBDOMAIN is set",
                next_step="Set one of them, for example KAPTURE_SUBDOMAIN=mytenant.",
            )
        known = os.environ.get("KAPTURE_TOKEN") or os.environ.get("KAPTURE_USERNAME")
        if not known and not credentials:
            raise ConfigurationError(
                "neither KAPTURE_TOKEN nor KAPTURE_USERNAME is set",
                next_step="Set KAPTURE_TOKEN, or KAPTURE_USERNAME and KAPTURE_PASSWORD.",
            )
        return cls(
            subdomain if base_url is None else None,
            base_url=base_url,
            token=os.environ.get("KAPTURE_TOKEN") or None,
            username=os.environ.get("KAPTURE_USERNAME") or None,
            password=os.environ.get("KAPTURE_PASSWORD") or None,
            credentials=credentials,
            headers=headers,
            timeout=timeout,
            retry=retry,
            timezone=timezone,
            session=session,
            proxy=proxy,
            ssl_context=ssl_context,
            keep_alive=keep_alive,
            transport=transport,
            max_connections=max_connections,
            max_reply_bytes=max_reply_bytes,
            exclusive_end=exclusive_end,
            says_none=says_none,
            says_success=says_success,
            says_failed=says_failed,
            page_size=page_size,
            allow_http=allow_http,
            on_event=on_event,
        )

    @cached_property
    def tickets(self) -> Tickets:
        """Add, update, get, pull and push tickets."""
        from . import Tickets  # with all public names, which say whose they are

        return Tickets(self._requestor)

    @cached_property
    def customers(self) -> Customers:
        """Add, update, get and pull customers."""
        from . import Customers  # with all public names, which say whose they are

        return Customers(self._requestor)

    @cached_property
    def orders(self) -> Orders:
        """Add, update and pull orders."""
        from . import Orders  # with all public names, which say whose they are

        return Orders(self._requestor)

    @cached_property
    def faqs(self) -> Faqs:
        """Read the contents and the categories of the FAQs."""
        from . import Faqs  # with all public names, which say whose they are

        return Faqs(self._requestor)

    async def request(
        self,
        path: str,
        body: Any = None,
        *,
        effect: Effect = "write",
        wrap: Literal["array", "object"] = "array",
        api: str | None = None,
        method: str = "POST",
        marks_success: bool = True,
        query: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Any:
        """Call any path of the service, with the same retries and checks.

        For documented calls that have no method yet, and for the older endpoints that the vendor
        still serves.

        Args:
            path: such as ``"/get-faq-contents.html"``; its parts percent-encoded.
            body: any JSON value; ``None`` sends no body.
            effect: ``"read"`` only if the call changes nothing: reads are sent again if their
                answer is lost, writes never.
            wrap: ``"array"`` sends ``[body]``, ``"object"`` sends ``body`` as it is.
            api: the name in ``credentials=`` whose key is used. Left out, it is that of the
                documented call that has this path, and ``request`` for every other path, or
                where that call has no key of its own; the token of the rest is so never sent to
                the order API.
            method: HTTP method; everything documented is POST (SERVICE.md, section 0).
            marks_success: the reply carries ``"status": "success"``. False for the few that do
                not; then any JSON object or list without a mark of failure is taken.
            query: the query string, as texts or numbers; a list repeats the name, ``None`` leaves
                it out.
            form: fields of a urlencoded form in place of ``body``, as some reports take them; as
                for ``query``.
            headers: headers of this call only.

        Returns:
            The decoded reply.

        Raises:
            HelpdeskError: as for every call.
        """
        if body is not None and form is not None:
            raise InvalidInputError("give either a body or a form, not both")
        if not is_one_of(wrap, "array", "object"):
            raise InvalidInputError("wrap must be 'array' or 'object'")
        check_text("api", api)
        data = body if form is None else Form(pairs_of("form", form), urlencoded=True)
        pairs = pairs_of("query", {} if query is None else query)
        operation = undocumented_operation(
            path,
            method=method,
            effect=effect,
            api=self._keys.api_of(check_path(path)) if api is None else api,
            wrap="form" if form is not None else "none" if data is None else wrap,
            marks_success=marks_success,
        )
        headers = check_headers(headers)
        return (await self._requestor.call(operation, data, query=pairs, headers=headers)).body


def _zone(zone: tzinfo | str | None) -> tzinfo:
    if zone is None:
        return INDIA
    if isinstance(zone, str):
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            return ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        if not _has_zones():
            raise ConfigurationError(
                "this machine has no time zone data, so a zone cannot be given by name",
                next_step="Install it: pip install tzdata. Or pass a datetime.timezone.",
            )
        raise ConfigurationError(f"unknown time zone {zone[:60]!r}")
    if not isinstance(zone, tzinfo):
        raise ConfigurationError(
            f"timezone must be a tzinfo or the name of a zone, not {type(zone).__name__}"
        )
    return zone


def _has_zones() -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo("Etc/UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
