"""The emulator behaves as SERVICE.md says: bodies, quirks, refusals."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kapture_async.testing import KaptureEmulator

ADD = "/add-ticket-from-other-source.html/v.2.0"
UPDATE = "/update-ticket-from-other-source.html/v.2.0"
GET = "/search-ticket-by-ticket-id.html/v.2.0"
PULL = "/select-ticket-between-start-and-end-dates.html/v.2.0"
SAMPLES = Path(__file__).parent / "samples"
INDIA = dt.timezone(dt.timedelta(hours=5, minutes=30))
CREATED = dt.datetime(2024, 4, 19, 14, 19, 11, 148000, INDIA)
UPDATED = dt.datetime(2024, 4, 22, 14, 31, 33, tzinfo=INDIA)

Call = Callable[..., Any]


@pytest.fixture
def emulator() -> Iterator[KaptureEmulator]:
    """An emulator at the moment of the samples, whose clock only moves when a test moves it."""
    with KaptureEmulator(clock=CREATED.timestamp).in_thread() as emulator:
        yield emulator


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


FAILURES = sample("failures")


def shape(value: Any) -> Any:
    """Keys in order, and types: what a typed client depends on."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__


def differences(found: dict[str, Any], expected: dict[str, Any]) -> set[str]:
    return {key for key in expected if found[key] != expected[key]}


def test_add_answers_as_the_sample(emulator: KaptureEmulator, call: Call) -> None:
    expected = sample("add_ticket.response")
    found = call(
        emulator.url, ADD, [{"title": "TEST 1", "ticket_details": "", "due_date": ""}]
    ).json
    assert shape(found) == shape(expected)
    assert found["ticket_url"].startswith(emulator.url)
    # The id of the sample is 4 ms older than its conversation; the rest is equal to the letter.
    assert differences(found["ticket"], expected["ticket"]) == {"lastConversationTime"}
    assert differences(found, expected) == {"ticket", "ticket_url"}


def test_update_answers_as_the_sample(emulator: KaptureEmulator, call: Call) -> None:
    expected = sample("update_ticket.response")
    number = call(emulator.url, ADD, {"title": "TEST 1"}).json["ticket_id"]
    emulator.now = UPDATED
    body = {"comment": "", "ticket_id": number, "callback_time": "", "sub_status": "PS"}
    found = call(emulator.url, UPDATE, [body | {"queue": "", "disposition": ""}]).json
    assert shape(found) == shape(expected)
    assert differences(found["ticket"], expected["ticket"]) == {"lastConversationTime"}
    assert differences(found, expected) == {"ticket"}


def test_pull_answers_as_the_sample(emulator: KaptureEmulator, call: Call) -> None:
    expected = sample("pull_tickets_by_date_range.response")
    number = call(emulator.url, ADD, {"title": "TEST 1"}).json["ticket_id"]
    emulator.now = UPDATED
    call(emulator.url, UPDATE, [{"ticket_id": number, "sub_status": "PS"}])
    found = call(emulator.url, PULL, [{"start_date": "2024-04-19", "end_date": "2024-04-20"}]).json
    assert shape(found) == shape(expected)
    assert differences(found["message"][0], expected["message"][0]) == {"url"}
    assert found["totalCount"] is None


# Authentication and the server in front.


@pytest.mark.parametrize("path", [ADD, UPDATE, GET, PULL])
@pytest.mark.parametrize("key", ["Basic wrong", "emulator-token", "Bearer emulator-token", ""])
def test_a_wrong_key_is_refused(emulator: KaptureEmulator, call: Call, path: str, key: str) -> None:
    answer = call(emulator.url, path, {"title": "T"}, Authorization=key)
    assert (answer.status, answer.json) == (200, FAILURES["any_endpoint.bad_auth"])
    assert len(emulator.ledger) == 0


