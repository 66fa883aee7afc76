"""Attachments on their way in: downloads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import evolve

from kapture_async._core.arguments import check_callable
from kapture_async._core.atomicfile import AtomicFile
from kapture_async._core.download.download import Download, ProgressObserver, save
from kapture_async._core.requestor import ApiRequestor
from kapture_async._core.secret import Secret
from kapture_async._core.transport.request import MEBI
from kapture_async._core.transport.retry import RetryPolicy
from kapture_async._core.transport.settings import check_headers
from kapture_async._core.transport.urls import fill_path

from ._api import SERVICE, Installation
from ._responses import is_file
from ._validation import checked_count, checked_id

MAX_DOWNLOAD_BYTES = 64 * MEBI

# Uncompressed, so that the length is known beforehand.
_AS_IT_IS = {"Accept": Secret("*/*"), "Accept-Encoding": Secret("identity")}


class Attachments:
    """The files on tickets: ``client.attachments``.

    Their ids stand in :attr:`TicketDetail.attachments`; to add one, give ``attachment=`` to
    :meth:`Tickets.create` or :meth:`Tickets.reply`.
    """

    def __init__(self, caller: ApiRequestor, installation: Installation) -> None:
        self._requestor = caller
        self._operation = installation.operations.download

    def __repr__(self) -> str:
        return f"<Attachments of {self._requestor.transport.settings.base_url}>"

    async def download(
        self,
        attachment_id: str | int,
        to: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
        on_progress: ProgressObserver | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Path:
        """Download one file to the disk (SERVICE.md, section 3.7).

        It is written to a hidden temporary file beside the target, which takes its place when
        all of it is there: there is never half a file under that name. A transfer that breaks
        off is begun again as the client's retry policy says, and nothing is left behind if it
        fails for good.

        The client's time for a whole call (60 seconds by default) covers the whole transfer,
        with all its tries. For large files or slow lines give it more:
        ``client.with_options(timeout=600).attachments.download(...)``.

        Args:
            attachment_id: the file's id.
            to: the file to write; or a folder, if it is one or ends in a separator: then the
                service names the file. Its name is made safe, never leads out of the folder, and
                is ``attachment-<id>`` where the service gives none.
            overwrite: replace an existing file.
            max_bytes: the most bytes to accept; default 64 MiB.
            on_progress: called with every chunk that arrived, in the event loop.
            headers: headers of this call only.

        Returns:
            The path of the file.

        Raises:
            InvalidInputError: the folder does not exist, or the file already exists; nothing was
                sent.
            NotFoundError: the service does not know this file.
            UnreadableReplyError: the answer is not a file (a login page, say), or there is no way
                to tell whether it is complete; nothing was written.
            ReplyTooLargeError: the file is larger than ``max_bytes``.
            HelpdeskError: it did not arrive whole; being a read, it is safe to repeat.
            OSError: it cannot be written; :class:`FileExistsError` if the name that the service
                gave is taken.

        A cancellation leaves nothing behind, unless it comes while the complete file is being
        renamed.
        """
        check_callable("on_progress", on_progress)
        begin = self._beginner(attachment_id, max_bytes, headers)
        file = await asyncio.to_thread(AtomicFile, to, overwrite=overwrite, folder=True)
        return await save(
            begin,
            file,
            service=SERVICE,
            operation=self._operation,
            options=self._requestor.options,
            on_progress=on_progress,
        )

    def stream(
        self,
        attachment_id: str | int,
        *,
        max_bytes: int = MAX_DOWNLOAD_BYTES,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Download:
        """Read one file as it arrives (SERVICE.md, section 3.7).

        ::

            async with client.attachments.stream("901") as download:
                async for chunk in download:
                    ...

        The client's time for a whole call ends when the file begins to arrive; from then on
        only its limit of silence counts.

        Args:
            attachment_id: the file's id.
            max_bytes: the most bytes to accept; default 64 MiB.
            headers: headers of this call only.

        Returns:
            A download, not yet running; see :class:`Download` for what it raises.

        Raises:
            InvalidInputError: the id or ``max_bytes`` is invalid.
        """
        begin = self._beginner(attachment_id, max_bytes, headers)
        return begin(self._requestor.options.retry)

    def _beginner(
        self,
        attachment_id: str | int,
        max_bytes: int,
        headers: Mapping[str, str | Secret | None] | None,
    ) -> Callable[[RetryPolicy], Download]:
        file_id = checked_id("attachment_id", attachment_id)
        checked_count("max_bytes", max_bytes, least=1)
        operation = evolve(self._operation, reply_cap=max_bytes)
        path = fill_path(operation.path, attachment_id=file_id)
        merged = {**_AS_IT_IS, **check_headers(headers)}

        def begin(retry: RetryPolicy) -> Download:
            caller = self._requestor.with_retry(retry)
            return Download(
                lambda: caller.open_file(operation, is_file=is_file, path=path, headers=merged),
                default_name=f"attachment-{file_id}",
            )

        return begin
