"""Emulators of tenants that are not like the sample."""

from __future__ import annotations

import pytest

from kapture_async import KaptureClient, RejectedError, ValidationError
from kapture_async.testing import KaptureEmulator
from support_async import SupportClient
from support_async.testing import SupportEmulator

OLD = "/add-update-customer-from-other-source.html"


async def test_an_update_wants_a_sub_status() -> None:
    body = {"comment": "x"}
    for required, refused in ((True, True), (False, False)):
        async with (
            KaptureEmulator(sub_status_required=required) as emulator,
            KaptureClient(base_url=emulator.url, token=emulator.token) as client,
        ):
            known = emulator.seed()
            path = "/update-ticket-from-other-source.html/v.2.0"
            if refused:
                with pytest.raises(ValidationError, match="sub_status is missing"):
                    await client.request(path, {**body, "ticket_id": known})
            else:
                await client.request(path, {**body, "ticket_id": known})
            assert len(emulator.ledger) == (0 if refused else 1)


async def test_older_siblings_in_lower_case() -> None:
    async with (
        KaptureEmulator(legacy_lower_case=True) as emulator,
        KaptureClient(base_url=emulator.url, token=emulator.token) as client,
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
        SupportEmulator(paths=paths) as emulator,
        SupportClient(
            emulator.url, apikey=emulator.apikey, access_token=emulator.token, paths=paths
        ) as client,
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
        SupportEmulator(paths={"nothing": "/x/"})
