"""Lists of tickets that differ from the truth, as those of some tenants or gateways might.

No vendor documents any of this. Each setting stands for a thing that databases, agents' views or
proxies are known to do to lists in general, so that a client's lookups can be tried against it.
What an emulator executes is never changed.
"""

from __future__ import annotations

import html
import random
import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import attrs

T = TypeVar("T")
_EMOJI = re.compile("[\U00010000-\U0010ffff]")


def _share(instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} lies between 0 and 1, not at {value}")


@attrs.frozen(kw_only=True)
class Lists:
    """What an emulator's lists do to the tickets they show. Without a setting, nothing.

    Attributes:
        share: of the lists that are asked for, those that are so; the others are true. Which ones
            they are depends on nothing but ``seed`` and their order.
        seed: of all that is left to chance.
        left_out: the share of the tickets, each by chance, that a list leaves out.
        cap: the most rows that one answer has, whatever was asked for.
        order: ``"as made"``, ``"newest first"`` or ``"shuffled"``; empty for the service's own.
        delay: seconds until a ticket is in the lists, and in their counts.
        counted: whether a list tells how many there are, with what it leaves out; ``None`` as the
            emulator does by itself. Lists without such a count have none.
        cut_at_emoji: texts and titles end before their first character beyond the basic plane.
        text_length: characters of a text that are shown.
        title_length: the same of titles.
        escapes: how many times more than usual texts and titles are HTML-escaped.
        case: ``"lower"`` or ``"upper"``: all texts and titles; empty leaves them.
        breaks: line breaks of texts are shown as ``<br/>``.
        wrap: a line break after so many characters of a text.
        zone: hours east of UTC that days and times are told in; ``None`` for the service's own.
    """

    share: float = attrs.field(default=1.0, validator=_share)
    seed: int = 0
    left_out: float = attrs.field(default=0.0, validator=_share)
    cap: int | None = None
    order: Literal["", "as made", "newest first", "shuffled"] = ""
    delay: float = 0.0
    counted: bool | None = None
    cut_at_emoji: bool = False
    text_length: int | None = None
    title_length: int | None = None
    escapes: int = 0
    case: Literal["", "lower", "upper"] = ""
    breaks: bool = False
    wrap: int | None = None
    zone: float | None = None
    _dice: random.Random = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_dice", random.Random(self.seed))

    def strike(self) -> bool:
        """Whether the list that is asked for now is one of those."""
        return self.share >= 1 or self._dice.random() < self.share

    def shown(self, tickets: Sequence[T], made: Callable[[T], float], now: float) -> list[T]:
        """The tickets of a list, in its order, before what it leaves out.

        Args:
            tickets: in the order in which they were made.
            made: when a ticket was, in seconds since the epoch.
            now: likewise.
        """
        found = (
            [one for one in tickets if made(one) <= now - self.delay] if self.delay else [*tickets]
        )
        if self.order == "newest first":
            found.reverse()
        elif self.order == "shuffled":
            self._dice.shuffle(found)
        return found

    def kept(self, tickets: Sequence[T]) -> list[T]:
        """Those that are not left out by chance."""
        if not self.left_out:
            return [*tickets]
        return [one for one in tickets if self._dice.random() >= self.left_out]

    @property
    def rewrites(self) -> bool:
        """Whether texts or titles are shown otherwise than they are."""
        plain = attrs.evolve(self, share=1.0, seed=0, left_out=0.0, cap=None, order="", delay=0.0)
        return attrs.evolve(plain, counted=None, zone=None) != Lists()

    def title(self, title: str) -> str:
        """A title as the list shows it."""
        return self._rewritten(title)[: self.title_length]

    def text(self, text: str) -> str:
        """A text as the list shows it."""
        text = self._rewritten(text[: self.text_length])
        if self.breaks:
            text = text.replace("\n", "<br/>")
        if self.wrap:
            text = "\n".join(text[at : at + self.wrap] for at in range(0, len(text), self.wrap))
        return text

    def _rewritten(self, text: str) -> str:
        if self.cut_at_emoji:
            text = _EMOJI.split(text, maxsplit=1)[0]
        for _ in range(self.escapes):
            text = html.escape(text)
        if self.case:
            text = text.casefold() if self.case == "lower" else text.upper()
        return text
