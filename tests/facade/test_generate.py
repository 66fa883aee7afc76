"""The generator, on sources of its own: each construct, each refusal, and the check."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kapture_async._core.facade import SyncInAsyncWarning
from kapture_async._core.facade.generate import (
    GenerateError,
    generate,
    introspect_drift,
    introspect_table,
    main,
    read_table,
)
from kapture_async._core.facade.generate.docs import DocRules

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


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def imported(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The shop with its twin written, importable as ``shop``."""
    assert main(["--pyproject", str(shop / "pyproject.toml")]) == 0
    monkeypatch.syspath_prepend(shop)
    yield shop
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


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


# --- what is written ---------------------------------------------------------------------------


def test_the_whole_text(shop):
    assert text_of(shop) == EXPECTED


def test_the_formatter_changes_nothing(imported):
    path = imported / "shop/sync.py"
    assert formatted(path) == path.read_text()


def test_the_text_works(imported):
    sync = importlib.import_module("shop.sync")
    with sync.SyncShopClient("host", colour="red") as client:
        assert repr(client) == "<SyncShopClient host>"
        assert client.things is client.things
        assert type(client.things.get("1")).__name__ == "Thing"
        assert client.things.drop() is None
        assert client.things.list(5).all() == [5, 6, 7]
        with client.things.photo("7", large=True) as photo:
            assert (photo.filename, list(photo)) == ("photo of 7", [b"one", b"two"])
        assert client.request("/p") == ("/p", None)
        assert client.url("a", "b") == "host/a/b"
        other = client.with_options(timeout=9.0)
        assert (other.timeout, client.timeout) == (9.0, 3.0)
        other.close()
        assert other.closed
        assert client.one_or_many([1]) == [1]  # closing the other one did not stop the loop
    assert client.closed
    client.close()
    env = sync.SyncShopClient.from_env(timeout=2.0)
    assert (type(env), env.timeout) == (sync.SyncShopClient, 2.0)
    env.close()
    assert env.closed


def test_options_may_outlive_the_client_they_came_from(imported):
    sync = importlib.import_module("shop.sync")
    other = sync.SyncShopClient("host").with_options(timeout=1.0)
    assert other.things.list().all() == [0, 1, 2]
    with pytest.warns(ResourceWarning, match="unclosed client"):
        del other


async def test_the_warning_points_at_the_caller_also_from_a_subclass(imported):
    sync = importlib.import_module("shop.sync")

    class Mine(sync.SyncShopClient):
        pass

    client = Mine("host")
    with pytest.warns(
        SyncInAsyncWarning, match="Things.drop was called .* Use ShopClient"
    ) as caught:
        client.things.drop()
    assert caught[0].filename == __file__
    client.close()


def test_a_forgotten_parameter_is_not_in_the_traceback(imported):
    sync = importlib.import_module("shop.sync")
    with pytest.raises(ValueError, match="no host") as caught:
        sync.SyncShopClient("", token="s3cret")
    frames = [entry.frame.f_locals for entry in caught.traceback if "sync.py" in str(entry.path)]
    assert frames
    assert "token" not in frames[0]


METHODS: list[tuple[str, str]] = [
    (
        "async def x(self, a: int, /, b: str, *args: bytes, c: float = 1.0, **k: bool) -> int:",
        "    def x(self, a: int, /, b: str, *args: bytes, c: float = 1.0, **k: bool) -> int:\n"
        "        return self._loop.run(self._inner.x(a, b, *args, c=c, **k))\n",
    ),
    (
        "async def x(self, a: int, /) -> int:",
        "    def x(self, a: int, /) -> int:\n        return self._loop.run(self._inner.x(a))\n",
    ),
    (
        "async def x(self) -> typing.NoReturn:",
        "    def x(self) -> typing.NoReturn:\n        return self._loop.run(self._inner.x())\n",
    ),
    (
        "async def x(self, a: dict[\n    str,\n    int,\n]) -> None:",
        "    def x(self, a: dict[str, int]) -> None:\n        self._loop.run(self._inner.x(a))\n",
    ),
    (
        "async def x(self, when: dt.date, key: T) -> T:",
        "    def x(self, when: dt.date, key: T) -> T:\n"
        "        return self._loop.run(self._inner.x(when, key))\n",
    ),
    (
        "def push(self, source: Source[int], *, key: str = 'k') -> Push[str]:",
        "    def push(self, source: Iterable[int], *, key: str = 'k') -> SyncPush[str]:\n"
        "        return SyncPush("
        "self._loop, lambda source: self._inner.push(source, key=key), source)\n",
    ),
    (
        "def x(self, key: str, /, *, large: bool = False) -> Download:",
        "    def x(self, key: str, /, *, large: bool = False) -> SyncDownload:\n"
        "        return SyncDownload(self._loop, self._inner.x(key, large=large))\n",
    ),
    (
        "def x(self) -> None:",
        "    def x(self) -> None:\n        self._inner.x()\n",
    ),
    (
        "def __getstate__(self) -> None:",
        "    pass\n",
    ),
]

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


