"""What a month is billed from: readings by point, market prices, the generation mix, the files of tariffs.

Belongs here: reading and its digests. Does not belong here: what is computed of it (``months.py``).
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.analytics.tariffs.carbon import Mix
from metrify_assets.analytics.tariffs.charges import PriceSeries, Readings
from metrify_assets.analytics.tariffs.model import Assignment, TariffBook, parse_assignments, parse_tariffs
from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.errors import TariffError
from metrify_assets.platform import Platform
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.storage.arrow import codes_of, decimal_integers
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.codes import Status
from metrify_assets.vee.delivery_day import days_between

PRICE_METRIC = "day_ahead_price_eur_mwh"
_CHANNEL = re.compile(r"1-\d+:([12])\.29\.0")
_DIRECTIONS = {"1": "import", "2": "export"}
_EMPTY, _NEITHER = np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)
NO_READINGS = Readings(_EMPTY, _EMPTY, _EMPTY, _NEITHER, _NEITHER)


@dataclass(frozen=True)
class TariffFiles:
    """Tariffs and assignments of an installation, and the digest of their texts."""

    book: TariffBook
    assignments: Mapping[str, tuple[Assignment, ...]]
    digest: str


def read_tariffs(path: Path) -> TariffFiles:
    """Read a file of tariffs and the assignments that it names.

    Raises
    ------
    TariffError
        If a file cannot be read, or is wrong.
    """
    text = _text(path)
    book = parse_tariffs(text, path.name)
    if book.assignments_file is None:
        return TariffFiles(book, {}, digest_of(text))
    beside = path.with_name(book.assignments_file)
    assigned = _text(beside)
    return TariffFiles(book, parse_assignments(assigned, beside.name, book), digest_of(text, assigned))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise TariffError(f"{path} cannot be read: {why}") from error


def days_of_month(month: date) -> list[date]:
    """Return the days of a month."""
    return days_between(month, month.replace(day=monthrange(month.year, month.month)[1]))


def day_digests(platform: Platform, table: str, month: date) -> str:
    """Return the digest of a table's days of a month."""
    manifests = [platform.lake.manifest(table, day) for day in days_of_month(month)]
    return digest_of(*(manifest.digest if manifest else EMPTY for manifest in manifests))


def direction_of(obis_code: str) -> str | None:
    """Return whether a channel is the load profile of active import or export; None if it is neither."""
    match = _CHANNEL.fullmatch(obis_code)
    return _DIRECTIONS[match.group(1)] if match else None


def month_rows(platform: Platform, month: date, shard: int, points: Collection[str] | None) -> pa.Table:
    """Return the clean rows of a shard and month of the channels of active energy; of all points if None."""
    columns = ["point_id", "obis_code", "interval_start", "interval_minutes", "value_kwh", "status", "day"]
    target = pa.schema([CLEAN_READINGS.arrow.field(name) for name in columns])
    pieces = []
    for day in days_of_month(month):
        manifest = platform.lake.manifest(CLEAN_READINGS.name, day)
        part = manifest.shards.get(shard) if manifest else None
        if part is None or not part.file:
            continue
        rows = platform.lake.read_shard(part, columns).cast(target)
        rows = rows.filter(_in(rows["obis_code"], lambda text: direction_of(text) is not None))
        if points is not None:
            rows = rows.filter(_in(rows["point_id"], lambda text: text in points))
        pieces.append(rows)
    return pa.concat_tables(pieces).unify_dictionaries() if pieces else target.empty_table()


def _in(column: pa.ChunkedArray, wanted: Callable[[str], bool]) -> pa.Array:
    texts, codes = codes_of(column)
    chosen = np.array([wanted(text) for text in texts] + [False], dtype=bool)
    return pa.array(chosen[codes])


