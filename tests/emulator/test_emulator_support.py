"""The Support emulator behaves as SERVICE.md says: envelopes, rules, refusals, order of checks.

What stock Django REST Framework would answer is compared with a real one in tests/support.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from support_async.testing import SupportEmulator

from .support_calls import (
    BOUNDARY,
    CATEGORIES,
    CREATE,
    DETAIL,
    DOWNLOAD,
    HISTORY,
    LOGIN,
    OTHER,
    REPLY,
    STATUS,
    TAGS,
    TICKET,
    UPDATE,
    Reply,
    call,
    create,
    detail,
    multipart,
)

ID_REQUIRED = {"ticket": ["Ticket id is required and this may not be blank."]}
ID_INVALID = {"ticket": ["Ticket id is not valid"]}


@pytest.fixture
def emulator() -> Iterator[SupportEmulator]:
    with SupportEmulator().in_thread() as emulator:
        yield emulator


def set_status(emulator: SupportEmulator, status: str, ticket: str = "101") -> Reply:
    return call(emulator, "POST", STATUS, {"ticket": ticket, "status": status})


def update(emulator: SupportEmulator, *tags: str, ticket_id: str = "101", **rest: str) -> Reply:
    fields = {"ticket_id": ticket_id, **rest}
    return call(emulator, "POST", UPDATE, [*fields.items(), *(("tags", tag) for tag in tags)])


def subjects(emulator: SupportEmulator, **query: Any) -> list[str]:
    rows = call(emulator, "GET", HISTORY, **query).data["TicketList"]
    return [row["subject"] for row in rows]


def post(emulator: SupportEmulator, body: bytes, content_type: str) -> Reply:
    """Send any body as a new ticket."""
    headers = {
        "apikey": emulator.apikey,
        "Authorization": f"Bearer {emulator.token}",
        "Content-Type": content_type,
    }
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=5)
    try:
        connection.request("POST", CREATE, body, headers)
        reply = connection.getresponse()
        return Reply(reply.status, dict(reply.getheaders()), reply.read())
    finally:
        connection.close()


# Lists.


def test_categories_and_tags_are_those_of_the_samples(emulator: SupportEmulator) -> None:
    assert call(emulator, "GET", CATEGORIES).data["CategoryList"] == [
        {"id": 3, "category": "Sample category A", "description": "Neutral description A"},
        {"id": 4, "category": "Sample category B", "description": ""},
    ]
    assert call(emulator, "GET", TAGS).data["TicketTagList"] == [
        {"id": 1, "tag": "Sample tag A", "keyword": "sample-a"},
        {"id": 2, "tag": "Sample tag B", "keyword": "sample-b"},
        {"id": 3, "tag": "Sample tag C", "keyword": "sample-c"},
    ]


# A ticket's life.


def test_a_create_says_nothing_and_is_found_in_the_history(emulator: SupportEmulator) -> None:
    assert create(emulator, subject=" First ").data == {}
    assert create(emulator, subject="Second", category="4", priority="3").data == {}
    assert call(emulator, "GET", HISTORY).data["TicketList"] == [
        {
            "id": 102,
            "subject": "Second",
            "priority": "3",
            "category": 4,
            "category_title": "Sample category B",
            "comment": "A comment",
            "status": "1",
        },
        {
            "id": 101,
            "subject": "First",
            "priority": "1",
            "category": 3,
            "category_title": "Sample category A",
            "comment": "A comment",
            "status": "1",
        },
    ]


def test_the_detailed_view_tells_all(emulator: SupportEmulator) -> None:
    create(emulator, b"with the ticket", priority="2")
    fields = [("ticket", "101"), ("comment", " A reply "), ("attachment", b"with the reply")]
    assert call(emulator, "POST", REPLY, fields).data == {}
    assert update(emulator, "2", "1", "2").data == {}
    assert detail(emulator, "101") == {
        "ticket": {
            "id": 101,
            "subject": "A subject",
            "priority": "2",
            "category": 3,
            "comment": "A comment",
            "status": "1",
            "tags": [1, 2],
        },
        "author": "member@example.com",
        "conversations": [
            {"id": 501, "ticket": 101, "comment": "A reply", "author": "member@example.com"}
        ],
        "attachments": [{"id": 901, "conversation_id": None}, {"id": 902, "conversation_id": 501}],
    }


def test_tags_are_replaced_and_priority_is_kept_unless_sent(emulator: SupportEmulator) -> None:
    ticket = emulator.seed(tags=[3, 1, 3], priority="2")
    assert detail(emulator, ticket)["ticket"]["tags"] == [1, 3]
    update(emulator, "2", priority="")
    assert detail(emulator, ticket)["ticket"] | {"subject": "", "comment": ""} == {
        "id": 101,
        "subject": "",
        "priority": "2",
        "category": 3,
        "comment": "",
        "status": "1",
        "tags": [2],
    }
    update(emulator, "2", priority="3")
    assert detail(emulator, ticket)["ticket"]["priority"] == "3"


@pytest.mark.parametrize(
    ("now", "asked", "then", "refusal"),
    [
        ("1", "2", "1", "Ticket is already open"),
        ("1", "3", "3", None),
        ("2", "2", "2", "Ticket is already processing"),
        ("2", "3", "3", None),
        ("3", "2", "2", None),
        ("3", "3", "3", "Ticket is already closed"),
    ],
)
def test_the_status_machine(
    emulator: SupportEmulator, now: str, asked: str, then: str, refusal: str | None
) -> None:
    emulator.seed(status=now)
    answer = set_status(emulator, asked)
    if refusal is None:
        assert answer.data == {}
    else:
        assert (answer.status, answer.errors) == (400, {"ticket": [refusal]})
    assert detail(emulator, "101")["ticket"]["status"] == then
    assert len(emulator.ledger) == (refusal is None)


def test_a_closed_ticket_takes_replies_and_stays_closed(emulator: SupportEmulator) -> None:
    emulator.seed(status="3")
    assert call(emulator, "POST", REPLY, {"ticket": "101", "comment": "More"}).data == {}
    found = detail(emulator, "101")
    assert (found["ticket"]["status"], len(found["conversations"])) == ("3", 1)


def test_a_limit_of_open_tickets_is_a_401_that_is_no_challenge(emulator: SupportEmulator) -> None:
    emulator.open_ticket_limit = 2
    emulator.seed(author=OTHER)
    emulator.seed(status="2")
    assert create(emulator).status == 200
    answer = create(emulator)
    assert (answer.status, answer.errors) == (
        401,
        {"detail": "Currenly Open Ticket Limit Exceed."},
    )
    assert "WWW-Authenticate" not in answer.headers
    assert (
        create(emulator, priority="9").status == 400
    )  # what is wrong with the ticket is said first
    set_status(emulator, "3", "102")
    assert create(emulator).status == 200
    assert len(emulator.ledger.of("tickets.create")) == 2


# Other people's tickets.


def test_nobody_touches_another_users_ticket(emulator: SupportEmulator) -> None:
    emulator.seed(author=OTHER, subject="Not mine")
    not_owner = "You are not the owner of the requested ticket"
    assert call(emulator, "GET", DETAIL, {"ticket_id": "101"}).errors == {"ticket": [not_owner]}
    assert update(emulator, "1").errors == {"ticket": [not_owner]}
    reply = call(emulator, "POST", REPLY, {"ticket": "101", "comment": "x"})
    assert reply.errors == {"ticket": [f"{not_owner}."]}
    assert set_status(emulator, "3").errors == {"ticket": ["You Can't open or close this Ticket"]}
    assert subjects(emulator) == []
    assert len(emulator.ledger) == 0
    other = emulator.issue_token(email=OTHER)
    assert call(emulator, "GET", DETAIL, {"ticket_id": "101"}, token=other).data["author"] == OTHER


# Refusals of fields.


def test_all_errors_of_a_create_come_together_and_in_order(emulator: SupportEmulator) -> None:
    answer = call(
        emulator,
        "POST",
        CREATE,
        {"subject": "x" * 501, "priority": "9", "category": "99", "attachment": "text"},
    )
    assert answer.status == 400
    assert list(answer.errors.items()) == [
        ("subject", ["Ensure this field has no more than 500 characters."]),
        ("priority", ['"9" is not a valid choice.']),
        ("comment", ["This field is required."]),
        ("category", ['Invalid pk "99" - object does not exist.']),
        (
            "attachment",
            ["The submitted data was not a file. Check the encoding type on the form."],
        ),
    ]
    assert len(emulator.ledger) == 0


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("subject", "", "This field may not be blank."),
        ("subject", " \t\u3000", "This field may not be blank."),
        ("comment", "a\0b", "Null characters are not allowed."),
        ("priority", "", '"" is not a valid choice.'),
        ("priority", " 1", '" 1" is not a valid choice.'),
        ("category", "", "This field may not be null."),
        ("category", "three", "Incorrect type. Expected pk value, received str."),
        ("category", "9" * 30, f'Invalid pk "{"9" * 30}" - object does not exist.'),
        ("category", "9" * 5000, "Incorrect type. Expected pk value, received str."),
    ],
)
def test_refusals_of_single_fields(
    emulator: SupportEmulator, field: str, value: str, text: str
) -> None:
    answer = call(emulator, "POST", CREATE, TICKET | {field: value})
    assert (answer.status, answer.errors) == (400, {field: [text]})


def test_files_in_place_of_texts(emulator: SupportEmulator) -> None:
    not_a_pk = "Incorrect type. Expected pk value, received {}."
    fields = [("subject", b"x"), ("priority", b"x"), ("comment", b"x"), ("category", b"x")]
    assert call(emulator, "POST", CREATE, fields).errors == {
        "subject": ["Not a valid string."],
        "priority": ['"sample.txt" is not a valid choice.'],
        "comment": ["Not a valid string."],
        "category": [not_a_pk.format("InMemoryUploadedFile")],
    }
    large = b"x" * 2_621_441
    answer = call(emulator, "POST", REPLY, [("ticket", large), ("comment", "x")])
    assert answer.errors == {"ticket": [not_a_pk.format("TemporaryUploadedFile")]}
    answer = call(emulator, "POST", STATUS, [("ticket", b"x"), ("status", b"x")])
    assert answer.errors == ID_REQUIRED | {"status": ['"sample.txt" is not a valid choice.']}


def test_the_name_of_a_file_has_a_limit(emulator: SupportEmulator) -> None:
    def errors(name: str) -> Any:
        body = multipart([*TICKET.items(), ("attachment", b"x")])
        body = body.replace(b"sample.txt", name.encode())
        return post(emulator, body, f"multipart/form-data; boundary={BOUNDARY}").json["errors"]

    assert errors("\xe9" * 100) == errors("dir/" + "x" * 100) == {}
    text = "Ensure this filename has at most 100 characters (it has 101)."
    assert errors("\xe9" * 101) == {"attachment": [text]}


@pytest.mark.parametrize("subject", ["x" * 500, "\N{GRINNING FACE}" * 500, f" {'x' * 500}\r\n"])
def test_the_subject_is_counted_in_code_points_after_trimming(
    emulator: SupportEmulator, subject: str
) -> None:
    assert create(emulator, subject=subject).status == 200
    assert detail(emulator, "101")["ticket"]["subject"] == subject.strip()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "The submitted file is empty."),
        (1, None),
        (1024, None),
        (1025, "File is too big. Max filesize: 1KiB."),
    ],
)
def test_the_size_of_a_file(size: int, text: str | None) -> None:
    with SupportEmulator(max_file=1024).in_thread() as emulator:
        answer = create(emulator, b"x" * size)
        if text is None:
            assert answer.data == {}
        else:
            assert (answer.status, answer.errors) == (400, {"attachment": [text]})


def test_the_usual_limit_of_a_file_is_two_mebibytes(emulator: SupportEmulator) -> None:
    assert create(emulator, b"x" * 2**21).status == 200
    answer = create(emulator, b"x" * (2**21 + 1))
    assert answer.errors == {"attachment": ["File is too big. Max filesize: 2MiB."]}


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ([], "This list may not be empty."),
        ([""], "Incorrect type. Expected pk value, received str."),
        (["1,2"], "Incorrect type. Expected pk value, received str."),
        (["1", "98", "99"], 'Invalid pk "98" - object does not exist.'),
    ],
)
def test_refusals_of_tags(emulator: SupportEmulator, tags: list[str], text: str) -> None:
    emulator.seed()
    answer = update(emulator, *tags, priority="9")
    assert answer.errors == {"priority": ['"9" is not a valid choice.'], "tags": [text]}


def test_an_update_without_any_body_lacks_its_id_first(emulator: SupportEmulator) -> None:
    assert call(emulator, "POST", UPDATE).errors == ID_REQUIRED


@pytest.mark.parametrize("value", ["abc", "1.5", "7", "-1", "9" * 5000])
def test_an_id_of_no_ticket(emulator: SupportEmulator, value: str) -> None:
    emulator.seed()
    assert call(emulator, "GET", DETAIL, {"ticket_id": value}).errors == ID_INVALID
    assert update(emulator, "99", ticket_id=value).errors == ID_INVALID
    assert set_status(emulator, "9", value).errors == ID_INVALID | {
        "status": ['"9" is not a valid choice.']
    }


@pytest.mark.parametrize("fields", [{}, {"ticket_id": ""}, {"ticket_id": "  "}])
def test_no_id_at_all(emulator: SupportEmulator, fields: dict[str, str]) -> None:
    emulator.seed()
    assert call(emulator, "GET", DETAIL, fields).errors == ID_REQUIRED
    assert call(emulator, "POST", UPDATE, fields).errors == ID_REQUIRED
    answer = call(emulator, "POST", STATUS, [("ticket", value) for value in fields.values()])
    assert answer.errors == ID_REQUIRED | {
        "status": ["Status id is required and this may not be blank."]
    }


def test_refusals_of_a_reply(emulator: SupportEmulator) -> None:
    def errors(**fields: str) -> Any:
        return call(emulator, "POST", REPLY, fields).errors

    required = ["This field is required."]
    assert errors() == {"ticket": required, "comment": required}
    assert errors(ticket="", comment=" ") == {
        "ticket": ["This field may not be null."],
        "comment": ["This field may not be blank."],
    }
    assert errors(ticket="x", comment="x") == {
        "ticket": ["Incorrect type. Expected pk value, received str."]
    }
    assert errors(ticket="7", comment="x") == {
        "ticket": ['Invalid pk "7" - object does not exist.']
    }


# The history.


def test_the_history_filters(emulator: SupportEmulator) -> None:
    emulator.seed(subject="Printer on fire", category=3, status="1")
    emulator.seed(subject="No printer", category=4, status="3")
    emulator.seed(subject="Else", category=4, status="1")
    assert subjects(emulator, subject="PRINTER") == ["No printer", "Printer on fire"]
    assert subjects(emulator, category="4") == ["Else", "No printer"]
    assert subjects(emulator, status="1") == ["Else", "Printer on fire"]
    assert subjects(emulator, status="1", category="4", subject="l") == ["Else"]
    assert subjects(emulator, status="1", offset="1", limit="5") == ["Printer on fire"]
    assert subjects(emulator, category="77") == subjects(emulator, status="9") == []
    assert len(subjects(emulator, category="", status="", subject="", offset="", limit="")) == 3


def test_filters_that_are_no_numbers_are_named_by_plain_texts(emulator: SupportEmulator) -> None:
    answer = call(emulator, "GET", HISTORY, category="x", status="-1")
    assert (answer.status, answer.errors) == (
        400,
        {
            "category": "Catogory id is not valid numeric",
            "status": "Status id is not valid numeric",
        },
    )


def test_the_history_pages(emulator: SupportEmulator) -> None:
    for number in range(60):
        emulator.seed(subject=str(number))
    newest_first = [str(number) for number in reversed(range(60))]
    assert subjects(emulator) == newest_first[:50]
    assert subjects(emulator, limit="3") == newest_first[:3]
    assert subjects(emulator, offset="55") == newest_first[55:]
    assert subjects(emulator, offset="10", limit="3") == newest_first[10:13]
    assert subjects(emulator, limit="0") == subjects(emulator, offset="60") == []


@pytest.mark.parametrize(
    "query", [{"offset": "x"}, {"limit": "-1"}, {"offset": "-1"}, {"offset": "9" * 30}]
)
def test_a_range_that_is_none_breaks_the_server(
    emulator: SupportEmulator, query: dict[str, Any]
) -> None:
    answer = call(emulator, "GET", HISTORY, **query)
    assert answer.status == 500
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<h1>Server Error (500)</h1>" in answer.body


# Where the detailed view looks.


@pytest.mark.parametrize(
    ("place", "from_body", "from_query", "from_both"),
    [("either", 101, 102, 101), ("body", 101, None, 101), ("query", None, 102, 102)],
)
def test_where_the_ticket_id_is_read(
    place: Any, from_body: int | None, from_query: int | None, from_both: int
) -> None:
    with SupportEmulator(ticket_id_from=place).in_thread() as emulator:
        emulator.seed()
        emulator.seed()
        body = call(emulator, "GET", DETAIL, {"ticket_id": "101"})
        query = call(emulator, "GET", DETAIL, ticket_id="102")
        both = call(emulator, "GET", DETAIL, {"ticket_id": "101"}, ticket_id="102")
        found = [
            None if answer.json["errors"] == ID_REQUIRED else answer.data["ticket"]["id"]
            for answer in (body, query, both)
        ]
        assert found == [from_body, from_query, from_both]


# What Django and the proxy do around it.


def test_errors_may_come_bare() -> None:
    with SupportEmulator(envelope="bare").in_thread() as emulator:
        assert create(emulator, priority="9").json == {"priority": ['"9" is not a valid choice.']}
        assert create(emulator).data == {}
        nobody = call(emulator, "GET", CATEGORIES, headers={"Authorization": None})
        assert nobody.json == {"detail": "Authentication credentials were not provided."}
        assert emulator.refusal("No").body == b'{"non_field_errors":["No"]}'


def test_unknown_paths_get_djangos_page(emulator: SupportEmulator) -> None:
    for path in (
        "/",
        "/support/nowhere/",
        "/%E2%80%8Esupport/ticket/status/",
        DOWNLOAD.format("x"),
    ):
        answer = call(emulator, "POST", path, headers={"apikey": None})
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"<h1>Not Found</h1>" in answer.body


def test_a_path_without_its_last_slash_is_redirected(emulator: SupportEmulator) -> None:
    answer = call(emulator, "POST", CREATE.rstrip("/"), TICKET, x="1")
    assert (answer.status, answer.headers["Location"]) == (301, f"{CREATE}?x=1")
    assert call(emulator, "GET", "/support/nowhere").status == 404
    assert len(emulator.ledger) == 0


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", CREATE, "POST, OPTIONS"),
        ("POST", CATEGORIES, "GET, HEAD, OPTIONS"),
        ("DELETE", DOWNLOAD.format("901"), "GET, HEAD, OPTIONS"),
        ("GET", LOGIN, "POST, OPTIONS"),
    ],
)
def test_the_wrong_method(emulator: SupportEmulator, method: str, path: str, allow: str) -> None:
    answer = call(emulator, method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allow)
    assert answer.errors == {"detail": f'Method "{method}" not allowed.'}


def test_head_is_get_without_its_body(emulator: SupportEmulator) -> None:
    answer = call(emulator, "HEAD", CATEGORIES)
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 100


def test_another_format_is_not_found(emulator: SupportEmulator) -> None:
    assert call(emulator, "GET", CATEGORIES, format="json").status == 200
    answer = call(emulator, "GET", CATEGORIES, format="xml")
    assert (answer.status, answer.errors) == (404, {"detail": "Not found."})


def test_the_order_of_checks(emulator: SupportEmulator) -> None:
    """What the client takes, who it is, its key, its method, its body."""
    wrong: dict[str, str | None] = {
        "Accept": "text/html",
        "Authorization": None,
        "apikey": "wrong",
        "Content-Type": "text/plain",
    }
    statuses: list[int] = []
    for name, right in (
        ("Accept", "application/*;q=0.5, text/html"),
        ("Authorization", f"Bearer {emulator.token}"),
        ("apikey", emulator.apikey),
        ("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),
    ):
        statuses.append(call(emulator, "POST", CREATE, {"x": "y"}, headers=wrong).status)
        if name == "apikey":
            statuses.append(call(emulator, "PUT", CREATE, headers=wrong | {name: right}).status)
        wrong[name] = right
    statuses.append(call(emulator, "POST", CREATE, {"x": "y"}, headers=wrong).status)
    assert statuses == [406, 401, 403, 405, 415, 400]


def test_bodies_that_are_no_forms(emulator: SupportEmulator) -> None:
    json_type = "application/json; charset=utf-8"
    answer = post(emulator, json.dumps(TICKET).encode(), json_type)
    assert (answer.status, answer.errors["detail"]) == (
        415,
        f'Unsupported media type "{json_type}" in request.',
    )
    answer = post(emulator, b"x", "multipart/form-data")
    assert (answer.status, answer.errors["detail"]) == (
        400,
        "Multipart form parse error - Invalid boundary in multipart: None",
    )
    answer = post(emulator, b"subject=x", "application/x-www-form-urlencoded; charset=base64")
    assert (answer.status, answer.errors["detail"]) == (
        400,
        'Unsupported charset "base64" in request Content-Type header.',
    )
    answer = post(emulator, b"subject=" + b"x" * 2_700_000, "application/x-www-form-urlencoded")
    assert answer.status == 400
    assert b"<h1>Bad Request (400)</h1>" in answer.body
    for content_type in ("text/plain; " + "x" * 300, "multipart/form-data; boundary*=nowhere''x"):
        answer = post(emulator, b"x", content_type)
        assert (answer.status, answer.errors["detail"]) == (
            415,
            f'Unsupported media type "{content_type}" in request.',
        )
    answer = post(
        emulator, b"subject=\xe9&comment=x", "application/x-www-form-urlencoded; charset=nowhere"
    )
    assert set(answer.errors) == {"priority", "category"}


def test_a_body_in_chunks_is_not_read(emulator: SupportEmulator) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=5)
    headers = {
        "apikey": emulator.apikey,
        "Authorization": f"Bearer {emulator.token}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Transfer-Encoding": "chunked",
    }
    content = multipart(list(TICKET.items()))
    connection.request("POST", CREATE, iter([content]), headers, encode_chunked=True)
    reply = connection.getresponse()
    errors = json.loads(reply.read())["errors"]
    connection.close()
    assert reply.status == 400
    assert errors == {name: ["This field is required."] for name in TICKET}


def test_a_proxy_refuses_what_is_too_large() -> None:
    with SupportEmulator(max_body=1000).in_thread() as emulator:
        assert create(emulator).status == 200
        answer = create(emulator, b"x" * 1000)
        assert (answer.status, answer.headers["Content-Type"]) == (413, "text/html")
        assert b"<h1>413 Request Entity Too Large</h1>" in answer.body
        assert len(emulator.ledger) == 1


@pytest.mark.parametrize(
    "settings", [{"envelope": "none"}, {"ticket_id_from": "path"}, {"users": {}}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings)).rstrip("s")):
        SupportEmulator(**settings)


def test_what_cannot_be_is_not_seeded(emulator: SupportEmulator) -> None:
    with pytest.raises(ValueError, match="no category 7"):
        emulator.seed(category=7)
    with pytest.raises(ValueError, match=r"no tags \[9\]"):
        emulator.seed(tags=[1, 9])
    assert emulator.ticket("101") is None
