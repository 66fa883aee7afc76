"""One call while it runs: how far it got, its deadline, its connection slot."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Literal, Protocol

from attrs import define, field

from ..phase import Attempt, Phase
from .auth import AuthHeaders
from .request import Request
from .settings import CallOptions

FailureKind = Literal["connect", "timeout", "lost", "garbled", "too_large"]

IsFile = Callable[[int, Mapping[str, str]], bool]
"""Whether the head of an answer (its status and headers) is that of the file asked for."""


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


class CallState:
    """A call under way: what it was given, which try this is, and how far that got.

    One object, since one is made for every request. The clock that it is watched by reads
    ``deadline``, ``silent_at`` and ``patience``; see :class:`.watch.Watched`.

    Args:
        loop: the running loop.
        now: the loop's time.
        request: what is sent.
        options: deadline, retries and headers.
        is_file: whether a head is that of the file asked for; ``None`` if none was.
    """

    __slots__ = (
        "_began",
        "_cancelling",
        "_task",
        "_time",
        "attempts",
        "auth",
        "broken_off",
        "cause",
        "deadline",
        "hang_up",
        "is_file",
        "number",
        "options",
        "patience",
        "phase",
        "renewed",
        "request",
        "silent_at",
        "started_at",
        "status",
        "waits_for",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        now: float,
        request: Request,
        options: CallOptions,
        is_file: IsFile | None = None,
    ) -> None:
        task = asyncio.current_task(loop)
        assert task is not None
        self._task: asyncio.Task[object] = task
        self._cancelling = task.cancelling()
        self.broken_off: BrokenOff | None = None
        self._time = loop.time
        total, read = options.timeout.total, options.timeout.read
        self.deadline = inf if total is None else now + total
        self.patience = inf if read is None else read
        self.silent_at = inf
        self.request = request
        self.options = options
        self.is_file = is_file
        self.attempts: list[Attempt] = []
        """Tries that are over."""
        self.auth: AuthHeaders | None = None
        """The credentials the last try was made with."""
        self.renewed = False
        """Another token was asked for."""
        self.cause: BaseException | None = None
        """Why none was given."""
        self.number = 0
        """Of the try that is under way, from 1."""
        self.phase = Phase.WAITING
        self.status: int | None = None
        self.waits_for = "free connection slot"
        """What it waits for in :attr:`Phase.WAITING`."""
        self.hang_up: Callable[[], None] | None = None
        """Breaks off a body that is on its way out."""
        self.started_at = time.time()
        self._began = time.perf_counter()

    def begin_again(self) -> None:
        """Start a try that is not the first."""
        self.phase = Phase.WAITING
        self.status = None
        self.started_at = time.time()
        self._began = time.perf_counter()

    def finish(self, failure: str | None = None) -> Attempt:
        """Note how the try ended."""
        attempt = Attempt(
            self.number,
            self.started_at,
            time.perf_counter() - self._began,
            self.phase,
            self.status,
            failure,
        )
        self.attempts.append(attempt)
        return attempt

    @property
    def missing(self) -> str:
        """What has not come yet."""
        if self.phase is Phase.WAITING:
            return self.waits_for
        return "connection" if self.phase is Phase.CONNECTING else "answer"

    def now(self) -> float:
        """The loop's time."""
        return self._time()

    def heard(self) -> None:
        """The server gave a sign, or is expected to from now on."""
        self.silent_at = self._time() + self.patience

    def break_off(self, reason: BrokenOff) -> None:
        """Interrupt the task where it waits."""
        if self.broken_off is None:
            self.broken_off = reason
            self._task.cancel()

    def was_broken_off(self, reason: BrokenOff | None = None) -> bool:
        """Whether a cancellation that arrived is ours, and nobody else's; to be asked once.

        Args:
            reason: only for this one; by default for any.
        """
        if self.broken_off is None or reason not in (None, self.broken_off):
            return False
        self.broken_off = None
        # As in asyncio.timeout: whoever else asked for a cancellation must get it.
        return self._task.uncancel() <= self._cancelling


BrokenOff = Literal["time is up", "silence"]


class Watched(Protocol):
    """Something under way.

    Attributes:
        deadline: by the loop's clock, when it must be over.
        silent_at: by the loop's clock, when the server has been silent for too long; infinity
            while nothing is expected of it.
        patience: seconds of silence that are borne; infinity for any.
        hang_up: breaks off a body that is on its way out.
    """

    deadline: float
    silent_at: float
    patience: float

    hang_up: Callable[[], None] | None

    def break_off(self, reason: BrokenOff) -> None:
        """Interrupt it."""


class DeadlineTimer:
    """Looks after any number of calls in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.all: dict[Watched, None] = {}
        """What is looked after."""
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf

    def add(self, one: Watched, now: float) -> None:
        """Look after it, until it is removed."""
        self.all[one] = None
        # Silence begins later than now, so the timer is never too late for it.
        silent_at = now + one.patience
        due = one.deadline if one.deadline < silent_at else silent_at
        if due < self._rings_at:
            self._set(due)

    def remove(self, one: Watched) -> None:
        """It is over."""
        del self.all[one]
        if not self.all and self._timer is not None:  # a timer would keep the client alive
            self._timer.cancel()
            self._timer, self._rings_at = None, inf

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer, self._rings_at = None, inf
        now = self._loop.time()
        due = inf
        for one in self.all:
            if one.deadline <= now:
                one.break_off("time is up")
            elif one.silent_at <= now:
                one.break_off("silence")
            else:
                # What expects nothing yet may begin to at any time.
                due = min(due, one.deadline, one.silent_at, now + one.patience)
        if due < inf:
            self._set(due)


class Semaphore:
    """A semaphore whose fast ways are attributes::

        if slots.free:
            slots.free -= 1
        else:
            await slots.wait()
        ...
        if slots.waiters:
            slots.release()
        else:
            slots.free += 1

    Args:
        count: how many there are.
    """

    __slots__ = ("free", "waiters")

    def __init__(self, count: int) -> None:
        self.free = count
        """More than 0 only while nobody waits."""
        self.waiters: deque[asyncio.Future[None]] = deque()
        """Who waits, and perhaps some that have given up."""

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
        """Give a slot back, or on to who waits for the longest time."""
        if not self.waiters:
            self.free += 1
            return
        while self.waiters:
            turn = self.waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
