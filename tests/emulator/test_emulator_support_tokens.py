"""Who is let in: tokens as SimpleJWT issues and judges them, the application key, the login."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from support_async.testing import SupportEmulator
from support_async.testing.tokens import KEY

from .support_calls import CATEGORIES, LOGIN, OTHER, Reply, call

NOW = 1_750_000_000.5
CHALLENGE = 'Bearer realm="api"'


class Clock:
    """A clock that moves when a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emulator(clock: Clock) -> Iterator[SupportEmulator]:
    with SupportEmulator(clock=clock, token_seconds=60).in_thread() as emulator:
        yield emulator


def ask(emulator: SupportEmulator, authorization: str | None) -> Reply:
    return call(emulator, "GET", CATEGORIES, headers={"Authorization": authorization})


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpacked(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def signed(claims: Any, algorithm: str = "HS256", key: bytes = KEY) -> str:
    """Make a token by hand, so that it may be any."""
    head = packed(json.dumps({"alg": algorithm, "typ": "JWT"}).encode())
    text = f"{head}.{packed(json.dumps(claims).encode())}"
    return f"{text}.{packed(hmac.digest(key, text.encode(), hashlib.sha256))}"


def claims(**others: Any) -> dict[str, Any]:
    """The claims of a good token; ``None`` leaves one out."""
    usual = {
        "token_type": "access",
        "exp": int(NOW) + 60,
        "iat": int(NOW),
        "jti": "a",
        "user_id": "1",
    }
    return {name: value for name, value in (usual | others).items() if value is not None}


def stale(message: str) -> dict[str, Any]:
    return {
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
    }


def test_tokens_are_jwts(emulator: SupportEmulator) -> None:
    head, content, signature = emulator.issue_token(seconds=30).split(".")
    assert unpacked(head) == {"alg": "HS256", "typ": "JWT"}
    found = unpacked(content)
    assert len(found.pop("jti")) == 32
    assert found == {
        "token_type": "access",
        "exp": int(NOW + 30),
        "iat": int(NOW),
        "user_id": "1",
    }
    text = f"{head}.{content}".encode()
    assert signature == packed(hmac.digest(KEY, text, hashlib.sha256))


@pytest.mark.parametrize("value", [None, "", "Token x", "bearer x", "x"])
def test_no_credentials(emulator: SupportEmulator, value: str | None) -> None:
    answer = ask(emulator, value)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)
    assert answer.errors == {"detail": "Authentication credentials were not provided."}


@pytest.mark.parametrize("value", ["Bearer", "Bearer a b"])
def test_a_header_of_the_wrong_form(emulator: SupportEmulator, value: str) -> None:
    answer = ask(emulator, value)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)
    assert answer.errors == {
        "detail": "Authorization header must contain two space-delimited values",
        "code": "bad_authorization_header",
    }


@pytest.mark.parametrize(
    ("token", "body"),
    [
        ("garbage", stale("Token is invalid")),
        ("a.b.c", stale("Token is invalid")),
        ("é.é.é", stale("Token is invalid")),
        (signed(claims(), key=b"other"), stale("Token is invalid")),
        (signed(claims(), algorithm="none"), stale("Token is invalid")),
        (signed([1]), stale("Token is invalid")),
        (signed(claims(iat=int(NOW) + 5)), stale("Token is invalid")),
        (signed(claims(exp=int(NOW))), stale("Token is expired")),
        (signed(claims(exp=None)), stale("Token has no 'exp' claim")),
        (signed(claims(jti=None)), stale("Token has no id")),
        (signed(claims(token_type=None)), stale("Token has no type")),
        (signed(claims(token_type="refresh")), stale("Token has wrong type")),
        (
            signed(claims(user_id=None)),
            {
                "detail": "Token contained no recognizable user identification",
                "code": "token_not_valid",
            },
        ),
        (
            signed(claims(user_id="77")),
            {"detail": "User not found", "code": "user_not_found"},
        ),
    ],
)
def test_tokens_that_open_nothing(
    emulator: SupportEmulator, token: str, body: dict[str, Any]
) -> None:
    assert ask(emulator, f"Bearer {signed(claims())}").status == 200
    answer = ask(emulator, f"Bearer {token}")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)
    assert answer.errors == body


