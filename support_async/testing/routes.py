"""The operations of the service, and the paths and methods by which they are called.

The paths are those of the headings of SERVICE.md, section 3; the login is that of section 2.3.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import NamedTuple

from .rest import Headers

LIST_CATEGORIES = "categories.list"
LIST_TAGS = "tags.list"
CREATE = "tickets.create"
HISTORY = "tickets.history"
GET = "tickets.get"
UPDATE = "tickets.update"
REPLY = "tickets.reply"
SET_STATUS = "tickets.set_status"
DOWNLOAD = "attachments.download"
LOGIN = "login"


class Route(NamedTuple):
    """An operation, the methods it takes, and the header by which every answer tells them."""

    operation: str
    methods: tuple[str, ...]
    allow: Headers


def _route(operation: str, *methods: str) -> Route:
    return Route(operation, methods, (("Allow", ", ".join((*methods, "OPTIONS"))),))


PATHS: Mapping[str, Route] = {
    "/support/get/category-list/": _route(LIST_CATEGORIES, "GET", "HEAD"),
    "/support/get/ticket/tags/": _route(LIST_TAGS, "GET", "HEAD"),
    "/support/create/ticket/": _route(CREATE, "POST"),
    "/support/get/ticket/history/": _route(HISTORY, "GET", "HEAD"),
    "/support/ticket/detailed-view/": _route(GET, "GET", "HEAD"),
    "/support/update/ticket/": _route(UPDATE, "POST"),
    "/support/ticket/conversation/": _route(REPLY, "POST"),
    "/support/ticket/status/": _route(SET_STATUS, "POST"),
    "/user/login/": _route(LOGIN, "POST"),
}

_DOWNLOAD = _route(DOWNLOAD, "GET", "HEAD")
# Python, and so Django, takes no more digits for a number.
_NUMBER = "([0-9]{1,4300})"


class Router:
    """Which operation a path is for.

    Args:
        paths: other paths for some operations, by their names; that of a download holds
            ``{attachment_id}``. The samples of the vendor's page have other paths than its
            headings (A1).

    Raises:
        ValueError: there is no operation of a name.
    """

    def __init__(self, paths: Mapping[str, str] | None = None) -> None:
        given = dict(paths or {})
        download = given.pop(DOWNLOAD, "/support/ticket/download/{attachment_id}/")
        start, hole, end = download.partition("{attachment_id}")
        known = {route.operation: path for path, route in PATHS.items()}
        unknown = given.keys() - known.keys()
        if unknown or not hole:
            raise ValueError(f"paths: {', '.join(unknown) or 'no {attachment_id}'}")
        self._paths = {given.get(name, path): PATHS[path] for name, path in known.items()}
        self._download = re.compile(re.escape(start) + _NUMBER + re.escape(end))

    def find(self, path: str) -> tuple[Route | None, str]:
        """Return the route of a path, and the number in it; no route where there is none."""
        if "%" in path:
            path = urllib.parse.unquote(path)
        route = self._paths.get(path)
        if route is not None:
            return route, ""
        found = self._download.fullmatch(path)
        return (None, "") if found is None else (_DOWNLOAD, found[1])
