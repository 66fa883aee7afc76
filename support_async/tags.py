"""Tags: what a ticket is sorted by."""

from __future__ import annotations

import builtins
from collections.abc import Mapping

from attrs import define

from kapture_async._core.codec import WireModel, wire
from kapture_async._core.requestor import ApiRequestor
from kapture_async._core.secret import Secret
from kapture_async._core.transport.settings import check_headers

from ._api import Installation, rows_of


@define(eq=False, repr=False)
class Tag(WireModel):
    """A tag that tickets can have (SERVICE.md, section 3.4)."""

    tag_id: str = wire("id", "ident", shown=True, id_of="a tag")
    title: str | None = wire("tag", shown=True)
    keyword: str | None = wire("keyword")


class Tags:
    """The tags that tickets can have: ``client.tags``."""

    def __init__(self, caller: ApiRequestor, installation: Installation) -> None:
        self._requestor = caller
        self._operations = installation.operations

    def __repr__(self) -> str:
        return f"<Tags of {self._requestor.transport.settings.base_url}>"

    async def list(
        self, *, headers: Mapping[str, str | Secret | None] | None = None
    ) -> builtins.list[Tag]:
        """All tags (SERVICE.md, section 3.4).

        Args:
            headers: headers of this call only.

        Raises:
            HelpdeskError: the call failed; being a read, it is safe to repeat.
        """
        operation = self._operations.list_tags
        response = await self._requestor.call(operation, headers=check_headers(headers))
        decode = self._requestor.decode
        return [decode(response, row, Tag) for row in rows_of(response, "TicketTagList")]
