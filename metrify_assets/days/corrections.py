"""``corrections`` of a closed day: what its clean values would be now, against those that were closed.

Belongs here: the comparison, slot by slot, where a new value came from and where an old one went. Does not belong here:
closing and reopening (``periods.py``), and applying anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.drops.ledger import Drop, LedgerView
from metrify_assets.drops.parts import read_part
from metrify_assets.platform import Platform
from metrify_assets.schemas.readings import CORRECTIONS, RAW_READINGS
from metrify_assets.vee.codes import Method, SourceStatus

_KEY = ["point_id", "obis_code", "interval_start"]
_COMPARED = [*_KEY, "interval_minutes", "value_kwh", "status", "method", "version", "received_at"]
_NOTHING = Decimal(0)

_Slot = tuple[str, str, datetime]
"""Point, channel and start: the values of ``_KEY``."""


@dataclass(frozen=True)
class Origin:
    """Where a delivered value came from, and why it was edited or withdrawn."""

    feed: str
    drop_id: str
    author: str | None
    remark: str | None


def corrections(
    platform: Platform, view: LedgerView, day: date, shard: int, closed: pa.Table, current: pa.Table
) -> pa.Table:
    """Return one row for each slot whose value or status would be another now.

    Parameters
    ----------
    platform, view
        Where the deliveries are.
    day, shard
    closed, current : pyarrow.Table
        Rows of ``clean_readings`` as closed and as computed now.
    """
    old, new = _rows_that_differ(closed, current), _rows_that_differ(current, closed)
    if not old and not new:
        return CORRECTIONS.empty()
    origins = _Origins(platform, view, day, shard)
    rows = [_correction(key, old.get(key), new.get(key), origins, day) for key in sorted({*old, *new})]
    return pa.Table.from_pylist(rows, schema=_plain_schema()).cast(CORRECTIONS.arrow)


def _rows_that_differ(rows: pa.Table, other: pa.Table) -> dict[_Slot, dict[str, Any]]:
    """Return the rows whose key, value and status the other table does not hold, by key."""
    chosen = _plain(rows).select(_COMPARED)
    # On an ordinary day nothing differs, and two tables of the same rows in the same order are compared column-wise.
    against = _plain(other).select(_COMPARED)
    if chosen.num_rows == against.num_rows and chosen.select(_KEY).equals(against.select(_KEY)):
        same_value = pc.or_kleene(
            pc.fill_null(pc.equal(chosen["value_kwh"], against["value_kwh"]), False),
            pc.and_(pc.is_null(chosen["value_kwh"]), pc.is_null(against["value_kwh"])),
        )
        same = pc.and_(same_value, pc.equal(chosen["status"], against["status"]))
        changed = chosen.filter(pc.invert(same)).to_pylist()
    else:
        published = {(*_slot(row), row["value_kwh"], row["status"]) for row in against.to_pylist()}
        changed = [row for row in chosen.to_pylist() if (*_slot(row), row["value_kwh"], row["status"]) not in published]
    return {_slot(row): row for row in changed}


def _slot(row: Mapping[str, Any]) -> _Slot:
    return row["point_id"], row["obis_code"], row["interval_start"]


def _plain(rows: pa.Table) -> pa.Table:
    """Return the rows with texts as texts, so that dictionaries of different files compare."""
    fields = [
        pa.field(field.name, pa.string()) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    ]
    return rows.cast(pa.schema(fields)).combine_chunks()


def _plain_schema() -> pa.Schema:
    return pa.schema(
        [
            pa.field(field.name, pa.string(), field.nullable) if pa.types.is_dictionary(field.type) else field
            for field in CORRECTIONS.arrow
        ]
    )


def _correction(
    key: _Slot, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, origins: _Origins, day: date
) -> dict[str, Any]:
    old_kwh = old["value_kwh"] if old else None
    new_kwh = new["value_kwh"] if new else None
    cause, origin = _cause(key, old, new, origins)
    return {
        **dict(zip(_KEY, key, strict=True)),
        "interval_minutes": next(row["interval_minutes"] for row in (new, old) if row),
        "old_kwh": old_kwh,
        "new_kwh": new_kwh,
        "difference_kwh": (new_kwh or _NOTHING) - (old_kwh or _NOTHING),
        "old_status": old["status"] if old else None,
        "new_status": new["status"] if new else None,
        "cause": cause,
        "feed": origin.feed if origin else None,
        "drop_id": origin.drop_id if origin else None,
        "author": origin.author if origin else None,
        "remark": origin.remark if origin else None,
        "received_at": new["received_at"] if new else None,
        "day": day,
    }


def _cause(
    key: _Slot, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, origins: _Origins
) -> tuple[str, Origin | None]:
    """Return what changed a value, and the drop behind it where there is one."""
    if old is None or new is None:
        return "registry", None
    before, after = old["received_at"], new["received_at"]
    edited = new["method"] == Method.MANUAL
    # An edit outranks what is withdrawn or not, unless it had to wait for that.
    if not (edited and before is not None and after > before):
        withdrawn = origins.withdrawn(key, before)
        if withdrawn is not None:
            return "withdrawn", withdrawn
    if edited:
        return "manual_edit", origins.of(key, after, edited)
    return ("late_data", origins.of(key, after, edited)) if after != before else ("new_estimate", None)


class _Origins:
    """Finds the deliveries behind values; drops are read only when a correction asks for them."""

    def __init__(self, platform: Platform, view: LedgerView, day: date, shard: int):
        self.platform, self.view, self.day, self.shard = platform, view, day, str(shard)
        self._found: dict[datetime, dict[tuple[_Slot, bool], Origin]] = {}
        self._withdrawn: dict[datetime, dict[tuple[str, str], Origin]] = {}

    def of(self, key: _Slot, received_at: Any, edited: bool) -> Origin | None:
        """Return where the value of a slot came from that arrived at an instant; None for a sum of several."""
        if received_at not in self._found:
            self._found[received_at] = {
                (_slot(row), row["source_status"] == SourceStatus.EDITED.name.lower()): Origin(
                    drop.feed, drop.drop_id, row["author"], row["remark"]
                )
                for drop, row in self._deliveries(received_at, "active")
            }
        return self._found[received_at].get((key, edited))

    def withdrawn(self, key: _Slot, received_at: Any) -> Origin | None:
        """Return the withdrawn drop that brought values of a series at an instant, and why it was withdrawn.

        A value that arrived by clock drift or in parts stands in rows of other stamps: the series has to do.
        """
        if received_at not in self._withdrawn:
            self._withdrawn[received_at] = {
                (row["point_id"], row["obis_code"]): Origin(
                    drop.feed, drop.drop_id, None, self.view.withdrawals[drop.feed, drop.drop_id].reason
                )
                for drop, row in self._deliveries(received_at, "withdrawn")
            }
        return self._withdrawn[received_at].get(key[:2])

    def _deliveries(self, received_at: Any, state: str) -> Iterator[tuple[Drop, dict[str, Any]]]:
        """Yield the rows that arrived at an instant by drops of a state; none for None."""
        if received_at is None:
            return
        for drop in self.view.drops_of("raw_readings", self.day, active_only=state == "active"):
            if self.view.state(drop) != state:
                continue
            for part in drop.parts[self.day.isoformat()]:
                if self.shard not in part.rows:
                    continue
                rows = read_part(self.platform.store, drop, part, RAW_READINGS.arrow)
                rows = rows.filter(pc.equal(rows["received_at"], pa.scalar(received_at, rows["received_at"].type)))
                for row in rows.to_pylist():
                    yield drop, row
