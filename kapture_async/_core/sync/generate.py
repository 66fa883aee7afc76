"""Writes the sync clients: ``python -m kapture_async._core.sync.generate [--check]``.

Reads the async sources with :mod:`ast` and writes thin classes: the real signature, the docstring,
one delegating line; ruff sorts the imports and formats. What it has no rule for is an error with
file and line, never a guess. Run it from the root of the repository. ``pyproject.toml`` says what
to write, the client first::

    [tool.kapture-sync]
    "kapture_async/sync.py" = ["client.KaptureClient", "tickets.Tickets"]

``Tickets`` becomes ``SyncTickets``. Public methods and properties are copied, those of base classes
within the repository too. A client's ``session`` is left out of its constructor, as a session
belongs to one event loop.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import copy
import difflib
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..atomicfile import write_whole

COMMAND = "python -m kapture_async._core.sync.generate"
SYNC = "kapture_async._core.sync"

WRAPPERS = {"Pages": "SyncPages", "Download": "SyncDownload", "Push": "SyncPush"}
"""What a plain method may return, and the sync class that wraps it."""

ASYNC_TYPES = {
    *("Awaitable", "Coroutine", "AsyncContextManager", "AbstractAsyncContextManager"),
    *("AsyncIterator", "AsyncIterable", "AsyncGenerator"),
}
"""Types that make no sense without await."""

LIFECYCLE = {"aclose": "close", "__aenter__": "__enter__", "__aexit__": "__exit__"}
LIFECYCLE["__init__"] = "__init__"
"""Methods that every client has, and their names in the sync client."""

WORDS = (
    ("An async iterator over", "An iterator over"),
    ("``next_page()`` gives", "``pages()`` gives"),
    ("any iterable or async iterable of", "any iterable of"),
    (
        "It belongs to the loop of its first call, and serves any number of concurrent calls.",
        "It runs an event loop of its own in a thread, and serves any number of threads.",
    ),
    ("async with ", "with "),
    ("async for ", "for "),
    ("async def ", "def "),
    ("await ", ""),
    ("aclose", "close"),
)
"""How the words of docstrings change; after that, none may show code that is async."""

ASYNC_WORDS = re.compile(r"\basync (with|for|def|iter\w+)\b|\b(await|asyncio|anyio)\b")

SKIPPED = {"__init__", "__repr__", "__del__"}
"""Magic methods that the sync classes have of their own, or do not need."""

Def = ast.FunctionDef | ast.AsyncFunctionDef


class GenerateError(Exception):
    """The sync clients cannot be generated. Each line says where, and what is wrong."""


@dataclass(frozen=True)
class Import:
    """How to import one name: ``name`` is ``None`` for ``import module``."""

    module: str
    name: str | None
    alias: str
    typing: bool = False
    """It is imported for type checkers only."""

    def line(self, package: str) -> str:
        """The statement, relative within ``package``."""
        module, bound = self.module, self.name or self.module
        if module.startswith(f"{package}."):
            module = module.removeprefix(package)
        start = f"from {module} import {bound}" if self.name else f"import {bound}"
        return start if bound == self.alias else f"{start} as {self.alias}"


WARNING = Import(f"{SYNC}.portal", "SyncInAsyncWarning", "SyncInAsyncWarning")
"""What every sync client may show, and so every file."""


class Source:
    """One parsed file of the async code, and where each name in it comes from."""

    def __init__(self, root: Path, module: str) -> None:
        self.root = root
        self.module = module
        self.path = module.replace(".", "/") + ".py"
        try:
            self.text = (root / self.path).read_text(encoding="utf-8")
            self.tree = ast.parse(self.text, self.path)
        except OSError as error:
            raise GenerateError(f"{self.path}: {error.strerror}") from error
        except SyntaxError as error:
            raise GenerateError(f"{self.path}:{error.lineno}: {error.msg}") from error
        self.names: dict[str, Import] = {}
        for node in self.tree.body:
            match node:
                case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                    for inner in node.body:
                        self._bind(inner, typing=True)
                case _:
                    self._bind(node, typing=False)

    def _bind(self, node: ast.stmt, *, typing: bool) -> None:
        found: list[tuple[str, str | None, str]] = []
        match node:
            case ast.ImportFrom():
                parts = self.module.split(".")[: -node.level or None]
                module = ".".join([*(parts if node.level else ()), *filter(None, [node.module])])
                found = [(module, alias.name, alias.asname or alias.name) for alias in node.names]
            case ast.Import():
                found = [(alias.name, None, alias.asname or alias.name) for alias in node.names]
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                found = [(self.module, name, name)]
            case ast.Assign(targets=[ast.Name(id=name)]):
                found = [(self.module, name, name)]
            case _:
                pass  # what other statements bind stays unknown; using it is an error
        for origin, bound, alias in found:
            self.names[alias] = Import(origin, bound, alias, typing)

    def error(self, node: ast.AST, message: str) -> GenerateError:
        """An error at a node."""
        return GenerateError(f"{self.path}:{getattr(node, 'lineno', 1)}: {message}")

    def find(self, name: str) -> ast.ClassDef:
        """The class of that name."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
        raise GenerateError(f"{self.path}: no class {name}")

    def members(self, name: str) -> Iterator[tuple[Source, ast.stmt]]:
        """The statements of a class, those of its bases first, and the file each is in."""
        node = self.find(name)
        for base in node.bases:
            known = self.names.get(ast.unparse(base))
            if known is None or known.name is None:
                raise self.error(base, f"no rule for the base class {ast.unparse(base)}")
            yield from Source(self.root, known.module).members(known.name)
        for member in node.body:
            yield self, member


