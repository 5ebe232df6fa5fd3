"""Cost, carbon and self-consumption of whole months, each a table whose parts are months.

Belongs here: which months are due, what they are computed from, rows of the tables. A part of a month is computed
again only if a day, a price, a registry or a file of tariffs has changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from metrify_assets.analytics.tariffs.bills import Line, Market, Span, bill, spans_of_month
from metrify_assets.analytics.tariffs.carbon import emissions, intensities, shipped_factors
from metrify_assets.analytics.tariffs.charges import NO_PRICES, Readings
from metrify_assets.analytics.tariffs.inputs import (
    NO_READINGS,
    TariffFiles,
    day_digests,
    days_of_month,
    generation_mixes,
    market_prices,
    month_rows,
    read_tariffs,
    readings_by_point,
)
from metrify_assets.analytics.tariffs.self_use import self_use
from metrify_assets.digest import EMPTY, digest_of, shard_of
from metrify_assets.errors import TariffError
from metrify_assets.platform import Platform
from metrify_assets.reference.calendar import like_days
from metrify_assets.schemas.costs import CARBON_BY_MONTH, COST_BY_MONTH, SELF_CONSUMPTION_BY_MONTH
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import POINTS
from metrify_assets.schemas.table import Table
from metrify_assets.storage.lake import Manifest, Shard
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay, day_number

Row = dict[str, Any]
Numbers = Counter[str]
RowsOfMonth = Callable[[date, Numbers], list[Row]]


@dataclass(frozen=True)
class MonthsResult:
    """A table by month as published, and the months that were computed anew."""

    manifest: Manifest
    computed: Sequence[date]


def _number(month: date) -> int:
    return month.year * 12 + month.month - 1


def due_months(platform: Platform) -> list[date]:
    """Return the first days of the months that have ended and of which a day was computed."""
    days = platform.lake.days(CLEAN_READINGS.name).every_day
    months = sorted({day.replace(day=1) for day in days})
    return [month for month in months if days_of_month(month)[-1] < platform.today]


def compute_costs(platform: Platform, *, force: bool = False) -> MonthsResult:
    """Bill all months that are due.

    Raises
    ------
    TariffError
        If no tariffs are named, or their files are wrong.
    """
    files, zone = _tariffs(platform), platform.settings.timezone

    def rows(month: date, numbers: Numbers) -> list[Row]:
        market = Market(zone, market_prices(platform, month), _holidays)
        shards = platform.settings.shards
        points = {number: [p for p in files.assignments if shard_of(p, shards) == number] for number in range(shards)}
        lines: list[Row] = []
        for number in range(shards):
            clean = month_rows(platform, month, number, set(points[number]))
            slots = readings_by_point(clean)
            for point in points[number]:
                of_point = {
                    direction: slots.get(point, {}).get(direction, NO_READINGS) for direction in ("import", "export")
                }
                spans = spans_of_month(files.book, files.assignments[point], month)
                for span, of_span in bill(spans, of_point, market):
                    lines += [_cost_row(month, point, span, line) for line in of_span]
                    _count(numbers, of_span)
                numbers["clean_micro_kwh"] += _assigned_energy(
                    files, point, of_point, platform.settings.timezone, month
                )
        return lines

    return _compute(
        platform, COST_BY_MONTH, rows, {"tariffs": files.digest}, [CLEAN_READINGS, CLEAN_GRID_STATUS], force=force
    )


def compute_carbon(platform: Platform, *, force: bool = False) -> MonthsResult:
    """Compute the emissions of all points in the months that are due."""
    factors, zone = shipped_factors(), platform.settings.timezone
    registry = platform.lake.manifest(POINTS.name, None)
    areas = platform.lake.read(
        registry, POINTS.arrow, ["point_id", "control_area", "valid_from", "valid_to"]
    ).to_pylist()
    areas.sort(key=lambda row: row["valid_from"])

    def rows(month: date, numbers: Numbers) -> list[Row]:
        last = days_of_month(month)[-1]
        mixes = generation_mixes(platform, month, factors.generation)
        by_area = {area: intensities(mix, factors) for area, mix in mixes.items()}
        area_of = {row["point_id"]: row["control_area"] for row in areas if _valid(row, month, last)}
        lines: list[Row] = []
        for shard in range(platform.settings.shards):
            slots = readings_by_point(month_rows(platform, month, shard, None))
            for point in sorted(slots):
                if "import" not in slots[point]:
                    continue
                readings, area = slots[point]["import"], area_of.get(point)
                missing = _minutes(month, zone) - int(readings.minutes[readings.present].sum())
                row: Row = {"month": month, "point_id": point, "control_area": area, "factors": factors.source}
                row["energy_kwh"] = _kwh(int(readings.micro_kwh[readings.present].sum()))
                if area is None:
                    lines.append(row | _refused("no_control_area", _minutes(month, zone), 0))
                else:
                    result = emissions(readings, missing, by_area.get(area, NO_PRICES))
                    row |= _refused(result.refusal, result.refused_minutes, result.refused_micro_kwh)
                    if result.kg is not None:
                        row |= {"carbon_kg": _micro(result.kg), "estimated_carbon_kg": _micro(result.estimated_kg)}
                    lines.append(row)
        _count_refusals(numbers, lines)
        return lines

    inputs = {"factors": digest_of(factors.model_dump_json()), "points": registry.digest if registry else EMPTY}
    return _compute(platform, CARBON_BY_MONTH, rows, inputs, [CLEAN_READINGS, CLEAN_GRID_STATUS], force=force)


def compute_self_consumption(platform: Platform, *, force: bool = False) -> MonthsResult:
    """Compute feed-in, and self-consumption where the file of tariffs names the generation meter."""
    path, zone = platform.settings.tariffs_file, platform.settings.timezone
    meters = dict(read_tariffs(path).book.generation_meters) if path is not None else {}

    def rows(month: date, numbers: Numbers) -> list[Row]:
        generators = set(meters.values())
        generation: dict[str, Readings] = {}
        lines: list[Row] = []
        for shard in range(platform.settings.shards) if generators else ():
            for point, slots in readings_by_point(month_rows(platform, month, shard, generators)).items():
                generation[point] = slots["export"] if "export" in slots else slots["import"]
        for shard in range(platform.settings.shards):
            slots_of = readings_by_point(month_rows(platform, month, shard, None))
            for point in sorted(slots_of):
                if "export" in slots_of[point] and point not in generators:
                    pair = (slots_of[point]["export"], slots_of[point].get("import", NO_READINGS))
                    lines.append(_self_row(month, point, meters.get(point), generation, pair, zone))
        _count_refusals(numbers, lines)
        return lines

    inputs = {"generation_meters": digest_of(*sorted(meters.items()))}
    return _compute(platform, SELF_CONSUMPTION_BY_MONTH, rows, inputs, [CLEAN_READINGS], force=force)


def _self_row(
    month: date,
    point: str,
    meter: str | None,
    generation: Mapping[str, Readings],
    slots: tuple[Readings, Readings],
    zone: str,
) -> Row:
    fed_in, drawn = slots
    row: Row = {
        "month": month,
        "point_id": point,
        "generation_point_id": meter,
        "fed_in_kwh": _kwh(int(fed_in.micro_kwh[fed_in.present].sum())),
        "drawn_kwh": _kwh(int(drawn.micro_kwh[drawn.present].sum())),
    }
    if meter is None:
        return row | _refused("no_generation_meter", _minutes(month, zone), 0)
    balance = self_use(generation.get(meter, NO_READINGS), fed_in, drawn, _minutes(month, zone))
    if balance.missing_minutes:
        return row | _refused("readings_missing", balance.missing_minutes, 0)
    if balance.contradicting_slots:
        return row | _refused(
            "feed_in_exceeds_generation", balance.contradicting_minutes, balance.contradicting_micro_kwh
        )
    return (
        row
        | _refused(None, 0, 0)
        | {
            "generated_kwh": _kwh(balance.generated),
            "self_consumed_kwh": _kwh(balance.self_consumed),
            "estimated_kwh": _kwh(balance.estimated),
            "self_consumption_share": balance.self_consumption_share,
            "self_sufficiency_share": balance.self_sufficiency_share,
        }
    )


def _compute(
    platform: Platform,
    table: Table,
    rows_of_month: RowsOfMonth,
    inputs: Mapping[str, str],
    tables: Sequence[Table],
    *,
    force: bool,
) -> MonthsResult:
    lake = platform.lake
    before = lake.replaceable(table.name, None)
    shards: dict[int, Shard] = {}
    computed: list[date] = []
    for month in due_months(platform):
        number = _number(month)
        wanted = {**inputs, "zone": platform.settings.timezone}
        wanted |= {source.name: day_digests(platform, source.name, month) for source in tables}
        shard = before.shards.get(number) if before is not None else None
        if force or shard is None or shard.inputs != wanted or not lake.is_whole(shard):
            numbers: Numbers = Counter()
            rows = rows_of_month(month, numbers)
            data = pa.Table.from_pylist(rows, schema=_plain(table.arrow)).cast(table.arrow)
            shard = lake.write_shard(table.name, None, number, data, inputs=wanted, numbers=dict(numbers))
            computed.append(month)
        shards[number] = shard
    return MonthsResult(lake.publish(table.name, None, shards), computed)


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return a schema that rows of Python are turned into: texts as such, decimals of 128 bits."""

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_decimal(kind):
            return pa.decimal128(kind.precision, kind.scale)
        return pa.string() if pa.types.is_dictionary(kind) else kind

    return pa.schema([pa.field(field.name, plain(field.type), field.nullable) for field in schema])


