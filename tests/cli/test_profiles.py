"""Tenants under names: what a profile holds, and that no token goes to another tenant's address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kapture_async import ConfigurationError, Secret
from kapture_async._core.cli import profiles
from kapture_async.testing import KaptureEmulator
from support_async.testing import SupportEmulator

from .conftest import Run
from .test_journal import executed, table

NONE = {"KAPTURE_BASE_URL": "", "KAPTURE_TOKEN": ""}


@pytest.fixture
def other() -> Iterator[KaptureEmulator]:
    with KaptureEmulator(token="other-token").in_thread() as emulator:
        yield emulator


@pytest.fixture
def two(run_cli: Run, server: KaptureEmulator, other: KaptureEmulator) -> None:
    """Profiles of two tenants."""
    for name, tenant in (("acme", server), ("other", other)):
        done = run_cli(
            *("login", "--profile", name, "--base-url", tenant.url, "--keep-in", "file"),
            env=NONE,
            input=f"{tenant.token}\n",
        )
        assert done.returncode == 0, done.stderr
        assert tenant.token not in done.stderr + done.stdout


def secrets(home: Path) -> Path:
    return home / ".config" / "kapture-async" / "secrets.toml"


@pytest.mark.usefixtures("two")
def test_a_profile_stands_for_all_that_the_environment_says(
    run_cli: Run, server: KaptureEmulator, other: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 2)
    # The variables are those of the first tenant: neither its address nor its token is mixed in.
    done = run_cli("push", "t.csv", "--profile", "other")
    assert done.returncode == 0, done.stderr
    assert (len(server.ledger), len(other.ledger)) == (0, 2)
    done = run_cli("whoami", "--json", env={"KAPTURE_PROFILE": "other"})
    said = json.loads(done.stdout)
    assert (said["profile"], said["address"]) == ("other", other.url)
    assert "secrets.toml" in said["credentials"]
    assert other.token not in done.stdout
    done = run_cli("push", "t.csv", "--profile", "nobody", "--journal", "n.journal")
    assert done.returncode == 2
    assert "there are: acme, other" in done.stderr


@pytest.mark.usefixtures("two")
def test_a_journal_finds_its_tenant_again(
    run_cli: Run, server: KaptureEmulator, other: KaptureEmulator, tmp_path: Path
) -> None:
    table(tmp_path / "t.csv", 2)
    assert run_cli("push", "t.csv", "--profile", "acme", env=NONE).returncode == 0
    table(tmp_path / "t.csv", 4)
    # Another one in the environment does not count, and one that is named is refused.
    environment = {"KAPTURE_PROFILE": "other", "KAPTURE_BASE_URL": other.url, "KAPTURE_TOKEN": "x"}
    done = run_cli("resume", "t.csv", "--profile", "other", env=NONE)
    assert done.returncode == 2
    assert f"the journal is of a push to {server.url}" in done.stderr
    for command in ("reconcile", "verify"):
        done = run_cli(command, "t.csv", env=environment)
        assert done.returncode == 0, done.stderr
    done = run_cli("push", "t.csv", "--profile", "acme", env=environment)
    assert done.returncode == 0, done.stderr
    assert (sum(executed(server).values()), len(other.ledger)) == (4, 0)
    # Nor does what a stranger's journal says of the address of a profile.
    done = run_cli("resume", "t.csv", env=environment)
    assert done.returncode == 0, done.stderr
    assert not other.requests


@pytest.mark.usefixtures("two")
def test_what_is_kept_and_where(run_cli: Run, tmp_path: Path) -> None:
    path = secrets(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    settings = path.with_name("profiles.toml")
    assert "other-token" not in settings.read_text()
    done = run_cli(
        *("login", "--profile", "acme", "--subdomain", "acme", "--page-size", "500"),
        *("--says-none", 'No "record"', "--time-zone", "Asia/Dubai", "--keep-in", "file"),
        *("--api", "add_ticket", "--api", "pull_tickets"),
        input="t\nk1\nk2\n",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(run_cli("profiles", "--json").stdout)
    assert list(found) == ["acme", "other"]
    assert found["acme"]["says_none"] == ['No "record"']
    assert found["acme"]["keys"] == ["token", "add_ticket", "pull_tickets"]
    done = run_cli("whoami", "--profile", "acme")
    assert "https://acme.kapturecrm.com" in done.stdout
    assert "acme" in run_cli("profiles").stdout
    path.chmod(0o644)
    done = run_cli("add", "--title", "x", "--profile", "acme")
    assert done.returncode == 2
    assert "can be read by others" in done.stderr
    path.chmod(0o600)
    assert run_cli("logout", "--profile", "acme").returncode == 0
    assert "k2" not in path.read_text()
    assert run_cli("logout", "--profile", "acme").returncode == 2
    for wrong in (
        ("login", "--base-url", "https://example.com"),
        ("login", "--profile", "x"),
        ("login", "--profile", "../x", "--subdomain", "x"),
        ("login", "--profile", "x", "--subdomain", "x", "--api", "nothing"),
        ("login", "--profile", "x", "--subdomain", "x"),
    ):
        assert run_cli(*wrong, env=NONE, input="").returncode == 2, wrong


def test_the_mapping_of_a_tenant(run_cli: Run, server: KaptureEmulator, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[map]\ntitle = "Subject"\n')
    (tmp_path / "t.csv").write_text("Subject,Other\none,two\n")
    login = ("login", "--profile", "acme", "--base-url", server.url, "--keep-in", "file")
    done = run_cli(*login, "--mapping", "m.toml", env=NONE, input=f"{server.token}\n")
    assert done.returncode == 0, done.stderr
    assert run_cli("plan", "t.csv", "--profile", "acme", env=NONE).returncode == 0
    done = run_cli("push", "t.csv", env=NONE | {"KAPTURE_PROFILE": "acme"})
    assert done.returncode == 0, done.stderr
    # What is given on the command line counts alone; and a journal has its own columns.
    more = ("--map", "title=Other", "--journal", "o.journal", "--profile", "acme")
    assert run_cli("push", "t.csv", *more, env=NONE).returncode == 0
    (tmp_path / "m.toml").unlink()
    assert run_cli("resume", "t.csv", env=NONE).returncode == 0
    assert set(executed(server)) == {"one", "two"}


def test_one_key_per_api(run_cli: Run, tmp_path: Path) -> None:
    keys = {
        "/add-ticket-from-other-source.html/v.2.0": "key-of-add",
        "/select-ticket-between-start-and-end-dates.html/v.2.0": "key-of-pull",
    }
    with KaptureEmulator(keys=keys).in_thread() as server:
        login = ("login", "--profile", "acme", "--base-url", server.url, "--keep-in", "file")
        apis = ("--api", "add_ticket", "--api", "pull_tickets")
        done = run_cli(*login, *apis, env=NONE, input="general\nkey-of-add\nkey-of-pull\n")
        assert done.returncode == 0, done.stderr
        done = run_cli("doctor", "--patience", "5", "--profile", "acme", env=NONE)
        assert done.returncode == 0, done.stderr


def test_a_profile_of_the_other_service(
    run_support: Run, support_server: SupportEmulator, tmp_path: Path
) -> None:
    nothing = {"SUPPORT_BASE_URL": "", "SUPPORT_APIKEY": "", "SUPPORT_ACCESS_TOKEN": ""}
    done = run_support(
        *("login", "--profile", "desk", "--base-url", support_server.url, "--keep-in", "file"),
        env=nothing,
        input=f"{support_server.apikey}\n{support_server.token}\n",
    )
    assert done.returncode == 0, done.stderr
    done = run_support("categories", "--profile", "desk", env=nothing)
    assert done.returncode == 0, done.stderr
    assert run_support("whoami", "--profile", "desk", env=nothing).returncode == 0


def test_the_keyring_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    kept: dict[tuple[str, str], str] = {}

    class Memory(KeyringBackend):  # type: ignore[misc,unused-ignore]
        priority = 1.0

        def get_password(self, service: str, username: str) -> str | None:
            return kept.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            kept[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del kept[service, username]

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    try:
        made = profiles.save("kapture-async", "acme", {"subdomain": "a"}, {"token": Secret("t")})
        assert kept == {("kapture-async:acme", "token"): "t"}
        secret = profiles.profile("kapture-async", "acme").secret("token")
        assert secret is not None
        assert secret.reveal() == "t"
        assert made.secrets_in == "the system's keyring"
        assert not (tmp_path / "kapture-async" / "secrets.toml").exists()
        kept.clear()
        with pytest.raises(ConfigurationError, match="is not in the keyring any more"):
            made.secret("token")
        assert profiles.forget("kapture-async", "acme")
    finally:
        keyring.set_keyring(before)
