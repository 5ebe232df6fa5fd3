"""Every value that was delivered for a point's day, as its sender gave it, and what became of it.

Belongs here: raw rows with the file and row that they stand in, and their role in the selection, found by the functions
that select. Does not belong here: rules and estimates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from metrify_assets.explain.basis import PointThen
from metrify_assets.explain.record import Delivery, DropNote
from metrify_assets.explain.words import instant, kwh
from metrify_assets.ledger import Drop, arrival
from metrify_assets.schemas.readings import RAW_READINGS
from metrify_assets.tables import raw
from metrify_assets.vee.codes import Flag
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, to_microseconds
from metrify_assets.vee.grid import Deliveries, ValidatedGrid
from metrify_assets.vee.placement import place, snap
from metrify_assets.vee.registers import READ_GRID_MINUTES
from metrify_assets.vee.units import to_micro_kwh
from metrify_assets.vee.versions import NOTHING, choose_versions

Roles = Iterator[tuple[int, int, str]]
"""Numbers of deliveries, each with its slot and role."""
Name = tuple[int, str, int]
"""What names a delivery of a point within a day: order, OBIS code, start."""


@dataclass(frozen=True)
class PointRows:
    """Raw rows of a point and day.

    Attributes
    ----------
    counting : mapping
        Rows of the drops that count, by what names them in the ``Deliveries`` of the shard.
    others : list of Delivery
        Rows of drops that do not count, and of channels that no registry entry knows.
    closing : list of Delivery
        Register reads at the day's end, which are rows of the next day.
    drops : tuple of DropNote
    """

    counting: dict[Name, Delivery]
    others: list[Delivery]
    closing: list[Delivery]
    drops: tuple[DropNote, ...]


def rows_of_point(basis: PointThen, day: DeliveryDay) -> PointRows:
    """Read the rows of the point from all drops of the day, whether they count or not."""
    view = basis.view
    labels: dict[tuple[str, str], str] = {}
    values: Counter[str] = Counter()
    found: list[tuple[Drop, Delivery]] = []
    following = day.day + timedelta(days=1)
    drops = view.drops_of("raw_readings", day.day, active_only=False)
    closing = []
    for drop, delivery in _read(basis, drops, day.day):
        labels.setdefault((drop.feed, drop.drop_id), "")
        found.append((drop, delivery))
    for drop, delivery in _read(basis, view.drops_of("raw_readings", following), following):
        near = abs(_micros(delivery.start) - day.end) < READ_GRID_MINUTES * MICROSECONDS_PER_MINUTE
        if delivery.kind == "register" and near:
            labels.setdefault((drop.feed, drop.drop_id), "")
            closing.append((drop, delivery))
    in_order = sorted(labels, key=lambda key: arrival(view.drops[key]))
    labels = {key: f"#{number}" for number, key in enumerate(in_order, start=1)}
    for drop, _ in (*found, *closing):
        values[labels[drop.feed, drop.drop_id]] += 1

    rank = {(drop.feed, drop.drop_id): rank for rank, drop in enumerate(view.drops_of("raw_readings", day.day))}
    counting, others = {}, []
    known = set(zip(*_channels(basis, day.day), strict=True))
    for drop, delivery in found:
        key = (drop.feed, drop.drop_id)
        state = view.state(drop)
        delivery = replace(delivery, drop=labels[key])
        if state != "active":
            others.append(replace(delivery, role=state))
        elif (basis.point, delivery.obis_code) not in known:
            others.append(replace(delivery, role="unassigned"))
        else:
            order = raw.first_order(drop, rank[key]) + delivery.row_number
            counting[order, delivery.obis_code, _micros(delivery.start)] = delivery
    notes = tuple(_note(basis, view.drops[key], labels[key], values[labels[key]]) for key in in_order)
    return PointRows(counting, others, [replace(one, drop=labels[of.feed, of.drop_id]) for of, one in closing], notes)


def _channels(basis: PointThen, day: date) -> tuple[list[str], list[str]]:
    series = basis.registry.series(day, basis.shard)
    return series.point_id.tolist(), series.obis_code.tolist()


def _read(basis: PointThen, drops: Iterable[Drop], day: date) -> Iterable[tuple[Drop, Delivery]]:
    for drop in drops:
        for part in drop.parts[day.isoformat()]:
            if str(basis.shard) not in part.shards:
                continue
            rows = raw.read_point(basis.platform, drop, part, basis.point, RAW_READINGS.arrow)
            for row in rows.to_pylist():
                yield drop, _delivery(drop, row)


def _delivery(drop: Drop, row: dict[str, Any]) -> Delivery:
    value: Decimal | None = row["value"]
    return Delivery(
        drop="",
        feed=drop.feed,
        drop_id=drop.drop_id,
        name=drop.name,
        received_at=instant(drop.received_at),
        row_number=row["row_number"],
        obis_code=row["obis_code"],
        kind=row["kind"],
        start=instant(to_microseconds(row["interval_start"])),
        minutes=row["interval_minutes"],
        value=value,
        unit=row["unit"],
        kwh=None if value is None else _energy(value, row["unit"], row["interval_minutes"]),
        source_status=row["source_status"],
        author=row["author"],
        remark=row["remark"],
        role="read" if row["kind"] == "register" else "unused",
    )


def _energy(value: Decimal, unit: str, minutes: int) -> Decimal:
    micro = np.array([int(value.scaleb(6))], dtype=np.int64)
    return kwh(to_micro_kwh(micro, np.zeros(1, dtype=np.int64), [unit], np.array([minutes]))[0])


def _micros(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))


def _note(basis: PointThen, drop: Drop, label: str, values: int) -> DropNote:
    withdrawal = basis.view.withdrawals.get((drop.feed, drop.drop_id))
    return DropNote(
        label=label,
        feed=drop.feed,
        drop_id=drop.drop_id,
        name=drop.name,
        received_at=instant(drop.received_at),
        ingested_at=instant(drop.ingested_at),
        state=basis.view.state(drop),
        withdrawn_because=withdrawal.reason if withdrawal else None,
        values=values,
        quarantined_rows=drop.counts["quarantined_rows"],
    )


@dataclass(frozen=True)
class Placed:
    """Deliveries of one channel, by slot, in order of arrival; and those that are in no slot."""

    by_slot: dict[int, list[Delivery]]
    elsewhere: list[Delivery]


def placed(
    basis: PointThen, rows: PointRows, day: DeliveryDay, series_row: int, grid: ValidatedGrid, grid_row: int
) -> Placed:
    """Find slot and role of every delivery of a channel.

    Parameters
    ----------
    basis : PointThen
    rows : PointRows
    day : DeliveryDay
    series_row : int
        Row of the channel in the point's ``SeriesTable``.
    grid : ValidatedGrid
    grid_row : int
        The channel's row in the grid.
    """
    minutes = grid.interval_minutes
    is_aggregated = (grid.flags[grid_row] & np.int32(Flag.AGGREGATED)) != 0
    shard = basis.validated(day.day, basis.shard)
    code = shard.series.obis_code[series_row]
    everything = shard.raw.deliveries
    ours = everything.take((everything.series == series_row) & ~everything.is_register)
    row_of_series = np.full(len(shard.series) + 1, -1)
    row_of_series[series_row] = 0
    tolerance = basis.rules_on(day.day).rules.clock_tolerance_seconds
    known, strange = ours.take(~ours.wrong_unit), ours.take(ours.wrong_unit)

    found: list[tuple[int | None, Delivery]] = []

    def add(of: Deliveries, number: int, slot: int | None, role: str) -> None:
        name = (int(of.order[number]), code, int(of.start[number]))
        found.append((slot, replace(rows.counting[name], role=role)))

    where = place(day, minutes, row_of_series, known, tolerance)
    placed_rows = np.arange(len(known)) if where.rows is None else where.rows
    for number, slot, role in _by_grid(grid, grid_row, known, placed_rows, where.cells):
        add(known, number, slot, role)
    for number, slot, role in _finer(day, minutes, known, where.finer, is_aggregated, tolerance):
        add(known, number, slot, role)
    for number in where.off_grid.tolist():
        slot = (int(known.start[number]) - day.start) // (minutes * MICROSECONDS_PER_MINUTE)
        add(known, number, slot if 0 <= slot < day.slots(minutes) else None, "off_grid")
    for number in range(len(strange)):
        slot = _slot(day, minutes, int(strange.start[number]), tolerance)
        add(strange, number, slot, "wrong_unit")
    for delivery in rows.others:
        if delivery.obis_code == code and delivery.kind == "interval" and delivery.role != "unassigned":
            found.append((_slot(day, minutes, _micros(delivery.start), tolerance), delivery))

    by_slot: dict[int, list[Delivery]] = {}
    elsewhere = []
    for slot, delivery in sorted(found, key=lambda one: _arrival(one[1])):
        if slot is None:
            elsewhere.append(delivery)
        else:
            by_slot.setdefault(slot, []).append(delivery)
    return Placed(by_slot, elsewhere)


def _arrival(delivery: Delivery) -> tuple[int, int, str]:
    """Return what sorts deliveries by arrival: drops are numbered in that order."""
    return int(delivery.drop.removeprefix("#")), delivery.row_number, delivery.start


def _slot(day: DeliveryDay, minutes: int, start: int, tolerance: int) -> int | None:
    """Return the slot that a stamp lies in, snapped within the clock's tolerance; None outside of the day."""
    step = minutes * MICROSECONDS_PER_MINUTE
    offset = start - day.start
    slot = int(snap(np.array([offset]), step, tolerance)[0])
    slot = slot if slot >= 0 else offset // step
    return slot if 0 <= slot < day.slots(minutes) else None


