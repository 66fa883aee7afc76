"""The paths of SERVICE.md, section 3, and two that only tests use."""

from __future__ import annotations

from django.urls import path

from . import stage, views

urlpatterns = [
    path("user/login/", views.Login.as_view()),
    path("support/get/category-list/", views.CategoryList.as_view()),
    path("support/get/ticket/tags/", views.TagList.as_view()),
    path("support/create/ticket/", views.CreateTicket.as_view()),
    path("support/get/ticket/history/", views.TicketHistory.as_view()),
    path("support/ticket/detailed-view/", views.TicketDetail.as_view()),
    path("support/update/ticket/", views.UpdateTicket.as_view()),
    path("support/ticket/conversation/", views.AddConversation.as_view()),
    path("support/ticket/status/", views.ChangeStatus.as_view()),
    path("support/ticket/download/<int:attachment_id>/", views.DownloadAttachment.as_view()),
    path("-/stage/", stage.set_stage),
    path("-/token/", stage.issue_token),
]
