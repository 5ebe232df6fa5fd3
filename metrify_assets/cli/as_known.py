"""``metrify as-known``: a day as it was known at an instant, worked out again and held against what is published."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metrify_assets.cli.common import (
    as_json,
    day_of,
    instant_of,
    platform_of_environment,
    print_json,
    require_folder_of,
)
from metrify_assets.errors import DropError

if TYPE_CHECKING:
    import pyarrow as pa


@click.command("as-known")
@click.argument("day")
@click.argument("instant")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File for the rows: .parquet or .csv.")
@as_json
def as_known(day: str, instant: str, out: Path | None, to_json: bool) -> None:
    """Work out DAY as it was known at INSTANT (local time, or with an offset); nothing is published.

    What had been read, withdrawn, registered and closed by then counts, under the rule book of then.
    """
    from metrify_assets.days.as_known import PastSnapshot
    from metrify_assets.schemas.readings import CLEAN_READINGS
    from metrify_assets.vee.delivery_day import to_microseconds

    if out is not None:
        if out.suffix not in (".parquet", ".csv"):
            raise DropError(f"{out}: name a file that ends in .parquet or .csv")
        require_folder_of(out)
    platform = platform_of_environment()
    chosen, moment = day_of(day), instant_of(instant, platform.settings.timezone)
    rows = PastSnapshot(platform, to_microseconds(moment)).clean(chosen)
    if rows.num_rows == 0:
        raise DropError(f"nothing of {chosen} was known at {moment.isoformat()}: see `metrify drop list`")
    published = platform.lake.read(platform.lake.manifest(CLEAN_READINGS.name, chosen), CLEAN_READINGS.arrow)
    then, now = summary(rows), summary(published)
    if out is not None:
        _write(rows, out)
    if to_json:
        print_json({"day": chosen, "known_at": moment, "then": then, "published": now, "file": out})
        return
    click.echo(f"{chosen} as known at {moment.isoformat()}: {_text(then)}")
    click.echo(f"as published: {_text(now)}")
    if out is not None:
        click.echo(f"{rows.num_rows} rows written to {out}")


def summary(rows: pa.Table) -> dict[str, Any]:
    """Return slots by status and the energy of clean rows, kWh."""
    values = [value for value in rows["value_kwh"].to_pylist() if value is not None]
    return {
        "slots": rows.num_rows,
        "status": dict(sorted(Counter(rows["status"].to_pylist()).items())),
        "energy_kwh": sum(values, Decimal(0)),
    }


def _text(record: dict[str, Any]) -> str:
    statuses = ", ".join(f"{count} {status}" for status, count in record["status"].items())
    return f"{record['slots']} slots ({statuses or 'none'}), {record['energy_kwh']} kWh"


def _write(rows: pa.Table, out: Path) -> None:
    if out.suffix == ".parquet":
        from metrify_assets.storage.lake import write_parquet

        write_parquet(rows, out)
        return
    from pyarrow import csv

    csv.write_csv(rows, out)
