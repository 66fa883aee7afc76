"""The thread of a journal: it alone touches the disk.

It takes whatever waits, writes it in one transaction, and wakes the event loop once for all of
it. The busier the push, the larger the groups, and the cheaper each row.

What a row costs here is less the disk than the interpreter's lock, which changes hands with the
event loop's thread several times per group. So groups are kept large (see ``_LINGER``), and
statements few (see :mod:`.statements`).
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from ...errors import JournalError
from .batch import Incoming
from .facts import Kind, Settled, Taken
from .store import Store
from .trouble import same_again, trouble_of

T = TypeVar("T")

logger = logging.getLogger("kapture_async.push")

_POLL = 1.0
"""Seconds between looks whether the loop is gone without closing us."""
_AT_EXIT = 5.0
"""Seconds the interpreter's end waits for the last commit."""
_LINGER = 0.005
"""Seconds that the end of an attempt waits for an intent to share its commit with. Nobody's turn
depends on an end, so this costs no throughput, and most commits of a busy push are saved."""

Done = Callable[[Any, JournalError | None], None]
"""Called with a token of the caller's, and with what went wrong."""
TakenDone = Callable[[Any, Taken | None, JournalError | None], None]
"""Called with a token of the caller's, and with the answer or what went wrong."""
_Waiter = asyncio.Future[Any] | Callable[..., None] | None
_Call = tuple[asyncio.Future[Any], Callable[[Store], Any]]
_Result = tuple[_Waiter, Any, Any, BaseException | None]
"""Who waits, with which token, for what: a value or an error."""
_WRITTEN: Any = object()
"""The value of an end."""


class Again(NamedTuple):
    """A row of the journal that is to be taken once more."""

    row: int
    at: float


