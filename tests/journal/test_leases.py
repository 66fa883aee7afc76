"""Random lives of several runs with one journal in PostgreSQL, by a clock that the test moves.

Runs claim rows, send, are stopped for any time and continue, lose their leases, die, reconcile.
The helpdesk of the model executes what is sent when it is sent, or later; a lookup sees what is
there. A row may be there twice only if a run was held up between its check and the bytes; then it
ends as ambiguous, never in silence. `JOURNAL_LIVES=2000 pytest tests/journal/test_leases.py` for a
long run.
"""

from __future__ import annotations

import os
import secrets
from typing import Any, ClassVar

import psycopg
import pytest
from attrs import define, field
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from kapture_async import JournalError
from kapture_async._core.journal.address import Address
from kapture_async._core.journal.postgres.lease import SPARE, Lease
from kapture_async._core.journal.postgres.storage import PostgresStorage
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Identity, State
from kapture_async._core.journal.reference import digest_of

from ..driven import Driven
from ..postgres import PostgresServer
from .conftest import JOB

CALL = 2.0
LEASE = CALL + SPARE
KEYS = "ab"


@define
class Attempt:
    """What a run has under way."""

    key: str
    row: int
    number: int
    sent: bool = False
    checked: bool = False
    """It has passed the check, and the bytes are not out: here a process may be stopped."""
    fair: bool = False
    """It passed while the lease was long enough."""
    ticket: str | None = None


@define
class Process:
    """A process with a run of its own."""

    driven: Driven
    asleep: bool = False
    over: bool = False
    attempts: list[Attempt] = field(factory=list)


def may_send(process: Process, now: float) -> bool:
    """The rule itself, as the model has it: the lease is longer than a call."""
    storage = process.driven.journal._thread.storage
    assert isinstance(storage, PostgresStorage)
    return now < storage.lease._send_until and not storage.lease.over


