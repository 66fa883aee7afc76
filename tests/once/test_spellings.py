"""Customers whose phone number or e-mail address the service has in a form of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from kapture_async import TicketUpdate
from kapture_async.customers.push import spellings
from kapture_async.testing import FaultPlan, KaptureEmulator

from .pushing import SETTLE, client_of
from .test_customers import made, people, push
from .test_updates import tickets, update, updated

ADD, GET = "customers.add", "customers.get"


class Normalising(KaptureEmulator):
    """Keeps phone numbers in one form, and finds them in no other; addresses in lower case."""

    form: Callable[[str], str] = staticmethod(lambda digits: f"+91{digits}")

    def handle(self, request: Any) -> Any:
        if self.operation(request) != ADD:
            return super().handle(request)
        body = orjson.loads(request.body)
        info = body["customer_info"] if isinstance(body, dict) else body[0]["customer_info"]
        digits = "".join(sign for sign in info["phone"] if sign.isdecimal())
        info["phone"] = self.form(digits[-10:])
        info["email_id"] = info["email_id"].strip().lower()
        return super().handle(evolve(request, body=orjson.dumps(body)))


FORMS: dict[str, Callable[[str], str]] = {
    "+91": lambda digits: f"+91{digits}",
    "0": lambda digits: f"0{digits}",
    "plain": lambda digits: digits,
    "+91 and a blank": lambda digits: f"+91 {digits}",
    "in groups": lambda digits: f"({digits[:3]}) {digits[3:6]}-{digits[6:]}",
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_number_in_another_form(journal: Path, form: str) -> None:
    rows = people("ann", "ben", "cid")
    for number, row in enumerate(rows):
        row["phone"] = f"98765 4321{number}"
        row["email_id"] = f"{row['customer_name'].upper()}@Example.com"
    plan = FaultPlan.script([None, "close_after", "close_before"], only=ADD)
    async with Normalising(faults=plan) as emulator, client_of(emulator) as client:
        emulator.form = FORMS[form]  # type: ignore[method-assign]
        await push(client, rows, journal, max_concurrency=1)
        found = await client.customers.reconcile(journal, settle=SETTLE)
        assert (len(found.present), len(found.absent)) == (1, 1)
        await push(client, rows, journal)
        assert set(made(emulator).values()) == {1}


def test_spellings() -> None:
    found = spellings("98765 43210")
    assert {"9876543210", "+919876543210", "919876543210", "09876543210"} <= set(found)
    assert spellings("+91-98765-43210", ["(###) ###-####"])[-1] == "(987) 654-3210"
    assert spellings("12 34") == ["1234"]
    assert spellings("none") == []


class FewNotes(KaptureEmulator):
    """Shows so many notes of a ticket, the oldest."""

    most = 3

    def handle(self, request: Any) -> Any:
        reply = super().handle(request)
        if self.operation(request) != "tickets.get":
            return reply
        body = orjson.loads(reply.body)
        for ticket in body if isinstance(body, list) else ():
            notes = ticket.get("conversation_type", {}).get("notes", [])
            del notes[self.most :]
        return evolve(reply, body=orjson.dumps(body))


async def test_notes_that_are_cut_off_prove_nothing(journal: Path) -> None:
    plan = FaultPlan.script([*[None] * 4, "close_after"], only="tickets.update")
    async with FewNotes() as emulator, client_of(emulator) as client:
        first, second = tickets(emulator, 2)
        for _ in range(3):
            await client.tickets.update(second, sub_status="PS", comment="before")
        before = updated(emulator)[second]
        emulator.faults = plan
        rows = [
            *(TicketUpdate(ticket_id=first, sub_status="PS", comment=f"n{n}") for n in range(4)),
            TicketUpdate(ticket_id=second, sub_status="PS", comment="ours"),
        ]
        keys = {id(row): f"k{number}" for number, row in enumerate(rows)}
        how: dict[str, Any] = {"key": lambda row: keys[id(row)], "max_concurrency": 1}
        await update(client, rows, journal, **how)
        found = await client.tickets.reconcile(journal, settle=SETTLE)
        assert (found.absent, len(found.open)) == ([], 1)
        assert "limit" in found.open[0].reason
        await update(client, rows, journal, **how)
        assert updated(emulator)[second] == before + 1
