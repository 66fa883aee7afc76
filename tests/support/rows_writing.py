"""Rows of the contract table: create, update, reply and status, their rules and errors."""

from __future__ import annotations

from .exchanges import Ask, File
from .rows import (
    BAD_ID,
    BLANK,
    CREATE,
    DONE,
    FOREIGN,
    HUGE,
    ID_BLANKS,
    ID_OTHERS,
    ID_TEXTS,
    NO_ID,
    NO_STATUS,
    NOT_OWNER,
    NOT_PK,
    NULL,
    REPLY,
    REQUIRED,
    STATUS,
    UPDATE,
    Expect,
    Row,
    create,
    detail,
    download,
    history,
    no_choice,
    refused,
    reply,
    status,
    unknown_pk,
    update,
)

EMOJI = "\N{GRINNING FACE}"
TOO_LONG = "Ensure this field has no more than 500 characters."

CREATES = (
    Row("create", (create(),), DONE),
    Row("create: shown", (create(), detail())),
    Row(
        "create: nothing sent",
        (Ask("POST", CREATE, ()),),
        refused(subject=REQUIRED, priority=REQUIRED, comment=REQUIRED, category=REQUIRED),
    ),
    *(
        Row(f"create: no {name}", (create(**{name: None}),), refused(**{name: REQUIRED}))
        for name in ("subject", "priority", "comment", "category")
    ),
    Row("create: blank subject", (create(subject=""),), refused(subject=BLANK)),
    Row("create: subject of blanks", (create(subject=" \t\n "),), refused(subject=BLANK)),
    Row("create: blank comment", (create(comment="  "),), refused(comment=BLANK)),
    Row("create: 500 letters", (create(subject="x" * 500), detail())),
    Row("create: 501 letters", (create(subject="x" * 501),), refused(subject=TOO_LONG)),
    Row("create: 500 emoji", (create(subject=EMOJI * 500), detail())),
    Row("create: 501 emoji", (create(subject=EMOJI * 501),), refused(subject=TOO_LONG)),
    Row("create: blanks around 500", (create(subject=f"  {'x' * 500}\r\n "), detail())),
    Row("create: wide blanks around", (create(subject="\u3000\xa0x\u2003\x1f"), detail())),
    Row("create: zero-width blanks around", (create(subject="\u200bx\ufeff"), detail())),
    Row("create: lines within", (create(comment=" one\r\ntwo\n\nthree "), detail())),
    Row("create: null character", (create(subject="a\0b"),)),
    Row("create: null character and too long", (create(subject="\0" * 501),)),
    Row("create: other control characters", (create(comment="a\x01\x7f\x9fb"), detail())),
    Row("create: priority 9", (create(priority="9"),), refused(priority=no_choice("9"))),
    Row("create: priority by name", (create(priority="Low"),), refused(priority=no_choice("Low"))),
    Row("create: blanks around priority", (create(priority=" 1 "),)),
    Row("create: blank priority", (create(priority=""),), refused(priority=no_choice(""))),
    Row("create: priority quoted", (create(priority='"<é>'),), refused(priority=no_choice('"<é>'))),
    Row("create: category 999", (create(category="999"),), refused(category=unknown_pk("999"))),
    Row("create: category abc", (create(category="abc"),), refused(category=NOT_PK)),
    Row("create: blank category", (create(category=""),), refused(category=NULL)),
    Row("create: category of blanks", (create(category="  "),)),
    *(
        Row(f"create: category {value!r}", (create(category=value), history()))
        for value in (" 3 ", "+3", "03", "-1", "1.5", "1_0", "\uff13", "0x3", "true", HUGE)
    ),
    Row("create: field twice", (Ask("POST", CREATE, (*create().fields, ("subject", "Last"))),)),
    Row(
        "create: field twice, shown",
        (Ask("POST", CREATE, (*create().fields, ("subject", "Last"))), detail()),
    ),
    Row("create: fields unknown", (create(status="3", tags="1", id="7", author="x"), detail())),
    Row("create: urlencoded", (Ask("POST", CREATE, create().fields, form="urlencoded"), detail())),
    Row(
        "create: several errors",
        (create(subject="", priority="9", category="999", comment=None),),
        refused(
            subject=BLANK,
            priority=no_choice("9"),
            category=unknown_pk("999"),
            comment=REQUIRED,
        ),
    ),
    Row(
        "create: limit of open tickets",
        (create(), create(), create()),
        Expect(401, errors={"detail": "Currenly Open Ticket Limit Exceed."}),
        limit=2,
    ),
    Row("create: limit, other's do not count", (FOREIGN, create(), FOREIGN), limit=1),
    Row("create: limit, closed do not count", (create(), status("3"), create()), DONE, limit=1),
    Row(
        "create: limit, reopened do",
        (create(), status("3"), create(), status("2"), status("3", "102"), create()),
        limit=1,
    ),
    Row("create: limit and a bad field", (create(), create(priority="9")), limit=1),
)

