"""Random lives of a journal against a model that knows nothing of SQLite."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kapture_async._core.journal.reader import ReadJournal
from kapture_async._core.journal.records import LATER, Identity, Job, State
from kapture_async._core.journal.reference import digest_of
from kapture_async._core.journal.session import Session

from ..driven import Driven

JOB = Job(service="s", operation="o", target="https://example.com", place="none")
ERRORS = ("RateLimitedError", "ValidationError")

names = st.one_of(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xy")),  # a key, and what is in the row
    st.tuples(st.none(), st.sampled_from("xyz")),
)


@define
class Line:
    """A row as the model sees it: what was done to it, in plain words."""

    content: str
    reference: str
    sent: int = 0
    may_be_there: bool = False
    """Whether the helpdesk may hold it. The one thing that must never be got wrong."""
    story: list[str] = field(factory=list)
    refused: set[str] = field(factory=set)
    """Contents that were refused, and mended since."""


class Lives(RuleBasedStateMachine):
    """Runs of a push: rows come, are sent, end in some way or none; processes die."""

    def __init__(self) -> None:
        super().__init__()
        # In memory, where it can be: nothing here is about the disk, and much about time.
        memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self.folder = Path(tempfile.mkdtemp(dir=memory))
        self.deaths = 0
        self.by_key: dict[str, Line] = {}
        self.seconds: dict[tuple[str, str], int] = {}
        """Key and content of second rows under a key, and their rows."""
        self.seen_seconds: set[tuple[str, str]] = set()
        self.by_content: dict[str, list[Line]] = {"x": [], "y": [], "z": []}
        self.lines: dict[int, Line] = {}
        self.seen_keys: set[str] = set()
        self.seen_contents: Counter[str] = Counter()
        self.under_way: dict[int, int] = {}

    @initialize()
    def open(self) -> None:
        path = self.folder / str(self.deaths)
        self.store = Driven(path, job=JOB)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(batch=st.lists(names, min_size=1, max_size=6))
    def rows_come(self, batch: list[tuple[str | None, str]]) -> None:
        incoming = [
            (Identity(key, digest_of(content.encode())), content.encode()) for key, content in batch
        ]
        taken = self.store.take_many(incoming)
        for one, (key, content) in zip(taken, batch, strict=True):
            self.check(one, key, content)

    def check(self, taken: Any, key: str | None, content: str) -> None:
        if key is not None:
            line = self.by_key.get(key)
            repeated = key in self.seen_keys
            if taken.action == "clash" or taken.row in self.seconds.values():
                self.check_second(taken, line, key, content)
                return
            self.seen_keys.add(key)
        else:
            number = self.seen_contents[content]
            self.seen_contents[content] += 1
            equals = self.by_content[content]
            line = equals[number] if number < len(equals) else None
            repeated = False
        if taken.action == "renamed":  # its content came otherwise named in an earlier run
            assert line is None
            others = self.by_content[content] if key is not None else list(self.by_key.values())
            assert self.lines[taken.row] in others
            if key is not None:
                self.seen_keys.discard(key)
            else:
                self.seen_contents[content] -= 1
            return
        if line is None:
            assert taken.action == "send"
            assert taken.row not in self.lines
            line = Line(content, taken.reference)
            assert all(line.reference != other.reference for other in self.lines.values())
            self.lines[taken.row] = line
            if key is not None:
                self.by_key[key] = line
            else:
                self.by_content[content].append(line)
        assert self.lines[taken.row] is line
        assert taken.reference == line.reference
        if repeated:
            assert taken.action == "repeated"
            assert content in {line.content, *line.refused}
            return
        self.check_action(taken, line, content)

    def check_second(self, taken: Any, line: Line | None, key: str, content: str) -> None:
        assert line is not None
        assert content not in {line.content, *line.refused}
        # Either the first one came in this run, or it is in the helpdesk or may be.
        assert key in self.seen_keys or line.may_be_there
        known = self.seconds.setdefault((key, content), taken.row)
        assert known == taken.row
        assert taken.row not in self.lines
        assert taken.action == ("repeated" if (key, content) in self.seen_seconds else "clash")
        self.seen_seconds.add((key, content))
        assert taken.reference not in {one.reference for one in self.lines.values()}

    def check_action(self, taken: Any, line: Line, content: str) -> None:
        if taken.action == "send":
            assert not line.may_be_there, (line, "sent twice")
            line.sent += 1
            assert taken.attempt == line.sent
            line.may_be_there = True
            if content != line.content and line.story[-1] == "rejected ValidationError":
                line.refused.add(line.content)
            line.content = content
            line.story.append("sent")
            self.under_way[taken.row] = taken.attempt
            return
        last = line.story[-1]
        if last in {"accepted", "present"}:
            known = content == line.content or content in line.refused
            assert taken.action == ("done" if known else "changed")
        elif last.startswith("rejected"):
            assert taken.action == "rejected"
            assert content == line.content or content in line.refused
            assert last.split()[1] not in LATER
        else:  # and all that was cleared is sent
            assert taken.action == "doubt"
            assert last in {"sent", "unknown", "missing", "ambiguous", "probable"}

    @rule(data=st.data(), kind=st.sampled_from(["accepted", "rejected", "not_sent", "unknown"]))
    def some_end(self, data: st.DataObject, kind: str) -> None:
        if not self.under_way:
            return
        chosen = data.draw(st.sets(st.sampled_from(sorted(self.under_way)), min_size=1))
        error = data.draw(st.sampled_from(ERRORS)) if kind == "rejected" else None
        more = {} if kind == "accepted" else {"error": error}
        self.store.end_many([(row, self.under_way.pop(row), kind, more) for row in chosen])
        for row in chosen:
            self.lines[row].may_be_there = kind in {"accepted", "unknown"}
            self.lines[row].story.append(f"rejected {error}" if error else kind)

    @rule(
        data=st.data(),
        kind=st.sampled_from(["missing", "present", "absent", "ambiguous", "probable"]),
    )
    def someone_looks(self, data: st.DataObject, kind: str) -> None:
        doubts = {doubt.row for doubt in self.store.doubts()} - set(self.under_way)
        if not doubts:
            return
        row = data.draw(st.sampled_from(sorted(doubts)))
        line = self.lines[row]
        assert line.may_be_there
        self.store.verdict(row, kind)
        line.may_be_there = kind != "absent"
        line.story.append(kind)

    @rule(data=st.data())
    def once_more(self, data: st.DataObject) -> None:
        if not self.lines:
            return
        row = data.draw(st.sampled_from(sorted(self.lines)))
        taken = self.store.take_again(row, 4.0)
        line = self.lines[row]
        assert taken.reference == line.reference
        self.check_action(taken, line, line.content)

    @rule(data=st.data())
    def results_and_rows_in_one_turn(self, data: st.DataObject) -> None:
        """What ended is sent once more, and its equals come, before anything is written."""
        if not self.under_way:
            return
        row = data.draw(st.sampled_from(sorted(self.under_way)))
        attempt = self.under_way.pop(row)
        line = self.lines[row]
        line.may_be_there = False
        line.story.append("not_sent")
        taken = self.store.end_and_take_again(row, attempt)
        assert taken.action == "send"
        self.check_action(taken, line, line.content)

    def change_all(self, session: Session) -> None:
        """What a failing call, or a dying process, has written last."""
        for doubt in list(session.doubts()):
            if doubt.row not in self.under_way:
                session.verdict(doubt.row, "absent", 1.0)
        session.note_lookup(1.0, {})
        session.flush()

    @rule()
    def a_transaction_fails(self) -> None:
        def fails(session: Session) -> None:
            self.change_all(session)
            raise ZeroDivisionError

        with suppress(ZeroDivisionError):
            self.store.call(fails)

    @rule(orderly=st.booleans(), midway=st.booleans())
    def the_process_ends(self, orderly: bool, midway: bool) -> None:
        old = self.store
        if orderly:
            old.close(5.0)
            self.leave()
        elif midway:

            def dies(session: Session) -> None:
                self.change_all(session)
                self.leave()
                raise ZeroDivisionError

            with suppress(ZeroDivisionError):
                old.call(dies)
        else:
            self.leave()
        old.close()
        self.under_way.clear()
        self.seen_keys.clear()
        self.seen_contents.clear()
        self.seen_seconds.clear()
        self.open()

    def leave(self) -> None:
        """What a kill leaves on the disk."""
        self.deaths += 1
        for end in ("", "-wal", "-shm"):
            left = self.folder / f"{self.deaths - 1}{end}"
            if left.exists():
                shutil.copy(left, self.folder / f"{self.deaths}{end}")

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "store"):
            return
        counts = self.store.counts()
        assert counts.rows == len(self.lines) + len(self.seconds)
        lines = self.lines.values()
        there = counts.accepted + counts.unknown + counts.ambiguous + counts.probable
        assert there == sum(line.may_be_there for line in lines)
        assert counts.accepted == sum(line.story[-1] in {"accepted", "present"} for line in lines)
        with ReadJournal.open_to_read(self.store.path) as reader:
            assert reader.counts() == counts
            views = list(reader.rows_in(*State))
        assert {view.row: view.reference for view in views} == {
            row: line.reference for row, line in self.lines.items()
        } | {view.row: view.reference for view in views if view.row in self.seconds.values()}
        assert len({view.reference for view in views}) == len(views)
        assert all(
            view.attempts == (self.lines[view.row].sent if view.row in self.lines else 0)
            for view in views
        )


# `JOURNAL_LIVES=5000 pytest tests/journal/test_model.py` for a long run.
TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=int(os.environ.get("JOURNAL_LIVES", "40")), stateful_step_count=30, deadline=None
)
