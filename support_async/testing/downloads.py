"""How the emulator sends a file: as Django's ``FileResponse(as_attachment=True)`` does."""

from __future__ import annotations

import os.path
import re
import urllib.parse

from kapture_async._core.mime import media_type_of
from kapture_async._core.testing.message import EmulatorReply

_QUOTABLE = re.compile(r"[\t \x21-\x7e]*")


def file_reply(name: str, content: bytes) -> EmulatorReply:
    """Return the answer that sends a file."""
    base = os.path.basename(name)
    kind = media_type_of(base)
    return EmulatorReply(200, content, kind, (("Content-Disposition", disposition(base)),))


def disposition(name: str) -> str:
    """Return ``Content-Disposition``: the name quoted, or percent-encoded where it cannot be."""
    if not name:
        return "attachment"
    if _QUOTABLE.fullmatch(name):
        quoted = name.replace("\\", "\\\\").replace('"', r"\"")
        return f'attachment; filename="{quoted}"'
    return f"attachment; filename*=utf-8''{urllib.parse.quote(name)}"
