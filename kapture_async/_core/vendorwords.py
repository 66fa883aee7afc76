"""A service's own words for "none", "success" and "failed", where a tenant has others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import field, frozen

from .errors import ConfigurationError

Says = str | Iterable[str] | Callable[[str, str], bool]
"""Texts that say it, compared whole and without case, outer blanks and closing points; or a
function of the words and the status of an answer, both texts, empty where there is none."""


def folded(text: str) -> str:
    """A text as it is compared."""
    return " ".join(text.casefold().split()).strip(" .!")


def _rule(name: str, says: Any) -> Any:
    if says is None or callable(says):
        return says
    texts = (says,) if isinstance(says, str) else says
    if not isinstance(texts, Iterable):
        raise ConfigurationError(f"{name} must be texts or a function, not {type(says).__name__}")
    found = list(texts)
    if not all(isinstance(text, str) and folded(text) for text in found):
        raise ConfigurationError(f"{name} must hold texts that are not blank")
    return frozenset(folded(text) for text in found)


@frozen(kw_only=True)
class VendorWords:
    """What a tenant's answers say with, beside the documented words.

    Attributes:
        none: what says "there are no rows", in place of them; texts are compared with the words.
        success, failed: what says so; texts are compared with the status.
    """

    none: Any = field(default=None, repr=False)
    success: Any = field(default=None, repr=False)
    failed: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, none: Says | None, success: Says | None, failed: Says | None) -> VendorWords:
        """The words from the settings of a client.

        Raises:
            ConfigurationError: a setting is neither texts nor a function.
        """
        return cls(
            none=_rule("says_none", none),
            success=_rule("says_success", success),
            failed=_rule("says_failed", failed),
        )

    @property
    def judges(self) -> bool:
        """Whether the mark of an answer is not only what is documented."""
        return self.success is not None or self.failed is not None

    def says_none(self, words: str, status: str = "") -> bool:
        """Whether these words of an answer say that there are no rows."""
        return _says(self.none, words, words, status)

    def says_success(self, words: str, status: str) -> bool:
        """Whether an answer with this status says success."""
        return _says(self.success, status, words, status)

    def says_failed(self, words: str, status: str) -> bool:
        """Whether an answer with this status says that it failed."""
        return _says(self.failed, status, words, status)


def _says(rule: Any, text: str, words: str, status: str) -> bool:
    if rule is None:
        return False
    if isinstance(rule, frozenset):
        return folded(text) in rule
    return bool(rule(words, status))


DOCUMENTED = VendorWords()
"""No words but the documented ones."""
