"""The thread of a journal: it alone touches the disk.

The event loop hands over what it has put, a group for each turn (see :mod:`.group`). The thread
joins those that wait, writes them in one transaction, and wakes the loop once for all of them. The
busier the push, the larger the groups, and the cheaper each row.

What a row costs here is less the disk than the interpreter's lock, which changes hands with the
event loop's thread for every statement. So groups are kept large (see ``_LINGER``), and new rows
and ends, which are nearly all there is, are one statement (see :func:`.insert_group`). Only what
may be known, and has to be looked up first, takes more.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..errors import JournalError
from .batch import Incoming
from .group import Again, Group, Take, Waiter
from .records import Kind, Settled, Taken
from .store import Store
from .trouble import same_again, trouble_of

T = TypeVar("T")

logger = logging.getLogger("kapture_async.push")

_POLL = 1.0
"""Seconds between looks whether the loop is gone without closing us."""
_AT_EXIT = 5.0
"""Seconds the interpreter's end waits for the last commit."""
_LINGER = 0.01
"""Seconds that the end of an attempt waits for an intent to share its commit with. Nobody's turn
depends on an end, so this costs no throughput, and most commits of a busy push are saved."""

Done = Callable[[Any, JournalError | None], None]
"""Called with a token of the caller's, and with what went wrong."""
AllDone = Callable[[Sequence[Any], JournalError | None], None]
"""Called with many tokens, and with what went wrong for all of them."""
TakenDone = Callable[[Any, Taken | None, JournalError | None], None]
"""Called with a token of the caller's, and with the answer or what went wrong."""


