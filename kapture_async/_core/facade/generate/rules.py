"""The rules: which construct of an async class becomes what in its blocking twin."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping

from .docs import DocRules, dropped_of
from .layout import WIDTH, Call, call_lines, def_lines
from .names import FACADE, WRAPPERS, Names, Wrapper, is_text, outer_name
from .source import GenerateError, Import, Source
from .table import ClassEntry

_OWN = {"__init__", "aclose", "__aenter__", "__aexit__"}
_SKIPPED_DUNDERS = {"__repr__", "__del__", "__slots__", "__match_args__"}
_CLASS_DECORATORS = {"final", "define", "frozen", "mutable", "attrs.define", "attrs.frozen"}

Def = ast.FunctionDef | ast.AsyncFunctionDef


class ClassRules:
    """Writes the twin of one class.

    Args:
        source: the file the class is in.
        entry: its line in the table.
        twins: all classes of the module, async name to sync name.
        docs: the rules for docstrings.
    """

    def __init__(
        self, source: Source, entry: ClassEntry, twins: Mapping[str, str], docs: DocRules
    ) -> None:
        self._source = source
        self._entry = entry
        self._twins = twins
        self._docs = docs
        self._client = entry.kind == "client"
        self._unused = {*entry.drop} | {f"keep {key}" for key in entry.keep}
        self._unused |= {f"base {key}" for key in entry.bases}
        self._unused |= {f"forget {key}" for key in entry.forget}
        self._lines: list[str] = []
        self.names = Names(source, twins)
        self.errors: list[str] = []

    def render(self) -> list[str]:
        """The lines of the twin. What has no rule is collected in :attr:`errors`.

        What the lines need imported is in :attr:`names`.
        """
        node = self._source.find_class(self._entry.async_name)
        self._check_head(node)
        base = "SyncClient" if self._client else "SyncResource"
        self.names.need(Import(f"{FACADE}.base", base, base))
        self.names.need(Import(self._source.module, node.name, node.name))
        self._lines = [f"class {self._entry.sync_name}({base}[{node.name}]):"]
        doc = self._docstring(node, 4)
        self._lines += doc
        if self._client:
            self._lines += [""] if doc else []
            self._lines.append(f'    _async_name = "{node.name}"')
        seen: dict[str, bool] = {}
        for index, member in enumerate(node.body):
            try:
                self._member(node, index, member, seen)
            except GenerateError as error:
                self.errors.append(str(error))
        if len(self._lines) == 1:
            self._lines.append("    pass")
        if self._client:
            for name in sorted(_OWN):
                if name not in seen:
                    self._complain(node, f"a client needs {name}")
        for key in sorted(self._unused):
            self._complain(node, f"the table names {key!r}, which is not there or needs no rule")
        return self._lines

    # --- what there is ---------------------------------------------------------------------

    def _check_head(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self._source.segment(target) not in _CLASS_DECORATORS:
                self._complain(decorator, "no rule for this class decorator")
        for base in node.bases:
            name = self._source.segment(base).split("[")[0]
            if name in self._entry.bases:
                self._unused.discard(f"base {name}")
            else:
                self._complain(base, f"base class {name}: its public members are not seen here")
        for keyword in node.keywords:
            self._complain(keyword.value, "no rule for class keywords")

    def _member(
        self, owner: ast.ClassDef, index: int, node: ast.stmt, seen: dict[str, bool]
    ) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if self._skipped(node.name):
                    return
                overload = "overload" in self._decorators(node)
                if node.name in seen and not seen[node.name]:
                    raise self._source.error(node, f"{node.name} is defined twice")
                seen[node.name] = overload
                self._check_self_assignments(node, owner)
                self._function(node, overload=overload)
            case ast.AnnAssign(target=ast.Name(id=name)):
                if not self._skipped(name):
                    seen[name] = False
                    following = owner.body[index + 1] if index + 1 < len(owner.body) else None
                    self._attribute(name, node, following)
            case ast.Assign(targets=[ast.Name(id=name)]) if self._skipped(name):
                pass
            case ast.ClassDef(name=name) if self._skipped(name):
                pass
            case ast.Expr(value=ast.Constant(value=str())) | ast.Pass():
                pass
            case _:
                raise self._source.error(node, "no rule for this statement in a class")

    def _skipped(self, name: str) -> bool:
        if name in self._entry.drop:
            self._unused.discard(name)
            return True
        if name.startswith("__") and name.endswith("__"):
            return name in _SKIPPED_DUNDERS or (name == "__init__" and not self._client)
        return name.startswith("_")

    def _check_self_assignments(self, node: Def, owner: ast.ClassDef) -> None:
        declared = {
            member.target.id
            for member in owner.body
            if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name)
        }
        for inner in ast.walk(node):
            match inner:
                case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                    if not name.startswith("_") and name not in declared:
                        raise self._source.error(
                            inner, f"declare {name!r} with its type in the class, or hide it"
                        )
                case _:
                    pass

    # --- one rule each ---------------------------------------------------------------------

    def _function(self, node: Def, *, overload: bool) -> None:
        name, decorators = node.name, self._decorators(node) - {"overload"}
        is_async = isinstance(node, ast.AsyncFunctionDef)
        returns = self._returns(node)
        if self._client and name in _OWN:
            self._lifecycle(node, returns, overload=overload)
        elif name.startswith("__"):
            raise self._source.error(node, f"no rule for {name}; drop it in the table")
        elif decorators & {"property", "cached_property"}:
            self._property(node, returns, decorators)
        elif decorators == {"classmethod"}:
            if is_async or not self._client or not self._is_self(node):
                raise self._source.error(node, "a classmethod must be a client's, and return Self")
            call = Call("cls._wrap", [self._call(node, f"{self._entry.async_name}.{name}")])
            self._emit(node, returns, "return", call, overload=overload)
        elif decorators:
            raise self._source.error(node, f"no rule for decorator {min(decorators)}")
        elif is_async:
            self.names.refuse(node.returns, "an async method may not return")
            call = Call("self._loop.run", [self._call(node, f"self._inner.{name}")])
            start = "" if returns in {"None", "NoReturn", "Never"} else "return"
            self._emit(node, returns, start, call, overload=overload)
        elif self._client and self._is_self(node):
            call = Call("self._wrap", [self._call(node, f"self._inner.{name}"), "self._loop"])
            self._emit(node, returns, "return", call, overload=overload)
        elif (wrapper := outer_name(node.returns)) in WRAPPERS:
            self._wrapped(node, WRAPPERS[wrapper], overload=overload)
        else:
            self.names.refuse(node.returns, "a plain method may not return")
            call = self._call(node, f"self._inner.{name}")
            start = "" if returns == "None" else "return"
            self._emit(node, returns, start, call, overload=overload)

    def _lifecycle(self, node: Def, returns: str, *, overload: bool) -> None:
        is_async = isinstance(node, ast.AsyncFunctionDef)
        if is_async != (node.name != "__init__") or self._decorators(node):
            raise self._source.error(node, f"{node.name} is not as a client's must be")
        if node.name == "__init__":
            call = Call("self._bind", [self._call(node, self._entry.async_name)])
            self._emit(node, returns, "", call, overload=overload)
        elif node.name == "__aenter__":
            if not self._is_self(node):
                raise self._source.error(node, "__aenter__ must return Self")
            call = Call("self._loop.run", ["self._inner.__aenter__()"])
            self._emit(node, returns, "", call, name="__enter__", last="return self")
        else:
            if returns != "None":
                raise self._source.error(node, f"{node.name} must return None")
            inner = f"self._inner.{node.name}"
            close: str | Call = inner
            if node.name == "__aexit__":
                close = self._call(node, f"lambda: {inner}")
            name = "close" if node.name == "aclose" else "__exit__"
            self._emit(node, returns, "", Call("self._close", [close]), name=name)

    def _wrapped(self, node: Def, wrapper: Wrapper, *, overload: bool) -> None:
        self.names.need(Import(wrapper.module, wrapper.name, wrapper.name))
        assert isinstance(node.returns, ast.Subscript | ast.Name)
        outer = node.returns.value if isinstance(node.returns, ast.Subscript) else node.returns
        assert isinstance(outer, ast.Name)
        self.names.refuse(node.returns, "may not return", but=outer.id)
        returns = wrapper.name + self._source.segment(node.returns).removeprefix(outer.id)
        inner = f"self._inner.{node.name}"
        if wrapper.first is None:
            call = Call(wrapper.name, ["self._loop", self._call(node, inner)])
        else:
            args = [*node.args.posonlyargs, *node.args.args][1:2]
            if not args or args[0].arg != wrapper.first:
                raise self._source.error(
                    node, f"the first parameter must be named {wrapper.first!r}"
                )
            make = self._call(node, f"lambda {wrapper.first}: {inner}")
            call = Call(wrapper.name, ["self._loop", make, wrapper.first])
        self._emit(node, returns, "return", call, overload=overload)

    def _property(self, node: Def, returns: str, decorators: set[str]) -> None:
        if isinstance(node, ast.AsyncFunctionDef) or len(decorators) > 1:
            raise self._source.error(node, "no rule for this kind of property")
        self._property_lines(node.name, node.returns, returns, self._docstring(node, 8), node)

    def _attribute(self, name: str, node: ast.AnnAssign, following: ast.stmt | None) -> None:
        returns = self.names.annotation(node.annotation)
        if outer_name(node.annotation) in {"ClassVar", "Final"}:
            raise self._source.error(node, "no rule for constants of a class; drop it")
        doc: list[str] = []
        if isinstance(following, ast.Expr) and is_text(following.value):
            doc = self._doc_lines(following.value, 8)
        self._property_lines(name, node.annotation, returns, doc, node)

    def _property_lines(
        self, name: str, annotation: ast.expr | None, returns: str, doc: list[str], at: ast.AST
    ) -> None:
        if returns in self._twins:
            twin = self._twins[returns]
            self.names.need(Import("functools", "cached_property", "cached_property"))
            lines = ["    @cached_property", *def_lines(name, ["self"], twin), *doc]
            call = Call(twin, [f"self._inner.{name}", "self._loop"])
            self._add(at, [*lines, *call_lines(call, 8, "return ")])
        else:
            self.names.refuse(annotation, "an attribute may not be")
            lines = ["    @property", *def_lines(name, ["self"], returns), *doc]
            self._add(at, [*lines, f"        return self._inner.{name}"])

    # --- pieces ----------------------------------------------------------------------------

    def _emit(
        self,
        node: Def,
        returns: str,
        start: str,
        call: Call,
        *,
        name: str | None = None,
        last: str | None = None,
        overload: bool = False,
    ) -> None:
        lines = []
        if overload:
            self.names.need(Import("typing", "overload", "overload"))
            lines.append("    @overload")
        elif "classmethod" in self._decorators(node):
            lines.append("    @classmethod")
        end = " ..." if overload else ""
        lines += def_lines(name or node.name, self._params(node), returns, end)
        if not overload:
            lines += self._docstring(node, 8)
            forgotten = self._forgotten(node)
            if forgotten:
                lines.append("        try:")
            lines += call_lines(call, 12 if forgotten else 8, f"{start} " if start else "")
            if forgotten:
                # The value is gone before anybody can look at the frame of a failed call.
                lines += ["        finally:", f"            del {', '.join(forgotten)}"]
            if last:
                lines.append(f"        {last}")
        self._add(node, lines)

    def _add(self, at: ast.AST, lines: list[str]) -> None:
        for line in lines:
            if len(line) > WIDTH:
                raise self._source.error(at, f"makes a line over {WIDTH} columns: {line.strip()}")
        if len(self._lines) > 1:
            self._lines.append("")
        self._lines += lines

    def _arguments(self, node: Def) -> Iterator[tuple[str, ast.arg, ast.expr | None]]:
        """Kind, parameter and default of each, without ``self``."""
        args = node.args
        plain = [("/", arg) for arg in args.posonlyargs] + [("", arg) for arg in args.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults))
        for (kind, arg), default in zip(plain, [*defaults, *args.defaults], strict=True):
            if arg.arg not in {"self", "cls"}:
                yield kind, arg, default
        if args.vararg:
            yield "*", args.vararg, None
        for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
            yield "k", arg, default
        if args.kwarg:
            yield "**", args.kwarg, None

    def _params(self, node: Def) -> list[str]:
        result = ["cls" if "classmethod" in self._decorators(node) else "self"]
        previous = ""
        for kind, arg, default in self._arguments(node):
            if self._dropped(node, arg, default):
                continue
            if previous == "/" and kind != "/":
                result.append("/")
            if kind == "k" and previous not in {"k", "*"}:
                result.append("*")
            text = self._parameter(node, arg)
            if kind in {"*", "**"}:
                text = kind + text
            if default is not None:
                text += f" = {self._source.segment(default)}"
                self.names.use(default)
            result.append(text)
            previous = kind
        if previous == "/":
            result.append("/")
        return result

    def _parameter(self, node: Def, arg: ast.arg) -> str:
        if arg.annotation is None:
            raise self._source.error(arg, f"parameter {arg.arg!r} has no type")
        if f"{node.name}.{arg.arg}" in self._entry.keep:
            if self.names.async_names(arg.annotation):
                self._unused.discard(f"keep {node.name}.{arg.arg}")
        else:
            self.names.refuse(arg.annotation, "a parameter may not be", iterating=False)
        return f"{arg.arg}: {self.names.parameter(arg.annotation)}"

    def _call(self, node: Def, head: str) -> Call:
        args: list[str | Call] = []
        by_name = False
        for kind, arg, default in self._arguments(node):
            if self._dropped(node, arg, default):
                by_name = True
            elif kind in {"*", "**"}:
                if kind == "*" and by_name:
                    raise self._source.error(node, "no rule: *args after a dropped parameter")
                args.append(kind + arg.arg)
            elif kind == "k" or (kind == "" and by_name):
                args.append(f"{arg.arg}={arg.arg}")
            elif by_name:
                raise self._source.error(node, "no rule: positional-only after a dropped one")
            else:
                args.append(arg.arg)
        return Call(head, args)

    def _dropped(self, node: Def, arg: ast.arg, default: ast.expr | None) -> bool:
        key = f"{node.name}.{arg.arg}"
        if key not in self._entry.drop:
            return False
        if default is None:
            raise self._source.error(arg, f"{key} has no default, so it cannot be dropped")
        self._unused.discard(key)
        return True

    def _forgotten(self, node: Def) -> list[str]:
        names = []
        for _, arg, _ in self._arguments(node):
            key = f"{node.name}.{arg.arg}"
            if key in self._entry.forget and key not in self._entry.drop:
                self._unused.discard(f"forget {key}")
                names.append(arg.arg)
        return names

    def _returns(self, node: Def) -> str:
        if node.returns is None:
            raise self._source.error(node, f"{node.name} has no return type")
        if outer_name(node.returns) in WRAPPERS:
            inner = node.returns.slice if isinstance(node.returns, ast.Subscript) else None
            return self.names.annotation(inner) if inner is not None else ""
        text = self.names.annotation(node.returns)
        return self._entry.sync_name if text == self._entry.async_name else text

    def _decorators(self, node: Def) -> set[str]:
        return {self._source.segment(item) for item in node.decorator_list}

    def _docstring(self, node: Def | ast.ClassDef, indent: int) -> list[str]:
        first = node.body[0]
        if isinstance(first, ast.Expr) and is_text(first.value):
            owner = "__init__" if isinstance(node, ast.ClassDef) else node.name
            return self._doc_lines(first.value, indent, dropped_of(owner, self._entry.drop))
        return []

    def _doc_lines(self, node: ast.expr, indent: int, dropped: Collection[str] = ()) -> list[str]:
        raw = self._source.raw_segment(node)
        shift = indent - node.col_offset  # the text after an attribute moves into its property
        try:
            lines = self._docs.translate(raw, dropped).splitlines()
        except ValueError as error:
            raise self._source.error(node, str(error)) from None
        lines = [lines[0], *(" " * shift + line if line.strip() else "" for line in lines[1:])]
        return [" " * indent + lines[0], *lines[1:]]

    def _is_self(self, node: Def) -> bool:
        return outer_name(node.returns) in {"Self", self._entry.async_name}

    def _complain(self, node: ast.AST, message: str) -> None:
        self.errors.append(str(self._source.error(node, message)))
