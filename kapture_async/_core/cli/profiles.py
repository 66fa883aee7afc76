"""Profiles: what a tenant needs, under a name; its secrets in the system's keyring, or in a file
that only its user may read.

The settings are in ``profiles.toml`` in the user's configuration folder, to be read and edited by
a person. No secret is in it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from ..errors import ConfigurationError
from ..secret import Secret

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEYRING, FILE = "keyring", "file"
_SETTINGS, _SECRETS = "profiles.toml", "secrets.toml"
_KEPT_IN = "secrets"
"""The name of the setting that says where the secrets of a profile are."""


@frozen(kw_only=True)
class Profile:
    """What is known of a tenant.

    Attributes:
        name: of the profile.
        options: the values of options, by their attributes.
        names: of its secrets.
        kept_in: where those are: ``keyring`` or ``file``.
        program: whose profile it is.
    """

    name: str
    options: Mapping[str, Any]
    names: tuple[str, ...]
    kept_in: str
    program: str

    def secret(self, name: str) -> Secret | None:
        """A secret; ``None`` if the profile has none of this name.

        Raises:
            ConfigurationError: it has, and it cannot be read.
        """
        if name not in self.names:
            return None
        if self.kept_in == KEYRING:
            found = _keyring().get_password(_service(self.program, self.name), name)
        else:
            found = _read(_folder(self.program) / _SECRETS).get(self.name, {}).get(name)
        if not found:
            raise ConfigurationError(
                f"the {name} of profile {self.name} is not in the {self.kept_in} any more",
                next_step=f"Log in again: {self.program} login --profile {self.name}",
            )
        return Secret(found)

    @property
    def secrets_in(self) -> str:
        """Where its secrets are, for a person."""
        if self.kept_in == KEYRING:
            return "the system's keyring"
        return str(_folder(self.program) / _SECRETS)


def check_name(name: str) -> str:
    """A name that a profile can have.

    Raises:
        click.BadParameter: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise click.BadParameter(
            "a profile's name has letters, digits, and . _ - between them", param_hint="--profile"
        )
    return name


def profile(program: str, name: str) -> Profile:
    """The profile of this name.

    Raises:
        ConfigurationError: there is none.
    """
    found = profiles(program)
    if name not in found:
        known = ", ".join(found) or "none"
        raise ConfigurationError(
            f"there is no profile {name[:64]!r}; there are: {known}",
            next_step=f"Make it: {program} login --profile NAME.",
        )
    return found[name]


def profiles(program: str) -> dict[str, Profile]:
    """All profiles, by their names.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    found = {}
    for name, table in sorted(_read(_folder(program) / _SETTINGS).items()):
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
        kept_in = str(options.pop(_KEPT_IN, FILE))
        names = tuple(options.pop("keys", ()))
        found[name] = Profile(
            name=name, options=options, names=names, kept_in=kept_in, program=program
        )
    return found


def save(
    program: str,
    name: str,
    options: Mapping[str, Any],
    secrets: Mapping[str, Secret],
    *,
    keep_in: str | None = None,
) -> Profile:
    """Make a profile, or replace the one of this name.

    Args:
        program: whose profile it is.
        name: its name.
        options: the values of options, by their attributes.
        secrets: by their names.
        keep_in: where to put them; ``None`` for the keyring if there is one, else the file.

    Raises:
        ConfigurationError: there is no keyring, and it was asked for; or a file cannot be read.
        OSError: a file cannot be written.
    """
    forget(program, name)
    if keep_in is None:
        keep_in = KEYRING if has_keyring() else FILE
    folder = _folder(program)
    if keep_in == KEYRING:
        ring = _keyring()
        for key, secret in secrets.items():
            ring.set_password(_service(program, name), key, secret.reveal())
    else:
        kept = _read(folder / _SECRETS)
        kept[name] = {key: secret.reveal() for key, secret in secrets.items()}
        _write(folder / _SECRETS, kept)
    tables = _read(folder / _SETTINGS)
    tables[name] = {**options, "keys": list(secrets), _KEPT_IN: keep_in}
    _write(folder / _SETTINGS, tables)
    return profile(program, name)


def forget(program: str, name: str) -> bool:
    """Remove a profile and its secrets. Returns whether there was one."""
    found = profiles(program).get(name)
    if found is None:
        return False
    folder = _folder(program)
    if found.kept_in == KEYRING:
        ring = _keyring()
        for key in found.names:
            if ring.get_password(_service(program, name), key) is not None:
                ring.delete_password(_service(program, name), key)
    else:
        kept = _read(folder / _SECRETS)
        if kept.pop(name, None) is not None:
            _write(folder / _SECRETS, kept)
    tables = _read(folder / _SETTINGS)
    del tables[name]
    _write(folder / _SETTINGS, tables)
    return True


def has_keyring() -> bool:
    """Whether a keyring of the system can be used."""
    try:
        import keyring
        import keyring.backends.fail
    except ImportError:
        return False
    backend = keyring.get_keyring()
    return not isinstance(backend, keyring.backends.fail.Keyring)


def _keyring() -> Any:
    if not has_keyring():
        raise ConfigurationError(
            "no keyring of the system can be used here",
            next_step="Install one: pip install 'kapture-async[keyring]'. Or log in with "
            "--keep-in file.",
        )
    import keyring

    return keyring


def _service(program: str, name: str) -> str:
    return f"{program}:{name}"


def _folder(program: str) -> Path:
    return Path(click.get_app_dir(program))


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        if path.name == _SECRETS and os.name == "posix" and path.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"{path} can be read by others", next_step=f"chmod 600 {path}, or log in again."
            )
        with path.open("rb") as file:
            found = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    if not all(isinstance(table, dict) for table in found.values()):
        raise ConfigurationError(f"{path} holds something that is not a profile")
    return found


def _write(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the file in the place of the one before, for its user alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = []
    for name, table in tables.items():
        lines.append(f"[{json.dumps(name)}]")
        for key, value in table.items():
            text = json.dumps(list(value) if isinstance(value, tuple) else value)
            lines.append(f"{key} = {text.replace(chr(127), chr(92) + 'u007f')}")
        lines.append("")
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
