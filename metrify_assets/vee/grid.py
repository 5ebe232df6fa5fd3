"""The interval grid: what goes into validation and estimation, and what comes out.

Belongs here: the array containers, points x slots, and the counts of a shard. Does not belong here: how a grid is
computed (``validate.py``, ``clean.py``) or stored (the asset layer).

Energy is int64 micro-kWh (DECIMAL(18,6) kWh viewed as integer), instants are int64 microseconds since 1970 (UTC).
P is the number of series, S the number of slots of the day, N the number of deliveries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from metrify_assets.vee.arrays import (
    BoolArray,
    Float64Array,
    Int16Array,
    Int32Array,
    Int64Array,
    ObjectArray,
    UInt8Array,
)
from metrify_assets.vee.codes import OUTLIERS, Flag, Method, Reason, SourceStatus, Status
from metrify_assets.vee.uncertainty import IntervalPlanes

_BY_DEFAULT: Any = None
"""Default of an array whose length is known only with the others: ``__post_init__`` fills it in."""

NO_CODE = -1
"""Stands for null in the ``method`` and ``reason`` planes."""

STATUS_NAMES: tuple[Status, ...] = tuple(Status)
METHOD_NAMES: tuple[Method, ...] = tuple(Method)
REASON_NAMES: tuple[Reason, ...] = tuple(Reason)

STATUS_CODE = {status: np.int8(code) for code, status in enumerate(STATUS_NAMES)}
METHOD_CODE = {method: np.int8(code) for code, method in enumerate(METHOD_NAMES)}
REASON_CODE = {reason: np.int8(code) for code, reason in enumerate(REASON_NAMES)}

_OBIS = re.compile(r"(?:1-\d+:)?(\d+)\.\d+\.\d+(?:[*&.]\d+)?")


@lru_cache(maxsize=4_096)
def is_one_direction(obis_code: str) -> bool:
    """Return whether a channel counts active energy in one direction: C = 1 (import) or 2 (export), electricity.

    Values of such a channel are unsigned. Of any other code nothing is known, so no sign is refused.
    """
    match = _OBIS.fullmatch(obis_code)
    return match is not None and match.group(1) in ("1", "2")


def _require_equal_lengths(container: Any) -> None:
    lengths = {field.name: len(getattr(container, field.name)) for field in fields(container)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{type(container).__name__} needs arrays of one length, got {lengths}")


CHECK_REGISTER = 0
"""Interval of a series that has no slots of its own: a register that only checks and scales another series."""

UNKNOWN_STATE = np.iinfo(np.int64).min
NO_STATE = UNKNOWN_STATE + 1
"""The counter ends its service, and nobody knows with which state."""
"""Stands for an unknown counter state."""

MULTIPLIER_ONE = 1_000
"""Multipliers are whole thousandths: this is the factor 1."""


def _defaults(rows: int) -> dict[str, np.ndarray]:
    """Return what holds for series of which the registry says no more than it must."""
    return {
        "point_class": np.full(rows, None, dtype=object),
        "federal_state": np.full(rows, None, dtype=object),
        "annual_kwh": np.full(rows, np.nan),
        "load_profile": np.full(rows, None, dtype=object),
        "unit": np.full(rows, None, dtype=object),
        "multiplier": np.full(rows, MULTIPLIER_ONE, dtype=np.int64),
        "modulus": np.zeros(rows, dtype=np.int64),
        "opening": np.full(rows, UNKNOWN_STATE, dtype=np.int64),
        "closing": np.full(rows, UNKNOWN_STATE, dtype=np.int64),
    }


@dataclass(frozen=True, eq=False)
class SeriesTable:
    """Registry rows that are valid on the day in one shard, sorted by (point_id, obis_code).

    What is not given is unknown.

    Attributes
    ----------
    point_id, obis_code : object arrays, shape (P,)
    interval_minutes : int16 array, shape (P,)
        Expected interval of the series; a shard may mix several. ``CHECK_REGISTER`` for a register without slots.
    limit_kw : float64 array, shape (P,)
        Connection power, NaN = unknown.
    point_class, federal_state, load_profile : object arrays of str or None, shape (P,)
    annual_kwh : float64 array, shape (P,)
        Annual forecast, NaN = unknown.
    unit : object array of str or None, shape (P,)
        Unit that the channel is delivered in.
    multiplier : int64 array, shape (P,)
        Transformer ratio in thousandths.
    modulus : int64 array, shape (P,)
        Range of the counter in micro-kWh before the multiplier, 0 = unknown.
    opening, closing : int64 arrays, shape (P,)
        State in micro-kWh at the first instant of the day if the counter begins its service then, and at the last if
        it ends then, ``NO_STATE`` if that is not known; else ``UNKNOWN_STATE``.
    """

    point_id: ObjectArray
    obis_code: ObjectArray
    interval_minutes: Int16Array
    limit_kw: Float64Array
    point_class: ObjectArray = _BY_DEFAULT
    federal_state: ObjectArray = _BY_DEFAULT
    annual_kwh: Float64Array = _BY_DEFAULT
    load_profile: ObjectArray = _BY_DEFAULT
    unit: ObjectArray = _BY_DEFAULT
    multiplier: Int64Array = _BY_DEFAULT
    modulus: Int64Array = _BY_DEFAULT
    opening: Int64Array = _BY_DEFAULT
    closing: Int64Array = _BY_DEFAULT

    def __post_init__(self) -> None:
        for name, values in _defaults(len(self.point_id)).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, values)
        _require_equal_lengths(self)

    def __len__(self) -> int:
        return len(self.point_id)

    def take(self, rows: np.ndarray) -> SeriesTable:
        """Return some rows."""
        return SeriesTable(*(getattr(self, entry.name)[rows] for entry in fields(self)))

    @cached_property
    def one_direction(self) -> np.ndarray:
        """Whether a negative value is impossible, bool, shape (P,)."""
        return np.array([is_one_direction(code) for code in self.obis_code], dtype=bool)


@dataclass(frozen=True, eq=False)
class Deliveries:
    """Raw rows of one day and shard, in any order.

    Attributes
    ----------
    series : int32 array, shape (N,)
        Row in the ``SeriesTable``, -1 = no registry entry.
    start : int64 array
        Interval start, or the instant of a register read.
    minutes : int16 array
        Length of the interval; cadence of register reads.
    value : int64 array
        Energy or counter state in micro-kWh; of no meaning where null.
    is_null, is_register : bool arrays
    source_status : uint8 array
        ``codes.SourceStatus``.
    received_at : int64 array
    order : int64 array
        Unique; larger = later among rows with equal ``received_at``.
    feed : int16 array
        Which feed the row came with; a number that the caller gives a meaning.
    wrong_unit : bool array
        Whether it came in another unit than the registry says.
    """

    series: Int32Array
    start: Int64Array
    minutes: Int16Array
    value: Int64Array
    is_null: BoolArray
    is_register: BoolArray
    source_status: UInt8Array
    received_at: Int64Array
    order: Int64Array
    feed: Int16Array = _BY_DEFAULT
    wrong_unit: BoolArray = _BY_DEFAULT

    def __post_init__(self) -> None:
        if self.feed is None:
            object.__setattr__(self, "feed", np.zeros(len(self.series), dtype=np.int16))
        if self.wrong_unit is None:
            object.__setattr__(self, "wrong_unit", np.zeros(len(self.series), dtype=bool))
        _require_equal_lengths(self)

    def __len__(self) -> int:
        return len(self.series)

    def take(self, rows: np.ndarray) -> Deliveries:
        """Return the rows of a mask or an index array."""
        return Deliveries(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: Deliveries) -> Deliveries:
        """Return these rows followed by those of ``other``."""
        names = [field.name for field in fields(self)]
        return Deliveries(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))

    @cached_property
    def rank(self) -> UInt8Array:
        """Rank in the selection, uint8: the source status, MISSING where the value is null."""
        return np.where(self.is_null, np.uint8(0), self.source_status)


def is_outlier(flags: Int32Array, source_status: UInt8Array) -> BoolArray:
    """Return which values stand out without a person's decision; bool, shape of ``flags``."""
    outliers: BoolArray = ((flags & np.int32(OUTLIERS)) != 0) & (source_status != SourceStatus.EDITED)
    return outliers


