"""Counters, outages, and rules over several days in a table: the library computes what the platform computes."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from metrify_assets import library as vee
from metrify_assets.errors import FrameError
from metrify_assets.library.results import rule_names
from metrify_assets.reference.rule_books import newest_edition
from metrify_assets.vee.codes import Flag
from tests.unit.days.test_register_scaling import midnight, register_reads, registers, with_gaps
from tests.unit.library.frames import household
from tests.workbench import ARRIVED, IMPORT, reads, workbench

pytestmark = pytest.mark.slow

DAYS = [date(2026, 3, 9) + timedelta(number) for number in range(10)]
REGISTER = "1-0:1.8.0"
READS = ((midnight(DAYS[1]), "5.00"), (midnight(DAYS[5], 12), "10.40"), (midnight(DAYS[9]), "14.70"))
MULTIPLIER = 10
OUTAGE = {"starts_at": "2026-03-14T10:00:00+01:00", "ends_at": "2026-03-14T12:00:00+01:00"}


def delivered(point: str, day: date, slot: int) -> float | None:
    """Gaps on some days, one of them in an outage, and one value all night from the 10th to the 11th."""
    if day == DAYS[5] and slot in (10, 11):
        return None
    if (day == DAYS[1] and slot >= 20) or (day == DAYS[2] and slot < 4):
        return 0.25
    return with_gaps(point, day, slot)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lake")
    rules = folder / "rules.yaml"
    rules.write_text(newest_edition())
    bench = workbench(folder, rules_file=rules)
    bench.register("A")
    bench.land("registry_registers", "registers.csv", registers({"multiplier": MULTIPLIER, "digits": 5}))
    outage = f"point_id,starts_at,ends_at,cause\nA,{OUTAGE['starts_at']},{OUTAGE['ends_at']},storm\n"
    bench.land("registry_outages", "outages.csv", outage.encode(), ARRIVED)
    bench.land("plain", "all.csv", reads(["A"], DAYS, delivered))
    bench.land("registers_daily", "registers_1.csv", register_reads(*READS))
    bench.settle()
    return bench


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rows = reads(["A"], DAYS, delivered).decode().splitlines()[1:]
    values = [(IMPORT, "interval", *row.split(",")[1:3]) for row in rows]
    values += [(REGISTER, "register", at, state) for at, state in READS]
    frame = pd.DataFrame(values, columns=["obis_code", "kind", "time", "kwh"]).assign(point_id="A")
    frame["time"] = pd.to_datetime(frame["time"], utc=True).dt.tz_convert("Europe/Berlin")
    return pa.Table.from_pandas(frame)


def compared(result: pa.Table, names: dict[str, str], rows: list[dict]) -> None:
    assert result.num_rows == len(rows) == 240
    for name, stored in names.items():
        assert result[name].to_pylist() == [row[stored] for row in rows], name


GIVEN = {"registers": {"multiplier": MULTIPLIER, "digits": 5}, "outages": OUTAGE}


def test_counters_and_outages_of_a_table_do_what_they_do_on_the_platform(bench, table):
    rows = [row for day in DAYS for row in bench.clean(day).to_pylist()]
    assert {"register_scaled", "documented_zero"} <= {row["method"] for row in rows}
    clean = vee.estimate(table, **GIVEN)
    same = ("interval_start", "status", "method", "scaled_method", "reason", "delivered_kwh")
    compared(clean, {"kwh": "value_kwh"} | {name: name for name in same}, rows)
    assert clean["rules"].to_pylist() == rule_names(np.array([row["flags"] for row in rows], np.int32)).to_pylist()


def test_validation_of_several_days_finds_what_the_clean_day_finds(bench, table):
    flags = np.array([row["flags"] for day in DAYS for row in bench.clean(day).to_pylist()], np.int32)
    checked = vee.validate(table, **GIVEN)
    assert checked["rules"].to_pylist() == rule_names(flags).to_pylist()
    assert checked["refused"].to_pylist() == ((flags & Flag.REFUSED) != 0).tolist()


def test_the_reason_of_a_scaled_value_names_its_bracket(table):
    why = vee.explain(table, midnight(DAYS[3], 10), **GIVEN)["why"].to_pylist()[0]
    assert "of bracket 1" in why
    assert "by register_scaled of linear" in why


def test_the_states_of_a_counter_alone_give_slots():
    times = pd.date_range("2026-03-28", periods=49, freq="h", tz="Europe/Berlin")
    states = pd.DataFrame({"time": times, "kwh": np.arange(49) * 0.5 + 100, "kind": "register"})
    clean = vee.estimate(pa.Table.from_pandas(states))
    assert clean["kwh"].to_pylist() == [Decimal("0.5")] * 48
    assert set(clean["status"].to_pylist()) == {"measured"}
    assert vee.estimate(states, stamp="end")["kwh"].tolist() == [0.5] * 48


def test_what_goes_on_over_midnight_or_is_unusual_for_the_days_is_validated():
    frame = household(42, minutes=60).set_index("time")["kwh"]
    frame["2026-02-01 22:00":"2026-02-02 03:00"] = 0.123
    frame["2026-02-09"] *= 20
    checked = vee.validate(frame)
    night = checked.loc["2026-02-01 22:00":"2026-02-02 03:00", "rules"]
    assert night.str.contains("stuck").all()
    assert checked.loc["2026-02-09", "rules"].str.contains("high_low").all()


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"registers": {"digit": 5}}, "registry registers has no column 'digit': use point_id, obis_code"),
        ({"registers": {"multiplier": "ten"}}, "multiplier='ten' in the registry is no number"),
        ({"registers": 5}, "DataFrame or a PyArrow table is needed, not int"),
        ({"outages": {"starts_at": "2026-03-14"}}, "starts_at=2026-03-14 has no time zone"),
        ({"outages": {"starts_at": "soon"}}, "starts_at='soon' is no instant"),
        ({"outages": {"starts_at": OUTAGE["starts_at"]}}, "an outage has no beginning or no end"),
        ({"outages": OUTAGE | {"ends_at": OUTAGE["starts_at"]}}, "an outage ends at .* not after its beginning"),
        ({"outages": {"begins": 1}}, "registry outages has no column 'begins': use point_id, starts_at, ends_at"),
        ({"unit": "kW"}, "counters do not count kW"),
        ({"kind": "obis_code"}, "unknown kind '1-0:1.29.0'"),
    ],
)
def test_wrong_counters_and_outages_are_refused_in_one_line(table, given, match):
    with pytest.raises(FrameError, match=match) as caught:
        vee.estimate(table, **given)
    assert "\n" not in str(caught.value)
