"""The emulator's tokens: real JWTs, judged as SimpleJWT 5.5 judges them, by the emulator's own
clock.

The key is the same for all emulators, so a token outlives the emulator that issued it, as it
outlives the
restart of a server. It opens nothing but emulators.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import orjson

from .rest import ApiError

KEY = b"signs nothing but the tokens of emulators"
REFRESH_SECONDS = 86_400.0

Kind: TypeAlias = Literal["access", "refresh"]

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="api"'),)
_HEAD = {"alg": "HS256", "typ": "JWT"}


class _BadToken(Exception):
    """The token is refused; the text is SimpleJWT's."""


def unauthorized(body: Any) -> ApiError:
    """Return the refusal of a caller who is not authenticated: the one 401 with a challenge."""
    return ApiError(401, body, _CHALLENGE)


class Tokens:
    """Issues the tokens of the emulator's users, and tells whose token a request carries."""

    def __init__(
        self, users: Mapping[str, str], clock: Callable[[], float], seconds: float
    ) -> None:
        self._emails = dict(enumerate(users, 1))
        self._numbers = {email: number for number, email in self._emails.items()}
        self._clock = clock
        self._seconds = seconds
        self.inactive: set[str] = set()
        self._issued: set[str] = set()
        self._ended: set[str] = set()
        self._ended_before = float("-inf")

    def issue(self, email: str, seconds: float | None = None, kind: Kind = "access") -> str:
        """Return a new token of a user; its life is that of the emulator's settings unless
        given."""
        number = self._numbers.get(email)
        if number is None:
            raise ValueError(f"the emulator has no user {email!r}")
        if seconds is None:
            seconds = self._seconds if kind == "access" else REFRESH_SECONDS
        now = self._clock()
        unique = uuid.uuid4().hex
        self._issued.add(unique)
        return _signed(
            {
                "token_type": kind,
                "exp": int(now + seconds),
                "iat": int(now),
                "jti": unique,
                "user_id": str(number),
            }
        )

    def expire_all(self) -> None:
        """Let every token issued so far be an expired one."""
        self._ended |= self._issued
        self._issued.clear()
        # Those of an earlier run are known by their age only.
        self._ended_before = self._clock()

    def is_valid(self, token: str) -> bool:
        """Tell whether a token would be let in now."""
        try:
            self._judged(token)
        except _BadToken:
            return False
        return True

    def user_of(self, authorization: str | None) -> str:
        """Return the e-mail of who sends this ``Authorization``; raises the right 401."""
        parts = (authorization or "").split()
        if not parts or parts[0] != "Bearer":
            raise unauthorized({"detail": "Authentication credentials were not provided."})
        if len(parts) != 2:
            text = "Authorization header must contain two space-delimited values"
            raise unauthorized({"detail": text, "code": "bad_authorization_header"})
        try:
            claims = self._judged(parts[1])
        except _BadToken as error:
            found = {"token_class": "AccessToken", "token_type": "access", "message": str(error)}
            text = "Given token not valid for any token type"
            raise unauthorized(
                {"detail": text, "code": "token_not_valid", "messages": [found]}
            ) from None
        if "user_id" not in claims:
            text = "Token contained no recognizable user identification"
            raise unauthorized({"detail": text, "code": "token_not_valid"})
        email = self._emails.get(int(claims["user_id"]))
        if email is None:
            raise unauthorized({"detail": "User not found", "code": "user_not_found"})
        if email in self.inactive:
            raise unauthorized({"detail": "User is inactive", "code": "user_inactive"})
        return email

    def _judged(self, token: str) -> Mapping[str, Any]:
        claims = _claims(token)
        if claims is None or claims.get("iat", 0) > (now := self._clock()):
            raise _BadToken("Token is invalid")
        if "exp" not in claims:
            raise _BadToken("Token has no 'exp' claim")
        if claims["exp"] <= now or self._is_ended(claims):
            raise _BadToken("Token is expired")
        for name, text in (("jti", "Token has no id"), ("token_type", "Token has no type")):
            if name not in claims:
                raise _BadToken(text)
        if claims["token_type"] != "access":  # noqa: S105  (a kind, no secret)
            raise _BadToken("Token has wrong type")
        return claims

    def _is_ended(self, claims: Mapping[str, Any]) -> bool:
        number = claims.get("jti")
        if number in self._issued:
            return False
        return number in self._ended or claims.get("iat", 0) <= self._ended_before


def _signed(claims: Mapping[str, Any]) -> str:
    text = b".".join((_packed(orjson.dumps(_HEAD)), _packed(orjson.dumps(claims))))
    return b".".join((text, _packed(_signature(text)))).decode()


# The same few tokens come with every request, and their signatures stay true.
@functools.lru_cache(maxsize=1024)
def _claims(token: str) -> Mapping[str, Any] | None:
    """Return what a token says, or ``None`` when it is none of ours."""
    try:
        text, _, signature = token.encode().rpartition(b".")
        head, claims = (orjson.loads(_unpacked(part)) for part in text.split(b"."))
        genuine = hmac.compare_digest(_unpacked(signature), _signature(text))
    except ValueError:
        return None
    if not genuine or not isinstance(head, dict) or head.get("alg") != "HS256":
        return None
    return claims if isinstance(claims, dict) else None


def _signature(text: bytes) -> bytes:
    return hmac.digest(KEY, text, hashlib.sha256)


def _packed(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unpacked(data: bytes) -> bytes:
    return base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
