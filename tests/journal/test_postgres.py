"""What only a journal in PostgreSQL can do, or can suffer: several runs, leases, lost commits."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from kapture_async import JournalError
from kapture_async._core.journal.address import (
    Address,
    MaskedURL,
    exists,
    next_job,
    put_source,
    stem_of,
    with_job,
)
from kapture_async._core.journal.postgres import lease as lease_module
from kapture_async._core.journal.postgres.late import Past, Placed, place
from kapture_async._core.journal.postgres.lease import Lease
from kapture_async._core.journal.postgres.storage import PostgresStorage
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import Counts, Decision, Identity, State

from ..driven import Driven
from ..postgres import PASSWORD, PostgresServer
from .conftest import JOB

MakeRow = Callable[..., Identity]


class Runs:
    """Runs of one job at a time, as processes are; and the database behind them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.open: list[Driven] = []

    def __call__(self) -> Driven:
        self.open.append(Driven(self.url, job=JOB))
        return self.open[-1]

    def sql(self, statement: str) -> list[Any]:
        address = Address.of(self.url)
        password = "" if address.password is None else address.password.reveal()
        with psycopg.connect(address.url, password=password, autocommit=True) as connection:
            connection.execute(f'SET search_path TO "{address.schema}"')
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def end_lease(self, run: Driven) -> None:
        """As if it had not been renewed for long."""
        self.sql(f"UPDATE runs SET lease_until = 0 WHERE run = {storage_of(run)._run}")


@pytest.fixture
def runs(postgres: str) -> Iterator[Runs]:
    runs = Runs(postgres)
    yield runs
    for run in runs.open:
        run.close()


def storage_of(run: Driven) -> PostgresStorage:
    storage = run.journal._thread.storage
    assert isinstance(storage, PostgresStorage)
    return storage


def hears_late(run: Driven, taken: Decision, kind: str, **more: Any) -> None:
    """A result comes to a run that is over: it is written down, and the run may do nothing else."""
    with pytest.raises(JournalError, match="the lease of this run is over"):
        run.settle(taken, kind, **more)


def counts(url: str) -> Counts:
    with ReadJournal.open_to_read(url) as reader:
        return reader.counts()


# --- several runs ------------------------------------------------------------------------------


def test_who_is_second_learns_where_the_row_is(runs: Runs, row: MakeRow) -> None:
    one, two = runs(), runs()
    taken = one.take(row("a"))
    assert [taken.action, two.take(row("a")).action] == ["send", "elsewhere"]
    one.settle(taken, "accepted", ticket_id="7")
    again = two.take_again(taken.row)
    assert (again.action, again.ticket_id) == ("done", "7")


def test_a_further_attempt_is_begun_by_one(runs: Runs, row: MakeRow) -> None:
    one, two = runs(), runs()
    taken = one.take(row("a"))
    one.settle(taken, "not_sent")
    # Both have looked at the row before either writes.
    looked = storage_of(two)._known
    answers: list[str] = []

    def slowly(condition: str, value: Any) -> Any:
        found = looked(condition, value)
        if not answers:
            answers.append(one.take_again(taken.row).action)
        return found

    storage_of(two)._known = slowly  # type: ignore[method-assign]
    assert two.take_again(taken.row).action == "elsewhere"
    assert answers == ["send"]


def test_an_ended_lease_leaves_doubts_and_a_late_result_is_heard(runs: Runs, row: MakeRow) -> None:
    one = runs()
    taken, other = one.take_many([(row("a"), b"x"), (row("b"), b"x")])
    runs.end_lease(one)
    two = runs()
    assert [two.take(row("a")).action, two.take(row("b")).action] == ["doubt", "doubt"]
    with pytest.raises(JournalError, match="the lease of this run is over"):
        one.take(row("c"))
    assert not one.journal.may_send()
    hears_late(one, taken, "accepted", ticket_id="7")
    hears_late(one, other, "not_sent")
    assert two.take_again(taken.row).action == "done"
    assert two.take_again(other.row).attempt == 2