def only(shop: Path, body: str, more: str = "") -> None:
    """Make a single resource class of ``body`` all there is."""
    lines = body.splitlines()
    if lines[-1].endswith(":"):
        lines.append("    ...")
    text = HEAD + "".join(f"    {line}\n" for line in lines)
    (shop / "shop/things.py").write_text(text)
    (shop / "pyproject.toml").write_text(ONE_CLASS + more)


@pytest.mark.parametrize(("source", "expected"), METHODS)
def test_constructs(shop, source, expected):
    more = 'drop = { "__getstate__" = "nothing to pickle" }' if "__getstate__" in source else ""
    only(shop, source, more)
    text = text_of(shop)
    assert text.partition("class SyncThings(SyncResource[Things]):\n")[2] == expected


def test_imports_follow_the_source(shop):
    only(shop, "async def x(self, when: dt.date, key: T, then: typing.Any) -> T:")
    text = text_of(shop)
    assert "import datetime as dt\nimport typing\n" in text
    assert "from .things import T, Things\n" in text


def test_push(shop):
    only(shop, METHODS[5][0])
    text = text_of(shop)
    assert "from collections.abc import Iterable\n" in text
    assert "from kapture_async._core.facade.push import SyncPush\n" in text
    assert "Source" not in text.replace("# Sources", "")


@pytest.mark.parametrize("length", range(5, 41))
def test_the_formatter_agrees_at_every_length(shop, length):
    long = "n" * length
    only(
        shop,
        f"async def {long}(self, one: int, *, {long}_: str) -> dict[str, {long}.T]:\n"
        f"    ...\n"
        f"def {long}_pages(self, {long}: int, three: int = 3) -> Pages[int]:\n    ...\n"
        f"def push(self, source: list[int], *, {long}: int, four: int) -> Push[str]:\n    ...\n"
        f"@typing.overload\n"
        f"async def over(self, {long}: int) -> int: ...\n"
        f"@typing.overload\n"
        f"async def over(self, {long}: str, {long}_: int = 1) -> str: ...\n"
        f"async def over(self, {long}: int | str, {long}_: int = 1) -> int | str:",
    )
    edit(shop / "shop/things.py", "import typing\n", f"import typing\nimport {long}\n")
    edit(shop / "shop/things.py", "@typing.overload", "@overload")
    edit(shop / "shop/things.py", "Self, TypeVar", "Self, TypeVar, overload")
    path = shop / "shop/sync.py"
    path.write_text(text_of(shop))
    assert formatted(path) == path.read_text()


# --- refusals ----------------------------------------------------------------------------------