UPDATES = (
    Row("update", (create(), update("1")), DONE),
    Row("update: tags are replaced", (create(), update("1", "2"), update("3"), detail())),
    Row("update: order of tags", (create(), update("3", "1", "2"), detail())),
    Row("update: priority too", (create(), update("1", priority="3"), detail())),
    Row("update: urlencoded", (create(), update("1", "3", form="urlencoded"), detail())),
    Row("update: blank priority", (create(priority="2"), update("1", priority=""), detail())),
    Row("update: same tag twice", (create(), update("1", "1"), detail())),
    Row(
        "update: subject is not taken",
        (create(), update("1", subject="New", comment="New", category="4", status="3"), detail()),
    ),
    Row(
        "update: priority 9",
        (create(), update("1", priority="9")),
        refused(priority=no_choice("9")),
    ),
    Row(
        "update: no tags",
        (create(), update(priority="2")),
        refused(tags="This list may not be empty."),
    ),
    Row("update: blank tag", (create(), update("")), refused(tags=NOT_PK)),
    Row("update: comma joined", (create(), update("1,2")), refused(tags=NOT_PK)),
    Row("update: as JSON", (create(), update("[1,2]")), refused(tags=NOT_PK)),
    *(
        Row(
            f"update: {name}",
            (create(), Ask("POST", UPDATE, (("ticket_id", "101"), (name, "1")))),
            refused(tags="This list may not be empty."),
        )
        for name in ("tags[]", "tags[0]", "tag")
    ),
    Row("update: tag 99", (create(), update("99")), refused(tags=unknown_pk("99"))),
    Row("update: first bad tag", (create(), update("1", "98", "x", "99"), detail())),
    Row("update: tag abc", (create(), update("abc", "99")), refused(tags=NOT_PK)),
    *(
        Row(f"update: tag {n!r}", (create(), update(n), detail()))
        for n in (" 1 ", "-1", "01", HUGE)
    ),
    Row("update: nothing changed by errors", (create(), update("1", priority="9"), detail())),
    Row("update: both wrong", (create(), update("99", priority="9"))),
    Row("update: no id", (update("1", ticket_id=None),), refused(ticket=NO_ID)),
    Row("update: foreign", (FOREIGN, update("1")), refused(ticket=NOT_OWNER)),
    Row("update: unknown id, bad rest", (update("99", ticket_id="7", priority="9"),)),
    Row("update: closed ticket", (create(), status("3"), update("1"), detail())),
    *(
        Row(f"update: id {n!r}", (create(), update("1", ticket_id=n)), refused(ticket=BAD_ID))
        for n in ID_TEXTS
    ),
    *(
        Row(f"update: id {n!r}", (create(), update("1", ticket_id=n)), refused(ticket=NO_ID))
        for n in ID_BLANKS
    ),
    *(Row(f"update: id {n!r}", (create(), update("1", ticket_id=n), detail())) for n in ID_OTHERS),
)

