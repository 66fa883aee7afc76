"""Who may do what: the application key, the owner of a ticket, the limit of open tickets."""

from __future__ import annotations

import hmac
from typing import Any

from django.conf import settings
from rest_framework import exceptions, permissions, serializers, status

from . import stage, words
from .models import CLOSED, Ticket


class HasApiKey(permissions.BasePermission):
    """Ask for the ``apikey`` header; without it DRF answers 403 (SERVICE.md, B11)."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return hmac.compare_digest(request.headers.get("apikey", ""), settings.APIKEY)


class TooManyOpenTickets(exceptions.APIException):
    """A refusal with the status of an authentication failure (SERVICE.md, section 6.4)."""

    status_code = status.HTTP_401_UNAUTHORIZED
    default_detail = words.TOO_MANY_OPEN


def check_open_tickets(user: Any) -> None:
    limit = stage.open_ticket_limit
    if limit is not None and user.ticket_set.exclude(status=CLOSED).count() >= limit:
        raise TooManyOpenTickets


def own_ticket(user: Any, value: Any, *, foreign: str = words.NOT_OWNER) -> Ticket:
    """Return the user's ticket of that id, or raise the vendor's text as a list of one."""
    if not isinstance(value, str) or not value.strip():
        raise serializers.ValidationError(words.TICKET_MISSING)
    try:
        ticket = Ticket.objects.get(pk=value)
    except (Ticket.DoesNotExist, ValueError):
        raise serializers.ValidationError(words.TICKET_INVALID) from None
    if ticket.author_id != user.id:
        raise serializers.ValidationError(foreign)
    return ticket
