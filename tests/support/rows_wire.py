"""Rows of the contract table: files and their names, credentials, and what HTTP itself refuses."""

from __future__ import annotations

import random

from .exchanges import BOUNDARY, Ask, File, Pairs
from .rows import (
    CATEGORIES,
    CREATE,
    DETAIL,
    HISTORY,
    LOGIN,
    NO_APIKEY,
    NO_TOKEN,
    REPLY,
    STATUS,
    TAGS,
    TOO_BIG,
    UPDATE,
    Expect,
    Row,
    create,
    detail,
    download,
    login,
    refused,
    reply,
    update,
)

MIB = 2**20
CUT = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="subject"\r\n\r\nx'.encode()
RANDOM = random.Random(7).randbytes(2 * MIB)
EMPTY = "The submitted file is empty."
NO_FILE = "The submitted data was not a file. Check the encoding type on the form."
LONG = "Ensure this filename has at most 100 characters (it has {})."


def named(name: str, disposition: str | None = None) -> Row:
    """A file by that name goes up, and comes back by the name that the service gives it."""
    label = name if disposition is None else disposition
    file = File(name, disposition=disposition)
    return Row(f"name {label!r}", (create(file), detail(), download()))


def fields(count: int) -> Pairs:
    """A create that is accepted, with fields to spare."""
    usual = create().fields or ()
    return (*usual, *(("spare", str(n)) for n in range(count - len(usual))))


SIZES = (
    Row("file: 0 B", (create(File(content=b"")),), refused(attachment=EMPTY)),
    Row("file: 1 B", (create(File(content=b"x")), download()), Expect(200, b"x")),
    Row("file: 2 MiB", (create(File(content=RANDOM)), download()), Expect(200, RANDOM)),
    Row("file: 2 MiB + 1", (create(File(content=RANDOM + b"x")),), refused(attachment=TOO_BIG)),
    Row("reply, file: 0 B", (create(), reply(File(content=b""))), refused(attachment=EMPTY)),
    Row("reply, file: 2 MiB", (create(), reply(File(content=RANDOM)), download())),
    Row(
        "reply, file: 2 MiB + 1",
        (create(), reply(File(content=RANDOM + b"x"))),
        refused(attachment=TOO_BIG),
    ),
    Row("file: too big, nothing kept", (create(File(content=RANDOM + b"x")), detail())),
    Row("file: every byte", (create(File(content=bytes(range(256)))), download())),
    Row("file: line ends", (create(File(content=b"\r\n--\n\r\n--x--\r\n")), download())),
    Row("file: too big and a bad field", (create(File(content=RANDOM + b"x"), priority="9"),)),
    Row("file: empty and named too long", (create(File("x" * 101, b"")),)),
    Row("file: too big and named too long", (create(File("x" * 101, RANDOM + b"x")),)),
    Row("file: a field instead", (create(attachment="text"),), refused(attachment=NO_FILE)),
    Row("file: a blank field instead", (create(attachment=""), detail())),
    Row("file: no name", (create(File(disposition="")),), refused(attachment=NO_FILE)),
    Row(
        "file: two, the last is kept", (create(File("a.txt", b"a"), File("b.txt", b"b")), detail())
    ),
    Row(
        "file: two, the last comes back",
        (create(File("a.txt", b"a"), File("b.txt", b"b")), download()),
    ),
    Row("file: by another field", (create(File(field="file")), detail())),
    Row("file: in place of a text", (create(File(field="subject"), subject=None),)),
    Row(
        "file: also with an update",
        (create(), Ask("POST", UPDATE, update("1").fields, (File(),)), detail()),
    ),
    Row("file: type unknown", (create(File("a.unknown", content_type="x/y")), download())),
    Row("file: type by the name", (create(File("a.png", content_type="text/html")), download())),
    Row("file: JSON", (create(File("a.json", b'{"errors": 1}')), download())),
    Row("file: compressed", (create(File("a.tar.gz", b"\x1f\x8b")), download())),
)

