"""The commands for customers, orders and FAQs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kapture_async import (
    AnswerMismatchError,
    ConfigurationError,
    InvalidInputError,
    NotFoundError,
)
from kapture_async.cli.app import commands
from kapture_async.testing import KaptureEmulator
from kapture_async.testing.emulator import PASSWORD, USERNAME

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Call = Callable[..., Result]
WHO = {"KAPTURE_ORDERS_USERNAME": USERNAME, "KAPTURE_ORDERS_PASSWORD": PASSWORD}


@pytest.fixture
def call(server: KaptureEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Runs a command in this process; what main() makes of errors, processes of their own show."""
    monkeypatch.chdir(tmp_path)
    for name in ("SUBDOMAIN", "USERNAME", "PASSWORD", "ORDERS_USERNAME", "ORDERS_PASSWORD"):
        monkeypatch.delenv(f"KAPTURE_{name}", raising=False)
    monkeypatch.setenv("KAPTURE_BASE_URL", server.url)
    monkeypatch.setenv("KAPTURE_TOKEN", "emulator-token")

    def run(*arguments: str, given: Any = None, env: dict[str, str] | None = None) -> Result:
        text = given if given is None or isinstance(given, str) else json.dumps(given)
        return CliRunner().invoke(commands, arguments, input=text, env=env)

    return run


