"""Tables on the way of a reading: raw, quarantine, validated, clean."""

from __future__ import annotations

import pyarrow as pa

from metrify_assets.schemas.table import INSTANT, KWH, LABEL, UNITS, Column, RowCheck, Table
from metrify_assets.vee.codes import OWN_ESTIMATES, Method, Reason, SourceStatus, Status

SOURCE_STATUSES = tuple(status.name.lower() for status in SourceStatus)

CORRECTION_CAUSES = ("manual_edit", "withdrawn", "late_data", "new_estimate", "registry")
"""Why a value in a closed period would change: an edit, its drop was withdrawn, another delivery, another estimate,
another expected slot."""

_SLOT = (
    Column("point_id", LABEL, "Measuring point."),
    Column("obis_code", LABEL, "OBIS code of the channel."),
    Column("interval_start", INSTANT, "Start of the slot (UTC)."),
    Column("interval_minutes", pa.int16(), "Length of the slot in minutes.", hard_minimum=1),
)
"""Columns that name a slot."""
_DAY = Column("day", pa.date32(), "Delivery day (local date).")

RAW_READINGS = Table(
    name="raw_readings",
    description="One row per delivered value, every version, typed and in UTC, as the sender gave it.",
    key=("feed", "drop_id", "row_number", "point_id", "obis_code", "interval_start"),
    sharded=True,
    columns=(
        Column("point_id", LABEL, "Measuring point, opaque text."),
        Column("obis_code", LABEL, "OBIS code of the channel, such as 1-0:1.29.0 (active import, load profile)."),
        Column("kind", LABEL, "Energy in an interval, or the state of a counter.", allowed=("interval", "register")),
        Column("interval_start", INSTANT, "Start of the interval, or the instant of a register read (UTC)."),
        Column("interval_minutes", pa.int16(), "Length of the interval, or cadence of register reads.", hard_minimum=1),
        Column("value", KWH, "Value as delivered, in `unit`; null where the cell was blank or a sentinel.", True),
        Column("unit", LABEL, "Unit of the value as delivered.", allowed=UNITS),
        Column("source_status", LABEL, "What the sender said of the value.", allowed=SOURCE_STATUSES),
        Column("author", LABEL, "Who decided on an edited value; null for every other.", True),
        Column("remark", LABEL, "Why a value was edited; or the sender's codes of its method and reason.", True),
        Column("feed", LABEL, "Feed that the value came with."),
        Column("drop_id", LABEL, "Drop that the value came with."),
        Column(
            "row_number",
            pa.int64(),
            "Data row (segment, reading) in its file, from 1; of a stream, the offset.",
            hard_minimum=0,
        ),
        Column("received_at", INSTANT, "When the drop arrived (UTC)."),
        _DAY,
    ),
)

QUARANTINE = Table(
    name="quarantine",
    description="What could not be read, whole, with the reason and where it stood in its file.",
    key=("feed", "drop_id", "row_number"),
    by_day=False,
    columns=(
        Column("feed", LABEL, "Feed that the row came with."),
        Column("drop_id", LABEL, "Drop that the row came with."),
        Column("row_number", pa.int64(), "Data row in its file, from 1; 0 for the file as a whole.", hard_minimum=0),
        Column("reason", LABEL, "Reason code."),
        Column("detail", pa.string(), "What exactly was wrong, for people."),
        Column("payload", pa.string(), "The row as delivered."),
        Column("value_cells", pa.int32(), "Values that the row carried.", hard_minimum=0),
        Column("received_at", INSTANT, "When the drop arrived (UTC)."),
        Column("day", pa.date32(), "Delivery day, where it could be read.", True),
    ),
)

VALIDATED_READINGS = Table(
    name="validated_readings",
    description="The interval grid: one row per point, channel and expected slot; the version chosen, the rules fired.",
    key=("point_id", "obis_code", "interval_start"),
    sharded=True,
    columns=(
        *_SLOT,
        Column("delivered_kwh", KWH, "Chosen version in kWh; null where nothing or a blank was delivered.", True),
        Column("source_status", LABEL, "What the sender said of the chosen version.", allowed=SOURCE_STATUSES),
        Column("version", pa.int16(), "Distinct values delivered so far; 0 where nothing was.", hard_minimum=0),
        Column("flags", pa.int32(), "Findings, a bit set (`vee.codes.Flag`).", hard_minimum=0),
        Column("received_at", INSTANT, "When the chosen version arrived (UTC).", True),
        _DAY,
    ),
)

REGISTER_READS = Table(
    name="register_reads",
    description="The chosen register reads of a day that tell more than the slots beside them, before any multiplier.",
    key=("point_id", "obis_code", "read_at"),
    sharded=True,
    columns=(
        Column("point_id", LABEL, "Measuring point."),
        Column("obis_code", LABEL, "OBIS code of the register, such as 1-0:1.8.0."),
        Column("read_at", INSTANT, "Instant of the read (UTC), snapped within the clock's tolerance."),
        Column("state_kwh", KWH, "State of the counter, kWh before the multiplier."),
        Column("source_status", LABEL, "What the sender said of the read.", allowed=SOURCE_STATUSES),
        Column("version", pa.int16(), "Distinct states delivered so far.", hard_minimum=1),
        Column("flags", pa.int32(), "Findings, a bit set (`vee.codes.Flag`).", hard_minimum=0),
        Column("received_at", INSTANT, "When the chosen read arrived (UTC)."),
        _DAY,
    ),
)

