"""What a test sets before its scene: an empty service, the shape of errors, the limit, a token.

The service runs in one process, so plain module state and Django's settings will do.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.storage import default_storage
from django.db import connection
from django.http import HttpRequest, HttpResponse
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from .models import Category, Conversation, Tag, Ticket, TicketAttachment

PASSWORD = "emulator-password"
USERS = ("member@example.com", "other@example.com")
CATEGORIES = ((3, "Sample category A", "Neutral description A"), (4, "Sample category B", ""))
TAGS = (
    (1, "Sample tag A", "sample-a"),
    (2, "Sample tag B", "sample-b"),
    (3, "Sample tag C", "sample-c"),
)
# The ids that the samples have, so that a request can be written down before it is sent.
FIRST_IDS = {Ticket: 101, Conversation: 501, TicketAttachment: 901}

open_ticket_limit: int | None = None


def fill() -> None:
    """Put in what every test finds: users, categories and tags."""
    for name in USERS:
        get_user_model().objects.create_user(name, email=name, password=PASSWORD)
    Category.objects.bulk_create(Category(*row) for row in CATEGORIES)
    Tag.objects.bulk_create(Tag(*row) for row in TAGS)


def set_stage(request: HttpRequest) -> HttpResponse:
    """Forget all tickets and files, and set what is asked for."""
    global open_ticket_limit
    for attachment in TicketAttachment.objects.all():
        default_storage.delete(attachment.file.name)
    Ticket.objects.all().delete()
    with connection.cursor() as cursor:
        for model, first in FIRST_IDS.items():
            table = model._meta.db_table
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence VALUES (%s, %s)", [table, first - 1])
    settings.WRAP_ERRORS = request.GET["wrapped"] == "1"
    limit = request.GET.get("limit")
    open_ticket_limit = int(limit) if limit else None
    users = get_user_model().objects
    users.update(is_active=True)
    users.filter(email=request.GET["inactive"]).update(is_active=False)
    return HttpResponse(status=204)


def issue_token(request: HttpRequest) -> HttpResponse:
    """Answer with a token of a user, as long-lived as asked; one with a negative life is over."""
    kind = {"access": AccessToken, "refresh": RefreshToken}[request.GET["kind"]]
    token = kind.for_user(get_user_model().objects.get(email=request.GET["email"]))
    token.set_exp(lifetime=timedelta(seconds=float(request.GET["seconds"])))
    return HttpResponse(str(token), content_type="text/plain")
