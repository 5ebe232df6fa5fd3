"""``metrify period ...`` and ``metrify corrections``: closed billing periods and what would change in them."""

from __future__ import annotations

import csv
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metrify_assets.cli.common import as_json, day_of, platform_of_environment, print_json, require_folder_of, stamp
from metrify_assets.errors import PeriodError
from metrify_assets.storage.lake import Lake

if TYPE_CHECKING:
    from metrify_assets.platform import Platform

_author = click.option("--author", required=True, help="Who decides.")
_reason = click.option("--reason", required=True, help="Why.")
_NAMED_DAYS = 5


@click.group()
def period() -> None:
    """Billing periods: once closed, their values stand."""


@period.command("close")
@click.argument("first")
@click.argument("last")
@_author
@_reason
@as_json
def close(first: str, last: str, author: str, reason: str, to_json: bool) -> None:
    """Close the days FIRST to LAST: late data and edits are reported as corrections from then on."""
    from metrify_assets.days.digests import Digests
    from metrify_assets.days.periods import Periods

    platform = platform_of_environment()
    digests = Digests(platform)
    dirty = digests.dirty_days("validated_readings") | digests.dirty_days("clean_readings")
    event = Periods(platform).close(day_of(first), day_of(last), author, reason, dirty)
    _said(event, to_json, f"{event.first} to {event.last} is closed")


@period.command("reopen")
@click.argument("first")
@click.argument("last")
@_author
@_reason
@as_json
def reopen(first: str, last: str, author: str, reason: str, to_json: bool) -> None:
    """Reopen the days FIRST to LAST: what has changed since applies, once they are computed."""
    from metrify_assets.days.periods import Periods

    event = Periods(platform_of_environment()).reopen(day_of(first), day_of(last), author, reason)
    _said(event, to_json, f"{event.first} to {event.last} is open again; its days are dirty now")


def _said(event: Any, to_json: bool, text: str) -> None:
    if to_json:
        print_json(_record(event))
    else:
        click.echo(text)


def _record(event: Any) -> dict[str, Any]:
    return {
        "action": event.action,
        "first": event.first,
        "last": event.last,
        "at": stamp(event.at),
        "author": event.author,
        "reason": event.reason,
    }


@period.command("list")
@as_json
def list_periods(to_json: bool) -> None:
    """List what was closed and reopened, in order."""
    from metrify_assets.days.periods import Periods

    events = Periods(platform_of_environment()).events
    if to_json:
        print_json([_record(event) for event in events])
        return
    if not events:
        click.echo("no period was ever closed: `metrify period close FIRST LAST --author NAME --reason '...'`")
    for event in events:
        click.echo(
            f"{stamp(event.at)}  {event.action:6}  {event.first} to {event.last}  by {event.author}: {event.reason}"
        )


@click.command()
@click.argument("first")
@click.argument("last", required=False)
@click.option("--point", help="Only this point.")
@click.option(
    "--csv", "to_csv", type=click.Path(dir_okay=False, path_type=Path), help="Write them to a file; - = here."
)
@as_json
def corrections(first: str, last: str | None, point: str | None, to_csv: Path | None, to_json: bool) -> None:
    """Show what would change in the closed days FIRST to LAST: old value, new value, difference, cause."""
    from metrify_assets.schemas.readings import CORRECTIONS

    if to_csv is not None and str(to_csv) != "-":
        require_folder_of(to_csv)
    platform = platform_of_environment()
    days = _closed_days(platform, day_of(first), day_of(last) if last else day_of(first))
    rows = _corrections(platform.lake, days, point)
    waiting = _waiting(platform, days)
    if waiting:
        click.echo(_waiting_words(waiting), err=True)
    if to_json:
        print_json(rows)
        return
    if to_csv is not None:
        names = CORRECTIONS.arrow.names
        if str(to_csv) == "-":
            _write_csv(sys.stdout, names, rows)
        else:
            with open(to_csv, "w", newline="", encoding="utf-8") as sink:
                _write_csv(sink, names, rows)
            click.echo(f"{to_csv}: {len(rows)} corrections")
        return
    _show(rows, complete=not waiting)


def _write_csv(sink: Any, names: list[str], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sink, names)
    writer.writeheader()
    writer.writerows(rows)


def _closed_days(platform: Platform, first: date, last: date) -> list[date]:
    from metrify_assets.days.periods import Periods
    from metrify_assets.vee.delivery_day import days_between

    periods = Periods(platform)
    closed = [day for day in days_between(first, last) if periods.closing(day)]
    if not closed:
        raise PeriodError(f"none of the days from {first} to {last} is closed: see `metrify period list`")
    return closed


def _waiting(platform: Platform, days: list[date]) -> list[date]:
    """Return the days whose corrections may change once what waits is computed."""
    from metrify_assets.days.digests import Digests

    digests = Digests(platform)
    validated = digests.dirty_days("validated_readings")
    dirty = validated | digests.dirty_days("clean_readings") | digests.followers(validated)
    return sorted(dirty.intersection(days))


def _waiting_words(waiting: list[date]) -> str:
    named = ", ".join(str(day) for day in waiting[:_NAMED_DAYS])
    more = f" and {len(waiting) - _NAMED_DAYS} more" if len(waiting) > _NAMED_DAYS else ""
    days = "1 day waits" if len(waiting) == 1 else f"{len(waiting)} days wait"
    return f"{days} to be computed: {named}{more}; what is listed may be incomplete"


def _corrections(lake: Lake, days: list[date], point: str | None) -> list[dict[str, Any]]:
    from metrify_assets.schemas.readings import CORRECTIONS

    corrections: list[dict[str, Any]] = []
    for day in days:
        manifest = lake.manifest(CORRECTIONS.name, day)
        rows = lake.read(manifest, CORRECTIONS.arrow).to_pylist()
        corrections += [row for row in rows if point in (None, row["point_id"])]
    return corrections


def _show(rows: list[dict[str, Any]], *, complete: bool) -> None:
    if not rows:
        click.echo("no corrections: the closed values are those of now" if complete else "no corrections so far")
        return
    for row in rows:
        old = "missing" if row["old_kwh"] is None else f"{row['old_kwh']} kWh"
        new = "missing" if row["new_kwh"] is None else f"{row['new_kwh']} kWh"
        who = f" by {row['author']}: {row['remark']}" if row["author"] else ""
        if row["cause"] == "withdrawn":
            who = f" (drop {row['drop_id']} of {row['feed']}): {row['remark']}"
        click.echo(
            f"{row['point_id']} {row['obis_code']} {row['interval_start']:%Y-%m-%d %H:%M}Z  {old} -> {new}  "
            f"({row['difference_kwh']:+} kWh)  {row['old_status']} -> {row['new_status']}  {row['cause']}{who}"
        )
    total = sum(row["difference_kwh"] for row in rows)
    click.echo(f"{len(rows)} corrections, {total:+} kWh in all")