def _by_grid(grid: ValidatedGrid, row: int, deliveries: Deliveries, rows: np.ndarray, cells: np.ndarray) -> Roles:
    """Yield the deliveries of some slots: number, slot and role, as the validated grid says which was chosen.

    The chosen one has the value, the status and the reception of the grid; of several such the last in order.
    """
    for slot in np.unique(cells).tolist():
        rivals = rows[cells == slot]
        value = np.where(deliveries.is_null[rivals], 0, deliveries.value[rivals])
        same = (value == grid.delivered[row, slot]) & (deliveries.is_null[rivals] != grid.has_value[row, slot])
        as_chosen = same & (deliveries.rank[rivals] == grid.source_status[row, slot])
        as_chosen &= deliveries.received_at[rivals] == grid.received_at[row, slot]
        winner = int(max(rivals[as_chosen], key=lambda number: deliveries.order[number]))
        for number, is_same in zip(rivals.tolist(), same.tolist(), strict=True):
            if number == winner:
                yield number, slot, "chosen"
            elif is_same:
                yield number, slot, "identical"
            else:
                yield number, slot, "impossible" if _standing(deliveries, number, winner) else "superseded"


def _standing(deliveries: Deliveries, number: int, other: int) -> bool:
    """Return whether a delivery would come before another by status and arrival, were its value one that can be."""
    first, second = (
        (int(deliveries.rank[one]), int(deliveries.received_at[one]), int(deliveries.order[one]))
        for one in (number, other)
    )
    return first > second


