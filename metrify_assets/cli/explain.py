"""``metrify explain``: why a point's day is what it is."""

from __future__ import annotations

from pathlib import Path

import click

from metrify_assets.cli.common import (
    as_json,
    day_of,
    instant_of,
    platform_of_environment,
    print_json,
    require_folder_of,
)
from metrify_assets.errors import ExplainError, require_extra

PLOT_FORMATS = (".svg", ".png")


@click.command()
@click.argument("point")
@click.argument("day")
@click.option("--obis", "obis_code", help="Only this channel, such as 1-0:1.29.0.")
@click.option("--all", "all_slots", is_flag=True, help="Also the slots that are plainly measured.")
@click.option("--as-known-at", "known_at", metavar="INSTANT", help="As it was known then, under the rules of then.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the day into FILE.svg or FILE.png.")
@as_json
def explain(
    point: str,
    day: str,
    obis_code: str | None,
    all_slots: bool,
    known_at: str | None,
    plot: Path | None,
    to_json: bool,
) -> None:
    """Show slot by slot why DAY of POINT is what it is: deliveries, findings with their numbers, estimates, result."""
    from metrify_assets.explain.gather import explain as gather
    from metrify_assets.explain.text import console, show
    from metrify_assets.vee.delivery_day import to_microseconds

    if plot is not None:
        _require_drawable(plot)
    platform = platform_of_environment()
    moment = to_microseconds(instant_of(known_at, platform.settings.timezone)) if known_at else None
    explanation = gather(platform, point, day_of(day), obis_code=obis_code, known_at=moment)
    if plot is not None:
        from metrify_assets.explain.plot import draw

        draw(explanation, plot)
    if to_json:
        print_json(explanation.as_record())
        return
    show(explanation, console(), all_slots=all_slots)
    if plot is not None:
        click.echo(f"drawn into {plot}")


def _require_drawable(path: Path) -> None:
    if path.suffix.lower() not in PLOT_FORMATS:
        raise ExplainError(f"{path.name!r} is neither .svg nor .png: choose one of the two")
    require_extra("plots", "--plot")
    require_folder_of(path)