REFUSED: list[tuple[str, str]] = [
    ("async def x(self) -> AsyncIterator[int]:", "an async method may not return AsyncIterator"),
    ("async def x(self) -> Pages[int]:", "an async method may not return Pages"),
    ("async def x(self) -> Download:", "an async method may not return Download"),
    ("def x(self) -> list[Download]:", "a plain method may not return Download"),
    ("async def x(self, a: Download) -> None:", "a parameter may not be Download"),
    ("@property\ndef x(self) -> Download:", "an attribute may not be Download"),
    ("async def x(self) -> Things:", "an async method may not return Things"),
    ("async def x(self):", "x has no return type"),
    ("async def x(self, a) -> None:", "parameter 'a' has no type"),
    ("async def x(self, a: Awaitable[int]) -> None:", "a parameter may not be Awaitable"),
    ("async def x(self, a: Callable[[], Awaitable[int]]) -> None:", "may not be Awaitable"),
    ("async def x(self, a: 'int') -> None:", "write the type without quotes"),
    ("async def x(self, a: Unknown) -> None:", "cannot tell where 'Unknown' comes from"),
    ("def x(self) -> Awaitable[int]:", "a plain method may not return Awaitable"),
    ("def x(self) -> Pages[Awaitable[int]]:", "may not return Awaitable"),
    ("def push(self, rows: list[int]) -> Push[int]:", "must be named 'source'"),
    ("def x(self) -> Callable[[], Self]: ...\nx = 3", "no rule for this statement"),
    ("limit = 3", "no rule for this statement"),
    ("limit: ClassVar[int] = 3", "no rule for constants"),
    ("class Inner: ...", "no rule for this statement"),
    ("async def __call__(self) -> None:", "no rule for __call__; drop it in the table"),
    ("def __aiter__(self) -> AsyncIterator[int]:", "no rule for __aiter__"),
    (
        "@asynccontextmanager\nasync def x(self) -> int:",
        "no rule for decorator asynccontextmanager",
    ),
    ("@staticmethod\ndef x() -> int:", "no rule for decorator staticmethod"),
    ("@classmethod\ndef x(cls) -> Self:", "a classmethod must be a client's"),
    ("@property\nasync def x(self) -> int:", "no rule for this kind of property"),
    ("@property\ndef x(self) -> Awaitable[int]:", "an attribute may not be Awaitable"),
    ("x: Awaitable[int]", "an attribute may not be Awaitable"),
    (f"def x(self) -> {'n' * 100}.a:", "cannot tell where"),
    (f"async def x(self, {'n' * 100}: int) -> int:", "makes a line over 100 columns"),
    ("async def x(self) -> int: ...\nasync def x(self) -> int:", "x is defined twice"),
    ("async def x(self) -> int:\n    self.y = 3", "declare 'y' with its type in the class"),
    ('async def x(self) -> int:\n    """Then ``asyncio.run(x())``."""', "'asyncio' in the code"),
    (
        'async def x(self) -> int:\n    """Call await x() then."""',
        "outside a code block: 'await x('",
    ),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_refusals(shop, source, message):
    only(shop, source)
    with pytest.raises(GenerateError) as caught:
        text_of(shop)
    assert message in str(caught.value)
    place, _, _ = str(caught.value).partition(": ")
    line = int(place.removeprefix("shop/things.py:"))
    assert 15 <= line <= 17  # the class stands in line 14


CLIENT_REFUSED: list[tuple[str, str, str]] = [
    ("    async def aclose", "    async def shut", "a client needs aclose"),
    ("    def __init__", "    async def __init__", "__init__ is not as a client's must be"),
    ("__aenter__(self) -> Self", "__aenter__(self) -> int", "__aenter__ must return Self"),
    ("    ) -> None:\n        await", "    ) -> bool:\n        await", "must return None"),
    ("class ShopClient:", "class ShopClient(Base):", "base class Base: its public members"),
    ("class ShopClient:", "class ShopClient(metaclass=M):", "no rule for class keywords"),
    ("class ShopClient:", "@decorated\nclass ShopClient:", "no rule for this class decorator"),
    ("session: Any = None", "session: Any", "has no default, so it cannot be dropped"),
    ("class ShopClient:", "class OtherClient:", "shop/client.py: no class ShopClient"),
    ("class ShopClient:", "class ShopClient", "shop/client.py:15: expected ':'"),
    ("session: Any = None, ", "", "names '__init__.session', which is not there"),
    ("token: str", "key: str", "names 'forget __init__.token', which is not there"),
    ("import Any, Self", "import Self", "cannot tell where 'Any' comes from"),
]


@pytest.mark.parametrize(("old", "new", "message"), CLIENT_REFUSED)
def test_refusals_of_clients(shop, old, new, message):
    if "import Any, Self" in old:
        old, new = "Any, Self, overload", "Self, overload"
    edit(shop / "shop/client.py", old, new)
    with pytest.raises(GenerateError) as caught:
        text_of(shop)
    assert message in str(caught.value)


def test_all_refusals_are_told_at_once(shop):
    only(shop, "limit = 3\nasync def x(self): ...")
    with pytest.raises(GenerateError) as caught:
        text_of(shop)
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        "shop/things.py:15",
        "shop/things.py:16",
    ]


