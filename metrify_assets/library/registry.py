"""The registry of a table: what is given of its points, and sane defaults for all else.

Belongs here: which entry holds for which series. Does not belong here: what an entry means (``registry/points.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from numbers import Real
from typing import Any

import numpy as np
import pyarrow as pa

from metrify_assets.clock import instant, microseconds
from metrify_assets.errors import FrameError
from metrify_assets.library.delivered import FEED, RECEIVED_AT, DeliveredTable
from metrify_assets.library.resolution import is_interval
from metrify_assets.library.tables import Frame, given_table
from metrify_assets.registry.points import Key, Registry
from metrify_assets.schemas.registries import OUTAGES, POINTS, REGISTERS, REGISTRIES
from metrify_assets.schemas.table import Table
from metrify_assets.vee.delivery_day import day_from_number, day_numbers

Entry = dict[str, Any]
"""Columns of a registry by name; what is not known is absent."""

Entries = Frame | Mapping[str, Any] | None
"""A table of entries, or one entry; None says nothing."""

_MOMENTS = ("starts_at", "ends_at")
_OF_PLATFORM = {"feed", "drop_id", "row_number", "received_at"}


class GivenRegistry:
    """What is given of the points of a table.

    Parameters
    ----------
    points : pandas.DataFrame, pyarrow.Table, mapping or None
        Columns of the registry ``points``: ``connection_kw``, ``point_class``, ``federal_state``, ``annual_kwh``,
        ``load_profile``, ``interval_minutes``, ``valid_from``, ``valid_to`` ... An entry without ``point_id`` or
        ``obis_code`` holds for all. A mapping is one entry; None is one that says nothing.
    registers : pandas.DataFrame, pyarrow.Table, mapping or None
        Columns of the registry ``registers``, for the series that have states of a counter: ``multiplier``, ``digits``,
        ``resolution_kwh``, ``initial_kwh``, ``final_kwh``, ``valid_from``, ``valid_to`` ...
    outages : pandas.DataFrame, pyarrow.Table, mapping or None
        Columns of the registry ``outages``: ``starts_at``, ``ends_at`` (instants with a zone), ``cause``. An entry
        without ``point_id`` holds for all points.

    Raises
    ------
    FrameError
        If a column is none of the registry's, or a value cannot be.
    """

    def __init__(self, points: Entries, registers: Entries = None, outages: Entries = None):
        self._points = [_checked(entry, POINTS) for entry in _entries(points)]
        self._registers = [_checked(entry, REGISTERS) for entry in _entries(registers)]
        self._outages = [] if outages is None else [_checked(entry, OUTAGES) for entry in _entries(outages)]

    def entries(self, key: Key) -> list[Entry]:
        """Return what is given of a point and channel: entries that name them stand above those for all."""
        return _closest(self._points, key)

    def interval(self, key: Key) -> int | None:
        """Return the interval that is given of a point and channel; None if there is none, or several."""
        lengths = {entry["interval_minutes"] for entry in self.entries(key) if "interval_minutes" in entry}
        return lengths.pop() if len(lengths) == 1 else None

    def registry(self, table: DeliveredTable) -> Registry:
        """Return the registry of the series of a table.

        Raises
        ------
        FrameError
            If a series has no entry, or values of several lengths and no interval that they are wanted in.
        """
        with_slots, reads = np.flatnonzero(table.has_slots).tolist(), np.flatnonzero(table.reads).tolist()
        given = {
            POINTS.name: [row for number in with_slots for row in self._rows(table, number)],
            REGISTERS.name: [row for number in reads for row in self._register_rows(table, number)],
            OUTAGES.name: self._outage_rows(table),
        }
        tables = {name: _table(other, given.get(name, [])) for name, other in REGISTRIES.items()}
        return Registry(tables, shards=1, zone=table.zone)

    def _rows(self, table: DeliveredTable, number: int) -> list[Entry]:
        point, channel = key = table.keys[number]
        entries = self.entries(key)
        if not entries:
            raise FrameError(f"the registry has no entry for point {point!r} and channel {channel!r}: add one")
        defaults: Entry = {"valid_from": table.first_day}
        if any("interval_minutes" not in entry for entry in entries):
            lengths = np.unique(table.minutes[table.series == number]).tolist()
            if len(lengths) > 1:
                words = " and ".join(str(length) for length in lengths)
                raise FrameError(
                    f"{table.label(number)} has values of {words} minutes: say by registry={{'interval_minutes': "
                    f"{max(lengths)}}} which are wanted; finer ones are added up, coarser ones never split"
                )
            defaults["interval_minutes"] = lengths[0]
        _require_one_beginning(entries, table, number)
        return [{**defaults, **entry, "point_id": point, "obis_code": channel} for entry in entries]

    def _register_rows(self, table: DeliveredTable, number: int) -> list[Entry]:
        point, channel = key = table.keys[number]
        entries = _closest(self._registers, key) or [{}]
        _require_one_beginning(entries, table, number)
        return [{"valid_from": table.first_day, **entry, "point_id": point, "obis_code": channel} for entry in entries]

    def _outage_rows(self, table: DeliveredTable) -> list[Entry]:
        points = sorted({point for point, _ in table.keys})
        rows = []
        for entry in self._outages:
            if not all(name in entry for name in _MOMENTS):
                raise FrameError("an outage has no beginning or no end: give starts_at and ends_at")
            start, end = (entry[name].astimezone(UTC) for name in _MOMENTS)
            if end <= start:
                raise FrameError(f"an outage ends at {end}, not after its beginning at {start}: correct one of them")
            first, last = day_numbers(np.array([microseconds(start), microseconds(end) - 1]), table.zone).tolist()
            days = {"valid_from": day_from_number(first), "valid_to": day_from_number(last + 1)}
            ours = [entry["point_id"]] if "point_id" in entry else points
            rows += [{**entry, **days, "starts_at": start, "ends_at": end, "point_id": point} for point in ours]
        return rows


def _closest(entries: Sequence[Entry], key: Key) -> list[Entry]:
    wanted = dict(zip(("point_id", "obis_code"), key, strict=True))
    ours = [entry for entry in entries if all(entry.get(name, text) == text for name, text in wanted.items())]
    closest = max((len(wanted.keys() & entry.keys()) for entry in ours), default=0)
    return [entry for entry in ours if len(wanted.keys() & entry.keys()) == closest]


def _require_one_beginning(entries: Sequence[Entry], table: DeliveredTable, number: int) -> None:
    begins = [entry.get("valid_from", table.first_day) for entry in entries]
    if len(set(begins)) < len(begins):
        point, channel = table.keys[number]
        raise FrameError(
            f"the registry has several entries for point {point!r} and channel {channel!r} from one day on: "
            "keep one, or say valid_from"
        )


def _table(registry: Table, rows: Sequence[Entry]) -> pa.Table:
    """Return rows of a registry in its schema; raise ``FrameError`` if it cannot hold them."""
    plain = pa.schema(
        [
            (name, kind.value_type if pa.types.is_dictionary(kind) else kind)
            for name, kind in ((column.name, column.type) for column in registry.columns)
        ]
    )
    provenance = {"feed": FEED, "drop_id": FEED, "row_number": 1, "received_at": instant(RECEIVED_AT)}
    try:
        return pa.Table.from_pylist([{**provenance, **row} for row in rows], schema=plain).cast(registry.arrow)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise FrameError(f"the registry holds what no registry can: {str(error).splitlines()[0]}") from error


def _entries(registry: Entries) -> Sequence[Mapping[str, Any]]:
    if registry is None:
        return [{}]
    if isinstance(registry, Mapping):
        return [registry]
    given = given_table(registry, "time", "value")
    entries: list[Mapping[str, Any]] = pa.table(dict(given.columns)).to_pylist()
    return entries


def _day(name: str, value: object) -> date:
    try:
        return date.fromisoformat(str(value)[: len("2026-03-10")])
    except ValueError as error:
        raise FrameError(f"{name}={value!r} in the registry is no day: write it as 2026-03-10") from error


def _moment(name: str, value: object) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise FrameError(f"{name}={value!r} is no instant: write it as 2026-03-10T18:00+01:00") from error
    if moment.tzinfo is None:
        raise FrameError(f"{name}={value} has no time zone, so that nobody knows which instant it is: give it one")
    return moment


def _checked(given: Mapping[str, Any], registry: Table) -> Entry:
    """Return an entry without what is null; raise ``FrameError`` if it holds what no registry can."""
    entry = {name: value for name, value in given.items() if value is not None and value == value}
    columns = {
        column.name: column for column in registry.columns if not (column.derived or column.name in _OF_PLATFORM)
    }
    for name, value in entry.items():
        column = columns.get(name)
        if column is None:
            raise FrameError(f"the registry {registry.name} has no column {name!r}: use {', '.join(columns)}")
        if column.hard_minimum is not None and not isinstance(value, Real):
            raise FrameError(f"{name}={value!r} in the registry is no number")
        for limit, beyond in ((column.hard_minimum, "less"), (column.hard_maximum, "more")):
            if limit is not None and (value < limit if beyond == "less" else value > limit):
                raise FrameError(f"{name}={value!r} in the registry: it cannot be {beyond} than {limit:g}")
    for name in ("point_id", "obis_code"):
        if name in entry:
            entry[name] = str(entry[name])
    for name in ("valid_from", "valid_to"):
        if name in entry:
            entry[name] = _day(name, entry[name])
    for name in _MOMENTS:
        if name in entry:
            entry[name] = _moment(name, entry[name])
    if "interval_minutes" in entry:
        # A column of pandas that lacks some entries holds 15.0.
        minutes = entry["interval_minutes"]
        if int(minutes) != minutes or not is_interval(int(minutes)):
            raise FrameError(f"interval_minutes={minutes!r} in the registry does not divide a day")
        entry["interval_minutes"] = int(minutes)
    return entry
