"""Tables of power quality, raw and clean, and the ranges that its values are held to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

from metrify_assets.schemas.grid_and_weather import PROVENANCE
from metrify_assets.schemas.table import INSTANT, KWH, LABEL, Column, Table
from metrify_assets.vee.channels import Phase, Quantity, Statistic


@dataclass(frozen=True)
class QuantityRange:
    """What values of a quantity are held to, at every phase.

    Attributes
    ----------
    unit : str
        That the clean table stores.
    delivered_units : tuple of str
        That senders may deliver.
    valid : tuple of float
        Lowest and highest valid value, both included; beyond it the status is ``out_of_range``.
    normal : tuple of float
        Beyond it a value is anomalous.
    nominal : float
        The worst value of a day is the one that is farthest from it.
    """

    unit: str
    delivered_units: tuple[str, ...]
    valid: tuple[float, float]
    normal: tuple[float, float]
    nominal: float


RANGES = {
    Quantity.VOLTAGE: QuantityRange("V", ("V", "kV", "mV"), (200.0, 250.0), (220.0, 240.0), 230.0),
    Quantity.CURRENT: QuantityRange("A", ("A", "kA", "mA"), (0.0, 100.0), (0.0, 80.0), 0.0),
    Quantity.POWER_FACTOR: QuantityRange("1", ("1", "%"), (0.0, 1.0), (0.8, 1.0), 1.0),
    Quantity.FREQUENCY: QuantityRange("Hz", ("Hz", "mHz"), (49.5, 50.5), (49.8, 50.2), 50.0),
}
"""Ranges of points that are connected to the low voltage, as the reference systems have them; 230 V and 50 Hz are the
nominal values of IEC 60038."""

POWER_QUALITY_UNITS = tuple(unit for declared in RANGES.values() for unit in declared.delivered_units)
POWER_QUALITY_STATUSES = ("valid", "out_of_range", "missing")


@cache
def power_quality_ranges_digest() -> str:
    """Return the digest of the ranges: what status and flag of a value depend on beside the value."""
    return hashlib.sha256(repr(RANGES).encode()).hexdigest()[:16]


_SLOT = (
    Column("point_id", LABEL, "Measuring point."),
    Column("obis_code", LABEL, "OBIS code of the channel, such as 1-0:32.7.0 (voltage of L1)."),
)
_DAY = Column("day", pa.date32(), "Delivery day (local date).")

RAW_POWER_QUALITY = Table(
    name="raw_power_quality",
    description="Voltage, current, power factor and frequency as delivered: one row per value, every version.",
    key=("feed", "drop_id", "row_number", "point_id", "obis_code", "interval_start"),
    sharded=True,
    columns=(
        *_SLOT,
        Column("interval_start", INSTANT, "Start of the interval, or the instant of the value (UTC)."),
        Column("interval_minutes", pa.int16(), "Length of the interval, or cadence, in minutes.", hard_minimum=1),
        Column("value", KWH, "Value as delivered, in `unit`; null where the cell was blank or a sentinel.", True),
        Column("unit", LABEL, "Unit of the value as delivered.", allowed=POWER_QUALITY_UNITS),
        *PROVENANCE,
    ),
)

CLEAN_POWER_QUALITY = Table(
    name="clean_power_quality",
    description="Voltage, current, power factor and frequency: the latest version of every value, with a verdict.",
    key=("point_id", "obis_code", "interval_start"),
    sharded=True,
    columns=(
        *_SLOT,
        Column("interval_start", INSTANT, "Start of the slot (UTC)."),
        Column("interval_minutes", pa.int16(), "Length of the slot in minutes.", hard_minimum=1),
        Column("quantity", LABEL, "What was measured.", allowed=tuple(Quantity)),
        Column("phase", LABEL, "Phase, N for the neutral, or all.", allowed=tuple(Phase)),
        Column("statistic", LABEL, "What the value says of its slot.", allowed=tuple(Statistic)),
        Column("value", KWH, "Value in `unit`; null where the sender had none. Values are never added up.", True),
        Column("unit", LABEL, "Unit of the quantity.", allowed=tuple(declared.unit for declared in RANGES.values())),
        Column("status", LABEL, "Valid, out of its valid range (kept), or missing.", allowed=POWER_QUALITY_STATUSES),
        Column("is_anomalous", pa.bool_(), "Whether the value lies beyond its normal range."),
        Column("version", pa.int16(), "Distinct values delivered so far.", hard_minimum=0),
        Column("received_at", INSTANT, "When the version arrived (UTC)."),
        _DAY,
    ),
)
