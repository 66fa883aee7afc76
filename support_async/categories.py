"""Categories: what a ticket is about."""

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
class Category(WireModel):
    """A category of tickets (SERVICE.md, section 3.1)."""

    category_id: str = wire("id", "ident", shown=True, id_of="a category")
    title: str | None = wire("category", shown=True)
    description: str | None = wire("description")


class Categories:
    """The categories that tickets can have: ``client.categories``."""

    def __init__(self, caller: ApiRequestor, installation: Installation) -> None:
        self._requestor = caller
        self._operations = installation.operations

    def __repr__(self) -> str:
        return f"<Categories of {self._requestor.transport.settings.base_url}>"

    async def list(
        self, *, headers: Mapping[str, str | Secret | None] | None = None
    ) -> builtins.list[Category]:
        """All categories (SERVICE.md, section 3.1).

        Args:
            headers: headers of this call only.

        Raises:
            HelpdeskError: the call failed; being a read, it is safe to repeat.
        """
        operation = self._operations.list_categories
        response = await self._requestor.call(operation, headers=check_headers(headers))
        decode = self._requestor.decode
        return [decode(response, row, Category) for row in rows_of(response, "CategoryList")]
