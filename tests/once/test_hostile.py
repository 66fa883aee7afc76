"""Everything at once: faults, lies, kills, restored copies, agents, and lists that hide tickets.

A process pushes and reconciles until nothing changes any more; it is killed again and again, older
copies of its journal are put back, agents change tickets before anybody looks, and the helpdesk's
lists are short, shuffled or cut at times. Then ``verify`` looks once, by true lists. The ledger
judges: whatever the journal is wrong about has to be a doubt or a finding that it lists.

``ONCE_SEEDS=1-10 ONCE_ROWS=5000 ONCE_KILLS=20 ONCE_SECONDS=600 pytest -s`` is the long run.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest
from attrs import define, field

from kapture_async import KaptureClient, Timeout
from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import DOUBTS, State
from kapture_async._core.reconcile import reconcile
from kapture_async._core.reconcile.doctor import TITLE as TRIAL
from kapture_async.testing import BEHIND, LIES, Fault, FaultPlan, KaptureEmulator, Ledger, Lists

from ..weather import HASTY
from .judge import NOT_THERE, rows_in, tickets_in
from .test_kills import Pusher, until_done

ROWS = int(os.environ.get("ONCE_ROWS", "120"))
KILLS = int(os.environ.get("ONCE_KILLS", "5"))
SECONDS = float(os.environ.get("ONCE_SECONDS", "110"))
FAULTS, BEHINDS, TOUCHED = 0.1, 0.01, 0.03


def seeds() -> Sequence[int]:
    """``ONCE_SEEDS=3`` or ``1-10``."""
    first, _, last = os.environ.get("ONCE_SEEDS", "1").partition("-")
    return range(int(first), int(last or first) + 1)


def of_lists(count: int) -> Sequence[Lists | None]:
    """What lists are like at times."""
    return (
        None,
        Lists(share=0.5, order="shuffled"),
        Lists(share=0.5, cap=max(1, count // 3), counted=True),
        Lists(share=0.5, cap=max(1, count // 2), order="newest first", counted=False),
        Lists(share=0.5, left_out=0.1, counted=True),
        Lists(share=0.5, left_out=0.1, order="shuffled", counted=False),
        Lists(cut_at_emoji=True),
        Lists(text_length=1000, escapes=1),
        Lists(delay=0.5),
        Lists(zone=0.0),
    )


class Hostile(FaultPlan):
    """Writes suffer everything, reads what networks do; both as often."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._dice = random.Random(seed)

    def next(self, operation: str) -> Fault | None:
        luck, write = self._dice.random(), operation == "tickets.add"
        if luck < FAULTS:
            return self._dice.choice([*HASTY, *LIES] if write else HASTY)
        return self._dice.choice(BEHIND) if write and luck < FAULTS + BEHINDS else None


@define
class Copies:
    """Copies of a journal: set aside after some kills, and put back after others."""

    journal: Path
    takes: Sequence[int]
    puts: Sequence[int]
    restored: int = 0

    def after_kill(self, number: int) -> None:
        if number in self.takes:
            self._copy(self.journal, self._aside)
        elif number in self.puts:
            self.put_back()

    def put_back(self) -> None:
        if not self._aside.exists():
            self._copy(self.journal, self._aside)
        self._copy(self._aside, self.journal)
        self.restored += 1

    @property
    def _aside(self) -> Path:
        return self.journal.with_name("aside")

    @staticmethod
    def _copy(one: Path, other: Path) -> None:
        for end in ("", "-wal", "-shm"):
            Path(f"{other}{end}").unlink(missing_ok=True)
            if Path(f"{one}{end}").exists():
                shutil.copy(f"{one}{end}", f"{other}{end}")


@define
class Verdict:
    """What the journal is wrong about, and of that, what nothing tells."""

    states: Counter[str] = field(factory=Counter)
    results: Counter[str] = field(factory=Counter)
    lost: list[str] = field(factory=list)
    """Accepted, and never executed."""
    unsaid: list[str] = field(factory=list)
    """Rejected, not sent or absent, and executed."""
    twice: list[str] = field(factory=list)
    """Executed two times."""
    sent_twice: list[str] = field(factory=list)
    """Of those, what the service did not do by itself."""
    misread: list[str] = field(factory=list)
    """What the verification says is there and is not, or the reverse."""
    hidden: int = 0
    """What it misses, and agents have changed so that nothing of the row is left."""
    silent: list[str] = field(factory=list)
    """Of all these, what is neither a doubt nor a finding."""


def executed(ledger: Ledger) -> Mapping[str, list[int]]:
    """Of each reference, the numbers of its executions. The fault ``twice`` makes two in a row."""
    found: dict[str, list[int]] = {}
    for number, ticket in enumerate(tickets_in(ledger)):
        if ticket.title != TRIAL:
            assert ticket.reference is not None, ticket
            found.setdefault(ticket.reference, []).append(number)
    return found


