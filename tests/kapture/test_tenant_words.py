"""What is no list of tickets is an error, and what says none, success, failed a tenant can say."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import pytest

from kapture_async import (
    ConfigurationError,
    HelpdeskError,
    KaptureClient,
    RejectedError,
    RetryPolicy,
    UnreadableReplyError,
)
from kapture_async._core.response import VendorWords
from kapture_async._responses import claims_success, says_none

from ..pull.raw import answering

ONE = RetryPolicy(attempts=1)


async def pull(body: Any, **settings: Any) -> list[str | None]:
    async with (
        answering(json.dumps(body).encode()) as server,
        KaptureClient(base_url=server.url, token="t", retry=ONE, **settings) as client,
    ):
        return [row.ticket_id async for row in client.tickets.pull("2024-04-19")]


async def add(body: Any, **settings: Any) -> str:
    async with (
        answering(json.dumps(body).encode()) as server,
        KaptureClient(base_url=server.url, token="t", retry=ONE, **settings) as client,
    ):
        return (await client.tickets.add(title="x")).ticket_id


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"error": "report quota used up"},
        {"errorCode": 7, "status": "x"},
        {"detail": "not for you", "status": "P"},
        {"tickets": [{"ticketId": "1"}, {"ticketId": "2"}]},
        {"0": {"ticketId": "1"}, "1": {"error": "x"}},
        {"0": {"ticketId": "1"}, "next": {"ticketId": "2"}},
        [{"error": "x"}],
        [{"ticketId": "1"}, {"error": "x"}],
        [{}],
        [1, 2],
        ["x"],
        [[]],
        7,
        True,
        None,
    ],
    ids=repr,
)
async def test_what_is_no_list_of_tickets_is_an_error(message: Any) -> None:
    with pytest.raises(UnreadableReplyError):
        await pull({"message": message, "status": "success"})


@pytest.mark.parametrize(
    ("message", "ids"),
    [
        ({"0": {"ticketId": "1"}, "1": {"ticketId": "2"}}, ["1", "2"]),
        ({"3": {"ticketId": "1"}, "12": {"taskTitle": "x"}}, ["1", None]),
        ({"ticketId": "1"}, ["1"]),
        ([{"taskTitle": "without an id"}], [None]),
        ([], []),
        ("", []),
    ],
)
async def test_rows_in_every_shape_that_is_unambiguous(message: Any, ids: list[str | None]) -> None:
    assert await pull({"message": message, "status": "success"}) == ids


@pytest.mark.parametrize(
    "text",
    [
        "No record(s) found",
        "There are no tickets for the selected criteria.",
        "There is no ticket available",
        "No matching records found!",
        "no records match your search criteria",
        "0 tickets found",
        "Sorry, no data found",
        "No entries to display for the given date range",
        "Ticket(s) not found",
        "Records do not exist",
        "Could not find any tickets",
        "Nothing to show",
    ],
)
def test_more_phrases_say_none(text: str) -> None:
    assert says_none(text)


@pytest.mark.parametrize(
    "text",
    [
        "No data found for this user: access denied",
        "No tickets can be shown, too many",
        "There are no tickets you may see",
        "No records found, limit exceeded",
        "Error: no data found",
        "There are no permissions",
        "no",
        "0",
    ],
)
def test_a_part_of_a_phrase_says_nothing(text: str) -> None:
    assert not says_none(text)


@pytest.mark.parametrize("status", ["success", "failed", "no_data"])
@pytest.mark.parametrize(
    "says",
    ["Keine Daten", ["x", "keine  daten."], lambda words, status: words.startswith("Keine")],
    ids=["text", "texts", "function"],
)
async def test_a_tenants_own_words_for_none(status: str, says: Any) -> None:
    body = {"message": "Keine Daten.", "status": status}
    with pytest.raises(HelpdeskError) as caught:
        await pull(body)
    assert "Keine Daten." in str(caught.value)
    assert await pull(body, says_none=says) == []
    with pytest.raises(HelpdeskError):
        await pull({"message": "Keine Daten. Kein Zugriff", "status": status}, says_none="x")


async def test_words_are_no_proof_and_say_so() -> None:
    for message, by_words in (("No data found", ("2024-04-19",)), ([], ())):
        body = json.dumps({"message": message, "status": "success"}).encode()
        async with (
            answering(body) as server,
            KaptureClient(base_url=server.url, token="t") as client,
        ):
            pages = client.tickets.pull("2024-04-19")
            assert await pages.next_page() == []
            assert pages.empty_by_words == by_words


async def test_a_tenants_own_marks() -> None:
    made = {"ticket_id": "7", "status": "ok"}
    with pytest.raises(UnreadableReplyError, match="'ok'"):
        await add(made)
    assert await add(made, says_success=["OK", "200"]) == "7"
    assert await add({"ticket_id": "7", "status": 200}, says_success=["OK", "200"]) == "7"
    assert await add({"ticket_id": "7", "status": True}, says_success="true") == "7"
    assert await add({"ticket_id": "7", "status": "success"}, says_success="ok") == "7"
    with pytest.raises(RejectedError, match="title is missing"):
        await add({"message": "title is missing", "status": "error"}, says_failed="error")
    with pytest.raises(UnreadableReplyError):
        await add(made, says_success="ok", says_failed="ok")


async def test_a_tenants_own_function_is_asked_for_words_and_status() -> None:
    made = {"ticket_id": "7", "status": "done", "message": "made it"}
    asked: list[tuple[str, str]] = []

    def knows(words: str, status: str) -> bool:
        asked.append((words, status))
        return (words, status) == ("made it", "done")

    assert await add(made, says_success=knows) == "7"
    with pytest.raises(RejectedError, match="made it"):
        await add({"status": "done", "message": "made it"}, says_failed=knows)
    with pytest.raises(UnreadableReplyError):
        await add({"ticket_id": "7", "status": "done"}, says_success=knows, says_failed=knows)
    assert set(asked) == {("made it", "done"), ("", "done")}


async def test_a_function_that_fails_is_a_doubt_and_no_crash() -> None:
    def fails(words: str, status: str) -> bool:
        raise KeyError(words)

    with pytest.raises(UnreadableReplyError, match="KeyError"):
        await add({"ticket_id": "7", "status": "ok"}, says_success=fails)
    with pytest.raises(UnreadableReplyError, match="KeyError"):
        await pull({"message": "x", "status": "success"}, says_none=fails)


@pytest.mark.parametrize("status", ["error", "no_data", False, 0, "x" * 500])
async def test_an_unknown_mark_is_quoted_with_its_words(status: Any) -> None:
    body = {"status": status, "message": "title is missing\u2028 t0ken-of-mine"}
    with pytest.raises(UnreadableReplyError) as caught:
        async with (
            answering(json.dumps(body).encode()) as server,
            KaptureClient(base_url=server.url, token="t0ken-of-mine") as client,
        ):
            await client.tickets.add(title="x")
    told = str(caught.value)
    assert "title is missing" in told
    assert str(status).lower()[:40] in told
    assert "t0ken-of-mine" not in told
    assert "\u2028" not in told
    assert len(told) < 1000


@pytest.mark.parametrize("says", [7, [7], ["  "], [None]])
def test_settings_that_are_no_words(says: Any) -> None:
    with pytest.raises(ConfigurationError, match="says_none"):
        KaptureClient("x", token="t", says_none=says)


async def test_the_command_line_takes_them() -> None:
    async with answering(b'{"message":"Keine Daten","status":"success"}') as server:
        arguments = ["-m", "kapture_async", "pull", "--from", "2024-04-19"]
        environment = {**os.environ, "KAPTURE_TOKEN": "t", "KAPTURE_BASE_URL": server.url}

        async def run(*more: str) -> int | None:
            done = await asyncio.create_subprocess_exec(
                *(sys.executable, *arguments, *more),
                env=environment,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            return await done.wait()

        assert await run("--says-none", "keine daten") == 0
        assert await run() != 0


@pytest.mark.parametrize("element", [{}, {"error": "quota used up"}, {"errorCode": 7}])
async def test_an_error_is_no_ticket_no_customer_and_no_faq(element: Any) -> None:
    async def client_of(body: Any, what: str) -> Any:
        async with (
            answering(json.dumps(body).encode()) as server,
            KaptureClient(base_url=server.url, token="t", retry=ONE) as client,
        ):
            if what == "get":
                return await client.tickets.get("1")
            if what == "customers":
                return await client.customers.pull("2024-04-19", cm_id=1).all()
            return await client.faqs.contents("1").all()

    for body, what in (
        ([element], "get"),
        ({"status": "success", "message": [element]}, "customers"),
        ({"status": "success", "message": {"contents": [element]}}, "faqs"),
    ):
        with pytest.raises(UnreadableReplyError):
            await client_of(body, what)


def test_the_tenants_mark_claims_success_whatever_the_status_of_http() -> None:
    """What claims it is never sent again: also with a 429."""

    def knows(words: str, status: str) -> bool:
        if status == "odd":
            raise KeyError(words)
        return (words, status) == ("made it", "done")

    words = VendorWords.of(None, knows, None)
    assert claims_success(b'{"status": "done", "message": "made it"}', words)
    assert not claims_success(b'{"status": "done"}', words)
    assert not claims_success(b'{"message": "made it"}', words)
    assert not claims_success(b'{"status": "done", "message": "made it"}')
    assert claims_success(b'{"status": "odd"}', words)  # it may be
    assert claims_success(b'[{"status": "success"}]', words)