NAMES = (
    named("sample.txt"),
    named("r\xe9sum\xe9.txt"),
    named("re\u0301sume\u0301.txt"),
    named("\u65e5\u672c\u8a9e.txt"),
    named("\N{GRINNING FACE}.txt"),
    named("sp ace.txt"),
    named("per%20cent.txt"),
    named('quo\\"ted.txt'),
    named("quo%22ted.txt"),
    named("it's.txt"),
    named("semi;colon.txt"),
    named("a&amp;b.txt"),
    named("a&b+c=d,e(f)[g]{h}~!@#$^.txt"),
    named("under_score-dash.tar.gz"),
    named("dir/sample.txt"),
    named("../../etc/passwd"),
    named("C:\\\\dir\\\\sample.txt"),
    named("C:\\dir\\sample.txt"),
    named("back\\slash.txt"),
    named(".."),
    named("."),
    named("..."),
    named("dir/"),
    named(".hidden"),
    named("trailing."),
    named(" blanks around .txt "),
    named("tab\there.txt"),
    named("no-extension"),
    named("%s%d.txt"),
    named("CON.txt"),
    named("x" * 96 + ".txt"),
    Row(
        "name of 101",
        (create(File("x" * 97 + ".txt")),),
        refused(attachment=LONG.format(101)),
    ),
    Row(
        "name of 101 wide letters",
        (create(File("\xe9" * 97 + ".txt")),),
        refused(attachment=LONG.format(101)),
    ),
    Row("name of 300", (create(File("x" * 300)),)),
    Row("name of 101 with a directory", (create(File("dir/" + "x" * 97)), download())),
    named("", "filename*=UTF-8''r%C3%A9sum%C3%A9.txt"),
    named("", "filename=\"plain.txt\"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt"),
    named("", "filename=bare.txt"),
    named("", 'filename=""'),
    named("", 'FILENAME="upper.txt"'),
)

CHALLENGE = {"detail": "Given token not valid for any token type", "code": "token_not_valid"}


def stale(text: str) -> Expect:
    message = {"token_class": "AccessToken", "token_type": "access", "message": text}
    return Expect(401, errors=CHALLENGE | {"messages": [message]})


def with_headers(**headers: str | None) -> Ask:
    """A call with other headers than usual; ``authorization`` may name a token."""
    return Ask("GET", CATEGORIES, headers={n.replace("_", "-"): v for n, v in headers.items()})


