"""The registry of a table: what is given of its points, and sane defaults for all else.

Belongs here: which entry holds for which series. Does not belong here: what an entry means (``registry/points.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from numbers import Real
from typing import Any

import numpy as np
import pyarrow as pa

from metrify_assets.clock import instant
from metrify_assets.errors import FrameError
from metrify_assets.library.delivered import FEED, RECEIVED_AT, DeliveredTable
from metrify_assets.library.resolution import is_interval
from metrify_assets.library.tables import Frame, given_table
from metrify_assets.registry.points import Key, Registry
from metrify_assets.schemas.registries import POINTS, REGISTRIES

Entry = dict[str, Any]
"""Columns of ``points`` by name; what is not known is absent."""

_COLUMNS = {column.name: column for column in POINTS.columns}
_PLAIN = pa.schema(
    [
        pa.field(column.name, column.type.value_type if pa.types.is_dictionary(column.type) else column.type)
        for column in POINTS.columns
    ]
)


class GivenRegistry:
    """What is given of the points of a table.

    Parameters
    ----------
    registry : pandas.DataFrame, pyarrow.Table, mapping or None
        Columns of the registry ``points``: ``connection_kw``, ``point_class``, ``federal_state``, ``annual_kwh``,
        ``load_profile``, ``interval_minutes``, ``valid_from``, ``valid_to`` ... An entry without ``point_id`` or
        ``obis_code`` holds for all. A mapping is one entry; None is one that says nothing.

    Raises
    ------
    FrameError
        If a column is none of the registry's, or a value cannot be.
    """

    def __init__(self, registry: Frame | Mapping[str, Any] | None):
        self._entries = [_checked(entry) for entry in _entries(registry)]

    def entries(self, key: Key) -> list[Entry]:
        """Return what is given of a point and channel: entries that name them stand above those for all."""
        wanted = dict(zip(("point_id", "obis_code"), key, strict=True))
        ours = [entry for entry in self._entries if all(entry.get(name, text) == text for name, text in wanted.items())]
        closest = max((len(wanted.keys() & entry.keys()) for entry in ours), default=0)
        return [entry for entry in ours if len(wanted.keys() & entry.keys()) == closest]

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
        rows = [row for number in range(len(table.keys)) for row in self._rows(table, number)]
        try:
            points = pa.Table.from_pylist(rows, schema=_PLAIN).cast(POINTS.arrow)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            raise FrameError(f"the registry holds what no registry can: {str(error).splitlines()[0]}") from error
        tables = {name: points if name == POINTS.name else other.empty() for name, other in REGISTRIES.items()}
        return Registry(tables, shards=1, zone=table.zone)

    def _rows(self, table: DeliveredTable, number: int) -> list[Entry]:
        point, channel = key = table.keys[number]
        entries = self.entries(key)
        if not entries:
            raise FrameError(f"the registry has no entry for point {point!r} and channel {channel!r}: add one")
        defaults: Entry = {"valid_from": table.first_day, "feed": FEED, "drop_id": FEED, "row_number": 1}
        defaults["received_at"] = instant(RECEIVED_AT)
        if any("interval_minutes" not in entry for entry in entries):
            lengths = np.unique(table.minutes[table.series == number]).tolist()
            if len(lengths) > 1:
                words = " and ".join(str(length) for length in lengths)
                raise FrameError(
                    f"{table.label(number)} has values of {words} minutes: say by registry={{'interval_minutes': "
                    f"{max(lengths)}}} which are wanted; finer ones are added up, coarser ones never split"
                )
            defaults["interval_minutes"] = lengths[0]
        begins = [entry.get("valid_from", table.first_day) for entry in entries]
        if len(set(begins)) < len(begins):
            raise FrameError(
                f"the registry has several entries for point {point!r} and channel {channel!r} from one day on: "
                "keep one, or say valid_from"
            )
        return [{**defaults, **entry, "point_id": point, "obis_code": channel} for entry in entries]


def _entries(registry: Frame | Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
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


def _checked(given: Mapping[str, Any]) -> Entry:
    """Return an entry without what is null; raise ``FrameError`` if it holds what no registry can."""
    entry = {name: value for name, value in given.items() if value is not None and value == value}
    for name, value in entry.items():
        column = _COLUMNS.get(name)
        if column is None:
            raise FrameError(f"the registry has no column {name!r}: use {', '.join(list(_COLUMNS)[:17])}")
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
    if "interval_minutes" in entry:
        # A column of pandas that lacks some entries holds 15.0.
        minutes = entry["interval_minutes"]
        if int(minutes) != minutes or not is_interval(int(minutes)):
            raise FrameError(f"interval_minutes={minutes!r} in the registry does not divide a day")
        entry["interval_minutes"] = int(minutes)
    return entry