REPLIES = (
    Row("reply", (create(), reply()), DONE),
    Row("reply: shown", (create(), reply(comment=" one\r\ntwo "), reply(comment="2"), detail())),
    Row("reply: with a file", (create(File("a.txt")), reply(File("b.txt", b"b")), detail())),
    Row("reply: file comes back", (create(), reply(File("b.txt", b"b")), download())),
    Row("reply: to a closed ticket", (create(), status("3"), reply(), detail())),
    Row(
        "reply: nothing sent",
        (Ask("POST", REPLY, ()),),
        refused(ticket=REQUIRED, comment=REQUIRED),
    ),
    Row("reply: no ticket", (reply(ticket=None),), refused(ticket=REQUIRED)),
    Row("reply: blank ticket", (reply(ticket=""),), refused(ticket=NULL)),
    Row("reply: no comment", (create(), reply(comment=None)), refused(comment=REQUIRED)),
    Row("reply: blank comment", (create(), reply(comment=" ")), refused(comment=BLANK)),
    Row("reply: ticket abc", (reply(ticket="abc"),), refused(ticket=NOT_PK)),
    Row("reply: unknown ticket", (reply(ticket="999"),), refused(ticket=unknown_pk("999"))),
    Row("reply: foreign", (FOREIGN, reply()), refused(ticket=f"{NOT_OWNER}.")),
    Row("reply: foreign and no comment", (FOREIGN, reply(comment=None))),
    Row("reply: by ticket_id", (create(), reply(ticket=None, ticket_id="101"))),
    *(
        Row(f"reply: ticket {n!r}", (create(), reply(ticket=n), detail()))
        for n in (*ID_OTHERS, *ID_TEXTS, "  ")
    ),
)

STATUSES = (
    Row("status: close", (create(), status("3")), DONE),
    Row("status: close, shown", (create(), status("3"), detail())),
    Row("status: reopen", (create(), status("3"), status("2"), detail())),
    Row("status: close again", (create(), status("3"), status("2"), status("3"), detail())),
    Row("status: urlencoded", (create(), status("3", form="urlencoded"), detail())),
    Row(
        "status: already closed",
        (create(), status("3"), status("3")),
        refused(ticket="Ticket is already closed"),
    ),
    Row(
        "status: already open",
        (create(), status("2")),
        refused(ticket="Ticket is already open"),
    ),
    Row(
        "status: already processing",
        (create(), status("3"), status("2"), status("2")),
        refused(ticket="Ticket is already processing"),
    ),
    Row(
        "status: foreign",
        (FOREIGN, status("3")),
        refused(ticket="You Can't open or close this Ticket"),
    ),
    Row("status: no ticket", (status("3", None),), refused(ticket=NO_ID)),
    Row("status: no status", (create(), status(None)), refused(status=NO_STATUS)),
    Row("status: blank status", (create(), status("")), refused(status=NO_STATUS)),
    Row("status: status of blanks", (create(), status(" "))),
    Row("status: nothing", (Ask("POST", STATUS, ()),), refused(ticket=NO_ID, status=NO_STATUS)),
    *(
        Row(f"status: {n!r}", (create(), status(n)), refused(status=no_choice(n)))
        for n in ("1", "4", "closed", " 3 ", "03", '"')
    ),
    Row("status: both wrong", (status("9", "abc"),), refused(ticket=BAD_ID, status=no_choice("9"))),
    Row("status: foreign and wrong", (FOREIGN, status("9"))),
    Row("status: closed and wrong", (create(), status("3"), status("9"))),
    Row("status: by ticket_id", (Ask("POST", STATUS, (("ticket_id", "101"), ("status", "3"))),)),
    *(
        Row(f"status: id {n!r}", (create(), status("3", n)), refused(ticket=BAD_ID))
        for n in ID_TEXTS
    ),
    *(
        Row(f"status: id {n!r}", (create(), status("3", n)), refused(ticket=NO_ID))
        for n in ID_BLANKS
    ),
    *(Row(f"status: id {n!r}", (create(), status("3", n), detail())) for n in ID_OTHERS),
)

ROWS = (*CREATES, *UPDATES, *REPLIES, *STATUSES)