def _finer(
    day: DeliveryDay,
    minutes: int,
    deliveries: Deliveries,
    rows: np.ndarray,
    is_aggregated: np.ndarray,
    tolerance: int,
) -> Roles:
    """Yield deliveries of shorter intervals: number, slot and role. Of several lengths the longest comes first."""
    filled: set[int] = set()
    for length in np.unique(deliveries.minutes[rows])[::-1].tolist():
        step = length * MICROSECONDS_PER_MINUTE
        parts_per_slot = minutes // length
        count = day.slots(minutes) * parts_per_slot
        ours = rows[deliveries.minutes[rows] == length]
        offset = deliveries.start[ours] - day.start
        part = snap(offset, step, tolerance)
        fits = (part >= 0) & (part < count)
        for number, slot in zip(ours[~fits].tolist(), (offset[~fits] // step // parts_per_slot).tolist(), strict=True):
            yield number, slot, "off_grid"
        chosen = choose_versions(deliveries, ours[fits], part[fits], count).row
        parts = chosen.reshape(-1, parts_per_slot)
        whole = (parts != NOTHING).all(axis=1) & (deliveries.rank[parts] > 0).all(axis=1) & is_aggregated
        whole[sorted(filled)] = False
        filled |= set(np.flatnonzero(whole).tolist())
        for number, place_ in zip(ours[fits].tolist(), part[fits].tolist(), strict=True):
            slot, winner = place_ // parts_per_slot, int(chosen[place_])
            if number == winner:
                yield number, slot, "part" if whole[slot] else "unused"
            else:
                yield number, slot, "identical" if _same_value(deliveries, number, winner) else "superseded"


def _same_value(deliveries: Deliveries, number: int, other: int) -> bool:
    blank = bool(deliveries.is_null[number]), bool(deliveries.is_null[other])
    return all(blank) or (not any(blank) and bool(deliveries.value[number] == deliveries.value[other]))


def register_reads(rows: PointRows, codes: Iterable[str]) -> tuple[Delivery, ...]:
    """Return the register reads of some registers, of the day and at its end, in order of their instants."""
    wanted = set(codes)
    pool = [*rows.counting.values(), *rows.others, *rows.closing]
    reads = [one for one in pool if one.kind == "register" and one.obis_code in wanted]
    return tuple(sorted(reads, key=lambda one: (_micros(one.start), *_arrival(one))))
