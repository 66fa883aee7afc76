"""Carries out a fault on one exchange: which bytes leave, and how the connection ends."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

import orjson

from .faults import Fault
from .http import EmulatorReply, html_reply, reason
from .server import Connection

_LOGIN = b"""<!DOCTYPE html>
<html><head><title>Login</title></head>
<body><form method="post" action="/login.html">
<input type="text" name="username"><input type="password" name="password">
<button type="submit">Sign in</button>
</form></body></html>
"""
_NOT_HTTP = b"\x15\x03\x03\x00\x02\x02\x28 this is not HTTP\r\n\r\n"


class Refuser(Protocol):
    """What only the emulator of a service can say: its own words of refusal."""

    def refusal(self, message: str) -> EmulatorReply:
        """Return the reply by which the service says that it did nothing, and why."""
        ...


def carry_out(
    connection: Connection, fault: Fault, executed: EmulatorReply | None, refuser: Refuser
) -> None:
    """Do to the answer what the fault asks; ``executed`` is the true answer, if there is one.

    Faults that need no answer (silence, closing, resetting) look alike before and after execution:
    the difference, whether the request was executed, is made before this is called.
    """
    breaking = _BREAKING.get(fault.kind)
    if breaking is not None:
        breaking(connection)
    elif fault.kind == "previous_answer" and executed is not None:
        connection.reply(executed)  # whose it is, was decided before
    elif fault.kind in _MANGLING and executed is not None:
        _MANGLING[fault.kind](connection, fault, executed)
    else:
        connection.reply(_instead(fault, refuser))


def _slow(connection: Connection, fault: Fault, reply: EmulatorReply) -> None:
    keep_alive = connection.request.keep_alive
    data = connection.head(reply, len(reply.body), keep_alive=keep_alive) + reply.body
    count = max(1, int(fault.number("pieces")))
    size = -(-len(data) // count)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    pause = fault.number("duration") / len(pieces)

    def drip(index: int) -> None:
        connection.write(pieces[index])
        if index + 1 < len(pieces):
            connection.later(pause, functools.partial(drip, index + 1))
        else:
            connection.finish(keep_alive=keep_alive)

    drip(0)


def _half_body(connection: Connection, fault: Fault, reply: EmulatorReply) -> None:
    head = connection.head(reply, len(reply.body), keep_alive=True)
    at = int(fault.number("bytes")) or len(reply.body) // 2
    connection.write(head + reply.body[: min(at, len(reply.body) - 1)])
    connection.close()


def _wrong_length(connection: Connection, fault: Fault, reply: EmulatorReply) -> None:
    delta = int(fault.number("delta"))
    length = max(0, len(reply.body) + delta)
    connection.write(connection.head(reply, length, keep_alive=True) + reply.body)
    if delta > 0:
        connection.close()
    else:
        connection.finish(keep_alive=connection.request.keep_alive)


def _garbage(connection: Connection, fault: Fault, reply: EmulatorReply) -> None:
    connection.write(_NOT_HTTP)
    connection.close()


def _bad_json(connection: Connection, fault: Fault, reply: EmulatorReply) -> None:
    cut = reply.body[: len(reply.body) * 2 // 3]
    connection.reply(EmulatorReply(reply.status, cut, reply.content_type, reply.headers))


def _twice(connection: Connection, fault: Fault, reply: EmulatorReply) -> None:
    if fault.settings["lost"]:
        connection.close()
    else:
        connection.reply(reply)


def _answer_twice(connection: Connection, fault: Fault, reply: EmulatorReply) -> None:
    if fault.settings["later"]:
        connection.left_over = reply
        connection.reply(reply)
    else:  # in one piece: a second one might come too late to be told from an answer
        keep_alive = connection.request.keep_alive
        answer = connection.head(reply, len(reply.body), keep_alive=keep_alive) + reply.body
        connection.write(answer + answer)
        connection.finish(keep_alive=keep_alive)


_BREAKING: Mapping[str, Callable[[Connection], None]] = {
    "close_before": Connection.close,
    "close_after": Connection.close,
    "reset_early": Connection.reset,
    "reset_before": Connection.reset,
    "reset_after": Connection.reset,
    "silence_before": Connection.hold,
    "silence_after": Connection.hold,
    "late": Connection.hold,
}
_MANGLING: Mapping[str, Callable[[Connection, Fault, EmulatorReply], None]] = {
    "slow": _slow,
    "half_body": _half_body,
    "wrong_length": _wrong_length,
    "garbage": _garbage,
    "bad_json": _bad_json,
    "twice": _twice,
    "answer_twice": _answer_twice,
}


def _instead(fault: Fault, refuser: Refuser) -> EmulatorReply:
    """Return the reply that takes the place of the true one."""
    match fault.kind:
        case "status":
            return _status_reply(fault)
        case "failed" | "failed_after":
            return refuser.refusal(fault.text("message"))
        case "login_html" | "login_html_after":
            return EmulatorReply(200, _LOGIN, "text/html;charset=UTF-8")
        case "unknown_shape":
            return EmulatorReply(200, b'{"outcome":"queued","elements":[1,null]}')
        case "redirect":
            status = int(fault.number("status"))
            return html_reply(status, ("Location", fault.text("location")))
        case "bomb":
            return EmulatorReply(200, bomb(), headers=(("Content-Encoding", "gzip"),))
        case _:
            raise AssertionError(f"fault {fault.kind!r} has no act")


def _status_reply(fault: Fault) -> EmulatorReply:
    status = int(fault.number("status"))
    wait = fault.text("retry_after")
    headers = (("Retry-After", wait),) if wait else ()
    if fault.text("body") == "html":
        return html_reply(status, *headers)
    body = b""
    if fault.text("body") == "json":
        body = orjson.dumps({"error": reason(status)})
    return EmulatorReply(status, body, headers=headers)


@functools.cache
def bomb() -> bytes:
    """Return about 200 KiB of gzip that unpack to 200 MiB: a JSON text of blanks.

    Only one MiB is ever compressed: after a full flush the compressor remembers nothing, so its
    output for one block of blanks can be repeated for all of them.
    """
    block, blocks = b" " * 2**20, 200
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(b"{}") + packer.flush(zlib.Z_FINISH)
    checksum = 0
    for _ in range(blocks):
        checksum = zlib.crc32(block, checksum)
    checksum = zlib.crc32(b"{}", checksum)
    trailer = checksum.to_bytes(4, "little") + (blocks * len(block) + 2).to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + packed * blocks + end + trailer
