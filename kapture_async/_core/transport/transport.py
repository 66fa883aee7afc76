"""The one way out: every call of both services goes through :meth:`Transport.send`."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from attrs import frozen

from ..errors import ClientStateError, HelpdeskError, NotSentError
from ..phase import Attempt, Phase
from ..runtime import check_not_patched, running_loop
from ..secret import Secret, mask
from .auth import Auth
from .call_state import CallState, DeadlineTimer, Failure, IsFile, OpenAnswer, Semaphore
from .failures import error_for
from .request import Operation, RawReply, Request
from .retry import Ending, GiveUp, RetryIn, decide, parse_retry_after
from .settings import CallOptions, TransportSettings
from .streaming import OpenReply

if TYPE_CHECKING:
    import aiohttp

    from .session import RequestTemplates, Wire


@frozen
class AttemptStarted:
    """An attempt begins; it may have to wait for a free connection slot first."""

    operation: str
    number: int


@frozen
class AttemptFinished:
    """An attempt ended, with an answer or without one (see ``attempt.failure``)."""

    operation: str
    attempt: Attempt


@frozen
class SlotWaiting:
    """All connection slots are taken (``max_connections``); the attempt waits for one."""

    operation: str
    number: int


@frozen
class RetryScheduled:
    """It will be sent again after ``delay`` seconds; attempt ``number`` has just ended."""

    operation: str
    number: int
    delay: float


@frozen
class CallFinished:
    """A call ended: with an answer, whatever that says, or with an error.

    Attributes:
        operation: such as ``"tickets.add"``.
        method: its HTTP verb.
        path: its path, with placeholders for ids.
        host: of the service, without the port.
        port: of the service; ``None`` for the usual one.
        attempts: all attempts, in their order; none if the call ended before the first.
        error: the name of the error's class; ``None`` if a whole answer came.
    """

    operation: str
    method: str
    path: str
    host: str
    port: int | None
    attempts: tuple[Attempt, ...]
    error: str | None


TransportEvent = AttemptStarted | AttemptFinished | SlotWaiting | RetryScheduled | CallFinished
Observer = Callable[[TransportEvent], None]
"""Called in the event loop, synchronously: it must not block. What it raises is logged and
otherwise ignored, since an observer's bug must not turn a sent ticket into a lost one."""


logger = logging.getLogger("kapture_async.transport")

IsStale = Callable[[Operation, int, Mapping[str, str], bytes], bool]
"""Whether an answer (its status, headers and body) says that the credentials have expired."""


