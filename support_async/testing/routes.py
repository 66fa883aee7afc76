"""The operations of the service, and the paths and methods by which they are called.

The paths are those of the headings of support.md, section 3; the login is that of section 2.3.
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
_DOWNLOAD_PATH = re.compile(r"/support/ticket/download/([0-9]{1,4300})/")


def find(path: str) -> tuple[Route | None, str]:
    """Return the route of a path, and the number in it; no route where there is none."""
    if "%" in path:
        path = urllib.parse.unquote(path)
    route = PATHS.get(path)
    if route is not None:
        return route, ""
    found = _DOWNLOAD_PATH.fullmatch(path)
    return (None, "") if found is None else (_DOWNLOAD, found[1])
