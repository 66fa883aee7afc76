"""The house rules of imports: who may know whom. Read from the source, so nothing is missed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import kapture_async
import support_async

ROOT = Path(kapture_async.__file__).parent.parent
PACKAGES = {
    "kapture_async": Path(kapture_async.__file__).parent,
    "support_async": Path(support_async.__file__).parent,
}
FILES = sorted(path for package in PACKAGES.values() for path in package.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


class AtRunTime(ast.NodeTransformer):
    """Takes out what only type checkers read."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return node.orelse
        return node


def imports_of(
    source: str, module: str, *, is_package: bool, at_run_time: bool = False
) -> set[str]:
    """Every module a source imports, in full, also those inside functions; unless only those at
    run time are asked for, also those for type checks."""
    package = module if is_package else module.rpartition(".")[0]
    found: set[str] = set()
    tree: ast.AST = ast.parse(source)
    if at_run_time:
        tree = AtRunTime().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                up = parts[: len(parts) - node.level + 1]
                base = ".".join([*up, base] if base else up)
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def all_imports(*, at_run_time: bool) -> dict[str, set[str]]:
    return {
        module_of(path): imports_of(
            path.read_text(encoding="utf-8"),
            module_of(path),
            is_package=path.name == "__init__.py",
            at_run_time=at_run_time,
        )
        for path in FILES
    }


IMPORTS = all_imports(at_run_time=False)
IMPORTS_AT_RUN_TIME = all_imports(at_run_time=True)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_the_reader_sees_imports() -> None:
    source = "from ..a import b\nif 1:\n    import c.d\ndef f():\n    from . import e\n"
    found = imports_of(source, "p.q.r", is_package=False)
    assert found == {"p.a", "p.a.b", "c.d", "p.q", "p.q.e"}
    source = "import a\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\nif d:\n    import e\n"
    assert imports_of(source, "p.q", is_package=False) == {"a", "b", "c", "e"}
    assert imports_of(source, "p.q", is_package=False, at_run_time=True) == {"a", "c", "e"}
    assert len(IMPORTS) > 40


def test_the_core_knows_no_vendor() -> None:
    for module, imports in IMPORTS.items():
        if within(module, "kapture_async._core"):
            wrong = {
                name
                for name in imports
                if (within(name, "kapture_async") or within(name, "support_async"))
                and not within(name, "kapture_async._core")
                and name != "kapture_async"  # `from ..` of a package names its parent, too
            }
            assert not wrong, (module, wrong)


def test_support_uses_only_the_core_of_kapture() -> None:
    for module, imports in IMPORTS.items():
        if within(module, "support_async"):
            wrong = {
                name
                for name in imports
                if within(name, "kapture_async") and not within(name, "kapture_async._core")
            }
            assert not wrong, (module, wrong)


def test_kapture_does_not_know_support() -> None:
    for module, imports in IMPORTS.items():
        if within(module, "kapture_async"):
            assert not {name for name in imports if within(name, "support_async")}, module


def test_only_the_transport_imports_aiohttp() -> None:
    rooms = ("aiohttp_errors", "aiohttp_internals", "connection", "direct_wire")
    rooms += ("session", "session_wire")
    allowed = {f"kapture_async._core.transport.{name}" for name in rooms}
    allowed.add("kapture_async._core.ui.server")  # the server of the page, no client
    for module, imports in IMPORTS_AT_RUN_TIME.items():
        found = {name for name in imports if within(name, "aiohttp")}
        assert (module in allowed) == bool(found), module


STORAGES = [
    *("kapture_async._core.journal.sqlite", "kapture_async._core.journal.postgres"),
    "kapture_async._core.reconcile.seen_tickets",  # a temporary database, for one lookup
]
CHOOSES = "kapture_async._core.journal.address"
"""Chooses the storage of a journal, and so may name them."""
SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|DELETE\s+FROM|UPDATE\s+\w+\s+SET"
    r"|CREATE\s+(TEMP\s+)?(TABLE|INDEX|VIEW|TRIGGER)|PRAGMA\s+\w+)\b",
    re.DOTALL,
)


def is_storage(module: str) -> bool:
    return any(within(module, name) for name in STORAGES)


def test_only_storages_know_a_database() -> None:
    """Nothing above the storage protocol of a journal knows a file, a connection or SQL."""
    for module, imports in IMPORTS.items():
        if is_storage(module):
            continue
        databases = {name for name in imports if name.split(".")[0] in ("sqlite3", "psycopg")}
        assert not databases, (module, databases)
        storages = {name for name in imports if is_storage(name)}
        if module != CHOOSES and not within(module, "kapture_async._core.reconcile"):
            assert not storages, (module, storages)


def test_only_storages_hold_sql() -> None:
    for path in FILES:
        if not is_storage(module_of(path)):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    assert not SQL.search(node.value), (path, node.lineno)


def test_the_rule_knows_sql() -> None:
    for text in (
        "SELECT row FROM rows", "INSERT OR IGNORE INTO rows", "DELETE FROM rows",
        "UPDATE job SET source = ?", "CREATE TEMP TABLE x (y)", "PRAGMA synchronous = FULL",
    ):  # fmt: skip
        assert SQL.search(text), text
    for text in ("Select a ticket from the list", "an update of a set", "SELECT"):
        assert not SQL.search(text), text


def test_the_clients_offer_a_session_only_to_type_checkers() -> None:
    """Else importing a client would take twice as long."""
    for module in ("kapture_async.client", "support_async.client"):
        assert "aiohttp" in IMPORTS[module]
        assert "aiohttp" not in IMPORTS_AT_RUN_TIME[module]