@dataclass(frozen=True, eq=False)
class ValidatedGrid:
    """One resolution of a shard: the chosen version of every expected slot and the rules that fired.

    Attributes
    ----------
    series : int32 array, shape (P,)
        Rows of the ``SeriesTable``, ascending.
    interval_minutes : int
    starts : int64 array, shape (S,)
    delivered : int64 array, shape (P, S)
        Chosen version in micro-kWh, refused ones included; 0 where nothing or a blank was delivered.
    has_value : bool array, shape (P, S)
    source_status : uint8 array, shape (P, S)
        MISSING where nothing or a blank was delivered.
    version : int16 array, shape (P, S)
        Distinct values delivered; 0 where nothing was.
    flags : int32 array, shape (P, S)
        ``codes.Flag``.
    received_at : int64 array, shape (P, S)
        0 where nothing was delivered.
    """

    series: Int32Array
    interval_minutes: int
    starts: Int64Array
    delivered: Int64Array
    has_value: BoolArray
    source_status: UInt8Array
    version: Int16Array
    flags: Int32Array
    received_at: Int64Array

    @cached_property
    def refused(self) -> BoolArray:
        """Delivered, but may not stand: bool, shape (P, S)."""
        refused: BoolArray = (self.flags & np.int32(Flag.REFUSED)) != 0
        return refused

    @cached_property
    def valid(self) -> BoolArray:
        """A value that stands, the sender's substitutes and provisional values included: bool, shape (P, S)."""
        return self.has_value & ~self.refused

    @cached_property
    def measured(self) -> BoolArray:
        """A measured or edited value that stands, and not in a declared outage: bool, shape (P, S).

        What was not used for want of supply says nothing of what is used on other days.
        """
        supplied = (self.flags & np.int32(Flag.OUTAGE)) == 0
        measured: BoolArray = self.valid & (self.source_status >= SourceStatus.MEASURED) & supplied
        return measured

    @cached_property
    def outlier(self) -> BoolArray:
        """Found to stand out, and no person decided on it: bool, shape (P, S)."""
        return is_outlier(self.flags, self.source_status)

    @property
    def counts_in_runs(self) -> BoolArray:
        """A value that ``stuck`` and ``zero_run`` look at: refused by none but one of them. Bool, shape (P, S)."""
        in_run = (self.flags & np.int32(Flag.STUCK | Flag.ZERO_RUN)) != 0
        counts: BoolArray = self.valid | (self.has_value & in_run)
        return counts

    @property
    def ordinary(self) -> BoolArray:
        """Measured and no outlier: bool, shape (P, S)."""
        ordinary: BoolArray = self.measured & ~self.outlier
        return ordinary

    @cached_property
    def outage(self) -> BoolArray:
        """No value that stands, and a declared outage: the energy is zero. Bool, shape (P, S)."""
        outage: BoolArray = ((self.flags & np.int32(Flag.OUTAGE)) != 0) & ~self.valid
        return outage