def _tariffs(platform: Platform) -> TariffFiles:
    if platform.settings.tariffs_file is None:
        raise TariffError("no tariffs are named: set METRIFY_TARIFFS_FILE, see docs/tariffs.md")
    return read_tariffs(platform.settings.tariffs_file)


def _holidays(year: int, state: str | None) -> frozenset[int]:
    return frozenset(day_number(day) for day in like_days(year, year, state).holidays)


def _cost_row(month: date, point: str, span: Span, line: Line) -> Row:
    row: Row = {
        "month": month,
        "point_id": point,
        "tariff": span.name,
        "direction": span.direction,
        "first_day": span.first,
        "last_day": span.last,
        "component": line.component,
        "kind": line.kind,
        "energy_kwh": None if line.micro_kwh is None else _kwh(line.micro_kwh),
        "estimated_kwh": None if line.estimated_micro_kwh is None else _kwh(line.estimated_micro_kwh),
        "peak_kw": None if line.peak_kw is None else _micro(line.peak_kw),
        "amount": None if line.cents is None else Decimal(line.cents).scaleb(-2),
        "currency": span.tariff.currency if span.tariff is not None else None,
        "estimated_money_share": line.estimated_money_share,
    }
    return row | _refused(line.refusal, line.refused_minutes, line.refused_micro_kwh)


