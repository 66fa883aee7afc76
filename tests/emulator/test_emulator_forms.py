"""The form reader reads what Django reads: by tables, and by asking Django itself."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from kapture_async._core.testing.forms import (
    MAX_FIELDS,
    MAX_FILES,
    MAX_TEXT,
    Form,
    FormFile,
    FormTooLarge,
    UnreadableForm,
    header_parameters,
    read_multipart,
    read_urlencoded,
)

TYPE = "multipart/form-data; boundary=xyz"
URLENCODED = "application/x-www-form-urlencoded"
DISPOSITION = b"Content-Disposition: form-data; "


def form(*parts: tuple[bytes, bytes], end: bytes = b"--xyz--\r\n") -> bytes:
    """Return a body of parts: the lines of each head, and its content."""
    return b"".join(b"--xyz\r\n%s\r\n\r\n%s\r\n" % part for part in parts) + end


def text(name: bytes, content: bytes) -> tuple[bytes, bytes]:
    return DISPOSITION + b'name="%s"' % name, content


def file(name: bytes, content: bytes = b"x", *, said: bytes | None = None) -> tuple[bytes, bytes]:
    """A file in the field ``f``; ``said`` is what its disposition says instead of a quoted name."""
    said = b'filename="%s"' % name if said is None else said
    return DISPOSITION + b'name="f"; ' + said + b"\r\nContent-Type: text/plain", content


def names(body: bytes) -> list[str]:
    return [file.name for file in read_multipart(body, TYPE).files.get("f", ())]


# What a form is.


def test_values_keep_their_order_and_files_come_after_texts() -> None:
    found = read_multipart(
        form(file(b"a.txt"), text(b"f", b"one"), text(b"f", b"two"), text(b"g", b"three")), TYPE
    )
    upload = FormFile("a.txt", b"x", "text/plain")
    assert found.values("f") == ["one", "two", upload]
    assert found.last("f") is found.files["f"][0]
    assert (found.last("g"), found.last("h")) == ("three", None)
    assert list(found) == ["f", "g"]
    assert "g" in found
    assert "h" not in found
    assert upload.size == 1


def test_no_repr_holds_what_was_sent() -> None:
    found = read_multipart(form(text(b"name", b"secret"), file(b"a.txt", b"secret")), TYPE)
    assert repr(found) == "Form(name, f)"
    assert "secret" not in repr(found.files)


def test_an_empty_body_is_an_empty_form() -> None:
    for found in (read_multipart(b"", TYPE), read_urlencoded(b""), Form()):
        assert list(found) == []


# Urlencoded forms.


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (b"a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        (b"a=x+y%2Bz&b=%C3%A9", {"a": ["x y+z"], "b": ["\xe9"]}),
        (b"a=&b&=c", {"a": [""], "b": [""], "": ["c"]}),
        (b"a=1;b=2", {"a": ["1;b=2"]}),
        (b"a=%FF%zz", {"a": ["\ufffd%zz"]}),
        ("a=\xe9".encode("latin-1"), {"a": ["\xe9"]}),
        ("a=\xe9".encode(), {"a": ["\xe9"]}),
    ],
)
def test_urlencoded(body: bytes, texts: dict[str, list[str]]) -> None:
    assert read_urlencoded(body).texts == texts


def test_urlencoded_in_another_charset() -> None:
    assert read_urlencoded(b"a=%E9", "iso-8859-1").texts == {"a": ["\xe9"]}


# Multipart forms.


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", ""),
        (b" a\r\nb\r\n ", " a\r\nb\r\n "),
        (b"a\r\n\r\n", "a\r\n\r\n"),
        (b"--xy", "--xy"),
        ("\N{GRINNING FACE}".encode(), "\N{GRINNING FACE}"),
        (b"\xff\0", "\ufffd\0"),
    ],
)
def test_texts(content: bytes, seen: str) -> None:
    assert read_multipart(form(text(b"a", content)), TYPE).texts == {"a": [seen]}


@pytest.mark.parametrize(
    "head",
    [
        b"content-disposition:form-data;name=a",
        b"CONTENT-DISPOSITION: form-data; name=a",
        b"Content-Disposition: attachment; name = a ; other",
        b'Content-Type: text/plain\r\nContent-Disposition: form-data; name=" a "',
        b"nonsense\r\n\xff: x\r\nContent-Disposition: form-data; name=a",
        b"Content-Disposition: form-data; name*=utf-8''a",
        b'Content-Disposition: form-data; name="a"; filename=""',
    ],
)
def test_ways_to_say_that_a_part_is_the_text_a(head: bytes) -> None:
    assert read_multipart(form((head, b"1")), TYPE).texts == {"a": ["1"]}


@pytest.mark.parametrize(
    "head",
    [
        b"X: y",
        b"Content-Disposition: form-data",
        b'Content-Disposition: form-data; filename="a.txt"',
        b"Content-Disposition: form-data; name=\"a\"; filename*=nowhere''b",
        b'Content-Disposition : form-data; name="a"',
    ],
)
def test_parts_that_are_none(head: bytes) -> None:
    found = read_multipart(form((head, b"1"), text(b"b", b"2")), TYPE)
    assert (found.texts, found.files) == ({"b": ["2"]}, {})


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"a b.txt", "a b.txt"),
        ("r\xe9sum\xe9.txt".encode(), "r\xe9sum\xe9.txt"),
        (b"../../etc/passwd", "passwd"),
        (b"C:\\\\dir\\\\a.txt", "a.txt"),
        (b'a\\"b.txt', 'a"b.txt'),
        (b"a%22b.txt", "a%22b.txt"),
        (b"a&amp;b&#47;c.txt", "c.txt"),
        (b"a\tb\x01c", "abc"),
        (b" ", " "),
        (b"x" * 300 + b".txt", "x" * 251 + ".txt"),
        (b"x." + b"y" * 300, "." + "y" * 254),
    ],
)
def test_file_names(sent: bytes, kept: str) -> None:
    assert names(form(file(sent))) == [kept]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (b"filename=bare.txt", "bare.txt"),
        (b"filename*=UTF-8''r%C3%A9sum%C3%A9.txt", "r\xe9sum\xe9.txt"),
        (b"filename*=utf-8'en'%E2%82%AC", "\u20ac"),
        (b"filename*=iso-8859-1''%E9", "\xe9"),
        (b"filename=\"plain\"; filename*=UTF-8''better", "better"),
        (b"filename*=UTF-8''better; filename=\"plain\"", "better"),
        (b"filename*=UTF-8''..%2F..%2Fa", "a"),
    ],
)
def test_forms_of_file_names(said: bytes, kept: str) -> None:
    assert names(form(file(b"", said=said))) == [kept]


@pytest.mark.parametrize("name", [b".", b"..", b"dir/", b"a\\\\", b"\x01"])
def test_files_without_a_usable_name_are_passed_over(name: bytes) -> None:
    found = read_multipart(form(file(name), text(b"a", b"1")), TYPE)
    assert (found.texts, found.files) == ({"a": ["1"]}, {})


def test_a_file_is_its_bytes() -> None:
    content = bytes(range(256)) + b"\r\n--\r\n\r\n--xy\r\n"
    [found] = read_multipart(form(file(b"a", content)), TYPE).files["f"]
    assert found == FormFile("a", content, "text/plain")


@pytest.mark.parametrize("end", [b"", b"--xyz"])
def test_a_file_cut_off_is_not_there_but_a_text_is(end: bytes) -> None:
    assert names(form(file(b"a"), end=end)) == []
    assert names(form(file(b"a"), text(b"t", b"1"), end=end)) == ["a"]
    cut = read_multipart(form(text(b"t", b"1"), end=end), TYPE)
    assert cut.texts == {"t": ["1\r\n" if end == b"" else "1"]}


def test_line_ends_before_a_boundary_may_be_incomplete() -> None:
    for line_end in (b"\r\n", b"\n", b"\r", b""):
        body = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n1' + line_end
        assert read_multipart(body + b"--xyz--", TYPE).texts == {"a": ["1"]}


def test_what_stands_around_the_parts_is_nothing() -> None:
    found = read_multipart(b"preamble\r\n" + form(text(b"a", b"1")) + b"epilogue", TYPE)
    assert found.texts == {"a": ["1"]}


def test_base64_is_decoded() -> None:
    coding = b"\r\nContent-Transfer-Encoding: base64"
    head, _ = text(b"a", b"")
    found = read_multipart(form((head + coding, b"Zm9v"), (head + coding, b"Zm9")), TYPE)
    assert found.texts == {"a": ["foo", "Zm9"]}
    head, _ = file(b"a")
    [upload] = read_multipart(form((head + coding, b"Zm\r\n 9v")), TYPE).files["f"]
    assert upload.content == b"foo"
    for content in (b"Zm9", b"Z==="):
        with pytest.raises(UnreadableForm, match=r"^Could not decode base64 data\.$"):
            read_multipart(form((head + coding, content)), TYPE)


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("multipart/form-data", "Invalid boundary in multipart: None"),
        ("multipart/form-data; boundary=", "Invalid boundary in multipart: "),
        ("multipart/form-data; boundary=\xe9", "Invalid non-ASCII Content-Type in multipart: "),
        (f"multipart/form-data; boundary={'x' * 202}", "Invalid boundary in multipart: xxx"),
        ("Multipart/form-data; boundary=xyz", "Invalid Content-Type: Multipart/form-data"),
        ("multipart/form-data; boundary*=nowhere''xyz", "Invalid encoding 'nowhere'"),
    ],
)
def test_content_types_that_say_no_boundary(content_type: str, message: str) -> None:
    with pytest.raises(UnreadableForm) as caught:
        read_multipart(form(text(b"a", b"1")), content_type)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="xyz"',
        "multipart/form-data;boundary=xyz",
        "multipart/form-data; charset=utf-8; boundary=xyz",
        "multipart/mixed; boundary=xyz",
    ],
)
def test_content_types_that_say_it_their_own_way(content_type: str) -> None:
    assert read_multipart(form(text(b"a", b"1")), content_type).texts == {"a": ["1"]}


def test_the_head_of_a_part_has_a_limit() -> None:
    head = DISPOSITION + b'name="a"'
    fits = 1024 - len(b"\r\n\r\n\r\n" + head + b"\r\nX: ")
    body = form((head + b"\r\nX: " + b"x" * fits, b"1"))
    assert read_multipart(body, TYPE).texts == {"a": ["1"]}
    with pytest.raises(UnreadableForm, match="Request max total header size exceeded"):
        read_multipart(body.replace(b"X: ", b"X: x"), TYPE)
    # What has no end of a head at all is passed over, while it is short.
    assert read_multipart(b"--xyz" + b"x" * 1000 + b"--xyz--", TYPE).texts == {}


def test_limits_are_limits() -> None:
    size = MAX_TEXT - len("a") - 2
    assert read_multipart(form(text(b"a", b"x" * size)), TYPE).texts
    with pytest.raises(FormTooLarge):
        read_multipart(form(text(b"a", b"x" * (size + 1))), TYPE)
    assert read_multipart(form(file(b"a", b"x" * (MAX_TEXT + 1))), TYPE).files
    assert len(read_multipart(form(*[text(b"a", b"")] * MAX_FIELDS), TYPE).texts["a"]) == MAX_FIELDS
    with pytest.raises(FormTooLarge):
        read_multipart(form(*[text(b"a", b"")] * (MAX_FIELDS + 1)), TYPE)
    assert len(names(form(*[file(b"a")] * MAX_FILES))) == MAX_FILES
    with pytest.raises(FormTooLarge):
        read_multipart(form(*[file(b"a")] * (MAX_FILES + 1)), TYPE)
    assert read_urlencoded(b"a=" + b"x" * (MAX_TEXT - 2)).texts
    with pytest.raises(FormTooLarge):
        read_urlencoded(b"a=" + b"x" * (MAX_TEXT - 1))
    assert read_urlencoded(b"&".join([b"a=1"] * MAX_FIELDS)).texts
    with pytest.raises(FormTooLarge):
        read_urlencoded(b"&".join([b"a=1"] * (MAX_FIELDS + 1)))


def test_header_parameters() -> None:
    assert header_parameters(" Text/Plain ") == ("text/plain", {})
    assert header_parameters('A/B; c=" d;e "; f; =g') == ("a/b", {"c": " d;e ", "f": ""})
    with pytest.raises(ValueError, match="nowhere"):
        header_parameters("a/b; c*=nowhere''d")


# Django as the judge.

PIECES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"--",
    b"xyz",
    b"--xyz",
    b"--xyz\r\n",
    b"\r\n--xyz--\r\n",
    b"\r\n\r\n",
    b'"',
    b"\\",
    b";",
    b"=",
    b"'",
    b"*",
    b"%",
    b"/",
    b"..",
    b" ",
    b"\t",
    b"\0",
    b"\xe9",
    "\xe9".encode(),
    b"&amp;",
    b"filename",
    b"filename*=utf-8''",
    b"name",
    b"Content-Disposition: form-data; ",
    b'name="a"; ',
    b'filename="b.txt"; ',
    b"Content-Type: text/html; charset=x\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Zm9v",
    b"x" * 1100,
)


def django_version() -> str:
    try:
        return metadata.version("django")
    except metadata.PackageNotFoundError:
        return "none"


def mutants(count: int) -> list[tuple[str, str, bytes]]:
    """Return forms with something wrong: pieces put in, taken out and put elsewhere."""
    dice = random.Random(20240419)
    found: list[tuple[str, str, bytes]] = []
    for number in range(count):
        body = bytearray(
            form(
                text(b"a", b"one"),
                file(b"dir/b.txt", b"two\r\n"),
                (DISPOSITION + b"name=c; filename*=utf-8''%C3%A9.txt", b"three"),
                text(b"a", "f\xefve".encode()),
            )
        )
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(body))
            to = at + dice.choice((0, 0, 1, 5, 30))
            body[at:to] = dice.choice(PIECES) if dice.random() < 0.8 else b""
        content_type = TYPE if number % 10 else 'multipart/form-data; boundary=" xyz"'
        found.append((content_type, dice.choice(("utf-8", "utf-8", "latin-1")), bytes(body)))
    for _ in range(count // 4):
        body = bytearray(b"a=1&b=%C3%A9+x&a=2&c")
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(body))
            body[at:at] = dice.choice(
                (b"&", b"=", b"%", b"%zz", b"+", b";", b"\xe9", b"\0", b"%ff")
            )
        found.append((URLENCODED, dice.choice(("utf-8", "latin-1")), bytes(body)))
    return found


def seen_here(content_type: str, charset: str, body: bytes) -> Any:
    try:
        if content_type == URLENCODED:
            found = read_urlencoded(body, charset)
        else:
            found = read_multipart(body, content_type, charset)
    except UnreadableForm as error:
        return {"error": str(error)}
    files = {
        name: [[f.name, base64.b64encode(f.content).decode(), f.content_type] for f in uploads]
        for name, uploads in found.files.items()
    }
    return {"texts": found.texts, "files": files}


# Later releases split a header before they parse it, and so read some broken ones otherwise.
@pytest.mark.skipif(not django_version().startswith("5.2."), reason="needs Django 5.2")
def test_django_reads_the_same() -> None:
    cases = mutants(1500)
    lines = [
        json.dumps((content_type, charset, base64.b64encode(body).decode()))
        for content_type, charset, body in cases
    ]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "programs" / "django_forms.py")],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    for case, answer in zip(cases, answers, strict=True):
        assert seen_here(*case) == answer, case
    # The mutants are of every kind, or nothing would be shown by this.
    assert sum("error" in answer for answer in answers) > 10
    assert sum(bool(answer.get("files")) for answer in answers) > 500
