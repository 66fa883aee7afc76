"""What the generator writes, construct by construct."""

from __future__ import annotations

import importlib

import pytest

from kapture_async._core.facade import SyncInAsyncWarning

from .shop import EXPECTED, edit, formatted, only, text_of


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
