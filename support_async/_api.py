"""Where the support service is and what it offers; :mod:`._responses` has its rule of success.

The facts are in ``SERVICE.md``; each is named with its section.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import evolve, fields, frozen

from kapture_async._core.arguments import check_mapping
from kapture_async._core.errors import ConfigurationError, InvalidInputError
from kapture_async._core.response import ResponseContext
from kapture_async._core.secret import Secret, check_header
from kapture_async._core.transport.auth import BearerToken, TokenProvider
from kapture_async._core.transport.request import MEBI, Operation
from kapture_async._core.transport.urls import BaseUrl, check_path, parse_base_url

from ._files import MAX_ATTACHMENT_BYTES

SERVICE: Final = "support"
LOGIN_API: Final = "login"
"""Calls that need only the apikey."""

TicketIdIn = Literal["both", "body", "query"]
"""Where the detailed view's ``ticket_id`` stands. Documented is the body of a GET, which some
networks refuse; both carriers satisfy either reading (B3)."""

# --- operations (section 3) --------------------------------------------------------------------


@frozen(kw_only=True)
class Operations:
    """The calls of the service. An installation may serve them under other paths (A1)."""

    list_categories: Operation = Operation(
        name="categories.list", method="GET", path="/support/get/category-list/", effect="read"
    )
    list_tags: Operation = Operation(
        name="tags.list", method="GET", path="/support/get/ticket/tags/", effect="read"
    )
    create_ticket: Operation = Operation(
        name="tickets.create", path="/support/create/ticket/", effect="write", wrap="form"
    )
    ticket_history: Operation = Operation(
        name="tickets.history",
        method="GET",
        path="/support/get/ticket/history/",
        effect="read",
        reply_cap=64 * MEBI,
    )
    get_ticket: Operation = Operation(
        name="tickets.get",
        method="GET",
        path="/support/ticket/detailed-view/",
        effect="read",
        wrap="form",
        reply_cap=64 * MEBI,
    )
    update_ticket: Operation = Operation(
        name="tickets.update", path="/support/update/ticket/", effect="write", wrap="form"
    )
    reply_to_ticket: Operation = Operation(
        name="tickets.reply", path="/support/ticket/conversation/", effect="write", wrap="form"
    )
    set_status: Operation = Operation(
        name="tickets.set_status", path="/support/ticket/status/", effect="write", wrap="form"
    )
    download: Operation = Operation(
        name="attachments.download",
        method="GET",
        path="/support/ticket/download/{attachment_id}/",
        effect="read",
    )
    login: Operation = Operation(
        name="login", path="/user/login/", effect="read", api=LOGIN_API, wrap="form"
    )

    @classmethod
    def at(cls, paths: Mapping[str, str] | None, ticket_id_in: TicketIdIn) -> Operations:
        """The operations, some of them under other paths.

        Raises:
            ConfigurationError: an operation is unknown, or a path is invalid.
        """
        table = cls()
        slots = {field.default.name: field.name for field in fields(cls)}
        changes: dict[str, Operation] = {}
        check_mapping("paths", paths, ConfigurationError)
        for name, path in (paths or {}).items():
            if name not in slots:
                raise ConfigurationError(
                    f"unknown operation {str(name)[:40]!r}; the names are {', '.join(slots)}"
                )
            operation = getattr(table, slots[name])
            changes[slots[name]] = evolve(operation, path=_checked_path(operation, path))
        table = evolve(table, **changes)
        if ticket_id_in == "query":
            table = evolve(table, get_ticket=evolve(table.get_ticket, wrap="none"))
        return table


def _checked_path(operation: Operation, path: object) -> str:
    where, hole = f"paths[{operation.name!r}]", "{attachment_id}"
    if not isinstance(path, str):
        raise ConfigurationError(f"{where} must be text, not {type(path).__name__}")
    if (hole in path) != (hole in operation.path):
        raise ConfigurationError(
            f"{where} must {'' if hole in operation.path else 'not '}hold {hole}"
        )
    try:
        check_path(path.replace(hole, "1"))
    except InvalidInputError as error:
        raise ConfigurationError(f"{where}: {error.message}") from None
    return path


@frozen(kw_only=True)
class Installation:
    """What differs between installations of the service.

    Attributes:
        operations: its calls and their paths.
        ticket_id_in: where the detailed view expects the ticket's id.
        max_attachment_bytes: the size a file may have.
    """

    operations: Operations = Operations()
    ticket_id_in: TicketIdIn = "both"
    max_attachment_bytes: int = MAX_ATTACHMENT_BYTES


# --- where and who -----------------------------------------------------------------------------


def base_url_of(text: str, *, allow_http: bool = False) -> BaseUrl:
    """The installation's address: everything before ``/support/...`` (section 2.1).

    The vendor's pages hold invisible characters before and in their URLs (A2); those that a
    copied address brings along are taken out.

    Raises:
        ConfigurationError: it is not a base URL.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"base_url must be text, not {type(text).__name__}")
    # "Cf" are the format characters: direction marks, joiners, byte order marks, soft hyphens.
    visible = "".join(one for one in text if unicodedata.category(one) != "Cf")
    return parse_base_url(visible, allow_http=allow_http)


def auth_of(
    apikey: Secret | None, access_token: Secret | None, token_provider: TokenProvider | None
) -> BearerToken:
    """Both headers are sent with every call except the login (section 2.2, A3).

    Raises:
        ConfigurationError: a value cannot be sent in a header. It is not shown.
    """
    if apikey is None:  # what os.environ.get() gives
        raise ConfigurationError("the apikey is missing")
    check_header("apikey", apikey, what="the apikey")
    if not apikey.reveal().strip():
        raise ConfigurationError("the apikey is empty")
    if token_provider is not None and not callable(token_provider):
        raise ConfigurationError("token_provider must be callable: it gives a token when asked")
    return BearerToken(
        {"apikey": Secret(apikey.reveal().strip())},
        token=access_token,
        provider=token_provider,
        without=(LOGIN_API,),
    )


# --- what lists look like (sections 2.4 and 3) -------------------------------------------------


def rows_of(response: ResponseContext, key: str) -> list[dict[str, Any]]:
    """The objects of a list reply, under ``key`` in ``data``.

    A single object where a list is documented is taken as a list of one (A13), and so is the
    ``results`` of other lists on the platform (section 2.4).

    Raises:
        UnreadableReplyError: it is anything else.
    """
    data = response.body.get("data")
    if isinstance(data, dict):
        data = data[key] if key in data else data.get("results")
    rows = [data] if isinstance(data, dict) else data
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    raise response.unreadable(f"the answer has no list {key}")


def object_of(response: ResponseContext) -> dict[str, Any]:
    """The ``data`` object of a reply.

    Raises:
        UnreadableReplyError: there is none.
    """
    data = response.body.get("data")
    if isinstance(data, dict):
        return data
    raise response.unreadable("the answer has no object 'data'")