def test_user_and_password_open_the_door_as_real_basic(call: Call) -> None:
    pair = base64.b64encode(b"user:pass").decode()
    with KaptureEmulator(username="user", password="pass").in_thread() as emulator:
        assert call(emulator.url, ADD, {"title": "T"}).json["status"] == "success"
        found = call(emulator.url, ADD, {"title": "T"}, Authorization=f"Basic {pair}")
        assert found.json["status"] == "success"
    with KaptureEmulator(token=None).in_thread() as emulator:
        assert (
            call(emulator.url, ADD, {"title": "T"}, Authorization="x").json["status"] == "success"
        )


@pytest.mark.parametrize(
    ("settings", "title", "key"),
    [
        ({"failed_status": 400}, 400, 400),
        ({"failed_status": 400, "auth_failed_status": 401}, 400, 401),
    ],
)
def test_the_http_status_of_a_refusal_is_a_setting(
    call: Call, settings: dict[str, int], title: int, key: int
) -> None:
    with KaptureEmulator(**settings).in_thread() as emulator:  # type: ignore[arg-type]
        assert call(emulator.url, ADD, {"title": ""}).status == title
        assert call(emulator.url, ADD, {"title": ""}, Authorization="x").status == key


def test_unknown_paths_and_verbs_meet_html(emulator: KaptureEmulator, call: Call) -> None:
    missing = call(emulator.url, "/add-ticket.html", {})
    assert (missing.status, missing.headers["Content-Type"]) == (404, "text/html;charset=utf-8")
    assert "HTTP Status 404 – Not Found" in missing.body.decode()
    wrong = call(emulator.url, ADD, {}, method="GET")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    head = call(emulator.url, ADD, {}, method="HEAD")
    assert (head.status, head.body) == (405, b"")


def test_a_copied_tail_of_the_url_is_harmless(emulator: KaptureEmulator, call: Call) -> None:
    assert call(emulator.url, f"{ADD}?=null", {"title": "T"}).json["status"] == "success"
    assert emulator.received[-1].query == "=null"


def test_cookies_are_set_and_not_needed(emulator: KaptureEmulator, call: Call) -> None:
    assert "JSESSIONID" in call(emulator.url, ADD, {"title": "T"}).headers["Set-Cookie"]
    assert "Set-Cookie" not in call(emulator.url, ADD, {"title": "T"}, Cookie="JSESSIONID=").headers


# Add.


def test_add_takes_an_array_of_one_or_an_object(emulator: KaptureEmulator, call: Call) -> None:
    good: list[Any] = [[{"title": "T"}], {"title": "T"}]
    bad: list[Any] = [[{"title": "T"}, {"title": "U"}], [], "T", [[]], b"", b"[{"]
    for body in good:
        assert call(emulator.url, ADD, body).json["title"] == "T"
    for body in bad:
        assert call(emulator.url, ADD, body).json == {
            "message": "Invalid Json.",
            "status": "failed",
        }
    assert len(emulator.ledger) == 2


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": None}])
def test_add_wants_a_title(emulator: KaptureEmulator, call: Call, body: Any) -> None:
    assert call(emulator.url, ADD, [body]).json == FAILURES["add_ticket.no_title"]


@pytest.mark.parametrize(
    ("sent", "echo"),
    [
        ("", "2024-04-19 14:19:11"),
        (None, "2024-04-19 14:19:11"),
        ("2024-05-01", "2024-05-01 00:00:00"),
        ("2024-05-01 10:00:00", "2024-05-01 10:00:00"),
    ],
)
def test_the_due_date_is_echoed(
    emulator: KaptureEmulator, call: Call, sent: Any, echo: str
) -> None:
    assert call(emulator.url, ADD, {"title": "T", "due_date": sent}).json["due_date"] == echo


def test_associate_objects_come_back_in_each_endpoints_way(
    emulator: KaptureEmulator, call: Call
) -> None:
    odd = {"a b/(c)-\\": "it's", "empty": None, "count": 3}
    body = {"title": "T", "issue_details": {"issue_id": None}, "ticket_info": [odd], "flow_id": "f"}
    added = call(emulator.url, ADD, [body]).json
    assert added["Additional_details"] == {
        "issue_details": [{"issue_id": None}],
        "ticket_info": [odd],
    }
    [details] = call(emulator.url, GET, {"ticket_ids": added["ticket_id"]}).json
    assert details["additional_info"] == {
        "issue_details": {"issue_id": "null"},
        "ticket_info": {"a b/(c)-\\": "it's", "empty": "null", "count": "3"},
    }
    [row] = call(emulator.url, PULL, [{"start_date": "2024-04-19", "end_date": "2024-04-19"}]).json[
        "message"
    ]
    assert row["additional_info"]["ticket_info"]["a b/(c)-\\"] == "it&apos;s"


