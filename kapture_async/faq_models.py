"""FAQs: what comes back (SERVICE.md, sections 12 and 13)."""

from __future__ import annotations

from attrs import define

from ._core.codec import WireModel, wire


@define(eq=False, repr=False)
class FaqContent(WireModel):
    """One question with its answer (SERVICE.md, section 12: three keys were seen)."""

    content_id: str = wire("id", "ident", shown=True, id_of="an FAQ content")
    title: str | None = wire("title")
    detail: str | None = wire("detail")


@define(eq=False, repr=False)
class FaqCategory(WireModel):
    """One category (SERVICE.md, section 13: three keys were seen)."""

    category_id: str | None = wire("id", "ident", shown=True)
    name: str | None = wire("name")
    parent_name: str | None = wire("parentCategoryName")