class Lives(RuleBasedStateMachine):
    """Several runs of one job."""

    server: ClassVar[PostgresServer]

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.url = self.server.url(job=f"lives_{secrets.token_hex(6)}")
        self.processes: list[Process] = []
        self.tickets: dict[str, list[str]] = {key: [] for key in KEYS}
        self.held_up: set[str] = set()
        """Keys of which bytes went out though the lease had ended since the check."""
        self.unheard: set[str] = set()
        """Keys of answers that nobody will ever hear: only a lookup can find their tickets."""
        address = Address.of(self.url)
        assert address.password is not None
        self.connection = psycopg.connect(
            address.url, password=address.password.reveal(), autocommit=True
        )
        self.execute(f"SET search_path TO {address.schema}")

    def execute(self, statement: str) -> list[Any]:
        cursor = self.connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def teardown(self) -> None:
        for process in self.processes:
            process.driven.close()
        self.connection.close()

    # --- time: leases by the model's clock, in the database and in each process

    def storage(self, process: Process) -> PostgresStorage:
        storage = process.driven.journal._thread.storage
        assert isinstance(storage, PostgresStorage)
        return storage

    def awake(self) -> list[Process]:
        return [process for process in self.processes if not process.asleep]

    def expire(self) -> None:
        """The database's clock is the model's: a lease that is over there is long over."""
        for process in self.processes:
            storage = self.storage(process)
            if storage.lease._send_until + CALL <= self.now:
                self.execute(f"UPDATE runs SET lease_until = 0 WHERE run = {storage._run}")

    @rule(seconds=st.sampled_from([1.0, SPARE, LEASE, 10 * LEASE]), hangs=st.booleans())
    def time_passes(self, seconds: float, hangs: bool) -> None:
        """Those that are awake renew their leases meanwhile, unless the database hangs."""
        self.now += seconds
        if not hangs:
            for process in self.awake():
                process.over |= not self.storage(process)._renew(self.storage(process)._execute)
        self.expire()
        if not hangs:  # as each run sees to with every renewal
            for process in self.awake():
                storage = self.storage(process)
                values = [storage._number, self.now, "its lease ended"]
                storage._execute("SELECT {s}.end_leases(%s, %s, %s)", values)

    # --- processes

    @initialize()
    def two_start(self) -> None:
        self.starts()
        self.starts()

    @rule()
    def starts(self) -> None:
        if len(self.processes) < 3:
            driven = Driven(self.url, job=JOB.__class__(**{**_fields(), "longest_call": CALL}))
            process = Process(driven)
            self.processes.append(process)
            storage = self.storage(process)
            storage.tick = lambda kinds: None  # type: ignore[method-assign] # time is the model's
            storage.lease._clock = lambda: self.now
            storage.lease.renewed(self.now, self.now)

    @rule(data=st.data(), sent=st.booleans(), executed=st.booleans())
    def is_stopped(self, data: st.DataObject, sent: bool, executed: bool) -> None:
        """Most often with something under way: just behind its check, or with its bytes out."""
        if not self.awake():
            return
        process = data.draw(st.sampled_from(self.awake()))
        for attempt in process.attempts:
            self.check(process, attempt)
            if sent and attempt.checked and not attempt.sent:
                self.send(process, attempt, executed)
        process.asleep = True

    @rule(data=st.data(), renewed=st.booleans(), sends=st.booleans(), heard=st.booleans())
    def continues(self, data: st.DataObject, renewed: bool, sends: bool, heard: bool) -> None:
        """And goes on with what it had under way, before or after its lease is looked at."""
        asleep = [process for process in self.processes if process.asleep]
        if not asleep:
            return
        process = data.draw(st.sampled_from(asleep))
        process.asleep = False
        if renewed:
            process.over |= not self.storage(process)._renew(self.storage(process)._execute)
        for attempt in list(process.attempts):
            if not attempt.sent and sends:
                if attempt.checked or self.check(process, attempt):
                    self.send(process, attempt, executed=True)
                else:
                    self.ends(process, attempt, "not_sent")
            elif attempt.sent and heard:
                self.hear(process, attempt)

    @rule(data=st.data(), sent=st.booleans())
    def takes_over(self, data: st.DataObject, sent: bool) -> None:
        """The lease of a sleeper ends, and another looks after its rows."""
        asleep = [process for process in self.processes if process.asleep]
        if not (asleep and self.awake()):
            return
        sleeper = data.draw(st.sampled_from(asleep))
        other = data.draw(st.sampled_from(self.awake()))
        self.time_passes(LEASE, hangs=False)
        self.reconcile(other)
        for key in {attempt.key for attempt in sleeper.attempts}:
            self.take(other, key)
        for attempt in other.attempts:
            self.check(other, attempt)
            if sent and attempt.checked and not attempt.sent:
                self.send(other, attempt, executed=True)

    @rule(data=st.data())
    def is_killed(self, data: st.DataObject) -> None:
        if not self.processes:
            return
        process = data.draw(st.sampled_from(self.processes))
        self.processes.remove(process)
        self.unheard |= {attempt.key for attempt in process.attempts if attempt.sent}
        storage = self.storage(process)
        storage._connection.close()
        storage.broken = JournalError("killed")
        process.driven.close()
        # Its lease ends some time.
        self.execute(f"UPDATE runs SET lease_until = 0 WHERE run = {storage._run}")

    # --- rows

    @rule(data=st.data(), key=st.sampled_from(KEYS))
    def takes(self, data: st.DataObject, key: str) -> None:
        if not self.awake():
            return
        self.take(data.draw(st.sampled_from(self.awake())), key)

    def take(self, process: Process, key: str) -> None:
        if any(attempt.key == key for attempt in process.attempts):
            return
        try:
            row = self.rows().get(key)
            if row is None:
                taken = process.driven.take(Identity(key, digest_of(b"x"), None), b"x")
            else:
                taken = process.driven.take_again(row)
        except JournalError:
            process.over = True
            return
        assert not process.over, "a run that is over began something"
        if taken.action == "send":
            process.attempts.append(Attempt(key, taken.row, taken.attempt))

    def choose(self, data: st.DataObject, *, sent: bool) -> tuple[Process, Attempt] | None:
        found = [
            (process, attempt)
            for process in self.awake()
            for attempt in process.attempts
            if attempt.sent == sent
        ]
        if not found:
            return None
        return found[data.draw(st.integers(0, len(found) - 1))]

    @rule(data=st.data())
    def checks(self, data: st.DataObject) -> None:
        """Asks whether it may send, and is about to write the bytes."""
        chosen = self.choose(data, sent=False)
        if chosen is not None:
            process, attempt = chosen
            if not self.check(process, attempt) and not attempt.checked:
                self.ends(process, attempt, "not_sent")

    @rule(data=st.data(), executed=st.booleans())
    def sends(self, data: st.DataObject, executed: bool) -> None:
        chosen = self.choose(data, sent=False)
        if chosen is None or not chosen[1].checked:
            return
        self.send(*chosen, executed=executed)

    def check(self, process: Process, attempt: Attempt) -> bool:
        permitted = process.driven.journal.may_send()
        attempt.checked |= permitted
        attempt.fair |= permitted and may_send(process, self.now)
        return permitted

    def send(self, process: Process, attempt: Attempt, executed: bool) -> None:
        if attempt.fair and not may_send(process, self.now):
            self.held_up.add(attempt.key)  # it was stopped just behind its check
        attempt.sent = True
        if executed:
            attempt.ticket = f"{attempt.key}{len(self.tickets[attempt.key])}"
            self.tickets[attempt.key].append(attempt.ticket)

    @rule(data=st.data(), heard=st.booleans())
    def hears(self, data: st.DataObject, heard: bool) -> None:
        chosen = self.choose(data, sent=True)
        if chosen is None:
            return
        if heard:
            self.hear(*chosen)
        else:
            self.ends(*chosen, "unknown")

    def hear(self, process: Process, attempt: Attempt) -> None:
        if attempt.ticket is not None:
            self.ends(process, attempt, "accepted", ticket_id=attempt.ticket)
        else:
            self.ends(process, attempt, "rejected", error="RateLimitedError")

    def ends(self, process: Process, attempt: Attempt, kind: str, **more: Any) -> None:
        process.attempts.remove(attempt)
        try:
            process.driven.end(attempt.row, attempt.number, kind, **more)
        except JournalError:
            process.over = True

    @rule(data=st.data())
    def reconciles(self, data: st.DataObject) -> None:
        """Looks doubts up, when whatever was sent before has settled."""
        if not self.awake():
            return
        self.reconcile(data.draw(st.sampled_from(self.awake())))

    def reconcile(self, process: Process) -> None:
        def look(session: Any) -> None:
            session.claim_reconciler()
            for doubt in list(session.doubts(State.UNKNOWN)):
                found = self.tickets[doubt.key]
                kind = ("absent", "present")[len(found)] if len(found) < 2 else "ambiguous"
                ticket_id = found[0] if kind == "present" else None
                session.verdict(doubt.row, kind, self.now, ticket_id=ticket_id)

        try:
            process.driven.call(look)
        except JournalError:
            return
        assert not process.over

    # --- what holds at any time

    def rows(self) -> dict[str, int]:
        job = "(SELECT job FROM job WHERE name = '" + self.url.rpartition("job=")[2] + "')"
        return dict(self.execute(f"SELECT key, row FROM rows WHERE job = {job}"))

    @invariant()
    def none_twice_in_silence(self) -> None:
        twice = {key for key, found in self.tickets.items() if len(found) > 1}
        assert twice <= self.held_up, "sent twice"
        if not self.processes:
            return
        with ReadJournal.open_to_read(self.url) as reader:
            views = {view.key: view for view in reader.rows_in(*State)}
        under_way = {a.key for process in self.processes for a in process.attempts}
        for key, found in self.tickets.items():
            if key in self.held_up or key in under_way:
                continue
            state = views[key].state if key in views else State.NOT_SENT
            if found:
                assert state in {State.ACCEPTED, State.UNKNOWN, State.AMBIGUOUS}, (key, state)
            else:
                assert state is not State.ACCEPTED, key
        for key in twice - under_way - self.unheard:
            assert views[key].state in {State.AMBIGUOUS, State.UNKNOWN}, key


