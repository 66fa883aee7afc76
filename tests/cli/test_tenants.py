"""What tenants differ in, on the command line: pages, a key per API, switches of calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kapture_async import (
    AuthenticationError,
    ConfigurationError,
    KaptureClient,
    SyncKaptureClient,
    ValidationError,
)
from kapture_async.testing import KaptureEmulator
from support_async.testing import SupportEmulator

from .conftest import Run, Start

KEYS = {
    "/add-ticket-from-other-source.html/v.2.0": "key-of-add",
    "/select-ticket-between-start-and-end-dates.html/v.2.0": "key-of-pull",
}


@pytest.fixture
def per_api() -> Iterator[KaptureEmulator]:
    with KaptureEmulator(keys=KEYS).in_thread() as emulator:
        yield emulator


def test_a_key_per_api_from_the_environment(run_cli: Run, per_api: KaptureEmulator) -> None:
    where = {"KAPTURE_BASE_URL": per_api.url, "KAPTURE_TOKEN": ""}
    keys = {"KAPTURE_TOKEN_ADD_TICKET": "key-of-add", "KAPTURE_TOKEN_PULL_TICKETS": "key-of-pull"}
    done = run_cli("doctor", "--patience", "5", env=where | keys)
    assert done.returncode == 0, done.stderr
    given = where | {"KAPTURE_TOKEN": "key-of-add", "PULLS": "key-of-pull"}
    done = run_cli("doctor", "--patience", "5", "--key-for", "pull_tickets=PULLS", env=given)
    assert done.returncode == 0, done.stderr
    for wrong, words in (("nothing=PULLS", "unknown API"), ("pull_tickets=NO", "is not set")):
        done = run_cli("doctor", "--key-for", wrong, env=given)
        assert done.returncode == 2
        assert words in done.stderr


def test_a_key_per_api_of_from_env(
    per_api: KaptureEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAPTURE_TOKEN", "KAPTURE_USERNAME", "KAPTURE_SUBDOMAIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAPTURE_BASE_URL", per_api.url)
    with pytest.raises(ConfigurationError):
        KaptureClient.from_env()
    monkeypatch.setenv("KAPTURE_TOKEN_ADD_TICKET", "key-of-add")
    monkeypatch.setenv("KAPTURE_TOKEN_PULL_TICKETS", "wrong")
    with SyncKaptureClient.from_env(credentials={"pull_tickets": "key-of-pull"}) as client:
        client.tickets.add(title="x")
        assert len(client.tickets.pull(per_api.now.date()).all()) == 1
        with pytest.raises(ConfigurationError):
            client.tickets.get("1")  # there is no key for it
    with SyncKaptureClient.from_env() as client, pytest.raises(AuthenticationError):
        client.tickets.pull(per_api.now.date()).all()


def test_pages(run_cli: Run, tmp_path: Path) -> None:
    with KaptureEmulator(pagination=10).in_thread() as emulator:
        for number in range(25):
            emulator.seed(title=f"T{number}")
        day = emulator.now.date().isoformat()
        env = {"KAPTURE_BASE_URL": emulator.url}
        pull = ("pull", "--from", day)

        def count(*more: str, env: dict[str, str] = env) -> int:
            done = run_cli(*pull, *more, env=env)
            assert done.returncode == 0, done.stderr
            return len(done.stdout.splitlines())

        assert count("--page-size", "10") == 25
        assert count(env=env | {"KAPTURE_PAGE_SIZE": "7"}) == 25
        assert count("--limit", "10") == 25
        assert count("--limit", "10", "--offset", "20") == 5
        assert run_cli(*pull, "--out", "a.jsonl", "--limit", "10", env=env).returncode == 0
        assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 25
        assert run_cli(*pull, "--page-size", "11", env=env).returncode == 1
        assert run_cli(*pull, "--page-size", "0", env=env).returncode == 2
        assert run_cli(*pull, env=env | {"KAPTURE_PAGE_SIZE": "many"}).returncode == 2
        assert count("--limit", "10", "--set", "customer_code=none") == 0


def test_switches_of_get(run_cli: Run, server: KaptureEmulator) -> None:
    with SyncKaptureClient(base_url=server.url, token=server.token) as client:
        known = client.tickets.add(title="T").ticket_id
        client.tickets.update(known, sub_status="PS", comment="Called the customer back")
    assert "Called the customer back" not in run_cli("get", known).stdout
    done = run_cli("get", known, "--conversation", "notes", "--history", "all")
    assert done.returncode == 0, done.stderr
    assert "Called the customer back" in done.stdout
    done = run_cli("get", known, "--set", "include_emailbody=true", "--json")
    assert json.loads(done.stdout)["task_details"]["ticketId"] == known
    assert run_cli("get", known, "--set", "nothing").returncode == 2


def test_parameters_of_faqs(run_cli: Run, server: KaptureEmulator) -> None:
    for number in range(5):
        server.seed_faq(f"Q{number}", "A", category="1")
    day = server.now.date().isoformat()
    for more in (("--from", "2020-01-01"), ("--to", day, "--set", "x=y"), ("--employee-id", "7")):
        asked = server.requests.total()
        done = run_cli("faqs", "contents", "1", "--window", "2", *more)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) >= 5 or more[0] == "--employee-id"
        assert server.requests.total() - asked >= 3 or more[0] == "--employee-id"
    assert run_cli("faqs", "contents", "1", "--from", "someday").returncode == 2


def test_the_emulator_can_be_such_a_tenant(start_cli: Start) -> None:
    process = start_cli("emulator", "--port", "0", "--pagination", "2", "--failed-status", "400")
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("emulator: ").strip()
    with SyncKaptureClient(base_url=url, token="emulator-token") as client:
        with pytest.raises(ValidationError, match="limit is missing") as caught:
            client.request(
                "/select-ticket-between-start-and-end-dates.html/v.2.0",
                {"start_date": "2024-04-19", "end_date": "2024-04-19"},
                effect="read",
            )
        assert caught.value.status == 400


def test_tags_and_priority_of_a_support_ticket(
    run_support: Run, support_server: SupportEmulator
) -> None:
    known = support_server.seed(subject="x")
    tags = json.loads(run_support("tags", "--json").stdout.splitlines()[0])["id"]
    done = run_support("update", known, "--tag", str(tags), "--priority", "high")
    assert done.returncode == 0, done.stderr
    ticket = support_server.ticket(known)
    assert ticket is not None
    assert [str(tag) for tag in ticket.tags] == [str(tags)]
    assert run_support("set-priority", known, "low").returncode == 0
    changed = support_server.ticket(known)
    assert changed is not None
    assert (changed.priority, changed.tags) != (ticket.priority, ())
    assert run_support("update", known).returncode == 2  # no tag
    assert run_support("set-priority", known, "urgent").returncode == 2
