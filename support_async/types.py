"""Outcomes, settings, results of calls, and the types of arguments."""

from kapture_async._core.download.download import Download as Download
from kapture_async._core.download.download import DownloadProgress as DownloadProgress
from kapture_async._core.download.download import ProgressObserver as ProgressObserver
from kapture_async._core.lazy import say_home as _say_home
from kapture_async._core.transport.auth import TokenProvider as TokenProvider
from kapture_async._core.types import *  # noqa: F403 - listed there, for both packages

from ._api import TicketIdIn as TicketIdIn
from ._files import AttachmentLike as AttachmentLike
from .tickets.push import ReferencePlace as ReferencePlace

_say_home(__name__, "support_async")
