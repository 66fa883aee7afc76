from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapture_async import InvalidInputError
from kapture_async._core.transport.request import (
    Attachment,
    Body,
    Form,
    form_body,
    json_body,
    media_type_of,
)


def parts_of(body: Body) -> list[tuple[str | None, str | None, str, bytes]]:
    raw = b"Content-Type: " + body.content_type.encode() + b"\r\n\r\n" + b"".join(body.segments)
    message = email.message_from_bytes(raw, policy=email.policy.HTTP)
    return [
        (
            part.get_param("name", header="content-disposition"),  # type: ignore[misc]
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()  # type: ignore[attr-defined]
    ]


def test_json_is_made_once_and_its_size_is_known() -> None:
    body = json_body([{"a": "é"}])
    assert body.segments == ('[{"a":"é"}]'.encode(),)
    assert body.size == 12
    assert "é" not in repr(body)


@pytest.mark.parametrize("value", [{"a": object()}, {"a": "\ud800"}, {1: "x"}, {"a": {1, 2}}])
def test_what_json_cannot_carry_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        json_body(value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_form_repeats_names_and_knows_its_size() -> None:
    content = b"x" * 300_000
    form = Form(
        fields=(("tags", "1"), ("tags", "2"), ("subject", "grüße\r\nzwei")),
        files=(("attachment", Attachment("a.png", content)),),
    )
    body = form_body(form)
    assert body.size == sum(map(len, body.segments))
    assert any(segment is content for segment in body.segments)  # not copied
    assert parts_of(body) == [
        ("tags", None, "text/plain", b"1"),
        ("tags", None, "text/plain", b"2"),
        ("subject", None, "text/plain", "grüße\r\nzwei".encode()),
        ("attachment", "a.png", "image/png", content),
    ]


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("résumé.txt", "résumé.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.pdf", "y.pdf"),
        ('a"b\r\nX: y.txt', "a_b__X: y.txt"),
        ("", "file"),
        ("/", "file"),
    ],
)
def test_file_names_are_cleaned_not_encoded(name: str, sent: str) -> None:
    body = form_body(Form(files=(("f", Attachment(name, b"")),)))
    assert f'filename="{sent}"'.encode() in b"".join(body.segments)


@pytest.mark.parametrize("name", ["", 'a"b', "a\r\nb"])
def test_a_field_name_cannot_smuggle(name: str) -> None:
    with pytest.raises(InvalidInputError):
        form_body(Form(fields=((name, "x"),)))


def test_a_content_type_cannot_smuggle() -> None:
    with pytest.raises(InvalidInputError):
        form_body(Form(files=(("f", Attachment("a", b"", "text/plain\r\nX: y")),)))


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.binary(max_size=50)), max_size=5))
def test_any_content_survives(files: list[tuple[str, bytes]]) -> None:
    form = Form(files=tuple((name, Attachment("f.bin", data)) for name, data in files))
    body = form_body(form)
    joined = b"".join(body.segments)
    assert len(joined) == body.size
    for _, data in files:
        assert b"\r\n\r\n" + data + b"\r\n" in joined


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.json", "application/json"),
        ("a.json.gz", "application/gzip"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.txt.bz2", "application/x-bzip"),
        ("a.tar.xz", "application/x-xz"),
        ("a", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
    ],
)
def test_what_is_packed_is_of_the_packing_s_type(name: str, kind: str) -> None:
    assert media_type_of(name) == kind
    body = form_body(Form((), (("file", Attachment(name, b"x")),)))
    assert f"Content-Type: {kind}\r\n".encode() in b"".join(body.segments)
