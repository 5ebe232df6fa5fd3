"""Seeded, labelled quarter-hourly reads for benchmark ``vee``, taken in as the platform takes in any file.

Belongs here: loads of three kinds of customers, faults at stated rates with their labels, the registry, the landing.
Does not belong here: anything that is measured. The simulator (``metrify_assets.simulator``) is richer and slower.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.sample import INTERVAL_MINUTES, OBIS, point_ids
from metrify_assets.days.digests import Digests
from metrify_assets.days.validated import compute_validated
from metrify_assets.drops.inbox import InboxFile
from metrify_assets.landing.ingest import ingest
from metrify_assets.platform import Platform
from metrify_assets.reference.rule_books import newest_edition
from metrify_assets.registry.registries import build_registry
from metrify_assets.settings import Settings

DAY = date(2026, 3, 10)
"""A Tuesday of 96 slots; so are its like days, and no clock changes in between."""
HISTORY = (*range(-28, 0), 1)
"""Days that estimation may look at: the four weeks before, and the day after."""
SLOTS = 96
START = 1_773_097_200_000_000
"""2026-03-09T23:00Z, midnight in Berlin, in microseconds."""
DAY_MICROSECONDS = 86_400_000_000
FEED = "meters_in_order"
FEEDS_DIR = Path(__file__).with_name("feeds")
SEED = 20260310
DROP_POINTS = 100_000
"""Points in one file; a larger case comes as several files."""
ROW_GROUP_ROWS = 1_000_000

GAP_SHARE = 0.01
SHORT_GAP_SLOTS = (1, 5)
LONG_GAP_SLOTS = (12, 48)
"""Half of the gap slots lie in gaps of 1 to 4 slots; the other half in gaps of 12 to 47, too long to interpolate."""
DUPLICATE_SHARE = 0.002
"""Of the reads; every other one brings another value."""
NEGATIVE_SHARE = 0.0005
OVER_LIMIT_SHARE = 0.0002
"""Of the slots: 1.2 to 10 times the connection's power."""
SPIKE_POINT_SHARE = 0.005
"""Points with one slot at 40 to 100 % of the connection's power."""
STUCK_POINT_SHARE = 0.005
STUCK_SLOTS = (12, 49)
"""Points that repeat one non-zero value for 3 to 12 hours."""
LABELLED = ("gap", "duplicate", "new_version", "negative", "physical_limit", "spike", "stuck")


@dataclass(frozen=True)
class Customer:
    """A kind of customer: its share of the points, its connection, its median load and how much loads scatter."""

    point_class: str
    load_profile: str
    share: float
    connection_kw: int
    annual_kwh: int
    median_wh: int
    scatter: float


CUSTOMERS = (
    Customer("household", "H0", 0.85, 30, 3_500, 60, 0.35),
    Customer("heat_pump", "H0", 0.05, 30, 8_000, 160, 0.45),
    Customer("business", "G0", 0.10, 100, 30_000, 600, 0.25),
)
STATES = ("BY", "BW", "NW", "SN")
"""Federal states of the points: their holidays differ."""


@dataclass(frozen=True)
class Reads:
    """Deliveries of one file in the order of its rows: cells (point * slots + slot) and Wh, and the labels by rule."""

    cells: np.ndarray
    wh: np.ndarray
    labels: dict[str, np.ndarray]


def customers_of(first: int, count: int) -> np.ndarray:
    """Return the kind of customer (index into ``CUSTOMERS``) of some points."""
    # Multiplication by the golden ratio spreads consecutive numbers evenly over [0, 1).
    position = (np.arange(first, first + count) * 0.6180339887498949) % 1
    return np.searchsorted(np.cumsum([kind.share for kind in CUSTOMERS])[:-1], position, side="right")


