"""The registries of the utility: points, meters, registers, operators, stations, outages; as tables and as CSV.

Belongs here: what the registry feeds deliver, in the columns of ``schemas.registries`` without where they came from.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from metrify_assets.clock import instant
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Table
from metrify_assets.simulator.counters import (
    DIGITS,
    REGISTER_OBIS,
    RESOLUTION_KWH,
    exchange_offset,
    final_states_wh,
    has_register,
    initial_wh,
)
from metrify_assets.simulator.draws import BLOCK_POINTS
from metrify_assets.simulator.incidents import NEVER, incidents
from metrify_assets.simulator.places import STATIONS, TRANSMISSION_OPERATORS, VENDORS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import CLASSES, PointBlock, block_count, market_location, point_block
from metrify_assets.simulator.power_quality import UNITS, power_quality_points
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE, DeliveryDay

PROVENANCE_COLUMNS = ("feed", "drop_id", "row_number", "received_at")
_MARKET_LOCATIONS = 5_000_000_000
_SPREAD = 387_420_489
"""A power of three, coprime to 10^9: counting in its steps spreads market locations without repeating one."""
_OTHER_UNIT = {"meters_north": "Wh", "meters_south": "kWh", "meters_west": "Wh", "meters_east": "W"}
"""A unit that each feed's values do not come in."""
_MODELS = (("Simetra", "SM-15", "2.1.0"), ("Nordzähler", "NZ4", "1.8.3"), ("Vektron", "VX-200", "4.0.1"))


def _column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name not in PROVENANCE_COLUMNS and not column.derived]


def _blocks(plan: SimulationPlan) -> Iterator[PointBlock]:
    for vendor in range(len(VENDORS)):
        for number in range(block_count(plan, vendor)):
            yield point_block(plan, vendor, number)


def valid_from(plan: SimulationPlan) -> date:
    """Return the first day of every registry row: the first day of the year before the period."""
    return date(plan.first_day.year - 1, 1, 1)


def _load_profile(point_class: str, exports: bool) -> str | None:
    """Return the standard load profile that a grid operator would assign; there is none for feed-in."""
    if exports:
        return None
    return "G0" if point_class == "business" else "H0"


def _serial(block: PointBlock, point: int) -> int:
    """Return a number that no other point has and that more points do not change."""
    return (block.block * BLOCK_POINTS + point) * len(VENDORS) + block.vendor


def _point_rows(plan: SimulationPlan) -> Iterator[tuple[object, ...]]:
    yield from _channel_rows(plan)
    power_quality = {point for _, point in power_quality_points(plan)}
    if not power_quality:
        return
    columns = _column_names(REGISTRIES["points"])
    no_energy = dict.fromkeys(("annual_kwh", "load_profile", "malo_id"))
    rows = (dict(zip(columns, row, strict=True)) for row in _channel_rows(plan))
    # The import channel of a point comes first: its place and operator are those of all of its channels.
    for row in {row["point_id"]: row for row in reversed(list(rows)) if row["point_id"] in power_quality}.values():
        for code in UNITS:
            yield tuple((row | no_energy | {"obis_code": code}).values())


def _channel_rows(plan: SimulationPlan) -> Iterator[tuple[object, ...]]:
    """Yield the channels of energy."""
    since = valid_from(plan)
    for block in _blocks(plan):
        vendor, annual = VENDORS[block.vendor], block.channel_annual_kwh()
        for channel in range(block.channels):
            point = int(block.channel_point[channel])
            town = vendor.towns[block.town[point]]
            location = 2 * _serial(block, point) + int(block.channel_exports[channel])
            yield (
                block.point_ids[point],
                block.obis_code(channel),
                INTERVAL_MINUTES,
                float(block.connection_kw[point]),
                CLASSES[block.class_index[point]],
                block.point_ids[point],
                market_location(_MARKET_LOCATIONS - 1 + (1 + location) * _SPREAD % 10**9),
                vendor.operator_id,
                vendor.control_area,
                town.postcode,
                town.federal_state,
                round(town.latitude + 0.1 * float(block.draws[point, 0]) - 0.05, 4),
                round(town.longitude + 0.1 * float(block.draws[point, 1]) - 0.05, 4),
                float(annual[channel]),
                _load_profile(CLASSES[block.class_index[point]], bool(block.channel_exports[channel])),
                since,
                None,
            )


def _meter_rows(plan: SimulationPlan) -> Iterator[tuple[object, ...]]:
    since = valid_from(plan)
    for block in _blocks(plan):
        for point, point_id in enumerate(block.point_ids):
            serial = _serial(block, point)
            model = _MODELS[int(block.draws[point, 2] * len(_MODELS))]
            installed = since - timedelta(days=int(block.draws[point, 3] * 2_000))
            until = _exchanged_on(plan, block, point)
            yield (_meter_id(serial), point_id, *model, installed, since, until)
            if until is not None:
                yield (_meter_id(serial, exchanged=True), point_id, *_MODELS[0], until, until, None)


