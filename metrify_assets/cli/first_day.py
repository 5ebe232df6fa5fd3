"""``metrify first-day``: the first delivery day of the installation, and moving it."""

from __future__ import annotations

import click

from metrify_assets.cli.common import as_json, day_of, platform_of_environment, print_json


@click.command("first-day")
@click.argument("day", required=False)
@as_json
def first_day(day: str | None, to_json: bool) -> None:
    """Show the first delivery day, or move it to DAY and read the drops again that held older days."""
    from metrify_assets.landing.ingest import outdated, read_again
    from metrify_assets.landing.setup import Origin, move, origin, planned
    from metrify_assets.orchestration.raw_day_events import report_raw_day_events

    platform = platform_of_environment()
    if day is None:
        shown, comes_from = planned(platform), origin(platform)
        if to_json:
            print_json({"first_day": shown, "origin": comes_from})
        elif comes_from is Origin.NEW:
            click.echo(
                f"{comes_from}: the first day will be {shown}, unless `metrify first-day DAY` or the demo chooses "
                "another; older values will be quarantined"
            )
        else:
            click.echo(f"{shown}, {comes_from}; older values are quarantined")
        return
    move(platform, day_of(day))
    again = [read_again(platform, drop) for drop in outdated(platform)]
    report_raw_day_events(platform)
    values = sum(drop.counts["raw_values"] for drop in again)
    if to_json:
        print_json({"first_day": platform.first_day, "drops_read_again": len(again), "values": values})
        return
    click.echo(f"the first day is {platform.first_day}; {len(again)} drops read again, with {values} values")
    click.echo("A UI that runs shows and computes the older days after Deployment, Code locations, Reload")
