"""The registries of the utility: points, meters, operators, weather stations, as tables and as CSV.

Belongs here: what the registry feeds deliver, in the columns of ``schemas.registries`` without where they came from.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta

import pyarrow as pa

from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.schemas.table import Table
from metrify_assets.simulator.draws import BLOCK_POINTS
from metrify_assets.simulator.places import STATIONS, TRANSMISSION_OPERATORS, VENDORS
from metrify_assets.simulator.plan import INTERVAL_MINUTES, SimulationPlan
from metrify_assets.simulator.population import CLASSES, PointBlock, block_count, market_location, point_block

PROVENANCE_COLUMNS = ("feed", "drop_id", "row_number", "received_at")
_MARKET_LOCATIONS = 5_000_000_000
_SPREAD = 387_420_489
"""A power of three, coprime to 10^9: counting in its steps spreads market locations without repeating one."""
_EXCHANGE_EVERY = 20
_MODELS = (("Simetra", "SM-15", "2.1.0"), ("Nordzähler", "NZ4", "1.8.3"), ("Vektron", "VX-200", "4.0.1"))


def _column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name not in PROVENANCE_COLUMNS]


def _blocks(plan: SimulationPlan) -> Iterator[PointBlock]:
    for vendor in range(len(VENDORS)):
        for number in range(block_count(plan, vendor)):
            yield point_block(plan, vendor, number)


def valid_from(plan: SimulationPlan) -> date:
    """Return the first day of every registry row: the first day of the year before the period."""
    return date(plan.first_day.year - 1, 1, 1)


def _serial(block: PointBlock, point: int) -> int:
    """Return a number that no other point has and that more points do not change."""
    return (block.block * BLOCK_POINTS + point) * len(VENDORS) + block.vendor


def _point_rows(plan: SimulationPlan) -> Iterator[tuple]:
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
                since,
                None,
            )


def _meter_rows(plan: SimulationPlan) -> Iterator[tuple]:
    since = valid_from(plan)
    for block in _blocks(plan):
        for point, point_id in enumerate(block.point_ids):
            serial = _serial(block, point)
            model = _MODELS[int(block.draws[point, 2] * len(_MODELS))]
            installed = since - timedelta(days=int(block.draws[point, 3] * 2_000))
            # Some meters are exchanged 10 to 19 days into the period.
            exchanged = serial // len(VENDORS) % _EXCHANGE_EVERY == 7
            until = plan.first_day + timedelta(days=10 + int(block.draws[point, 4] * 10)) if exchanged else None
            yield (f"1SIM00{serial:08d}", point_id, *model, installed, since, until)
            if exchanged:
                yield (f"1SIM01{serial:08d}", point_id, *_MODELS[0], until, until, None)


def _operator_rows(plan: SimulationPlan) -> Iterator[tuple]:
    for vendor in VENDORS:
        yield (vendor.operator_id, vendor.operator_name, "dso", vendor.control_area, valid_from(plan), None)
    for area, operator_id in TRANSMISSION_OPERATORS.items():
        yield (operator_id, f"{area} (simulated)", "tso", area, valid_from(plan), None)


def _station_rows(plan: SimulationPlan) -> Iterator[tuple]:
    for one in STATIONS:
        yield (one.station_id, one.name, one.latitude, one.longitude, one.altitude_m, valid_from(plan), None)


_ROWS = {
    "points": _point_rows,
    "meters": _meter_rows,
    "operators": _operator_rows,
    "weather_stations": _station_rows,
}


def registry_table(plan: SimulationPlan, name: str) -> pa.Table:
    """Return a registry by its table name, with the columns that a feed delivers."""
    names = _column_names(REGISTRIES[name])
    schema = pa.schema([REGISTRIES[name].arrow.field(column) for column in names])
    columns = zip(*_ROWS[name](plan), strict=True)
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def registry_file(plan: SimulationPlan, name: str) -> bytes:
    """Return a registry as comma-separated text; an open end of validity is blank."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_column_names(REGISTRIES[name]))
    writer.writerows(_ROWS[name](plan))
    return text.getvalue().encode()
