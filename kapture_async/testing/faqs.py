"""The emulator's FAQs (sections 12 and 13)."""

from __future__ import annotations

from typing import Any

import attrs

from .endpoint import Failed, in_array, whole_number
from .tickets import Json, text_of

CONTENTS = "faqs.contents"
CATEGORIES = "faqs.categories"

CONTENTS_PATH = "/get-faq-contents.html"
CATEGORIES_PATH = "/get-all-faq-categories.html"

CATEGORY = "5247"
"""The category of the sample; an emulator has it, with the one content of the sample."""
_FIRST_CONTENT = 18909


@attrs.define(eq=False)
class _Category:
    id: int
    name: str
    parent: str
    contents: list[Json] = attrs.field(factory=list[Json])


class FaqEndpoints:
    """All categories with their contents, and what their endpoints do."""

    def __init__(self, *, end_included: bool) -> None:
        self._end_included = end_included
        self._next = _FIRST_CONTENT
        self._categories: dict[str, _Category] = {}
        self.seed("Example question?", "Example answer.")

    def seed(
        self,
        title: str,
        detail: str,
        *,
        category: str = CATEGORY,
        name: str = "Example category",
        parent: str = "Example parent",
    ) -> str:
        """Let a content exist; return its id."""
        place = self._categories.setdefault(category, _Category(int(category), name, parent))
        place.contents.append({"id": self._next, "title": title, "detail": detail})
        self._next += 1
        return str(self._next - 1)

    def contents(self, body: Any) -> Json:
        """Return a window of a category's contents. The sample shows no status beside them."""
        payload = in_array(body)
        category = text_of(payload.get("category_id"))
        if not category:
            raise Failed("category_id is missing")  # not documented: as section 1 words it
        start = whole_number(payload.get("start_index")) or 0
        given = whole_number(payload.get("end_index"))
        end = (20 if given is None else given) + self._end_included
        found = self._categories.get(category)
        return {"message": {"contents": [] if found is None else found.contents[start:end]}}

    def categories(self) -> Json:
        """Return all categories."""
        rows = [
            {"id": category.id, "name": category.name, "parentCategoryName": category.parent}
            for category in self._categories.values()
        ]
        return {"message": {"category": rows}}
