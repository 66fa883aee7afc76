"""Rows of the contract table: the lists, the history, the detailed view, and the login."""

from __future__ import annotations

from .exchanges import Ask, File
from .rows import (
    BAD_ID,
    BLANK,
    CATEGORIES,
    DETAIL,
    FOREIGN,
    HISTORY,
    HUGE,
    ID_BLANKS,
    ID_OTHERS,
    ID_TEXTS,
    NO_ID,
    NOT_OWNER,
    REQUIRED,
    TAGS,
    Expect,
    Row,
    create,
    detail,
    history,
    login,
    refused,
    reply,
    status,
    update,
)

READS = (
    Row(
        "categories",
        (Ask("GET", CATEGORIES),),
        Expect(
            200,
            {
                "CategoryList": [
                    {
                        "id": 3,
                        "category": "Sample category A",
                        "description": "Neutral description A",
                    },
                    {"id": 4, "category": "Sample category B", "description": ""},
                ]
            },
        ),
    ),
    Row(
        "tags",
        (Ask("GET", TAGS),),
        Expect(
            200,
            {
                "TicketTagList": [
                    {"id": 1, "tag": "Sample tag A", "keyword": "sample-a"},
                    {"id": 2, "tag": "Sample tag B", "keyword": "sample-b"},
                    {"id": 3, "tag": "Sample tag C", "keyword": "sample-c"},
                ]
            },
        ),
    ),
    Row("history: nothing", (history(),), Expect(200, {"TicketList": []})),
    Row(
        "history: newest first, own only",
        (create(), FOREIGN, create(subject="Second", category="4", priority="3"), history()),
        Expect(
            200,
            {
                "TicketList": [
                    {
                        "id": 103,
                        "subject": "Second",
                        "priority": "3",
                        "category": 4,
                        "category_title": "Sample category B",
                        "comment": "First sample text",
                        "status": "1",
                    },
                    {
                        "id": 101,
                        "subject": "First sample subject",
                        "priority": "1",
                        "category": 3,
                        "category_title": "Sample category A",
                        "comment": "First sample text",
                        "status": "1",
                    },
                ]
            },
        ),
    ),
    Row("history: fifty by default", (*(create(subject=f"No {n}") for n in range(51)), history())),
    Row(
        "history: pages",
        (
            *(create(subject=f"No {n}") for n in range(4)),
            history(offset="0", limit="2"),
            history(offset="2", limit="2"),
            history(offset="3", limit="50"),
            history(offset="4", limit="2"),
            history(offset="1"),
            history(limit="1"),
            history(limit="1000"),
            history(limit="0"),
            history(offset="", limit=""),
            history(offset=" 1 ", limit="+2"),
            history(format="json"),
            history(format="xml"),
            history(page="2", ordering="id", search="No 1"),
        ),
    ),
    Row(
        "history: filters",
        (
            create(subject="Printer on fire", category="4"),
            create(subject="100%_of it"),
            create(subject="the printer"),
            status("3", "103"),
            history(subject="PRINTER"),
            history(subject="inter o"),
            history(subject="%_"),
            history(subject=" "),
            history(subject="nowhere"),
            history(category="3"),
            history(category="03"),
            history(category="\uff13"),
            history(category="4", subject="printer"),
            history(category="5"),
            history(category=HUGE),
            history(status="1"),
            history(status="3"),
            history(status="2"),
            history(status="9"),
            history(status="03"),
            history(subject="", category="", status=""),
            history(status="3", category="3", offset="0", limit="1"),
            Ask("GET", HISTORY, query=(("status", "1"), ("status", "3"))),
        ),
    ),
    *(
        # Nobody knows what the service does here; that both servers break is no promise.
        Row(f"history: {query}", (history(**query),), Expect(500, b""))
        for query in ({"offset": "x"}, {"offset": "-1"}, {"limit": "-1"})
    ),
    Row(
        "history: category not numeric",
        (history(category="abc"),),
        Expect(400, errors={"category": "Catogory id is not valid numeric"}),
    ),
    Row(
        "history: status not numeric",
        (history(status="open"),),
        Expect(400, errors={"status": "Status id is not valid numeric"}),
    ),
    Row(
        "history: both not numeric",
        (history(status="open", category="-1"),),
        Expect(
            400,
            errors={
                "category": "Catogory id is not valid numeric",
                "status": "Status id is not valid numeric",
            },
        ),
    ),
    *(
        Row(f"history: {query}", (create(), history(**query)))
        for query in ({"category": "1.5"}, {"category": " 3 "}, {"status": "-1"}, {"status": " "})
    ),
)

