"""The service's status call-back: read tolerantly, lossless, and never believed too much."""

from __future__ import annotations

import copy
import pickle
from types import MappingProxyType
from typing import Any

import orjson
import pytest

from kapture_async import HelpdeskError, InvalidCallbackError, NotSentError, parse_callback
from kapture_async.webhooks import MAX_CALLBACK_BYTES

from ..secrecy import assert_clean, every_word_of

CANARY = "canary-words"


def body(**fields: Any) -> bytes:
    return orjson.dumps({"ticketId": "713516551148", "status": "Pending"} | fields)


def test_the_sample(sample: Any) -> None:
    said = sample("kapture/status_callback.inbound.wild")
    callback = parse_callback(orjson.dumps(said))
    assert callback.ticket_id == "713516551148"
    assert (callback.status, callback.sub_status) == ("Pending", "Unattended")
    assert callback.queue == "example"
    assert callback.raw == said
    assert (dict(callback.extra), callback.problems) == ({}, ())


@pytest.mark.parametrize("key", ["subStatus", "sub_status", "sub-status"])
def test_each_spelling_of_the_sub_status(key: str) -> None:
    callback = parse_callback(body(**{key: "Unattended"}))
    assert callback.sub_status == "Unattended"
    assert (dict(callback.extra), callback.problems) == ({}, ())


def test_spellings_that_agree_and_those_that_are_empty() -> None:
    assert parse_callback(body(subStatus="A", sub_status="A")).sub_status == "A"
    both = parse_callback(body(**{"subStatus": "", "sub-status": "A", "sub_status": None}))
    assert (both.sub_status, both.problems) == ("A", ())
    assert parse_callback(body()).sub_status is None


def test_a_contradiction_is_marked_and_decides_nothing() -> None:
    callback = parse_callback(body(subStatus="A", sub_status="B"))
    assert callback.sub_status is None
    assert callback.problems == ("subStatus: contradicts itself under another spelling of its key",)
    assert callback.is_contradictory
    assert (callback.raw["subStatus"], callback.raw["sub_status"]) == ("A", "B")


@pytest.mark.parametrize(
    "make",
    [
        lambda text: text,
        bytearray,
        memoryview,
        lambda text: text.decode(),
        orjson.loads,
        lambda text: MappingProxyType(orjson.loads(text)),
        lambda text: b"\xef\xbb\xbf" + text + b"\r\n",
    ],
    ids=["bytes", "bytearray", "memoryview", "text", "dict", "mapping", "with a byte-order mark"],
)
def test_every_form_of_a_body(make: Any) -> None:
    callback = parse_callback(make(body(queue="q", was={"new": [1, None]})))
    assert (callback.ticket_id, callback.queue) == ("713516551148", "q")
    assert callback.extra == {"was": {"new": [1, None]}}


def test_what_is_odd_is_named_and_kept() -> None:
    callback = parse_callback(body(status=7, queue=["x"], subStatus="R&amp;D"))
    assert (callback.status, callback.queue, callback.sub_status) == (None, None, "R&D")
    assert callback.problems == (
        "status: expected text, found a number",
        "queue: expected text, found a list",
    )
    assert (callback.raw["status"], callback.raw["queue"]) == (7, ["x"])
    assert parse_callback(b'{"ticketId": "1"}').problems == ("status: is missing",)
    assert parse_callback(b'{"ticketId": "1", "status": ""}').problems == ()


@pytest.mark.parametrize(
    ("given", "read"), [("1", "1"), (713516551148, "713516551148"), (" 7\n", "7"), ("a-b", "a-b")]
)
def test_ids_stay_text(given: Any, read: str) -> None:
    assert parse_callback(body(ticketId=given)).ticket_id == read


@pytest.mark.parametrize(
    "given",
    [None, "", " ", 0, True, 7.5, [], {}, "1,2", "1 2", "1\n2", "1\x00", "9" * 101],
    ids=repr,
)
def test_what_is_no_id_is_no_call_back(given: Any) -> None:
    fields = {"ticketId": given, "status": "Pending"}
    with pytest.raises(InvalidCallbackError, match="it does not name a ticket"):
        parse_callback(fields)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"", "is not readable as JSON"),
        (b"ticketId=1&status=Pending", "is not readable as JSON"),
        (b'{"ticketId": "1"', "is not readable as JSON"),
        (b'{"ticketId": "\xff"}', "is not readable as JSON"),
        ('{"ticketId": "\ud800"}', "is not readable as JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "is not readable as JSON"),
        (b'[{"ticketId": "1"}]', "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'{"status": "Pending"}', "does not name a ticket"),
        (b'{"ticketId": 1180591620717411303424}', "does not name a ticket"),  # it lost digits
        ({1: "ticketId"}, "has keys that are not text"),
        (None, "is NoneType, neither bytes nor text nor a mapping"),
        (7, "is int, neither"),
    ],
)
def test_what_is_no_call_back(given: Any, words: str) -> None:
    with pytest.raises(InvalidCallbackError, match=words):
        parse_callback(given)


@pytest.mark.parametrize("make", [bytes, bytes.decode, memoryview])
def test_too_large(make: Any) -> None:
    small = body(fill="")
    whole = body(fill="x" * (MAX_CALLBACK_BYTES - len(small)))
    assert len(whole) == MAX_CALLBACK_BYTES
    assert parse_callback(make(whole)).ticket_id == "713516551148"
    with pytest.raises(InvalidCallbackError, match="more than 65,536 bytes"):
        parse_callback(make(body(fill="x" * (MAX_CALLBACK_BYTES - len(small) + 1))))
    with pytest.raises(InvalidCallbackError, match="more than 10 bytes"):
        parse_callback(make(whole), max_bytes=10)
    # Bytes count, not characters.
    with pytest.raises(InvalidCallbackError, match="more than 65,536 bytes"):
        parse_callback(body(fill="नमस्ते" * 5000).decode())


def test_the_error_is_of_no_call() -> None:
    with pytest.raises(InvalidCallbackError) as caught:
        parse_callback(b"?")
    error = caught.value
    assert isinstance(error, ValueError)
    assert isinstance(error, NotSentError)
    assert isinstance(error, HelpdeskError)
    assert not error.may_have_been_applied
    assert str(error) == (
        "kapture callback: the body is not readable as JSON. "
        "Answer it with HTTP 400, and do nothing else."
    )


@pytest.mark.parametrize(
    "given",
    [
        CANARY.encode(),
        f'"{CANARY}"',
        orjson.dumps({"ticketId": f"{CANARY},1"}),
        {"ticketId": [CANARY]},
        {7: CANARY},
        orjson.dumps({"ticketId": "1", "fill": CANARY * 9000}),
    ],
)
def test_nothing_of_the_body_is_in_the_error(given: Any) -> None:
    with pytest.raises(InvalidCallbackError) as caught:
        parse_callback(given)
    assert_clean(every_word_of(caught.value), [CANARY])


def test_nothing_but_the_id_is_in_the_repr() -> None:
    callback = parse_callback(body(status=CANARY, subStatus=CANARY, queue=CANARY, more=CANARY))
    assert repr(callback) == "<StatusCallback ticket_id='713516551148'>"


def test_it_compares_copies_and_pickles() -> None:
    callback = parse_callback(body(subStatus="A", more=[1]))
    for other in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert other == callback
        assert (other.sub_status, other.extra) == ("A", {"more": [1]})
