"""The generator of the sync clients: what it writes of a small shop, and what it refuses."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kapture_async._core.sync.generate import GenerateError, generate, main

FILES = {
    "pyproject.toml": """\
[tool.kapture-sync]
"shop/sync.py" = ["client.ShopClient", "things.Things"]

[tool.ruff]
line-length = 100
""",
    "shop/__init__.py": "",
    "shop/base.py": """\
from decimal import Decimal

class ShopBase:
    def price(self, base: Decimal) -> Decimal:
        return base
""",
    "shop/client.py": '''\
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from .base import ShopBase
from .things import Things

if TYPE_CHECKING:
    from collections.abc import Mapping

class ShopClient(ShopBase):
    """Client of the shop.

    Args:
        host: where.
        session: a session of your own,
            never closed.
        more: more.
    """

    def __init__(self, host: str = "h", *, session: Any = None, **more: object) -> None:
        self._host = host
        self._things = Things()
        self._closed = False

    @classmethod
    def from_env(cls, *, host: str = "env") -> Self:
        return cls(host)

    def with_options(self, host: str) -> ShopClient:
        return ShopClient(host)

    @property
    def things(self) -> Things:
        return self._things

    @property
    def closed(self) -> bool:
        return self._closed

    async def request(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        return path, headers

    async def aclose(self) -> None:
        self._closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ShopClient {self._host}>"
''',
    "shop/things.py": """\
from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar, Literal

from .remote import Download, Pages, Push, Source

LIMIT = 3

class Things:
    async def get(self, key: str, /, *keys: str, limit: int = LIMIT, **more: Any) -> list[str]:
        return [key, *keys, str(limit), *more]

    async def drop(self) -> None: ...

    def list(self, start: int = 0) -> Pages[int]:
        return Pages([[start, start + 1], [start + 2]])
""",
    "shop/remote.py": """\
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Download = Push = Source = Any

class Pages(Generic[T]):
    def __init__(self, pages: list[list[T]]) -> None:
        self._pages = pages

    async def next_page(self) -> list[T] | None:
        return self._pages.pop(0) if self._pages else None

    next_rows = next_page
    midway = False

    async def aclose(self) -> None: ...
