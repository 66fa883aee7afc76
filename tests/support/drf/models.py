"""What the service keeps. Field types are those from which DRF makes the documented answers."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

OPEN, PROCESSING, CLOSED = "1", "2", "3"


class Category(models.Model):
    category = models.CharField(max_length=100)
    description = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["id"]


class Tag(models.Model):
    tag = models.CharField(max_length=100)
    keyword = models.CharField(max_length=100)

    class Meta:
        ordering: ClassVar = ["id"]


class Ticket(models.Model):
    PRIORITIES = (("1", "Low"), ("2", "Medium"), ("3", "High"))
    STATUSES = ((OPEN, "Open"), (PROCESSING, "Processing"), (CLOSED, "Closed"))

    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    subject = models.CharField(max_length=500)
    priority = models.CharField(max_length=1, choices=PRIORITIES)
    category = models.ForeignKey(Category, models.PROTECT)
    comment = models.TextField()
    status = models.CharField(max_length=1, choices=STATUSES, default=OPEN)
    tags = models.ManyToManyField(Tag)


class Conversation(models.Model):
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="conversations")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    comment = models.TextField()


def _stored_as(attachment: Any, name: str) -> str:
    return uuid.uuid4().hex


class TicketAttachment(models.Model):
    """A file, and the name that Django read out of the request.

    The file is stored by another name: Django's storage would leave letters, digits, ``-``, ``_``
    and ``.`` of the sender's, so a download could not show what had arrived.
    """

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="attachments")
    conversation = models.ForeignKey(Conversation, models.CASCADE, null=True)
    file = models.FileField(upload_to=_stored_as)
    name = models.CharField(max_length=255)
