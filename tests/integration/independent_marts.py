"""What the marts should hold, worked out a second time: row by row in plain Python, without dbt, SQL or the package.

Belongs here: ``decimal``, ``zoneinfo`` and loops over the rows of the clean tables and registries. Does not belong
here: any import from ``metrify_assets``, because code that is checked against itself is not checked.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
HOLIDAYS = {date(2026, 4, 3)}
"""Public holidays in the period of the test: Good Friday."""
FAILURES = (4, 5, 6, 7, 10, 11, 13, 14, 16, 17, 20, 21, 22, 23, 30)
"""Bits of the flags that fail a value: negative, physical limit, spike, stuck, outlier, size, drift, collapsed hour,
unit, register decrease, sum check, refused scale, high-low, prolonged estimation, refused."""
DUPLICATE = 1 << 2
WEIGHTS = (0.25, 0.25, 0.20, 0.15, 0.10, 0.05)
Row = dict


@dataclass(frozen=True)
class Choices:
    """What the test chooses otherwise than the defaults."""

    completeness: float
    valid_days: float
    transfer: str
    generation: str
    power_quality_days: tuple[date, ...] = ()


POWER_QUALITY = {
    **{f"1-0:{phase}{code}.0": "voltage" for phase in (3, 5, 7) for code in ("2.25", "2.23")},
    **{f"1-0:{phase}1.7.0": "current" for phase in (3, 5, 7)},
    "1-0:13.7.0": "power_factor",
    "1-0:14.7.0": "frequency",
}
"""The channels of power quality that the simulator delivers."""
LIMITS = {
    "voltage": (200, 250, 220, 240, 230),
    "current": (0, 100, 0, 80, 0),
    "power_factor": (0, 1, Decimal("0.8"), 1, 1),
    "frequency": (Decimal("49.5"), Decimal("50.5"), Decimal("49.8"), Decimal("50.2"), 50),
}
"""Lowest and highest valid and normal values, and the nominal one."""


def quantity_day(name: str, rows: list[Row]) -> Row:
    """Return how long a quantity was where on a day, from the values that are no minimum, and its worst value."""
    least, most, low, high, nominal = LIMITS[name]
    own = [row for row in rows if POWER_QUALITY[row["obis_code"]] == name]
    lasting = defaultdict(list)
    for row in own:
        if ".23." not in row["obis_code"]:
            lasting[row["interval_start"]].append(row["value"])
    beyond = [start for start, values in lasting.items() if not all(least <= v <= most for v in values)]
    unusual = [start for start, values in lasting.items() if not all(low <= v <= high for v in values)]
    return {
        f"{name}_minutes": 15 * len(lasting) if own else None,
        f"{name}_out_of_range_minutes": 15 * len(beyond) if own else None,
        f"{name}_anomalous_minutes": 15 * len(unusual) if own else None,
        f"worst_{name}": max((row["value"] for row in own), key=lambda v: (abs(v - nominal), -v), default=None),
    }


def imbalance(rows: list[Row]) -> float | None:
    """Return the highest share by which one of three phase voltages differs from their mean."""
    slots = defaultdict(list)
    for row in rows:
        if row["obis_code"] in ("1-0:32.25.0", "1-0:52.25.0", "1-0:72.25.0"):
            slots[row["interval_start"]].append(row["value"])
    shares = [
        float(max(abs(3 * v - sum(three)) for v in three) / sum(three))
        for three in slots.values()
        if len(three) == 3 and sum(three)
    ]
    return max(shares, default=None)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=BERLIN).astimezone(UTC)


def hours_of(day: date) -> int:
    return round((midnight(day + timedelta(1)) - midnight(day)).total_seconds()) // 3_600


def holding(rows: Iterable[Row], day: date) -> Row | None:
    """Return the one row that holds on a day: the latest start counts."""
    valid = [r for r in rows if r["valid_from"] <= day and (r["valid_to"] is None or day < r["valid_to"])]
    return max(valid, key=lambda row: row["valid_from"], default=None)


def haversine(a: Row, b: Row) -> float:
    """Return the distance in km, by the law of cosines in the form that is exact for small angles, too."""
    north, south = math.radians(a["latitude"]), math.radians(b["latitude"])
    east = math.radians(b["longitude"] - a["longitude"])
    vector = (
        math.cos(south) * math.sin(east),
        math.cos(north) * math.sin(south) - math.sin(north) * math.cos(south) * math.cos(east),
        math.sin(north) * math.sin(south) + math.cos(north) * math.cos(south) * math.cos(east),
    )
    return 6_371 * math.atan2(math.hypot(vector[0], vector[1]), vector[2])


def kw(row: Row) -> float:
    return float(row["value_kwh"]) * 60 / row["interval_minutes"]


def percentile_5(values: list[float]) -> float:
    values = sorted(values)
    position = 0.05 * (len(values) - 1)
    low = math.floor(position)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (position - low)


def worst(rows: list[Row], missing: int) -> str:
    if missing:
        return "missing"
    present = {row["status"] for row in rows}
    return next(s for s in ("provisional", "estimated", "validated", "measured") if s in present)


def certainty(rows: list[Row]) -> Row:
    """Return the variance of the sum of some slots, its certain part, and how many estimates nothing is known of."""
    uncertain = [
        row
        for row in rows
        if row["variance_kwh2"] is None and row["status"] == "estimated" and row["method"] != "documented_zero"
    ]
    return {
        "variance": sum((row["variance_kwh2"] for row in rows if row["variance_kwh2"] is not None), Decimal(0)),
        "fixed": sum((row["value_kwh"] or Decimal(0) for row in rows if row["variance_kwh2"] is None), Decimal(0)),
        "uncertain": len(uncertain),
    }


def ends(obis: str, energy: Decimal | None, variance: float, fixed: Decimal, uncertain: int) -> Row:
    """Return the interval, 10 to 90 %, of an energy."""
    low = high = None
    if energy is not None and not uncertain:
        off = 1.2815515655446004 * math.sqrt(variance)
        low, high = (round(Decimal(float(energy) + sign * off), 6) for sign in (-1, 1))
        if obis.partition(":")[2].startswith(("1.", "2.")):
            low = max(low, fixed)
    return {"energy_low_kwh": low, "energy_high_kwh": high}


def delivery(rows: list[Row], day: date) -> Row:
    """Return how well some slots of a day were delivered."""
    due = datetime.combine(day + timedelta(1), time(8), tzinfo=BERLIN).astimezone(UTC)
    came = [row for row in rows if row["delivered_kwh"] is not None]
    points = 0
    for row in came:
        late = (row["received_at"] - due).total_seconds() / 3_600
        points += 100 if late <= 1 else 80 if late <= 24 else 60 if late <= 7 * 24 else 20
    return {
        "delivered": len(came),
        "failed": sum(any(row["flags"] >> bit & 1 for bit in FAILURES) for row in came),
        "repeated": sum(bool(row["flags"] & DUPLICATE) for row in came),
        "revised": sum(row["version"] > 1 for row in came),
        "versions": sum(row["version"] for row in came),
        "on_time": sum(row["received_at"] <= due for row in came),
        "points": points,
        "last": max((row["interval_start"] for row in came), default=None),
    }


def score(counts: Row) -> float:
    """Return the quality score of counts."""
    if not counts["delivered"]:
        return 0.0
    of = counts["delivered"]
    shares = (
        min(of / counts["expected"], 1),
        counts["measured"] / counts["valued"] if counts["valued"] else 0,
        1 - counts["revised"] / of,
        1 - counts["failed"] / of,
        1 - counts["repeated"] / of,
        counts["points"] / 100 / of,
    )
    return sum(weight * share for weight, share in zip(WEIGHTS, shares, strict=True))


def tier(value: float) -> str:
    return (
        "high" if value > 0.8999999 else "medium" if value > 0.6999999 else "low" if value > 0.4999999 else "critical"
    )


class Marts:
    """Every mart of some clean tables (lists of rows) and registries."""

    def __init__(self, tables: dict[str, list[Row]], choices: Choices):
        self.tables, self.choices = tables, choices
        self.registry: dict[str, dict] = {}
        for name, key in (
            ("points", ("point_id", "obis_code")),
            ("meters", ("point_id",)),
            ("operators", ("operator_id",)),
            ("weather_stations", ("station_id",)),
        ):
            by_key = defaultdict(list)
            for row in tables[name]:
                by_key[tuple(row[column] for column in key)].append(row)
            self.registry[name] = by_key
        self.temperature = self._hourly(tables["clean_weather"], "station_id", "observed_at", "temperature_c")
        self.humidity = self._hourly(tables["clean_weather"], "station_id", "observed_at", "humidity_pct")
        self.channels = defaultdict(list)
        for row in tables["clean_readings"]:
            self.channels[row["point_id"], row["obis_code"], row["day"]].append(row)
        self.days = {key: self._day(key, rows) for key, rows in self.channels.items()}

    @staticmethod
    def _hourly(rows: list[Row], who: str, when: str, what: str) -> dict:
        values = defaultdict(list)
        for row in rows:
            if row[what] is not None:
                hour = int((row[when] - midnight(row["day"])).total_seconds() // 3_600)
                values[row[who], row["day"], hour].append(row[what])
        return {key: sum(measurements) / len(measurements) for key, measurements in values.items()}

    def station(self, point: Row | None, day: date) -> tuple[str | None, float | None]:
        if point is None or point["latitude"] is None:
            return None, None
        there = [held for rows in self.registry["weather_stations"].values() if (held := holding(rows, day))]
        needed = 0.9 * hours_of(day)
        covered = [s for s in there if sum((s["station_id"], day, h) in self.temperature for h in range(25)) >= needed]
        nearest = min(covered or there, key=lambda station: haversine(point, station), default=None)
        return (nearest["station_id"], haversine(point, nearest)) if nearest else (None, None)

    def _day(self, key: tuple[str, str, date], rows: list[Row]) -> Row:
        point_id, obis, day = key
        minutes = rows[0]["interval_minutes"]
        valued = [row for row in rows if row["value_kwh"] is not None]
        expected = hours_of(day) * 60 // minutes
        missing = max(expected - len(valued), 0)
        energy = sum((row["value_kwh"] for row in valued), Decimal(0)) if valued else None
        peak = min(valued, key=lambda row: (-row["value_kwh"], row["interval_start"]), default=None)
        complete = len(valued) / expected >= self.choices.completeness
        point = holding(self.registry["points"][point_id, obis], day)
        meter = holding(self.registry["meters"][(point_id,)], day)
        station, distance = self.station(point, day)
        hours = [self.temperature[station, day, h] for h in range(25) if (station, day, h) in self.temperature]
        enough = len(hours) >= 0.9 * hours_of(day)
        counted = {status: sum(row["status"] == status for row in valued) for status in ("estimated", "provisional")}
        return {
            "point_id": point_id,
            "obis_code": obis,
            "day": day,
            "minutes": minutes,
            "hours": hours_of(day),
            "expected": expected,
            "valued": len(valued),
            "measured": len(valued) - sum(counted.values()),
            **counted,
            "missing": missing,
            "status": worst(valued, missing),
            "known": energy,
            "energy": energy if complete else None,
            "peak": kw(peak) if peak else None,
            "peak_at": peak["interval_start"] if peak else None,
            "peak_status": peak["status"] if peak else None,
            "base": percentile_5([kw(row) for row in valued]) if complete else None,
            **delivery(rows, day),
            **certainty(rows),
            "point": point or {},
            "operator": point["operator_id"] if point else None,
            "meter": meter["meter_id"] if meter else None,
            "station": station,
            "distance": distance,
            "temperature": round(sum(hours) / len(hours), 4) if enough else None,
        }

    def daily_consumption_metrics(self) -> list[Row]:
        return [
            {
                "point_id": d["point_id"],
                "obis_code": d["obis_code"],
                "day": d["day"],
                "interval_minutes": d["minutes"],
                "energy_kwh": d["energy"],
                **ends(d["obis_code"], d["energy"], float(d["variance"]), d["fixed"], d["uncertain"]),
                "expected_slots": d["expected"],
                "measured_slots": d["measured"],
                "estimated_slots": d["estimated"],
                "provisional_slots": d["provisional"],
                "missing_slots": d["missing"],
                "completeness": d["valued"] / d["expected"],
                "estimated_share": d["estimated"] / d["expected"],
                "status": d["status"],
                "peak_kw": d["peak"],
                "peak_at": d["peak_at"],
                "peak_status": d["peak_status"],
                "load_factor": self._load_factor(d["energy"], d["peak"], d["hours"]),
                "base_load_kw": d["base"],
            }
            for d in self.days.values()
        ]

    @staticmethod
    def _load_factor(energy: Decimal | None, peak: float | None, hours: float) -> float | None:
        return float(energy) / (peak * hours) if energy is not None and peak else None

    def energy_efficiency_metrics(self) -> list[Row]:
        metrics = []
        for d in self.days.values():
            factor = self._load_factor(d["energy"], d["peak"], d["hours"])
            metrics.append(
                {
                    "point_id": d["point_id"],
                    "obis_code": d["obis_code"],
                    "day": d["day"],
                    "point_class": d["point"].get("point_class"),
                    "operator_id": d["operator"],
                    "energy_kwh": d["energy"],
                    "status": d["status"],
                    "load_factor": factor,
                    "full_load_hours": float(d["energy"]) / d["peak"] if factor is not None else None,
                    "base_load_kw": d["base"],
                    "base_load_share": d["base"] * d["hours"] / float(d["energy"]) if d["energy"] else None,
                    "peak_kw": d["peak"],
                    "peak_at": d["peak_at"],
                    "peak_local_hour": d["peak_at"].astimezone(BERLIN).hour if d["peak_at"] else None,
                    "peak_status": d["peak_status"],
                    "is_peak_measured": d["peak_status"] in ("measured", "validated") if d["peak_status"] else None,
                    "connection_utilisation": d["peak"] / d["point"]["connection_kw"]
                    if d["peak"] is not None
                    else None,
                }
            )
        return metrics

    def _months(self) -> dict:
        months = defaultdict(list)
        for d in self.days.values():
            months[d["point_id"], d["obis_code"], d["day"].replace(day=1)].append(d)
        return months

    @staticmethod
    def _month_days(month: date) -> list[date]:
        days = [month + timedelta(offset) for offset in range(31)]
        return [day for day in days if day.month == month.month]

    def monthly_consumption_metrics(self) -> list[Row]:
        metrics = []
        for (point, obis, month), days in self._months().items():
            registered = [
                (day, row)
                for day in self._month_days(month)
                if (row := holding(self.registry["points"][point, obis], day))
            ]
            expected = sum(hours_of(day) * 60 // row["interval_minutes"] for day, row in registered)
            hours = sum(hours_of(day) for day, _ in registered)
            valued = sum(d["valued"] for d in days)
            known_kwh = sum((d["known"] for d in days if d["known"] is not None), Decimal(0)) if valued else None
            energy = known_kwh if valued / expected >= self.choices.completeness else None
            peaks = [d for d in days if d["peak"] is not None]
            peak = min(peaks, key=lambda d: (-d["peak"], d["peak_at"]), default=None)
            missing = max(expected - valued, 0)
            counts = {name: sum(d[name] for d in days) for name in ("measured", "estimated", "provisional")}
            whole = [(d["day"], math.sqrt(d["variance"])) for d in days if d["estimated"] == d["expected"]]
            joint = sum(0.6 ** abs((a - b).days) * x * y for a, x in whole for b, y in whole if a != b)
            variance = sum(float(d["variance"]) for d in days) + joint
            fixed = sum((d["fixed"] for d in days), Decimal(0))
            metrics.append(
                {
                    "point_id": point,
                    "obis_code": obis,
                    "month": month,
                    "days": len(days),
                    "complete_days": sum(d["energy"] is not None for d in days),
                    "energy_kwh": energy,
                    **ends(obis, energy, variance, fixed, sum(d["uncertain"] for d in days)),
                    "known_kwh": known_kwh,
                    "expected_slots": expected,
                    **{f"{name}_slots": count for name, count in counts.items()},
                    "missing_slots": missing,
                    "completeness": min(valued / expected, 1),
                    "estimated_share": counts["estimated"] / expected,
                    "status": "missing" if missing else "provisional" if counts["provisional"] else "estimated",
                    "peak_kw": peak["peak"] if peak else None,
                    "peak_at": peak["peak_at"] if peak else None,
                    "peak_status": peak["peak_status"] if peak else None,
                    "load_factor": self._load_factor(energy, peak["peak"] if peak else None, hours),
                }
            )
        return metrics

    def weather_correlation_metrics(self) -> list[Row]:
        metrics = []
        for (point, obis, month), days in self._months().items():
            needed = self.choices.valid_days * len(self._month_days(month))
            temperatures = [d["temperature"] for d in days if d["temperature"] is not None]
            valid = [d for d in days if d["temperature"] is not None and d["energy"] is not None]
            pairs = [(d["temperature"], float(d["energy"])) for d in valid]
            latest = max(days, key=lambda d: d["day"])
            row = {
                "point_id": point,
                "obis_code": obis,
                "month": month,
                "point_class": latest["point"].get("point_class"),
                "operator_id": latest["operator"],
                "temperature_days": len(temperatures),
                "valid_days": len(pairs),
                "estimated_days": sum(d["estimated"] + d["provisional"] > 0 for d in valid),
                "g20_15": None,
                "hdd15": None,
                "cdd22": None,
            }
            if len(temperatures) >= needed:
                row["g20_15"] = Decimal(str(round(sum(20 - t for t in temperatures if t < 15), 4)))
                row["hdd15"] = Decimal(str(round(sum(max(0, 15 - t) for t in temperatures), 4)))
                row["cdd22"] = Decimal(str(round(sum(max(0, t - 22) for t in temperatures), 4)))
            metrics.append(row | self._line(pairs if len(pairs) >= needed else []))
        return metrics

    @staticmethod
    def _line(pairs: list[tuple[float, float]]) -> Row:
        """Return the least-squares line through the points, from deviations from the means."""
        names = ("mean_temperature_c", "mean_daily_kwh", "correlation", "slope_kwh_per_k", "intercept_kwh", "r_squared")
        if not pairs:
            return dict.fromkeys(names)
        t_mean = math.fsum(t for t, _ in pairs) / len(pairs)
        e_mean = math.fsum(e for _, e in pairs) / len(pairs)
        tt = math.fsum((t - t_mean) ** 2 for t, _ in pairs)
        ee = math.fsum((e - e_mean) ** 2 for _, e in pairs)
        te = math.fsum((t - t_mean) * (e - e_mean) for t, e in pairs)
        slope = te / tt if tt else None
        r = te / math.sqrt(tt * ee) if tt and ee else None
        intercept = e_mean - slope * t_mean if slope is not None else None
        return dict(zip(names, (t_mean, e_mean, r, slope, intercept, r * r if r is not None else None), strict=True))

    def data_quality_scorecard(self) -> list[Row]:
        groups = defaultdict(list)
        by_point = defaultdict(list)
        for d in self.days.values():
            by_point[d["point_id"], d["day"]].append(d)
            if d["operator"] is not None:
                groups[d["operator"], d["day"]].append(d)
        scorecard = []
        for (operator, day), days in groups.items():
            names = ("expected", "valued", "measured", "estimated", "missing", "delivered", "failed", "repeated")
            total = {name: sum(d[name] for d in days) for name in (*names, "revised", "versions", "on_time", "points")}
            points = {d["point_id"] for d in days}
            limit = midnight(day + timedelta(1)) - timedelta(hours=36)
            silent = 0
            for point in points:
                before = by_point.get((point, day - timedelta(1)))
                seen = [d["last"] for d in by_point[point, day] + (before or []) if d["last"] is not None]
                silent += bool(before) and not any(moment >= limit for moment in seen)
            value = score(total)
            scorecard.append(
                {
                    "operator_id": operator,
                    "day": day,
                    "points": len(points),
                    "channels": len(days),
                    "expected_slots": total["expected"],
                    "delivered_slots": total["delivered"],
                    "missing_slots": total["missing"],
                    "completeness": total["delivered"] / total["expected"],
                    "on_time_share": total["on_time"] / total["expected"],
                    "estimated_share": total["estimated"] / total["expected"],
                    "failure_share": total["failed"] / total["delivered"] if total["delivered"] else None,
                    "versions_per_interval": total["versions"] / total["delivered"] if total["delivered"] else None,
                    "silent_points": silent,
                    "silent_share": silent / len(points),
                    "quality_score": value,
                    "quality_tier": tier(value),
                }
            )
        return scorecard

    def grid_balance_metrics(self) -> list[Row]:
        groups = defaultdict(list)
        for d in self.days.values():
            if d["operator"] is not None:
                groups[d["operator"], d["day"]].append(d)
        metrics = []
        for (operator, day), days in groups.items():
            parts = {"feed_in": [], "imports": [], "generation": [], "offtake": [], "exports": []}
            borders = 0
            for d in days:
                importing = d["obis_code"].split(":")[1][0] == "1"
                kind = d["point"]["point_class"]
                if kind == self.choices.transfer:
                    borders += 1
                    parts["imports" if importing else "exports"].append(d["energy"])
                elif importing:
                    parts["offtake"].append(d["energy"])
                else:
                    parts["generation" if kind == self.choices.generation else "feed_in"].append(d["energy"])
            sums = {name: None if None in values else sum(values, Decimal(0)) for name, values in parts.items()}
            loss = entered = None
            if None not in (sums["feed_in"], sums["imports"], sums["generation"]):
                entered = sums["feed_in"] + sums["imports"] + sums["generation"]
                if borders and None not in (sums["offtake"], sums["exports"]):
                    loss = entered - sums["offtake"] - sums["exports"]
            complete = sum(d["energy"] is not None for d in days)
            metrics.append(
                {
                    "operator_id": operator,
                    "day": day,
                    "channels": len(days),
                    "complete_channels": complete,
                    "estimated_channels": sum(
                        d["energy"] is not None and d["estimated"] + d["provisional"] > 0 for d in days
                    ),
                    "transfer_channels": borders,
                    "is_complete": complete == len(days),
                    **{f"{name}_kwh": value for name, value in sums.items()},
                    "loss_kwh": loss,
                    "loss_share": float(loss) / float(entered) if loss is not None and entered else None,
                    "is_loss_negative": loss < 0 if loss is not None else None,
                }
            )
        return metrics

    def grid_performance_metrics(self) -> list[Row]:
        """Return the metrics of one source whose intervals do not overlap, without any frequency."""
        series = defaultdict(list)
        for row in self.tables["clean_grid_status"]:
            if row["status"] != "implausible" and row["value"] is not None:
                series[row["control_area"], row["day"], row["metric"]].append(row)
        metrics = []
        for area, day in sorted({key[:2] for key in series}):
            energy, covered = {}, {}
            for metric in ("load_mw", "solar_mw", "wind_onshore_mw", "wind_offshore_mw"):
                rows = series.get((area, day, metric), [])
                covered[metric] = sum(row["resolution_minutes"] for row in rows) / (60 * hours_of(day))
                whole = covered[metric] >= self.choices.completeness
                megawatt_minutes = sum(row["value"] * row["resolution_minutes"] for row in rows)
                energy[metric] = float(megawatt_minutes) / 60 if whole else None
            loads = series.get((area, day, "load_mw"), [])
            peak = min(loads, key=lambda row: (-row["value"], row["interval_start"]), default=None)
            green = [m for m in energy if m != "load_mw" and covered[m]]
            share = None
            if green and energy["load_mw"] and all(energy[m] is not None for m in green):
                share = sum(energy[m] for m in green) / energy["load_mw"]
            for operator, rows in self.registry["operators"].items():
                held = holding(rows, day)
                if held is None or held["control_area"] != area:
                    continue
                metrics.append(
                    {
                        "operator_id": operator[0],
                        "day": day,
                        "operator_kind": held["kind"],
                        "control_area": area,
                        "load_completeness": covered["load_mw"],
                        "load_mwh": energy["load_mw"],
                        "min_load_mw": min((float(row["value"]) for row in loads), default=None),
                        "peak_load_mw": float(peak["value"]) if peak else None,
                        "peak_load_at": peak["interval_start"] if peak else None,
                        "load_factor": energy["load_mw"] / (float(peak["value"]) * hours_of(day))
                        if energy["load_mw"] and peak
                        else None,
                        "solar_mwh": energy["solar_mw"],
                        "wind_onshore_mwh": energy["wind_onshore_mw"],
                        "wind_offshore_mwh": energy["wind_offshore_mw"],
                        "renewable_share": share,
                        "frequency_status": None,
                        "stability": None,
                    }
                )
        return metrics

    def power_quality_metrics(self) -> list[Row]:
        by_point = defaultdict(list)
        for row in self.tables["clean_power_quality"]:
            if row["value"] is not None:
                by_point[row["point_id"], row["day"]].append(row)
        metrics = []
        for day in self.choices.power_quality_days:
            channels = defaultdict(list)
            for (point, obis), rows in self.registry["points"].items():
                held = holding(rows, day)
                if held is not None and obis in POWER_QUALITY:
                    channels[point].append(held["interval_minutes"])
            for point, minutes in channels.items():
                rows = by_point.get((point, day), [])
                expected = sum(hours_of(day) * 60 // length for length in minutes)
                metrics.append(
                    {
                        "point_id": point,
                        "day": day,
                        "channels": len(minutes),
                        "expected_values": expected,
                        "delivered_values": len(rows),
                        "delivered_share": len(rows) / expected,
                        "highest_voltage_imbalance": imbalance(rows),
                        **{key: value for name in LIMITS for key, value in quantity_day(name, rows).items()},
                    }
                )
        return metrics

    def fct_smart_meter_analytics(self) -> list[Row]:
        facts = []
        for (point, obis, day), rows in self.channels.items():
            d = self.days[point, obis, day]
            for number in range(d["hours"]):
                start = midnight(day) + timedelta(hours=number)
                own = [row for row in rows if start <= row["interval_start"] < start + timedelta(hours=1)]
                facts.append(self._hour(d, start, number, own))
        return facts

    def _hour(self, d: Row, start: datetime, number: int, rows: list[Row]) -> Row:
        valued = [row for row in rows if row["value_kwh"] is not None]
        expected = 60 // d["minutes"]
        missing = expected - len(valued)
        counts = {status: sum(row["status"] == status for row in valued) for status in ("estimated", "provisional")}
        measured = len(valued) - sum(counts.values())
        quality = score(d)
        local = start.astimezone(BERLIN)
        working = d["day"].weekday() < 5 and d["day"] not in HOLIDAYS
        autumn_or_spring = (3, 21) <= (local.month, local.day) < (5, 15) or (9, 15) <= (local.month, local.day) < (
            11,
            1,
        )
        return {
            "point_id": d["point_id"],
            "obis_code": d["obis_code"],
            "hour_start": start,
            "local_hour": local.hour,
            "day": d["day"],
            "energy_kwh": sum((row["value_kwh"] for row in valued), Decimal(0)) if not missing else None,
            "expected_slots": expected,
            "measured_slots": measured,
            **{f"{name}_slots": count for name, count in counts.items()},
            "missing_slots": missing,
            "measured_share": measured / expected,
            "estimated_share": counts["estimated"] / expected,
            "min_kw": min(map(kw, valued), default=None),
            "mean_kw": sum(map(kw, valued)) / len(valued) if valued else None,
            "peak_kw": max(map(kw, valued), default=None),
            "status": worst(valued, missing),
            "quality_score": quality,
            "quality_tier": tier(quality),
            "tariff_period": "high" if working and 6 <= local.hour < 22 else "low",
            "season": "transition" if autumn_or_spring else "winter",
            "point_class": d["point"].get("point_class"),
            "meter_id": d["meter"],
            "operator_id": d["operator"],
            "station_id": d["station"],
            "distance_km": d["distance"],
            "temperature_c": self.temperature.get((d["station"], d["day"], number)),
            "humidity_pct": self.humidity.get((d["station"], d["day"], number)),
        }
