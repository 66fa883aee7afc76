"""One operation of a push with a journal: how its rows are encoded, marked, sent and looked up.

``push``, ``reconcile``, ``verify`` and ``doctor`` of every resource are made of it, so a resource
only says what is its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import frozen

from ..arguments import check_callable, check_flag, check_seconds
from ..errors import InvalidInputError, JournalError
from ..journal.reader import job_at
from ..journal.records import Job
from ..journal.writer import Journal
from ..reconcile.candidates import CluesOf, beginning
from ..reconcile.doctor import Diagnosis, examine
from ..reconcile.evidence import ListTickets
from ..reconcile.lookup import AskRows, LookupMethods
from ..reconcile.reconcile import ReconcileObserver, longest_call, reconcile, settle_time
from ..reconcile.resolve import resolve
from ..reconcile.results import Reconciliation, Resolved, Verification
from ..reconcile.verify import VerifyObserver, verify
from ..requestor import ApiRequestor
from ..transport.retry import NO_RETRY
from .answers import AnswerRule
from .push import Push
from .row_codec import RowCodec
from .rows import Source
from .settings import PushSettings

R = TypeVar("R")
V = TypeVar("V")

NOWHERE = "none"
"""The journal's word for references that do not travel."""


@frozen(kw_only=True)
class JournaledOperation(Generic[V, R]):
    """What pushes, lookups and journals need to know of one operation.

    Attributes:
        requestor: makes the calls.
        name: the operation's name.
        place: where references travel, in the journal's words: the wire name of a text, ``"field
            object.field"``, or ``"none"``.
        read: a row of a source as the value that is sent; raises ``InvalidInputError``.
        pack: the value as bytes, always the same for the same content.
        unpack: the bytes as the value.
        mark: the value with a reference in it; raises ``InvalidInputError`` where its place is
            taken.
        send: sends a value through a requestor, and gives what the service answered.
        lookup: how rows are found in the helpdesk.
        texts_of: title and text of a packed value, where lists are compared with them.
        clues_of: what else a ticket may share with a packed value.
        day_of: the day of a moment, where the service lists by day.
        trial: a value for a trial ticket: its traits, and the packed value of a row it is for.
        answers: what answers repeat of their rows, if anything.
    """

    requestor: ApiRequestor
    name: str
    place: str
    read: Callable[[Any], V]
    pack: Callable[[V], bytes]
    unpack: Callable[[bytes], V]
    mark: Callable[[V, str], V]
    send: Callable[[ApiRequestor, V], Awaitable[R]]
    lookup: ListTickets | AskRows
    texts_of: Callable[[bytes], tuple[str | None, str | None]] | None = None
    clues_of: CluesOf | None = None
    day_of: Callable[[float], object] | None = None
    trial: Callable[[int, bytes | None], V] | None = None
    answers: AnswerRule | None = None

    def push(self, source: Source[Any], settings: PushSettings) -> Push[R]:
        """A push, not yet running.

        Args:
            source: the rows.
            settings: its journal, what identifies rows, its limits.

        Raises:
            InvalidInputError: the source is no iterable.
        """
        requestor, read, send = self.requestor, self.read, self.send
        transport, timeout = requestor.transport, requestor.options.timeout
        once = requestor.with_retry(NO_RETRY)  # what comes next is the push's decision
        journal = settings.journal

        def send_row(row: Any) -> Awaitable[R]:
            return send(once, read(row))

        codec = None
        if journal is not None:
            keys = "key" if settings.keys is None and settings.key is not None else settings.keys
            codec = self._codec(keys, settings.payloads, longest_call(timeout.total))
        return Push(
            source,
            send_row if journal is None else partial(send, once),
            settings,
            service=transport.settings.service,
            operation=self.name,
            retry=requestor.options.retry,
            max_concurrency=transport.settings.max_connections,
            codec=codec,
            methods=None if self.place == NOWHERE else self._methods(),
            rule=self.answers,
            drop_connections=transport.drop_connections,
        )

    async def reconcile(
        self,
        journal: str | os.PathLike[str],
        *,
        settle: float | None,
        assume_complete: bool,
        on_event: ReconcileObserver | None,
        probe: bool = False,
    ) -> Reconciliation:
        """Look up the doubts of a journal.

        Args:
            journal: the file.
            settle, assume_complete, on_event, probe: as the resources have them.

        Raises:
            InvalidInputError: a setting is wrong, or a trial ticket would prove nothing.
            JournalError: the journal cannot be used, or is for another push.
            HelpdeskError: a lookup failed.
        """
        stored = await self.stored_job(
            journal, settle, on_event, assume_complete=assume_complete, probe=probe
        )
        if probe and (self.trial is None or self.place == NOWHERE):
            what = self.name if self.trial is None else "rows without a reference"
            raise InvalidInputError(f"a trial ticket proves nothing about {what}")
        opened = await self._open(journal, stored, "reconcile")
        try:
            return await reconcile(
                opened,
                self._methods(),
                settle=settle,
                longest=self.requestor.options.timeout.total,
                assume_complete=assume_complete,
                trial=self._make_trial if probe else None,
                on_event=on_event,
            )
        finally:
            await opened.aclose()

    async def verify(
        self,
        journal: str | os.PathLike[str],
        *,
        settle: float | None,
        on_event: VerifyObserver | None,
    ) -> Verification:
        """Check every row of a journal against the helpdesk.

        Args:
            journal: the file.
            settle, on_event: as the resources have them.

        Raises:
            InvalidInputError: a setting is wrong.
            JournalError: the journal cannot be used, or is for another push.
            HelpdeskError: the lookup failed.
        """
        stored = await self.stored_job(journal, settle, on_event)
        opened = await self._open(journal, stored, "verify")
        try:
            return await verify(
                opened,
                self.lookup,
                settle=settle,
                longest=self.requestor.options.timeout.total,
                day_of=self.day_of,
                on_event=on_event,
            )
        finally:
            await opened.aclose()

    async def doctor(self, trial: V, *, patience: float) -> Diagnosis:
        """Create a trial ticket, and see whether its reference comes back.

        Args:
            trial: the ticket, as it is sent.
            patience: the most seconds to wait for the reference.

        Raises:
            InvalidInputError: the push sends no references, or a setting is wrong.
            HelpdeskError: the ticket was not created, or that is in doubt.
        """
        if self.place == NOWHERE or isinstance(self.lookup, AskRows):
            raise InvalidInputError("without a reference, nothing can be looked up")
        check_seconds("patience", patience)
        return await examine(
            lambda reference: self._create(trial, reference), self.lookup, patience=patience
        )

    async def stored_job(
        self,
        journal: str | os.PathLike[str],
        settle: float | None,
        on_event: object,
        **flags: bool,
    ) -> Job:
        """What a journal is for. The settings of a lookup are checked before anything is opened.

        Raises:
            InvalidInputError: a setting is wrong.
            JournalError: there is no journal, or it cannot be read.
        """
        for name, value in flags.items():
            check_flag(name, value)
        check_callable("on_event", on_event)
        settle_time(settle, self.requestor.options.timeout.total)
        return await asyncio.to_thread(job_at, journal)

    @property
    def _in_text(self) -> bool:
        """Whether a reference is a line at the end of a text."""
        return self.place != NOWHERE and not self.place.startswith("field ")

    def _job(
        self, keys: str | None = None, payloads: bool = True, longest: float | None = None
    ) -> Job:
        settings = self.requestor.transport.settings
        return Job(
            service=settings.service,
            operation=self.name,
            target=str(settings.base_url),
            place=self.place,
            keys=keys,
            payloads=payloads,
            longest_call=longest,
        )

    def _codec(self, keys: str | None, payloads: bool, longest: float | None) -> RowCodec[V]:
        in_field = self.place.startswith("field ")
        return RowCodec(
            job=self._job(keys, payloads, longest),
            ready=self._markable if in_field else self.read,
            pack=self.pack,
            unpack=self.unpack,
            mark=self.mark,
        )

    def _markable(self, row: Any) -> V:
        value = self.read(row)
        self.mark(value, "")  # refused now, before the journal has it as one that can be sent
        return value

    def _methods(self) -> LookupMethods:
        return LookupMethods(
            look=self.lookup,
            content_of=self._content_of if self.place == NOWHERE and self.texts_of else None,
            beginning_of=self._beginning_of if self._in_text and self.texts_of else None,
            clues_of=self.clues_of,
            day_of=self.day_of,
        )

    def _beginning_of(self, payload: bytes) -> tuple[str, str]:
        assert self.texts_of is not None
        return beginning(*self.texts_of(payload))

    def _content_of(self, payload: bytes) -> str:
        assert self.texts_of is not None
        return content_of(*self.texts_of(payload))

    async def _make_trial(self, reference: str, traits: int, like: bytes | None) -> str | None:
        assert self.trial is not None
        return await self._create(self.trial(traits, like), reference)

    async def _create(self, value: V, reference: str) -> str | None:
        answer = await self.send(self.requestor, self.mark(value, reference))
        return None if self.answers is None else self.answers.id_of(answer)

    async def _open(self, journal: str | os.PathLike[str], stored: Job, method: str) -> Journal:
        """Open the journal for a lookup, unless it is another operation's."""
        if stored.operation != self.name:
            raise JournalError(
                f"the journal {os.fspath(journal)!r} is for {stored.operation}, not for "
                f"{self.name}",
                next_step=f"Use the {method} method of the resource that pushed it.",
            )
        opened = await Journal.open(journal, job=self._job(), create=False)
        try:
            await opened.call(lambda session: session.claim_reconciler())
        except BaseException:
            await opened.aclose()
            raise
        return opened


