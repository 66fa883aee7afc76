"""Emulators of tenants that are not like the sample."""

from __future__ import annotations

import pytest

from kapture_async import KaptureClient, RejectedError, ValidationError
from kapture_async.testing import KaptureTwin
from support_async import SupportClient
from support_async.testing import SupportTwin

OLD = "/add-update-customer-from-other-source.html"


async def test_an_update_wants_a_sub_status() -> None:
    body = {"comment": "x"}
    for required, refused in ((True, True), (False, False)):
        async with (
            KaptureTwin(sub_status_required=required) as twin,
            KaptureClient(base_url=twin.url, token=twin.token) as client,
        ):
            known = twin.seed()
            path = "/update-ticket-from-other-source.html/v.2.0"
            if refused:
                with pytest.raises(ValidationError, match="sub_status is missing"):
                    await client.request(path, {**body, "ticket_id": known})
            else:
                await client.request(path, {**body, "ticket_id": known})
            assert len(twin.ledger) == (0 if refused else 1)


async def test_older_siblings_in_lower_case() -> None:
    async with (
        KaptureTwin(legacy_lower_case=True) as twin,
        KaptureClient(base_url=twin.url, token=twin.token) as client,
    ):
        told = await client.request(OLD, {"name": "Example", "phone": "0000000000"})
        assert {"message", "status", "Kapture Customer Id"} <= told.keys()
        with pytest.raises(RejectedError, match="Name, Email Id, and Phone Number required"):
            await client.request(OLD, {"city": "Pune"})


async def test_the_paths_of_the_samples() -> None:
    paths = {
        "tickets.create": "/creat/support/ticket/",
        "attachments.download": "/files/{attachment_id}/get/",
    }
    async with (
        SupportTwin(paths=paths) as twin,
        SupportClient(twin.url, apikey=twin.apikey, access_token=twin.token, paths=paths) as client,
    ):
        await client.tickets.create(
            subject="x", comment="y", category=3, priority="1", attachment=("a.txt", b"text")
        )
        (row,) = await client.tickets.history()
        ticket = await client.tickets.get(row.ticket_id)
        (file,) = ticket.attachments
        async with client.attachments.stream(file.attachment_id) as chunks:
            assert b"".join([chunk async for chunk in chunks]) == b"text"
    with pytest.raises(ValueError, match="paths"):
        SupportTwin(paths={"nothing": "/x/"})