def test_ids_are_unique_whatever_the_clock_does(emulator: KaptureEmulator) -> None:
    numbers = [emulator.seed() for _ in range(3_000)]
    emulator.now = CREATED - dt.timedelta(days=1)
    numbers += [emulator.seed() for _ in range(100)]
    emulator.now = CREATED
    numbers += [emulator.seed() for _ in range(3_000)]
    assert len(set(numbers)) == len(numbers)
    assert {len(number) for number in numbers} == {12}
    assert numbers[0] == "713516551148"


# Update.


def test_update_wants_a_known_ticket(emulator: KaptureEmulator, call: Call) -> None:
    for body in ({}, {"ticket_id": ""}, {"ticket_id": "713516551148"}, {"ticket_id": None}):
        found = call(emulator.url, UPDATE, [body | {"sub_status": "CL"}]).json
        assert found == FAILURES["update_ticket.no_ticket"]


@pytest.mark.parametrize(
    "text", ["2024-04-20", "20-04-2024 10:00:00", "2024-13-01 10:00:00", "soon"]
)
def test_update_checks_the_call_back_time(emulator: KaptureEmulator, call: Call, text: str) -> None:
    body = {"ticket_id": emulator.seed(), "sub_status": "PS", "callback_time": text}
    assert call(emulator.url, UPDATE, [body]).json == FAILURES["update_ticket.bad_callback"]
    assert len(emulator.ledger) == 0


def test_a_call_back_is_kept(emulator: KaptureEmulator, call: Call) -> None:
    body = {
        "ticket_id": emulator.seed(),
        "sub_status": "PS",
        "callback_time": "2024-04-20 15:30:00",
    }
    ticket = call(emulator.url, UPDATE, [body]).json["ticket"]
    assert (ticket["isCallBack"], ticket["nextFollowUp"]) == (True, "2024-04-20 15:30:00")
    [row] = call(emulator.url, PULL, [{"start_date": "2024-04-19", "end_date": "2024-04-19"}]).json[
        "message"
    ]
    assert (row["callBack"], row["nextFollowUp"]) == ("20-04-2024 15:30",) * 2


@pytest.mark.parametrize(
    ("sub_status", "label", "status"),
    [("RS", "Resolved", "C"), ("CL", "Closed", "C"), ("CRS", "Reopened", "P"), ("ZZ", "ZZ", "P")],
)
def test_sub_statuses_have_labels_and_unknown_ones_are_kept(
    emulator: KaptureEmulator, call: Call, sub_status: str, label: str, status: str
) -> None:
    body = {"ticket_id": emulator.seed(), "sub_status": sub_status, "comment": "a"}
    ticket = call(emulator.url, UPDATE, body).json["ticket"]
    assert (ticket["substatus"], ticket["substatusName"]) == (sub_status, label)
    assert (ticket["status"], ticket["totalConversationCount"]) == (status, 1)


def test_a_label_may_be_sent_as_status(emulator: KaptureEmulator, call: Call) -> None:
    body = {"ticket_id": emulator.seed(), "sub_status": "XX", "status": "Complete"}
    ticket = call(emulator.url, UPDATE, body).json["ticket"]
    assert (ticket["status"], ticket["statusName"]) == ("C", "Complete")
    [row] = call(emulator.url, PULL, [{"start_date": "2024-04-19", "end_date": "2024-04-19"}]).json[
        "message"
    ]
    assert (row["status"], row["taskEnddate"]) == ("Complete", "19-04-2024 14:19")


# Get.


