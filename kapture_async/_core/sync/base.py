"""What all generated sync clients share, so that their generated text is signatures and little
else."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from .loop import PrivateLoop


class AsyncClient(Protocol):
    """What a client must have to get a sync client."""

    async def aclose(self) -> None:
        """Close the client."""


ClientT = TypeVar("ClientT", bound=AsyncClient)
InnerT = TypeVar("InnerT")


class SyncClient(Generic[ClientT]):
    """Base of the generated clients: the async client, and the loop it runs in."""

    _inner: ClientT
    _loop: PrivateLoop
    _owner: bool
    _async_name: ClassVar[str]

    def _bind(self, inner: ClientT, loop: PrivateLoop | None = None) -> None:
        """Take an async client; without ``loop`` it gets one of its own, closed with it."""
        self._inner = inner
        self._owner = loop is None
        self._loop = loop or PrivateLoop(
            aclose=inner.aclose,
            async_name=self._async_name,
            hidden_module=next(
                c for c in type(self).__mro__ if "_async_name" in vars(c)
            ).__module__,
        )

    @classmethod
    def _wrap(cls, inner: ClientT, loop: PrivateLoop | None = None) -> Self:
        self = cls.__new__(cls)
        self._bind(inner, loop)
        return self

    def _close(self, aclose: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Close the inner client, and the loop if it is this client's own."""
        if self._owner:
            self._loop.close(aclose)
        else:
            self._loop.finish(aclose)

    def __repr__(self) -> str:
        if not hasattr(self, "_inner"):  # a refused setting; tracebacks show it half made
            return f"<{type(self).__name__}, not made>"
        return _repr_like(self, self._inner)


class SyncResource(Generic[InnerT]):
    """Base of the generated resources: the async resource, and the loop it runs in."""

    def __init__(self, inner: InnerT, loop: PrivateLoop) -> None:
        self._inner = inner
        self._loop = loop

    def __repr__(self) -> str:
        return _repr_like(self, self._inner)


def _repr_like(outer: object, inner: object) -> str:
    return repr(inner).replace(type(inner).__name__, type(outer).__name__, 1)