def _refused(refusal: str | None, minutes: int, micro_kwh: int) -> Row:
    return {
        "refusal": None if refusal is None else str(refusal),
        "refused_hours": minutes / 60,
        "refused_kwh": _kwh(micro_kwh),
    }


def _count(numbers: Numbers, lines: Sequence[Line]) -> None:
    total = lines[-1]
    numbers["bills"] += 1
    numbers["billed_micro_kwh"] += total.micro_kwh or 0
    numbers["component_cents"] += sum(line.cents or 0 for line in lines[:-1]) if total.cents is not None else 0
    numbers["total_cents"] += total.cents or 0
    if total.refusal is not None:
        numbers[f"refused/{total.refusal}"] += 1


def _count_refusals(numbers: Numbers, rows: Sequence[Row]) -> None:
    numbers["points"] += len(rows)
    numbers.update(f"refused/{row['refusal']}" for row in rows if row["refusal"] is not None)


def _assigned_energy(files: TariffFiles, point: str, readings: Mapping[str, Readings], zone: str, month: date) -> int:
    """Return the clean energy of the days on which a point is assigned, day by day: the other side of the check."""
    total = 0
    for assignment in files.assignments[point]:
        slots = readings[files.book.direction(assignment.tariff)]
        for day in days_of_month(month):
            if assignment.covers(day):
                window = DeliveryDay(day, zone)
                inside = (slots.start >= window.start) & (slots.start < window.end) & slots.present
                total += int(slots.micro_kwh[inside].sum())
    return total


def _minutes(month: date, zone: str) -> int:
    days = days_of_month(month)
    return (DeliveryDay(days[-1], zone).end - DeliveryDay(month, zone).start) // MICROSECONDS_PER_MINUTE


def _valid(row: Row, first: date, last: date) -> bool:
    return row["valid_from"] <= last and (row["valid_to"] is None or row["valid_to"] > first)


def _kwh(micro: int) -> Decimal:
    return Decimal(micro).scaleb(-6)


def _micro(value: Fraction) -> Decimal:
    """Return a fraction in millionths, rounded half to even."""
    return _kwh(round(value * 1_000_000))