class JournaledResource:
    """Base of the resources that push."""

    async def resolve(
        self,
        journal: str | os.PathLike[str],
        key: str | None = None,
        *,
        line: int | None = None,
        present: str | None = None,
        absent: bool = False,
    ) -> Resolved:
        """Record by hand what happened to a row that no lookup could resolve.

        For rows that are ambiguous, probable or unconfirmed. No request is made: the journal
        records it as your word.

        Args:
            journal: the file, of any push of this client.
            key: the row's key.
            line: the row's line in its file, for a row without a key.
            present: the row is in the helpdesk, under this id; it is never sent again.
            absent: the row is not in the helpdesk and will not arrive late; the next push sends
                it.

        Returns:
            The row.

        Raises:
            InvalidInputError: neither the row nor its state is clear from the arguments, or the
                row is not in doubt. Nothing was written.
            JournalError: the journal cannot be used.
        """
        return await resolve(journal, key, line=line, present=present, absent=absent)


def read_row(row: Any, cls: type[V], build: Callable[[Mapping[str, Any]], V], name: str) -> V:
    """A row of a push as a value.

    Args:
        row: the row, as the source gave it.
        cls: the class of values; such a row is given back.
        build: makes a value of a mapping.
        name: what a row may be beside a mapping, for the error.

    Raises:
        InvalidInputError: it is neither, or makes no value.
    """
    if isinstance(row, cls):
        return row
    if not isinstance(row, Mapping):
        raise InvalidInputError(f"a row must be a {name} or a mapping, not {type(row).__name__}")
    return build_row(row, build)


def build_row(row: Mapping[str, Any], build: Callable[[Mapping[str, Any]], V]) -> V:
    """The value that a mapping makes; whatever the mapping itself raises is refused.

    Raises:
        InvalidInputError: it makes none.
    """
    try:
        return build(row)
    except InvalidInputError:
        raise
    except Exception as error:  # a caller's mapping may raise anything
        raise InvalidInputError(f"the row cannot be read ({type(error).__name__})") from None


def content_of(title: str | None, text: str | None) -> str:
    """What is compared where references do not travel. White space may change on the way."""
    return "\n".join(" ".join((part or "").split()) for part in (title, text))