def test_two_meanings_of_one_name(shop):
    edit(shop / "shop/things.py", "import Any, Literal", "import Any\nfrom other import Literal")
    edit(shop / "shop/client.py", "headers: Mapping[str, str]", "headers: Literal[1]")
    edit(shop / "shop/client.py", "Any, Self", "Any, Literal, Self")
    with pytest.raises(GenerateError, match=r"'Literal' is other\.Literal here, and typing"):
        text_of(shop)


# --- the table ---------------------------------------------------------------------------------


def test_exceptions_in_the_table(shop):
    only(
        shop,
        "def x(self) -> int: ...\n"
        "async def y(self, a: Awaitable[int], b: int = 1, c: int = 2) -> int: ...",
        'drop = { x = "why", "y.b" = "why" }\nkeep = { "y.a" = "why" }\nbases = { Base = "why" }\n',
    )
    edit(shop / "shop/things.py", "class Things:", "class Things(Base[int]):")
    assert text_of(shop).endswith(
        "    def y(self, a: Awaitable[int], c: int = 2) -> int:\n"
        "        return self._loop.run(self._inner.y(a, c=c))\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[tool.kapture-facade]", "[tool.other]", "tool.kapture-facade: 'packages' must be"),
        ('kind = "client"', 'kind = "server"', 'kind must be "client" or "resource"'),
        ('kind = "client"', 'sort = "client"', "unknown key 'sort'"),
        ('"a secret"', '" "', "'__init__.token' needs a reason"),
        ('"a secret"', "3", "'forget' must be a table of texts"),
        ('sync = "SyncThings"', "", "'sync' must be a text"),
        ('async = "Things"', 'async = "ShopClient"', "one class is listed twice"),
        ('"The blocking shop."', r'"a \\\\ b"', "no quotes and backslashes"),
        ("shop/things.py", "shop/none.py", "shop/none.py: No such file"),
        ("Async through", "Sync through", "rename 'Sync through and through.' is used nowhere"),
        ("forget = {", 'keep = { "request.path" = "x" }\nforget = {', "names 'keep request.path'"),
        ("forget = {", 'bases = { Gone = "x" }\nforget = {', "names 'base Gone'"),
        ("session belongs", "session belongs", None),
    ],
)
def test_the_table(shop, old, new, message):
    edit(shop / "pyproject.toml", old, new)
    if message is None:
        assert text_of(shop) == EXPECTED
        return
    with pytest.raises(GenerateError) as caught:
        text_of(shop)
    assert message in str(caught.value)


def test_no_table(tmp_path, capsys):
    (tmp_path / "pyproject.toml").write_text("")
    assert main(["--pyproject", str(tmp_path / "pyproject.toml")]) == 2
    assert "no table [tool.kapture-facade]" in capsys.readouterr().err
    assert main(["--pyproject", str(tmp_path / "none.toml")]) == 2


# --- docstrings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tickets are made with ``Tickets.add``.", "Tickets are made with ``SyncTickets.add``."),
        ("See :class:`Tickets`, `aclose`.", "See :class:`SyncTickets`, `close`."),
        ("A span over ``await\nx()`` lines.", "A span over ``await\nx()`` lines."),
        ("Do::\n\n    await x()\n\nNot await.", "Do::\n\n    x()\n\nNot await."),
        ("```\nasync with a:\n```\nend", "```\nwith a:\n```\nend"),
        ("a\n  .. code-block:: python\n\n      await x()\n\n  b", None),
    ],
)
def test_docstrings(text, expected):
    if expected is None:
        expected = text.replace("await ", "")
    if "over" in text:  # a keyword at the end of a line is left, so it is refused
        with pytest.raises(ValueError, match="'await' in the code"):
            DocRules({}, {}).translate(text)
        return
    assert DocRules({}, {"Tickets": "SyncTickets"}).translate(text) == expected


# --- writing and checking ----------------------------------------------------------------------


@pytest.fixture
def command(shop: Path) -> Callable[..., int]:
    return lambda *arguments: main(["--pyproject", str(shop / "pyproject.toml"), *arguments])


