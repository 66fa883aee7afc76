"""What the code cites is there: pages of the repository, and sections of ``SERVICE.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md",
    "SERVICE.md",
    "CHANGELOG.md",
    "kapture_async/RECIPES.md",
    *(
        f"{folder}/README.md"
        for folder in ("kapture_async", "support_async", "benchmarks", "tests")
    ),
}
SECTION = re.compile(r"\b(?:section|sections|SERVICE\.md,) (\d+(?:\.\d+)?|[AB]\d+a?)\b")
FURTHER = re.compile(r"(?:,| and| to) (\d+(?:\.\d+)?|[AB]\d+a?)\b")


def sources(package: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        if "_core" not in path.parts:
            yield path, re.sub(r"\s+(?:#|\* )?\s*", " ", path.read_text("utf-8"))


def cited(text: str) -> Iterator[str]:
    for found in SECTION.finditer(text):
        if "RFC" in text[max(0, found.start() - 12) : found.start()]:
            continue
        yield found[1]
        at = found.end()
        while further := FURTHER.match(text, at):
            yield further[1]
            at = further.end()


@pytest.mark.parametrize("package", ["kapture_async", "support_async"])
def test_every_section_that_is_cited_exists(package: str) -> None:
    page = (ROOT / package / "SERVICE.md").read_text("utf-8")
    sections = set(re.findall(r"^##+ (\d+(?:\.\d+)?)\.? ", page, re.M))
    sections |= set(re.findall(r"^\| ([AB]\d+a?) \|", page, re.M))
    known = {path.name: set(cited(text)) for path, text in sources(package)}
    assert sum(map(len, known.values())) > 30  # the pattern still finds them
    assert {name: missing for name, found in known.items() if (missing := found - sections)} == {}


def test_no_page_outside_the_repository_is_cited() -> None:
    for folder in ("kapture_async", "support_async", "tests", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for page in re.findall(r"\b[\w/-]+\.md\b", path.read_text("utf-8")):
                assert page in PAGES, f"{path.name} cites {page}"