def test_two_accepted_attempts_are_said_loudly(
    runs: Runs, row: MakeRow, caplog: pytest.LogCaptureFixture
) -> None:
    one = runs()
    taken = one.take(row("a"))
    runs.end_lease(one)
    two = runs()
    two.verdict(taken.row, "absent")
    again = two.take_again(taken.row)
    assert again.attempt == 2
    with caplog.at_level(logging.ERROR):
        # It slept between its check and the bytes.
        hears_late(one, taken, "accepted", ticket_id="7")
        assert counts(runs.url).unknown == 1  # the later one is under way
        two.settle(again, "accepted", ticket_id="8")
    assert counts(runs.url) == Counts(ambiguous=1)
    with ReadJournal.open_to_read(runs.url) as reader:
        (found,) = reader.contradictions()
    assert (found.kind, found.key, found.ticket_ids) == ("twice", "a", ("7", "8"))
    assert "two attempts were both accepted" in caplog.text


def test_one_reconciler(runs: Runs, row: MakeRow) -> None:
    one, two = runs(), runs()
    one.call(lambda session: session.claim_reconciler())
    with pytest.raises(JournalError, match="another process is reconciling"):
        two.call(lambda session: session.claim_reconciler())
    runs.end_lease(one)
    two.call(lambda session: session.claim_reconciler())


def test_no_verdict_on_what_another_run_has_under_way(runs: Runs, row: MakeRow) -> None:
    one, two = runs(), runs()
    taken = one.take(row("a"))
    assert two.doubts() == []
    with pytest.raises(JournalError, match="not in doubt"):
        two.verdict(taken.row, "absent")
    with ReadJournal.open_to_read(runs.url) as reader:
        assert [owner.is_this_process for owner in reader.writers()] == [True, True]


ACCEPTED, ABSENT, PRESENT = (2, "accepted", 2, "8"), (1, "absent", 1, None), (1, "present", 1, "7")


@pytest.mark.parametrize(
    ("past", "kind", "placed"),
    [
        ([(1, "unknown", 1, None)], "accepted", Placed(True)),
        ([(1, "unknown", 1, None)], "not_sent", Placed(True)),
        ([ABSENT], "accepted", Placed(True)),
        ([ABSENT], "unknown", Placed(True)),
        ([PRESENT], "accepted", Placed(True)),
        ([PRESENT], "rejected", Placed(False)),
        ([ABSENT, (3, "intent", 2, None)], "accepted", Placed(False)),
        ([ABSENT, (3, "intent", 2, None)], "not_sent", Placed(False)),
        ([ABSENT, (3, "not_sent", 2, None)], "accepted", Placed(True)),
        ([ABSENT, ACCEPTED], "accepted", Placed(True, "ambiguous", ("7", "8"))),
        ([ABSENT, ACCEPTED], "unknown", Placed(False, "ambiguous")),
        ([ABSENT, ACCEPTED], "not_sent", Placed(False)),
        ([(2, "ambiguous", 1, None)], "accepted", Placed(False)),
    ],
)
def test_where_a_late_result_stands(past: list[Any], kind: str, placed: Placed) -> None:
    """Of the first attempt, whose ticket is 7."""
    said = [Past(0, "intent", 1, None), *(Past(*one) for one in past)]
    assert place(said, kind, 1, "7" if kind == "accepted" else None) == placed


def test_an_attempt_that_left_nothing_hides_no_earlier_ticket() -> None:
    said = [Past(0, "intent", 1, None), Past(-3, "accepted", 1, "7"), Past(2, "intent", 2, None)]
    assert place(said, "rejected", 2, None) == Placed(False, "accepted")


# --- the lease ---------------------------------------------------------------------------------


def test_the_lease_is_counted_from_before_it_was_asked_for() -> None:
    now = 100.0
    lease = Lease(20.0, clock=lambda: now)
    assert not lease.may_send()
    asked = lease.ask()
    now += 5.0  # the database took its time
    lease.renewed(asked, 1_000_000.0)
    assert lease.may_send()
    assert lease.now() == 1_000_005.0
    now = 100.0 + lease_module.SPARE - 0.001
    assert lease.may_send()
    now += 0.001  # a call that begins now might outlive it
    assert not lease.may_send()
    lease.renewed(lease.ask(), 1_000_100.0)
    assert lease.may_send()
    lease.over = True
    assert not lease.may_send()