LAYERS = [
    ["kapture_async.__main__", "support_async.__main__"],
    ["kapture_async.cli", "support_async.cli"],
    ["kapture_async.testing", "support_async.testing"],
    ["kapture_async._public", "support_async._public"],
    [
        *("kapture_async.errors", "kapture_async.types"),
        *("support_async.errors", "support_async.types"),
    ],
    ["kapture_async.spark", "kapture_async.ray"],
    ["kapture_async._partitions"],
    ["kapture_async.sync", "support_async.sync"],
    ["kapture_async.client", "support_async.client"],
    # The rooms of the two services: neither knows the other, which a test above sees to.
    [
        *("kapture_async.tickets.resource", "kapture_async.customers.resource"),
        *("kapture_async.orders", "kapture_async.faqs"),
        *("support_async.tickets.resource", "support_async.attachments"),
        *("support_async.categories", "support_async.tags"),
    ],
    [
        *("kapture_async.tickets.push", "kapture_async.tickets.export"),
        "kapture_async.tickets.search",
        "kapture_async.customers.push",
        *("support_async.tickets.push", "support_async.tickets.create_and_find"),
    ],
    ["kapture_async.tickets.models", "kapture_async.customers.models"],
    ["support_async.tickets.models"],
    ["kapture_async._auth", "kapture_async._reference", "kapture_async._validation"],
    ["kapture_async._responses", "kapture_async.webhooks"],
    ["kapture_async._api", "support_async._api", "support_async._responses"],
    ["support_async._error_mapping", "support_async._validation", "support_async._files"],
    ["support_async._error_parsing"],
    ["kapture_async.otel", "support_async.otel"],
    ["kapture_async.events", "support_async.events"],
    ["kapture_async._core.otel"],
    ["kapture_async._core.ui"],
    ["kapture_async._core.cli"],
    ["kapture_async._core.mcp"],
    ["kapture_async._core.testing"],
    ["kapture_async._core.sync"],
    ["kapture_async._core.events", "kapture_async._core.types"],
    ["kapture_async._core.push", "kapture_async._core.pull", "kapture_async._core.download"],
    ["kapture_async._core.reconcile"],
    ["kapture_async._core.journal"],
    ["kapture_async._core.base_client"],
    ["kapture_async._core.requestor"],
    ["kapture_async._core.response"],
    ["kapture_async._core.transport.transport"],
    ["kapture_async._core.transport.direct_wire"],
    ["kapture_async._core.transport.session_wire"],
    ["kapture_async._core.transport.session", "kapture_async._core.transport.aiohttp_errors"],
    ["kapture_async._core.transport.connection"],
    ["kapture_async._core.transport.aiohttp_internals"],
    ["kapture_async._core.transport.usual_answer"],
    [
        *("kapture_async._core.transport.streaming", "kapture_async._core.transport.failures"),
        "kapture_async._core.transport.answer",
    ],
    ["kapture_async._core.transport.call_state"],
    ["kapture_async._core.transport.settings"],
    [
        *("kapture_async._core.transport.auth", "kapture_async._core.transport.request"),
        "kapture_async._core.transport.retry",
    ],
    ["kapture_async._core.transport.urls"],
    ["kapture_async._core.codec"],
    ["kapture_async._core.secret", "kapture_async._core.atomicfile"],
    ["kapture_async._core.filelock"],
    ["kapture_async._core.arguments"],
    ["kapture_async._core.outcome", "kapture_async._core.runtime"],
    ["kapture_async._core.errors"],
    [
        *("kapture_async._core.phase", "kapture_async._core.version"),
        "kapture_async._core.received",
    ],
    [
        *("kapture_async._core.lazy", "kapture_async._core.jsontext"),
        "kapture_async._core.spreadsheet",
    ],
]
"""From the roof to the ground. A star stands for the rest of a name."""

FRONT_DOORS = {"kapture_async", "kapture_async._core", "support_async"}
FRONT_DOORS |= {"kapture_async._core.transport"}
FRONT_DOORS |= {"kapture_async.tickets", "kapture_async.customers", "support_async.tickets"}
"""Packages whose own file has no place among the rooms: it shows those inside, or nothing."""


def depth_of(module: str) -> int | None:
    for depth, names in enumerate(LAYERS):
        for name in names:
            if within(module, name) or (name.endswith("*") and module.startswith(name[:-1])):
                return depth
    return None


def test_every_room_has_its_place() -> None:
    assert {module for module in IMPORTS if depth_of(module) is None} == FRONT_DOORS
    for name in (name for names in LAYERS for name in names):
        assert any(
            within(module, name) or module.startswith(name.rstrip("*")) for module in IMPORTS
        ), f"{name} is gone"


def test_arrows_point_down() -> None:
    """A room imports only rooms below it; so there are no circles between rooms."""
    for module, imports in IMPORTS.items():
        mine = depth_of(module)
        if mine is None:
            continue
        for name in imports:
            other = depth_of(name)
            assert other is None or other >= mine, f"{module} imports {name}"


def test_no_circles_between_modules() -> None:
    graph = {
        module: {
            name if name in IMPORTS else name.rpartition(".")[0]
            for name in imports
            if name in IMPORTS or name.rpartition(".")[0] in IMPORTS
        }
        - {module}
        for module, imports in IMPORTS_AT_RUN_TIME.items()
        # Packages re-export; their own names stand for their parts.
        if not any(other != module and within(other, module) for other in IMPORTS)
    }
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            pytest.fail(" -> ".join((*path[path.index(module) :], module)))
        if module in done or module not in graph:
            return
        for name in sorted(graph[module]):
            walk(name, (*path, module))
        done.add(module)

    for module in graph:
        walk(module, ())
