"""The ``doctor`` command: checks with one trial ticket whether lost answers can be looked up."""

from __future__ import annotations

from collections.abc import Callable

from ..reconcile.doctor import Diagnosis
from .console import console, heading, json_line, one_line, say, show_commands
from .exit_codes import DONE, UNKNOWN
from .options import Target
from .running import run
from .service import Examine, Service

_PROVEN = "exactly once with proof"
_MEANS = {
    True: (
        "Every ticket carries a reference, and references come back when tickets are listed.",
        "So an interrupted push, or one whose answers are lost, can be reconciled: each row ends "
        "up in the helpdesk exactly once, and that can be proved.",
    ),
    False: (
        "No row is resent while it may be in the helpdesk: none is there twice.",
        "But if the answer for a row is lost, it cannot be proved whether it is there. Such rows "
        "are listed as doubts, for a person to look up.",
    ),
}


def examine_service(
    target: Target,
    service: Service,
    examine: Examine,
    *,
    timeout: float,
    close: Callable[[str], str | None],
    as_json: bool,
) -> int:
    """Find out whether lost answers can be looked up; returns the exit code.

    Args:
        target: where.
        service: how to connect.
        examine: does it.
        timeout: seconds for a request.
        close: the command that closes a ticket, if there is one.
        as_json: one JSON object on stdout.
    """
    settings = target.settings()
    say("creating a trial ticket and looking for it...", stderr=True)

    async def main() -> Diagnosis:
        async with service.connect(settings, 1, timeout) as (client, _):
            return await examine(client)

    found = run(main)
    proven = found.guarantee == _PROVEN
    if as_json:
        details = {
            "guarantee": found.guarantee,
            "why": found.why,
            "reference": found.reference,
            "ticket_id": found.ticket_id,
            "seconds": found.seconds,
        }
        print(json_line(details), flush=True)
        return DONE if proven else UNKNOWN
    screen = console()
    heading(screen, f"Guarantee: {found.guarantee}")
    screen.print(f"  {one_line(found.why[:1].upper() + found.why[1:])}.")
    screen.print()
    for line in _MEANS[proven]:
        screen.print(f"  {line}")
    if found.ticket_id is None:
        heading(screen, "The trial ticket is still open")
        screen.print(f"  Its id is not known; its text ends in [ref:{found.reference}]. Close it.")
    else:
        command = close(found.ticket_id)
        if command is None:
            heading(screen, f"The trial ticket is still open: close {one_line(found.ticket_id)}")
        else:
            show_commands(screen, [("close the trial ticket:", command)])
    screen.print()
    return DONE if proven else UNKNOWN