def loads(first: int, count: int, day_offset: int) -> np.ndarray:
    """Return faultless loads in Wh per interval: int64, shape (count, SLOTS).

    A point keeps its level from day to day; loads follow the time of day and scatter.
    """
    kinds = customers_of(first, count)
    hours = np.arange(SLOTS) / 4
    home = 0.4 + 0.6 * np.exp(-((hours - 7.5) ** 2) / 3) + 1.1 * np.exp(-((hours - 19) ** 2) / 6)
    heating = 1.0 + 0.4 * np.cos((hours - 5) / 12 * np.pi)
    work = 0.3 + 1.2 / (1 + np.exp(-2 * (hours - 7))) / (1 + np.exp(2 * (hours - 18)))
    shape = np.stack([home, heating, work])[kinds]
    level = np.array([kind.median_wh for kind in CUSTOMERS])[kinds]
    level = level * np.random.default_rng([SEED, first]).lognormal(0, 0.6, count)
    scatter = np.array([kind.scatter for kind in CUSTOMERS])[kinds]
    noise = np.random.default_rng([SEED, first, day_offset + 1_000]).standard_normal((count, SLOTS))
    return np.rint(level[:, None] * shape * np.exp(scatter[:, None] * noise)).astype(np.int64)


def day_reads(first: int, count: int, day_offset: int = 0) -> Reads:
    """Return the reads of one day in random order, with faults and their labels (cells, ascending)."""
    rng = np.random.default_rng([SEED, first, day_offset + 1_000, 1])
    wh = loads(first, count, day_offset)
    connection_kw = np.array([kind.connection_kw for kind in CUSTOMERS])[customers_of(first, count)]
    fault = _inject(rng, wh, connection_kw)
    absent = _gaps(rng, wh.shape)
    delivered = np.flatnonzero(~absent)
    again = delivered[rng.random(len(delivered)) < DUPLICATE_SHARE]
    # A correction of a faulty value would leave open which of the two is true.
    corrects = (np.arange(len(again)) % 2 == 1) & (fault.ravel()[again] == 0)
    cells = np.r_[delivered, again]
    values = np.r_[wh.ravel()[delivered], wh.ravel()[again] + np.where(corrects, 7, 0)]
    labels = {"gap": np.flatnonzero(absent), "duplicate": again[~corrects], "new_version": again[corrects]}
    for code, name in enumerate(LABELLED[3:], start=1):
        labels[name] = np.flatnonzero((fault == code) & ~absent)
    order = rng.permutation(len(cells))
    return Reads(cells[order], values[order], labels)


def _inject(rng: np.random.Generator, wh: np.ndarray, connection_kw: np.ndarray) -> np.ndarray:
    """Write faults into the loads; return which one each slot has, from 1, in the order of ``LABELLED[3:]``; int8."""
    count, slots = wh.shape
    most_wh = connection_kw * 1_000 * INTERVAL_MINUTES // 60
    fault = np.zeros(wh.shape, dtype=np.int8)
    stuck = np.flatnonzero(rng.random(count) < STUCK_POINT_SHARE)
    for row, length in zip(stuck.tolist(), rng.integers(*STUCK_SLOTS, len(stuck)).tolist(), strict=True):
        begin = int(rng.integers(0, slots - length + 1))
        wh[row, begin : begin + length] = max(wh[row, begin], 1)
        fault[row, begin : begin + length] = 4
    spiking = np.flatnonzero(rng.random(count) < SPIKE_POINT_SHARE)
    at = (spiking, rng.integers(0, slots, len(spiking)))
    wh[at] = (most_wh[spiking] * rng.uniform(0.4, 1.0, len(spiking))).astype(np.int64)
    fault[at] = 3
    below_zero = np.nonzero(rng.random(wh.shape) < NEGATIVE_SHARE)
    wh[below_zero] = -wh[below_zero] - 1
    fault[below_zero] = 1
    beyond = np.nonzero(rng.random(wh.shape) < OVER_LIMIT_SHARE)
    wh[beyond] = (most_wh[beyond[0]] * rng.uniform(1.2, 10, len(beyond[0]))).astype(np.int64)
    fault[beyond] = 2
    return fault