def test_get_takes_an_object_only(emulator: KaptureEmulator, call: Call) -> None:
    found = call(emulator.url, GET, [{"ticket_ids": emulator.seed()}])
    assert found.json == FAILURES["get_ticket_or_pull_ticket.bad_json"]
    for body in ({}, {"ticket_ids": ""}, {"ticket_ids": " , "}, {"ticket_id": "1"}):
        found = call(emulator.url, GET, body)
        assert found.json == FAILURES["get_ticket_or_pull_ticket.no_ids"]


def test_get_leaves_out_what_it_does_not_know(emulator: KaptureEmulator, call: Call) -> None:
    one, two = emulator.seed({"title": "it's"}), emulator.seed(title="two", disposition="A|B")
    found = call(emulator.url, GET, {"ticket_ids": f"{two},999999999999,{one},{two}"}).json
    assert [element["task_details"]["ticketId"] for element in found] == [two, one]
    assert list(found[0]) == ["additional_info", "history", "task_details"]
    assert found[0]["task_details"]["disposition"] == "A|B"
    assert found[1]["task_details"]["title"] == "it's"
    assert found[1]["task_details"]["date"] == "19-04-2024 14:19"
    assert call(emulator.url, GET, {"ticket_ids": "999999999999"}).json == []


@pytest.mark.parametrize(
    ("asked", "given"),
    [("notes", {"notes": [{"detail": "hi"}]}), ("all", {"notes": [{"detail": "hi"}], "chat": []})],
)
def test_get_shows_conversations_when_asked(
    emulator: KaptureEmulator, call: Call, asked: str, given: Any
) -> None:
    number = emulator.seed()
    call(emulator.url, UPDATE, {"ticket_id": number, "sub_status": "PS", "comment": "hi"})
    [found] = call(emulator.url, GET, {"ticket_ids": number, "conversation_type": asked}).json
    assert found["conversation_type"] == given


# Pull.


def pull(call: Call, emulator: KaptureEmulator, first: str, last: str, **more: Any) -> Any:
    return call(emulator.url, PULL, [{"start_date": first, "end_date": last, **more}]).json


def test_pull_goes_by_india_days(emulator: KaptureEmulator, call: Call) -> None:
    midnight = dt.datetime(2024, 4, 20, tzinfo=INDIA)
    tick = dt.timedelta(milliseconds=1)
    before, after = emulator.seed(created=midnight - tick), emulator.seed(created=midnight)
    late = emulator.seed(created=dt.datetime(2024, 4, 20, 23, 59, 59))  # no zone: India
    found = pull(call, emulator, "2024-04-20", "2024-04-20")["message"]
    assert [row["ticketId"] for row in found] == [after, late]
    both = pull(call, emulator, "2024-04-19", "2024-04-20")["message"]
    assert [row["ticketId"] for row in both] == [before, after, late]


def test_pull_covers_two_dates_at_most(emulator: KaptureEmulator, call: Call) -> None:
    emulator.seed()
    refused = pull(call, emulator, "2024-04-19", "2024-04-21")
    assert refused["status"] == "failed"
    assert "max 24 hours" in refused["message"]
    with KaptureEmulator(pull_days=1).in_thread() as strict:
        assert pull(call, strict, "2024-04-19", "2024-04-20")["status"] == "failed"
        assert pull(call, strict, "2024-04-19", "2024-04-19")["status"] == "success"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "either start_date is null or blank"),
        ({"start_date": "2024-04-19"}, "either start_date is null or blank"),
        ({"start_date": "19-04-2024", "end_date": "19-04-2024"}, "Invalid Json."),
        ({"start_date": "2024-04-19", "end_date": "2024-04-19", "limit": "x"}, "Invalid Json."),
    ],
)
def test_pull_refuses_what_it_cannot_read(
    emulator: KaptureEmulator, call: Call, body: Any, message: str
) -> None:
    assert call(emulator.url, PULL, [body]).json == {"message": message, "status": "failed"}


def test_pull_finds_nothing_in_words(emulator: KaptureEmulator, call: Call) -> None:
    nothing = {"totalCount": None, "message": "No Data found", "status": "success"}
    assert pull(call, emulator, "2024-04-19", "2024-04-19") == nothing
    assert pull(call, emulator, "2024-04-20", "2024-04-19") == nothing
    with KaptureEmulator(empty_pull_status="failed").in_thread() as other:
        assert pull(call, other, "2024-04-19", "2024-04-19")["status"] == "failed"