def test_written_once_then_left_alone(shop, command, capsys):
    assert command() == 0
    assert capsys.readouterr().out == "wrote shop/sync.py\n"
    assert (shop / "shop/sync.py").read_bytes() == EXPECTED.encode()
    assert command() == 0
    assert capsys.readouterr().out == ""
    assert command("--check") == 0
    assert sorted(os.listdir(shop / "shop")) == [
        "__init__.py",
        "client.py",
        "download.py",
        "pages.py",
        "sync.py",
        "things.py",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("client.py", "timeout: float = 1.5", "timeout: float = 2.5"),
        ("client.py", "path: str, headers", "where: str, headers"),
        ("client.py", '"""Call anything."""', '"""Call something."""'),
        ("things.py", "async def drop", "async def remove"),
        ("things.py", "large: bool = False", "large: bool = True"),
        ("sync.py", "def drop", "def remove"),
        ("sync.py", "(start))\n", "(start))\n\n"),
    ],
)
def test_any_drift_fails_the_check(shop, command, capsys, file, old, new):
    command()
    edit(shop / "shop" / file, old, new)
    assert command("--check") == 1
    error = capsys.readouterr().err
    assert "--- shop/sync.py (committed)\n+++ shop/sync.py (generated)\n" in error
    assert "out of date; run: python -m kapture_async._core.facade.generate" in error


def test_other_line_ends_fail_the_check(shop, command, capsys):
    command()
    path = shop / "shop/sync.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert command("--check") == 1


def test_a_missing_or_a_stray_file_fails_the_check(shop, command, capsys):
    assert command("--check") == 1
    command()
    shutil.copy(shop / "shop/sync.py", shop / "shop/old_sync.py")
    assert command("--check") == 1
    assert "shop/old_sync.py: generated once, but no target any more" in capsys.readouterr().err


def test_what_cannot_be_generated_leaves_the_file_alone(shop, command, capsys):
    command()
    edit(shop / "shop/things.py", "async def drop", "async def __call__")
    assert command() == 2
    assert "no rule for __call__" in capsys.readouterr().err
    assert (shop / "shop/sync.py").read_text() == EXPECTED


def test_as_a_command(shop):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "kapture_async._core.facade.generate", "--check"],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "--- shop/sync.py" in done.stderr) == (1, True)


# --- by introspection --------------------------------------------------------------------------


def test_introspection_finds_no_drift(imported):
    assert introspect_table(imported / "pyproject.toml") == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("def drop(", "def remove(", ["SyncThings.drop: missing", "SyncThings.remove: has no"]),
        ('"""Drop one."""', '"""Drop it."""', ["SyncThings.drop: another docstring"]),
        ("Things. Blocking.", "Things.", ["SyncThings: another docstring"]),
        ("= DEFAULT", '= "x"', ["SyncThings.drop: parameter key: key: 'str' = 'x'"]),
        ("start: int = 0", "first: int = 0", ["SyncThings.list: other parameters"]),
        ("self, start: int", "self, start: float", ["SyncThings.list: parameter start: another"]),
        ("SyncPages[int]:", "SyncPages[str]:", ["SyncThings.list: another return type"]),
        ("-> SyncDownload:", "-> Download:", ["SyncThings.photo: another return type"]),
        ("    def drop", "    async def drop", ["SyncThings.drop: must not be async"]),
        ("    @property\n    def closed", "    def closed", ["SyncShopClient.closed: is a method"]),
        ("    def timeout", "    def time_out", ["SyncShopClient.time_out: has no", "timeout"]),
        ("    def close(", "    def shut(", ["SyncShopClient.close: missing", "shut: has no"]),
        ("    def __exit__(", "    def __leave__(", ["SyncShopClient.__exit__: missing"]),
        ("token: str =", "token: str | None =", ["__init__: parameter token: another type"]),
    ],
)
def test_introspection_finds_drift(imported, old, new, expected):
    edit(imported / "shop/sync.py", old, new)
    problems = introspect_table(imported / "pyproject.toml")
    assert len(problems) == len(expected), problems
    for problem, part in zip(problems, expected, strict=True):
        assert part in problem


def test_introspection_of_two_classes(imported):
    things = importlib.import_module("shop.things").Things
    twin = importlib.import_module("shop.sync").SyncThings
    names = {"Things": "SyncThings"}
    rename = {"Async through and through.": "Blocking."}
    assert introspect_drift(things, twin, twins=names, rename=rename) == []
    assert introspect_drift(
        things, twin, twins=names, rename=rename, drop={"get", "list.start"}
    ) == [
        "SyncThings.get: has no async original",
        "SyncThings.list: other parameters: ['self', 'start'], not ['self']",
    ]