def test_tokens_expire_by_the_emulators_clock(emulator: SupportEmulator, clock: Clock) -> None:
    token = emulator.token
    clock.now += 59
    assert ask(emulator, f"Bearer {token}").status == 200
    assert emulator.token == token
    clock.now += 1
    assert ask(emulator, f"Bearer {token}").errors == stale("Token is expired")
    assert emulator.token != token
    assert ask(emulator, f"Bearer {emulator.token}").status == 200
    assert ask(emulator, f"Bearer {emulator.issue_token(seconds=-1)}").errors == stale(
        "Token is expired"
    )


def test_all_tokens_can_be_made_to_expire_at_once(clock: Clock) -> None:
    earlier = SupportEmulator(clock=clock).token
    with SupportEmulator(clock=clock).in_thread() as emulator:
        own, other = emulator.token, emulator.issue_token(email=OTHER)
        for token in (earlier, own, other):
            assert ask(emulator, f"Bearer {token}").status == 200
        emulator.expire_tokens()
        for token in (earlier, own, other):
            assert ask(emulator, f"Bearer {token}").errors == stale("Token is expired")
        # In the same second as the old ones.
        assert emulator.token != own
        assert ask(emulator, f"Bearer {emulator.token}").status == 200


def test_a_token_outlives_its_emulator(clock: Clock, emulator: SupportEmulator) -> None:
    assert ask(emulator, f"Bearer {SupportEmulator(clock=clock).token}").status == 200


def test_users_are_settings_and_can_be_deactivated() -> None:
    users = {"a@example.com": "one", "b@example.com": "two"}
    with SupportEmulator(users=users).in_thread() as emulator:
        token = emulator.issue_token(email="b@example.com")
        emulator.deactivate("b@example.com")
        assert ask(emulator, f"Bearer {token}").errors == {
            "detail": "User is inactive",
            "code": "user_inactive",
        }
        answer = call(emulator, "POST", LOGIN, {"username": "b@example.com", "password": "two"})
        assert answer.status == 401
        assert call(emulator, "POST", LOGIN, {"username": "a@example.com", "password": "one"}).json
        with pytest.raises(ValueError, match="no user"):
            emulator.issue_token(email="c@example.com")


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_without_the_application_key_it_is_forbidden(
    emulator: SupportEmulator, key: str | None
) -> None:
    for path, method in ((CATEGORIES, "GET"), (LOGIN, "POST")):
        answer = call(emulator, method, path, headers={"apikey": key})
        assert answer.status == 403
        assert answer.errors == {"detail": "You do not have permission to perform this action."}
        assert "WWW-Authenticate" not in answer.headers
    # Who is not known at all is told so first.
    assert (
        call(emulator, "GET", CATEGORIES, headers={"apikey": key, "Authorization": None}).status
        == 401
    )


def login(emulator: SupportEmulator, **fields: str) -> Reply:
    return call(emulator, "POST", LOGIN, fields, headers={"Authorization": None})


def test_a_login_gives_two_bare_tokens(emulator: SupportEmulator) -> None:
    answer = login(emulator, username=OTHER, password="emulator-password")
    assert answer.status == 200
    tokens = answer.json
    assert list(tokens) == ["refresh", "access"]
    assert ask(emulator, f"Bearer {tokens['access']}").status == 200
    assert ask(emulator, f"Bearer {tokens['refresh']}").errors == stale("Token has wrong type")
    assert unpacked(tokens["access"].split(".")[1])["user_id"] == "2"
    assert emulator.logins == 1


@pytest.mark.parametrize(
    ("username", "password"),
    [("member@example.com", "wrong"), ("nobody@example.com", "emulator-password")],
)
def test_a_login_that_fails(emulator: SupportEmulator, username: str, password: str) -> None:
    answer = login(emulator, username=username, password=password)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, CHALLENGE)
    assert answer.errors == {"detail": "No active account found with the given credentials"}
    assert emulator.logins == 0


def test_a_login_that_is_incomplete(emulator: SupportEmulator) -> None:
    answer = login(emulator, password=" ")
    assert answer.status == 400
    assert answer.errors == {
        "username": ["This field is required."],
        "password": ["This field may not be blank."],
    }


def test_credentials_are_in_no_repr(emulator: SupportEmulator) -> None:
    login(emulator, username=OTHER, password="emulator-password")
    ask(emulator, f"Bearer {emulator.token}")
    shown = repr(list(emulator.received)) + repr(emulator)
    assert "emulator-password" not in shown
    assert emulator.token not in shown
    assert emulator.apikey not in shown
