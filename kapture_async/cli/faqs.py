"""The commands ``faqs ...``."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import click

from .._core.cli.console import count, one_line, say
from .._core.cli.options import Target, pairs, target_options
from .._core.cli.output import listing_options, put_rows, refuse_both
from .._core.cli.running import Reading
from ..client import KaptureClient
from ..faqs import FaqCategory, FaqContent
from .options import KaptureTarget, set_option


@click.group(short_help="Read the FAQs.")
def faqs() -> None:
    """Questions and answers of the tenant."""


@faqs.command(cls=Reading)
@click.argument("category_id")
@click.option("--employee-id", metavar="ID", help="Of this author only.")
@click.option("--from", "start_date", metavar="DAY", help="Created on this day or later.")
@click.option("--to", "end_date", metavar="DAY", help="Created on this day or earlier.")
@click.option(
    "--window",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="ROWS",
    help="Contents per request.",
)
@set_option
@listing_options
@target_options(KaptureTarget)
def contents(
    category_id: str,
    employee_id: str | None,
    start_date: str | None,
    end_date: str | None,
    window: int,
    extra: tuple[str, ...],
    out: str | None,
    timeout: float,
    as_json: bool,
    target: Target,
) -> None:
    """Read all questions and answers of a category."""
    refuse_both(out, as_json=as_json)
    settings = target.settings()

    async def rows() -> AsyncGenerator[FaqContent, None]:
        async with (
            KaptureClient(**settings, timeout=timeout) as client,
            client.faqs.contents(
                category_id,
                employee_id=employee_id,
                start_date=start_date,
                end_date=end_date,
                page_size=window,
                extra=pairs(extra, option="--set"),
            ) as found,
        ):
            async for row in found:
                yield row

    number, where = put_rows(rows, _show_content, out=out, as_json=as_json)
    say(f"{count(number, 'content')}{where}", style="dim", stderr=True)


@faqs.command(cls=Reading)
@listing_options
@target_options(KaptureTarget)
def categories(out: str | None, timeout: float, as_json: bool, target: Target) -> None:
    """List all categories."""
    refuse_both(out, as_json=as_json)
    settings = target.settings()

    async def rows() -> AsyncGenerator[FaqCategory, None]:
        async with KaptureClient(**settings, timeout=timeout) as client:
            for category in await client.faqs.categories():
                yield category

    number, where = put_rows(rows, _show_category, out=out, as_json=as_json)
    words = "1 category" if number == 1 else f"{number:,} categories"
    say(f"{words}{where}", style="dim", stderr=True)


def _show_content(content: FaqContent) -> None:
    print(f"{one_line(content.content_id):<10} {one_line(content.title or '', 100)}")
    if content.detail:
        print(f"{'':<10} {one_line(content.detail, 300)}")


def _show_category(category: FaqCategory) -> None:
    names = [name for name in (category.parent_name, category.name) if name]
    print(f"{one_line(category.category_id or ''):<10} {one_line(' > '.join(names), 100)}")
