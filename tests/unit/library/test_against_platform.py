"""The library computes what the platform computes of the same values, registry and rules, in a real small lake."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from metrify_assets import library as vee
from metrify_assets.explain.gather import explain
from metrify_assets.library.results import rule_names
from metrify_assets.reference.rule_books import newest_edition
from metrify_assets.schemas.readings import VALIDATED_READINGS
from metrify_assets.vee.codes import Flag
from tests.unit.library.frames import ZONE, slots
from tests.workbench import IMPORT, Workbench, instant, workbench

pytestmark = pytest.mark.slow

# The clocks change on the 20th of these days.
DAYS = [date(2026, 3, 10) + timedelta(days) for days in range(24)]
REGISTRY = [
    {"point_id": "A", "connection_kw": 30, "point_class": "household", "federal_state": "BY", "annual_kwh": 4_000},
    {"point_id": "B", "connection_kw": 5, "load_profile": "H0", "annual_kwh": 3_500},
    {"point_id": "C", "point_class": "ev", "connection_kw": 11},
    {"point_id": "D"},
]
HEADER = (
    "point_id,obis_code,interval_minutes,connection_kw,point_class,federal_state,annual_kwh,load_profile,valid_from\n"
)
STATUSES = {"W": "measured", "E": "substitute", "V": "provisional"}


def values(seed: int, minutes: int) -> Iterator[tuple[str, int, str, str]]:
    """Yield point, start, value and status of everything that is delivered, with all that can be wrong with it."""
    random = np.random.default_rng(seed)
    for number, entry in enumerate(REGISTRY):
        starts = slots(DAYS, minutes)
        level = 0.2 + 0.3 * number
        kwh = [
            level * (1 + 0.5 * np.sin(place / (1_440 / minutes) * 2 * np.pi)) + random.gamma(2, 0.05)
            for place in range(len(starts))
        ]
        texts = [f"{value:.3f}" for value in kwh]
        status = random.choice(list(STATUSES), len(starts), p=[0.96, 0.02, 0.02]).tolist()
        absent = np.zeros(len(starts), dtype=bool)
        per_day = 1_440 // minutes
        for _ in range(6):
            place, length = int(random.integers(len(starts) - 4 * per_day)), int(random.integers(1, per_day))
            absent[place : place + length] = True
        # Whole days, several of them for one point.
        absent[(12 + number) * per_day : (13 + 2 * number) * per_day] = True
        for place in random.integers(len(starts), size=3).tolist():
            texts[place] = "40.5"
        for place in random.integers(len(starts), size=3).tolist():
            texts[place] = "-0.25"
        for place in random.integers(len(starts), size=4).tolist():
            texts[place] = ""
        stuck = int(random.integers(len(starts) - 8))
        texts[stuck : stuck + 8] = [texts[stuck]] * 8
        for place, start in enumerate(starts):
            if not absent[place]:
                yield entry["point_id"], start, texts[place], status[place]


def registry_file(minutes: int) -> bytes:
    names = HEADER.strip().split(",")
    rows = [{"obis_code": IMPORT, "interval_minutes": minutes, "valid_from": "2020-01-01"} | row for row in REGISTRY]
    return (HEADER + "".join(",".join(str(row.get(name, "")) for name in names) + "\n" for row in rows)).encode()


def landed(folder: Path, delivered: list[tuple[str, int, str, str]], minutes: int) -> Workbench:
    rules = folder / "rules.yaml"
    rules.write_text(newest_edition())
    bench = workbench(folder, rules_file=rules)
    definition = folder / "feeds" / "with_status.yaml"
    definition.write_text(definition.read_text().replace("interval_minutes: 60", f"interval_minutes: {minutes}"))
    bench.land("registry_points", "points.csv", registry_file(minutes))
    lines = [f"{point},{instant(start)},{value},{status}" for point, start, value, status in delivered]
    bench.land("with_status", "all.csv", ("point,start,kwh,status\n" + "\n".join(lines) + "\n").encode())
    bench.settle()
    return bench


def frame_of(delivered: list[tuple[str, int, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "point_id": [point for point, *_ in delivered],
            "time": pd.to_datetime([start for _, start, *_ in delivered], unit="us", utc=True).tz_convert(ZONE),
            "kwh": [float(value) if value else np.nan for *_, value, _ in delivered],
            "status": [STATUSES[status] for *_, status in delivered],
        }
    )


@pytest.fixture(scope="module", params=[(1, 60), (2, 30)], ids=["hours", "half hours"])
def both(request, tmp_path_factory) -> tuple[Workbench, pd.DataFrame, int]:
    """A lake, and the same values as a table."""
    seed, minutes = request.param
    delivered = list(values(seed, minutes))
    return landed(tmp_path_factory.mktemp("lake"), delivered, minutes), frame_of(delivered), minutes


def within(rows: list[dict], frame: pd.DataFrame) -> list[dict]:
    """Return the rows of a lake from the first to the last time of their series, by series and time."""
    times = frame.groupby("point_id")["time"]
    first, last = times.min(), times.max()
    kept = [row for row in rows if first[row["point_id"]] <= row["interval_start"] <= last[row["point_id"]]]
    return sorted(kept, key=lambda row: (row["point_id"], row["interval_start"]))


def compared(ours: pa.Table, names: dict[str, str], rows: list[dict]) -> None:
    """Compare columns of a result, by the name that each has in the lake, with the rows of the lake."""
    assert ours.num_rows == len(rows) > 1_000
    for name, stored in names.items():
        assert ours[name].to_pylist() == [row[stored] for row in rows], name


def test_clean_readings_are_those_of_the_platform_to_the_micro_kwh(both):
    bench, frame, _ = both
    rows = within([row for day in DAYS for row in bench.clean(day).to_pylist()], frame)
    assert {row["method"] for row in rows} >= {"linear", "similar_day", "profile", "sender_substitute", None}
    assert "missing" in {row["status"] for row in rows}
    clean = vee.estimate(pa.Table.from_pandas(frame), pd.DataFrame(REGISTRY))
    same = ("point_id", "interval_start", "interval_minutes", "status", "method", "reason", "delivered_kwh")
    compared(clean, {"kwh": "value_kwh"} | {name: name for name in same}, rows)
    assert clean["rules"].to_pylist() == rule_names(np.array([row["flags"] for row in rows], np.int32)).to_pylist()
    assert clean["estimated"].to_pylist() == [row["status"] == "estimated" for row in rows]


def test_validated_readings_are_those_of_the_platform(both):
    bench, frame, _ = both
    lake = bench.platform.lake
    tables = [lake.read(lake.manifest("validated_readings", day), VALIDATED_READINGS.arrow) for day in DAYS]
    rows = within([row for table in tables for row in table.to_pylist()], frame)
    checked = vee.validate(pa.Table.from_pandas(frame), pd.DataFrame(REGISTRY))
    same = ("point_id", "interval_start", "interval_minutes", "delivered_kwh", "source_status", "version")
    compared(checked, {name: name for name in same}, rows)
    assert checked["refused"].to_pylist() == [bool(row["flags"] & Flag.REFUSED) for row in rows]


def test_pandas_gives_the_same_values_as_floats(both):
    _, frame, minutes = both
    registry = pd.DataFrame(REGISTRY)
    exact = vee.estimate(pa.Table.from_pandas(frame), registry)
    floats = vee.estimate(frame, registry)
    assert list(floats.columns) == exact.column_names
    for name in ("kwh", "delivered_kwh"):
        assert [None if value is None else float(value) for value in exact[name].to_pylist()] == [
            None if np.isnan(value) else value for value in floats[name]
        ]
    assert (floats["interval_minutes"] == minutes).all()


def test_the_order_of_rows_does_not_matter(both):
    _, frame, _ = both
    registry = pd.DataFrame(REGISTRY)
    shuffled = frame.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(vee.estimate(shuffled, registry), vee.estimate(frame, registry))


def test_reasons_are_those_that_the_platform_gives(both):
    bench, frame, _ = both
    day = DAYS[14]
    for point in ("A", "B"):
        ours = vee.explain(frame, day, pd.DataFrame(REGISTRY), point_id=point)
        [channel] = explain(bench.platform, point, day).channels
        assert len(ours) == len(channel.slots)
        for why, slot in zip(ours["why"], channel.slots, strict=True):
            for finding in slot.findings:
                assert finding.text in why
            assert slot.estimate is None or slot.estimate.text in why
            value = slot.result.value_kwh
            assert value is None or f"result: {float(value):,.6f}".rstrip("0").rstrip(".") in why


def test_values_that_stand_are_those_delivered(both):
    _, frame, _ = both
    clean = vee.estimate(pa.Table.from_pandas(frame), pd.DataFrame(REGISTRY))
    delivered = {
        (point, time): Decimal(f"{kwh:.6f}")
        for point, time, kwh, status in frame.itertuples(index=False)
        if not np.isnan(kwh)
    }
    measured_rows = [row for row in clean.to_pylist() if row["status"] == "measured"]
    assert len(measured_rows) > 1_000
    for row in measured_rows:
        assert row["kwh"] == row["delivered_kwh"] == delivered[row["point_id"], row["interval_start"]]
