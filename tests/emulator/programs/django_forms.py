"""Reads forms with Django itself: JSON lines of requests on stdin, one line for each on stdout.

It runs in a process of its own, for Django's settings can be configured only once in one.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any

import django
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import MemoryFileUploadHandler, TemporaryFileUploadHandler
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError


def read(content_type: str, charset: str, body: bytes) -> Any:
    if content_type == "application/x-www-form-urlencoded":
        return {"texts": dict(QueryDict(body, encoding=charset).lists()), "files": {}}
    request = HttpRequest()
    handlers = [MemoryFileUploadHandler(request), TemporaryFileUploadHandler(request)]
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(len(body))}
    texts, files = MultiPartParser(meta, io.BytesIO(body), handlers, charset).parse()
    return {
        "texts": dict(texts.lists()),
        "files": {
            name: [
                [file.name, base64.b64encode(file.read()).decode(), file.content_type]
                for file in found
            ]
            for name, found in files.lists()
        },
    }


def main() -> None:
    settings.configure()
    django.setup()
    for line in sys.stdin:
        content_type, charset, body = json.loads(line)
        try:
            found = read(content_type, charset, base64.b64decode(body))
        except MultiPartParserError as error:
            found = {"error": str(error)}
        except SuspiciousOperation as error:
            found = {"too large": type(error).__name__}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