""",
}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def sync(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    assert main([], shop) == 0
    monkeypatch.syspath_prepend(shop)
    yield importlib.import_module("shop.sync")
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


def only(shop: Path, body: str) -> int:
    """Let ``Things`` have this body; returns the line it begins in."""
    head = FILES["shop/things.py"].partition("    async def get")[0]
    body += "\n    ..." if body.endswith(":") else ""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (shop / "shop/things.py").write_text(head + lines)
    return len(head.splitlines()) + 1


def test_the_text_works(sync):
    with sync.SyncShopClient("host", colour="red") as client:
        assert repr(client) == "<SyncShopClient host>"
        assert client.things is client.things
        assert client.things.get("1", "2", limit=4, x=5) == ["1", "2", "4", "x"]
        assert client.things.drop() is None
        assert client.things.list(5).all() == [5, 6, 7]
        other = client.with_options("other")
        other.close()
        assert other.closed
        assert client.request("/q") == ("/q", None)  # closing the other one stopped no loop
    assert client.closed
    assert sync.SyncShopClient.__doc__ == (
        "Client of the shop.\n\n    Args:\n        host: where.\n        more: more.\n    "
    )
    with sync.SyncShopClient.from_env() as env:
        assert (type(env), repr(env)) == (sync.SyncShopClient, "<SyncShopClient env>")


WRITTEN: list[tuple[str, str]] = [
    (
        "async def x(self, a: int, /, b: str = 'b', *c: Any, d: float = 1.0, **e: bool) -> int:",
        'def x(self, a: int, /, b: str = "b", *c: Any, d: float = 1.0, **e: bool) -> int:\n'
        "    return self._portal.call(self._inner.x(a, b, *c, d=d, **e))",
    ),
    (
        "async def x(self, *, a: dict[\n    str, dt.date\n]) -> None:",
        "def x(self, *, a: dict[str, dt.date]) -> None:\n    self._portal.call(self._inner.x(a=a))",
    ),
    (
        "def x(self, a: Literal['a', 'b']) -> bool:",
        'def x(self, a: Literal["a", "b"]) -> bool:\n    return self._inner.x(a)',
    ),
    (
        "def x(self, a: int = LIMIT) -> Pages[int]:",
        "def x(self, a: int = LIMIT) -> SyncPages[int]:\n"
        "    return SyncPages(self._portal, self._inner.x(a))",
    ),
    (
        "def x(self, a: str) -> Download:",
        "def x(self, a: str) -> SyncDownload:\n"
        "    return SyncDownload(self._portal, self._inner.x(a))",
    ),
    (
        "def x(self, source: Source[int | str], *, a: str) -> Push[str]:",
        "def x(self, source: Iterable[int | str], *, a: str) -> SyncPush[str]:\n"
        "    return SyncPush(self._portal, lambda source: self._inner.x(source, a=a), source)",
    ),
]


@pytest.mark.parametrize(("source", "expected"), WRITTEN)
def test_constructs(shop, source, expected):
    only(shop, source)
    text = generate(shop)["shop/sync.py"]
    assert text.partition("class SyncThings(SyncResource[Things]):\n")[2] == "".join(
        f"    {line}\n" for line in expected.splitlines()
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See :class:`Things`, `Things.get`, ``Pages``.", None),
        ("Things as they are; pages, too.", "Things as they are; pages, too."),
        ("Get one: ``await things.get()``, ``aclose``.", "Get one: ``things.get()``, ``close``."),
        (
            "::\n\n    async with Things() as x:\n        async for y in x: ...",
            "::\n\n    with SyncThings() as x:\n        for y in x: ...",
        ),
        (
            "An async iterator over rows; ``next_page()`` gives a day.",
            "An iterator over rows; ``pages()`` gives a day.",
        ),
        ("Takes any iterable or async iterable of texts.", "Takes any iterable of texts."),
    ],
)
def test_docstrings(shop, text, expected):
    lines = text.replace("\n", "\n        ")
    only(shop, f'def x(self) -> int:\n    """Do.\n\n    {lines}\n    """')
    expected = expected or "See :class:`SyncThings`, `SyncThings.get`, ``SyncPages``."
    assert (
        expected.replace("\n", "\n" + " " * 12).replace(" " * 12 + "\n", "\n")
        in (generate(shop)["shop/sync.py"])
    )


def test_written_once_then_left_alone(shop, capsys):
    assert main([], shop) == 0
    assert capsys.readouterr().out == "wrote shop/sync.py\n"
    assert (main([], shop), main(["--check"], shop)) == (0, 0)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("client.py", '"env"', '"environ"'),
        ("client.py", "host: where.", "host: the host."),
        ("things.py", "async def drop", "async def remove"),
        ("base.py", "-> Decimal", "-> str"),
        ("sync.py", "def drop", "def remove"),
        ("sync.py", "(start))\n", "(start))\n\n"),
        ("sync.py", "\n", "\r\n"),
    ],
)
def test_any_drift_fails_the_check(shop, capsys, file, old, new):
    main([], shop)
    path = shop / "shop" / file
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode()))
    found = (shop / "shop/sync.py").read_bytes()
    assert main(["--check"], shop) == 1
    error = capsys.readouterr().err
    assert "--- shop/sync.py (committed)\n+++ shop/sync.py (generated)\n" in error
    assert "out of date; run: python -m kapture_async._core.sync.generate" in error
    assert (shop / "shop/sync.py").read_bytes() == found


def test_as_a_command(shop):
    done = subprocess.run(
        [sys.executable, "-m", "kapture_async._core.sync.generate", "--check"],
        cwd=shop,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "+++ shop/sync.py" in done.stderr) == (1, True)


REFUSED: list[tuple[str, str]] = [
    ("async def x(self) -> AsyncIterator[int]:", "x may not return AsyncIterator"),
    ("async def x(self) -> Pages[int]:", "x may not return Pages"),
    ("def x(self) -> list[Download]:", "x may not return Download"),
    ("def x(self) -> Pages[Awaitable[int]]:", "x may not return Awaitable"),
    ("async def x(self) -> Things:", "x may not return Things"),
    ("async def x(self):", "x has no return type"),
    ("async def x(self, a) -> None:", "parameter 'a' has no type"),
    ("async def x(self, a: Callable[[], Awaitable[int]]) -> None:", "may not be Awaitable"),
    ("async def x(self, a: list[Source[int]]) -> None:", "may not be Source"),
    ("async def x(self, a: list['int']) -> None:", "write the type without quotes"),
    ("async def x(self, a: Unknown) -> None:", "cannot tell where 'Unknown' comes from"),
    ("async def x(self, a: int = UNKNOWN) -> None:", "cannot tell where 'UNKNOWN' comes from"),
    ("def x(self, rows: list[int]) -> Push[int]:", "must be named 'source'"),
    ("@staticmethod\ndef x() -> int:", "no rule for @staticmethod"),
    ("@classmethod\ndef x(cls) -> int:", "no rule for @classmethod"),
    ("@property\nasync def x(self) -> int:", "no rule for @property"),
    ("@property\ndef x(self) -> Awaitable[int]:", "x may not return Awaitable"),
    ("limit = 3", "no rule for this statement"),
    ("limit: ClassVar[int] = 3", "no rule for this statement"),
    ("def __aiter__(self) -> AsyncIterator[int]:", "no rule for __aiter__"),
    ("async def x(self) -> int:\n    self.y = 3", "make 'y' a property"),
    ('async def x(self) -> int:\n    """Then ``asyncio.run(x())``."""', "speaks of 'asyncio'"),
]


@pytest.mark.parametrize(("source", "message"), REFUSED)
def test_refusals(shop, source, message, capsys):
    main([], shop)
    written = (shop / "shop/sync.py").read_bytes()
    line = only(shop, source)
    assert main([], shop) == main(["--check"], shop) == 2
    error = capsys.readouterr().err
    assert message in error
    assert int(error.removeprefix("shop/things.py:").partition(":")[0]) in (line, line + 1)
    assert (shop / "shop/sync.py").read_bytes() == written


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("shop/client.py", "def aclose", "def shut", "the client ShopClient needs aclose"),
        ("shop/client.py", "async def __aenter__", "def __aenter__", "is not as a client's must"),
        ("shop/client.py", "(ShopBase)", "(Exception)", "no rule for the base class Exception"),
        ("shop/client.py", "session: Any = None", "session: Any", "'session' has no default"),
        ("shop/client.py", "class ShopClient", "class Other", "client.py: no class ShopClient"),
        ("shop/client.py", "(ShopBase):", "", "shop/client.py:11: expected ':'"),
        ("shop/things.py", "Any, C", "C", "shop/things.py:12: cannot tell where 'Any'"),
        ("pyproject.toml", "things.T", "none.T", "shop/none.py: No such file"),
        ("pyproject.toml", "kapture-sync", "other", "no table [tool.kapture-sync]"),
    ],
)
def test_refusals_of_clients_and_tables(shop, file, old, new, message):
    assert old in FILES[file]
    (shop / file).write_text(FILES[file].replace(old, new))
    with pytest.raises(GenerateError) as caught:
        generate(shop)
    assert message in str(caught.value)


def test_two_meanings_of_one_name(shop):
    text = FILES["shop/things.py"].replace(
        "typing import Any,", "other import Any\nfrom typing import"
    )
    (shop / "shop/things.py").write_text(text)
    with pytest.raises(GenerateError, match=r"things\.py:13: Any also comes from typing"):
        generate(shop)


def test_all_refusals_are_told_at_once(shop):
    only(shop, "limit = 3\nasync def x(self): ...")
    with pytest.raises(GenerateError) as caught:
        generate(shop)
    assert len(str(caught.value).splitlines()) == 2


# --- the committed sync clients ----------------------------------------------------------------

ROOT = Path(__file__).parents[2]
NAMES = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["kapture-sync"]


def test_generating_again_changes_no_byte(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["--check"], ROOT)
    assert code == 0, capsys.readouterr()


def public(cls: type, *, client: bool) -> dict[str, object]:
    """Its public members by their names in the sync client; seen without the generator."""
    members = {name: inspect.getattr_static(cls, name) for name in dir(cls)}
    wanted = {*NAMES, *NAMES.values(), "__init__"} if client else set()
    return {
        NAMES.get(name, name): member
        for name, member in members.items()
        if not name.startswith("_") or (name in wanted and not hasattr(object, name))
    } | ({"__init__": members["__init__"]} if client else {})


def parameters(member: object) -> list[tuple[str, object, object]]:
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, member)
    assert callable(member)
    return [(p.name, p.kind, p.default) for p in inspect.signature(member).parameters.values()]


@pytest.mark.parametrize(
    ("target", "entry"), [(target, entry) for target in TABLE for entry in TABLE[target]]
)
def test_every_public_name_has_its_sync_counterpart_with_the_same_parameters(
    target: str, entry: str
) -> None:
    module, _, name = entry.rpartition(".")
    package = target.partition("/")[0]
    source = getattr(importlib.import_module(f"{package}.{module}"), name)
    blocking = getattr(importlib.import_module(f"{package}.sync"), f"Sync{name}")
    client = hasattr(source, "aclose")
    ours, theirs = public(source, client=client), public(blocking, client=client)
    assert ours.keys() == theirs.keys()
    for key, member in ours.items():
        dropped = "session" if key == "__init__" else None
        expected = [parameter for parameter in parameters(member) if parameter[0] != dropped]
        assert parameters(theirs[key]) == expected, key
        assert not inspect.iscoroutinefunction(theirs[key])
