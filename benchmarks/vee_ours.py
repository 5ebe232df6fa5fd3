"""Our side of benchmark ``vee``: the platform's own code paths over one day of reads.

Belongs here: calls of the platform, timed, and what they found. Does not belong here: the peers (``vee_peers.py``)
and the comparison (``vee.py``).
"""

from __future__ import annotations

import time
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.vee_sample import DAY, LABELLED, SLOTS, START, land_read, platform_at
from metrify_assets.days.clean import clean_rows, compute_clean
from metrify_assets.days.day import DayResult, shards_in_order
from metrify_assets.days.days import Keys, ValidatedDays
from metrify_assets.days.digests import Digests
from metrify_assets.days.estimation import CleanShards, clean_shards
from metrify_assets.days.grids import StoredGrid
from metrify_assets.days.register_reads import RegisterIndex
from metrify_assets.days.validated import ValidatedShard, compute_validated, validate_day_shard
from metrify_assets.platform import Platform
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.grid import ValidatedGrid
from metrify_assets.vee.history import DayTotals

SLOT_MICROSECONDS = 900_000_000


class TodayInMemory:
    """The day's validated grids as they were computed; other days from the lake, if they are wanted."""

    def __init__(self, digests: Digests, others: ValidatedDays | None):
        self.digests, self.others = digests, others
        self.today: dict[int, list[tuple[Keys, ValidatedGrid]]] = {}

    def hold(self, number: int, found: ValidatedShard) -> None:
        """Take the grids of a shard until they are let go."""
        self.today[number] = found.keyed_grids()

    def grids(self, day: date, shard: int) -> list[tuple[Keys, ValidatedGrid]]:
        """Return the validated grids of a day; empty if there are none."""
        if day == DAY:
            return self.today[shard]
        return self.others.grids(day, shard) if self.others else []

    def past(self, day: date, shard: int) -> list[tuple[Keys, StoredGrid]]:
        """Return other days, of which a few rows will be asked for."""
        return self.others.past(day, shard) if self.others else []

    def totals(self, day: date, shard: int) -> list[tuple[Keys, int, DayTotals]]:
        """Return what each series adds up to on a day; empty if there is nothing."""
        return self.others.totals(day, shard) if self.others else []

    def register_index(self, shard: int) -> RegisterIndex:
        """Return the brackets between register reads: none."""
        return self.digests.register_index(shard)


def load(*modules: str) -> None:
    """Import what the platform imports where it is used: that belongs to the start of a process, not to a day."""
    for module in modules:
        import_module(module)


def vee(root: str, shards: int, history: bool) -> dict[str, Any]:
    """Read the raw rows of the day, validate, estimate and write the clean rows, shard by shard.

    Returns
    -------
    dict
        ``seconds`` of that, ``registry_seconds`` for loading the registries of all shards before, and ``files``.
    """
    load("pyarrow.dataset", "holidays")
    platform = platform_at(root, shards)
    started = time.perf_counter()
    digests = Digests(platform)
    for number in range(shards):
        digests.registry.series(DAY, number)
    ready = time.perf_counter()
    days = TodayInMemory(digests, ValidatedDays(platform, digests) if history else None)
    files = list(shards_in_order(lambda number: _write_clean(digests, days, number), range(shards)))
    done = time.perf_counter()
    return {
        "seconds": done - ready,
        "registry_seconds": ready - started,
        "files": [platform.store.uri(key) for key in files if key],
    }


def _write_clean(digests: Digests, days: TodayInMemory, number: int) -> str:
    """Compute one shard; return the key of its clean rows, which no manifest names."""
    days.hold(number, validate_day_shard(digests, DAY, number))
    estimated, _ = CleanShards(digests, days).clean(DAY, number)
    del days.today[number]
    rows = pa.concat_tables([clean_rows(DAY, keys, cleaned.grid) for keys, _, cleaned in estimated.grids])
    return digests.platform.lake.write_shard("vee_benchmark", DAY, number, rows.unify_dictionaries()).file


