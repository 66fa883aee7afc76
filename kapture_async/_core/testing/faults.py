"""Faults as data: which kinds there are, one fault with its settings, and plans that hand them out.

Each kind says whether the request is executed before the fault strikes. That is what a client can
never see, and what a test must know. How a fault is carried out stands in ``fault_actions``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

import attrs

Value: TypeAlias = str | int | float | bool
HEADER = "X-Emulator-Fault"
_SETTING = re.compile(r';\s*(\w+)\s*=\s*("[^"]*"|[^;"]*)')


@attrs.frozen
class FaultKind:
    """What a fault does; ``answer`` is what of the answer the client gets to see."""

    name: str
    executes: bool
    answer: Literal["none", "broken", "whole"]
    meaning: str
    settings: Mapping[str, Value] = attrs.field(factory=dict[str, Value])


KINDS: Mapping[str, FaultKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            FaultKind("close_before", False, "none", "the request is read, then FIN"),
            FaultKind("reset_before", False, "none", "the request is read, then RST"),
            FaultKind("reset_early", False, "none", "RST after the headers, the body is not read"),
            FaultKind("close_after", True, "none", "executed, then FIN instead of an answer"),
            FaultKind("reset_after", True, "none", "executed, then RST instead of an answer"),
            FaultKind("silence_before", False, "none", "never answers; the connection is held"),
            FaultKind("silence_after", True, "none", "executed; never answers"),
            FaultKind(
                "late",
                True,
                "none",
                "never answers; executed `delay` seconds after it came, client or no client",
                {"delay": 0.5},
            ),
            FaultKind(
                "slow",
                True,
                "whole",
                "executed; the answer drips in `pieces` over `duration` seconds",
                {"duration": 0.5, "pieces": 10},
            ),
            FaultKind(
                "half_body",
                True,
                "broken",
                "executed; half of the promised body, or `bytes` of it, then FIN",
                {"bytes": 0},
            ),
            FaultKind(
                "wrong_length",
                True,
                "broken",
                "executed; Content-Length is off by `delta`: above zero it promises more and FIN "
                "follows, below zero the tail of the body stays in a connection kept alive",
                {"delta": 20},
            ),
            FaultKind("garbage", True, "broken", "executed; the answer is not HTTP"),
            FaultKind(
                "bad_json", True, "whole", "executed; JSON cut off, in a reply of correct length"
            ),
            FaultKind(
                "status",
                False,
                "whole",
                "an HTTP `status` with a `body` of html, json or empty",
                {"status": 503, "retry_after": "", "body": "html", "executed": False},
            ),
            FaultKind(
                "failed",
                False,
                "whole",
                "the service's own refusal, in its own words",
                {"message": "Something went wrong"},
            ),
            FaultKind(
                "failed_after",
                True,
                "whole",
                "executed; the service's own refusal all the same",
                {"message": "Something went wrong"},
            ),
            FaultKind("login_html", False, "whole", "200 and a login page"),
            FaultKind("login_html_after", True, "whole", "executed; 200 and a login page"),
            FaultKind(
                "unknown_shape", True, "whole", "executed; JSON that is neither success nor failure"
            ),
            FaultKind(
                "redirect",
                False,
                "whole",
                "a redirect to another origin",
                {"status": 307, "location": "http://elsewhere.invalid/"},
            ),
            FaultKind(
                "previous_answer",
                False,
                "whole",
                "the answer to the last write of its kind, as of a proxy that is one behind; "
                "with `only_id`, its own answer, `executed`, with the id of that write. `{}`, if "
                "there was none",
                {"executed": False, "only_id": False},
            ),
            FaultKind(
                "twice",
                True,
                "whole",
                "executed two times, as by a proxy that sends again; one answer, or with `lost` "
                "FIN in its place",
                {"lost": False},
            ),
            FaultKind(
                "answer_twice",
                True,
                "whole",
                "executed; the answer is sent two times at once, or with `later` again in answer "
                "to the next request on the connection, which is not executed",
                {"later": False},
            ),
            FaultKind(
                "bomb",
                True,
                "whole",
                "executed; about 200 KiB of gzip that unpack to 200 MiB",
            ),
        )
    }
)


@attrs.frozen(init=False)
class Fault:
    """One fault of a known kind with its settings: ``Fault("status", status=429)``."""

    kind: str
    settings: Mapping[str, Value] = attrs.field(hash=False)

    def __init__(self, kind: str, **settings: Value) -> None:
        known = KINDS.get(kind)
        if known is None:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(KINDS)}")
        full = dict(known.settings)
        for name, value in settings.items():
            if name not in full:
                raise ValueError(f"fault {kind!r} has no setting {name!r}; it has {list(full)}")
            full[name] = _like(full[name], value)
        if full.get("only_id") and not full["executed"]:
            raise ValueError("an answer with only_id is that of a request that was executed")
        if full.get("body", "html") not in ("html", "json", "empty"):
            raise ValueError(f"body of a status fault is html, json or empty, not {full['body']!r}")
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "settings", MappingProxyType(full))

    def __str__(self) -> str:
        """Return the text that ``parse`` reads, as the request header carries it."""
        usual = KINDS[self.kind].settings
        return self.kind + "".join(
            f';{name}="{value}"' for name, value in self.settings.items() if value != usual[name]
        )

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``kind;name=value;name="value"``, the form of the ``X-Emulator-Fault`` header."""
        kind, _, rest = text.strip().partition(";")
        rest = f";{rest}" if rest else ""
        if _SETTING.sub("", rest).strip():
            raise ValueError(f"cannot read the settings of fault {text!r}")
        found = {name: value.strip().strip('"') for name, value in _SETTING.findall(rest)}
        return cls(kind.strip(), **found)

    @property
    def executes(self) -> bool:
        """Whether the request is executed, and so stands in the ledger, under this fault."""
        return bool(self.settings.get("executed", KINDS[self.kind].executes))

    @property
    def answer(self) -> Literal["none", "broken", "whole"]:
        """What of the answer the client gets to see."""
        return "none" if self.settings.get("lost") else KINDS[self.kind].answer

    def headers(self) -> dict[str, str]:
        """Return the request header that asks an emulator for this fault."""
        return {HEADER: str(self)}

    def number(self, name: str) -> float:
        """Return a numeric setting."""
        return float(self.settings[name])

    def text(self, name: str) -> str:
        """Return a text setting."""
        return str(self.settings[name])


