from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kapture_async import ConfigurationError, InvalidInputError, KaptureClient
from kapture_async._core.transport.urls import (
    check_path,
    check_subdomain,
    fill_path,
    origin_of,
    parse_base_url,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://t.kapturecrm.com", "https://t.kapturecrm.com"),
        ("https://T.KaptureCRM.com/", "https://t.kapturecrm.com"),
        ("https://t.int.kapturecrm.com:8443/api/v1/", "https://t.int.kapturecrm.com:8443/api/v1"),
        ("http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://localhost", "http://localhost"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        # By IDNA 2008; Python's own codec makes fass.example of the first.
        ("https://faß.example", "https://xn--fa-hia.example"),
        ("https://FAẞ.example", "https://xn--fa-hia.example"),
        ("https://xn--fa-hia.example", "https://xn--fa-hia.example"),
        ("https://日本。example", "https://xn--wgv71a.example"),
        ("https://t.example.", "https://t.example"),
    ],
)
def test_good_base_urls(text: str, shown: str) -> None:
    assert str(parse_base_url(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t.kapturecrm.com",
        "ftp://t.example",
        "https://",
        "https:///path",
        "http://t.example",
        "http://localhost.evil.example",
        "http://10.0.0.1",
        "https://user:pw@t.example",
        "https://user@t.example",
        "https://@t.example",
        "https://t.example?x=1",
        "https://t.example/?",
        "https://t.example#f",
        "https://t.example:99999",
        "https://t.example:port",
        "https://t_x.example",
        "https://-t.example",
        "https://t.example/../x",
        "https://t.example/a b",
        "https://t.example/a\r\nHost: x",
        "https://t ex.example",
        "https://t.exam\nple",
        "https://t.exam\u2028ple",
        "https://xn--zz--.example",
        "https://a\u200bb..example",
        "https://☃\u0000.example",
    ],
)
def test_bad_base_urls(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_base_url(text)
    assert "pw" not in str(caught.value)


def test_plain_http_elsewhere_must_be_asked_for() -> None:
    assert str(parse_base_url("http://t.example", allow_http=True)) == "http://t.example"


@pytest.mark.parametrize("text", ["t", "my-tenant", "T1", " t "])
def test_good_subdomains(text: str) -> None:
    assert check_subdomain(text) == text.strip().lower()


@pytest.mark.parametrize(
    "text", ["", "a.b", "-a", "a-", "a/b", "a@b", "a:1", "https://a", "a" * 64, "é", "a b", "a\n b"]
)
def test_bad_subdomains(text: str) -> None:
    with pytest.raises(ConfigurationError):
        check_subdomain(text)


def test_ids_in_paths_are_encoded() -> None:
    assert fill_path("/x/{id}/", id="a/b?c#d é%") == "/x/a%2Fb%3Fc%23d%20%C3%A9%25/"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_ids_that_change_a_path_are_refused(value: str) -> None:
    with pytest.raises(InvalidInputError):
        fill_path("/x/{id}/", id=value)


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
def test_an_id_never_leaves_its_segment(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    path = fill_path("/x/{id}/y", id=value)
    assert path.startswith("/x/")
    assert path.endswith("/y")
    assert path.count("/") == 3
    assert "?" not in path
    assert "#" not in path


@pytest.mark.parametrize("path", ["/a", "/a/b.html/v.2.0", "/", "/a%20b"])
def test_good_paths(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//evil.example/x",
        "https://evil.example",
        "/a?b",
        "/a#b",
        "/../a",
        "/%2e%2e/a",
        "/a b",
        "/a\n",
        "/é",
    ],
)
def test_bad_paths(path: str) -> None:
    with pytest.raises(InvalidInputError):
        check_path(path)


@pytest.mark.parametrize(
    ("location", "origin"),
    [
        ("https://other.example/login?token=abc#x", "https://other.example"),
        ("http://other.example:8080/", "http://other.example:8080"),
        ("//other.example/x", "https://other.example"),
        ("/login", "the same origin"),
        ("", "the same origin"),
        ("https://u:secret@other.example/", "https://other.example"),
        ("https://[broken/", "an unreadable address"),
        ("https://ev\x1bil/", "https://?"),
    ],
)
def test_a_redirect_shows_its_origin_only(location: str, origin: str) -> None:
    assert origin_of(location) == origin


@pytest.mark.parametrize(
    "text",
    [
        "https://user:canary@t.example",
        "https://canary@t.example",
        "https://user:canary@t.example:port",
        "https://user:can@canary@t.example",
        "user:canary@t.example",
        "//user:canary@t.example",
        "https:user:canary@t.example",
        "https://user:canary",
        "http://canary",
        "https://t.example/?token=canary",
        "https://t.example/#canary",
        "https://t.example/api/can ary/canary",
        "https://t.example/canary/../x",
        "https://[canary",
        "https://t.example:canary",
        "https:// canary@t.example",
        "canary",
        "https://t.example\\canary",
        "https://user:canary\u2028@t.example",
    ],
)
@pytest.mark.parametrize("check", [parse_base_url, check_subdomain, KaptureClient])
def test_no_error_shows_what_may_be_a_secret(check: Any, text: str) -> None:
    if check is check_subdomain and text == "canary":
        return
    try:
        check(text, token="t") if check is KaptureClient else check(text)
    except ConfigurationError as error:
        seen: BaseException | None = error
        while seen is not None:
            assert "canary" not in str(seen) + repr(seen) + repr(seen.args)
            seen = seen.__cause__ or seen.__context__
    else:
        assert check is KaptureClient
        assert text == "canary"
