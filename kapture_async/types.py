"""Outcomes, settings, results of calls, and the types of arguments."""

from ._auth import Credential as Credential
from ._core.lazy import say_home as _say_home
from ._core.pull.export import Exported as Exported
from ._core.pull.export import ExportProgress as ExportProgress
from ._core.pull.export import PullObserver as PullObserver
from ._core.response import Says as Says
from ._core.types import *  # noqa: F403 - listed there, for both packages
from ._reference import Field as Field
from ._reference import ReferencePlace as ReferencePlace
from .customers.resource import Contacts as Contacts

_say_home(__name__, "kapture_async")