DETAILS = (
    Row(
        "detail",
        (create(priority="2"), update("2", "1"), reply(File()), detail()),
        Expect(
            200,
            {
                "ticket": {
                    "id": 101,
                    "subject": "First sample subject",
                    "priority": "2",
                    "category": 3,
                    "comment": "First sample text",
                    "status": "1",
                    "tags": [1, 2],
                },
                "author": "member@example.com",
                "conversations": [
                    {
                        "id": 501,
                        "ticket": 101,
                        "comment": "Sample reply",
                        "author": "member@example.com",
                    }
                ],
                "attachments": [{"id": 901, "conversation_id": 501}],
            },
        ),
    ),
    Row("detail: id in the body", (create(), Ask("GET", DETAIL, (("ticket_id", "101"),)))),
    Row("detail: id in the query", (create(), Ask("GET", DETAIL, query=(("ticket_id", "101"),)))),
    Row("detail: urlencoded", (create(), detail(form="urlencoded"))),
    Row(
        "detail: two ids",
        (
            create(),
            create(),
            Ask("GET", DETAIL, (("ticket_id", "101"),), query=(("ticket_id", "102"),)),
        ),
    ),
    Row(
        "detail: blank in the body",
        (create(), Ask("GET", DETAIL, (("ticket_id", ""),), query=(("ticket_id", "101"),))),
    ),
    Row("detail: other name", (create(), Ask("GET", DETAIL, query=(("ticket", "101"),)))),
    Row("detail: no id", (Ask("GET", DETAIL),), refused(ticket=NO_ID)),
    Row("detail: foreign", (FOREIGN, detail()), refused(ticket=NOT_OWNER)),
    *(Row(f"detail: id {n!r}", (create(), detail(n)), refused(ticket=BAD_ID)) for n in ID_TEXTS),
    *(Row(f"detail: id {n!r}", (create(), detail(n)), refused(ticket=NO_ID)) for n in ID_BLANKS),
    *(Row(f"detail: id {n!r}", (create(), detail(n))) for n in ID_OTHERS),
)

LOGINS = (
    Row("login", (login("member@example.com", "emulator-password"),)),
    Row("login: urlencoded", (login("other@example.com", "emulator-password", form="urlencoded"),)),
    Row(
        "login: wrong password",
        (login("member@example.com", "wrong"),),
        Expect(401, errors={"detail": "No active account found with the given credentials"}),
    ),
    Row("login: unknown user", (login("nobody@example.com", "emulator-password"),)),
    Row("login: other case", (login("Member@example.com", "emulator-password"),)),
    Row("login: blanks around the name", (login(" member@example.com ", "emulator-password"),)),
    Row("login: blanks around the password", (login("member@example.com", " emulator-password "),)),
    Row("login: nothing", (login(None, None),), refused(username=REQUIRED, password=REQUIRED)),
    Row("login: blank", (login("", ""),), refused(username=BLANK, password=BLANK)),
    Row("login: password of blanks", (login("member@example.com", "  "),)),
    Row("login: no password", (login("member@example.com", None),), refused(password=REQUIRED)),
    Row(
        "login: inactive user",
        (login("other@example.com", "emulator-password"),),
        Expect(401, errors={"detail": "No active account found with the given credentials"}),
        inactive="other@example.com",
    ),
    Row(
        "login: bad token too",
        (login("member@example.com", "emulator-password", headers={"Authorization": "Bearer x"}),),
    ),
)

ROWS = (*READS, *DETAILS, *LOGINS)
