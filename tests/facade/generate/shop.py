"""A shop of a few modules, and the blocking twin that the generator has to write of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kapture_async._core.facade.generate import generate, read_table

CLIENT = '''\
"""The client."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from .things import Things

if TYPE_CHECKING:
    from collections.abc import Mapping


class ShopClient:
    """Client of the shop, in a few words.

    ::

        async with ShopClient("host") as client:
            thing = await client.things.get("1")
            await client.aclose()

    Args:
        host: where.
        session: a session of your own,
            never closed.
        token: secret.
    """

    timeout: float
    """Seconds for one call.

    Always positive.
    """

    def __init__(
        self, host: str = "h", *, session: Any = None, token: str = "", **more: object
    ) -> None:
        if not host:
            raise ValueError("no host")
        self._host = host
        self._token = token
        self._more = more
        self._closed = False
        self.timeout = 3.0
        self._things = Things()

    @classmethod
    def from_env(cls, *, timeout: float = 1.5) -> Self:
        """From the environment."""
        client = cls("env")
        client.timeout = timeout
        return client

    def with_options(self, *, timeout: float) -> ShopClient:
        """Other options; see :class:`ShopClient`."""
        other = ShopClient(self._host)
        other.timeout = timeout
        return other

    @property
    def things(self) -> Things:
        """The things."""
        return self._things

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    async def request(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """Call anything."""
        return path, headers

    def url(self, path: str, /, *parts: str) -> str:
        """No I/O."""
        return "/".join([self._host, path, *parts])

    @overload
    async def one_or_many(self, value: int) -> int: ...

    @overload
    async def one_or_many(self, value: list[int]) -> list[int]: ...

    async def one_or_many(self, value: int | list[int]) -> int | list[int]:
        """One or many."""
        return value

    async def aclose(self) -> None:
        """Close it; see ``aclose``."""
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ShopClient {self._host}>"

    def _private(self) -> Callable[[], None]:
        raise NotImplementedError
'''


THINGS = '''\
"""Things."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from .download import Download
from .pages import Pages

DEFAULT = "default"


class Thing:
    """A thing."""


class Things:
    """Things. Async through and through."""

    async def get(self, key: str, *, kind: Literal["a", "b"] = "a") -> Thing:
        """Get one: ``await things.get("1")``."""
        return Thing()

    async def drop(self, key: str = DEFAULT) -> None:
        """Drop one."""

    def list(self, start: int = 0) -> Pages[int]:
        """All of them.

        >>> async for thing in client.things.list():
        ...     await use(thing)
        """
        return Pages([[start, start + 1], [start + 2]])

    def photo(self, key: str, *, large: bool = False) -> Download:
        """A photo, as a ``Download``.

        ::

            async with things.photo("1") as photo:
                async for chunk in photo:
                    ...
        """
        return Download(f"photo of {key}", large)
'''


PAGES = """\
from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Pages(Generic[T]):
    def __init__(self, pages: list[list[T]]) -> None:
        self._pages = pages

    async def next_page(self) -> list[T] | None:
        return self._pages.pop(0) if self._pages else None

    async def aclose(self) -> None:
        self._pages = []
"""


DOWNLOAD = """\
from __future__ import annotations

from typing import Any, Self


class Download:
    content_type = ""

    def __init__(self, filename: str, large: bool) -> None:
        self.filename = filename
        self.size = None
        self.received = 0
        self._chunks = [b"one", b"two"] if large else [b"one"]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.aclose()

    async def next_chunk(self) -> bytes | None:
        return self._chunks.pop(0) if self._chunks else None

    async def read(self) -> bytes:
        return b"".join(self._chunks)

    async def aclose(self) -> None:
        self._chunks = []
"""


TABLE = """\
[tool.kapture-facade]
packages = ["shop"]

[[tool.kapture-facade.module]]
target = "shop/sync.py"
docstring = "The blocking shop."
rename = { "Async through and through." = "Blocking." }

[[tool.kapture-facade.module.class]]
kind = "client"
source = "shop/client.py"
async = "ShopClient"
sync = "SyncShopClient"
drop = { "__init__.session" = "a session belongs to one event loop" }
forget = { "__init__.token" = "a secret" }

[[tool.kapture-facade.module.class]]
source = "shop/things.py"
async = "Things"
sync = "SyncThings"
"""


EXPECTED = '''\
# Generated by: python -m kapture_async._core.facade.generate
# Sources: shop/client.py
#          shop/things.py
# Do not edit.
"""The blocking shop."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from kapture_async._core.facade.base import SyncClient, SyncResource
from kapture_async._core.facade.download import SyncDownload
from kapture_async._core.facade.pages import SyncPages

from .client import ShopClient
from .things import DEFAULT, Thing, Things

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SyncShopClient", "SyncThings"]


class SyncShopClient(SyncClient[ShopClient]):
    """Client of the shop, in a few words.

    ::

        with SyncShopClient("host") as client:
            thing = client.things.get("1")
            client.close()

    Args:
        host: where.
        token: secret.
    """

    _async_name = "ShopClient"

    @property
    def timeout(self) -> float:
        """Seconds for one call.

        Always positive.
        """
        return self._inner.timeout

    def __init__(self, host: str = "h", *, token: str = "", **more: object) -> None:
        try:
            self._bind(ShopClient(host, token=token, **more))
        finally:
            del token

    @classmethod
    def from_env(cls, *, timeout: float = 1.5) -> Self:
        """From the environment."""
        return cls._wrap(ShopClient.from_env(timeout=timeout))

    def with_options(self, *, timeout: float) -> SyncShopClient:
        """Other options; see :class:`SyncShopClient`."""
        return self._wrap(self._inner.with_options(timeout=timeout), self._loop)

    @cached_property
    def things(self) -> SyncThings:
        """The things."""
        return SyncThings(self._inner.things, self._loop)

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._inner.closed

    def request(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        """Call anything."""
        return self._loop.run(self._inner.request(path, headers))

    def url(self, path: str, /, *parts: str) -> str:
        """No I/O."""
        return self._inner.url(path, *parts)

    @overload
    def one_or_many(self, value: int) -> int: ...

    @overload
    def one_or_many(self, value: list[int]) -> list[int]: ...

    def one_or_many(self, value: int | list[int]) -> int | list[int]:
        """One or many."""
        return self._loop.run(self._inner.one_or_many(value))

    def close(self) -> None:
        """Close it; see ``close``."""
        self._close(self._inner.aclose)

    def __enter__(self) -> Self:
        self._loop.run(self._inner.__aenter__())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(lambda: self._inner.__aexit__(exc_type, exc, traceback))


class SyncThings(SyncResource[Things]):
    """Things. Blocking."""

    def get(self, key: str, *, kind: Literal["a", "b"] = "a") -> Thing:
        """Get one: ``things.get("1")``."""
        return self._loop.run(self._inner.get(key, kind=kind))

    def drop(self, key: str = DEFAULT) -> None:
        """Drop one."""
        self._loop.run(self._inner.drop(key))

    def list(self, start: int = 0) -> SyncPages[int]:
        """All of them.

        >>> for thing in client.things.list():
        ...     use(thing)
        """
        return SyncPages(self._loop, self._inner.list(start))

    def photo(self, key: str, *, large: bool = False) -> SyncDownload:
        """A photo, as a ``SyncDownload``.

        ::

            with things.photo("1") as photo:
                for chunk in photo:
                    ...
        """
        return SyncDownload(self._loop, self._inner.photo(key, large=large))
'''


FILES = {
    "pyproject.toml": TABLE,
    "shop/__init__.py": "",
    "shop/client.py": CLIENT,
    "shop/things.py": THINGS,
    "shop/pages.py": PAGES,
    "shop/download.py": DOWNLOAD,
}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")


def text_of(shop: Path) -> str:
    return generate(read_table(shop / "pyproject.toml"))["shop/sync.py"]


def ruff() -> str | None:
    beside = Path(sys.executable).with_name("ruff")
    return str(beside) if beside.exists() else shutil.which("ruff")


def formatted(path: Path) -> str:
    if (command := ruff()) is None:
        pytest.skip("ruff is not installed")
    arguments = ["format", "--isolated", "--line-length", "100", "--target-version", "py311", "-"]
    return subprocess.run(
        [command, *arguments], input=path.read_text(), capture_output=True, text=True, check=True
    ).stdout


def only(shop: Path, body: str, more: str = "") -> None:
    """Make a single resource class of ``body`` all there is."""
    lines = body.splitlines()
    if lines[-1].endswith(":"):
        lines.append("    ...")
    text = HEAD + "".join(f"    {line}\n" for line in lines)
    (shop / "shop/things.py").write_text(text)
    (shop / "pyproject.toml").write_text(ONE_CLASS + more)


HEAD = """\
from __future__ import annotations

import datetime as dt
import typing
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar, Self, TypeVar

from .pages import Download, Pages, Push, Source

T = TypeVar("T")


class Things:
"""


ONE_CLASS = """\
[tool.kapture-facade]
packages = ["shop"]

[[tool.kapture-facade.module]]
target = "shop/sync.py"
docstring = "x"

[[tool.kapture-facade.module.class]]
source = "shop/things.py"
async = "Things"
sync = "SyncThings"
"""
