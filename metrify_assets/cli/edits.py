"""``metrify edit``: a person's decision on a value, delivered like everything else, by the feed ``manual_edits``."""

from __future__ import annotations

import csv
import io
import tempfile
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import click

from metrify_assets.cli.common import as_json, instant_of, platform_of_environment, print_json
from metrify_assets.errors import DropError

if TYPE_CHECKING:
    from metrify_assets.platform import Platform

FEED = "manual_edits"


@click.command()
@click.argument("point")
@click.argument("start")
@click.argument("kwh")
@click.option("--obis", default="1-0:1.29.0", show_default=True, help="Channel.")
@click.option("--author", required=True, help="Who decides.")
@click.option("--reason", required=True, help="Why.")
@as_json
def edit(point: str, start: str, kwh: str, obis: str, author: str, reason: str, to_json: bool) -> None:
    """Decide that POINT used KWH in the slot that begins at START (local time, or with an offset).

    The edit outranks every delivery and estimate of the slot. `metrify drop withdraw` takes it back.
    """
    platform = platform_of_environment()
    moment = instant_of(start, platform.settings.timezone)
    value = _energy(kwh)
    if not author.strip() or not reason.strip():
        raise DropError("an edit needs an author and a reason: say --author NAME --reason '...'")
    _require_slot(platform, point, obis, moment)
    path = _deliver(platform, [point, obis, moment.isoformat(), f"{value:f}", author.strip(), reason.strip()])
    if to_json:
        print_json({"feed": FEED, "path": path, "point_id": point, "obis_code": obis, "interval_start": moment})
    else:
        click.echo(f"{path}: the drops sensor reads it within seconds while `metrify dev` runs")


def _energy(text: str) -> Decimal:
    """Return the kWh that a text names; raise ``DropError`` unless an edit can have that value."""
    from metrify_assets.feeds.values.numbers import DECIMALS

    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise DropError(f"{text!r} is no number: write kWh such as 0.25") from error
    if not value.is_finite() or value < 0 or value >= 10**12:
        raise DropError(f"{text} kWh cannot be: expected 0 or more, below 10^12")
    if round(value, DECIMALS) != value:
        raise DropError(f"{text} kWh has more than {DECIMALS} decimals: round it, what is stored is what was decided")
    return value


def _require_slot(platform: Platform, point: str, obis: str, moment: datetime) -> None:
    """Raise ``DropError`` unless the registry expects a value of the channel that begins at that instant."""
    import numpy as np

    from metrify_assets.days.digests import platform_registry
    from metrify_assets.digest import shard_of
    from metrify_assets.vee.delivery_day import DeliveryDay, day_from_number, day_numbers, to_microseconds

    zone, shards = platform.settings.timezone, platform.settings.shards
    instant = to_microseconds(moment)
    day = day_from_number(int(day_numbers(np.array([instant]), zone)[0]))
    series = platform_registry(platform).series(day, shard_of(point, shards))
    rows = np.flatnonzero((series.point_id == point) & (series.obis_code == obis) & (series.interval_minutes > 0))
    if len(rows) == 0:
        channels = sorted(series.obis_code[(series.point_id == point) & (series.interval_minutes > 0)].tolist())
        available = f"it has {', '.join(channels)}" if channels else "the registry has no such point on that day"
        raise DropError(f"no channel {obis} of {point} on {day}: {available}")
    minutes = int(series.interval_minutes[rows[0]])
    if instant not in DeliveryDay(day, zone).slot_starts(minutes):
        raise DropError(f"{moment.isoformat()} is no start of a {minutes}-minute slot: edits name slots by their start")


def _deliver(platform: Platform, row: list[str]) -> str:
    """Write one edit as a file of the feed; return its path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(platform.feed(FEED).column_names)
    writer.writerow(row)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="metrify-") as written:
        written.write(text.getvalue())
        written.flush()
        name = f"edit_{platform.clock.read():%Y%m%dT%H%M%S%f}.csv"
        return platform.inbox.put(platform.feed(FEED), Path(written.name), name)
