"""The command ``reconcile``: looks up what is in doubt."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from ..errors import (
    ConfigurationError,
    HelpdeskError,
    InvalidInputError,
    JournalError,
    RejectedError,
)
from ..journal import marks
from ..journal.records import Contradicts, Job
from ..reconcile.results import Reconciliation, Resolved
from .commands import exit_codes
from .console import (
    console,
    count,
    counted,
    first_of,
    heading,
    json_line,
    name_of,
    one_line,
    table,
    warn,
)
from .exit_codes import CONTRADICTION, DONE, UNKNOWN
from .journal_status import JournalStatus, contradiction_json, read_status
from .next_steps import next_steps, show_next
from .options import (
    Target,
    journal_argument,
    lookup_timeout_option,
    one_json_option,
    parse,
    positive,
)
from .progress import WaitDisplay
from .running import run
from .service import Service, Vendor
from .status import show_standing

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 10
_UNCONFIRMED = (
    "not found, which proves little: reconcile again once there are newer tickets; or with "
    "--probe, which creates one trial ticket to look for; or check yourself and resolve them; or, "
    "if a pull is sure to list every ticket, reconcile with --assume-complete."
)
_REASONS = 5
_TRIES = 3
_BETWEEN_TRIES = 2.0
TIMEOUT = 60.0
"""Seconds for a request, where neither the command nor the journal says."""
OURS = (ConfigurationError, InvalidInputError, JournalError)
"""Errors that asking the helpdesk again cannot cure."""


def reconcile_journal(
    path: str,
    target: Target,
    service: Service,
    *,
    settle: float | None,
    timeout: float | None,
    assume_complete: bool,
    probe: bool = False,
    as_json: bool,
) -> int:
    """Look up the doubts of a journal; returns the exit code.

    Args:
        path: of the journal.
        target: where to look; the rest is as for the push.
        service: how.
        settle: seconds to give the service; ``None`` for the default.
        timeout: seconds for a request; ``None`` for that of the push.
        assume_complete: what is not found is absent, although nothing shows that it would be.
        probe: create a trial ticket where nothing else shows that a row would be found.
        as_json: end with one JSON object on stdout.

    Raises:
        InvalidInputError: a trial ticket proves nothing about what the journal holds.
    """
    before = read_status(path)
    if probe and service.resource != "tickets":
        raise InvalidInputError(
            f"a trial ticket proves nothing about {service.resource}",
            next_step="Leave out --probe.",
        )
    target = target_of(before, target)
    if not before.in_doubt:  # there is nothing to ask
        found = Reconciliation()
    else:
        waiting = WaitDisplay()

        async def look(resource: Any, place: Any) -> Reconciliation:
            return await patiently(
                lambda: resource.reconcile(
                    path,
                    reference=place,
                    settle=settle,
                    assume_complete=assume_complete,
                    on_event=waiting.on_event,
                    **({"probe": True} if probe else {}),
                ),
                lambda text: waiting.say(text, label="warning"),
            )

        try:
            with waiting:
                found = run(lambda: ask_helpdesk(before, target, service, timeout, look))
        except HelpdeskError as error:
            earlier = Reconciliation.before(error)
            if earlier is not None:
                _show(console(stderr=True), earlier, before, read_status(path))
            raise
    after = read_status(path)
    left = after.counts.unknown + after.counts.ambiguous + after.counts.probable
    if as_json:
        print(json_line(_json(found, before, after)), flush=True)
    screen = console(stderr=as_json)
    _show(screen, found, before, after)
    steps = next_steps(after, service)
    show_next(screen, steps, f"{service.program} status {shlex.quote(path)} --verbose")
    screen.print()
    if found.contradictions:
        return CONTRADICTION
    return UNKNOWN if left else DONE


async def ask_helpdesk(
    status: JournalStatus,
    target: Target,
    service: Service,
    timeout: float | None,
    look: Callable[[Any, Any], Awaitable[Any]],
) -> Any:
    """What a lookup found, with a client of its own.

    Args:
        status: of the journal.
        target: where to look.
        service: how to connect.
        timeout: seconds for a request; ``None`` for that of the push.
        look: gets the part of the client, and the place where references travel.
    """
    if timeout is None and status.saved is not None:
        timeout = status.saved.timeout
    place = service.place_in(status.job.place)
    async with service.connect(target.settings(), 1, timeout or TIMEOUT) as (client, _):
        return await look(getattr(client, service.resource), place)


async def patiently(
    look: Callable[[], Awaitable[Reconciliation]], tell: Callable[[str], None] = warn
) -> Reconciliation:
    """Try again if the helpdesk could not be asked: nothing is sent, so that is safe."""
    tries = 0
    earlier: Reconciliation | None = None
    while True:
        tries += 1
        try:
            found = await look()
            if earlier is not None:
                found.found_before(earlier)
            return found
        except HelpdeskError as error:
            earlier = found_before_error(error, earlier)
            if tries == _TRIES or isinstance(error, (*OURS, RejectedError)):
                raise
            tell(f"a lookup failed and will be retried: {error.message}")
            await asyncio.sleep(_BETWEEN_TRIES)


def found_before_error(
    error: HelpdeskError, earlier: Reconciliation | None
) -> Reconciliation | None:
    """What all tries so far have found; the last one's error carries it, too."""
    found = Reconciliation.before(error)
    if found is None:
        if earlier is not None:
            earlier.keep_with(error)
        return earlier
    if earlier is not None:
        found.found_before(earlier)
    return found