def readings_by_point(rows: pa.Table) -> dict[str, dict[str, Readings]]:
    """Return the slots of each point and direction; channels of one direction are added up, slot by slot."""
    if not rows.num_rows:
        return {}
    points, point_codes = codes_of(rows["point_id"])
    channels, channel_codes = codes_of(rows["obis_code"])
    statuses, status_codes = codes_of(rows["status"])
    estimated = np.array([*(text == Status.ESTIMATED for text in statuses), False], dtype=bool)[status_codes]
    present = rows["value_kwh"].is_valid().to_numpy()
    everything = Readings(
        rows["interval_start"].cast(pa.int64()).to_numpy(),
        rows["interval_minutes"].to_numpy().astype(np.int64),
        decimal_integers(rows["value_kwh"]),
        present,
        estimated & present,
    )
    key = point_codes.astype(np.int64) * len(channels) + channel_codes
    order = np.argsort(key, kind="stable")
    bounds = np.flatnonzero(np.diff(key[order], prepend=-1))
    by_point: dict[str, dict[str, Readings]] = {}
    for first, end in zip(bounds.tolist(), [*bounds[1:].tolist(), len(order)], strict=True):
        point, channel = divmod(int(key[order[first]]), len(channels))
        of_point = by_point.setdefault(points[point], {})
        direction = direction_of(channels[channel]) or ""
        slots = everything.at(order[first:end])
        of_point[direction] = _added(of_point[direction], slots) if direction in of_point else slots
    return by_point


def _added(one: Readings, other: Readings) -> Readings:
    names = ("start", "minutes", "micro_kwh", "present", "estimated")
    start, minutes, energy, present, estimated = (
        np.concatenate([getattr(one, name), getattr(other, name)]) for name in names
    )
    starts, first, place = np.unique(start, return_index=True, return_inverse=True)
    total = np.zeros(len(starts), dtype=np.int64)
    np.add.at(total, place, energy)
    whole, guessed = np.ones(len(starts), dtype=bool), np.zeros(len(starts), dtype=bool)
    np.logical_and.at(whole, place, present)
    np.logical_or.at(guessed, place, estimated)
    return Readings(starts, minutes[first], total, whole, guessed & whole)


def _grid_rows(platform: Platform, month: date) -> pa.Table:
    pieces = [
        platform.lake.read(platform.lake.manifest(CLEAN_GRID_STATUS.name, day), CLEAN_GRID_STATUS.arrow)
        for day in days_of_month(month)
    ]
    return pa.concat_tables(pieces).unify_dictionaries()


def market_prices(platform: Platform, month: date) -> dict[tuple[str, str], PriceSeries]:
    """Return the day-ahead prices of a month by source and control area; what is not plausible is no price."""
    rows = _grid_rows(platform, month)
    rows = rows.filter(pc.and_(pc.equal(rows["metric"], PRICE_METRIC), pc.equal(rows["status"], "measured")))
    rows = rows.sort_by("interval_start")
    series: dict[tuple[str, str], PriceSeries] = {}
    for source, area in sorted(set(zip(rows["source_id"].to_pylist(), rows["control_area"].to_pylist(), strict=True))):
        ours = rows.filter(pc.and_(pc.equal(rows["source_id"], source), pc.equal(rows["control_area"], area)))
        # A millionth of a euro per MWh is a billionth per kWh.
        series[(source, area)] = PriceSeries(*_times(ours), decimal_integers(ours["value"]))
    return series


def _times(rows: pa.Table) -> tuple[Int64Array, Int64Array]:
    return rows["interval_start"].cast(pa.int64()).to_numpy(), rows["resolution_minutes"].to_numpy().astype(np.int64)


def generation_mixes(platform: Platform, month: date, metrics: Collection[str]) -> dict[str, Mix]:
    """Return the generation of each control area, from the source that comes first in the alphabet and reports any."""
    rows = _grid_rows(platform, month)
    rows = rows.filter(_in(rows["metric"], lambda text: text in metrics))
    mixes: dict[str, Mix] = {}
    for area in sorted(set(rows["control_area"].to_pylist())):
        ours = rows.filter(pc.equal(rows["control_area"], area))
        ours = ours.filter(pc.equal(ours["source_id"], min(ours["source_id"].to_pylist())))
        start, minutes = _times(ours)
        starts, first, place = np.unique(start, return_index=True, return_inverse=True)
        names, codes = codes_of(ours["metric"])
        used = sorted(set(codes.tolist()))
        values = np.zeros((len(used), len(starts)), dtype=np.int64)
        present = np.zeros(values.shape, dtype=bool)
        row = np.searchsorted(used, codes)
        values[row, place] = decimal_integers(ours["value"])
        present[row, place] = np.array(pc.equal(ours["status"], "measured").to_pylist())
        mixes[area] = Mix([names[code] for code in used], starts, minutes[first], values, present)
    return mixes
