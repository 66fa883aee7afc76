"""What is promised when a call meets a fault: one line for each fault, and the few exceptions.

A cell says what a call came to. For a read: ``ok``, ``again`` (right, after it was sent again),
``other`` (a result, and not the right one), or the outcome of the error. For a write the number
behind it is how often it stands in the ledger of the service; only a proxy that sends a request
twice can make that 2.

- ``not_sent`` and ``rejected`` promise that the ledger has 0, ``ok`` that it has 1.
- ``unknown`` is the honest word wherever it may be either. It is never sent again.
- A lie is an answer that is not true of its request. Of one answer nobody can tell; where the next
  ones contradict it, that is ``unknown``. ``verify`` finds the rest: it looks into the helpdesk.

Of a bulk call it is the row that met the fault; ``, stopped`` is that no other was sent, as every
further one would meet the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from attrs import frozen


@frozen
class Rule:
    """What is promised for a fault: what a read comes to, and a write; ``|`` parts what may be.

    Attributes:
        why: in a few words.
        stops: a push stops there.
    """

    read: str
    write: str
    why: str
    stops: bool = False


_LOST = "nothing tells whether it was executed"
_CLEAR = "the service's clear word"
_PAGE = "no word of the service"
_LIE = "a lie: not to be seen in one answer"

RULES: Mapping[str, Rule] = {
    "no server": Rule("not_sent", "not_sent 0", "the connection was refused", stops=True),
    # Not executed, and not answered.
    "close_before": Rule("again", "unknown 0", _LOST),
    "reset_before": Rule("again", "unknown 0", _LOST),
    "reset_early": Rule("again", "unknown 0", _LOST),
    "silence_before": Rule("again", "unknown 0", _LOST),
    # Executed, and the answer is lost.
    "close_after": Rule("again", "unknown 1", _LOST),
    "reset_after": Rule("again", "unknown 1", _LOST),
    "silence_after": Rule("again", "unknown 1", _LOST),
    "late": Rule("again", "unknown 0", "executed long after: a doubt needs time"),
    "half_body": Rule("again", "unknown 1", _LOST),
    "wrong_length": Rule("again", "unknown 1", _LOST),
    'wrong_length;delta="-20"': Rule("again", "unknown 1", _LOST),
    "garbage": Rule("again", "unknown 1", _LOST),
    "slow": Rule("ok", "ok 1", "slow is not lost"),
    # Answered by somebody on the way, or by a service that does not work.
    'status;status="429";retry_after="0.02"': Rule("again", "again 1", "it was not taken"),
    'status;status="425"': Rule("again", "again 1", "it was not taken"),
    'status;status="408"': Rule("again", "unknown 0", _LOST),
    'status;status="500"': Rule("again", "unknown 0", _LOST),
    'status;status="502"': Rule("again", "unknown 0", _LOST),
    'status;retry_after="0.02";body="json"': Rule("again", "unknown 0", "503: " + _LOST),
    'status;status="500";executed="True"': Rule("again", "unknown 1", _LOST),
    'status;status="504";executed="True"': Rule("again", "unknown 1", _LOST),
    'status;status="403"': Rule("rejected", "rejected 0", _CLEAR, stops=True),
    'status;status="413"': Rule("rejected", "rejected 0", _CLEAR),
    "redirect": Rule("rejected", "unknown 0", "it may follow what was carried out", stops=True),
    "failed": Rule("rejected", "rejected 0", _CLEAR),
    # Answers that are not of the documented kind.
    "login_html": Rule("unknown", "unknown 0", _PAGE, stops=True),
    "login_html_after": Rule("unknown", "unknown 1", _PAGE, stops=True),
    "bad_json": Rule("unknown", "unknown 1", _PAGE),
    "unknown_shape": Rule("unknown", "unknown 1", "neither success nor failure"),
    "bomb": Rule("unknown", "unknown 1", "more than is taken"),
    # Lies.
    "failed_after": Rule("rejected", "rejected 1", _LIE),
    "twice": Rule("ok", "ok 2 | other 2", _LIE),
    'twice;lost="True"': Rule("again", "unknown 2", _LOST),
    "answer_twice": Rule("ok", "ok 1", "the second answer spoils the connection"),
    'answer_twice;later="True"': Rule("ok", "ok 1", "a lie, and the next call's"),
    "previous_answer": Rule("unknown", "ok 0 | other 0 | unknown 0", _LIE),
    'previous_answer;executed="True"': Rule("ok", "ok 1 | other 1 | unknown 1", _LIE),
    'previous_answer;executed="True";only_id="True"': Rule(
        "ok", "ok 1 | other 1 | unknown 1", _LIE
    ),
}
"""Fault, as it is called in a header, to what is promised."""

LATER = 'answer_twice;later="True"'
_CONFLICT = "the second time it is in that state already: a ConflictError says so"
_PAGES = "a page that repeats the one before it is asked for again"

EXCEPT: tuple[tuple[str, str, str, str], ...] = (
    # A read: what the rows of the matrix and the faults are called, what is promised, and why.
    ("* (tickets.pull)", "bad_json", "again", "the rows break off while they are read"),
    ("support attachments.* (*)", "bad_json", "other", "a file need not be JSON"),
    *(
        ("support attachments.stream (*)", fault, "unknown", "what was handed out is gone")
        for fault in ("half_body", "wrong_length")
    ),
    ("* tickets.doctor (tickets.[hp]*)", "no server", "not_sent", "its trial cannot be sent"),
    ("* tickets.doctor (tickets.[hp]*)", "*", "ok | again", "it looks until its patience is over"),
    ("kapture faqs.contents (*)", LATER, "again", _PAGES),
    ("support tickets.iter (*)", LATER, "again", _PAGES),
    ("support tickets.[rv]e* (tickets.history)", LATER, "again", _PAGES),
    ("kapture tickets.get_many (*)", LATER, "unknown", "it holds a ticket that was not asked for"),
    ("support tickets.create_and_find (tickets.history)", LATER, "other", "no id was found"),
    # A write.
    ("support tickets.create_and_find (*)", LATER, "unknown 1", "the look-up got the answer"),
    ("kapture * (*) bulk*", LATER, "ok 1, then unknown", "it does not fit the next row"),
    (
        "support * (*) bulk*",
        LATER,
        "ok 1 FALSE row-1 ok 0",
        "support's answers tell nothing of their row; `verify` finds it",
    ),
    ("support tickets.close (*)", "twice", "rejected 1", _CONFLICT),
    ("support tickets.reopen (*)", "twice", "rejected 1", _CONFLICT),
    ("support tickets.close (*)", 'twice;lost="True"', "unknown 1", _CONFLICT),
    ("support tickets.reopen (*)", 'twice;lost="True"', "unknown 1", _CONFLICT),
    (
        "kapture tickets.update_many (*)*",
        'status;status="403"',
        "rejected 0",
        "it may be of this ticket alone: the push goes on",
    ),
)
"""What is promised in place of a rule, and why; the first that fits counts."""


def promised(row: Any, fault: str) -> str:
    """What is promised of a row of the matrix under a fault."""
    for name, of, instead, _ in EXCEPT:
        if fnmatchcase(str(row), name) and fnmatchcase(fault, of):
            return instead
    rule = RULES[fault]
    if row.effect == "read":
        return rule.read
    return rule.write + (", stopped" if rule.stops and row.bulk else "")
