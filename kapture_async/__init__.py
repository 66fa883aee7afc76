"""Client of the Kapture CRM API: asyncio first, with a sync client.

No ticket lost, none twice, and a list of every doubt.
"""

from ._core.version import __version__ as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._public import *  # noqa: F403
    from .sync import *  # noqa: F403
else:
    from ._core.lazy import loaded_when_used as _loaded

    __getattr__, __dir__ = _loaded(
        __name__, "._public", ".sync", alone={"KaptureClient": ".client"}
    )