_Result = tuple[Waiter, Any, Any, BaseException | None, int]
"""Who waits, with which token, for what: a value or an error; and how many new rows are told of
before."""
_WRITTEN: Any = object()
"""The value of an end."""


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
        self.on_begun: AllDone | None = None
        """Told of new rows: their intents are on the disk."""
        self.on_ended: AllDone | None = None
        """Told of ends that are on the disk."""
        self._open_store = open_store
        self._path = path
        self._now = now
        self.group = Group()
        self._groups: SimpleQueue[Group] = SimpleQueue()
        self.asked = False
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
        group = self.group
        group.takes.append((waiter, token, one, group.count))
        if not self.asked:
            self.ask()

    def put_end(
        self, waiter: asyncio.Future[None] | Done | None, end: Settled, token: Any = None
    ) -> None:
        """Have the end of an attempt written, whatever becomes of who waits for it."""
        self.group.settles.append((waiter, token, end))
        if isinstance(waiter, asyncio.Future):
            self.ask()
        else:
            self.linger()

    def put_call(self, function: Callable[[Store], T]) -> asyncio.Future[T]:
        """Have something run in a transaction of its own."""
        future: asyncio.Future[T] = self.loop.create_future()
        self.group.calls.append((future, function))
        self.ask()
        return future

    def linger(self) -> None:
        """Have written what waits, before long."""
        if not self.asked and self._lingering is None:
            self._lingering = self.loop.call_later(_LINGER, self.ask)

    def ask(self) -> None:
        """Have written what waits."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        # One turn of the loop later: what is put until then shares a commit.
        if not self.asked:
            self.asked = True
            self.loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self.asked = False
        group, self.group = self.group, Group()
        group.at = self._now()
        self._groups.put(group)

    def unsend(self, taken: Taken) -> None:
        """Nobody will send what was taken: so it is not sent, and no doubt."""
        if taken.action == "send":
            self.put_end(None, _unsent(taken.row, taken.attempt, self._now()))

    def stop(self) -> None:
        """Write what waits, then close; ``ended`` tells when."""
        self.closing = True
        self._hand_over()
        self.stopping = True  # after what is to be written is there
        self._groups.put(Group())

    def join(self) -> None:
        """Wait for the thread. Only once it has ended, or it holds the loop up."""
        self._thread.join()

    def _deliver(
        self,
        results: Sequence[_Result],
        begun: Sequence[Any],
        ended: Sequence[Any],
        problem: JournalError | None,
    ) -> None:
        told = 0
        self._tell(self.on_ended, ended, problem)
        for waiter, token, value, error, behind in results:
            if behind > told:  # in the order they came
                self._tell(self.on_begun, begun[told:behind], problem)
                told = behind
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
        self._tell(self.on_begun, begun[told:], problem)

    def _tell(
        self, done: AllDone | None, tokens: Sequence[Any], problem: JournalError | None
    ) -> None:
        if not tokens:
            return
        assert done is not None, "nobody listens"
        try:
            done(tokens, problem)
        except Exception:
            logger.exception("a callback of the journal failed; the push goes on")

    # --- in the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            store = self._open_store()
        except BaseException as error:
            self.closing = True
            atexit.unregister(self._at_exit)
            self._post([_result(self.opened, error=error), _result(self.ended)])
            return
        self.store = store
        listening = self._post([_result(self.opened)])
        while listening and not (self.stopping and self._groups.empty()):
            try:
                group = self._groups.get(timeout=_POLL)
                while not self._groups.empty():
                    group.add(self._groups.get())
            except Empty:
                listening = not self.loop.is_closed()
                self._keep_mark(store)
                continue
            listening = self._write(store, group) and self._call_all(store, group)
            self._keep_mark(store)
        self._finish(store)

    def _keep_mark(self, store: Store) -> None:
        if store.broken is None:
            try:
                store.keep_mark(self._now)
            except BaseException as error:
                self._note(store, error)

    def _write(self, store: Store, group: Group) -> bool:
        """One group: ends first, because what ended may be taken again. False if the loop is
        gone."""
        takes = [take for take in group.takes if not _is_gone(take[0])]
        settles = group.settles
        begun = group.rows[Group.ROW - 1 :: Group.ROW]
        ended = group.accepted[Group.ACCEPTED - 1 :: Group.ACCEPTED]
        ended += [one for one in group.ended[Group.ENDED - 1 :: Group.ENDED] if one is not None]
        if not (takes or settles or group.has_news):
            return True
        results: list[_Result] = []
        broken: JournalError | None = None
        try:
            if takes or settles:
                with store.transaction():
                    results = self._write_slowly(store, group, takes)
            else:
                store.put(group)
        except BaseException as error:
            # Nothing of the group is durable, whatever it was: so nothing of it is sent.
            broken = self._note(store, error)
            results = [
                (waiter, token, _WRITTEN, same_again(broken), 0) for waiter, token, _ in settles
            ]
            results += [
                (waiter, token, None, same_again(broken), behind)
                for waiter, token, _, behind in takes
            ]
        if self._post(results, begun, ended, broken):
            return True
        if broken is None:  # nobody is left who could send what was begun
            at = self._now()
            unsent = [_unsent(row, 1, at) for row in group.rows[:: Group.ROW]]
            self.group.settles += [(None, None, end) for end in unsent]
        return False

    def _write_slowly(self, store: Store, group: Group, takes: list[Take]) -> list[_Result]:
        """A group of which something has to be looked up first."""
        results: list[_Result] = []
        problems = store.settle_many([end for _, _, end in group.settles])
        for (waiter, token, _), problem in zip(group.settles, problems, strict=True):
            results.append((waiter, token, _WRITTEN, problem, 0))
        if group.has_news:
            store.put(group)
        incoming = [one for _, _, one, _ in takes if isinstance(one, Incoming)]
        answers = iter(store.take_many(incoming))
        for waiter, token, one, behind in takes:
            if isinstance(one, Incoming):
                results.append((waiter, token, next(answers), None, behind))
            else:
                results.append((waiter, token, *_take_again(store, one), behind))
        return results

    def _call_all(self, store: Store, group: Group) -> bool:
        for future, function in group.calls:
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
            if not self._post([_result(future, value, problem)]):
                return False
        return True

    def _note(self, store: Store, error: BaseException) -> JournalError:
        if self.broken is None:
            self.broken = store.broken or trouble_of(self._path, error)
            store.broken = self.broken
        return self.broken

    def _post(
        self,
        results: Sequence[_Result],
        begun: Sequence[Any] = (),
        ended: Sequence[Any] = (),
        problem: JournalError | None = None,
    ) -> bool:
        """Wake the loop, once for all of these. False if it is gone."""
        try:
            self.loop.call_soon_threadsafe(self._deliver, results, begun, ended, problem)
        except RuntimeError:
            # The loop is closed: nobody is left who could send what was taken.
            at = self._now()
            for _, _, value, _, _ in results:
                if isinstance(value, Taken) and value.action == "send":
                    end = _unsent(value.row, value.attempt, at)
                    self.group.settles.append((None, None, end))
            return False
        return True

    def _finish(self, store: Store) -> None:
        try:
            if store.broken is None:
                # What is left by a loop that is gone, or was put after the end.
                left, self.group = self.group, Group()
                while not self._groups.empty():
                    left.add(self._groups.get())
                left.at = self._now()
                left.rows = []  # nobody sends them
                if left.has_news or left.settles:
                    with store.transaction():
                        self._write_slowly(store, left, [])
            store.close(self._now())
        except BaseException as error:
            self._note(store, error)
            store.close()
        finally:
            atexit.unregister(self._at_exit)
            self.closing = True
            self._post([_result(self.ended)])

    def _at_exit(self) -> None:
        try:
            if not self.loop.is_running():
                raise RuntimeError
            self.loop.call_soon_threadsafe(self.stop)  # in a thread of its own: only it may put
        except RuntimeError:
            self.stop()
        if self.pid == os.getpid():
            self._thread.join(_AT_EXIT)


def _unsent(row: int, attempt: int, at: float) -> Settled:
    words = "cancelled before it was sent"
    return Settled(row, attempt, Kind.NOT_SENT, at, None, None, None, None, words)


def _result(waiter: Waiter, value: Any = None, error: BaseException | None = None) -> _Result:
    return waiter, None, value, error, 0


def _take_again(store: Store, one: Again) -> tuple[Taken | None, JournalError | None]:
    try:
        return store.take_again(one.row, one.at, one.sighted), None
    except JournalError as error:  # there is no such row; nothing was written for it
        return None, error


def _is_gone(waiter: Waiter) -> bool:
    return isinstance(waiter, asyncio.Future) and waiter.cancelled()
