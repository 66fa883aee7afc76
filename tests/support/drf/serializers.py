"""The serializers: DRF's own fields wherever SERVICE.md, section 3, quotes DRF's own texts."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from . import words
from .access import own_ticket
from .models import CLOSED, OPEN, PROCESSING, Category, Conversation, Tag, Ticket, TicketAttachment

MAX_FILE = 2 * 1024 * 1024


def not_too_big(file: Any) -> None:
    if file.size > MAX_FILE:
        raise serializers.ValidationError(words.TOO_BIG)


def attachment_field() -> serializers.FileField:
    """Return the optional file; the length of its name is that of the model's column."""
    longest = TicketAttachment._meta.get_field("file").max_length
    return serializers.FileField(required=False, max_length=longest, validators=[not_too_big])


class CategorySerializer(serializers.ModelSerializer):
    class Meta:
        model = Category
        fields = ("id", "category", "description")


class TagSerializer(serializers.ModelSerializer):
    class Meta:
        model = Tag
        fields = ("id", "tag", "keyword")


class NewTicketSerializer(serializers.ModelSerializer):
    attachment = attachment_field()

    class Meta:
        model = Ticket
        fields = ("subject", "priority", "comment", "category", "attachment")

    def create(self, values: dict[str, Any]) -> Ticket:
        file = values.pop("attachment", None)
        ticket = super().create(values)
        if file is not None:
            ticket.attachments.create(file=file, name=file.name)
        return ticket


class UpdateTicketSerializer(serializers.ModelSerializer):
    class Meta:
        model = Ticket
        fields = ("priority", "tags")
        extra_kwargs: ClassVar = {"priority": {"required": False}}


class NewConversationSerializer(serializers.ModelSerializer):
    attachment = attachment_field()

    class Meta:
        model = Conversation
        fields = ("ticket", "comment", "attachment")

    def validate_ticket(self, ticket: Ticket) -> Ticket:
        if ticket.author_id != self.context["request"].user.id:
            raise serializers.ValidationError(words.NOT_OWNER_OF_CONVERSATION)
        return ticket

    def create(self, values: dict[str, Any]) -> Conversation:
        file = values.pop("attachment", None)
        conversation = super().create(values)
        if file is not None:
            conversation.ticket.attachments.create(
                file=file, name=file.name, conversation=conversation
            )
        return conversation


class OwnTicketField(serializers.Field):
    default_error_messages: ClassVar = {"required": words.TICKET_MISSING}

    def to_internal_value(self, data: Any) -> Ticket:
        user = self.context["request"].user
        return own_ticket(user, data, foreign=words.NOT_OWNER_OF_STATUS)


class AskedStatusField(serializers.ChoiceField):
    """A stock choice with a text of its own for "nothing chosen"."""

    default_error_messages: ClassVar = {
        "required": words.STATUS_MISSING,
        "blank": words.STATUS_MISSING,
    }

    def to_internal_value(self, data: Any) -> str:
        if not str(data).strip():
            self.fail("blank")
        return super().to_internal_value(data)


class ChangeStatusSerializer(serializers.Serializer):
    """The status machine of SERVICE.md, section 4.2."""

    ticket = OwnTicketField()
    status = AskedStatusField(choices=[(PROCESSING, "Open"), (CLOSED, "Close")])

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        now, asked = values["ticket"].status, values["status"]
        refusals = {
            (OPEN, PROCESSING): words.ALREADY_OPEN,
            (PROCESSING, PROCESSING): words.ALREADY_PROCESSING,
            (CLOSED, CLOSED): words.ALREADY_CLOSED,
        }
        if (now, asked) in refusals:
            raise serializers.ValidationError({"ticket": [refusals[now, asked]]})
        return values

    def create(self, values: dict[str, Any]) -> Ticket:
        ticket: Ticket = values["ticket"]
        ticket.status = values["status"]
        ticket.save(update_fields=["status"])
        return ticket


class TicketRowSerializer(serializers.ModelSerializer):
    category_title = serializers.CharField(source="category.category")

    class Meta:
        model = Ticket
        fields = ("id", "subject", "priority", "category", "category_title", "comment", "status")


class TicketSerializer(serializers.ModelSerializer):
    class Meta:
        model = Ticket
        fields = ("id", "subject", "priority", "category", "comment", "status", "tags")


class ConversationSerializer(serializers.ModelSerializer):
    author = serializers.CharField(source="author.email")

    class Meta:
        model = Conversation
        fields = ("id", "ticket", "comment", "author")


class AttachmentSerializer(serializers.ModelSerializer):
    conversation_id = serializers.IntegerField()

    class Meta:
        model = TicketAttachment
        fields = ("id", "conversation_id")
