"""A picture of what was found: speed and memory, as an SVG that stands by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from .figures import Spread
from .tables import Line, Table, number, title_of

WIDTH = 880
LEFT = 290
RIGHT = 190
ROW = 30
BAR = 18
OWN = "#0f766e"
YARDSTICK = "#475569"
PEER = "#94a3b8"
INK = "#0f172a"
QUIET = "#64748b"
FONT = "font-family='system-ui, -apple-system, Segoe UI, Roboto, sans-serif'"
SPEED = {
    "R": YARDSTICK,
    "plain": OWN,
    "journal": OWN,
    "requests": PEER,
    "requests-tuned": PEER,
    "httpx": PEER,
    "vendor": PEER,
    "zenpy": PEER,
}
MEMORY = {"10k": OWN, "100k": OWN, "1M": OWN, "tasks-10k": PEER, "tasks-100k": PEER}


@dataclass(frozen=True)
class Bar:
    """One bar: how long it is, and what stands before and behind it."""

    title: str
    spread: Spread
    words: str
    color: str


@dataclass(frozen=True)
class Panel:
    """Some bars under a title, with a line below that says how far they can be trusted."""

    title: str
    bars: list[Bar]
    note: str

    @property
    def height(self) -> int:
        return 44 + ROW * len(self.bars) + 40


def draw(found: Mapping[str, Table], machine: Mapping[str, Any]) -> str:
    """The picture; without the cases it shows, it says so."""
    panels = [
        _panel(
            found[name],
            f"{title_of(found[name].ran)}: tickets per second, over R's",
            SPEED,
            speed=True,
        )
        for name in ("push", "push-tls")
        if name in found
    ]
    if "memory" in found:
        panels.append(_panel(found["memory"], "Peak memory of a push, MiB", MEMORY, speed=False))
    panels = [panel for panel in panels if panel.bars]
    height = 24 + sum(panel.height for panel in panels) + 34
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' "
        f"width='{WIDTH}' height='{height}' {FONT} font-size='14'>",
        "<title>Speed and memory, side by side</title>",
        f"<rect width='{WIDTH}' height='{height}' rx='8' fill='#ffffff'/>",
    ]
    top = 24
    for panel in panels:
        parts += _drawn(panel, top)
        top += panel.height
    words = _below(machine) if panels else "Nothing to draw: run push, push-tls or memory."
    parts += [_text(24, top + 10, words, QUIET, size=11), "</svg>", ""]
    return "\n".join(parts)


def _panel(table: Table, title: str, shown: Mapping[str, str], *, speed: bool) -> Panel:
    lines = [line for name in shown if (line := table.line(name)) is not None]
    bars = []
    for line in lines:
        # Speeds move with the machine, ratios less; memory does not move.
        spread = line.ratio if speed else line.value
        if spread is not None:
            bars.append(Bar(line.title, spread, _words(line, spread, speed), shown[line.name]))
    note = "The most memory that the process has held."
    if speed and table.control is not None:
        note = f"Medians, lowest to highest. R against itself: {table.control.median:.2f}"
        note += f" ({table.refusal})." if table.refusal else "."
    return Panel(title, bars, note)


def _words(line: Line, spread: Spread, speed: bool) -> str:
    if not speed or line.value is None:
        return number(spread.median)
    return f"{spread.median:.2f} x R ({number(line.value.median)}/s)"


def _drawn(panel: Panel, top: int) -> list[str]:
    scale = (WIDTH - LEFT - RIGHT) / max(bar.spread.high for bar in panel.bars)
    parts = [_text(24, top + 16, panel.title, INK, size=17, weight=600)]
    for place, bar in enumerate(panel.bars):
        y = top + 36 + place * ROW
        middle = y + BAR / 2
        long = max(1.0, bar.spread.median * scale)
        low, high = LEFT + bar.spread.low * scale, LEFT + bar.spread.high * scale
        weight = 600 if bar.color == OWN else 400
        parts += [
            _text(LEFT - 12, y + 14, bar.title, INK, anchor="end", weight=weight),
            f"<rect x='{LEFT}' y='{y}' width='{long:.1f}' height='{BAR}' rx='2' "
            f"fill='{bar.color}'/>",
        ]
        if high - low > 1:
            parts.append(
                f"<path d='M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8"
                f"M{high:.1f} {middle - 4}v8' stroke='{INK}' stroke-width='1.2'/>"
            )
        end = max(LEFT + long, high) + 10
        parts.append(_text(end, y + 14, bar.words, INK, size=13, weight=weight))
    parts.append(_text(LEFT, top + 36 + len(panel.bars) * ROW + 10, panel.note, QUIET, size=12))
    return parts


def _below(machine: Mapping[str, Any]) -> str:
    versions = machine["versions"]
    names: Sequence[str] = ("aiohttp", "orjson", "httpx", "requests")
    told = ", ".join(f"{name} {versions[name]}" for name in names)
    where = "a core each" if machine["client_core"] is not None else "cores not chosen"
    return (
        f"python -m benchmarks: client and server on one machine, {where}. "
        f"Python {machine['python']}, {told}."
    )


def _text(
    x: float,
    y: float,
    words: str,
    fill: str,
    *,
    size: int = 14,
    weight: int = 400,
    anchor: str = "",
) -> str:
    more = f" text-anchor='{anchor}'" if anchor else ""
    return (
        f"<text x='{x:.0f}' y='{y:.0f}' fill='{fill}' font-size='{size}' "
        f"font-weight='{weight}'{more}>{escape(words)}</text>"
    )
