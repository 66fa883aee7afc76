"""A connection to PostgreSQL, and what its failures mean for a journal.

psycopg is an extra, so this package is only imported when a journal is opened in a database.
"""

from __future__ import annotations

import os
from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ...errors import JournalError
from ..address import Address
from ..records import trouble

RUN_IS_OVER = "KJ001"
"""What writing fails with once the lease of its run is over and others have noticed."""

Trouble = Literal["away", "again", "over", "final"]

_AWAY = ("08", "53", "57", "58", "25006", "25P03", "XX")
"""Classes of SQLSTATE that pass: no connection, no room, being shut down or started, a failing
disk, a server that is only a copy just now."""
_AGAIN = ("40", "55P03")
"""Deadlocks, and locks that were not to be had: nothing was written, the same is tried again."""
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""So that a server that is gone without a word is noticed; what the URL says counts instead."""


def connect(address: Address, *, read_only: bool = False) -> psycopg.Connection[Any]:
    """Connect. Every statement is a transaction of its own, unless one is begun.

    Args:
        address: where.
        read_only: nothing may be changed.

    Raises:
        JournalError: the URL cannot be read.
        psycopg.Error: it did not succeed; :func:`trouble_of` tells why.
    """
    try:
        said = conninfo_to_dict(address.url)
    except psycopg.Error:
        said = None
    if said is None:  # raised here, as psycopg's own words may hold a part of a password
        raise trouble(address.text, "its URL cannot be read")
    settings = {**_OPTIONS, **{k: v for k, v in said.items() if v is not None}}
    settings.setdefault("application_name", "kapture-async")
    if address.password is not None:
        settings["password"] = address.password.reveal()
    if os.environ.get("PGCONNECT_TIMEOUT") and "connect_timeout" not in said:
        del settings["connect_timeout"]
    # Prepared statements do not survive a pooler that gives each transaction another connection.
    connection: psycopg.Connection[Any] = psycopg.connect(
        autocommit=True, prepare_threshold=None, **settings
    )
    if read_only:
        connection.read_only = True
    return connection


def kind_of(error: BaseException) -> Trouble:
    """What a failure means: ``away``: the database is, for a while; ``again``: the same can be
    tried at once; ``over``: the run is; ``final``: it will not get better by itself."""
    if not isinstance(error, psycopg.Error):
        return "final"
    state = error.sqlstate or ""
    if state == RUN_IS_OVER:
        return "over"
    if state.startswith(_AGAIN):
        return "again"
    if state == "23505" and error.diag.schema_name == "pg_catalog":
        return "again"  # two runs made one index at a time, which IF NOT EXISTS does not prevent
    if state.startswith(_AWAY):
        return "away"
    if not state and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return "away"  # the connection was lost, or did not come about
    return "final"


def trouble_of(address: Address, error: BaseException) -> JournalError:
    """What psycopg complains of, as our own error: without frames, which hold the password."""
    if isinstance(error, JournalError):
        return error
    kind = kind_of(error)
    words = _words(address, error)
    if kind == "away":
        made = trouble(
            address.text,
            f"the database cannot be reached ({words})",
            "See that it runs and may be reached from here. Then run the same push again: it "
            "resumes where it stopped.",
        )
    elif _state(error) == "42501":
        made = trouble(
            address.text,
            f"the database does not permit it ({words})",
            "Permit the user to create a schema, or to use this one and all that is in it.",
        )
    else:
        made = trouble(address.text, f"the database failed ({words})")
    return made


def _state(error: BaseException) -> str:
    return str(getattr(error, "sqlstate", None) or "")


def _words(address: Address, error: BaseException) -> str:
    """The server's own words, without the values that it quotes."""
    diagnosis = getattr(error, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error).strip().split("\n")[0]
    text = text or type(error).__name__
    if address.password is not None and address.password.reveal() in text:
        text = type(error).__name__
    state = _state(error)
    return f"{text}; SQLSTATE {state}" if state else text