def _meter_id(serial: int, *, exchanged: bool = False) -> str:
    return f"1SIM{int(exchanged):02d}{serial:08d}"


def _exchanged_on(plan: SimulationPlan, block: PointBlock, point: int) -> date | None:
    offset = int(exchange_offset(block)[point])
    return None if offset == NEVER else plan.day(offset)


def _register_rows(plan: SimulationPlan) -> Iterator[tuple[object, ...]]:
    """Yield the import registers that are read, and the interval channels whose unit is wrong for a day."""
    for block in _blocks(plan):
        block_incidents = incidents(plan, block.vendor, block.block)
        there = has_register(plan, block)
        for point in np.flatnonzero(there).tolist():
            yield from _counter_rows(plan, block, point)
        wrong_unit = _OTHER_UNIT[VENDORS[block.vendor].feed]
        for channel in np.flatnonzero(block_incidents.unit_day[block.channel_point] != NEVER).tolist():
            point = int(block.channel_point[channel])
            day = plan.day(int(block_incidents.unit_day[point]))
            nothing = (None, None, None, None)
            until = day + timedelta(days=1)
            yield (block.point_ids[point], block.obis_code(channel), None, wrong_unit, 1.0, *nothing, day, until)


def _counter_rows(plan: SimulationPlan, block: PointBlock, point: int) -> Iterator[tuple[object, ...]]:
    """Yield a point's register, and its successor if its meter is exchanged."""
    serial, until = _serial(block, point), _exchanged_on(plan, block, point)
    name = (block.point_ids[point], REGISTER_OBIS)
    kind = ("kWh", 1.0, DIGITS, RESOLUTION_KWH)
    final = None if until is None else float(final_states_wh(plan, block, (until - plan.first_day).days)[point]) / 1_000
    yield (*name, _meter_id(serial), *kind, None, final, valid_from(plan), until)
    if until is not None:
        initial = float(initial_wh(block)[point]) / 1_000
        yield (*name, _meter_id(serial, exchanged=True), *kind, initial, None, until, None)


def _outage_rows(plan: SimulationPlan) -> Iterator[tuple[object, ...]]:
    for block in _blocks(plan):
        block_incidents = incidents(plan, block.vendor, block.block)
        for point in np.flatnonzero(block_incidents.outage_day[: len(block.point_ids)] != NEVER).tolist():
            day = DeliveryDay(plan.day(int(block_incidents.outage_day[point])), plan.zone)
            starts = day.slot_starts(INTERVAL_MINUTES)
            first, last = int(block_incidents.outage_start[point]), int(block_incidents.outage_end[point]) - 1
            end = starts[last] + INTERVAL_MINUTES * MICROSECONDS_PER_MINUTE
            yield (block.point_ids[point], instant(int(starts[first])), instant(int(end)), "planned work")


def _operator_rows(plan: SimulationPlan) -> Iterator[tuple[object, ...]]:
    for vendor in VENDORS:
        yield (vendor.operator_id, vendor.operator_name, "dso", vendor.control_area, valid_from(plan), None)
    for area, operator_id in TRANSMISSION_OPERATORS.items():
        yield (operator_id, f"{area} (simulated)", "tso", area, valid_from(plan), None)


def _station_rows(plan: SimulationPlan) -> Iterator[tuple[object, ...]]:
    for station in STATIONS:
        place = (station.latitude, station.longitude, station.altitude_m)
        yield (station.station_id, station.name, *place, valid_from(plan), None)


_ROWS = {
    "points": _point_rows,
    "meters": _meter_rows,
    "operators": _operator_rows,
    "weather_stations": _station_rows,
    "registers": _register_rows,
    "outages": _outage_rows,
}


def registry_table(plan: SimulationPlan, name: str) -> pa.Table:
    """Return a registry by its table name, with the columns that a feed delivers."""
    names = _column_names(REGISTRIES[name])
    schema = pa.schema([REGISTRIES[name].arrow.field(column) for column in names])
    rows = list(_ROWS[name](plan))
    columns = zip(*rows, strict=True) if rows else [[] for _ in names]
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def registry_file(plan: SimulationPlan, name: str) -> bytes | None:
    """Return a registry as comma-separated text, None without any row; an open end of validity is blank."""
    rows = list(_ROWS[name](plan))
    if not rows:
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_column_names(REGISTRIES[name]))
    writer.writerows(rows)
    return text.getvalue().encode()