def _json(found: Reconciliation, before: JournalStatus, after: JournalStatus) -> dict[str, Any]:
    present = present_between(before, after)
    details = {**after.as_json(), "present": present, "absent": len(found.absent)}
    if found.merged:
        details["merged"] = sorted(found.merged)
    if found.trial is not None:
        details["trial_ticket"] = found.trial
    details["open_because"] = [
        {"reason": reason, "rows": rows} for reason, rows in found.reasons.items()
    ]
    details["candidates"] = [
        {"key": one.key, "line": one.line, "tickets": list(one.ticket_ids)}
        for one in found.probable
    ]
    details["still_open"] = len(found.open)
    details["contradictions_seen"] = [contradiction_json(one) for one in found.contradictions]
    return details


def target_of(status: JournalStatus, given: Target) -> Target:
    """Where the push went, unless the command line says otherwise.

    Raises:
        ConfigurationError: see :func:`may_take_address`.
    """
    saved, kind = status.saved, type(given)
    options = {} if saved is None else dict(saved.target)
    if (name := _profile_for(options, given)) is not None:
        tenant = _of_profile(name, options, given)
        _check_same_place(status.job, tenant)
        return tenant
    options.pop("profile", None)
    before: Target = parse([kind], [], options)[0]
    who = set(kind.who)
    kept = who if any(getattr(given, name) for name in who) else set()
    takes = may_take_address(status.job, given)
    if not takes:
        kept = kept.union(given.where)
    changes = {
        name: value
        for name, value in before.values().items()
        if name not in kept and name not in given.values("proxy")
    }
    target = evolve(given, **changes)
    if takes and not any(getattr(target, name) for name in target.where):
        target = evolve(target, base_url=status.job.target)
    if saved is not None and saved.headers and not given.headers:
        names = ", ".join(saved.headers)
        warn(f"the push had extra headers ({names}); if needed, give --header again")
    return target


def _profile_for(saved: Mapping[str, Any], given: Target) -> str | None:
    """The profile to use: one that was named now, or else that of the push, or else that of the
    environment; none where an address or a token is given."""
    if given.named:
        return given.profile
    if given.tenant is None and any(getattr(given, n) for n in (*given.where, *given.who)):
        return None
    return saved.get("profile") or given.profile


def _of_profile(name: str, saved: Mapping[str, Any], given: Target) -> Target:
    """The target of a profile: its address and its token go together, and what the journal says
    of them does not count."""
    of_profile = {*given.where, *given.who, "profile"}
    options = {option: value for option, value in saved.items() if option not in of_profile}
    if given.profile == name:
        made, others = given, given
    else:
        made = parse([type(given)], ["--profile", name], {})[0]
        others = given if given.profile is None else made
    own = {n: v for n, v in others.values("proxy").items() if n not in of_profile}
    kept: Target = parse([type(given)], [], options)[0]
    changes = {n: v for n, v in kept.values().items() if n not in of_profile} | own
    return evolve(made, **changes, headers=given.headers)


def _check_same_place(job: Job, tenant: Target) -> None:
    """Refuse a profile of another tenant than that of a journal.

    Raises:
        ConfigurationError: it is.
    """
    if tenant.address_text != job.target:
        raise ConfigurationError(
            f"the journal is of a push to {job.target}, and profile {tenant.profile} is for "
            f"{tenant.address_text}",
            next_step="Name the profile of the tenant that was pushed to with --profile.",
        )