def _fields() -> dict[str, Any]:
    from attrs import asdict

    return asdict(JOB)


@pytest.fixture
def lives(postgres_server: PostgresServer) -> type[Lives]:
    Lives.server = postgres_server
    return Lives


def test_leases_and_sleepers(lives: type[Lives]) -> None:
    run_state_machine_as_test(
        lives,
        settings=settings(
            max_examples=int(os.environ.get("JOURNAL_LIVES", "5")),
            stateful_step_count=20,
            deadline=None,
            phases=[Phase.generate],  # each step asks a database: shrinking takes long
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("asked", [True, False])
def test_the_sleeper_that_the_model_is_about(
    lives: type[Lives], monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """It wakes when another has sent its row. Without the lease it would be sent twice."""
    if not asked:
        monkeypatch.setattr(Lease, "may_send", lambda lease: True)
    model = lives()
    try:
        model.starts()
        model.starts()
        one, two = model.processes
        model.take(one, "a")
        one.asleep = True
        model.time_passes(LEASE + 1.0, hangs=False)
        model.reconcile(two)
        model.take(two, "a")
        (late,), (early,) = one.attempts, two.attempts
        assert model.check(two, early)
        model.send(two, early, executed=True)
        one.asleep = False
        if asked:
            assert not model.check(one, late)
            model.ends(one, late, "not_sent")
            model.hear(two, early)
            model.none_twice_in_silence()
            return
        model.check(one, late)
        model.send(one, late, executed=True)
        with pytest.raises(AssertionError, match="sent twice"):
            model.none_twice_in_silence()
    finally:
        model.teardown()
