"""What comes back: kinds, columns and words; and the laws that hold for any table."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metrify_assets as metrify
from metrify_assets import library as vee
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from metrify_assets.vee.rulebook import DayRules, RuleBook
from tests.examples import examples
from tests.unit.library.frames import household

GAP = range(20 * 96 + 40, 20 * 96 + 60)
SHORT = range(10 * 96 + 30, 10 * 96 + 34)
SPIKE = 15 * 96 + 50
BLOCKED = vee.newest_rules(severities={"spike": "block"})


@pytest.fixture(scope="module")
def faulty() -> pd.DataFrame:
    """Six weeks of a household with a short gap, a long one and a spike."""
    frame = household()
    frame.loc[SPIKE, "kwh"] = 6.5
    return frame.drop(index=[*GAP, *SHORT])


def test_a_table_of_one_meter_needs_times_and_values_only(faulty):
    clean = vee.estimate(faulty)
    assert list(clean.columns) == [
        "interval_start",
        "interval_minutes",
        "kwh",
        "low_kwh",
        "high_kwh",
        "variance_kwh2",
        "status",
        "estimated",
        "method",
        "reason",
        "rules",
        "delivered_kwh",
    ]
    assert len(clean) == 42 * 96
    assert clean.loc[GAP, "method"].eq("similar_day").all()
    assert clean.loc[SHORT, "method"].eq("linear").all()
    assert clean["kwh"].notna().all()
    assert clean["low_kwh"].notna().equals(clean["estimated"])
    assert ((clean["low_kwh"] <= clean["kwh"]) & (clean["kwh"] <= clean["high_kwh"]))[clean["estimated"]].all()
    assert clean["estimated"].sum() == len(GAP) + len(SHORT)
    assert clean.loc[SPIKE, "rules"] == "spike robust_outlier"
    assert clean.loc[SPIKE, "kwh"] == 6.5


def test_a_short_gap_is_a_line_to_the_micro_kwh(faulty):
    clean = vee.estimate(pa.Table.from_pandas(faulty, preserve_index=False))
    values = clean["kwh"].to_pylist()
    left, right = values[SHORT[0] - 1], values[SHORT[-1] + 1]
    for place, slot in enumerate(SHORT, start=1):
        exact = left + (right - left) * place / 5
        assert abs(values[slot] - exact) <= Decimal("0.0000005")


def test_rules_change_what_a_finding_does(faulty):
    row = vee.estimate(faulty, rules=BLOCKED).loc[SPIKE]
    assert (row["status"], row["method"], row["reason"]) == ("estimated", "linear", "spike")
    assert row["delivered_kwh"] == 6.5
    assert vee.validate(faulty, rules=BLOCKED)["refused"].to_numpy().nonzero()[0].tolist() == [SPIKE]


def test_rules_are_given_as_a_book_as_the_rules_of_a_day_or_as_text(faulty):
    off = DayRules(rules=RuleSet(), estimation=EstimationParameters(max_linear_gap_minutes=0, like_days=3))
    text = "editions: [{version: a, valid_from: 1990-01-01, estimation: {max_linear_gap_minutes: 0}}]"
    of_day, of_text = vee.estimate(faulty, rules=off), vee.estimate(faulty, rules=text)
    of_book = vee.estimate(faulty, rules=RuleBook(((faulty["time"].iloc[0].date(), off),)))
    pd.testing.assert_frame_equal(of_day, of_text)
    pd.testing.assert_frame_equal(of_day, of_book)
    assert set(of_day["method"].dropna()) == {"like_day"}


def test_the_same_kind_of_table_comes_back(faulty):
    table = pa.Table.from_pandas(faulty, preserve_index=False)
    for function in (vee.validate, vee.estimate):
        assert isinstance(function(faulty), pd.DataFrame)
        result = function(table)
        assert isinstance(result, pa.Table)
        assert result.schema.field("interval_start").type == pa.timestamp("us", tz="Europe/Berlin")
        assert result.schema.field("delivered_kwh").type == pa.decimal64(18, 6)
    assert isinstance(vee.explain(table, "2026-01-20"), pa.Table)
    assert isinstance(vee.explain(faulty, "2026-01-20"), pd.DataFrame)


def test_the_given_table_is_left_as_it_was(faulty):
    before = faulty.copy(deep=True)
    vee.explain(faulty, "2026-01-20")
    pd.testing.assert_frame_equal(faulty, before)


def test_a_series_and_times_as_index_are_tables_too(faulty):
    expected = vee.estimate(faulty).set_index("interval_start")
    series = faulty.set_index("time")["kwh"]
    pd.testing.assert_frame_equal(vee.estimate(series), expected)
    pd.testing.assert_frame_equal(vee.estimate(series.to_frame()), expected)
    pd.testing.assert_frame_equal(vee.estimate(series.rename("anything")), expected)


def test_columns_have_the_names_that_the_analyst_says(faulty):
    named = faulty.rename(columns={"time": "Zeit", "kwh": "Verbrauch"}).assign(Zähler="A")
    clean = vee.estimate(named, time="Zeit", value="Verbrauch", point="Zähler")
    assert clean["point_id"].eq("A").all()
    assert clean["kwh"].tolist() == vee.estimate(faulty)["kwh"].tolist()


def test_times_may_be_the_ends_of_intervals(faulty):
    ends = faulty.assign(time=faulty["time"] + pd.Timedelta(minutes=15))
    pd.testing.assert_frame_equal(vee.estimate(ends, stamp="end"), vee.estimate(faulty))


def test_power_and_other_units_become_energy(faulty):
    expected = vee.estimate(faulty)
    for unit, factor in (("Wh", 1_000), ("kW", 4), ("W", 4_000), ("MWh", 0.001)):
        values = (faulty["kwh"] * factor).round(9)
        pd.testing.assert_frame_equal(vee.estimate(faulty.assign(kwh=values), unit=unit), expected)
    mixed = faulty.assign(unit=np.where(np.arange(len(faulty)) % 2, "kWh", "Wh"))
    mixed["kwh"] = mixed["kwh"].where(mixed["unit"] == "kWh", mixed["kwh"] * 1_000)
    pd.testing.assert_frame_equal(vee.estimate(mixed, unit="unit"), expected)


def test_what_the_sender_says_of_a_value_counts(faulty):
    status = pd.Series("measured", index=faulty.index)
    status[[100, 101, 102]] = ["substitute", "provisional", "edited"]
    status[103] = None
    clean = vee.estimate(faulty.assign(status=status))
    assert clean.loc[100:103, "status"].tolist() == ["estimated", "estimated", "validated", "measured"]
    assert clean.loc[100:102, "method"].tolist() == ["sender_substitute", "linear", "manual"]


def test_the_registry_says_what_can_be_and_the_profile_what_is_usual():
    frame = household(2).drop(index=range(30, 90))
    frame.loc[100, "kwh"] = 4.0
    clean = vee.estimate(frame, {"connection_kw": 10, "annual_kwh": 3_000, "load_profile": "H0"})
    assert clean.loc[100, "rules"].split() == ["physical_limit"]
    assert clean.loc[100, "reason"] == "physical_limit"
    assert clean.loc[30:89, "method"].eq("profile").all()


def test_explain_says_in_words_why_a_value_is_what_it_is(faulty):
    clean = vee.estimate(faulty, rules=BLOCKED)

    def why(slot: int) -> str:
        [row] = vee.explain(faulty, clean["interval_start"][slot], rules=BLOCKED)["why"]
        return row

    assert why(0) == f"delivered: {faulty['kwh'][0]:g} kWh (row 0); result: {faulty['kwh'][0]:g} kWh measured"
    assert why(GAP[3]).startswith("gap (block): nothing was delivered; similar days: weighted mean")
    between = f"between {round(clean['low_kwh'][GAP[3]], 3):g} and {round(clean['high_kwh'][GAP[3]], 3):g} kWh"
    assert why(GAP[3]).endswith(f"result: {clean['kwh'][GAP[3]]:g} kWh estimated by similar_day, {between}")
    assert f"linear between {clean['kwh'][SHORT[0] - 1]:g} kWh at 07:15 and" in why(SHORT[0])
    assert "spike (block): max 6.5 kWh, third max" in why(SPIKE)
    # Rows count as those of the table do, gaps before it left out.
    assert f"delivered: 6.5 kWh (row {faulty.index.get_loc(SPIKE)})" in why(SPIKE)


def test_explain_of_a_day_has_all_its_slots_beside_their_values(faulty):
    day = vee.explain(faulty, "2026-01-20", rules=BLOCKED)
    clean = vee.estimate(faulty, rules=BLOCKED)
    of_day = clean[clean["interval_start"].dt.date.astype(str) == "2026-01-20"].reset_index(drop=True)
    pd.testing.assert_frame_equal(day.drop(columns="why"), of_day)
    assert day["why"].str.contains("result: ").all()


def test_why_a_value_is_missing_is_said(faulty):
    alone = household(1).drop(index=range(30, 60))
    [why] = vee.explain(alone, "2026-01-05T10:00+01:00")["why"]
    assert "no estimate: the gap is 7.5 h > 2 h" in why
    assert "fewer than 3 complete days" in why
    assert "no load profile in the registry; missing" in why


def test_points_and_channels_are_explained_one_by_one():
    grid = household(3, minutes=60)
    both = pd.concat([grid.assign(point_id=7, obis_code=code) for code in ("1-0:1.29.0", "1-0:2.29.0")])
    both = pd.concat([both, grid.assign(point_id=8, obis_code="1-0:1.29.0")])
    rows = vee.explain(both, "2026-01-05T12:30+01:00", point_id=7)
    assert rows["obis_code"].tolist() == ["1-0:1.29.0", "1-0:2.29.0"]
    assert rows["point_id"].tolist() == [7, 7]
    assert len(vee.explain(both, "2026-01-05T12:30+01:00", point_id=7, obis_code="1-0:2.29.0")) == 1


def test_readings_keep_what_they_have_worked_out(faulty):
    readings = vee.Readings(faulty)
    pd.testing.assert_frame_equal(readings.estimated(), vee.estimate(faulty))
    pd.testing.assert_frame_equal(readings.validated(), vee.validate(faulty))
    pd.testing.assert_frame_equal(readings.explained("2026-01-20"), vee.explain(faulty, "2026-01-20"))


# --- laws -------------------------------------------------------------------------------------------------------------

kept = st.lists(st.booleans(), min_size=5 * 24, max_size=5 * 24)
oddities = st.dictionaries(
    st.integers(0, 5 * 24 - 1), st.sampled_from([0.0, -0.5, 50.0, float("nan"), 0.3]), max_size=12
)


@settings(max_examples=examples(0.3))
@given(kept=kept, odd=oddities, seed=st.integers(0, 1_000))
def test_any_table_keeps_its_measured_values_and_no_order_of_rows_matters(kept, odd, seed):
    frame = household(5, minutes=60)
    for slot, value in odd.items():
        frame.loc[slot, "kwh"] = value
    kept[0] = kept[-1] = True
    frame = frame[kept]
    clean = vee.estimate(frame, minutes=60)
    shuffled = frame.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(vee.estimate(shuffled, minutes=60), clean)
    assert len(clean) == 5 * 24
    delivered = frame.set_index("time")["kwh"].dropna()
    by_time = clean.set_index("interval_start")
    at = by_time.loc[delivered.index]
    assert at["delivered_kwh"].tolist() == delivered.tolist()
    measured = at["status"].eq("measured")
    assert at.loc[measured, "kwh"].tolist() == delivered[measured].tolist()
    assert at.loc[~measured, "reason"].notna().all()
    # Missing is missing: a value, or the status says that there is none.
    assert (by_time["kwh"].isna() == by_time["status"].eq("missing")).all()
    assert (by_time["kwh"].dropna() >= 0).all()


# --- what it takes ----------------------------------------------------------------------------------------------------

ALONE = """
import sys

def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+"):
        raise SystemExit(f"opens {arguments[0]} for writing")
    if event.startswith("socket.connect"):
        raise SystemExit("connects")

import pandas as pd
import metrify_assets as metrify
assert not [name for name in sys.modules if name.startswith("metrify_assets.")]
from metrify_assets import library as vee
times = pd.date_range("2026-01-05", periods=10 * 96, freq="15min", tz="Europe/Berlin")
frame = pd.DataFrame({"time": times, "kwh": [0.1 + n % 7 / 100 for n in range(len(times))]}).drop(index=range(500, 530))
sys.addaudithook(watch)
vee.validate(frame)
vee.estimate(frame)
vee.explain(frame, times[510])
heavy = ("dagster", "boto3", "duckdb", "dbt", "requests", "matplotlib", "pandera")
print(*[name for name in heavy if name in sys.modules])
"""


def test_neither_files_nor_servers_nor_dagster_are_needed(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, ""), run.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_package_names_what_there_is():
    assert metrify.library is vee
    assert callable(metrify.open)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        metrify.nonsense  # noqa: B018
