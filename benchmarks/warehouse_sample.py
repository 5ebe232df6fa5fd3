"""The lake of benchmark ``warehouse``: clean days, grid status, weather and the registries that the marts read.

Belongs here: tables of the lake in their real form - sharded, sorted, dictionary-encoded, with every status and method,
redeliveries, revisions and late values at stated rates - written by the platform's own lake. Does not belong here:
anything that is measured, and validation or estimation: nobody measures them here, so their result is made up.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from benchmarks.sample import INTERVAL_MINUTES, day_values, gaps, point_ids
from benchmarks.vee_sample import CUSTOMERS, STATES, customers_of, platform_at
from metrify_assets.days.grids import clean_table
from metrify_assets.digest import shard_of
from metrify_assets.platform import Platform
from metrify_assets.schemas.grid_and_weather import CLEAN_GRID_STATUS, CLEAN_WEATHER, CONTROL_AREAS
from metrify_assets.schemas.readings import CLEAN_READINGS
from metrify_assets.schemas.registries import METERS, OPERATORS, POINTS, WEATHER_STATIONS
from metrify_assets.schemas.table import Table
from metrify_assets.vee.codes import Flag, Method, Reason, Status
from metrify_assets.vee.delivery_day import DeliveryDay
from metrify_assets.vee.grid import METHOD_NAMES, NO_CODE, REASON_NAMES, STATUS_NAMES, CleanGrid, SeriesTable

FIRST_DAY = date(2026, 3, 2)
"""The 2nd day is then early in its month and the 60th the last of its month: the worst case for metrics by month."""
SHARDS = 4
"""The default of an installation."""
SEED = 20260302
IMPORT, EXPORT = "1-0:1.29.0", "1-0:2.29.0"
EXPORT_EVERY = 10
"""Every tenth point feeds in as well."""
MOVED_EVERY = 100
"""Every hundredth point has a second version in the registry, from the middle of the days on."""
OPERATORS_OF_POINTS = 8
STATIONS = 60
AREAS = CONTROL_AREAS[:4]
DUPLICATE_SHARE, REVISED_SHARE, LATE_SHARE, SPIKE_SHARE = 0.002, 0.001, 0.02, 0.0005
LONG_GAP_SLOTS = 8
"""Gaps up to this many slots are interpolated; of the longer ones half have like days, half stay missing."""
SOUTH_WEST, NORTH_EAST = (47.5, 6.5), (54.5, 14.5)
"""Places lie in this rectangle: degrees north, degrees east."""
HOUR = 3_600_000_000


def write_lake(root: str, points: int, days: int) -> dict[str, float | str]:
    """Write the registries and some days from ``FIRST_DAY`` on.

    Returns
    -------
    dict
        ``first_day`` (ISO), ``rows_per_day`` of the last day, ``mib`` of the lake.
    """
    platform = platform_at(root, SHARDS)
    platform.keep_format()
    _write_registries(platform, points, FIRST_DAY + timedelta(days=days // 2))
    blocks = [_Block(number, points) for number in range(SHARDS)]
    for offset in range(days):
        day = DeliveryDay(FIRST_DAY + timedelta(days=offset))
        shards = {
            block.number: platform.lake.write_shard(
                CLEAN_READINGS.name, day.day, block.number, clean_table(day.day, block.series, [block.day(day, offset)])
            )
            for block in blocks
        }
        rows = sum(shard.rows for shard in shards.values())
        platform.lake.publish(CLEAN_READINGS.name, day.day, shards)
        for table, content in ((CLEAN_GRID_STATUS, _grid_status(day)), (CLEAN_WEATHER, _weather(day))):
            platform.lake.publish(
                table.name, day.day, {0: platform.lake.write_shard(table.name, day.day, 0, _table(table, content))}
            )
    size = sum(item.size for item in platform.store.list("lake"))
    return {"first_day": FIRST_DAY.isoformat(), "rows_per_day": rows, "mib": size / 2**20}


class _Block:
    """The series of one shard. Loads grow by a Wh a day and gaps move on: a day costs few new random numbers."""

    def __init__(self, number: int, points: int):
        self.number = number
        names = [(place, name) for place, name in enumerate(point_ids(0, points)) if shard_of(name, SHARDS) == number]
        keys = [(name, channel) for place, name in names for channel in channels_of(place)]
        count = len(keys)
        self.series = SeriesTable(
            np.array([name for name, _ in keys], dtype=object),
            np.array([channel for _, channel in keys], dtype=object),
            np.full(count, INTERVAL_MINUTES, np.int16),
            np.full(count, np.nan),
        )
        self.rng = np.random.default_rng([SEED, number])
        # 100 slots serve every day: one of 92 or 96 leaves the last ones out.
        value = np.abs(day_values(self.rng, count, 100)) * 1_000
        hours = np.arange(100) / 4
        sunny = np.exp(-((hours - 13) ** 2) / 8)
        export = np.array([channel == EXPORT for _, channel in keys])
        value[export] = np.rint(value[export] * sunny / 1_000).astype(np.int64) * 1_000
        self.value = value
        self.gap = gaps(self.rng, count, 100)

    def day(self, day: DeliveryDay, offset: int) -> CleanGrid:
        """Return the clean grid of a day."""
        slots = day.slots(INTERVAL_MINUTES)
        count = len(self.value)
        value = np.ascontiguousarray(self.value[:, :slots]) + offset * 1_000 * (self.value[:, :slots] > 0)
        gap = np.ascontiguousarray(np.roll(self.gap, offset * 7, axis=0)[:, :slots])
        draw = np.random.default_rng([SEED, self.number, offset]).random((count, slots), dtype=np.float32)
        known = gap & (np.arange(count) % 2 == 0)[:, None]
        missing = gap & ~known & _in_long_runs(gap)
        estimated = gap & ~missing
        linear = estimated & ~_in_long_runs(gap)
        status = _codes(STATUS_NAMES, Status.MEASURED, (estimated, Status.ESTIMATED), (missing, Status.MISSING))
        method = _codes(METHOD_NAMES, None, (estimated, Method.LIKE_DAY), (linear, Method.LINEAR), shape=gap.shape)
        reason = _codes(REASON_NAMES, None, (gap, Reason.GAP), shape=gap.shape)
        duplicate, revised = draw < DUPLICATE_SHARE, (draw > 0.5) & (draw < 0.5 + REVISED_SHARE)
        spike = (draw > 0.7) & (draw < 0.7 + SPIKE_SHARE)
        flags = np.where(gap, np.int32(Flag.GAP), np.int32(0))
        for where, flag in ((duplicate, Flag.DUPLICATE), (revised, Flag.NEW_VERSION), (spike, Flag.SPIKE)):
            flags |= np.where(where & ~gap, np.int32(flag), np.int32(0))
        late = np.where(draw > 1 - LATE_SHARE, 30 * HOUR, 0)
        received = np.where(gap, 0, day.end + 4 * HOUR + late)
        return CleanGrid(
            series=np.arange(count, dtype=np.int32),
            interval_minutes=INTERVAL_MINUTES,
            starts=day.slot_starts(INTERVAL_MINUTES),
            value=np.where(missing, 0, value),
            has_value=~missing,
            status=status,
            method=method,
            reason=reason,
            flags=flags,
            version=np.where(gap, 0, np.where(revised, 2, 1)).astype(np.int16),
            received_at=received,
            delivered=np.where(gap, 0, value),
            has_delivered=~gap,
        )


def channels_of(place: int) -> tuple[str, ...]:
    """Return the channels of the point with a number."""
    return (IMPORT, EXPORT) if place % EXPORT_EVERY == 0 else (IMPORT,)


def _in_long_runs(gap: np.ndarray) -> np.ndarray:
    """Return which slots lie in a run of more than ``LONG_GAP_SLOTS``; bool, of the shape of ``gap``."""
    slots = gap.shape[1]
    found = np.zeros_like(gap)
    edges = np.diff(np.pad(gap, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, begins = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    for row, begin, end in zip(rows.tolist(), begins.tolist(), ends.tolist(), strict=True):
        if end - begin > LONG_GAP_SLOTS:
            found[row, begin : min(end, slots)] = True
    return found


def _codes(names: tuple, usual: str | None, *cases: tuple[np.ndarray, str], shape: tuple | None = None) -> np.ndarray:
    listed = [str(name) for name in names]
    code = NO_CODE if usual is None else listed.index(usual)
    found = np.full(shape or cases[0][0].shape, code, dtype=np.int8)
    for where, name in cases:
        found[where] = listed.index(name)
    return found


def _write_registries(platform: Platform, points: int, moving_day: date) -> None:
    tables = {
        POINTS: _points(points, moving_day),
        METERS: _meters(points),
        OPERATORS: _operators(),
        WEATHER_STATIONS: _stations(),
    }
    for table, content in tables.items():
        shard = platform.lake.write_shard(table.name, None, 0, _table(table, content))
        platform.lake.publish(table.name, None, {0: shard})


def _table(table: Table, content: dict[str, object]) -> pa.Table:
    """Return a table in full: columns that are not given are null, those of origin are the same in every row."""
    rows = len(next(value for value in content.values() if not isinstance(value, str)))
    received = np.datetime64("2026-03-01T04:00:00", "us")
    whole = {"feed": "bench", "drop_id": "bench", "row_number": np.arange(1, rows + 1), "received_at": received}
    columns = []
    for column in table.arrow:
        value = content.get(column.name, whole.get(column.name))
        if value is None or isinstance(value, str | np.datetime64 | date):
            value = [value] * rows
        kind = column.type
        plain = pa.array(value, kind.value_type if pa.types.is_dictionary(kind) else None, from_pandas=True)
        columns.append(plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain.cast(kind, safe=False))
    return pa.table(columns, schema=table.arrow)


def _places(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([SEED, seed])
    low, high = np.array(SOUTH_WEST), np.array(NORTH_EAST)
    found = low + (high - low) * rng.random((count, 2))
    return found[:, 0].round(4), found[:, 1].round(4)


def _points(points: int, moving_day: date) -> dict[str, object]:
    rows: list[tuple[int, str, bool]] = [
        (place, channel, False) for place in range(points) for channel in channels_of(place)
    ]
    rows += [(place, channel, True) for place, channel, _ in rows if place % MOVED_EVERY == 0]
    rows.sort(key=lambda row: (row[0], row[1], row[2]))
    place = np.array([row[0] for row in rows])
    second = np.array([row[2] for row in rows])
    kinds = customers_of(0, points)[place]
    names = np.array(point_ids(0, points), dtype=object)
    latitude, longitude = _places(points, 0)
    moved = place % MOVED_EVERY == 0
    return {
        "point_id": names[place],
        "obis_code": [channel for _, channel, _ in rows],
        "interval_minutes": np.full(len(rows), INTERVAL_MINUTES),
        "connection_kw": [float(CUSTOMERS[kind].connection_kw) for kind in kinds],
        "point_class": [CUSTOMERS[kind].point_class for kind in kinds],
        "operator_id": [f"dso-{number % OPERATORS_OF_POINTS}" for number in place],
        "control_area": [AREAS[number % len(AREAS)] for number in place],
        "postcode": [f"{10_000 + number % 5_000:05d}" for number in place],
        "federal_state": [STATES[number % len(STATES)] for number in place],
        "latitude": latitude[place],
        "longitude": longitude[place],
        "annual_kwh": [float(CUSTOMERS[kind].annual_kwh) for kind in kinds],
        "load_profile": [CUSTOMERS[kind].load_profile for kind in kinds],
        "valid_from": [moving_day if late else date(2020, 1, 1) for late in second],
        "valid_to": [moving_day if changes and not late else None for changes, late in zip(moved, second, strict=True)],
    }


def _meters(points: int) -> dict[str, object]:
    return {
        "meter_id": [f"1EMH{number:010d}" for number in range(points)],
        "point_id": point_ids(0, points),
        "manufacturer": [("EMH", "EasyMeter", "Iskra")[number % 3] for number in range(points)],
        "installed_on": [date(2019, 6, 1)] * points,
        "valid_from": [date(2020, 1, 1)] * points,
    }


def _operators() -> dict[str, object]:
    dsos = [f"dso-{number}" for number in range(OPERATORS_OF_POINTS)]
    return {
        "operator_id": [*dsos, *(f"tso-{area}" for area in AREAS)],
        "name": [*dsos, *AREAS],
        "kind": ["dso"] * len(dsos) + ["tso"] * len(AREAS),
        "control_area": [*(AREAS[number % len(AREAS)] for number in range(len(dsos))), *AREAS],
        "valid_from": [date(2020, 1, 1)] * (len(dsos) + len(AREAS)),
    }


def _stations() -> dict[str, object]:
    latitude, longitude = _places(STATIONS, 1)
    return {
        "station_id": [f"{number:05d}" for number in range(STATIONS)],
        "name": [f"Station {number}" for number in range(STATIONS)],
        "latitude": latitude,
        "longitude": longitude,
        "altitude_m": np.linspace(0, 900, STATIONS),
        "valid_from": [date(2000, 1, 1)] * STATIONS,
    }


def _grid_status(day: DeliveryDay) -> dict[str, object]:
    """Return quarter hours of load and generation of each control area, and the frequency by minute."""
    found: dict[str, list] = {name: [] for name in ("control_area", "metric", "interval_start", "minutes", "value")}
    quarters, minutes = day.slot_starts(15), day.slot_starts(1)
    series = [(area, metric, quarters, 15) for area in AREAS for metric in ("load_mw", "solar_mw", "wind_onshore_mw")]
    for area, metric, starts, length in [*series, (AREAS[0], "frequency_hz", minutes, 1)]:
        wave = np.sin(np.arange(len(starts)) / len(starts) * 2 * np.pi)
        found["control_area"] += [area] * len(starts)
        found["metric"] += [metric] * len(starts)
        found["interval_start"].append(starts)
        found["minutes"] += [length] * len(starts)
        found["value"].append(50 + 0.04 * wave if metric == "frequency_hz" else 12_000 + 3_000 * wave)
    return {
        "source_id": "bench",
        "control_area": found["control_area"],
        "metric": found["metric"],
        "interval_start": np.concatenate(found["interval_start"]).view("datetime64[us]"),
        "resolution_minutes": found["minutes"],
        "value": [round(float(value), 3) for value in np.concatenate(found["value"])],
        "unit": ["Hz" if metric == "frequency_hz" else "MW" for metric in found["metric"]],
        "status": "measured",
        "day": day.day,
    }


def _weather(day: DeliveryDay) -> dict[str, object]:
    """Return the hours of each station."""
    hours = day.slot_starts(60)
    count = len(hours) * STATIONS
    wave = np.tile(np.sin((np.arange(len(hours)) - 8) / 24 * 2 * np.pi), STATIONS)
    season = (day.day - FIRST_DAY).days / 5
    return {
        "station_id": np.repeat([f"{number:05d}" for number in range(STATIONS)], len(hours)).tolist(),
        "source_id": "bench",
        "observed_at": np.tile(hours, STATIONS).view("datetime64[us]"),
        "temperature_c": (4 + season + 5 * wave + np.repeat(np.linspace(-2, 2, STATIONS), len(hours))).round(1),
        "humidity_pct": (70 - 15 * wave).round(0),
        "global_radiation_wm2": np.maximum(600 * wave, 0).round(0),
        "received_at": np.full(count, day.end + HOUR).view("datetime64[us]"),
        "day": day.day,
    }
