"""The nine calls and the login (SERVICE.md, section 3), at the paths of the headings."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView
from rest_framework_simplejwt.views import TokenObtainPairView

from . import words
from .access import HasApiKey, check_open_tickets, own_ticket
from .envelope import success
from .models import Category, Tag, Ticket, TicketAttachment
from .serializers import (
    AttachmentSerializer,
    CategorySerializer,
    ChangeStatusSerializer,
    ConversationSerializer,
    NewConversationSerializer,
    NewTicketSerializer,
    TagSerializer,
    TicketRowSerializer,
    TicketSerializer,
    UpdateTicketSerializer,
)


class Login(TokenObtainPairView):
    permission_classes = (HasApiKey,)


class CategoryList(APIView):
    def get(self, request: Request) -> Response:
        rows = CategorySerializer(Category.objects.all(), many=True)
        return success({"CategoryList": rows.data})


class TagList(APIView):
    def get(self, request: Request) -> Response:
        return success({"TicketTagList": TagSerializer(Tag.objects.all(), many=True).data})


class CreateTicket(APIView):
    def post(self, request: Request) -> Response:
        serializer = NewTicketSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        check_open_tickets(request.user)
        serializer.save(author=request.user)
        return success()


class TicketHistory(APIView):
    def get(self, request: Request) -> Response:
        query = request.query_params
        tickets = Ticket.objects.filter(author=request.user).order_by("-id")
        if subject := query.get("subject"):
            tickets = tickets.filter(subject__icontains=subject)
        errors = {}
        for name, lookup, text in (
            ("category", "category__id", words.CATEGORY_NOT_NUMERIC),
            ("status", "status", words.STATUS_NOT_NUMERIC),
        ):
            if value := query.get(name):
                if value.isdecimal():
                    tickets = tickets.filter(**{lookup: value})
                else:
                    errors[name] = text  # a string, where DRF's own are lists
        if errors:
            raise ValidationError(errors)
        offset, limit = int(query.get("offset") or 0), int(query.get("limit") or 50)
        rows = TicketRowSerializer(
            tickets.select_related("category")[offset : offset + limit], many=True
        )
        return success({"TicketList": rows.data})


def asked_ticket(request: Request, value: Any) -> Ticket:
    """Return the ticket of a ``ticket_id``, whose errors bear another name: ``ticket`` (A6)."""
    try:
        return own_ticket(request.user, value)
    except ValidationError as error:
        raise ValidationError({"ticket": error.detail}) from None


class TicketDetail(APIView):
    def get(self, request: Request) -> Response:
        number = request.data.get("ticket_id") or request.query_params.get("ticket_id")
        ticket = asked_ticket(request, number)
        conversations = ticket.conversations.select_related("author").order_by("id")
        attachments = ticket.attachments.order_by("id")
        return success(
            {
                "ticket": TicketSerializer(ticket).data,
                "author": ticket.author.email,
                "conversations": ConversationSerializer(conversations, many=True).data,
                "attachments": AttachmentSerializer(attachments, many=True).data,
            }
        )


class UpdateTicket(APIView):
    def post(self, request: Request) -> Response:
        ticket = asked_ticket(request, request.data.get("ticket_id"))
        serializer = UpdateTicketSerializer(ticket, data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return success()


class AddConversation(APIView):
    def post(self, request: Request) -> Response:
        serializer = NewConversationSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        serializer.save(author=request.user)
        return success()


class ChangeStatus(APIView):
    def post(self, request: Request) -> Response:
        serializer = ChangeStatusSerializer(data=request.data, context={"request": request})
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return success()


class DownloadAttachment(APIView):
    def get(self, request: Request, attachment_id: int) -> FileResponse:
        own = TicketAttachment.objects.filter(ticket__author=request.user)
        attachment = get_object_or_404(own, pk=attachment_id)
        return FileResponse(attachment.file.open(), as_attachment=True, filename=attachment.name)
