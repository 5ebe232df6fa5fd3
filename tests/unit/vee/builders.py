"""Small inputs for the tests of the domain core, said in kWh and local clock times.

Belongs here: builders. Does not belong here: expected results (each test states its own; ``oracle.py`` computes them
for random inputs).
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np

from metrify_assets.vee.clean import Basis, clean_shard
from metrify_assets.vee.codes import Flag, SourceStatus
from metrify_assets.vee.delivery_day import DeliveryDay, to_microseconds
from metrify_assets.vee.grid import CleanGrid, Deliveries, SeriesTable, ValidatedGrid
from metrify_assets.vee.history import CompleteDay, DayTotals, HistoryDay
from metrify_assets.vee.like_days import LikeDays
from metrify_assets.vee.parameters import EstimationParameters
from metrify_assets.vee.profiles import LoadProfiles
from metrify_assets.vee.rulebook import DayRules

MICRO = 1_000_000
IMPORT, EXPORT, UNKNOWN_CODE = "1-0:1.29.0", "1-0:2.29.0", "1-0:16.29.0"
RECEIVED = 1_900_000_000_000_000
PLAIN_DAY = DeliveryDay(date(2026, 3, 10))
SPRING_DAY = DeliveryDay(date(2026, 3, 29))
AUTUMN_DAY = DeliveryDay(date(2026, 10, 25))

DTYPES = {
    "series": np.int32,
    "start": np.int64,
    "minutes": np.int16,
    "value": np.int64,
    "is_null": bool,
    "is_register": bool,
    "source_status": np.uint8,
    "received_at": np.int64,
    "order": np.int64,
    "feed": np.int16,
    "wrong_unit": bool,
}


def kwh(value: float) -> int:
    return round(value * MICRO)


def berlin(text: str, fold: int = 0) -> int:
    """Instant of a Berlin wall-clock time such as 2026-03-10 00:15; ``fold`` 1 is the second pass in autumn."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    return to_microseconds(moment)


def series_table(*entries: tuple[str, int, float]) -> SeriesTable:
    """Series of (obis code, minutes, limit kW); one quarter-hourly import series without a limit by default."""
    entries = entries or ((IMPORT, 15, float("nan")),)
    return SeriesTable(
        point_id=np.array([f"P{number}" for number in range(len(entries))], dtype=object),
        obis_code=np.array([code for code, _, _ in entries], dtype=object),
        interval_minutes=np.array([minutes for _, minutes, _ in entries], dtype=np.int16),
        limit_kw=np.array([limit for _, _, limit in entries], dtype=np.float64),
    )


def read(start: int, value: float | None, **changes: object) -> dict:
    """One quarter-hourly measured interval read of series 0, value in kWh; ``None`` is a blank."""
    row = {
        "series": 0,
        "start": start,
        "minutes": 15,
        "value": 0 if value is None else kwh(value),
        "is_null": value is None,
        "is_register": False,
        "source_status": SourceStatus.MEASURED,
        "received_at": RECEIVED,
        "order": None,
    }
    return row | changes


def register(start: int, value: float | None, **changes: object) -> dict:
    """One register read of series 0, in kWh."""
    return read(start, value, is_register=True, **changes)


def deliveries(rows: list[dict]) -> Deliveries:
    """Rows as arrays; rows without an ``order`` are numbered in the order given; feed and unit may be left out."""
    numbered = [row | {"order": row["order"] if row["order"] is not None else i} for i, row in enumerate(rows)]
    return Deliveries(**{name: np.array([row.get(name, 0) for row in numbered], dtype=t) for name, t in DTYPES.items()})


def full_day(day: DeliveryDay, value: float = 0.25, minutes: int = 15, **changes: object) -> list[dict]:
    """One read for every slot; values differ from slot to slot by 1 Wh so that nothing looks stuck."""
    starts = day.slot_starts(minutes).tolist()
    return [read(start, value + 0.001 * (slot % 2), minutes=minutes, **changes) for slot, start in enumerate(starts)]


def validated(day: DeliveryDay, values: list[list[float | None]], minutes: int = 15) -> ValidatedGrid:
    """A validated grid of measured values in kWh; ``None`` is a gap."""
    has_value = np.array([[value is not None for value in row] for row in values])
    delivered = np.array([[kwh(value or 0) for value in row] for row in values], dtype=np.int64)
    shape = has_value.shape
    return ValidatedGrid(
        series=np.arange(shape[0], dtype=np.int32),
        interval_minutes=minutes,
        starts=day.slot_starts(minutes),
        delivered=delivered,
        has_value=has_value,
        source_status=has_value * np.uint8(SourceStatus.MEASURED),
        version=has_value.astype(np.int16),
        flags=~has_value * np.int32(Flag.GAP),
        received_at=has_value * np.int64(RECEIVED),
    )


def estimate(
    day: DeliveryDay,
    grid: ValidatedGrid,
    history: DictHistory,
    calendar: LikeDays,
    parameters: EstimationParameters,
    series: SeriesTable | None = None,
    profiles: LoadProfiles | None = None,
) -> tuple[CleanGrid, frozenset[date]]:
    """The clean grid of series with nothing but a name, and the days whose grids were asked for."""
    if series is None:
        series = series_table(*[(IMPORT, grid.interval_minutes, float("nan"))] * len(grid.series))
    rules = DayRules(estimation=parameters)
    basis = Basis(series, history, lambda state: calendar, profiles or LoadProfiles({}), rules)
    outcome = clean_shard(day, grid, basis)
    return outcome.grid, outcome.grid_days


class DictHistory:
    """History held in memory: validated grids by date; remembers what was asked."""

    def __init__(self, grids: dict[date, ValidatedGrid], zone: str = "Europe/Berlin") -> None:
        self.grids = grids
        self.zone = zone
        self.asked: list[tuple[date, list[int]]] = []

    def history(self, day: date, rows: np.ndarray) -> HistoryDay | None:
        self.asked.append((day, rows.tolist()))
        if day not in self.grids:
            return None
        grid = self.grids[day]
        return HistoryDay.from_validated(
            DeliveryDay(day, self.zone),
            grid.interval_minutes,
            grid.delivered[rows],
            grid.has_value[rows],
            grid.source_status[rows],
            grid.flags[rows],
        )

    def complete_day(self, day: date, rows: np.ndarray) -> CompleteDay | None:
        self.asked.append((day, rows.tolist()))
        if day not in self.grids:
            return None
        grid = self.grids[day]
        return CompleteDay(DeliveryDay(day, self.zone).local_minutes(grid.interval_minutes), grid.delivered[rows])

    def totals(self, day: date, rows: np.ndarray) -> DayTotals | None:
        if day not in self.grids:
            return None
        grid = self.grids[day]
        measured = (grid.valid & (grid.source_status >= SourceStatus.MEASURED))[rows]
        return DayTotals(
            energy=np.where(grid.valid, grid.delivered, 0)[rows].sum(axis=1),
            complete=measured.all(axis=1),
            measured_slots=measured.sum(axis=1),
            registered=np.ones(len(rows), dtype=bool),
        )