def whole(root: str, shards: int) -> dict[str, Any]:
    """Compute and publish ``validated_readings`` and ``clean_readings`` of the day: with digests, counts and audits."""
    load("pyarrow.dataset", "holidays", "metrify_assets.schemas.pandera_models")
    platform = platform_at(root, shards)
    started = time.perf_counter()
    validated, clean, between = _compute(platform, force=True)
    done = time.perf_counter()
    return {
        "seconds": done - started,
        "validated_seconds": between - started,
        "clean_seconds": done - between,
        "files": [platform.store.uri(key) for key in clean.manifest.files],
        "rules": {name: int(validated.manifest.total("rules", name)) for name in LABELLED},
    }


def _compute(platform: Platform, *, force: bool) -> tuple[DayResult, DayResult, float]:
    validated = compute_validated(platform, DAY, Digests(platform), force=force)
    between = time.perf_counter()
    digests = Digests(platform)
    clean = compute_clean(platform, DAY, digests, clean_shards(digests), force=force)
    if validated.parked or clean.parked:
        raise RuntimeError(validated.parked or clean.parked)
    return validated, clean, between


def late_read(root: str, shards: int, point: int, slot: int) -> dict[str, Any]:
    """Take in one late read of one point and compute what it makes stale; ``whole`` has run before.

    Returns
    -------
    dict
        ``ingest_seconds``, ``seconds`` of the computation, and the shards computed in ``validated`` and ``clean``.
    """
    load("pyarrow.dataset", "holidays", "metrify_assets.schemas.pandera_models")
    platform = platform_at(root, shards)
    started = time.perf_counter()
    land_read(platform, point, slot, 123)
    landed = time.perf_counter()
    validated, clean, _ = _compute(platform, force=False)
    return {
        "ingest_seconds": landed - started,
        "seconds": time.perf_counter() - landed,
        "validated": list(validated.computed),
        "clean": list(clean.computed),
    }


def findings(files: list[str]) -> dict[str, int]:
    """Count the findings in clean files by rule, and their rows; raise ``ValueError`` if the rows are not sorted."""
    counts = dict.fromkeys(LABELLED, 0)
    rows = 0
    for file in files:
        cells, flags = _cells_and_flags(file)
        if not (np.diff(cells) > 0).all():
            raise ValueError(f"the rows of {Path(file).name} are not sorted")
        rows += len(cells)
        for name in LABELLED:
            counts[name] += int(np.count_nonzero(flags & int(Flag[name.upper()])))
    return {"rows": rows, **counts}


def scores(root: str, files: list[str]) -> dict[str, float]:
    """Return precision and recall of the rules, from the labels of the injected faults."""
    labels = np.load(Path(root) / "labels.npz")
    found: dict[str, list[np.ndarray]] = {name: [] for name in LABELLED}
    for file in files:
        cells, flags = _cells_and_flags(file)
        for name in LABELLED:
            found[name].append(cells[(flags & int(Flag[name.upper()])) != 0])
    result = {}
    for name in LABELLED:
        positives, truth = np.concatenate(found[name]), labels[name]
        hits = len(np.intersect1d(positives, truth))
        # Nothing found is no wrong finding; nothing injected is nothing missed.
        result[f"{name}_precision"] = hits / len(positives) if len(positives) else 1.0
        result[f"{name}_recall"] = hits / len(truth) if len(truth) else 1.0
    return result


def _cells_and_flags(file: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell (point * slots + slot) and the flags of every row of a clean file."""
    table = pq.read_table(file, columns=["point_id", "interval_start", "flags"], partitioning=None).unify_dictionaries()
    points = table["point_id"].combine_chunks()
    points = points.chunk(0) if isinstance(points, pa.ChunkedArray) else points
    # The number of a point is the tail of its name, which is 33 characters long.
    numbers = pc.utf8_slice_codeunits(points.dictionary, 12).cast(pa.int64()).to_numpy()
    starts = table["interval_start"].cast(pa.int64()).to_numpy()
    cells = numbers[points.indices.to_numpy()] * SLOTS + (starts - START) // SLOT_MICROSECONDS
    return cells, table["flags"].to_numpy()
