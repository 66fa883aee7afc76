"""The one way out: every call of both services goes through :meth:`Transport.send`."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..errors import (
    ClientStateError,
    ConnectError,
    HelpdeskError,
    NoReplyError,
    NotSentError,
    NotSentTimeoutError,
    OutcomeUnknownError,
    ReplyTimeoutError,
    ReplyTooLargeError,
    UnreadableReplyError,
)
from ..phase import Attempt, Phase
from ..secret import Secret, mask
from .auth import Auth, AuthHeaders
from .events import (
    AttemptFinished,
    AttemptStarted,
    Observer,
    RetryScheduled,
    SlotWaiting,
    TransportEvent,
)
from .live import Answer, Failure, LiveAttempt
from .message import Operation, RawReply, Request
from .retry import Ending, Stop, decide, parse_retry_after
from .settings import CallOptions, TransportSettings

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

logger = logging.getLogger("kapture_async.transport")

_BEFORE_SENDING: dict[str, type[NotSentError]] = {
    "timeout": NotSentTimeoutError,
    "interrupted": NotSentError,
}
_AFTER_SENDING: dict[str, type[OutcomeUnknownError]] = {
    "timeout": ReplyTimeoutError,
    "garbled": UnreadableReplyError,
    "too_large": ReplyTooLargeError,
}

_MISSED = {Phase.WAITING: "no free connection slot", Phase.CONNECTING: "no connection"}
"""What did not come in time, by how far the attempt got; beyond these, an answer."""


class Transport:
    """Sends requests of one service: session, slots, deadline, attempts, errors.

    Made anywhere, bound to the event loop of its first use. Closing is the owner's business.

    Args:
        settings: what holds for every call.
        auth: gives the headers that authenticate a call.
        session: a borrowed aiohttp session; it is used, never closed.
        observer: is told of every attempt and retry; see :mod:`.events`.
        claims_success: the service's mark of success in a body, whatever the status says.
        sleep, rand: replaceable for tests.
    """

    def __init__(
        self,
        settings: TransportSettings,
        auth: Auth,
        *,
        session: aiohttp.ClientSession | None = None,
        observer: Observer | None = None,
        claims_success: Callable[[bytes], bool] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._auth = auth
        self._borrowed = session is not None
        self._session = session
        self._observer = observer
        self._claims_success = claims_success
        self._sleep = sleep
        self._rand = rand
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: asyncio.Semaphore
        self._wire: ModuleType
        self._session_options: CallOptions | None = None
        self._closed = False
        self._urls: dict[str, URL] = {}
        self._headers: dict[str, tuple[AuthHeaders, Mapping[str, str]]] = {}

    def __repr__(self) -> str:
        return f"<Transport to {self.settings.base_url}{' (closed)' if self._closed else ''}>"

    @property
    def closed(self) -> bool:
        """True after :meth:`aclose`."""
        return self._closed

    def load(self) -> None:
        """Import the HTTP library, unless that was done.

        Not at import: a program that imports this package need not use it, and aiohttp alone
        takes longer to import than the rest.
        """
        from . import attempt

        self._wire = attempt

    async def aclose(self) -> None:
        """Close the session if it is ours. Calling it again does nothing."""
        if self._closed:
            return
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise ClientStateError(
                "the client belongs to another event loop and cannot be closed from this one",
                next_step="Close it where it was used, best with `async with`.",
            )
        self._closed = True
        if self._session is not None and not self._borrowed:
            await self._session.close()
            # Closed sockets are only let go by the loop's next turn; without it, a loop that
            # ends right now leaves a ResourceWarning behind.
            await asyncio.sleep(0)

    def mask(self, text: str, also: Iterable[Secret] = ()) -> str:
        """``text`` without any of the secrets this transport knows, and those in ``also``."""
        return mask(text, (*self._auth.secrets(), *self.settings.headers.values(), *also))

    async def send(self, request: Request, options: CallOptions) -> RawReply:
        """Send until there is a whole answer, or until sending again would not be safe.

        Args:
            request: what to send.
            options: deadline, retries and headers of this call.

        Returns:
            The answer, whatever its HTTP status says: judging it is the service's business.

        Raises:
            ClientStateError: closed, or used from another event loop.
            ConnectError, NotSentTimeoutError: nothing was sent.
            OutcomeUnknownError: it was sent, perhaps in part, and no whole answer came.
            asyncio.CancelledError: carries a note on what may have happened, and the same as
                an error; see :func:`interrupted_by`.
        """
        session = self._open(options)
        live = LiveAttempt()
        attempts: list[Attempt] = []
        total = options.timeout.total
        loop = asyncio.get_running_loop()
        deadline = None if total is None else loop.time() + total
        last: Answer | Failure | None = None
        interrupted: asyncio.CancelledError | None = None
        try:
            async with asyncio.timeout_at(deadline):
                last = await self._try_until_settled(
                    session, request, options, live, attempts, deadline
                )
        except TimeoutError:
            self._cut_short(request, live, attempts, "the time for the whole call ran out")
        except asyncio.CancelledError as error:
            interrupted = error
            self._cut_short(request, live, attempts, "interrupted")
        if interrupted is not None:
            words = "the call was interrupted"
            doubt = self._error(request, attempts, words, "interrupted", live.phase)
            interrupted.helpdesk_error = doubt  # type: ignore[attr-defined]
            interrupted.add_note(str(doubt))
            # Without the frames in between: their locals hold the headers.
            raise interrupted.with_traceback(None)
        if isinstance(last, Answer):
            return RawReply(
                status=last.status,
                headers=last.headers,
                body=last.body,
                attempts=tuple(attempts),
            )
        if last is None:
            words = f"{_MISSED.get(live.phase, 'no answer')} within {total:g} seconds"
            raise self._error(request, attempts, words, "timeout", live.phase)
        raise self._error(request, attempts, last.words, last.kind, live.phase)

    async def _try_until_settled(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        options: CallOptions,
        live: LiveAttempt,
        attempts: list[Attempt],
        deadline: float | None,
    ) -> Answer | Failure:
        operation = request.operation
        while True:
            last = await self._try_once(session, request, options, live)
            if isinstance(last, Answer):
                record = live.record()
                if last.status < 300 or self._confirms(operation, last):
                    self._finished(operation, record)
                    attempts.append(record)
                    return last
                wait = parse_retry_after(last.headers.get("Retry-After"), time.time())
                ending = Ending(phase=live.phase, status=last.status, retry_after=wait)
            else:
                record = live.record(last.words)
                ending = Ending(phase=live.phase, permanent=last.permanent)
            self._finished(operation, record)
            attempts.append(record)
            now = asyncio.get_running_loop().time()
            decision = decide(
                options.retry,
                operation.effect,
                ending,
                attempt=live.number,
                time_left=math.inf if deadline is None else deadline - now,
                rand=self._rand(),
            )
            if isinstance(decision, Stop):
                return last
            if self._observer is not None:
                self._tell(RetryScheduled(operation.name, live.number, decision.seconds))
            live.phase = Phase.WAITING  # an interruption from here on finds nothing under way
            await self._sleep(decision.seconds)

    async def _try_once(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        options: CallOptions,
        live: LiveAttempt,
    ) -> Answer | Failure:
        operation = request.operation
        if self._closed:  # while it waited to send again
            raise ClientStateError("the client was closed")
        live.begin()
        if self._observer is not None:
            self._tell(AttemptStarted(operation.name, live.number))
            if self._slots.locked():
                self._tell(SlotWaiting(operation.name, live.number))
        # The session keeps the limits it was made with; others cost a little per request.
        own = self._session_options
        same = own is not None and (
            own.timeout is options.timeout or own.timeout == options.timeout
        )
        async with self._slots:
            ending: Answer | Failure = await self._wire.attempt(
                session,
                operation.method,
                self._url(request),
                request.body,
                live,
                headers=self._all_headers(operation, request, options),
                cap=self.settings.max_reply_bytes or operation.reply_cap,
                timeout=None if same else self._wire.client_timeout(options.timeout),
            )
            return ending

    def _open(self, options: CallOptions) -> aiohttp.ClientSession:
        if self._closed:
            raise ClientStateError("the client is closed")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self.load()
            self._loop = loop
            self._slots = asyncio.Semaphore(self.settings.max_connections)
        elif self._loop is not loop:
            raise ClientStateError(
                "the client belongs to another event loop; its connections cannot be used here",
                next_step="Make one client per event loop (in tests: one per test).",
            )
        if self._session is None:
            self._session = self._wire.open_session(self.settings, options.timeout)
            self._session_options = options
        if self._session.closed:
            raise ClientStateError("the session the client was given is closed")
        if self._borrowed and getattr(self._session, "_loop", loop) is not loop:
            raise ClientStateError("the session the client was given belongs to another event loop")
        return self._session

    def _url(self, request: Request) -> URL:
        url = self._urls.get(request.path)
        if url is None:
            from yarl import URL

            url = URL(self.settings.base_url.join(request.path), encoded=True)
            if request.path == request.operation.path:  # fixed paths only: ids are without end
                self._urls[request.path] = url
        if request.query:
            from yarl import URL

            url = URL(f"{url}?{urlencode(request.query)}", encoded=True)
        return url

    def _all_headers(
        self, operation: Operation, request: Request, options: CallOptions
    ) -> Mapping[str, str]:
        auth = self._auth.headers(operation.api)
        known = self._headers.get(operation.api)
        if known is None or known[0] is not auth:
            known = (auth, self._merge(auth, self.settings.headers))
            self._headers[operation.api] = known
        if request.headers or options.headers:
            return self._merge(auth, self.settings.headers, options.headers, request.headers)
        return known[1]

    def _merge(self, *layers: Mapping[str, Secret]) -> Mapping[str, str]:
        from multidict import CIMultiDict

        merged: CIMultiDict[str] = CIMultiDict()
        merged["Accept"] = "application/json"
        merged["User-Agent"] = self.settings.user_agent
        for layer in layers:
            for name, secret in layer.items():
                merged[name] = secret.reveal()
        return merged

    def _finished(self, operation: Operation, record: Attempt) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s %s attempt=%d status=%s phase=%s elapsed=%.3f",
                operation.method,
                operation.path,
                record.number,
                record.status,
                record.phase.label,
                record.elapsed,
            )
        if self._observer is not None:
            self._tell(AttemptFinished(operation.name, record))

    def _tell(self, event: TransportEvent) -> None:
        assert self._observer is not None
        try:
            self._observer(event)
        except Exception:
            logger.exception("an observer failed; the call goes on")

    def _confirms(self, operation: Operation, answer: Answer) -> bool:
        """An answer to a write that claims success in spite of its status is never repeated."""
        confirms = self._claims_success
        return operation.effect == "write" and confirms is not None and confirms(answer.body)

    def _cut_short(
        self, request: Request, live: LiveAttempt, attempts: list[Attempt], why: str
    ) -> None:
        if live.number > len(attempts):  # else it was cut short between two attempts
            attempts.append(live.record(why))
            self._finished(request.operation, attempts[-1])

    def _error(
        self, request: Request, attempts: list[Attempt], words: str, kind: str, phase: Phase
    ) -> HelpdeskError:
        """The error for a call without a whole answer: by how far it got, not by exception."""
        cls: type[NotSentError] | type[OutcomeUnknownError]
        if phase < Phase.SENDING:
            cls = _BEFORE_SENDING.get(kind, ConnectError)
        else:
            cls = _AFTER_SENDING.get(kind, NoReplyError)
        operation = request.operation
        return cls(
            words,
            service=self.settings.service,
            operation=operation.name,
            effect=operation.effect,
            phase=phase,
            status=attempts[-1].status,
            attempts=tuple(attempts),
        )


def interrupted_by(error: BaseException | None) -> HelpdeskError | None:
    """What an interrupted call left behind, as an error that was not raised.

    ::

        try:
            async with asyncio.timeout(5):
                await client.tickets.add(title="Printer on fire")
        except TimeoutError as error:
            doubt = interrupted_by(error)   # NotSentError or OutcomeUnknownError

    Args:
        error: a ``CancelledError`` that came out of a call, or what was made of it: the chain
            of causes is searched. (``anyio.move_on_after`` swallows it without a trace.)

    Returns:
        A :class:`NotSentError` or an :class:`OutcomeUnknownError`; ``None`` if no call was
        interrupted.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found: Any = getattr(error, "helpdesk_error", None)
        if isinstance(found, HelpdeskError):
            return found
        error = error.__cause__ or error.__context__
    return None