SERIES_DAYS = Table(
    name="series_days",
    description="What each series' validated day adds up to, for rules and estimates that look at many days.",
    key=("point_id", "obis_code", "interval_minutes"),
    sharded=True,
    columns=(
        Column("point_id", LABEL, "Measuring point."),
        Column("obis_code", LABEL, "OBIS code of the channel."),
        Column("interval_minutes", pa.int16(), "Length of the slots in minutes.", hard_minimum=1),
        Column("energy_kwh", KWH, "Sum of the values that stand, kWh."),
        Column("slots", pa.int16(), "Slots of the day.", hard_minimum=1),
        Column("measured_slots", pa.int16(), "Slots measured, or decided on by a person.", hard_minimum=0),
        Column("first_kwh", KWH, "Value of the run that the day begins with, kWh; of no meaning without one."),
        Column("first_slots", pa.int16(), "Slots of that run of one value; 0 without one.", hard_minimum=0),
        Column("last_kwh", KWH, "Value of the run that the day ends with, kWh; of no meaning without one."),
        Column("last_slots", pa.int16(), "Slots of that run of one value; 0 without one.", hard_minimum=0),
        _DAY,
    ),
)

CORRECTIONS = Table(
    name="corrections",
    description="What would change in a closed billing period: recorded and reported, not applied.",
    key=("point_id", "obis_code", "interval_start"),
    sharded=True,
    columns=(
        *_SLOT,
        Column("old_kwh", KWH, "Value as closed, kWh; null where it was missing.", True),
        Column("new_kwh", KWH, "Value as it would be now, kWh; null where it would be missing.", True),
        Column("difference_kwh", KWH, "New less old, a missing value counted as zero, kWh."),
        Column("old_status", LABEL, "Status as closed; null where the slot was not expected.", True),
        Column("new_status", LABEL, "Status now; null where the slot is no longer expected.", True),
        Column("cause", LABEL, "What changed.", allowed=CORRECTION_CAUSES),
        Column("feed", LABEL, "Feed of the drop.", True),
        Column("drop_id", LABEL, "Drop that brought the new value; if withdrawn, the one that brought the old.", True),
        Column("author", LABEL, "Who decided on an edit.", True),
        Column("remark", LABEL, "Why it was edited, or the drop withdrawn.", True),
        Column("received_at", INSTANT, "When the new value arrived (UTC).", True),
        _DAY,
    ),
)

_INTERVAL_HOLDS_THE_VALUE = RowCheck(
    "interval_order",
    "value_low_kwh <= value_kwh <= value_high_kwh, all three or neither quantile there",
    lambda rows: (
        (rows["value_low_kwh"].isna() & rows["value_high_kwh"].isna() & rows["variance_kwh2"].isna())
        | (
            (rows["value_low_kwh"] <= rows["value_kwh"])
            & (rows["value_kwh"] <= rows["value_high_kwh"])
            & rows["variance_kwh2"].notna()
        )
    ),
)
_ONLY_ESTIMATES_HAVE_INTERVALS = RowCheck(
    "interval_of_estimate",
    "an interval only where the status is estimated",
    lambda rows: rows["value_low_kwh"].isna() | (rows["status"] == Status.ESTIMATED),
)

CLEAN_READINGS = Table(
    name="clean_readings",
    description="Billing-grade intervals: value, status, and the method and reason behind every value not measured.",
    key=("point_id", "obis_code", "interval_start"),
    sharded=True,
    columns=(
        *_SLOT,
        Column("value_kwh", KWH, "Energy in the slot, kWh; null means missing, never zero.", True, minimum=0),
        Column("value_low_kwh", KWH, "10 % quantile of an estimate, kWh; null where measured or not known.", True),
        Column("value_high_kwh", KWH, "90 % quantile of an estimate, kWh; null where measured or not known.", True),
        Column(
            "variance_kwh2",
            KWH,
            "Share of the slot in the variance of a sum over its whole gap, kWh^2; null where the quantiles are.",
            True,
            hard_minimum=0,
        ),
        Column("status", LABEL, "Status of the value.", allowed=tuple(Status)),
        Column("method", LABEL, "How the value came about; null if measured.", True, allowed=tuple(Method)),
        Column("scaled_method", LABEL, "Method of what was scaled to a register; else null.", True, OWN_ESTIMATES),
        Column("reason", LABEL, "Why the slot has no measured value; null if it has.", True, allowed=tuple(Reason)),
        Column("flags", pa.int32(), "Findings, a bit set (`vee.codes.Flag`).", hard_minimum=0),
        Column("delivered_kwh", KWH, "Value as delivered, before editing, kWh.", True),
        Column("version", pa.int16(), "Distinct values delivered so far; 0 where nothing was.", hard_minimum=0),
        Column("received_at", INSTANT, "When the chosen version arrived (UTC).", True),
        _DAY,
    ),
    row_checks=(_INTERVAL_HOLDS_THE_VALUE, _ONLY_ESTIMATES_HAVE_INTERVALS),
)
