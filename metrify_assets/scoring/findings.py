"""Labels and findings of a run, as planes of slots or as counts of rows, reads and files.

Belongs here: functions from the evidence. Does not belong here: which rule is scored by which of them (``rules.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from datetime import date, datetime, timedelta

import numpy as np

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.scoring.planes import STEP
from metrify_assets.scoring.run import Evidence, State
from metrify_assets.simulator.counters import REGISTER_OBIS
from metrify_assets.simulator.day_faults import COARSER_MINUTES, NOT_DELIVERED
from metrify_assets.simulator.delivery import FaultKind as Kind
from metrify_assets.simulator.plan import INTERVAL_MINUTES
from metrify_assets.simulator.population import IMPORT_OBIS
from metrify_assets.simulator.register_reads import REGISTER_FEED
from metrify_assets.vee.arrays import BoolArray
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import DeliveryDay, day_number, day_numbers, to_microseconds

HIGH_LOW_HISTORY_DAYS = 14
"""The rule compares with at least two earlier days of the same kind: before, it cannot find anything."""
USE_FAULTS = (Kind.SPIKE, Kind.STUCK, Kind.STUCK_ACROSS_MIDNIGHT, Kind.ZERO_RUN, Kind.ROBUST_OUTLIER)
"""Faults that change what a day seems to use, beside the one of the whole day."""
OTHER_SUM_FAULTS = (*USE_FAULTS, Kind.HIGH_LOW, Kind.SUBSTITUTE, Kind.PROVISIONAL)
"""Faults that make the sum of a day's values another than the register's, or demote them before it is checked."""

Planes = Callable[[Evidence], np.ndarray]
Counts = Callable[[Evidence], Counter[Hashable]]


# Planes, bool, shape (C, T)


def labelled(*kinds: Kind) -> Planes:
    """Return what gives the slots with a label of these kinds."""
    return lambda evidence: evidence.labels.plane(*kinds)


def flagged(flag: Flag) -> Planes:
    """Return what gives the slots with a flag in the end."""
    return lambda evidence: (evidence.final.observed.flags & np.int32(flag)) != 0


def with_source_status(status: str) -> Planes:
    """Return what gives the slots whose sender says so of the value."""
    return lambda evidence: (evidence.final.observed.source_status == status) & evidence.final.observed.has_delivered


def absent(evidence: Evidence) -> np.ndarray:
    """Return the slots for which nothing readable arrives in the right unit and interval."""
    labels = evidence.labels
    mask = labels.plane(Kind.GAP, Kind.MALFORMED_ROW, Kind.FUTURE_STAMP, Kind.PROLONGED_ESTIMATION, Kind.UNIT_MISMATCH)
    mask |= labels.plane(Kind.INTERVAL_SIZE, detail=f"{COARSER_MINUTES}-minute values")
    mask |= labels.plane(Kind.COLLAPSED_DST, detail=NOT_DELIVERED)
    for row in labels.rows(Kind.COLLAPSED_DST):
        # In local time nobody can tell which pass the one that was delivered is: it is refused.
        if row["feed"] in evidence.local_time_feeds:
            slot = (to_microseconds(row["interval_start"]) - evidence.axes.start) // STEP
            mask[evidence.axes.row[row["point_id"], row["obis_code"]], slot] = True
    return mask


def collapsed_hours(evidence: Evidence) -> np.ndarray:
    """Return the slots flagged so, and both passes of hours with rows in quarantine because the pass is not known."""
    axes = evidence.axes
    mask = flagged(Flag.COLLAPSED_DST)(evidence)
    for row in evidence.rejected:
        key = (row.point_id, row.obis_code)
        if row.reason == RejectReason.AMBIGUOUS_DST_HOUR and key in axes.row and row.day is not None:
            day = DeliveryDay(row.day, axes.zone)
            minutes, counts = np.unique(day.local_minutes(INTERVAL_MINUTES), return_counts=True)
            repeated = np.isin(day.local_minutes(INTERVAL_MINUTES), minutes[counts > 1])
            starts = day.slot_starts(INTERVAL_MINUTES)[repeated]
            mask[axes.row[key], (starts - axes.start) // STEP] = True
    return mask


def corrections(evidence: Evidence) -> np.ndarray:
    """Return the slots whose delivered value the second wave changed."""
    first, final = evidence.first.observed, evidence.final.observed
    changed: BoolArray = first.has_delivered & final.has_delivered & (first.delivered != final.delivered)
    return changed


def last_day(evidence: Evidence) -> np.ndarray:
    """Return the last day: no read closes it."""
    return np.broadcast_to(evidence.axes.day == evidence.axes.days - 1, evidence.axes.shape)


def use_is_not_judged(evidence: Evidence) -> np.ndarray:
    """Return days without enough history to compare their use with, and those whose use another fault changed."""
    axes = evidence.axes
    early = np.broadcast_to(axes.day < HIGH_LOW_HISTORY_DAYS, axes.shape)
    unjudged: BoolArray = early | (
        axes.whole_days(evidence.labels.plane(*USE_FAULTS)) & ~evidence.labels.plane(Kind.HIGH_LOW)
    )
    return unjudged


def sums_wrong_otherwise(evidence: Evidence) -> np.ndarray:
    """Return days whose sum is rightly found wrong because of another fault, and the last day.

    Two days between which a read is not used are judged as one.
    """
    axes = evidence.axes
    mask = axes.whole_days(evidence.labels.plane(*OTHER_SUM_FAULTS))
    for row in evidence.labels.rows(Kind.REGISTER_DECREASE):
        channel = axes.row[row["point_id"], IMPORT_OBIS]
        number = (_local_day(row["interval_start"], axes.zone) - evidence.simulation.plan.first_day).days
        pair = (axes.day == number) | (axes.day == number - 1)
        mask[channel, pair] |= mask[channel, pair].any()
    wrong: BoolArray = mask | last_day(evidence)
    return wrong


# Counts of rows, reads and files


def rejected(concerned: Callable[[str], bool]) -> Counts:
    """Return what counts the rows in quarantine for some reasons, by feed, point and the day of their file."""
    return lambda evidence: Counter(
        (row.feed, row.point_id, row.day) for row in evidence.rejected if concerned(row.reason)
    )


def rows_labelled(kind: Kind) -> Counts:
    """Return what counts the labels of a kind by feed, point and delivery day."""
    return lambda evidence: Counter(
        (row["feed"], row["point_id"], _local_day(row["interval_start"], evidence.axes.zone))
        for row in evidence.labels.rows(kind)
    )


def _local_day(moment: datetime, zone: str) -> date:
    number = int(day_numbers(np.array([to_microseconds(moment)]), zone)[0])
    return moment.date() + timedelta(days=number - day_number(moment.date()))


def labelled_strangers(evidence: Evidence) -> Counter[Hashable]:
    """Count by day the values that belong to no series: of unknown points, and in another unit."""
    counts: Counter[Hashable] = Counter()
    for kind in (Kind.UNKNOWN_POINT, Kind.UNIT_MISMATCH):
        for row in evidence.labels.rows(kind):
            counts[_local_day(row["interval_start"], evidence.axes.zone)] += 1
    return counts


def unassigned(evidence: Evidence) -> Counter[Hashable]:
    """Count by day the values that the platform assigned to no series."""
    return Counter(evidence.final.unassigned)


def reads_labelled(kind: Kind) -> Counts:
    """Return what gives the register reads with a label of a kind."""
    return lambda evidence: Counter(
        (row["point_id"], to_microseconds(row["interval_start"])) for row in evidence.labels.rows(kind)
    )


def _reads(state: State, flags: int | None = None) -> set[Hashable]:
    """Return the reads of import registers, only those with one of some flags if they are given."""
    rows = state.reads.select(["point_id", "obis_code", "read_at", "flags"]).to_pylist()
    return {
        (row["point_id"], to_microseconds(row["read_at"]))
        for row in rows
        if row["obis_code"] == REGISTER_OBIS and (flags is None or row["flags"] & flags)
    }


def late_reads(evidence: Evidence) -> Counter[Hashable]:
    """Return the reads that came with the second wave."""
    return Counter(_reads(evidence.final) - _reads(evidence.first))


def decreased_reads(evidence: Evidence) -> Counter[Hashable]:
    """Return the reads that are flagged; flagged slots stand for the labelled reads within or beside them."""
    axes = evidence.axes
    labels = evidence.labels.rows(Kind.REGISTER_DECREASE)
    labelled = {(row["point_id"], to_microseconds(row["interval_start"])) for row in labels}
    reads = _reads(evidence.final, int(Flag.REGISTER_DECREASE))
    for row, slots in enumerate(flagged(Flag.REGISTER_DECREASE)(evidence)):
        edges = np.flatnonzero(np.diff(np.pad(slots.astype(np.int8), 1)))
        for first, end in edges.reshape(-1, 2).tolist():
            start, stop = axes.start + STEP * first, axes.start + STEP * end
            point = axes.keys[row][0]
            reads |= {read for read in labelled if read[0] == point and start <= read[1] <= stop} or {(point, start)}
    return Counter(reads)


def files_labelled(kind: Kind) -> Counts:
    """Return what gives the names of the files with a label of a kind."""
    return lambda evidence: Counter(row["detail"] for row in evidence.labels.rows(kind))


def late_files(evidence: Evidence) -> Counter[Hashable]:
    """Return the meter files of the second wave under whose name nothing had come before."""
    names = {file.name for file in evidence.simulation.first}
    return Counter(
        ingested.file.name
        for ingested in evidence.later
        if ingested.outcome == "new" and ingested.file.name not in names and ingested.file.feed != REGISTER_FEED
    )


def redelivered_files(evidence: Evidence) -> Counter[Hashable]:
    """Return the files of the second wave whose bytes were recognised."""
    return Counter(ingested.file.name for ingested in evidence.later if ingested.outcome == "redelivery")