class Writer:
    """Writes one file.

    Args:
        root: the directory of ``pyproject.toml``.
        target: the file, from there.
        entries: ``module.Class`` of each class within the target's package, the client first.
    """

    def __init__(self, root: Path, target: str, entries: Sequence[str]) -> None:
        self._root = root
        self._target = target
        self._package = target.removesuffix(".py").replace("/", ".").rpartition(".")[0]
        self._entries = [entry.rpartition(".")[::2] for entry in entries]
        self._sync_names = {name: f"Sync{name}" for _, name in self._entries}
        self._imports: dict[str, Import] = {}

    def text(self) -> str:
        """The text of the file, as ruff formats it.

        Raises:
            GenerateError: one line for each construct without a rule, or what ruff complains of.
        """
        errors: list[str] = []
        sources = [Source(self._root, f"{self._package}.{module}") for module, _ in self._entries]
        bodies: list[str] = []
        for source, (_, name) in zip(sources, self._entries, strict=True):
            bodies += self._class(source, name, errors, client=not bodies)
        if errors:
            raise GenerateError("\n".join(errors))
        self._need(WARNING)
        imports = self._imports.values()
        shown = {*self._sync_names.values(), *WRAPPERS.values(), WARNING.alias}
        shown &= {*self._sync_names.values(), *self._imports}
        hidden = [f"    {item.line(self._package)}" for item in imports if item.typing]
        if hidden:
            hidden = ["from typing import TYPE_CHECKING", "if TYPE_CHECKING:", *hidden]
        paths = "\n#          ".join(source.path for source in sources)
        lines = [
            f"# Generated by: {COMMAND}\n# Sources: {paths}\n# Do not edit.",
            '"""The sync client, for scripts, notebooks and threads."""',
            "from __future__ import annotations",
            *(item.line(self._package) for item in imports if not item.typing),
            *hidden,
            f"\n__all__ = {sorted(shown)}",
            *bodies,
        ]
        text = self._ruff("\n".join(lines) + "\n", "check", "--select=I", "--fix-only", "--quiet")
        return self._ruff(text, "format", "--quiet")

    def _ruff(self, text: str, *arguments: str) -> str:
        command = [sys.executable, "-m", "ruff", *arguments, f"--stdin-filename={self._target}"]
        done = subprocess.run(  # noqa: S603
            [*command, "-"], input=text.encode(), capture_output=True, cwd=self._root, check=False
        )
        if done.returncode:
            raise GenerateError(f"{self._target}: ruff failed: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    def _class(
        self, source: Source, name: str, errors: list[str], *, client: bool
    ) -> Iterator[str]:
        node = source.find(name)
        base = "SyncClient" if client else "SyncResource"
        self._need(Import(f"{SYNC}.base", base, base))
        self._need(source.names[name])
        yield f"class {self._sync_names[name]}({base}[{name}]):"
        members = {"__doc__": self._doc(source, node, "session" if client else "")}
        if client:
            members["_async_name"] = f'_async_name = "{name}"'
        for where, member in source.members(name):
            try:
                match member:
                    case ast.FunctionDef() | ast.AsyncFunctionDef():
                        self._check_attributes(where, member)
                        if member.name in LIFECYCLE and client:
                            members[member.name] = self._lifecycle(where, member, name)
                        elif not member.name.startswith("_"):
                            members[member.name] = self._method(where, member, name, client=client)
                        elif member.name.endswith("__") and member.name not in SKIPPED:
                            raise where.error(member, f"no rule for {member.name}")
                    case ast.Assign(targets=[ast.Name(id=item)]) if item.startswith("_"):
                        pass
                    case ast.AnnAssign(target=ast.Name(id=item)) if item.startswith("_"):
                        pass
                    case ast.Expr(value=ast.Constant()) | ast.Pass():
                        pass
                    case _:
                        raise where.error(member, "no rule for this statement in a class")
            except GenerateError as error:
                errors.append(str(error))
        missing = [item for item in LIFECYCLE if client and item not in members]
        errors += [f"{source.path}: the client {name} needs {item}" for item in missing]
        yield "\n".join(f"    {line}" for text in members.values() for line in text.split("\n"))

    def _lifecycle(self, source: Source, node: Def, owner: str) -> str:
        if isinstance(node, ast.AsyncFunctionDef) == (node.name == "__init__"):
            raise source.error(node, f"{node.name} is not as a client's must be")
        inner, given = f"self._inner.{node.name}", self._given(node)
        body = {
            "__init__": f"self._bind({owner}({given}))",
            "aclose": f"self._close({inner})",
            "__aenter__": f"self._portal.call({inner}({given}))\n    return self",
            "__aexit__": f"self._close(lambda: {inner}({given}))",
        }[node.name]
        return self._def(source, node, body, {owner})

    def _method(self, source: Source, node: Def, owner: str, *, client: bool) -> str:
        decorators = [f"@{ast.unparse(item)}\n" for item in node.decorator_list]
        outer, inner, given = (
            outer_name(node.returns),
            f"self._inner.{node.name}",
            self._given(node),
        )
        is_async = isinstance(node, ast.AsyncFunctionDef)
        is_resource = outer in self._sync_names and not is_async
        returns_client = client and outer in {owner, "Self"}
        match decorators:
            case ["@property\n" | "@cached_property\n"] if is_resource:
                self._need(Import("functools", "cached_property", "cached_property"))
                body = f"return {self._sync_names[outer]}({inner}, self._portal)"
                return "@cached_property\n" + self._def(source, node, body, {outer})
            case ["@property\n" as decorator] if not is_async:
                return decorator + self._def(source, node, f"return {inner}")
            case ["@classmethod\n" as decorator] if returns_client and not is_async:
                body = f"return cls._wrap({owner}.{node.name}({given}))"
                return decorator + self._def(source, node, body, {outer})
            case [decorator, *_]:
                raise source.error(node, f"no rule for {decorator.strip()} here")
            case _:
                pass
        call = f"{inner}({given})"
        allowed: set[str] = set()
        if is_async:
            call = f"self._portal.call({call})"
        elif returns_client:
            allowed = {outer}
            call = f"self._wrap({call}, self._portal)"
        elif outer in WRAPPERS:
            allowed = {outer}
            wrapper = WRAPPERS[outer]
            self._need(Import(f"{SYNC}.{'push' if outer == 'Push' else 'base'}", wrapper, wrapper))
            if outer == "Push":  # it calls with a source of its own
                if [arg.arg for arg in node.args.args[1:2]] != ["source"]:
                    raise source.error(node, "the first parameter must be named 'source'")
                call = f"{wrapper}(self._portal, lambda source: {call}, source)"
            else:
                call = f"{wrapper}(self._portal, {call})"
        start = "" if isinstance(node.returns, ast.Constant) else "return "
        return self._def(source, node, f"{start}{call}", allowed)

    def _def(self, source: Source, node: Def, body: str, allowed: Collection[str] = ()) -> str:
        args = copy.deepcopy(node.args)
        for index, name in self._dropped(node):
            if args.kw_defaults[index] is None:
                raise source.error(node, f"{name!r} has no default, so it cannot be left out")
            del args.kwonlyargs[index], args.kw_defaults[index]
        every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
        for arg in filter(None, every):
            if arg.annotation is not None:
                arg.annotation = self._parameter(source, arg.annotation)
            elif arg.arg not in {"self", "cls"}:
                raise source.error(arg, f"parameter {arg.arg!r} has no type")
        for default in filter(None, [*args.defaults, *args.kw_defaults]):
            self._use(source, default)
        name = LIFECYCLE.get(node.name, node.name)
        head = f"def {name}({ast.unparse(args)}) -> {self._returns(source, node, allowed)}:"
        return "\n    ".join(filter(None, [head, self._doc(source, node), body]))

    def _given(self, node: Def) -> str:
        """The arguments of the call, as the parameters were given."""
        args = node.args
        texts = [arg.arg for arg in [*args.posonlyargs, *args.args][1:]]
        texts += [f"*{args.vararg.arg}"] if args.vararg else []
        dropped = [name for _, name in self._dropped(node)]
        texts += [f"{arg.arg}={arg.arg}" for arg in args.kwonlyargs if arg.arg not in dropped]
        return ", ".join([*texts, *([f"**{args.kwarg.arg}"] if args.kwarg else [])])

    def _dropped(self, node: Def) -> list[tuple[int, str]]:
        names = enumerate(arg.arg for arg in node.args.kwonlyargs)
        return [item for item in names if node.name == "__init__" and item[1] == "session"]

    def _parameter(self, source: Source, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            left, right = (self._parameter(source, part) for part in (node.left, node.right))
            return ast.BinOp(left, node.op, right)
        if not isinstance(node, ast.Subscript) or outer_name(node) != "Source":
            self._check_type(source, node, "a parameter may not be")
            return node
        self._check_type(source, node.slice, "a source may not hold")
        self._need(Import("collections.abc", "Iterable", "Iterable"))
        return ast.Subscript(ast.Name("Iterable"), node.slice)

    def _returns(self, source: Source, node: Def, allowed: Collection[str]) -> str:
        """The return type; the names of ``allowed`` may be all of it, or its outermost one."""
        if node.returns is None:
            raise source.error(node, f"{node.name} has no return type")
        outer = outer_name(node.returns)
        what = f"{node.name} may not return"
        if outer not in allowed or outer == "Self":
            self._check_type(source, node.returns, what)
            return ast.unparse(node.returns)
        if isinstance(node.returns, ast.Subscript):
            self._check_type(source, node.returns.slice, what)
        return ast.unparse(node.returns).replace(outer, {**WRAPPERS, **self._sync_names}[outer], 1)

    def _check_type(self, source: Source, node: ast.expr, what: str) -> None:
        names = [getattr(item, "id", getattr(item, "attr", "")) for item in ast.walk(node)]
        for name in names:
            if name in {*ASYNC_TYPES, *WRAPPERS, *self._sync_names, "Source"}:
                raise source.error(node, f"{what} {name}")
        texts = [item for item in ast.walk(node) if isinstance(getattr(item, "value", 0), str)]
        if texts and not {"Literal", "Annotated"} & {*names}:
            raise source.error(node, "write the type without quotes")
        self._use(source, node)

    def _use(self, source: Source, node: ast.expr) -> None:
        """Import every name of an expression, as its source does."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                if inner.id in source.names:
                    self._need(source.names[inner.id], source.error(inner, ""))
                elif not hasattr(builtins, inner.id):
                    raise source.error(inner, f"cannot tell where {inner.id!r} comes from")

    def _need(self, item: Import, at: GenerateError | None = None) -> None:
        known = self._imports.setdefault(item.alias, item)
        if (known.module, known.name) != (item.module, item.name):
            raise GenerateError(f"{at}{item.alias} also comes from {known.module}")
        if not item.typing:
            self._imports[item.alias] = item

    def _check_attributes(self, source: Source, node: Def) -> None:
        for inner in ast.walk(node):
            match inner:
                case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                    if not name.startswith("_"):
                        raise source.error(inner, f"make {name!r} a property, or hide it")
                case _:
                    pass

    def _doc(self, source: Source, node: Def | ast.ClassDef, dropped: str = "") -> str:
        match node.body[0]:
            case ast.Expr(value=ast.Constant(value=str())) as found:
                text = ast.get_source_segment(source.text, found) or ""
            case _:
                return ""
        if dropped:
            text = re.sub(rf"^( *){dropped}:.*\n(?:\1 +\S.*\n)*", "", text, flags=re.MULTILINE)
        for old, new in WORDS:
            text = text.replace(old, new)
        names = "|".join({**WRAPPERS, **self._sync_names})
        text = re.sub(rf"(?<=[`~])({names})\b|\b({names})(?=\()", r"Sync\1\2", text)
        if left := ASYNC_WORDS.search(text):
            raise source.error(found, f"the docstring speaks of {left[0]!r}; see WORDS")
        return text


def outer_name(node: ast.expr | None) -> str:
    """``Pages`` of ``Pages[Ticket]``; empty if it is not a plain name."""
    outer = node.value if isinstance(node, ast.Subscript) else node
    return outer.id if isinstance(outer, ast.Name) else ""


def generate(root: Path) -> dict[str, str]:
    """All files, target to text.

    Raises:
        GenerateError: something has no rule; one line for each.
        OSError: ``pyproject.toml`` cannot be read.
    """
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    table = document.get("tool", {}).get("kapture-sync")
    if not table:
        raise GenerateError("pyproject.toml: no table [tool.kapture-sync]")
    return {target: Writer(root, target, entries).text() for target, entries in table.items()}


def main(arguments: Sequence[str] | None = None, root: Path = Path()) -> int:
    """The command line; returns the exit code: 0 done, 1 out of date, 2 cannot be generated."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write the sync clients.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    options = parser.parse_args(arguments)
    try:
        texts = generate(root)
    except (GenerateError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    outdated = False
    for target, text in texts.items():
        path = root / target
        found = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        if found == text:
            continue
        outdated = True
        if options.check:
            lines = found.splitlines(keepends=True), text.splitlines(keepends=True)
            names = f"{target} (committed)", f"{target} (generated)"
            sys.stderr.writelines(difflib.unified_diff(*lines, *names))
        else:
            write_whole(str(path), text.encode(), mode=0o644)
            print(f"wrote {target}")
    if outdated and options.check:
        print(f"out of date; run: {COMMAND}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
