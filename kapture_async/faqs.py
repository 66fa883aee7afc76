"""FAQs: contents and categories (SERVICE.md, sections 12 and 13)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from attrs import define

from ._api import FAQ_CATEGORIES, FAQ_CONTENTS, format_day, service_day
from ._core.arguments import Payload, check_words
from ._core.codec import WireModel, wire
from ._core.errors import InvalidInputError, RejectedError, UnreadableReplyError
from ._core.pull.pages import OffsetPaginator, Pages
from ._core.requestor import ApiRequestor
from ._core.response import ResponseContext
from ._core.secret import Secret
from ._core.transport.request import Form
from ._core.transport.settings import check_headers
from ._responses import is_no_row, is_nothing_found, none_said
from ._validation import checked_id, merge_extra, merge_given


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


class Faqs:
    """The FAQs of one tenant: ``client.faqs``.

    Searching them has an address of its own in the vendor's index and no public description, so
    there is no method for it (SERVICE.md, section 14).
    """

    def __init__(self, caller: ApiRequestor) -> None:
        self._requestor = caller

    def contents(
        self,
        category_id: str,
        *,
        employee_id: str | None = None,
        start_date: date | datetime | str | None = None,
        end_date: date | datetime | str | None = None,
        page_size: int = 20,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | Secret | None] | None = None,
    ) -> Pages[FaqContent]:
        """All contents of a category, read window by window (SERVICE.md, section 12).

        A window goes from ``start_index`` to ``end_index``; whether the last one is included is
        not documented. So each window begins behind the rows that came so far, repeats are
        dropped by their ids, and the end is a window without rows.

        Args:
            category_id: from :meth:`categories`.
            employee_id: of one author only.
            start_date, end_date: creation days; not in the vendor's sample.
            page_size: how far a window reaches; 20 is the vendor's own.
            extra: further fields by their wire names.
            headers: headers of every call.

        Returns:
            An async iterator over the contents; ``next_page()`` gives a window at a time.

        Raises:
            InvalidInputError: at once, if an argument is invalid.
            HelpdeskError: while iterating; every earlier window was delivered whole, and being
                a read, it is safe to repeat.
        """
        if type(page_size) is not int or page_size < 1:
            raise InvalidInputError("page_size must be 1 or more")
        zone = self._requestor.codec.zone
        fields = Payload()
        check_words(employee_id=employee_id)
        merge_given(fields, employee_id=employee_id)
        fields["category_id"] = checked_id(category_id, what="category")
        for name, day in (("start_date", start_date), ("end_date", end_date)):
            if day is not None:
                fields[name] = format_day(service_day(day, zone, name=name))
        merge_extra(fields, extra)
        if fields.keys() & {"start_index", "end_index"}:
            raise InvalidInputError("start_index and end_index are this call's own")
        checked = check_headers(headers)

        async def ask(start: int) -> list[FaqContent]:
            body = Payload(fields, start_index=str(start), end_index=str(start + page_size))
            try:
                response = await self._requestor.call(FAQ_CONTENTS, body, headers=checked)
            except RejectedError as error:
                if is_nothing_found(error, self._requestor.words):
                    return []
                raise
            return [
                self._requestor.decode(response, row, FaqContent)
                for row in _list(response, "contents")
            ]

        reader = OffsetPaginator(ask, id_of=lambda row: row.content_id, not_moving=self._not_moving)
        return Pages(
            reader.windows(),
            reader.fetch,
            id_of=lambda row: None,  # the reader has dropped the repeats
            ahead=1,
            of="FAQ contents",
            where=lambda start: f"while reading from number {start}; all before it was delivered",
        )

    async def categories(
        self, *, headers: Mapping[str, str | Secret | None] | None = None
    ) -> list[FaqCategory]:
        """All categories (SERVICE.md, section 13: known from two public scripts).

        Args:
            headers: headers of this call only.

        Raises:
            HelpdeskError: the call failed; being a read, it is safe to repeat.
        """
        headers = check_headers(headers)
        try:
            # An empty form, no JSON: that is what the scripts send.
            response = await self._requestor.call(FAQ_CATEGORIES, Form(), headers=headers)
        except RejectedError as error:
            if is_nothing_found(error, self._requestor.words):
                return []
            raise
        codec = self._requestor.codec
        return [codec.decode(row, FaqCategory) for row in _list(response, "category")]

    # --- below: no public names ----------------------------------------------------------------

    def _not_moving(self) -> UnreadableReplyError:
        return UnreadableReplyError(
            "the service returns the same contents for every window, so the rest cannot be read",
            service=self._requestor.transport.settings.service,
            operation=FAQ_CONTENTS.name,
            effect="read",
        )


def _list(response: ResponseContext, name: str) -> list[dict[str, Any]]:
    """The rows of an FAQ reply: a list of objects under ``message``, or a text that says none.

    Raises:
        UnreadableReplyError: it is anything else.
    """
    message = response.body.get("message") if isinstance(response.body, dict) else None
    if isinstance(message, str):
        if none_said(response, message):
            return []
        raise response.error(
            UnreadableReplyError, "the answer holds a text in place of the FAQs", words=message
        )
    rows = message.get(name) if isinstance(message, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise response.unreadable(f"the answer holds no list {name!r} under 'message'")
    if any(map(is_no_row, rows)):
        raise response.unreadable("the list holds an object that is not a row")
    return rows