class Transport:
    """Sends requests of one service: session, slots, deadline, attempts, errors.

    Made anywhere, bound to the event loop of its first use. The owner closes it.

    Args:
        settings: what holds for every call.
        auth: gives the headers that authenticate a call.
        session: a borrowed aiohttp session; it is used, never closed.
        observer: receives every :data:`TransportEvent`.
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
        self._now: Callable[[], float]
        self._slots: Semaphore
        self._deadlines: DeadlineTimer
        self._templates: RequestTemplates
        self._wire: Wire
        self._http: ModuleType
        self._closed = False
        check_not_patched()
        # Weak: what is held no longer must give its slot back.
        self._open_replies: weakref.WeakSet[OpenReply] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"<Transport to {self.settings.base_url}{' (closed)' if self._closed else ''}>"

    @property
    def closed(self) -> bool:
        """True after :meth:`aclose`."""
        return self._closed

    def load(self) -> None:
        """Import the HTTP library.

        Not at import: a program that imports this package need not use it, and aiohttp alone
        takes longer to import than the rest.
        """
        from . import direct_wire

        self._http = direct_wire

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
        for reply in tuple(self._open_replies):
            reply.close()
        if self._loop is not None:
            for call in self._deadlines.calls:
                if call.abort_body is not None:  # closing the session would wait for it for ever
                    call.abort_body()
            self._wire.abort()
        try:
            await self._auth.aclose()
        finally:
            if self._loop is not None and not self._deadlines.calls:
                self._deadlines.close()
            if self._session is not None and not self._borrowed:
                await self._session.close()
                # The loop releases closed sockets in its next turn; without it, a loop that ends
                # right now leaves a ResourceWarning behind.
                await asyncio.sleep(0)

    def drop_connections(self) -> None:
        """Use no connection again that is open now: their answers can no longer be told apart.

        The next call opens another.
        """
        if self._loop is not None:
            self._wire.drop_connections(urlsplit(self.settings.base_url.origin).hostname)

    def mask(self, text: str, also: Iterable[Secret] = ()) -> str:
        """``text`` without any of the secrets this transport knows, and those in ``also``."""
        return mask(text, (*self._auth.secrets(), *self.settings.headers.values(), *also))

    def send(self, request: Request, options: CallOptions) -> Awaitable[RawReply]:
        """Send until there is a whole answer, or until sending again would not be safe.

        To be awaited at once. Not a coroutine of its own, as each costs a push 1 %.

        Args:
            request: what to send.
            options: deadline, retries and headers of this call.

        Returns:
            The answer, whatever its HTTP status: what it means is for the service's rules to say.

        Raises:
            ClientStateError: closed, or used from another event loop.
            ConnectError, NotSentTimeoutError: nothing was sent.
            OutcomeUnknownError: it was sent, perhaps in part, and no whole answer came.
            asyncio.CancelledError: carries a note on what may have happened, and the same as
                an error; see :func:`interrupted_by`.
        """
        # Without a file, what is delivered is a whole answer. A cast would be a call.
        return self._deliver(self._begin(request, options))  # type: ignore[return-value]

    async def open(
        self, request: Request, options: CallOptions, *, is_file: IsFile
    ) -> RawReply | OpenReply:
        """Send, and leave the body of a file to be read as it arrives.

        Args:
            request: what to send; a read.
            options: as for :meth:`send`; the time for the whole call ends with the head.
            is_file: whether a head is that of the requested file.

        Returns:
            An :class:`OpenReply` for the file, which must be closed: it holds a connection slot.
            Any other answer is read at once, and cut where it is long.

        Raises:
            HelpdeskError: as :meth:`send`; also for a file whose end could not be told from a
                lost connection.
        """
        call = self._begin(request, options, is_file)
        last = await self._deliver(call)
        if isinstance(last, RawReply):
            return last
        reply = OpenReply(
            last,
            tuple(call.attempts),
            release=self._slots.release,
            acquire=self._slots.acquire,
            broke_off=lambda failure: self._error(call, failure.words, failure.kind),
        )
        self._open_replies.add(reply)
        return reply

    async def _deliver(self, call: CallState) -> RawReply | OpenAnswer:
        """Carry a call through to its result, in time."""
        operation, slots, observer = call.request.operation, self._slots, self._observer
        result: RawReply | OpenAnswer | Failure | None = None
        interrupted: asyncio.CancelledError | None = None
        try:
            while True:
                if self._renews:
                    await self._get_token(call)
                if self._closed:  # while it waited to send again
                    raise ClientStateError("the client was closed")
                call.number += 1
                if call.number > 1:
                    call.start_attempt()
                if observer is not None:
                    self._notify(AttemptStarted(operation.name, call.number))
                    if not slots.free:
                        self._notify(SlotWaiting(operation.name, call.number))
                if slots.free:
                    slots.free -= 1
                else:
                    await slots.wait()
                kept = False
                try:
                    call.auth = auth = self._auth.headers(operation.api)
                    # The template is bound to no name: it holds the headers, and tracebacks can
                    # show the variables of this frame.
                    last: RawReply | OpenAnswer | Failure = await self._wire.attempt(
                        self._templates.of(call, auth), call
                    )
                    kept = isinstance(last, OpenAnswer)
                finally:
                    if not kept:
                        if slots.waiters:
                            slots.release()
                        else:
                            slots.free += 1
                self._finished(call, last.words if isinstance(last, Failure) else None)
                if isinstance(last, RawReply):
                    if self._renews and await self._renew_token(call, last):
                        continue
                    if last.status < 300 or self._claims_write_succeeded(operation, last):
                        result = last
                        break
                elif isinstance(last, OpenAnswer):
                    result = last
                    break
                decision = self._decide(call, last)
                if isinstance(decision, GiveUp):
                    result = last
                    break
                self._log_retry(call, last, decision.seconds)
                if observer is not None:
                    self._notify(RetryScheduled(operation.name, call.number, decision.seconds))
                call.phase = Phase.WAITING  # an interruption from here on finds nothing under way
                await self._sleep(decision.seconds)
        except asyncio.CancelledError as error:
            interrupted = error
        finally:
            del self._deadlines.calls[call]
            # Checked even if the cancellation was swallowed on its way here.
            ours = call.expired is not None and call.has_expired()
        if isinstance(result, (RawReply, OpenAnswer)):
            if observer is not None:
                self._notify(self._end_of(call, None))
            if isinstance(result, RawReply):
                result.attempts, result.cause = tuple(call.attempts), call.cause
            return result
        failure = self._error_of(call, result, None if ours else interrupted, late=ours)
        if observer is not None:
            self._notify(self._end_of(call, failure))
        raise failure

    def _error_of(
        self,
        call: CallState,
        last: Failure | None,
        interrupted: asyncio.CancelledError | None,
        *,
        late: bool,
    ) -> BaseException:
        if interrupted is not None:
            self._cut_short(call, "interrupted")
            doubt = self._error(call, "the call was interrupted", "interrupted")
            interrupted.helpdesk_error = doubt  # type: ignore[attr-defined]
            interrupted.add_note(str(doubt))
            # Without the frames in between: their locals hold the headers.
            return interrupted.with_traceback(None)
        if last is not None:
            return self._error(call, last.words, last.kind)
        if late:
            self._cut_short(call, "the time for the whole call ran out")
        total = call.options.timeout.total
        return self._error(call, f"no {call.awaited} within {total:g} seconds", "timeout")

    def _decide(self, call: CallState, last: RawReply | Failure) -> RetryIn | GiveUp:
        """Whether to send again after an attempt that did not succeed."""
        if isinstance(last, Failure):
            ending = Ending(phase=call.phase, permanent=last.permanent)
        else:
            wait = parse_retry_after(last.headers.get("Retry-After"), time.time())
            ending = Ending(phase=call.phase, status=last.status, retry_after=wait)
        return decide(
            call.options.retry,
            call.request.operation.effect,
            ending,
            attempt=call.number - call.renewed,
            time_left=call.deadline - call.now(),
            rand=self._rand(),
        )

    async def _get_token(self, call: CallState) -> None:
        """Fetch the first token, if there is none yet.

        Raises:
            NotSentError: the token provider failed; its error is the cause.
            ClientStateError: the client was closed meanwhile, or would wait for itself.
        """
        operation = call.request.operation
        call.waiting_for = "access token"
        try:
            await self._auth.ready(operation.api)
        except NotSentError as error:
            error.service, error.operation = self.settings.service, operation.name
            error.effect = operation.effect
            raise
        call.waiting_for = "free connection slot"

    async def _renew_token(self, call: CallState, answer: RawReply) -> bool:
        """Whether to send again, with another token than the one that the service refused.

        Safe for writes, too, which were not carried out. Once per call: a service that refuses
        every token would otherwise be called for ever.

        Raises:
            ClientStateError: the client was closed meanwhile, or would wait for itself.
        """
        operation, stale = call.request.operation, call.auth
        is_stale = self._is_stale
        if call.renewed or stale is None or is_stale is None:
            return False
        if not is_stale(operation, answer.status, answer.headers, answer.body):
            return False
        call.renewed = True
        phase, call.phase = call.phase, Phase.WAITING
        call.waiting_for = "new access token"
        try:
            return await self._auth.renew(stale)
        except ClientStateError:
            raise
        except NotSentError as error:
            call.cause = error.__cause__
            call.phase = phase
            return False

    def _begin(
        self, request: Request, options: CallOptions, is_file: IsFile | None = None
    ) -> CallState:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = running_loop()  # says why there is none
        if self._loop is not loop or self._closed or self._borrowed:
            self._open(loop, options)
        now = self._now()
        call = CallState(loop, self._now, now, request, options, is_file)
        self._deadlines.add(call, now)
        return call

    def _open(self, loop: asyncio.AbstractEventLoop, options: CallOptions) -> None:
        """Get ready to send, or say why that is impossible."""
        if self._closed:
            raise ClientStateError("the client is closed")
        if self._loop is not None and self._loop is not loop:
            raise ClientStateError(
                "the client belongs to another event loop; its connections cannot be used here",
                next_step="Make one client per event loop (in tests: one per test).",
            )
        first = self._loop is None
        if first:
            check_not_patched()  # it may have been patched since
            self.load()
            borrowed = self._session if self._borrowed else None
            self._session, self._wire, self._templates = self._http.open_wire(
                self.settings, options.timeout, borrowed
            )
        assert self._session is not None
        if self._session.closed:
            raise ClientStateError("the session the client was given is closed")
        if self._borrowed and getattr(self._session, "_loop", loop) is not loop:
            raise ClientStateError("the session the client was given belongs to another event loop")
        if first:
            self._loop, self._now = loop, loop.time
            self._slots = Semaphore(self.settings.max_connections)
            self._deadlines = DeadlineTimer(loop)

    def _finished(self, call: CallState, failure: str | None) -> None:
        elapsed = time.perf_counter() - call.began
        record = Attempt(call.number, call.started_at, elapsed, call.phase, call.status, failure)
        call.attempts.append(record)
        if logger.isEnabledFor(logging.DEBUG):
            operation = call.request.operation
            logger.debug(
                "%s %s attempt=%d status=%s phase=%s elapsed=%.3f",
                operation.method,
                operation.path,
                record.number,
                record.status,
                record.phase.label,
                record.elapsed,
                extra=self._facts(operation, record),
            )
        if self._observer is not None:
            self._notify(AttemptFinished(call.request.operation.name, record))

    def _log_retry(self, call: CallState, last: RawReply | Failure, seconds: float) -> None:
        if logger.isEnabledFor(logging.INFO):
            operation, record = call.request.operation, call.attempts[-1]
            why = last.words if isinstance(last, Failure) else f"HTTP {last.status}"
            logger.info(
                "%s will be sent again in %.2f s: %s",
                operation.name,
                seconds,
                why,
                extra=self._facts(operation, record),
            )

    def _facts(self, operation: Operation, record: Attempt) -> dict[str, Any]:
        """The fields of a log record; the guide lists them."""
        return {
            "service": self.settings.service,
            "operation": operation.name,
            "host": urlsplit(self.settings.base_url.origin).hostname,
            "status": record.status,
            "attempt": record.number,
            "duration": record.elapsed,
            "phase": record.phase.label,
        }

    def _end_of(self, call: CallState, error: BaseException | None) -> CallFinished:
        operation, url = call.request.operation, urlsplit(self.settings.base_url.origin)
        return CallFinished(
            operation=operation.name,
            method=operation.method,
            path=operation.path,
            host=url.hostname or "",
            port=url.port,
            attempts=tuple(call.attempts),
            error=None if error is None else type(error).__name__,
        )

    def _notify(self, event: TransportEvent) -> None:
        assert self._observer is not None
        try:
            self._observer(event)
        except Exception:
            logger.exception("an observer failed; the call continues")

    def _claims_write_succeeded(self, operation: Operation, answer: RawReply) -> bool:
        """An answer to a write that claims success in spite of its status is never repeated."""
        confirms = self._claims_success
        return operation.effect == "write" and confirms is not None and confirms(answer.body)

    def _cut_short(self, call: CallState, why: str) -> None:
        if call.number > len(call.attempts):  # else it was between two attempts
            self._finished(call, why)

    def _error(self, call: CallState, words: str, kind: str) -> HelpdeskError:
        phase = call.phase
        return error_for(self.settings.service, call.request, call.attempts, words, kind, phase)
