"""One call while it runs: how far it got, when it must be over, and its connection slot."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from math import inf
from typing import Literal, Protocol

from attrs import define, field

from ..phase import Attempt, Phase
from .auth import AuthHeaders
from .request import Request
from .settings import CallOptions

FailureKind = Literal["connect", "timeout", "lost", "garbled", "too_large", "held"]
Expiry = Literal["deadline", "silence"]

may_send: ContextVar[Callable[[], bool] | None] = ContextVar("may_send", default=None)
"""Asked directly before the first byte of a body goes out; if it says no, nothing does."""

IsFile = Callable[[int, Mapping[str, str]], bool]
"""Whether the head of an answer (its status and headers) is that of the requested file."""


class Stream(Protocol):
    """The body of an answer, as it arrives."""

    async def next_chunk(self) -> bytes | Failure | None:
        """Decoded bytes; ``None`` at the end, a failure where it broke off."""

    def close(self) -> None:
        """Let go of the connection. May be called again."""


@define
class OpenAnswer:
    """The head of a file, whose body is still to come."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: Stream = field(repr=False)


@define
class Failure:
    """No usable answer. ``words`` is our own text; it holds no secret and no payload."""

    kind: FailureKind
    words: str
    permanent: bool = False


HELD = Failure("held", "the lease of this run is over, or was about to end", True)
"""What :data:`may_send` forbade."""


class CallState:
    """A call under way: what was given to it, which attempt this is, and how far that got.

    One object, since one is made for every request. :class:`DeadlineTimer` watches it.

    Args:
        loop: the running loop.
        clock: the loop's.
        now: its time.
        request: what is sent.
        options: deadline, retries and headers.
        is_file: whether a head is that of the requested file; ``None`` if none was requested.

    Attributes:
        attempts: those that are over.
        auth: the credentials of the last attempt.
        renewed: another token was requested.
        cause: why no token was given.
        number: of the attempt that is under way, from 1.
        now: the loop's clock.
        started_at, began: when that attempt began: wall clock, and ``time.perf_counter()``.
        phase, status: how far that attempt got, and the status of its answer.
        waiting_for: what it waits for in :attr:`Phase.WAITING`.
        deadline: by the loop's clock, when the call must be over.
        max_silence: seconds of silence that are tolerated; infinity for any.
        silence_deadline: by the loop's clock, when the server has been silent for too long;
            infinity while nothing is expected of it.
        expired: which limit has run out.
        abort_body: closes the connection of a body that is on its way out.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
        now: float,
        request: Request,
        options: CallOptions,
        is_file: IsFile | None = None,
    ) -> None:
        task = asyncio.current_task(loop)
        assert task is not None
        self._task: asyncio.Task[object] = task
        self._cancelling = task.cancelling()
        self.expired: Expiry | None = None
        self.now = clock
        total, read = options.timeout.total, options.timeout.read
        self.deadline = inf if total is None else now + total
        self.max_silence = inf if read is None else read
        self.silence_deadline = inf
        self.request = request
        self.options = options
        self.is_file = is_file
        self.attempts: list[Attempt] = []
        self.auth: AuthHeaders | None = None
        self.renewed = False
        self.cause: BaseException | None = None
        self.number = 0
        self.phase = Phase.WAITING
        self.status: int | None = None
        self.waiting_for = "free connection slot"
        self.abort_body: Callable[[], None] | None = None
        self.started_at = time.time()
        self.began = time.perf_counter()

    # A dictionary in each would cost a push half a percent.
    __slots__ = (
        *("_cancelling", "_task", "abort_body", "attempts", "auth", "began", "cause", "now"),
        *("deadline", "expired", "is_file", "max_silence", "number", "options", "phase"),
        *("renewed", "request", "silence_deadline", "started_at", "status", "waiting_for"),
    )

    def start_attempt(self) -> None:
        """Start an attempt that is not the first."""
        self.phase = Phase.WAITING
        self.status = None
        self.started_at = time.time()
        self.began = time.perf_counter()

    @property
    def awaited(self) -> str:
        """What has not come yet."""
        if self.phase is Phase.WAITING:
            return self.waiting_for
        return "connection" if self.phase is Phase.CONNECTING else "answer"

    def note_activity(self) -> None:
        """The server gave a sign, or is expected to from now on."""
        self.silence_deadline = self.now() + self.max_silence

    def expire(self, limit: Expiry) -> None:
        """Interrupt the task where it waits."""
        if self.expired is None:
            self.expired = limit
            self._task.cancel()

    def has_expired(self, limit: Expiry | None = None) -> bool:
        """Whether a cancellation that arrived is only ours; to be asked once.

        Args:
            limit: only for this one; by default for any.
        """
        if self.expired is None or limit not in (None, self.expired):
            return False
        self.expired = None
        # As in asyncio.timeout: whoever else asked for a cancellation must get it.
        return self._task.uncancel() <= self._cancelling


class DeadlineTimer:
    """Interrupts calls that take too long, with one timer for all calls of a client.

    ``asyncio.timeout`` sets a timer for each call, and aiohttp's ``sock_read`` two more for each
    request. Nearly all of them are cancelled unused, and together they are a seventh of what a
    request costs [measured on loopback].

    Attributes:
        calls: those that are watched. Whoever added one takes it out. The timer stays then: to set
            another for the next call would take longer than the rest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.calls: dict[CallState, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = inf

    def add(self, call: CallState, now: float) -> None:
        """Watch a call."""
        self.calls[call] = None
        # Silence begins later than now, so the timer is never too late for it.
        silent = now + call.max_silence
        due = call.deadline if call.deadline < silent else silent
        if due < self._fires_at:
            self._set(due)

    def close(self) -> None:
        """There will be no more calls."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = at
        # By a weak reference, as it must not keep alive what nobody uses any more.
        self._timer = self._loop.call_at(at, _fire, weakref.ref(self))

    def fire(self) -> None:
        """Interrupt those whose time has run out, and find out when to look again."""
        self._timer, self._fires_at = None, inf
        now = self._loop.time()
        due = inf
        for call in self.calls:
            if call.deadline <= now:
                call.expire("deadline")
            elif call.silence_deadline <= now:
                call.expire("silence")
            else:
                # What expects nothing yet may begin to at any time.
                due = min(due, call.deadline, call.silence_deadline, now + call.max_silence)
        if due < inf:
            self._set(due)


def _fire(timer: Callable[[], DeadlineTimer | None]) -> None:
    found = timer()
    if found is not None:
        found.fire()


class Semaphore:
    """Limits the requests under way, first come, first served. Its fast path is attributes::

        if slots.free:
            slots.free -= 1
        else:
            await slots.wait()
        ...
        if slots.waiters:
            slots.release()
        else:
            slots.free += 1

    Attributes:
        free: how many are free; more than 0 only while no one waits.
        waiters: who waits, and perhaps some that have given up.
    """

    __slots__ = ("free", "waiters")

    def __init__(self, count: int) -> None:
        self.free: int = count
        self.waiters: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Take a slot, at once if there is one."""
        if self.free:
            self.free -= 1
        else:
            await self.wait()

    async def wait(self) -> None:
        """Wait for a slot, and take it. Only where none is free."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiters.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it was ours already
                self.release()
            raise

    def release(self) -> None:
        """Give a slot back, or on to the one that has waited longest."""
        while self.waiters:
            turn = self.waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