def held_against(
    journal: Path, ledger: Ledger, results: Mapping[str, str], unexplained: Collection[str] = ()
) -> Verdict:
    """The rows of a journal, and what a verification said of them, against the ledger.

    Args:
        journal: as it is after the verification.
        ledger: the truth.
        results: by reference.
        unexplained: tickets that it names because no row explains them, and tickets that are
            gone without a trace, which nothing can know.
    """
    made, verdict = executed(ledger), Verdict(results=Counter(results.values()))
    ids = [ticket.ticket_id for ticket in tickets_in(ledger)]
    with ReadJournal.open_to_read(journal) as reader:
        findings = {one.reference for one in reader.contradictions()}
    rows = rows_in(journal)
    assert set(made) <= {row.reference for row in rows}, "sent and not in the journal"
    for row in rows:
        verdict.states[row.state.value] += 1
        numbers = made.get(row.reference, [])
        name = f"{row.key or row.row} {row.state.value}, {results.get(row.reference)}: {numbers}"
        told = row.state in DOUBTS or row.reference in findings
        told |= results.get(row.reference) in {"missing", "twice", "contradicted", "not_seen"}
        told |= len(numbers) > 1 and any(ids[number] in unexplained for number in numbers)
        wrong = False
        if row.state is State.ACCEPTED and not numbers:
            verdict.lost.append(name)
            wrong = True
        if row.state in NOT_THERE and numbers:
            verdict.unsaid.append(name)
            wrong = True
        if len(numbers) > 1:
            verdict.twice.append(name)
            wrong = True
            if len(numbers) > 2 or numbers[1] != numbers[0] + 1:
                verdict.sent_twice.append(name)
        said = results.get(row.reference)
        if (said == "absent" and numbers) or (said in {"present", "twice"} and not numbers):
            verdict.misread.append(name)
        if said == "missing" and numbers:
            verdict.hidden += 1
        if wrong and not told:
            verdict.silent.append(name)
    return verdict


@pytest.mark.parametrize("seed", seeds())
async def test_whatever_is_wrong_is_said(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, began = random.Random(seed), time.monotonic()
    with KaptureEmulator(faults=Hostile(seed)).in_thread() as emulator:
        pusher = Pusher("", emulator, tmp_path, ROWS, program="stubborn.py")
        copies = Copies(
            pusher.journal, (KILLS // 5, KILLS * 3 // 5), (KILLS * 2 // 5, KILLS * 4 // 5)
        )
        touched = Counter[str]()

        def somebody_else() -> None:
            """Makes a ticket, as in every helpdesk that is alive."""
            ticket = emulator.ticket(
                emulator.seed(title="of somebody else", email_id="x@example.com")
            )
            assert ticket is not None
            ticket.updated = emulator.timestamp()  # the emulator's way to name another user

        def between(number: int) -> None:
            somebody_else()
            copies.after_kill(number)
            emulator.lists = dice.choice(of_lists(len(emulator.ledger)))
            done = emulator.agents_at_work(TOUCHED / KILLS, seed=dice.randrange(1000))
            touched.update(done.values())

        killed = until_done(
            pusher,
            emulator,
            KILLS,
            dice,
            ROWS * 9 // 10,
            between=between,
            seconds=SECONDS,
            restart=True,
        )
        somebody_else()
        # At last the helpdesk is kind, and what can be known is.
        emulator.faults, emulator.lists = FaultPlan(), None
        touched.update(emulator.agents_at_work(TOUCHED / 2, seed=seed).values())
        while True:
            if copies.restored < 2:  # it was done before it was killed so often
                copies.put_back()
            pusher.start()
            while pusher.running:
                assert time.monotonic() < began + SECONDS, "it does not end"
                time.sleep(0.02)
            assert pusher.kill() == 0
            if copies.restored == 2:
                break
        monkeypatch.setattr(reconcile, "SETTLE", 0.1)
        settle = max(1.0, ROWS / 1000)
        time.sleep(settle)
        async with KaptureClient(
            base_url=emulator.url, token=emulator.token, timeout=Timeout(total=settle / 2)
        ) as client:
            left = await client.tickets.reconcile(pusher.journal, settle=settle)
            found = await client.tickets.verify(pusher.journal, settle=settle)
        results = {row.reference: row.result for row in found.rows()}
        proved, said = found.proved, Counter(one.kind for one in found.contradictions)
        found.close()
        named = {
            *found.unexplained_ids,
            *(e.ticket_id for e in emulator.ledger if emulator.ticket(e.ticket_id) is None),
        }
        verdict = held_against(pusher.journal, emulator.ledger, results, named)
        print(
            f"\nseed {seed}: {ROWS:,} rows, {emulator.faulted.total():,} faults, {killed} kills,"
            f" {copies.restored} restored, agents {touched.total()},"
            f" {time.monotonic() - began:.0f} s; ledger {len(emulator.ledger):,}\n"
            f"  states {dict(verdict.states)}\n  verify {dict(verdict.results)},"
            f" proved {proved:.2%}, findings {dict(said)}\n"
            f"  accepted and not there {len(verdict.lost)}, not there by the journal and executed"
            f" {len(verdict.unsaid)}, executed twice {len(verdict.twice)} (sent twice"
            f" {len(verdict.sent_twice)}), silent {len(verdict.silent)},"
            f" misread {len(verdict.misread)}, missed and there {verdict.hidden}\n"
            f"  open {left.reasons}"
        )
        for name in verdict.silent + verdict.sent_twice + verdict.misread:
            print("  !", name)
        assert verdict.states.total() == ROWS
        assert not verdict.silent
        assert not verdict.sent_twice
        assert not verdict.misread
