"""A Support Ticket service for tests, behaving as SERVICE.md says of a stock Django server."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kapture_async._core.testing.emulator import Emulator
from kapture_async._core.testing.faults import FaultPlan
from kapture_async._core.testing.http import MAX_BODY, EmulatorReply, EmulatorRequest
from kapture_async._core.testing.ledger import Ledger
from kapture_async._core.testing.lists import Lists
from kapture_async._core.testing.runner import EmulatorProcess, run_until_told

from .endpoints import Download, Endpoints, TicketIdFrom
from .rest import JSON, ApiError, Envelope, Unhandled, error_reply, negotiate, page, slash_redirect
from .routes import DOWNLOAD, LOGIN, Route, Router
from .store import CATEGORIES, TAGS, EmulatedAttachment, EmulatedTicket, TicketStore, apply
from .tokens import Kind, Tokens

APIKEY = "emulator-apikey"
"""The application key of an emulator that was given none; it opens nothing but emulators."""
PASSWORD = "emulator-password"  # noqa: S105  (opens nothing but emulators)
USERS: Mapping[str, str] = {"member@example.com": PASSWORD, "other@example.com": PASSWORD}
"""The users of an emulator that was given none, with their passwords."""
AGENT = "agent@example.com"
"""Who answers tickets, in the samples."""
MAX_FILE = 2 * 1024 * 1024

_MODULE = "support_async.testing"


class SupportEmulator(Emulator):
    """The endpoints of the Support Ticket service on 127.0.0.1, and the truth about their writes.

    The ledger holds what took effect: creates, updates, replies and changes of status. Reads and
    logins are counted in ``requests``.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        apikey: str = APIKEY,
        users: Mapping[str, str] = USERS,
        ledger: Ledger | str | os.PathLike[str] | None = None,
        faults: FaultPlan | None = None,
        clock: Callable[[], float] = time.time,
        latency: float = 0.0,
        envelope: Envelope = "wrapped",
        open_ticket_limit: int | None = None,
        max_file: int = MAX_FILE,
        max_body: int = MAX_BODY,
        ticket_id_from: TicketIdFrom = "either",
        token_seconds: float = 3600.0,
        paths: Mapping[str, str] | None = None,
        lists: Lists | None = None,
    ) -> None:
        """Make an emulator; it serves nothing until it is started.

        Args:
            port: 0 takes a free one.
            apikey: what the header ``apikey`` must say.
            users: e-mail to password; the first is who :attr:`token` belongs to.
            ledger: a :class:`Ledger`, or the path of its file; an existing file is gone on with,
                and its tickets exist again, though not the contents of their files.
            faults: which requests suffer what; none by default.
            clock: seconds since the epoch.
            latency: seconds between executing a request and answering it.
            envelope: ``"wrapped"`` puts refusals into the envelope of successes, ``"bare"`` sends
                them as the framework makes them (section 6.1: never observed).
            open_ticket_limit: how many tickets of a user may be open or in processing; one more is
                refused with 401 (section 6.4).
            max_file: how many bytes an attachment may have.
            max_body: above so many bytes a proxy before the service answers 413 (section 7).
            ticket_id_from: where the detailed view reads the ticket's id; ``"either"`` looks into
                the body first (section 5, B3).
            token_seconds: how long an access token lives.
            paths: other paths for some operations, as the client takes them:
                ``{"tickets.create": "/creat/support/ticket/"}`` is that of a sample (A1).
            lists: lets histories differ from the truth; see :class:`Lists`. They tell neither
                counts nor times.
        """
        super().__init__(
            port=port, ledger=ledger, faults=faults, clock=clock, latency=latency, max_body=max_body
        )
        if not users:
            raise ValueError("an emulator needs at least one user")
        if envelope not in ("wrapped", "bare"):
            raise ValueError(f"envelope is 'wrapped' or 'bare', not {envelope!r}")
        if ticket_id_from not in ("either", "body", "query"):
            raise ValueError(
                f"ticket_id_from is 'either', 'body' or 'query', not {ticket_id_from!r}"
            )
        self.apikey = apikey
        self._router = Router(paths)
        self._user = next(iter(users))
        self._envelope: Envelope = envelope
        self._store = TicketStore()
        self._tokens = Tokens(users, self.timestamp, token_seconds)
        self._token = ""
        self._endpoints = Endpoints(
            store=self._store,
            ledger=self.ledger,
            tokens=self._tokens,
            passwords=users,
            now=self.timestamp,
            open_ticket_limit=open_ticket_limit,
            max_file=max_file,
            ticket_id_from=ticket_id_from,
            lists=lists,
        )
        for entry in self.ledger:
            apply(self._store, entry.operation, entry.ticket_id, entry.payload, entry.user)

    @classmethod
    def in_process(
        cls,
        *,
        port: int = 0,
        apikey: str = APIKEY,
        fault_rate: float = 0.0,
        seed: int = 0,
        ledger: str | os.PathLike[str] | None = None,
        latency: float = 0.0,
        envelope: Envelope = "wrapped",
        open_ticket_limit: int | None = None,
        max_file: int = MAX_FILE,
        max_body: int = MAX_BODY,
        ticket_id_from: TicketIdFrom = "either",
        token_seconds: float = 3600.0,
    ) -> EmulatorProcess:
        """Return an emulator that will run in a process of its own: ``with ... as emulator:
        emulator.url``.

        Its users are the usual ones, and all emulators sign alike: ``SupportEmulator().token``
        opens it.
        """
        settings: dict[str, object] = {
            "--port": port,
            "--apikey": apikey,
            "--faults": fault_rate,
            "--seed": seed,
            "--latency": latency,
            "--envelope": envelope,
            "--max-file": max_file,
            "--max-body": max_body,
            "--ticket-id-from": ticket_id_from,
            "--token-seconds": token_seconds,
        }
        if open_ticket_limit is not None:
            settings["--open-ticket-limit"] = open_ticket_limit
        arguments = [f"{name}={value}" for name, value in settings.items()]
        return EmulatorProcess(_MODULE, arguments, ledger=ledger)

    # Credentials, for tests.

    @property
    def token(self) -> str:
        """A valid access token of the first user; a new one when the last has expired."""
        if not self._tokens.is_valid(self._token):
            self._token = self.issue_token()
        return self._token

    def issue_token(self, *, email: str | None = None, seconds: float | None = None) -> str:
        """Return a new access token of a user, of the first one by default.

        ``seconds`` is how long it lives; zero or less makes one that has expired already.
        """
        return self._issue(email, seconds, "access")

    def issue_refresh_token(self, *, email: str | None = None) -> str:
        """Return a refresh token, which no endpoint takes for an access token."""
        return self._issue(email, None, "refresh")

    def expire_tokens(self) -> None:
        """Let all tokens issued so far be expired ones."""
        self.run(self._tokens.expire_all)

    def deactivate(self, email: str) -> None:
        """Let a user be inactive: no login, and no token of this user is taken any more."""
        self.run(lambda: self._tokens.inactive.add(email))

    @property
    def logins(self) -> int:
        """How many logins succeeded."""
        return self._endpoints.logins

    @property
    def open_ticket_limit(self) -> int | None:
        """How many tickets of a user may be open; may be changed at any time."""
        return self._endpoints.open_ticket_limit

    @open_ticket_limit.setter
    def open_ticket_limit(self, value: int | None) -> None:
        self._endpoints.open_ticket_limit = value

    # Tickets, for tests.

    def seed(
        self,
        *,
        subject: str = "Seeded",
        comment: str = "Seeded text",
        category: int = 3,
        priority: str = "1",
        status: str = "1",
        tags: Iterable[int] = (),
        author: str | None = None,
    ) -> str:
        """Let a ticket exist that was not created through the emulator: it is in no ledger.

        Returns its id. ``author`` is an e-mail; the first user's by default.
        """
        if category not in CATEGORIES:
            raise ValueError(f"the emulator has no category {category}")
        found = sorted(set(tags))
        if unknown := set(found) - TAGS.keys():
            raise ValueError(f"the emulator has no tags {sorted(unknown)}")

        def keep() -> str:
            ticket = EmulatedTicket(
                id=self._store.next_id,
                subject=subject,
                comment=comment,
                category=category,
                priority=priority,
                status=status,
                tags=found,
                author=author or self._user,
            )
            return str(self._store.add(ticket).id)

        return self.run(keep)

    def seed_reply(self, ticket_id: str | int, comment: str, *, author: str = AGENT) -> str:
        """Let a ticket have a reply, by default from an agent. Returns the reply's id."""
        ticket = self._known(ticket_id)
        return self.run(lambda: str(self._store.reply(ticket, comment, author).id))

    def seed_attachment(
        self,
        ticket_id: str | int,
        name: str,
        content: bytes,
        *,
        conversation_id: str | int | None = None,
    ) -> str:
        """Let a ticket have a file, perhaps with a reply. Returns the attachment's id."""
        ticket = self._known(ticket_id)
        conversation = None
        if conversation_id is not None:
            wanted = int(conversation_id)
            conversation = next((c for c in ticket.conversations if c.id == wanted), None)
            if conversation is None:
                raise ValueError(f"ticket {ticket_id} has no reply {conversation_id}")
        return self.run(lambda: str(self._store.attach(ticket, conversation, name, "", content).id))

    def ticket(self, ticket_id: str | int) -> EmulatedTicket | None:
        """Return a ticket as the emulator has it, or ``None``."""
        return self._store.tickets.get(int(ticket_id))

    def attachment(self, attachment_id: str | int) -> EmulatedAttachment | None:
        """Return an attachment as the emulator has it, or ``None``."""
        return self._store.attachments.get(int(attachment_id))

    @property
    def downloads(self) -> dict[str, Download]:
        """Answers in place of files, by attachment id: for servers that mean no good.

        A value is a :class:`EmulatorReply`, or is called with the request and returns one. Whoever
        asks must still be let in; the attachment need not exist.
        """
        return self._endpoints.downloads

    @property
    def lists(self) -> Lists | None:
        """How histories differ from the truth; may be replaced at any time."""
        return self._endpoints.lists

    @lists.setter
    def lists(self, lists: Lists | None) -> None:
        self._endpoints.lists = lists

    # What a Emulator must say.

    def operation(self, request: EmulatorRequest) -> str:
        """Return the operation of a request, by its path."""
        route, _ = self._router.find(request.path)
        return "" if route is None else route.operation

    def handle(self, request: EmulatorRequest) -> EmulatorReply:
        """Answer as Django and the framework on it would, in their order of checks."""
        route, number = self._router.find(request.path)
        if route is None:
            # Only paths that would be found with a last slash are sent there.
            if self._router.find(f"{request.path}/")[0] is not None:
                return slash_redirect(request)
            return page(404)
        try:
            return self._answer(request, route, number)
        except ApiError as error:
            error.headers += route.allow
            return error_reply(error, self._envelope)
        except Unhandled as error:
            return page(error.status)

    def refusal(self, message: str) -> EmulatorReply:
        """Return a refusal of no field in particular (section 6.1)."""
        return error_reply(ApiError(400, {"non_field_errors": [message]}), self._envelope)

    def _answer(self, request: EmulatorRequest, route: Route, number: str) -> EmulatorReply:
        negotiate(request)
        user = ""
        if route.operation != LOGIN:
            user = self._tokens.user_of(request.headers.get("authorization"))
        if request.headers.get("apikey") != self.apikey:
            text = "You do not have permission to perform this action."
            raise ApiError(403, {"detail": text})
        if request.method not in route.methods:
            raise ApiError(405, {"detail": f'Method "{request.method}" not allowed.'})
        if route.operation == DOWNLOAD:
            return self._endpoints.download(request, user, number)
        body = self._endpoints.handlers[route.operation](request, user)
        return EmulatorReply(200, body, JSON, route.allow)

    def _issue(self, email: str | None, seconds: float | None, kind: Kind) -> str:
        return self.run(lambda: self._tokens.issue(email or self._user, seconds, kind))

    def _known(self, ticket_id: str | int) -> EmulatedTicket:
        ticket = self.ticket(ticket_id)
        if ticket is None:
            raise ValueError(f"the emulator has no ticket {ticket_id}")
        return ticket


def serve(
    *,
    port: int = 8766,
    apikey: str = APIKEY,
    fault_rate: float = 0.0,
    seed: int = 0,
    ledger: str | Path | None = None,
    latency: float = 0.0,
    envelope: Envelope = "wrapped",
    open_ticket_limit: int | None = None,
    max_file: int = MAX_FILE,
    max_body: int = MAX_BODY,
    ticket_id_from: TicketIdFrom = "either",
    token_seconds: float = 3600.0,
    stdin_closes: bool = False,
) -> None:
    """Run an emulator as a command: print ``emulator: URL``, serve until SIGINT, SIGTERM or end
    of stdin."""
    emulator = SupportEmulator(
        port=port,
        apikey=apikey,
        faults=FaultPlan.rate(fault_rate, seed=seed),
        ledger=ledger,
        latency=latency,
        envelope=envelope,
        open_ticket_limit=open_ticket_limit,
        max_file=max_file,
        max_body=max_body,
        ticket_id_from=ticket_id_from,
        token_seconds=token_seconds,
    )
    run_until_told(emulator, stdin_closes=stdin_closes)
