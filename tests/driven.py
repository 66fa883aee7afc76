"""A journal that a test drives without a loop of its own, by the very way that a push takes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from kapture_async import JournalError
from kapture_async._core.journal.records import LATER, Counts, Decision, Identity, Job
from kapture_async._core.journal.session import Session
from kapture_async._core.journal.thread import Answer
from kapture_async._core.journal.writer import Journal

T = TypeVar("T")


def sql(session: Session, statement: str, *values: Any) -> list[Any]:
    """What only SQLite can say or do: for tests of its storage."""
    found: list[Any] = session._read()._connection.execute(statement, values).fetchall()  # type: ignore[attr-defined]
    return found


class Pusher:
    """Gives rows and results to a journal as a push does. Each call returns a future."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.loop = asyncio.get_running_loop()
        journal.listen(self._answered, self._ended)

    def take(
        self, which: Identity | int, payload: bytes | None = b"body", **more: Any
    ) -> asyncio.Future[Decision]:
        future: asyncio.Future[Decision] = self.loop.create_future()
        self.journal.submit(future, which, payload, **more)
        return future

    def end(self, row: int, attempt: int, kind: str, **more: Any) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self.loop.create_future()
        ticket_id = more.pop("ticket_id", None)
        if kind == "accepted":
            self.journal.accept(future, row, attempt, ticket_id)
        else:
            self.journal.end(future, row, attempt, kind, **more)
        return future

    def _answered(self, tokens: Iterable[Any], answers: Iterable[Answer]) -> None:
        for future, answer in zip(tokens, answers, strict=True):
            if isinstance(answer, JournalError):
                self._decided(future, None, answer)
            else:
                self._decided(future, answer, None)

    def _ended(self, tokens: Iterable[Any], problem: JournalError | None) -> None:
        for future in tokens:
            self._decided(future, None, problem)

    @staticmethod
    def _decided(future: Any, decided: Decision | None, problem: JournalError | None) -> None:
        if future.done():
            return
        if problem is not None:
            future.set_exception(problem)
            future.exception()  # not every test waits for every future
        else:
            future.set_result(decided)


class Driven:
    """A journal that is open for writing, and the loop that it belongs to.

    What a :class:`.Session` reads can be asked of it too: as lists.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        job: Job | None,
        create: bool = True,
        at: float = 1.0,
        again: frozenset[str] = LATER,
        restored: bool = False,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.at = at
        self.loop = asyncio.new_event_loop()
        opening = Journal.open(
            path,
            job=job,
            create=create,
            again=again,
            now=now or (lambda: self.at),
            to_push=True,
            restored=restored,
        )
        try:
            self.journal = self.run(opening)
        except BaseException:
            self.loop.close()
            raise
        self.path, self.job = path, self.journal.job
        self._pusher = self.run(self._push())

    async def _push(self) -> Pusher:
        return Pusher(self.journal)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coroutine)

    def flush(self) -> None:
        """Until what was said is written, and its listeners have heard of it."""
        self.run(self.journal.call(lambda session: None))

    def call(self, function: Callable[[Session], T], at: float | None = None) -> T:
        self.at = self.at if at is None else at
        return self.run(self.journal.call(function))

    # --- what a push does -----------------------------------------------------------------------

    def take(
        self, identity: Identity, payload: bytes | None = b"body", at: float = 2.0
    ) -> Decision:
        return self.take_many([(identity, payload)], at)[0]

    def take_many(
        self, rows: Iterable[tuple[Identity, bytes | None]], at: float = 2.0
    ) -> list[Decision]:
        """Rows that come in one turn of the loop."""

        async def work() -> list[Decision]:
            return await asyncio.gather(*[self._pusher.take(*row) for row in rows])

        self.at = at
        return self.run(work())

    def refuse(
        self, identity: Identity, words: str = "no title", payload: bytes | None = b"raw cells"
    ) -> Decision:
        async def work() -> Decision:
            refusal = ("InvalidInputError", words)
            return await self._pusher.take(identity, payload, refusal=refusal)

        self.at = 2.0
        return self.run(work())

    def take_again(self, row: int, at: float = 3.0) -> Decision:
        async def work() -> Decision:
            return await self._pusher.take(row)

        self.at = at
        return self.run(work())

    def end(self, row: int, attempt: int, kind: str, at: float = 3.0, **more: Any) -> None:
        self.end_many([(row, attempt, kind, more)], at)

    def end_many(self, ends: Iterable[tuple[int, int, str, Any]], at: float = 3.0) -> None:
        """Results that come in one turn of the loop."""

        async def work() -> None:
            found = [
                self._pusher.end(row, attempt, kind, **more) for row, attempt, kind, more in ends
            ]
            await self.journal.call(lambda session: None)
            await asyncio.gather(*found)

        self.at = at
        self.run(work())

    def end_and_take_again(self, row: int, attempt: int) -> Decision:
        """Not sent, and taken again, in one turn of the loop."""

        async def work() -> Decision:
            self._pusher.end(row, attempt, "not_sent")
            return await self._pusher.take(row)

        return self.run(work())

    def settle(self, taken: Decision, kind: str, at: float = 3.0, **more: Any) -> None:
        self.end(taken.row, taken.attempt, kind, at, **more)

    def verdict(self, row: int, kind: str, at: float = 4.0, **more: Any) -> None:
        self.call(lambda session: session.verdict(row, kind, at, **more))

    # --- what it knows --------------------------------------------------------------------------

    def counts(self) -> Counts:
        return self.journal.counts

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*args: Any, **kwargs: Any) -> Any:
            def work(session: Session) -> Any:
                found = getattr(session, name)(*args, **kwargs)
                return list(found) if isinstance(found, Iterator) else found

            return self.call(work)

        return ask

    def close(self, at: float | None = None) -> None:
        """May be called again."""
        if not self.loop.is_closed():
            self.at = self.at if at is None else at
            self.run(self.journal.aclose())
            self.loop.close()
