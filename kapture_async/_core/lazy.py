"""What is loaded when it is first used: public names of a package, and patterns."""

from __future__ import annotations

import sys
from types import FunctionType

TYPE_CHECKING = False  # importing typing takes as long as all else that `import` of a package does
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any, AnyStr

# What says one of these is named for good.
_HOMES = (
    *("kapture_async", "kapture_async.testing"),
    *("support_async", "support_async.testing"),
)


def loaded_when_used(
    package: str, *modules: str, alone: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and the ``__dir__`` of a package whose names are listed in modules of it.

    Importing the package alone takes a few milliseconds. A class or function that is shown by the
    package says so: its ``__module__`` is the package, in tracebacks, reprs and pickles, and no
    internal module.

    Args:
        package: its ``__name__``.
        modules: the modules, relative to the package; the names in the first are looked for first.
        alone: the names that do not bring all others with them, and the module of each.
    """

    def load(name: str) -> Any:
        if name == "__all__":
            return names()
        from importlib import import_module
        from importlib.util import find_spec

        if alone and name in alone:
            value = getattr(import_module(alone[name], package), name)
            value.__module__ = package
            setattr(sys.modules[package], name, value)
            return value
        # Importing a submodule asks for it as an attribute first, and needs none of the names.
        if not (name.startswith("_") or (name.islower() and find_spec(f"{package}.{name}"))):
            for module in modules:
                if name in show(module):
                    return vars(sys.modules[package])[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def show(module: str) -> list[str]:
        """Make the names of a module attributes of the package."""
        from importlib import import_module

        loaded = import_module(module, package)
        say_home(loaded.__name__, package)
        found = listed_in(loaded)
        for name in found:
            setattr(sys.modules[package], name, getattr(loaded, name))
        return found

    def names() -> list[str]:
        own = {name for name in vars(sys.modules[package]) if name == "__version__"}
        return sorted(own.union(*map(show, modules)))

    return load, names


def say_home(module: str, package: str) -> None:
    """Have the classes and functions that a module lists say a package as their ``__module__``.

    What already says a package keeps it. Modules that users import by themselves, or that both
    packages show, call this at their end, so that the order of imports makes no difference.

    Args:
        module: its ``__name__``; it is loaded.
        package: where users find the names.
    """
    loaded = sys.modules[module]
    for name in listed_in(loaded):
        value = getattr(loaded, name)
        if isinstance(value, (type, FunctionType)) and value.__module__ not in _HOMES:
            value.__module__ = package


def listed_in(module: ModuleType) -> list[str]:
    """The public names of a module."""
    return [*getattr(module, "__all__", (n for n in vars(module) if not n.startswith("_")))]


class _Pattern:
    """A regular expression that is compiled when it is first used.

    From then on its methods are attributes of its own, so that it costs nothing more.
    """

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._given = text, flags

    def __getattr__(self, name: str) -> Any:
        import re

        text, flags = self._given
        value = getattr(re.compile(text, flags), name)
        setattr(self, name, value)
        return value


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What ``re.compile`` gives, but for the time it takes: half of an import of this library.

    Args:
        text: the regular expression.
        flags: as ``re`` has them.
    """
    return _Pattern(text, flags)  # type: ignore[return-value]
