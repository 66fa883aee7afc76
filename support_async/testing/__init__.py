"""A Support Ticket server for your own tests: it knows what it executed, and fails on demand.

    async with SupportEmulator() as emulator:           # in the running loop
    with SupportEmulator().in_thread() as emulator:     # from synchronous code
    with SupportEmulator.in_process() as emulator:      # in a process of its own

Names are loaded when first used: the pytest plugin lives in this package, and every pytest run of
every user imports it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._public import *  # noqa: F403
else:
    from kapture_async._core.lazy import loaded_when_used as _loaded

    __getattr__, __dir__ = _loaded(__name__, "._public")
