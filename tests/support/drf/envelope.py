"""What a project puts around the answers of DRF: one envelope, of errors only if asked."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.response import Response
from rest_framework.views import exception_handler as stock_handler


def success(data: Any = None) -> Response:
    """Return the documented success envelope (SERVICE.md, section 2.4)."""
    return Response({"status_code": 200, "errors": {}, "data": {} if data is None else data})


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer as stock DRF does; with ``WRAP_ERRORS`` the body goes into the envelope (6.1)."""
    response = stock_handler(error, context)
    if response is not None and settings.WRAP_ERRORS:
        response.data = {"status_code": response.status_code, "errors": response.data, "data": {}}
    return response