def _like(usual: Value, value: Value) -> Value:
    """Return ``value`` as the type of the setting's usual value; headers carry text only."""
    if isinstance(usual, bool):
        if str(value).lower() not in ("true", "false", "1", "0"):
            raise ValueError(f"{value!r} is neither true nor false")
        return str(value).lower() in ("true", "1")
    return type(usual)(value)


# What a network and a tired server do on their own: every phase is in it. Redirects, 401, 403 and
# bombs are left out: they mean a wrong configuration or an attack, and a client may well give up.
WEATHER: Sequence[Fault] = (
    Fault("close_before"),
    Fault("reset_before"),
    Fault("reset_early"),
    Fault("silence_before"),
    Fault("status", status=429, retry_after="1"),
    Fault("status", status=500),
    Fault("status", status=502),
    Fault("status", status=503, retry_after="1", body="json"),
    Fault("failed"),
    Fault("login_html"),
    Fault("close_after"),
    Fault("reset_after"),
    Fault("silence_after"),
    Fault("late"),
    Fault("slow"),
    Fault("half_body"),
    Fault("wrong_length"),
    Fault("wrong_length", delta=-20),
    Fault("garbage"),
    Fault("bad_json"),
    Fault("status", status=500, executed=True),
    Fault("status", status=504, executed=True),
    Fault("login_html_after"),
    Fault("unknown_shape"),
)

# What a tenant's own rules or a gateway might do beside: answers that are not true of their
# request. No vendor documents any of it.
LIES: Sequence[Fault] = (
    Fault("failed_after"),
    Fault("twice"),
    Fault("twice", lost=True),
    Fault("answer_twice"),
    Fault("answer_twice", later=True),
)
BEHIND: Sequence[Fault] = (
    Fault("previous_answer"),
    Fault("previous_answer", executed=True),
    Fault("previous_answer", executed=True, only_id=True),
)
"""What a proxy that is one answer behind does."""


class FaultPlan:
    """Decides which requests suffer which fault. Without a rule, none does.

    A plan depends on nothing but its seed and the order in which requests arrive, so the same
    arrivals meet the same faults. With ``only``, other operations pass and count for nothing.
    """

    def __init__(
        self, draw: Callable[[], Fault | None] | None = None, *, only: str | None = None
    ) -> None:
        self._draw = draw
        self._only = only

    @classmethod
    def rate(
        cls,
        rate: float,
        *,
        seed: int = 0,
        kinds: Iterable[Fault | str] = WEATHER,
        only: str | None = None,
    ) -> FaultPlan:
        """Let a share of the requests suffer, each kind as likely as the others."""
        if not 0 <= rate <= 1:
            raise ValueError(f"the rate of faults lies between 0 and 1, not at {rate}")
        choices = [as_fault(kind) for kind in kinds]
        if not choices:
            raise ValueError("a rate needs at least one kind of fault")
        dice = random.Random(seed)
        return cls(lambda: dice.choice(choices) if dice.random() < rate else None, only=only)

    @classmethod
    def script(cls, faults: Iterable[Fault | str | None], *, only: str | None = None) -> FaultPlan:
        """Give the first request the first entry, and so on; ``None`` and the end mean no fault."""
        steps = iter([None if step is None else as_fault(step) for step in faults])
        return cls(lambda: next(steps, None), only=only)

    def next(self, operation: str) -> Fault | None:
        """Return what the request that arrives now, for this operation, has to suffer."""
        if self._draw is None or (self._only is not None and operation != self._only):
            return None
        return self._draw()


def as_fault(fault: Fault | str) -> Fault:
    """Return the fault itself, or the one that a text like ``"late;delay=2"`` describes."""
    return fault if isinstance(fault, Fault) else Fault.parse(fault)
