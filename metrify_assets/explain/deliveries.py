"""Every value that was delivered for a point's day, as its sender gave it, and what became of it.

Belongs here: raw rows with the file and row that they stand in, and their role in the selection, which the
core says (``vee/roles.py``), in words. Does not belong here: rules and estimates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from metrify_assets.days import raw
from metrify_assets.drops.ledger import Drop, arrival
from metrify_assets.drops.parts import read_point
from metrify_assets.explain.basis import PastPoint
from metrify_assets.explain.record import Delivery, DropNote
from metrify_assets.explain.series_day import SeriesDay
from metrify_assets.explain.words import below_zero, energy, instant, kwh, power
from metrify_assets.schemas.readings import RAW_READINGS
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, to_microseconds
from metrify_assets.vee.placement import slots_of
from metrify_assets.vee.registers import READ_GRID_MINUTES
from metrify_assets.vee.roles import Because, SeriesRoles, roles_of_series
from metrify_assets.vee.units import to_micro_kwh

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


def rows_of_point(basis: PastPoint, day: DeliveryDay) -> PointRows:
    """Read the rows of the point from all drops of the day, whether they count or not."""
    view = basis.view
    labels: dict[tuple[str, str], str] = {}
    values: Counter[str] = Counter()
    deliveries: list[tuple[Drop, Delivery]] = []
    following = day.day + timedelta(days=1)
    drops = view.drops_of("raw_readings", day.day, active_only=False)
    closing = []
    for drop, delivery in _read(basis, drops, day.day):
        labels.setdefault((drop.feed, drop.drop_id), "")
        deliveries.append((drop, delivery))
    for drop, delivery in _read(basis, view.drops_of("raw_readings", following), following):
        if is_closing(delivery, day):
            labels.setdefault((drop.feed, drop.drop_id), "")
            closing.append((drop, delivery))
    in_order = sorted(labels, key=lambda key: arrival(view.drops[key]))
    labels = {key: f"#{number}" for number, key in enumerate(in_order, start=1)}
    for drop, _ in (*deliveries, *closing):
        values[labels[drop.feed, drop.drop_id]] += 1

    rank = {(drop.feed, drop.drop_id): rank for rank, drop in enumerate(view.drops_of("raw_readings", day.day))}
    counting, others = {}, []
    channels = set(zip(*_channels(basis, day.day), strict=True))
    for drop, delivery in deliveries:
        key = (drop.feed, drop.drop_id)
        state = view.state(drop)
        delivery = replace(delivery, drop=labels[key])
        if state != "active":
            others.append(replace(delivery, role=state))
        elif (basis.point, delivery.obis_code) not in channels:
            others.append(replace(delivery, role="unassigned"))
        else:
            order = raw.first_order(drop, rank[key]) + delivery.row_number
            counting[order, delivery.obis_code, _micros(delivery.start)] = delivery
    notes = tuple(_note(basis, view.drops[key], labels[key], values[labels[key]]) for key in in_order)
    return PointRows(
        counting, others, [replace(delivery, drop=labels[of.feed, of.drop_id]) for of, delivery in closing], notes
    )


def is_closing(delivery: Delivery, day: DeliveryDay) -> bool:
    """Return whether a delivery of the next day is the state of a counter at the end of a day."""
    near = abs(_micros(delivery.start) - day.end) < READ_GRID_MINUTES * MICROSECONDS_PER_MINUTE
    return delivery.kind == "register" and near


def _channels(basis: PastPoint, day: date) -> tuple[list[str], list[str]]:
    series = basis.registry.series(day, basis.shard)
    return series.point_id.tolist(), series.obis_code.tolist()


def _read(basis: PastPoint, drops: Iterable[Drop], day: date) -> Iterable[tuple[Drop, Delivery]]:
    for drop in drops:
        for part in drop.parts[day.isoformat()]:
            if str(basis.shard) not in part.shards:
                continue
            rows = read_point(basis.platform.store, drop, part, basis.point, RAW_READINGS.arrow)
            for row in rows.to_pylist():
                yield drop, delivery_of(row, drop.name)


def delivery_of(row: Mapping[str, Any], name: str) -> Delivery:
    """Return a raw row as a delivery that has no role yet.

    Parameters
    ----------
    row : mapping
        A row of ``raw_readings``.
    name : str
        Name of the file that it came with.
    """
    value: Decimal | None = row["value"]
    return Delivery(
        drop="",
        feed=row["feed"],
        drop_id=row["drop_id"],
        name=name,
        received_at=instant(to_microseconds(row["received_at"])),
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


def _note(basis: PastPoint, drop: Drop, label: str, values: int) -> DropNote:
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
    """Deliveries of one channel, by slot, in order of arrival.

    Attributes
    ----------
    by_slot : dict of int to list of Delivery
    elsewhere : list of Delivery
        Those that are in no slot.
    other_minutes : dict of int to frozenset of int
        By slot, the other lengths that it was delivered for.
    """

    by_slot: dict[int, list[Delivery]]
    elsewhere: list[Delivery]
    other_minutes: dict[int, frozenset[int]]


def placed(channel: SeriesDay, rows: PointRows) -> Placed:
    """Find slot and role of every delivery of a channel."""
    basis, day, code = channel.basis, channel.day, channel.obis_code
    shard = basis.validated(day.day, basis.shard)
    deliveries = shard.raw.deliveries
    roles = roles_of_series(day, shard.series, channel.series_row, deliveries, channel.day_rules, shard.raw.feeds)
    counting = {
        role.number: rows.counting[int(deliveries.order[role.number]), code, int(deliveries.start[role.number])]
        for role in roles.roles
    }
    slotted: list[tuple[int | None, Delivery]] = []
    for role in roles.roles:
        delivery = counting[role.number]
        rival = None if role.rival is None else counting[role.rival]
        why = role.because and _why(role.because, channel, roles, delivery, rival)
        slotted.append((role.slot, replace(delivery, role=str(role.role), because=why)))
    others = [
        delivery
        for delivery in rows.others
        if delivery.obis_code == code and delivery.kind == "interval" and delivery.role != "unassigned"
    ]
    slots = slots_of(
        day,
        channel.minutes,
        np.array([_micros(delivery.start) for delivery in others], dtype=np.int64),
        np.array([delivery.minutes for delivery in others], dtype=np.int64),
        channel.day_rules.rules.clock_tolerance_seconds,
    )
    slotted += [(None if slot < 0 else slot, delivery) for slot, delivery in zip(slots.tolist(), others, strict=True)]

    by_slot: dict[int, list[Delivery]] = {}
    elsewhere = []
    for slot, delivery in sorted(slotted, key=lambda role: _arrival(role[1])):
        if slot is None:
            elsewhere.append(delivery)
        else:
            by_slot.setdefault(slot, []).append(delivery)
    return Placed(by_slot, elsewhere, roles.other_minutes)


def _why(because: Because, channel: SeriesDay, roles: SeriesRoles, delivery: Delivery, rival: Delivery | None) -> str:
    """Return in words why a delivery is not used."""
    if because is Because.REFUSED and delivery.kwh is not None:
        return _refusal(channel, roles, delivery.kwh)
    if because is Because.OUTRANKED and rival is not None:
        better = "the manual edit" if rival.source_status == "edited" else rival.source_status
        worse = "a blank" if delivery.value is None else delivery.source_status
        return f"{better} ({rival.drop}) outranks {worse}, though it came earlier"
    return _NOT_USED[because]


_NOT_USED = {
    Because.PARTS_ABSENT: "parts of the slot are absent",
    Because.SLOT_DELIVERED: "the whole slot was delivered",
    Because.LONGER_PARTS: "longer parts make up the slot",
}


def _refusal(channel: SeriesDay, roles: SeriesRoles, kwh: Decimal) -> str:
    """Return which bound a value breaks that cannot be: in a part, that of its whole slot."""
    value = int(kwh.scaleb(6))
    if value < roles.lowest == 0:
        return below_zero(value)
    bound = f"> {energy(roles.highest)}" if value > roles.highest else f"< {energy(roles.lowest)}"
    share = f"{channel.rules.physical_limit_percent} % of {power(channel.connection_kw)} {channel.connection_basis}"
    return f"{energy(value)} {bound} in {channel.minutes} min ({share})"


def _arrival(delivery: Delivery) -> tuple[int, int, str]:
    """Return what sorts deliveries by arrival: drops are numbered in that order."""
    return int(delivery.drop.removeprefix("#")), delivery.row_number, delivery.start


def register_reads(rows: PointRows, codes: Iterable[str]) -> tuple[Delivery, ...]:
    """Return the register reads of some registers, of the day and at its end, in order of their instants."""
    wanted = set(codes)
    pool = [*rows.counting.values(), *rows.others, *rows.closing]
    reads = [read for read in pool if read.kind == "register" and read.obis_code in wanted]
    return tuple(sorted(reads, key=lambda read: (_micros(read.start), *_arrival(read))))