# --- lost connections --------------------------------------------------------------------------


def test_a_commit_in_doubt_is_made_once(
    runs: Runs, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost right after, or right before, the commit: nobody can tell."""
    run = runs()
    storage, insert = storage_of(run), PostgresStorage._insert
    lose = {"after", "before"}

    def losing(self: PostgresStorage, *args: Any) -> Any:
        if "before" in lose:
            lose.discard("before")
            self._connection.close()
        found = insert(self, *args)
        if "after" in lose:
            lose.discard("after")
            self._connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return found

    monkeypatch.setattr(PostgresStorage, "_insert", losing)
    taken = run.take_many([(row("a"), b"x"), (row("b"), b"x")])
    assert [one.action for one in taken] == ["send", "send"]
    assert not lose
    assert storage._batch == 1
    assert runs.sql(f"SELECT count(*) FROM facts WHERE run = {storage._run}") == [(2,)]


def test_a_call_whose_connection_is_lost_is_made_again(runs: Runs, row: MakeRow) -> None:
    run = runs()
    taken = run.take(row("a"))
    run.settle(taken, "unknown")
    tried: list[int] = []

    def look(session: Any) -> None:
        tried.append(1)
        session.verdict(taken.row, "missing", 1.0)
        session.flush()
        if len(tried) == 1:
            storage_of(run)._connection.close()
            storage_of(run)._execute("SELECT 1")

    run.call(look)
    assert len(tried) == 2
    (doubt,) = run.doubts()
    assert doubt.absent_lookups == 1


def test_while_the_database_hangs_nothing_may_be_sent(
    runs: Runs, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs()
    run.take(row("a"))
    now = lease_module.boot_time()
    lease = storage_of(run).lease
    monkeypatch.setattr(lease, "_clock", lambda: now)
    lease.renewed(now, now)
    assert run.journal.may_send()
    now += lease_module.SPARE
    assert not run.journal.may_send()
    storage_of(run)._renew(storage_of(run)._execute)  # it is back, and nobody has noticed
    assert run.journal.may_send()


def test_a_process_that_is_stopped_in_a_transaction_holds_nobody_up(
    runs: Runs, row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = runs(), runs()
    entered, go = threading.Event(), threading.Event()

    def sleeps(session: Any) -> None:
        session.flush()
        entered.set()
        go.wait(20)

    one.journal.call_soon(sleeps)
    one.loop.call_later(0.3, one.loop.stop)
    one.loop.run_forever()
    assert entered.wait(10)
    ((timeout,),) = runs.sql("SELECT prosrc FROM pg_proc WHERE proname = 'begin_batch' LIMIT 1")
    assert "idle_in_transaction_session_timeout" in timeout
    assert two.take(row("a")).action == "send"  # of its own rows, nobody holds any
    go.set()


# --- where it is -------------------------------------------------------------------------------


def test_tables_of_another_version_are_refused(postgres_schema: str, row: MakeRow) -> None:
    runs = Runs(postgres_schema)
    assert not exists(postgres_schema)
    with pytest.raises(JournalError, match="there is no journal"):
        ReadJournal.open_to_read(postgres_schema)
    runs().close()
    assert exists(postgres_schema)
    for version, words in ((0, "an older version"), (9, "a newer version")):
        runs.sql(f"UPDATE journal_version SET version = {version}")
        for use in (runs, lambda: ReadJournal.open_to_read(postgres_schema)):
            with pytest.raises(JournalError, match=words):
                use()


def test_a_schema_of_something_else_is_left_alone(postgres_schema: str) -> None:
    runs = Runs(postgres_schema)
    schema = Address.of(postgres_schema).schema
    runs.sql(f'CREATE SCHEMA "{schema}"; CREATE TABLE "{schema}".rows (mine integer)')
    with pytest.raises(JournalError, match="holds tables that are not of a journal"):
        runs()
    assert runs.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'facts' AND schemaname = "
                    f"'{schema}'") == [(0,)]  # fmt: skip


def test_made_by_many_at_once(postgres_schema: str) -> None:
    found: list[Any] = []

    def make() -> None:
        try:
            storage = PostgresStorage.open(postgres_schema, job=JOB, create=True)
            found.append(storage.job.job_id)
            storage.end({})
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 6
    assert len(set(found)) == 1, found


def test_jobs_stand_beside_each_other(postgres_schema: str, row: MakeRow) -> None:
    july, august = (with_job(postgres_schema, name, None) for name in ("july", "august"))
    for where in (july, august):
        run = Driven(where, job=JOB)
        assert run.take(row("a")).action == "send"
        run.close()
    assert counts(july) == counts(august) == Counts(unknown=1)
    with pytest.raises(JournalError, match="several jobs: july, august"):
        ReadJournal.open_to_read(postgres_schema)
    with pytest.raises(JournalError, match="there is no job 'may'"):
        ReadJournal.open_to_read(with_job(postgres_schema, "may"))
    put_source(july, "words", at=time.time())
    with ReadJournal.open_to_read(july) as reader:
        assert reader.job.source == "words"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("postgresql://u:p%40ss@h:1/d", "postgresql://u@h:1/d"),
        ("postgres://u:p@h1,h2/d?job=x&sslmode=require", "postgresql://u@h1,h2/d?sslmode=require&job=x"),
        ("postgresql:///d?password=p&journal_schema=s", "postgresql:///d?journal_schema=s"),
        ("postgresql://h?user=u&sslpassword=p", "postgresql://h?user=u"),
    ],
)  # fmt: skip
def test_an_address_shows_no_password(url: str, text: str) -> None:
    address, masked = Address.of(url), MaskedURL.of(url)
    assert (address.text, masked) == (text, text)
    assert Address.of(masked).password == address.password
    for shown in (repr(address), repr(masked), str(masked), f"{masked}"):
        assert "p%40ss" not in shown
        assert "p@ss" not in shown


def test_names_that_come_of_an_address() -> None:
    url = "postgresql://u:p@h/d?job=august"
    assert stem_of(url) == "august"
    assert next_job(url) == "postgresql://u@h/d?job=august-2"
    with pytest.raises(JournalError, match="says job=august, and the options say may"):
        with_job(url, "may")


def test_the_password_is_nowhere(
    postgres_server: PostgresServer, logs: pytest.LogCaptureFixture, row: MakeRow
) -> None:
    wrong = "wr0ng-but-secret"
    bad = postgres_server.url().replace(PASSWORD, wrong)
    nowhere = f"postgresql://u:{wrong}@127.0.0.1:1/d"
    odd = f"postgresql://u:{wrong}@[::1/d?port=x"
    for where in (bad, nowhere, odd):
        for use in (lambda: Driven(where, job=JOB), lambda: ReadJournal.open_to_read(where)):  # noqa: B023
            with pytest.raises(JournalError) as caught:
                use()
            error: BaseException | None = caught.value
            while error is not None:
                told = traceback.TracebackException.from_exception(error, capture_locals=True)
                # The caller's own frames hold the URL that it gave.
                shown = [frame for frame in told.stack if "/psycopg" in frame.filename]
                assert shown == []
                assert wrong not in f"{error} {error!r}"
                error = error.__cause__ or error.__context__
    assert wrong not in logs.text
    with ReadJournal.open_to_read(_made(postgres_server, row)) as reader:
        assert PASSWORD not in f"{reader.path} {reader!r} {reader._storage!r} {vars(reader)}"
        assert reader.rows_in(State.ACCEPTED)


def _made(server: PostgresServer, row: MakeRow) -> str:
    url = server.url(job="secrecy")
    run = Driven(url, job=JOB)
    run.settle(run.take(row(f"a{time.time()}")), "accepted")
    run.close()
    return url