@dataclass(frozen=True, eq=False)
class CleanGrid:
    """One resolution of a shard after estimation: value, status, method and reason of every expected slot.

    ``status``, ``method`` and ``reason`` index into ``STATUS_NAMES``, ``METHOD_NAMES`` and ``REASON_NAMES``;
    ``NO_CODE`` stands for null. ``delivered``, ``has_delivered``, ``version``, ``flags`` and ``received_at`` are the
    planes of the ``ValidatedGrid``.

    Attributes
    ----------
    series : int32 array, shape (P,)
    interval_minutes : int
    starts : int64 array, shape (S,)
    value : int64 array, shape (P, S)
        Micro-kWh; 0 and of no meaning where ``has_value`` is false.
    has_value : bool array, shape (P, S)
        False = missing.
    status, method, reason : int8 arrays, shape (P, S)
    flags, version, received_at, delivered, has_delivered : arrays, shape (P, S)
    scaled_method : int8 array, shape (P, S)
        Method of what was scaled to a register; ``NO_CODE`` for every other slot, and if omitted.
    interval : IntervalPlanes
        How far off the estimates may be; empty if omitted.
    """

    series: Int32Array
    interval_minutes: int
    starts: Int64Array
    value: Int64Array
    has_value: BoolArray
    status: np.ndarray
    method: np.ndarray
    reason: np.ndarray
    flags: np.ndarray
    version: np.ndarray
    received_at: np.ndarray
    delivered: np.ndarray
    has_delivered: np.ndarray
    scaled_method: np.ndarray = _BY_DEFAULT
    interval: IntervalPlanes = _BY_DEFAULT

    def __post_init__(self) -> None:
        if self.scaled_method is None:
            object.__setattr__(self, "scaled_method", np.full(self.value.shape, NO_CODE, dtype=np.int8))
        if self.interval is None:
            object.__setattr__(self, "interval", IntervalPlanes.empty(self.value.shape))


@dataclass(frozen=True)
class Tally:
    """Counts of raw rows, for the conservation identity of a day.

    Attributes
    ----------
    raw : int
        Interval rows.
    current, identical, superseded : int
        Chosen versions (off-grid and unassigned rows included: they compete with nobody), redeliveries of the chosen
        value, and other versions.
    measured, refused, off_grid, unassigned : int
        What became of the current rows: stands, may not stand (blank included), fits no expected slot, has no
        registry entry.
    register_reads : int
        Register rows, assigned or not; not part of the identity.
    """

    raw: int = 0
    current: int = 0
    identical: int = 0
    superseded: int = 0
    measured: int = 0
    refused: int = 0
    off_grid: int = 0
    unassigned: int = 0
    register_reads: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def balances(self) -> bool:
        """Whether both identities hold: nothing dropped, nothing counted twice."""
        return (
            self.raw == self.current + self.identical + self.superseded
            and self.current == self.measured + self.refused + self.off_grid + self.unassigned
        )
