"""The lake of an installation as the days that gaps are cut into. It is read, never written.

Belongs here: which slots ``clean_readings`` calls measured, and days that are replaced while they are read. Does not
belong here: reading validated days (``days/days.py``).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from metrify_assets.days.days import Keys, ValidatedDays
from metrify_assets.days.digests import Digests
from metrify_assets.days.grids import texts
from metrify_assets.errors import MetrifyError
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CLEAN_READINGS, SERIES_DAYS, VALIDATED_READINGS
from metrify_assets.scoring.gaps.measured_days import MeasuredDays
from metrify_assets.storage.arrow import codes_of
from metrify_assets.vee.arrays import BoolArray
from metrify_assets.vee.codes import Status
from metrify_assets.vee.grid import ValidatedGrid

_READ = (VALIDATED_READINGS.name, SERIES_DAYS.name, CLEAN_READINGS.name)
_COLUMNS = ["point_id", "obis_code", "interval_start", "interval_minutes", "status"]


def lake_days(platform: Platform, first: date, last: date) -> MeasuredDays:
    """Return the days of a lake as they are now.

    Raises
    ------
    MetrifyError
        If days lie in the future, or there is none of them.
    """
    if last > platform.today:
        raise MetrifyError(f"{last} lies in the future: choose days up to {platform.today}")
    digests = Digests(platform)
    held = sorted(day for day, manifest in digests.days(CLEAN_READINGS.name).items() if manifest.rows)
    if not held:
        raise MetrifyError("clean_readings has no day yet: run the pipeline first, as `metrify demo` or Dagster does")
    if not any(first <= day <= last for day in held):
        raise MetrifyError(
            f"clean_readings has no day from {first} to {last}: choose days from {held[0]} to {held[-1]}"
        )
    lake = platform.lake

    def measured(day: date, shard: int, keys: Keys, grid: ValidatedGrid) -> BoolArray:
        manifest = digests.days(CLEAN_READINGS.name).of(day)
        entry = manifest.shards.get(shard) if manifest else None
        if entry is None or not entry.file:
            return np.zeros(grid.flags.shape, dtype=bool)
        return grid.measured & measured_slots(lake.read_shard(entry, _COLUMNS), keys, grid)

    return MeasuredDays(digests, ValidatedDays(platform, digests), platform.settings.shards, first, last, measured)


def measured_slots(rows: pa.Table, keys: Keys, grid: ValidatedGrid) -> BoolArray:
    """Return the slots of a grid that clean rows of a shard call measured.

    Parameters
    ----------
    rows : pyarrow.Table
        Sorted by interval, series and slot, as ``clean_readings`` are.
    keys : list of (point, OBIS code), P of them
    grid : ValidatedGrid

    Returns
    -------
    bool array, shape (P, S). A series that the rows do not have, or have with other slots, is not measured: its day
    waits for its computation.
    """
    chosen = rows.filter(pa.array(rows["interval_minutes"].to_numpy() == grid.interval_minutes))
    slots = len(grid.starts)
    measured = np.zeros(grid.flags.shape, dtype=bool)
    starts = chosen["interval_start"].cast(pa.int64()).to_numpy()
    if not len(starts) or len(starts) % slots or (starts.reshape(-1, slots) != grid.starts).any():
        return measured
    names, codes = codes_of(chosen["status"])
    is_measured = np.array([name == str(Status.MEASURED) for name in names], dtype=bool)[codes].reshape(-1, slots)
    firsts = chosen.select(["point_id", "obis_code"]).take(pa.array(np.arange(0, len(starts), slots)))
    series = zip(texts(firsts["point_id"]), texts(firsts["obis_code"]), strict=True)
    places = {key: row for row, key in enumerate(series)}
    for row, key in enumerate(keys):
        if key in places:
            measured[row] = is_measured[places[key]]
    return measured


def state(platform: Platform) -> list[object]:
    """Return what the tables that are read consist of now, to see whether it changed meanwhile."""
    return [{day: manifest.shards for day, manifest in platform.lake.days(name).items()} for name in _READ]