def may_take_address(job: Job, given: Target) -> bool:
    """Whether the address in a journal may be used: if the options name none, and this user has
    pushed to it with this journal from this machine. A token must not go to an address that only
    a file from elsewhere names.

    Raises:
        ConfigurationError: only the journal says where to send.
    """
    if any(getattr(given, name) for name in given.where):
        return False
    if marks.read(job) is not None:
        return True
    if any(given.environment.get(name) for name in given.where):
        return False
    raise ConfigurationError(
        f"the journal is of a push to {job.target}, but not from this machine",
        next_step=f"If that is the right address for your token, add --base-url {job.target}.",
    )


def _show(
    screen: Console, found: Reconciliation, before: JournalStatus, after: JournalStatus
) -> None:
    if not before.in_doubt:
        heading(screen, f"{before.path}: nothing to look up")
    else:
        heading(screen, f"Looked up {count(before.in_doubt, 'row')} in doubt")
        kinds = (
            ("present", present_between(before, after), "green", "in the helpdesk, each once"),
            (
                "merged",
                sum(map(len, found.merged.values())),
                "yellow",
                "of these, some are one ticket, which carries the references of all",
            ),
            ("absent", len(found.absent), "cyan", "not in the helpdesk; will be sent next time"),
            (
                "ambiguous",
                len(found.ambiguous),
                "red",
                "several tickets have the reference, or one without an id",
            ),
            ("probable", len(found.probable), "red", "a ticket without a reference may be it"),
            ("still open", len(found.open), "red", "not found, which proves nothing here"),
        )
        rows = [counted(*kind) for kind in kinds if kind[1] or kind[0] in ("present", "absent")]
        screen.print(table("word number text", rows))
        _show_rows(screen, [*found.ambiguous, *found.probable, *found.open])
        for reason, number in list(found.reasons.items())[:_REASONS]:
            screen.print(f"  {count(number, 'row')} open: {reason}", style="dim")
        if found.trial is not None:
            words = f"A trial ticket was created, {one_line(found.trial)}: please close it."
            screen.print(f"  {words}")
        if found.unconfirmed:
            screen.print(f"  {count(found.unconfirmed, 'row')} open: {_UNCONFIRMED}", style="dim")
    show_standing(screen, after)


def present_between(before: JournalStatus, after: JournalStatus) -> int:
    """Doubts that turned out to be in the helpdesk, also by lookups that failed later on."""
    accepted = after.counts.accepted - before.counts.accepted
    kinds = (Contradicts.REJECTED_PRESENT.value, Contradicts.NOT_SENT_PRESENT.value)
    turned = (after.contradicted.get(k, 0) - before.contradicted.get(k, 0) for k in kinds)
    return accepted - sum(turned)


def _show_rows(screen: Console, rows: Sequence[Resolved]) -> None:
    from rich.text import Text

    if not rows:
        return
    shown = rows[:_SHOWN]
    heading(screen, f"For you to resolve; none of them is sent{first_of(len(shown), len(rows))}")
    for row in shown:
        tickets = ", ".join(map(one_line, row.ticket_ids))
        words = f"tickets {tickets}" if tickets else "no ticket found"
        name = one_line(name_of(row.key, row.line), 40)
        screen.print(Text.assemble(f"  {name}  ", (words, "dim")))


@exit_codes
@journal_argument
@click.option(
    "--settle",
    type=positive,
    metavar="SECONDS",
    help="How long to wait for late results after the last attempt; at least twice --timeout.  "
    "[default: 300]",
)
@lookup_timeout_option
@click.option(
    "--probe",
    is_flag=True,
    help="If nothing else proves that a list would show a row, create ONE trial ticket like it "
    "and look for that. Close it afterwards.",
)
@click.option(
    "--assume-complete",
    is_flag=True,
    help="Treat rows not found as absent, even if a lookup could have missed them.",
)
@one_json_option
def reconcile(vendor: Vendor, journal: str, target: Target, **how: Any) -> int:
    """Look up the rows in doubt by their references, and record what is found in JOURNAL.

    First it waits for late results: a lost answer does not mean that the service has
    finished. Rows found once are in the helpdesk. Rows that two lookups do not find are not,
    provided the lookups could not have missed them; the next push sends them. Rows found more
    than once, or that may be a ticket without a reference, are for you to resolve. Sends
    nothing except the one ticket that --probe asks for. Looks where the push went, unless
    options say otherwise."""
    return reconcile_journal(journal, target, vendor.service_for(journal), **how)
