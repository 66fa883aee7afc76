"""One shape for every error body: those of SERVICE.md, and those nobody foresaw."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support_async._error_parsing import Refusal, plain, refusal_of, status_code_of

Fields = dict[str, tuple[str, ...]]

M = "This field is required."
GONE = 'Invalid pk "99" - object does not exist.'
DETAIL = "Given token not valid for any token type"

# Body, its fields, its words. The numbers are those of SERVICE.md, section 6.2.
VARIANTS: dict[str, tuple[Any, Fields, str | None]] = {
    "1 enveloped": (
        {"status_code": 400, "errors": {"subject": [M]}, "data": {}},
        {"subject": (M,)},
        f"subject: {M}",
    ),
    "1 two fields": (
        {"status_code": 400, "errors": {"subject": [M], "comment": [M]}, "data": {}},
        {"subject": (M,), "comment": (M,)},
        "subject: This field is required; comment: This field is required",
    ),
    "1 two texts": (
        {"errors": {"comment": [M, "Too short."]}},
        {"comment": (M, "Too short.")},
        f"comment: {M} Too short.",
    ),
    "1 errors alone": ({"errors": {"subject": [M]}}, {"subject": (M,)}, f"subject: {M}"),
    "1 with its data": (
        {"errors": {"subject": [M]}, "data": {"comment": "an echo"}},
        {"subject": (M,)},
        f"subject: {M}",
    ),
    "1 with a message": (
        {"status_code": 400, "errors": {"subject": [M]}, "data": {}, "message": "Bad"},
        {"": ("Bad",), "subject": (M,)},
        "Bad; subject: This field is required",
    ),
    "1 with an empty message": (
        {"errors": {"subject": [M]}, "message": ""},
        {"subject": (M,)},
        f"subject: {M}",
    ),
    "1 nothing but a message": (
        {"status_code": 400, "errors": {}, "data": {}, "message": "Bad request"},
        {"": ("Bad request",)},
        "Bad request",
    ),
    "1 nothing at all": ({"status_code": 400, "errors": {}, "data": {}}, {}, None),
    "2 a text": ({"errors": {"subject": M}}, {"subject": (M,)}, f"subject: {M}"),
    "3 errors is a text": ({"errors": "No."}, {"": ("No.",)}, "No."),
    "3 errors is a list": ({"errors": ["No.", "Never."]}, {"": ("No.", "Never.")}, "No. Never."),
    "3 errors is null": ({"errors": None}, {}, None),
    "4 detail": (
        {"status_code": 401, "errors": {"detail": DETAIL, "code": "token_not_valid"}},
        {"": (DETAIL,)},
        DETAIL,
    ),
    "4 detail with messages": (
        {
            "errors": {
                "detail": DETAIL,
                "code": "token_not_valid",
                "messages": [
                    {"token_class": "AccessToken", "token_type": "access", "message": "Expired"}
                ],
            }
        },
        {"": (DETAIL,)},
        f"{DETAIL}; Expired",
    ),
    "4 detail as a list": ({"errors": {"detail": [DETAIL]}}, {"": (DETAIL,)}, DETAIL),
    "4 detail wrapped twice": (
        {"errors": {"detail": {"detail": DETAIL, "code": "token_not_valid"}}},
        {"": (DETAIL,)},
        DETAIL,
    ),
    "5 non_field_errors": ({"errors": {"non_field_errors": ["No."]}}, {"": ("No.",)}, "No."),
    "5 an empty key": ({"errors": {"": ["No."]}}, {"": ("No.",)}, "No."),
    "5 a blank key": ({"errors": {"  ": ["No."]}}, {"": ("No.",)}, "No."),
    "5 __all__": ({"errors": {"__all__": ["No."]}}, {"": ("No.",)}, "No."),
    "5 beside a field": (
        {"errors": {"subject": [M], "non_field_errors": ["No."]}},
        {"": ("No.",), "subject": (M,)},
        "No; subject: This field is required",
    ),
    "6 bare": ({"subject": [M]}, {"subject": (M,)}, f"subject: {M}"),
    "6 bare, a text": ({"category": "is not valid"}, {"category": ("is not valid",)}, None),
    "6 bare status": ({"status": [M]}, {"status": (M,)}, f"status: {M}"),
    "6 bare data": ({"data": [M]}, {"data": (M,)}, f"data: {M}"),
    "6 bare code": ({"code": [M]}, {"code": (M,)}, f"code: {M}"),
    "6 bare messages": ({"messages": [M]}, {"messages": (M,)}, f"messages: {M}"),
    "6 bare status_code": ({"status_code": [M]}, {"status_code": (M,)}, f"status_code: {M}"),
    "6 bare empty list": ({"subject": []}, {}, None),
    "6 bare null": ({"subject": None, "comment": [None, M]}, {"comment": (M,)}, None),
    "7 detail": ({"detail": "Not found."}, {"": ("Not found.",)}, "Not found."),
    "7 detail with code": ({"detail": DETAIL, "code": "x"}, {"": (DETAIL,)}, DETAIL),
    "7 detail with a list of one code": ({"detail": "a", "code": ["x"]}, {"": ("a",)}, "a"),
    "7 detail with a status": ({"detail": "a", "status_code": 404}, {"": ("a",)}, "a"),
    "8 a list": (["No.", "Never."], {"": ("No.", "Never.")}, "No. Never."),
    "8 a text": ("No.", {"": ("No.",)}, "No."),
    "8 a list of lists": ([["No."], [["Never."]]], {"": ("No.", "Never.")}, "No. Never."),
    "8 an empty list": ([], {}, None),
    "9 nested by index": ({"tags": {"1": [GONE]}}, {"tags.1": (GONE,)}, f"tags.1: {GONE}"),
    "9 a list of objects": (
        {"errors": {"tags": [{}, {"id": [GONE]}]}},
        {"tags.1.id": (GONE,)},
        f"tags.1.id: {GONE}",
    ),
    "9 texts and objects": (
        {"tags": ["No.", {"id": [GONE]}]},
        {"tags": ("No.",), "tags.1.id": (GONE,)},
        None,
    ),
    "9 nested, of no field": (
        {"tags": {"1": {"non_field_errors": ["No."]}}},
        {"tags.1": ("No.",)},
        "tags.1: No.",
    ),
    "9 nested detail": (
        {"tags": {"detail": "No.", "code": "invalid"}},
        {"tags": ("No.",)},
        "tags: No.",
    ),
    "9 a top-level list of objects": ([{}, {"tags": ["No."]}], {"1.tags": ("No.",)}, None),
    "9 a top-level list of messages": ([{"message": "No."}], {"": ("No.",)}, "No."),
    "10 message": ({"message": "No route"}, {"": ("No route",)}, "No route"),
    "10 error": ({"error": "No route"}, {"": ("No route",)}, "No route"),
    "10 error with a message": (
        {"error": {"message": "No route"}, "request_id": "7"},
        {"": ("No route",), "request_id": ("7",)},
        "No route; request_id: 7",
    ),
    "10 message with a status": (
        {"status_code": 502, "message": "Bad gateway"},
        {"": ("Bad gateway",)},
        "Bad gateway",
    ),
    "a wrapper with keys of its own": (
        {"success": False, "errors": {"subject": [M]}},
        {"success": ("False",), "subject": (M,)},
        None,
    ),
    "ticket": ({"ticket": ["is gone"]}, {"ticket_id": ("is gone",)}, "ticket_id: is gone"),
    "ticket_id": ({"ticket_id": ["is gone"]}, {"ticket_id": ("is gone",)}, None),
    "ticket and ticket_id": (
        {"ticket": ["a", "b"], "ticket_id": ["b", "c"]},
        {"ticket_id": ("a", "b", "c")},
        None,
    ),
    "ticket, nested": ({"ticket": {"0": ["a"]}}, {"ticket_id.0": ("a",)}, None),
    "a field below that is called ticket": ({"x": {"ticket": ["a"]}}, {"x.ticket": ("a",)}, None),
    "a text that names its field": (
        {"ticket": ["Ticket is already closed"]},
        {"ticket_id": ("Ticket is already closed",)},
        "Ticket is already closed",
    ),
    "numbers": ({"subject": [1, 2.5, True]}, {"subject": ("1", "2.5", "True")}, None),
    "line breaks": ({"subject": [" a\r\n b "]}, {"subject": ("a b",)}, "subject: a b"),
    "blank": ({"subject": ["  \n "]}, {}, None),
    "error_type": (
        {"errors": {"": "No."}, "error_type": "Request Failed"},
        {"": ("No.",)},
        "No.",
    ),
    "error_type beside detail": ({"detail": "a", "error_type": "b"}, {"": ("a",)}, "a"),
    "error_type alone": ({"errors": {}, "error_type": "Request Failed"}, {}, "Request Failed"),
    "the answer of a login": ({"access": "aaa", "refresh": "bbb"}, {}, None),
    "a complaint about refresh": ({"refresh": [M]}, {"refresh": (M,)}, f"refresh: {M}"),
    "null": (None, {}, None),
    "a number": (5, {"": ("5",)}, "5"),
    "an empty object": ({}, {}, None),
}


@pytest.mark.parametrize("label", VARIANTS)
def test_every_variant_is_brought_into_one_shape(label: str) -> None:
    body, fields, words = VARIANTS[label]
    refusal = refusal_of(body)
    assert refusal.fields == fields
    assert not refusal.cut
    if words is not None or not fields:
        assert refusal.words == words


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"detail": "x", "code": "token_not_valid"}, "token_not_valid"),
        ({"detail": "x", "code": ["token_not_valid"]}, "token_not_valid"),
        ({"errors": {"detail": "x", "code": "token_not_valid"}}, "token_not_valid"),
        ({"errors": {"detail": {"detail": "x", "code": "token_not_valid"}}}, "token_not_valid"),
        ({"code": "token_not_valid"}, None),
        ({"code": ["token_not_valid"], "subject": ["x"]}, None),
        ({"tags": {"detail": "x", "code": "token_not_valid"}}, None),
        ({"detail": "x", "code": 7}, None),
        ({"detail": "x", "code": "two words"}, None),
        ({"detail": "x", "code": "x" * 65}, None),
        ({"detail": "x", "code": ["a", "b"]}, None),
    ],
    ids=str,
)
def test_a_code_counts_only_beside_detail(body: Any, code: str | None) -> None:
    assert refusal_of(body).code == code


@pytest.mark.parametrize(
    ("body", "enveloped", "detailed"),
    [
        ({"errors": {}}, True, False),
        (
            {"errors": {}, "data": {}, "status_code": 1, "message": "", "error_type": ""},
            True,
            False,
        ),
        ({"errors": {"detail": "x"}}, True, True),
        ({"errors": {}, "success": False}, False, False),
        ({"status_code": 400, "data": {}}, False, False),
        ({"status": ["x"]}, False, False),
        ({"detail": "x"}, False, True),
        ({"tags": {"detail": "x"}}, False, False),
        (["x"], False, False),
    ],
    ids=str,
)
def test_only_errors_makes_an_envelope(body: Any, enveloped: bool, detailed: bool) -> None:
    refusal = refusal_of(body)
    assert (refusal.enveloped, refusal.detailed) == (enveloped, detailed)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status_code": 400}, 400),
        ({"status_code": "400"}, 400),
        ({"status_code": 999}, 999),
        ({"status_code": 1000}, None),
        ({"status_code": 99}, None),
        ({"status_code": -400}, None),
        ({"status_code": 400.0}, None),
        ({"status_code": True}, None),
        ({"status_code": None}, None),
        ({"status_code": "ok"}, None),
        ({"status_code": "٤٠٠"}, None),
        ({"status_code": ["400"]}, None),
        ({}, None),
        ([400], None),
        (400, None),
        (None, None),
    ],
    ids=str,
)
def test_the_status_in_a_body(body: Any, status: int | None) -> None:
    assert status_code_of(body) == status
    assert refusal_of(body).status_code == status


def test_a_status_beside_detail_is_found_inside() -> None:
    assert refusal_of({"errors": {"detail": "x", "status_code": 401}}).status_code == 401
    assert (
        refusal_of({"status_code": 400, "errors": {"detail": "x", "status_code": 401}}).status_code
        == 400
    )


def test_the_label_of_an_error_is_kept() -> None:
    assert refusal_of({"errors": {}, "error_type": " Request\nFailed "}).error_type == (
        "Request Failed"
    )
    assert refusal_of({"error_type": ["x"]}).fields == {"error_type": ("x",)}


def test_messages_in_any_form() -> None:
    body = {"detail": "x", "messages": ["a", {"message": "b"}, {"message": 5}, 7, None, {}]}
    assert refusal_of(body).messages == ("a", "b")
    assert refusal_of({"detail": "x", "messages": "a"}).messages == ()
    assert len(refusal_of({"detail": "x", "messages": ["a"] * 1000}).messages) == 16


def test_what_it_shows_of_itself_holds_no_text() -> None:
    refusal = refusal_of({"errors": {"subject": ["words"], "detail": "words"}, "status_code": 400})
    for shown in (repr(refusal), str(refusal), f"{refusal}"):
        assert "words" not in shown
        assert "400" in shown


# --- nothing is without end --------------------------------------------------------------------


def nested(levels: int, inner: Any, as_list: bool = False) -> Any:
    for _ in range(levels):
        inner = [inner] if as_list else {"a": inner}
    return inner


@pytest.mark.parametrize(
    "body",
    [
        nested(500, "deep"),
        nested(500, "deep", as_list=True),
        {"errors": nested(100, "deep")},
        {"detail": nested(100, "deep")},
        ["x"] * 100_000,
        [["x"]] * 100_000,
        {f"field{n}": ["x"] for n in range(100_000)},
        {"subject": [f"text {n}" for n in range(100_000)]},
        {"subject": {str(n): {str(m): "x" for m in range(100)} for n in range(100)}},
        {f"f{n}": ["x" * 400] for n in range(60)},
    ],
    ids=lambda body: type(body).__name__,
)
def test_what_is_too_much_is_cut_and_says_so(body: Any) -> None:
    refusal = refusal_of(body)
    assert refusal.cut
    assert len(refusal.fields) <= 64
    assert sum(len(t) for texts in refusal.fields.values() for t in texts) <= 8_000
    if refusal.words:
        assert refusal.words.endswith(" …")


def test_what_fits_is_whole() -> None:
    assert not refusal_of(nested(8, "deep")).cut
    assert not refusal_of({f"f{n}": ["x"] for n in range(64)}).cut
    assert refusal_of({f"f{n}": ["x"] for n in range(65)}).cut
    assert not refusal_of({"f": [str(n) for n in range(16)]}).cut
    assert refusal_of({"f": [str(n) for n in range(17)]}).cut


def test_long_texts_and_names_are_cut() -> None:
    refusal = refusal_of({"n" * 1000: ["t" * 100_000]})
    ((name, (text,)),) = refusal.fields.items()
    assert len(name) == 60
    assert name.endswith("…")
    assert len(text) == 500
    assert text.endswith("…")


def test_what_cannot_become_a_text_is_named_by_its_type() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert refusal_of({"f": 10**5000}).fields == {"f": ("(int)",)}
    assert refusal_of({"f": Odd(), 5: "x"}).fields == {"f": ("(Odd)",), "5": ("x",)}


@pytest.mark.parametrize("body", [{"f": ["x" * 10**6]}, {"f" * 10**6: "x"}, "x" * 10**6])
def test_only_the_beginning_of_a_text_is_read(body: Any) -> None:
    lengths: list[int] = []

    def mask(text: str) -> str:
        lengths.append(len(text))
        return text

    refusal_of(body, mask)
    assert lengths
    assert max(lengths) <= 8_000


# --- nothing secret ----------------------------------------------------------------------------

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbiI6ImFjY2VzcyJ9.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw"


@pytest.mark.parametrize(
    "body",
    [
        {"detail": f"Token {JWT} is invalid"},
        {"errors": {"token": [JWT]}},
        {"access": JWT, "refresh": JWT},
        {"errors": {"data": {"access": "opaque-canary", "refresh": "opaque-canary"}}},
        {"data": {"access": "opaque-canary"}},
        {"errors": {JWT: ["x"]}},
        {"errors": {}, "error_type": JWT},
        {"detail": "x", "messages": [JWT]},
    ],
    ids=str,
)
def test_no_token_survives(body: Any) -> None:
    refusal = refusal_of(body)
    shown = f"{refusal.fields} {refusal.words} {refusal.error_type} {refusal.messages}"
    assert "opaque-canary" not in shown
    assert JWT[:12] not in shown


@pytest.mark.parametrize("offset", [0, 490, 496, 499, 3990, 7990])
def test_secrets_are_hidden_before_anything_is_cut(offset: int) -> None:
    secret = "canary-0123456789"
    for body in ({"f": ["x" * offset + secret]}, {"f" * 55 + secret: ["x"]}):
        refusal = refusal_of(body, lambda text: text.replace(secret, "***"))
        assert "cana" not in f"{refusal.fields}"


# --- any JSON at all ---------------------------------------------------------------------------

KEYS = st.sampled_from(
    [
        "errors",
        "data",
        "detail",
        "code",
        "messages",
        "message",
        "status_code",
        "error",
        "error_type",
        "ticket",
        "ticket_id",
        "tags",
        "status",
        "non_field_errors",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=4)
    ),
    max_leaves=30,
)


@given(JSON)
def test_no_body_is_too_much(body: Any) -> None:
    refusal = refusal_of(body)
    assert isinstance(refusal, Refusal)
    for name, texts in refusal.fields.items():
        assert texts
        for text in texts:
            assert text.strip() == text
            assert "\n" not in text
            assert len(text) <= 500
        assert len(set(texts)) == len(texts)
        assert name == name.strip()
    assert refusal.words is None or refusal.words.strip()
    assert refusal_of(body) == refusal


@given(
    st.dictionaries(
        st.sampled_from(["subject", "comment", "tags", "category"]), st.lists(st.text())
    )
)
def test_the_envelope_changes_nothing_in_what_is_said(errors: dict[str, list[str]]) -> None:
    bare = refusal_of(errors)
    wrapped = refusal_of({"status_code": 400, "errors": errors, "data": {}})
    assert wrapped.fields == bare.fields
    assert wrapped.words == bare.words


@given(st.dictionaries(st.sampled_from(["subject", "comment", "category"]), st.text()))
def test_a_text_is_a_list_of_one(errors: dict[str, str]) -> None:
    assert refusal_of(errors).fields == refusal_of({k: [v] for k, v in errors.items()}).fields


@pytest.mark.parametrize(
    "text",
    [
        "Ticket id is not valid,",
        " ticket ID  is\nnot valid .",
        "TICKET ID IS NOT VALID",
        "ticket id is not valid",
    ],
)
def test_hints_are_compared_without_what_differs_from_page_to_page(text: str) -> None:
    assert plain(text) == "ticket id is not valid"


def test_hints_are_found_by_field() -> None:
    refusal = refusal_of(
        orjson.loads(b'{"ticket": {"0": ["A."]}, "ticket_id": "B,", "detail": "C"}')
    )
    assert refusal.hint("ticket_id") == "a b"
    assert refusal.hint("") == "c"
    assert refusal.hint("tick") == ""
    assert refusal.hints() == "c a b"