CREDENTIALS = (
    Row(
        "token: none", (with_headers(Authorization=None),), Expect(401, errors={"detail": NO_TOKEN})
    ),
    Row(
        "token: blank", (with_headers(Authorization=""),), Expect(401, errors={"detail": NO_TOKEN})
    ),
    Row(
        "token: other scheme",
        (with_headers(Authorization="Token {member}"),),
        Expect(401, errors={"detail": NO_TOKEN}),
    ),
    Row("token: scheme in small letters", (with_headers(Authorization="bearer {member}"),)),
    Row("token: without a scheme", (with_headers(Authorization="{member}"),)),
    Row(
        "token: scheme alone",
        (with_headers(Authorization="Bearer"),),
        Expect(
            401,
            errors={
                "detail": "Authorization header must contain two space-delimited values",
                "code": "bad_authorization_header",
            },
        ),
    ),
    Row("token: two", (with_headers(Authorization="Bearer {member} {member}"),)),
    Row("token: two blanks", (with_headers(Authorization="Bearer  {member}"),)),
    Row(
        "token: expired",
        (with_headers(Authorization="Bearer {expired}"),),
        stale("Token is expired"),
    ),
    Row(
        "token: garbage", (with_headers(Authorization="Bearer garbage"),), stale("Token is invalid")
    ),
    Row(
        "token: three parts of garbage",
        (with_headers(Authorization="Bearer a.b.c"),),
        stale("Token is invalid"),
    ),
    Row("token: forged", (with_headers(Authorization="Bearer {member}x"),)),
    Row("token: expired, at a create", (Ask("POST", CREATE, create().fields, token="expired"),)),
    Row("token: expired, at a download", (download(token="expired"),), stale("Token is expired")),
    Row(
        "token: a refresh token",
        (with_headers(Authorization="Bearer {refresh}"),),
        stale("Token has wrong type"),
    ),
    Row("token: unsigned", (with_headers(Authorization="Bearer eyJhbGciOiJub25lIn0.e30."),)),
    Row(
        "token: of an inactive user",
        (with_headers(Authorization="Bearer {other}"),),
        Expect(401, errors={"detail": "User is inactive", "code": "user_inactive"}),
        inactive="other@example.com",
    ),
    Row("apikey: none", (with_headers(apikey=None),), Expect(403, errors={"detail": NO_APIKEY})),
    Row("apikey: blank", (with_headers(apikey=""),), Expect(403, errors={"detail": NO_APIKEY})),
    Row(
        "apikey: wrong", (with_headers(apikey="wrong"),), Expect(403, errors={"detail": NO_APIKEY})
    ),
    Row("apikey: other case of the name", (with_headers(apikey=None, APIKEY="emulator-apikey"),)),
    Row("apikey: none, nor a token", (with_headers(apikey=None, Authorization=None),)),
    Row(
        "apikey: none, token expired",
        (with_headers(apikey=None, Authorization="Bearer {expired}"),),
    ),
    Row("apikey: none, at a create", (create()._replace(headers={"apikey": None}),)),
    Row(
        "apikey: none, at the login",
        (login("member@example.com", "emulator-password", headers={"apikey": None}),),
    ),
)

DOWNLOADS = (
    Row(
        "download: unknown",
        (download("999"),),
        Expect(404, errors={"detail": "No TicketAttachment matches the given query."}),
    ),
    Row(
        "download: foreign",
        (create(File(), token="other"), download()),
        Expect(404, errors={"detail": "No TicketAttachment matches the given query."}),
    ),
    *(
        Row(f"download: {n!r}", (create(File()), download(n)))
        for n in ("abc", "-1", "0901", "9" * 30, "901.0", "%20901")
    ),
    Row("download: no id", (Ask("GET", "/support/ticket/download/"),)),
    Row("download: no token", (download(headers={"Authorization": None}),)),
)

EVERY = {
    "login": ("POST", LOGIN),
    "categories": ("GET", CATEGORIES),
    "tags": ("GET", TAGS),
    "create": ("POST", CREATE),
    "history": ("GET", HISTORY),
    "detail": ("GET", DETAIL),
    "update": ("POST", UPDATE),
    "reply": ("POST", REPLY),
    "status": ("POST", STATUS),
    "download": ("GET", "/support/ticket/download/901/"),
}
OTHER_METHOD = {"GET": "POST", "POST": "GET"}


def refused_by_http(status: int, text: str) -> Expect:
    return Expect(status, errors={"detail": text})


