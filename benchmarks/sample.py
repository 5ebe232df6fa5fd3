"""Seeded meter reads of one day, as the vendors' files of the built-in feeds.

Belongs here: values and faults at stated rates, the two file formats, the registry. Does not belong here: anything
that reads them. The simulator (``metrify_assets.simulator``) is richer and slower; a benchmark needs plain volume.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

DAY = date(2026, 3, 10)
ZONE = "Europe/Berlin"
OBIS = "1-0:1.29.0"
INTERVAL_MINUTES = 15
CONNECTION_KW = 30
SEED = 20260310
BLOCK_POINTS = 2_000

GAP_SHARE = 0.01
DUPLICATE_SHARE = 0.002
NEGATIVE_SHARE = 0.0005
OVER_LIMIT_SHARE = 0.0002
SPIKE_POINT_SHARE = 0.005
STUCK_POINT_SHARE = 0.005
SHORT_GAP_SLOTS = (1, 5)
"""Half of the gap slots lie in gaps of 1 to 4 slots; the other half in outages of 12 to 47, too long to interpolate."""
OUTAGE_SLOTS = (12, 48)
STUCK_SLOTS = 12


def write_sample(
    folder: str, points: int, days: int = 1, files: tuple[str, ...] = ("csv", "parquet")
) -> dict[str, str]:
    """Write the reads of ``days`` days from ``DAY`` and the registry of their points.

    Returns
    -------
    dict
        Paths by what they are: ``registry``, and ``csv`` (feed meters_east) and ``parquet`` (feed meters_west), which
        hold the same reads.
    """
    base = Path(folder)
    paths = {"registry": base / "points.csv", "csv": base / "east_bench.csv", "parquet": base / "west_bench.parquet"}
    _write_registry(paths["registry"], points)
    if "csv" in files:
        _write_csv(paths["csv"], _rows(points, days))
    if "parquet" in files:
        _write_parquet(paths["parquet"], _rows(points, days))
    return {name: str(path) for name, path in paths.items() if path.exists()}


def point_ids(first: int, count: int) -> list[str]:
    """Return measuring locations, 33 characters each."""
    return [f"DE0005626680{number:021d}" for number in range(first, first + count)]


def day_values(rng: np.random.Generator, points: int, slots: int) -> np.ndarray:
    """Return a plausible load in Wh per interval, with faulty values: int64, shape (points, slots)."""
    hours = np.arange(slots) * INTERVAL_MINUTES / 60
    shape = 0.5 + 0.5 * np.exp(-((hours - 7.5) ** 2) / 3) + np.exp(-((hours - 19) ** 2) / 6)
    level = rng.lognormal(np.log(80), 0.6, (points, 1))
    load = np.rint(level * shape * rng.lognormal(0, 0.35, (points, slots))).astype(np.int64)
    spiking = np.flatnonzero(rng.random(points) < SPIKE_POINT_SHARE)
    load[spiking, rng.integers(0, slots, len(spiking))] = 6_500
    stuck = np.flatnonzero(rng.random(points) < STUCK_POINT_SHARE)
    for row, first in zip(stuck.tolist(), rng.integers(0, slots - STUCK_SLOTS, len(stuck)).tolist(), strict=True):
        load[row, first : first + STUCK_SLOTS] = load[row, first] + 1
    negative = rng.random(load.shape) < NEGATIVE_SHARE
    load[negative] = -load[negative] - 1
    load[rng.random(load.shape) < OVER_LIMIT_SHARE] = 90_000
    return load


def gaps(rng: np.random.Generator, points: int, slots: int) -> np.ndarray:
    """Return which slots are never delivered: bool, shape (points, slots)."""
    absent = np.zeros((points, slots), dtype=bool)
    for low, high in (SHORT_GAP_SLOTS, OUTAGE_SLOTS):
        count = round(GAP_SHARE / 2 * points * slots / ((low + high - 1) / 2))
        lengths = rng.integers(low, high, count)
        firsts = rng.integers(0, slots - lengths + 1)
        rows = rng.integers(0, points, count)
        for row, first, length in zip(rows.tolist(), firsts.tolist(), lengths.tolist(), strict=True):
            absent[row, first : first + length] = True
    return absent


def _rows(points: int, days: int) -> Iterator[tuple[pa.DictionaryArray, np.ndarray, np.ndarray]]:
    """Yield point, start (UTC microseconds) and Wh of every delivery, block by block; redeliveries come last."""
    for position in range(days):
        midnight = datetime.combine(DAY + timedelta(days=position), datetime.min.time(), ZoneInfo(ZONE))
        slots = round(
            ((midnight + timedelta(days=1)).astimezone(UTC) - midnight.astimezone(UTC))
            / timedelta(minutes=INTERVAL_MINUTES)
        )
        start = round(midnight.timestamp()) * 1_000_000
        for first in range(0, points, BLOCK_POINTS):
            count = min(BLOCK_POINTS, points - first)
            rng = np.random.default_rng([SEED, position, first])
            load = day_values(rng, count, slots)
            cells = np.flatnonzero(~gaps(rng, count, slots))
            again = cells[rng.random(len(cells)) < DUPLICATE_SHARE]
            # The same value again: different values of one slot in one file are refused.
            every = np.r_[cells, again]
            names = pa.DictionaryArray.from_arrays(
                pa.array(every // slots, pa.int32()), pa.array(point_ids(first, count), pa.string())
            )
            starts = start + every % slots * (INTERVAL_MINUTES * 60_000_000)
            yield names, starts, load.ravel()[every]


def _write_csv(path: Path, blocks: Iterator[tuple[pa.DictionaryArray, np.ndarray, np.ndarray]]) -> None:
    schema = pa.schema([(name, pa.string()) for name in ("point_id", "obis", "timestamp", "mean_kw")])
    options = pa_csv.WriteOptions(quoting_style="none")
    with pa_csv.CSVWriter(path, schema, write_options=options) as sink:
        for names, starts, wh in blocks:
            distinct, codes = np.unique(starts, return_inverse=True)
            texts = pc.strftime(pa.array(distinct, pa.timestamp("us", "UTC")), "%Y-%m-%dT%H:%M:00Z")
            # Wh in a quarter hour x 4 = mean W; thousandths of it are kW.
            kilowatts = pa.Array.from_buffers(pa.decimal64(18, 3), len(wh), [None, pa.py_buffer(wh * 4)])
            columns = [
                names.cast(pa.string()),
                pa.repeat(OBIS, len(wh)),
                texts.take(pa.array(codes)),
                kilowatts.cast(pa.string()),
            ]
            sink.write_table(pa.Table.from_arrays(columns, schema=schema))


def _write_parquet(path: Path, blocks: Iterator[tuple[pa.DictionaryArray, np.ndarray, np.ndarray]]) -> None:
    schema = pa.schema(
        [("melo", pa.string()), ("obis", pa.string()), ("start_utc", pa.timestamp("us", "UTC")), ("kwh", pa.float64())]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as sink:
        for names, starts, wh in blocks:
            columns = [
                names.cast(pa.string()),
                pa.repeat(OBIS, len(wh)),
                pa.array(starts, pa.timestamp("us", "UTC")),
                pa.array(wh / 1_000),
            ]
            sink.write_table(pa.Table.from_arrays(columns, schema=schema))


def _write_registry(path: Path, points: int) -> None:
    with open(path, "w", encoding="utf-8") as sink:
        sink.write("point_id,obis_code,interval_minutes,connection_kw,point_class,annual_kwh,valid_from,valid_to\n")
        for name in point_ids(0, points):
            sink.write(f"{name},{OBIS},{INTERVAL_MINUTES},{CONNECTION_KW},household,3500,2020-01-01,\n")
