"""The one way out: every call of both services goes through :meth:`Transport.send`."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ..errors import ClientStateError, HelpdeskError, NotSentError
from ..phase import Attempt, Phase
from ..secret import Secret, mask
from .auth import Auth, AuthHeaders
from .endings import error_for
from .events import (
    AttemptFinished,
    AttemptStarted,
    Observer,
    RetryScheduled,
    SlotWaiting,
    TransportEvent,
)
from .live import Answer, Failure, IsFile, LiveAttempt, OpenAnswer
from .message import Operation, RawReply, Request
from .retry import Ending, Stop, decide, parse_retry_after
from .settings import CallOptions, TransportSettings
from .stream import OpenReply

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

logger = logging.getLogger("kapture_async.transport")

IsStale = Callable[[Operation, int, Mapping[str, str], bytes], bool]
"""Whether an answer (its status, headers and body) says that the credentials have expired."""


class Transport:
    """Sends requests of one service: session, slots, deadline, attempts, errors.

    Made anywhere, bound to the event loop of its first use. Closing is the owner's business.

    Args:
        settings: what holds for every call.
        auth: gives the headers that authenticate a call.
        session: a borrowed aiohttp session; it is used, never closed.
        observer: is told of every attempt and retry; see :mod:`.events`.
        claims_success: the service's mark of success in a body, whatever the status says.
        is_stale: whether an answer says that the credentials have expired.
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
        is_stale: IsStale | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self._auth = auth
        self._borrowed = session is not None
        self._session = session
        self._observer = observer
        self._claims_success = claims_success
        self._renews = auth.can_renew
        self._is_stale = is_stale
        self._sleep = sleep
        self._rand = rand
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: asyncio.Semaphore
        self._wire: ModuleType
        self._session_options: CallOptions | None = None
        self._closed = False
        self._leaving: set[LiveAttempt] = set()
        # Weak: what nobody holds any longer must give its slot back.
        self._arriving: weakref.WeakSet[OpenReply] = weakref.WeakSet()
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
        for reply in tuple(self._arriving):
            reply.close()
        for live in self._leaving:  # closing the session would wait for them, perhaps for ever
            if live.hang_up is not None:
                live.hang_up()
        try:
            await self._auth.aclose()
        finally:
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
        call = _Call(self._open(options), request, options)
        last = await self._deliver(call)
        assert isinstance(last, Answer)
        return _whole(last, call)

    async def open(
        self, request: Request, options: CallOptions, *, is_file: IsFile
    ) -> RawReply | OpenReply:
        """Send, and leave the body of a file to be read as it arrives.

        Args:
            request: what to send; a read.
            options: as for :meth:`send`; the time for the whole call ends with the head.
            is_file: whether a head is that of the file asked for.

        Returns:
            An :class:`OpenReply` for the file, which must be closed: it holds a connection slot.
            Any other answer is read at once, and cut where it is long.

        Raises:
            HelpdeskError: as :meth:`send`; also for a file of which nothing would tell whether
                it came whole.
        """
        call = _Call(self._open(options), request, options, is_file=is_file)
        last = await self._deliver(call)
        if isinstance(last, Answer):
            return _whole(last, call)
        reply = OpenReply(
            last,
            tuple(call.attempts),
            release=self._slots.release,
            broke_off=lambda failure: self._error(call, failure.words, failure.kind),
        )
        self._arriving.add(reply)
        return reply

    async def _deliver(self, call: _Call) -> Answer | OpenAnswer:
        total = call.options.timeout.total
        if total is not None:
            call.deadline = asyncio.get_running_loop().time() + total
        last: Answer | OpenAnswer | Failure | None = None
        interrupted: asyncio.CancelledError | None = None
        try:
            async with asyncio.timeout_at(call.deadline):
                last = await self._try_until_settled(call)
        except TimeoutError:
            self._cut_short(call, "the time for the whole call ran out")
        except asyncio.CancelledError as error:
            interrupted = error
            self._cut_short(call, "interrupted")
        if interrupted is not None:
            doubt = self._error(call, "the call was interrupted", "interrupted")
            interrupted.helpdesk_error = doubt  # type: ignore[attr-defined]
            interrupted.add_note(str(doubt))
            # Without the frames in between: their locals hold the headers.
            raise interrupted.with_traceback(None)
        if last is None:
            raise self._error(call, f"no {call.live.missing} within {total:g} seconds", "timeout")
        if isinstance(last, Failure):
            raise self._error(call, last.words, last.kind)
        return last

    async def _try_until_settled(self, call: _Call) -> Answer | OpenAnswer | Failure:
        operation, live = call.request.operation, call.live
        while True:
            if self._renews:
                await self._have_token(call)
            last = await self._try_once(call)
            if isinstance(last, Failure):
                self._finished(call, last.words)
                ending = Ending(phase=live.phase, permanent=last.permanent)
            else:
                self._finished(call)
                if isinstance(last, OpenAnswer):
                    return last
                if self._renews and await self._renewed(call, last):
                    continue
                if last.status < 300 or self._confirms(operation, last):
                    return last
                wait = parse_retry_after(last.headers.get("Retry-After"), time.time())
                ending = Ending(phase=live.phase, status=last.status, retry_after=wait)
            decision = decide(
                call.options.retry,
                operation.effect,
                ending,
                attempt=live.number - call.renewed,
                time_left=call.time_left,
                rand=self._rand(),
            )
            if isinstance(decision, Stop):
                return last
            if self._observer is not None:
                self._tell(RetryScheduled(operation.name, live.number, decision.seconds))
            live.phase = Phase.WAITING  # an interruption from here on finds nothing under way
            await self._sleep(decision.seconds)

    async def _try_once(self, call: _Call) -> Answer | OpenAnswer | Failure:
        operation, live, options = call.request.operation, call.live, call.options
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
        await self._slots.acquire()
        kept = False
        self._leaving.add(live)
        try:
            ending: Answer | OpenAnswer | Failure = await self._wire.attempt(
                call.session,
                operation.method,
                self._url(call.request),
                call.request.body,
                live,
                headers=self._all_headers(call),
                cap=self._cap(call),
                timeout=None if same else self._wire.client_timeout(options.timeout),
                is_file=call.is_file,
            )
            kept = isinstance(ending, OpenAnswer)
            return ending
        finally:
            self._leaving.discard(live)
            if not kept:
                self._slots.release()

    def _cap(self, call: _Call) -> int:
        """The most bytes of the answer; a file's limit is the caller's own."""
        own = call.request.operation.reply_cap
        return own if call.is_file is not None else self.settings.max_reply_bytes or own

    async def _have_token(self, call: _Call) -> None:
        """Fetch the first token, where there is none yet.

        Raises:
            NotSentError: whoever gives tokens failed; its error is the cause.
            ClientStateError: the client was closed meanwhile, or would wait for itself.
        """
        operation = call.request.operation
        call.live.waits_for = "access token"
        try:
            await self._auth.ready(operation.api)
        except NotSentError as error:
            error.service, error.operation = self.settings.service, operation.name
            error.effect = operation.effect
            raise
        call.live.waits_for = "free connection slot"

    async def _renewed(self, call: _Call, answer: Answer) -> bool:
        """Whether it is worth trying once more, with another token than the service refused.

        Safe for writes, too: they were refused at the door. Once per call only: a service that
        refuses every token would otherwise be asked for ever.

        Raises:
            ClientStateError: the client was closed meanwhile, or would wait for itself.
        """
        operation, live, stale = call.request.operation, call.live, call.auth
        is_stale = self._is_stale
        if call.renewed or stale is None or is_stale is None:
            return False
        if not is_stale(operation, answer.status, answer.headers, answer.body):
            return False
        call.renewed = True
        phase, live.phase = live.phase, Phase.WAITING
        live.waits_for = "new access token"
        try:
            return await self._auth.renew(stale)
        except ClientStateError:
            raise
        except NotSentError as error:
            call.cause = error.__cause__
            live.phase = phase
            return False

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

    def _all_headers(self, call: _Call) -> Mapping[str, str]:
        api = call.request.operation.api
        auth = call.auth = self._auth.headers(api)
        known = self._headers.get(api)
        if known is None or known[0] is not auth:
            known = (auth, self._merge(auth, self.settings.headers))
            self._headers[api] = known
        one, client = call.request.headers, call.options.headers
        if one or client:
            return self._merge(auth, self.settings.headers, client, one)
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

    def _finished(self, call: _Call, failure: str | None = None) -> None:
        operation, record = call.request.operation, call.live.record(failure)
        call.attempts.append(record)
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

    def _cut_short(self, call: _Call, why: str) -> None:
        if call.live.number > len(call.attempts):  # else it was cut short between two attempts
            self._finished(call, why)

    def _error(self, call: _Call, words: str, kind: str) -> HelpdeskError:
        phase = call.live.phase
        return error_for(self.settings.service, call.request, call.attempts, words, kind, phase)


class _Call:
    """One call under way: what it was given, and how far it got."""

    __slots__ = (
        "attempts",
        "auth",
        "cause",
        "deadline",
        "is_file",
        "live",
        "options",
        "renewed",
        "request",
        "session",
    )

    def __init__(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        options: CallOptions,
        *,
        is_file: IsFile | None = None,
    ) -> None:
        self.session = session
        self.request = request
        self.options = options
        self.is_file = is_file
        self.live = LiveAttempt()
        self.attempts: list[Attempt] = []
        self.deadline: float | None = None
        """By the clock of the loop."""
        self.auth: AuthHeaders | None = None
        """The credentials the last try was made with."""
        self.renewed = False
        """Another token was asked for."""
        self.cause: BaseException | None = None
        """Why none was given."""

    @property
    def time_left(self) -> float:
        """Seconds until the deadline."""
        if self.deadline is None:
            return math.inf
        return self.deadline - asyncio.get_running_loop().time()


def _whole(answer: Answer, call: _Call) -> RawReply:
    return RawReply(
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        attempts=tuple(call.attempts),
        cause=call.cause,
    )
