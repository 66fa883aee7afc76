"""What the pages point at is there: files, headings, tests and commands of Python."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from .guides import ROOT

PAGES = sorted(
    str(path.relative_to(ROOT))
    for folder in (".", "kapture_async", "support_async", "benchmarks", "tests")
    for path in (ROOT / folder).glob("*.md")
)


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        other = (path.parent / file).resolve() if file else path
        assert other.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(other), f"{page} links to {target}"


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_tests_and_modules_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for name in re.findall(r"[\w/*-]+\.py\b", text):
        folder = ROOT if name.startswith(("tests/", "kapture_async/", "support_async/")) else None
        found = list((folder or ROOT / page / "..").resolve().glob(name))
        assert found or list((ROOT / "kapture_async").glob(name)), f"{page} names {name}"
    for module in re.findall(r"python -m ((?:benchmarks|kapture_async|support_async)[\w.]*)", text):
        assert importlib.util.find_spec(module), f"{page} names the module {module}"
    for folder in re.findall(r"`((?:tests/)?[a-z]+/)`", text):
        base = ROOT if folder.startswith("tests/") else ROOT / page / ".."
        assert (base / folder).resolve().is_dir(), f"{page} names the folder {folder}"


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_bytes()
    assert text.count(b"\n") <= 220
    assert len(text) <= 12_288
