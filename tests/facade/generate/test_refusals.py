"""What the generator refuses: sources and tables."""

from __future__ import annotations

import pytest

from kapture_async._core.facade.generate import GenerateError, main

from .shop import EXPECTED, edit, only, text_of

# --- refusals -------------------------------------------------------------------------------------


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


# --- the table ------------------------------------------------------------------------------------


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
