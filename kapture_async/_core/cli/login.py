"""The commands `login`, `logout`, `profiles` and `whoami`: tenants under names."""

from __future__ import annotations

import sys

import click

from ..secret import Secret
from .console import console, count, json_line, one_line, say, table
from .exit_codes import DONE
from .options import Target, one_json_option
from .profiles import FILE, KEYRING, Profile, check_name, forget, save
from .profiles import profiles as all_profiles
from .service import Vendor


@click.option(
    "--api",
    "apis",
    multiple=True,
    metavar="API",
    help="Also ask for the key of this API, such as pull_tickets. Repeatable.",
)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    metavar="FILE",
    help="The mapping that `plan` and `push` of this tenant use if none is given.",
)
@click.option(
    "--keep-in",
    type=click.Choice([KEYRING, FILE]),
    help="Where to put the secrets.  [default: the system's keyring if there is one, else a file "
    "that only you can read]",
)
def login(
    vendor: Vendor, target: Target, apis: tuple[str, ...], mapping: str | None, keep_in: str | None
) -> int:
    """Keep what a tenant needs under a name: host, token, and other options given here.

    Asks for the secrets; from a pipe, each is a line of standard input. Use the profile with
    --profile NAME, or with the environment variable that its help names. It replaces an address and
    a token that the environment has. Sends nothing; `doctor` tries the profile."""
    if target.profile is None:
        raise click.UsageError("name the profile: --profile NAME")
    name = check_name(target.profile)
    target.check_for_login(apis)
    options = {key: value for key, value in target.to_save().items() if key != "profile"}
    if mapping is not None:
        options["mapping"] = mapping
    secrets = {
        key: _asked(f"{words} of {name}") for key, words in target.secrets_to_ask(apis).items()
    }
    kept = save(vendor.program, name, options, secrets, keep_in=keep_in)
    say(f"profile {name}: {target.address_text}; secrets in {kept.secrets_in}", stderr=True)
    say(f"use it with --profile {name}, or {target.prefix}_PROFILE={name}", stderr=True)
    return DONE


def _asked(words: str) -> Secret:
    if sys.stdin.isatty():
        return Secret(click.prompt(words, hide_input=True, err=True).strip())
    line = sys.stdin.readline().strip()
    if not line:
        raise click.UsageError(f"standard input has no line for: {words}")
    return Secret(line)


@click.option("--profile", "name", required=True, metavar="NAME")
def logout(vendor: Vendor, name: str) -> int:
    """Remove a profile, and its secrets."""
    if not forget(vendor.program, name):
        raise click.UsageError(f"there is no profile {name!r}")
    say(f"profile {one_line(name)} removed", stderr=True)
    return DONE


@one_json_option
def profiles(vendor: Vendor, as_json: bool) -> int:
    """List the profiles. Shows no secret."""
    found = all_profiles(vendor.program)
    if as_json:
        print(json_line({name: _as_json(profile) for name, profile in found.items()}))
        return DONE
    if not found:
        say(f"no profile yet: {vendor.program} login --profile NAME", stderr=True)
        return DONE
    screen = console()
    rows = [(name, _where(p), count(len(p.names), "secret")) for name, p in found.items()]
    screen.print(table("name line line", rows))
    return DONE


def _where(profile: Profile) -> str:
    return str(profile.options.get("base_url") or profile.options.get("subdomain") or "")


def _as_json(profile: Profile) -> dict[str, object]:
    return {**profile.options, "keys": list(profile.names), "secrets": profile.kept_in}


@one_json_option
def whoami(vendor: Vendor, target: Target, as_json: bool) -> int:
    """Show where requests would go, and whose token they would have. Sends nothing, and shows no
    secret."""
    address = target.address_text
    said = {
        "profile": target.profile,
        "address": address,
        "credentials": target.credentials_from,
    }
    if as_json:
        print(json_line(said))
        return DONE
    console().print(table("word line", [(name, value or "none") for name, value in said.items()]))
    return DONE