def test_pull_pages_and_filters(emulator: KaptureEmulator, call: Call) -> None:
    numbers = [emulator.seed(customer_code=f"c{number % 2}") for number in range(10)]
    call(emulator.url, UPDATE, {"ticket_id": numbers[0], "sub_status": "CL"})

    def ids(**more: Any) -> list[str]:
        message = pull(call, emulator, "2024-04-19", "2024-04-19", **more)["message"]
        return [row["ticketId"] for row in message]

    assert ids() == numbers
    assert ids(limit=3) == numbers[:3]
    assert ids(limit="3", offset="8") == numbers[8:]
    assert ids(status="C") == numbers[:1]
    assert ids(customer_code="c1", limit=2, offset=1) == numbers[3:6:2]


def test_pull_lists_a_customers_tickets_without_dates(
    emulator: KaptureEmulator, call: Call
) -> None:
    old = emulator.seed(customer_code="c", created=CREATED - dt.timedelta(days=400))
    emulator.seed(customer_code="other")
    body = {"customer_code": "c", "status": "P", "offset": "0", "limit": "100"}
    [row] = call(emulator.url, PULL, [body]).json["message"]
    assert (row["ticketId"], row["status"]) == (old, "Pending")


def test_pull_escapes_texts_and_names(emulator: KaptureEmulator, call: Call) -> None:
    emulator.seed(title='<b> & "it\'s"', ticket_details="a\nb & c")
    [row] = pull(call, emulator, "2024-04-19", "2024-04-19")["message"]
    assert row["taskTitle"] == "&lt;b&gt; &amp; &quot;it&apos;s&quot;"
    assert row["detail"] == "a\nb &amp; c"


def test_a_customer_adds_keys_to_a_row(emulator: KaptureEmulator, call: Call) -> None:
    customer = {"customer_id": "7", "customer_name": "O'Hara", "phone": "123"}
    assert call(emulator.url, ADD, {"title": "T"} | customer).json["customer_id"] == 7
    [row] = pull(call, emulator, "2024-04-19", "2024-04-19")["message"]
    assert (row["customerName"], row["customerPhone"]) == ("O&apos;Hara", "123")
    assert call(emulator.url, ADD, {"title": "T", "customer_id": "user-7"}).json["customer_id"] == 0


def test_a_single_row_may_come_bare(call: Call) -> None:
    with KaptureEmulator(single_row_as_object=True).in_thread() as emulator:
        number, day = emulator.seed(), f"{emulator.now:%Y-%m-%d}"
        assert pull(call, emulator, day, day)["message"]["ticketId"] == number


# The emulator's own handles.


def test_the_clock_can_be_moved_and_runs_on() -> None:
    emulator = KaptureEmulator()
    emulator.now = dt.datetime(2030, 1, 1, 10, 0)  # no zone: India
    assert dt.timedelta(0) <= emulator.now - dt.datetime(2030, 1, 1, 10, 0, tzinfo=INDIA)
    assert emulator.now.utcoffset() == dt.timedelta(hours=5, minutes=30)


def test_seeded_tickets_stand_in_no_ledger(emulator: KaptureEmulator) -> None:
    number = emulator.seed(title="Before", ticket_id="000000000001")
    ticket = emulator.ticket(number)
    assert ticket is not None
    assert (ticket.title, len(emulator.ledger)) == ("Before", 0)
    assert emulator.ticket("none") is None
    with pytest.raises(ValueError, match="exists already"):
        emulator.seed(ticket_id=number)


def test_a_defect_of_the_emulator_is_loud(
    emulator: KaptureEmulator,
    call: Call,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(body: Any) -> Any:
        raise LookupError("broken")

    monkeypatch.setattr(emulator, "_handlers", {"tickets.add": broken})
    assert call(emulator.url, ADD, {"title": "T"}).status == 500
    assert "the emulator failed to answer" in caplog.text