HTTP = (
    *(
        Row(
            f"http: {OTHER_METHOD[method]} at {name}",
            (Ask(OTHER_METHOD[method], path),),
            refused_by_http(405, f'Method "{OTHER_METHOD[method]}" not allowed.'),
        )
        for name, (method, path) in EVERY.items()
    ),
    *(
        Row(f"http: {method} at create", (Ask(method, CREATE),))
        for method in ("PUT", "PATCH", "DELETE")
    ),
    Row("http: wrong method, no token", (Ask("GET", CREATE, headers={"Authorization": None}),)),
    *(
        Row(f"http: no slash at {name}", (Ask(method, path.rstrip("/")),))
        for name, (method, path) in EVERY.items()
    ),
    Row(
        "http: no slash, with a query", (Ask("GET", HISTORY.rstrip("/"), query=(("limit", "1"),)),)
    ),
    Row(
        "http: no slash, nobody known",
        (Ask("GET", HISTORY.rstrip("/"), headers={"Authorization": None, "apikey": None}),),
    ),
    Row("http: no such path", (Ask("GET", "/support/nowhere/"),)),
    Row("http: no such path, no slash", (Ask("GET", "/support/nowhere"),)),
    Row("http: root", (Ask("GET", "/"),)),
    Row("http: path of the samples", (Ask("POST", "/creat/support/ticket/", create().fields),)),
    Row("http: invisible character", (Ask("POST", "/%E2%80%8Esupport/ticket/status/"),)),
    Row("http: two slashes", (Ask("GET", CATEGORIES + "/"),)),
    *(
        Row(
            f"http: JSON at {name}",
            (Ask(method, path, body=b"{}", headers={"Content-Type": "application/json"}),),
            refused_by_http(415, 'Unsupported media type "application/json" in request.'),
        )
        for name, (method, path) in EVERY.items()
        if method == "POST" or name == "detail"
    ),
    Row(
        "http: JSON with a charset",
        (
            Ask(
                "POST",
                CREATE,
                body=b"{}",
                headers={"Content-Type": "application/json; charset=utf-8"},
            ),
        ),
    ),
    Row("http: body of no type", (Ask("POST", CREATE, body=b"{}"),)),
    Row("http: nothing at all", (Ask("POST", CREATE),)),
    Row(
        "http: Accept HTML",
        (Ask("GET", CATEGORIES, headers={"Accept": "text/html"}),),
        refused_by_http(406, "Could not satisfy the request Accept header."),
    ),
    Row(
        "http: Accept HTML, no token",
        (Ask("GET", CATEGORIES, headers={"Accept": "text/html", "Authorization": None}),),
    ),
    Row("http: Accept anything", (Ask("GET", CATEGORIES, headers={"Accept": "*/*"}),)),
    Row(
        "http: Accept by a list",
        (Ask("GET", CATEGORIES, headers={"Accept": "text/html, application/*;q=0.5"}),),
    ),
    Row("http: no Accept", (Ask("GET", CATEGORIES, headers={"Accept": None}),)),
    Row(
        "http: no boundary",
        (Ask("POST", CREATE, body=b"x", headers={"Content-Type": "multipart/form-data"}),),
    ),
    Row(
        "http: cut multipart",
        (
            Ask(
                "POST",
                CREATE,
                body=CUT,
                headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
            ),
        ),
    ),
    Row(
        "http: not multipart inside",
        (
            Ask(
                "POST",
                CREATE,
                body=b"subject=x",
                headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
            ),
        ),
    ),
    Row("http: chunked", (create()._replace(headers={"Transfer-Encoding": "chunked"}),)),
    # Django counts the names, too. What it leaves unread must fit where it waits to be read.
    Row("http: 2.5 MiB of text", (create(comment="x" * (5 * MIB // 2)),)),
    Row(
        "http: 2.5 MiB of text, urlencoded",
        (Ask("POST", CREATE, create(comment="x" * (5 * MIB // 2)).fields, form="urlencoded"),),
    ),
    *(
        Row(f"http: {count} fields, {form}", (Ask("POST", CREATE, fields(count), form=form),))
        for count in (1000, 1001)
        for form in ("multipart", "urlencoded")
    ),
    *(
        Row(f"http: {count} files", (create(*(File() for _ in range(count))), detail()))
        for count in (100, 101)
    ),
    Row("http: 2 MiB of text", (create(comment="x" * 2 * MIB), detail())),
    Row(
        "http: not UTF-8",
        (
            Ask(
                "POST",
                CREATE,
                body=b"subject=%FF&priority=1&comment=%C3&category=3",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            ),
            detail(),
        ),
    ),
    Row(
        "http: plus and percent",
        (
            Ask(
                "POST",
                CREATE,
                body=b"subject=a+b%2Bc&priority=1&comment=x;y&category=3&",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            ),
            detail(),
        ),
    ),
)

ROWS = (*SIZES, *NAMES, *CREDENTIALS, *DOWNLOADS, *HTTP)
