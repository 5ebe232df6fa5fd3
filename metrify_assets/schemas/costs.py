"""Tables of what a month cost, emitted and used of its own generation, by point."""

from __future__ import annotations

import pyarrow as pa

from metrify_assets.schemas.table import KWH, LABEL, Column, Table

MONEY = pa.decimal64(18, 2)

DIRECTIONS = ("import", "export")
COST_REFUSALS = ("no_tariff", "readings_missing", "price_missing", "interval_too_long", "base_refused")
CARBON_REFUSALS = ("readings_missing", "mix_missing", "interval_too_long", "no_control_area")
SELF_USE_REFUSALS = ("no_generation_meter", "readings_missing", "feed_in_exceeds_generation")

_POINT_AND_MONTH = (
    Column("month", pa.date32(), "First day of the month (local date)."),
    Column("point_id", LABEL, "Measuring point."),
)
_REFUSED = (
    Column("refused_hours", pa.float64(), "Hours that the refusal concerns; 0 without one.", hard_minimum=0),
    Column("refused_kwh", KWH, "Energy of those hours, as far as it has values, kWh; 0 without a refusal."),
)


def _refusal(allowed: tuple[str, ...]) -> Column:
    return Column("refusal", LABEL, "Why there is no result; null if there is one.", True, allowed=allowed)


COST_BY_MONTH = Table(
    name="cost_by_month",
    description="Cost by point, month, version of a tariff and component, to the cent; component `total` sums them up.",
    key=("month", "point_id", "tariff", "first_day", "component"),
    by_day=False,
    columns=(
        *_POINT_AND_MONTH,
        Column("tariff", LABEL, "Tariff of the point."),
        Column("direction", LABEL, "Energy that the tariff counts.", allowed=DIRECTIONS),
        Column("first_day", pa.date32(), "First day of the month that the line bills."),
        Column("last_day", pa.date32(), "Last day of the month that the line bills."),
        Column("component", LABEL, "Component of the tariff, or `total`."),
        Column("kind", LABEL, "Kind of the component."),
        Column("energy_kwh", KWH, "Energy of those days that has values, kWh; null where energy does not count.", True),
        Column("estimated_kwh", KWH, "Part of it that is estimated, kWh.", True),
        Column("peak_kw", KWH, "Highest mean power of a quarter hour, kW; of a demand charge.", True),
        Column("amount", MONEY, "Amount in `currency`, rounded half to even; null if refused.", True),
        Column("currency", LABEL, "Currency of the amount; null without a tariff.", True),
        Column("estimated_money_share", pa.float64(), "Share of the money that rests on estimates.", True, None, 0, 1),
        _refusal(COST_REFUSALS),
        *_REFUSED,
    ),
)

CARBON_BY_MONTH = Table(
    name="carbon_by_month",
    description="Life-cycle emissions of the energy imported, by point and month, by the control area's hourly mix.",
    key=("month", "point_id"),
    by_day=False,
    columns=(
        *_POINT_AND_MONTH,
        Column("control_area", LABEL, "Control area of the point at the end of the month.", True),
        Column("energy_kwh", KWH, "Energy that has values, kWh."),
        Column("carbon_kg", KWH, "Emissions, kg CO2 equivalent; null if refused.", True),
        Column("estimated_carbon_kg", KWH, "Part of them that rests on estimated energy, kg; null if refused.", True),
        Column("factors", LABEL, "Source of the emission factors."),
        _refusal(CARBON_REFUSALS),
        *_REFUSED,
    ),
)

SELF_CONSUMPTION_BY_MONTH = Table(
    name="self_consumption_by_month",
    description="Feed-in of points that export, by month; and self-consumption where a generation meter is known.",
    key=("month", "point_id"),
    by_day=False,
    columns=(
        *_POINT_AND_MONTH,
        Column("generation_point_id", LABEL, "Point of the generation meter.", True),
        Column("fed_in_kwh", KWH, "Exported energy that has values, kWh."),
        Column("drawn_kwh", KWH, "Imported energy that has values, kWh."),
        Column("generated_kwh", KWH, "Generation, kWh; null if refused.", True),
        Column("self_consumed_kwh", KWH, "Generation less feed-in, kWh; null if refused.", True),
        Column("estimated_kwh", KWH, "Part of it in slots that are estimated, kWh; null if refused.", True),
        Column("self_consumption_share", pa.float64(), "Self-consumed part of the generation.", True, None, 0, 1),
        Column("self_sufficiency_share", pa.float64(), "Self-consumed part of the use.", True, None, 0, 1),
        _refusal(SELF_USE_REFUSALS),
        *_REFUSED,
    ),
)