class Worker:
    """What waits, and the thread that writes it.

    Args:
        open_store: opens the journal; called in the thread.
        path: its file, for messages.
        now: the wall clock.
    """

    def __init__(
        self, open_store: Callable[[], Store], path: str, now: Callable[[], float]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.store: Store | None = None
        self.broken: JournalError | None = None
        self.closing = False
        self.opened: asyncio.Future[None] = self.loop.create_future()
        self.ended: asyncio.Future[None] = self.loop.create_future()
        self._open_store = open_store
        self._path = path
        self._now = now
        self._takes: deque[tuple[_Waiter, Any, Incoming | Again]] = deque()
        self._ends: deque[tuple[_Waiter, Any, Settled]] = deque()
        self._calls: deque[_Call] = deque()
        self._signal: SimpleQueue[None] = SimpleQueue()
        self._asked = False
        self._lingering: asyncio.TimerHandle | None = None
        self.stopping = False
        self._thread = threading.Thread(target=self._work, name="kapture-journal", daemon=True)

    # --- in the loop ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; ``opened`` tells how that went."""
        self._thread.start()
        atexit.register(self._at_exit)

    def put_take(
        self, one: Incoming | Again, waiter: asyncio.Future[Taken] | TakenDone, token: Any = None
    ) -> None:
        """Have a row taken. A future that is cancelled in time takes nothing."""
        self._takes.append((waiter, token, one))
        if not self._asked:
            self._ask()

    def put_end(
        self, waiter: asyncio.Future[None] | Done | None, end: Settled, token: Any = None
    ) -> None:
        """Have the end of an attempt written, whatever becomes of who waits for it."""
        self._ends.append((waiter, token, end))
        if self._asked:
            return
        if isinstance(waiter, asyncio.Future):
            self._ask()
        elif self._lingering is None:
            self._lingering = self.loop.call_later(_LINGER, self._ask)

    def put_call(self, function: Callable[[Store], T]) -> asyncio.Future[T]:
        """Have something run in a transaction of its own."""
        future: asyncio.Future[T] = self.loop.create_future()
        self._calls.append((future, function))
        self._ask()
        return future

    def _ask(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        # One turn of the loop later: what is put until then shares a commit.
        if not self._asked:
            self._asked = True
            self.loop.call_soon(self._signal.put, None)

    def unsend(self, taken: Taken) -> None:
        """Nobody will send what was taken: so it is not sent, and no doubt."""
        if taken.action == "send":
            self.put_end(None, _unsent(taken, self._now()))

    def stop(self) -> None:
        """Write what waits, then close; ``ended`` tells when."""
        self.closing = self.stopping = True
        self._signal.put(None)

    def join(self) -> None:
        """Wait for the thread. Only once it has ended, or it holds the loop up."""
        self._thread.join()

    def _deliver(self, results: list[_Result]) -> None:
        for waiter, token, value, error in results:
            if waiter is None:
                continue
            if not isinstance(waiter, asyncio.Future):
                try:
                    if value is _WRITTEN:
                        waiter(token, error)
                    else:
                        waiter(token, value, error)
                except Exception:
                    logger.exception("a callback of the journal failed; the push goes on")
            elif waiter.done():  # cancelled meanwhile
                if isinstance(value, Taken):
                    self.unsend(value)
            elif error is None:
                waiter.set_result(value)
            else:
                waiter.set_exception(error)

    # --- in the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            store = self._open_store()
        except BaseException as error:
            self.closing = True
            atexit.unregister(self._at_exit)
            self._post([(self.opened, None, None, error), (self.ended, None, None, None)])
            return
        self.store = store
        listening = self._post([(self.opened, None, None, None)])
        while listening and not (self.stopping and self._nothing_waits()):
            try:
                self._signal.get(timeout=_POLL)
            except Empty:
                listening = not self.loop.is_closed()
                continue
            self._asked = False  # before looking, so that nothing slips between
            # What was put last is drained first, so that what was put before it is there, too.
            calls = _drain(self._calls)
            listening = self._write(store) and self._call_all(store, calls)
        self._finish(store)

    def _nothing_waits(self) -> bool:
        return not (self._takes or self._ends or self._calls)

    def _write(self, store: Store) -> bool:
        """One group: ends first, because what ended may be taken again. False if the loop is
        gone."""
        takes = [one for one in _drain(self._takes) if not _is_gone(one[0])]
        ends = _drain(self._ends)
        if not ends and not takes:
            return True
        results: list[_Result] = []
        try:
            if store.broken is not None:
                raise same_again(store.broken)
            with store.transaction():
                problems = store.settle_many([end for _, _, end in ends])
                for (waiter, token, _), problem in zip(ends, problems, strict=True):
                    results.append((waiter, token, _WRITTEN, problem))
                answers = iter(
                    store.take_many([one for _, _, one in takes if isinstance(one, Incoming)])
                )
                for waiter, token, one in takes:
                    if isinstance(one, Incoming):
                        results.append((waiter, token, next(answers), None))
                    else:
                        results.append((waiter, token, *_take_again(store, one)))
        except BaseException as error:
            # Nothing of the group is durable, whatever it was: so nothing of it is sent.
            broken = self._note(store, error)
            results = [(waiter, token, _WRITTEN, same_again(broken)) for waiter, token, _ in ends]
            results += [(waiter, token, None, same_again(broken)) for waiter, token, _ in takes]
        return self._post(results)

    def _call_all(self, store: Store, calls: list[_Call]) -> bool:
        for future, function in calls:
            value, problem = None, None
            try:
                if store.broken is not None:
                    raise same_again(store.broken)
                with store.transaction():
                    value = function(store)
            except BaseException as error:
                problem = error
                if store.broken is not None:
                    problem = same_again(self._note(store, store.broken))
            if not self._post([(future, None, value, problem)]):
                return False
        return True

    def _note(self, store: Store, error: BaseException) -> JournalError:
        if self.broken is None:
            self.broken = store.broken or trouble_of(self._path, error)
            store.broken = self.broken
        return self.broken

    def _post(self, results: list[_Result]) -> bool:
        """Wake the loop, once for all of these. False if it is gone."""
        try:
            self.loop.call_soon_threadsafe(self._deliver, results)
        except RuntimeError:
            # The loop is closed: nobody is left who could send what was taken.
            for _, _, value, _ in results:
                if isinstance(value, Taken) and value.action == "send":
                    self._ends.append((None, None, _unsent(value, self._now())))
            return False
        return True

    def _finish(self, store: Store) -> None:
        try:
            if self._ends and store.broken is None:  # only if the loop is gone
                with store.transaction():
                    store.settle_many([end for _, _, end in _drain(self._ends)])
            store.close(self._now())
        except BaseException as error:
            self._note(store, error)
            store.close()
        finally:
            atexit.unregister(self._at_exit)
            self.closing = True
            self._post([(self.ended, None, None, None)])

    def _at_exit(self) -> None:
        self.stop()
        if self.pid == os.getpid():
            self._thread.join(_AT_EXIT)


def _drain(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(len(waiting))]


def _unsent(taken: Taken, at: float) -> Settled:
    words = "cancelled before it was sent"
    return Settled(taken.row, taken.attempt, Kind.NOT_SENT, at, None, None, None, None, words)


def _take_again(store: Store, one: Again) -> tuple[Taken | None, JournalError | None]:
    try:
        return store.take_again(one.row, one.at), None
    except JournalError as error:  # there is no such row; nothing was written for it
        return None, error


def _is_gone(waiter: _Waiter) -> bool:
    return isinstance(waiter, asyncio.Future) and waiter.cancelled()