def done(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_a_customer_from_its_adding_to_its_pulling(call: Call, server: KaptureEmulator) -> None:
    said = done(
        call(
            *("customers", "add", "--name", "Müller \x1b[31m& Co", "--phone", "0123"),
            *("--code", "c1", "--set", "city=Köln", "--set", "organization=true"),
        )
    )
    [entry] = server.ledger.of("customers.add")
    number = entry.ticket_id
    assert said == f"Added customer {number}: Customer data pushed successfully.\n"
    assert entry.payload == {
        "customer_info": {
            "customer_name": "Müller \x1b[31m& Co",
            "phone": "0123",
            "customer_code": "c1",
            "city": "Köln",
            "organization": True,
        }
    }
    assert done(call("customers", "update", number, "--email", "m@example.com")).startswith(
        f"Updated customer {number}"
    )
    assert server.ledger.entries[-1].payload == {
        "customer_info": {"email_id": "m@example.com", "customer_id": number}
    }
    shown = done(call("customers", "get", "--email", "m@example.com"))
    assert shown.startswith(f"{number}  Müller & Co\n")
    assert "\x1b" not in shown
    assert "Köln" in shown
    raw = json.loads(done(call("customers", "get", number, "--json")))
    assert raw["Customer Details"]["id"] == int(number)
    day = server.now.date().isoformat()
    pull = ("customers", "pull", "--from", day, "--cm-id", "1000298")
    assert done(call(*pull)).startswith(number)
    assert json.loads(done(call(*pull, "--json", "--filter", "phone=0123")))["id"] == int(number)
    assert done(call(*pull, "--filter", "phone=7")) == ""
    assert "1 customer to c.jsonl" in call(*pull, "--out", "c.jsonl").stderr
    assert json.loads(Path("c.jsonl").read_text(encoding="utf-8"))["id"] == int(number)


@pytest.mark.parametrize(
    ("operation", "arguments", "of"),
    [
        ("customers.pull", ("--from", "2024-05-02", "--cm-id", "1"), "customers"),
        ("orders.pull", ("--cm-id", "1", "--name", "x"), "orders"),
    ],
)
def test_rows_that_are_counted_and_not_given_are_told(
    call: Call,
    server: KaptureEmulator,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    arguments: tuple[str, ...],
    of: str,
) -> None:
    def fewer(body: Any) -> Any:
        return {"totalCount": 5, "message": [] if body.get("offset") else [{"id": 1}]}

    monkeypatch.setattr(server, "_handlers", dict(server._handlers) | {operation: fewer})
    result = call(*operation.split("."), *arguments, "--json", env=WHO)
    assert json.loads(done(result)) == {"id": 1}
    told = " ".join(result.stderr.split())
    assert f"the service returned fewer {of} than it counts" in told
    assert ("for 2024-05-02;" in told) is (operation == "customers.pull")


def test_a_whole_customer_from_a_file(call: Call, server: KaptureEmulator, tmp_path: Path) -> None:
    body = {
        "customer_info": {"customer_name": "x", "email_id": "a@example.com"},
        "contact_info": [{"first_name": "y", "matchEmailPhone": False}],
        "enquiry_info": {"subStatus": "N"},
        "webform": [{"f": "v"}],
    }
    (tmp_path / "body.json").write_text(json.dumps(body), encoding="utf-8")
    done(call("customers", "add", "--body", "body.json"))
    assert server.ledger.entries[-1].payload == body
    assert json.loads(done(call("customers", "add", "--body", "-", "--json", given=[body])))


@pytest.mark.parametrize(
    ("arguments", "given", "problem"),
    [
        (("customers", "add", "--name", "x"), None, InvalidInputError),
        (("customers", "add", "--body", "-"), '{"a":', InvalidInputError),
        (("customers", "add", "--body", "-"), "7", InvalidInputError),
        (("customers", "add", "--body", "-"), "[{}, {}]", InvalidInputError),
        (("customers", "add", "--body", "no.json"), None, OSError),
        (("customers", "add", "--name", "x", "--body", "-"), "{}", SystemExit),
        (("customers", "add", "--name", "x", "--set", "phone"), None, SystemExit),
        (("customers", "add", "--name", "x", "--set", "update=maybe"), None, InvalidInputError),
        (("customers", "add", "--name", "x", "--set", "customer_name=y"), None, SystemExit),
        (("customers", "update", "1"), None, InvalidInputError),
        (("customers", "get"), None, InvalidInputError),
        (("customers", "get", "1"), None, NotFoundError),
        (("customers", "pull", "--from", "May", "--cm-id", "1"), None, InvalidInputError),
        (("customers", "pull", "--from", "2024-05-02"), None, SystemExit),
        (("orders", "add", "--body", "-"), '{"customer_info": {}}', ConfigurationError),
        (("orders", "pull", "--cm-id", "1", "--name", "x"), None, ConfigurationError),
        (("orders", "update", "1", "--body", "-"), "{}", SystemExit),
        (("faqs", "contents", " "), None, InvalidInputError),
    ],
)
def test_what_cannot_be_meant(
    call: Call, server: KaptureEmulator, arguments: Any, given: Any, problem: type[BaseException]
) -> None:
    result = call(*arguments, given=given)
    assert isinstance(result.exception, problem), result.output
    assert len(server.ledger) == 0


def test_an_order_from_its_adding_to_its_pulling(call: Call, server: KaptureEmulator) -> None:
    body = {"customer_info": {"customer_name": "x"}, "order_info": {"order_status": "new"}}
    said = done(call("orders", "add", "--body", "-", given=body, env=WHO))
    [entry] = server.ledger.entries
    assert said == f"Added order {entry.ticket_id}: Order has been saved.\n"
    assert entry.payload == body
    update = ("orders", "update", entry.ticket_id, "--body", "-", "--id-at")
    paid = {"order_info": {"order_status": "paid"}}
    done(call(*update, "order_info.order_id", given=paid, env=WHO))
    assert server.ledger.entries[-1].operation == "orders.update"
    pull = ("orders", "pull", "--cm-id", "1000298", "--name", "x")
    assert done(call(*pull, env=WHO)).startswith(entry.ticket_id)
    [row] = done(call(*pull, "--json", env=WHO)).splitlines()
    assert json.loads(row)["order_info"]["order_status"] == "paid"
    astray = call(*update, "order_id", given=body, env=WHO)
    assert isinstance(astray.exception, AnswerMismatchError)


def test_who_may_use_the_order_api(call: Call, server: KaptureEmulator, tmp_path: Path) -> None:
    pull = ("orders", "pull", "--cm-id", "1", "--name", "x")
    pair = {"KAPTURE_USERNAME": USERNAME, "KAPTURE_PASSWORD": PASSWORD}
    done(call(*pull, env=pair))
    done(call(*pull, "--username", USERNAME, env={"KAPTURE_PASSWORD": PASSWORD}))
    half = call(*pull, env={"KAPTURE_ORDERS_USERNAME": USERNAME})
    assert isinstance(half.exception, ConfigurationError)
    (tmp_path / "token").write_text("order-token")
    (tmp_path / "token").chmod(0o600)
    with KaptureEmulator(order_token="order-token").in_thread() as other:
        done(call(*pull, "--base-url", other.url, "--token-file", "token"))
    assert len(server.received) == 2


def test_faqs(call: Call, server: KaptureEmulator) -> None:
    server.seed_faq("How?", "So \x1b[31m& so.", category="7", name="Hows", parent="")
    assert done(call("faqs", "categories")) == (
        "5247       Example parent > Example category\n7          Hows\n"
    )
    assert done(call("faqs", "contents", "7")) == ("18910      How?\n           So & so.\n")
    assert json.loads(done(call("faqs", "contents", "7", "--json")))["title"] == "How?"
    assert len(done(call("faqs", "categories", "--json")).splitlines()) == 2


def test_as_a_person_sees_it(run_cli: Run) -> None:
    refused = run_cli("customers", "get", "1")
    assert refused.returncode == 1
    assert "The service said: 'Information given by you does not exist in our sytsem.'" in (
        refused.stderr
    )
    locked = run_cli("orders", "pull", "--cm-id", "1", "--name", "x")
    assert locked.returncode == 2
    assert locked.stderr.splitlines()[0] == (
        "error: the order API takes a user name and a password. Nothing was sent."
    )
    assert "KAPTURE_ORDERS_USERNAME" in locked.stderr