def _gaps(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return which slots are never delivered, bool."""
    points, slots = shape
    absent = np.zeros(shape, dtype=bool)
    for low, high in (SHORT_GAP_SLOTS, LONG_GAP_SLOTS):
        count = round(GAP_SHARE / 2 * points * slots / ((low + high - 1) / 2))
        lengths = rng.integers(low, high, count)
        begins = rng.integers(0, slots - lengths + 1)
        rows = rng.integers(0, points, count)
        for row, begin, length in zip(rows.tolist(), begins.tolist(), lengths.tolist(), strict=True):
            absent[row, begin : begin + length] = True
    return absent


def platform_at(root: str, shards: int) -> Platform:
    """Return the installation in a folder, under the newest rules whatever the day that they begin to hold."""
    folder = Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    rules = folder / "rules.yaml"
    rules.write_text(newest_edition(), encoding="utf-8")
    return Platform(Settings(root=folder, shards=shards, feeds_dir=FEEDS_DIR, rules_file=rules))


def stage(root: str, points: int, shards: int, history: bool) -> dict[str, Any]:
    """Take the registry and the reads of the day in, and validate the days of ``HISTORY`` if they are wanted.

    The labels of the day's faults are written to ``labels.npz``.

    Returns
    -------
    dict
        ``reads`` of the day, its raw ``files``, the ``registry`` file, and the ``start`` of the day (UTC microseconds).
    """
    platform = platform_at(root, shards)
    land_registry(platform, points)
    labels: dict[str, list[np.ndarray]] = {name: [] for name in LABELLED}
    reads = 0
    for day_offset in (0, *(HISTORY if history else ())):
        for first in range(0, points, DROP_POINTS):
            count = min(DROP_POINTS, points - first)
            found = day_reads(first, count, day_offset)
            _land_reads(platform, found, first, count, day_offset)
            if day_offset == 0:
                reads += len(found.cells)
                for name, cells in found.labels.items():
                    labels[name].append(cells + first * SLOTS)
    np.savez(Path(root) / "labels.npz", **{name: np.concatenate(cells) for name, cells in labels.items()})
    if history:
        digests = Digests(platform)
        for day_offset in HISTORY:
            compute_validated(platform, DAY + timedelta(days=day_offset), digests)
    drops = platform.ledger.view().drops_of("raw_readings", DAY)
    return {
        "reads": reads,
        "files": [platform.store.uri(part.file) for drop in drops for part in drop.parts[DAY.isoformat()]],
        "registry": platform.store.uri(platform.lake.manifest("points", None).files[0]),
        "start": START,
    }


def land_registry(platform: Platform, points: int) -> None:
    """Take the registry of the points in."""
    path = platform.settings.inbox / "registry_points" / "points.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = customers_of(0, points).tolist()
    columns = "point_id,obis_code,interval_minutes,connection_kw,point_class,federal_state,annual_kwh,load_profile"
    with open(path, "w", encoding="utf-8") as sink:
        sink.write(f"{columns},valid_from,valid_to\n")
        for number, (name, kind) in enumerate(zip(point_ids(0, points), kinds, strict=True)):
            own, state = CUSTOMERS[kind], STATES[number % len(STATES)]
            sink.write(
                f"{name},{OBIS},{INTERVAL_MINUTES},{own.connection_kw},{own.point_class},{state},{own.annual_kwh},"
                f"{own.load_profile},2020-01-01,\n"
            )
    land(platform, "registry_points", path)
    build_registry(platform, "points")


def land_read(platform: Platform, point: int, slot: int, wh: int) -> None:
    """Take in a file with one read of the day."""
    _land_reads(platform, Reads(np.array([slot]), np.array([wh]), {}), point, 1, 0, "late")


def _land_reads(platform: Platform, reads: Reads, first: int, count: int, day_offset: int, name: str = "bench") -> None:
    path = platform.settings.inbox / FEED / f"in_order_{name}_{first}_{DAY + timedelta(days=day_offset)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = START + day_offset * DAY_MICROSECONDS + reads.cells % SLOTS * (INTERVAL_MINUTES * 60_000_000)
    names = pa.DictionaryArray.from_arrays(
        pa.array(reads.cells // SLOTS, pa.int32()), pa.array(point_ids(first, count), pa.string())
    )
    channels = pa.DictionaryArray.from_arrays(np.zeros(len(starts), np.int32), pa.array([OBIS]))
    table = pa.table(
        {
            "melo": names,
            "obis": channels,
            "start_utc": pa.array(starts, pa.timestamp("us", "UTC")),
            "kwh": pa.array(reads.wh / 1_000),
        }
    )
    pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS)
    land(platform, FEED, path)


def land(platform: Platform, feed: str, path: Path) -> None:
    """Take a file of the inbox in and remove it from there and from the landing zone: disks are finite."""
    moment = datetime.now(UTC).timestamp() - 60
    os.utime(path, (moment, moment))
    stat = path.stat()
    taken = ingest(platform, InboxFile(feed, path.name, stat.st_size, stat.st_mtime_ns // 1_000))
    path.unlink()
    platform.store.delete(taken.drop.landed)
