from __future__ import annotations

import copy
import pickle

import pytest

from kapture_async import ConfigurationError, SyncKaptureClient
from kapture_async._core.secret import Secret, check_header, mask
from kapture_async._core.transport.auth import authorization, basic_authorization

CANARY = "canary-0123456789"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr({"a": secret})]
    assert not any(CANARY in text for text in shown)
    assert secret.reveal() == CANARY
    assert copy.deepcopy([secret])[0] is secret
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@pytest.mark.parametrize(
    "text", [f"{CANARY}\n", f"\r{CANARY}", f"{CANARY}\0", f"{CANARY}\x7f", f"{CANARY}€"]
)
def test_a_header_that_could_smuggle_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_header("X-Api-Key", Secret(text))
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é"])
def test_a_bad_header_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        check_header(name, Secret("x"))


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("dG9rZW4=", "Basic dG9rZW4="),
        ("Basic dG9rZW4=", "Basic dG9rZW4="),
        ("basic  dG9rZW4=", "basic  dG9rZW4="),
        ("Bearer abc.def", "Bearer abc.def"),
        ("  dG9rZW4=  ", "Basic dG9rZW4="),
    ],
)
def test_a_token_is_passed_through(token: str, sent: str) -> None:
    assert authorization(token, "Basic").reveal() == sent


@pytest.mark.parametrize("token", ["", "   "])
def test_an_empty_token_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError):
        authorization(token, "Basic")


def test_real_basic() -> None:
    assert basic_authorization("Aladdin", "open sesame").reveal() == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )
    with pytest.raises(ConfigurationError):
        basic_authorization("a:b", "c")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\0", "\x85", "\u2028"])
def test_what_was_read_with_its_line_end_is_refused(end: str) -> None:
    for user, password in (("user", CANARY + end), (CANARY + end, "password")):
        with pytest.raises(ConfigurationError, match="line break") as caught:
            basic_authorization(user, password)
        assert CANARY not in str(caught.value)
        with pytest.raises(ConfigurationError, match="line break"):
            SyncKaptureClient("x", token="t", credentials={"orders": (user, password)})
    assert basic_authorization("üser", "pass word \t".strip()).reveal().startswith("Basic ")


def test_mask() -> None:
    assert mask(f"key {CANARY}!", [Secret(CANARY)]) == "key ***!"
    assert mask("abc", [Secret("a")]) == "abc"  # too short to mean anything
