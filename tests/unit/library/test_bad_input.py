"""What an analyst can give wrong gets one clear line; what can be computed is computed, and nothing out of nothing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from metrify_assets import library as vee
from metrify_assets.errors import FrameError, MetrifyError, SettingsError
from tests.unit.library.frames import household


def refused(frame, *, match: str, **options) -> None:
    with pytest.raises(FrameError, match=match) as caught:
        vee.estimate(frame, **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, MetrifyError)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return household(3, minutes=60)


def test_naive_times_are_refused(frame):
    naive = frame.assign(time=frame["time"].dt.tz_localize(None))
    refused(naive, match="no time zone.*tz_localize")
    refused(pa.Table.from_pandas(naive), match="no time zone")


def test_times_as_text_or_numbers_are_refused(frame):
    refused(frame.assign(time=frame["time"].astype(str)), match="no times.*to_datetime")
    refused(frame.assign(time=range(len(frame))), match="no times")


def test_rows_without_a_time_are_refused(frame):
    refused(frame.assign(time=frame["time"].where(frame.index != 5)), match="1 rows of 'time' have no time.*row 5")


def test_a_slot_with_two_values_is_refused_and_one_that_is_given_twice_alike_is_not(frame):
    twice = pd.concat([frame, frame.iloc[[7]]])
    assert "duplicate" in vee.validate(twice)["rules"].iloc[7]
    twice.iloc[-1, 1] += 0.001
    refused(twice, match="2 rows give a slot that has another value.*row 7.*keep the value that counts")


def test_a_slot_with_two_values_in_another_unit_is_refused(frame):
    wrong = pd.concat([frame.assign(u="kWh"), frame.iloc[[7]].assign(u="Wh")])
    refused(wrong, unit="u", match="another value")


def test_an_unknown_unit_or_status_is_refused_and_says_which_there_are(frame):
    refused(frame, unit="kwh/h", match="unknown unit 'kwh/h': use one of kWh, Wh, MWh, kW")
    refused(frame.assign(u="Joule"), unit="u", match="unknown unit 'Joule' in 'u'")
    refused(frame.assign(status="ok"), match="unknown status 'ok' in 'status': use one of missing, provisional")


def test_an_empty_table_is_refused(frame):
    refused(frame.iloc[:0], match="no rows")
    refused(pa.Table.from_pandas(frame.iloc[:0]), match="no rows")


def test_what_is_no_table_is_refused(frame):
    refused(frame.to_dict(), match="DataFrame or a PyArrow table is needed, not dict")


def test_an_absent_column_is_named(frame):
    refused(frame.rename(columns={"kwh": "energy"}), match="no column 'kwh' for values.*columns are time, energy")
    refused(frame.rename(columns={"time": "t"}), match="no column 'time' for times")
    refused(frame, point="meter", match="no column 'meter' for points")


def test_two_columns_of_one_name_are_refused(frame):
    refused(pd.concat([frame, frame["kwh"]], axis=1), match="two columns are called 'kwh'")


@pytest.mark.parametrize("value", [np.inf, 1e15, "1,5", "a"])
def test_values_that_are_no_energy_are_refused_with_their_row(frame, value):
    values = frame["kwh"].astype(object)
    values[4] = value
    kind = str if isinstance(value, str) else float
    refused(frame.assign(kwh=[kind(each) for each in values]), match="1 values of 'kwh' are no numbers.*row 4")


def test_values_whose_energy_does_not_fit_are_refused(frame):
    refused(frame.assign(kwh=1e11), unit="MWh", match="72 values of 'kwh' are no numbers")


def test_times_of_which_some_have_no_zone_are_refused(frame):
    times = [time.to_pydatetime() for time in frame["time"]]
    for naive in (0, 5):
        some = [time.replace(tzinfo=None) if place == naive else time for place, time in enumerate(times)]
        refused(frame.assign(time=pd.Series(some, dtype=object)), match="mixes times with and without a time zone")
    times[5] = pd.NaT
    refused(frame.assign(time=pd.Series(times, dtype=object)), match="1 rows of 'time' have no time")


def test_texts_and_integers_are_numbers_too(frame):
    floats = vee.estimate(frame.assign(kwh=range(72)))
    pd.testing.assert_frame_equal(vee.estimate(frame.assign(kwh=[str(n) for n in range(72)])), floats)
    pd.testing.assert_frame_equal(vee.estimate(frame.assign(kwh=np.arange(72.0))), floats)


def test_dates_and_booleans_are_no_values(frame):
    refused(frame.assign(kwh=True), match="holds bool, no numbers")
    refused(frame.assign(kwh=frame["time"]), match="no numbers")


def test_days_far_away_are_refused(frame):
    refused(frame.assign(time=frame["time"] - pd.Timedelta(days=20_000)), match="give days from 1990-01-01")


def test_an_unknown_zone_is_refused(frame):
    refused(frame, timezone="Berlin", match="timezone='Berlin' is no IANA time zone")


def test_wrong_parameters_are_refused(frame):
    refused(frame, stamp="middle", match="stamp='middle'")
    for minutes in (0, 7, -15, True, 1.5):
        refused(frame, minutes=minutes, match="whole minutes that divide a day")
    with pytest.raises(TypeError, match="nonsense"):
        vee.estimate(frame, nonsense=1)


def test_values_between_the_slots_are_refused(frame):
    between = frame.assign(time=frame["time"].where(frame.index != 30, frame["time"] + pd.Timedelta(minutes=20)))
    refused(between, minutes=60, match="1 values of 2026-01-06 fit no slot of 60 minutes: round their times")


def test_a_registry_without_an_entry_for_a_series_is_refused(frame):
    points = frame.assign(point_id="A")
    refused(points, registry=pd.DataFrame({"point_id": ["B"]}), match="no entry for point 'A'")


@pytest.mark.parametrize("at", [np.datetime64("2026-01-12"), 5, None])
def test_what_is_no_day_and_no_instant_is_not_explained(frame, at):
    with pytest.raises(FrameError, match="give a day as 2026-03-10, or an instant as"):
        vee.explain(frame, at)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_an_entry_for_a_point_stands_above_the_one_for_all_in_any_order(frame, order):
    large = frame.assign(kwh=frame["kwh"] + 3)
    entries = pd.DataFrame([{"connection_kw": 1.0}, {"point_id": "A", "connection_kw": 100.0}]).iloc[order]
    ours = vee.estimate(large.assign(point_id="A"), entries)
    others = vee.estimate(large.assign(point_id="B"), entries)
    assert ours["status"].eq("measured").all()
    assert others["kwh"].isna().all()


def test_two_entries_from_one_day_on_are_refused(frame):
    entries = pd.DataFrame([{"connection_kw": 1.0}, {"connection_kw": 100.0}])
    refused(frame, registry=entries, match="several entries for point .* from one day on: keep one, or say valid_from")


def test_a_registry_that_cannot_be_is_refused(frame):
    refused(frame, registry={"conection_kw": 30}, match="no column 'conection_kw': use point_id, obis_code")
    refused(frame, registry={"connection_kw": -1}, match="connection_kw=-1 in the registry: it cannot be less than 0")
    refused(frame, registry={"interval_minutes": 7}, match="interval_minutes=7 in the registry does not divide")
    refused(frame, registry={"valid_from": "soon"}, match="valid_from='soon' in the registry is no day")
    refused(frame, registry={"connection_kw": "10 kW"}, match="connection_kw='10 kW' in the registry is no number")


def test_values_beyond_the_validity_of_the_registry_are_named(frame):
    with pytest.warns(UserWarning, match="24 values lie before valid_from"):
        clean = vee.estimate(frame, {"valid_from": "2026-01-06", "valid_to": date(2026, 1, 8)})
    assert len(clean) == 48
    refused(frame, registry={"valid_from": "2026-02-01"}, match="no value of the table has a slot")


def test_rules_that_cannot_be_are_refused(frame):
    with pytest.raises(SettingsError, match="unknown parameter 'stuck_hours'"):
        vee.newest_rules(rules={"stuck_hours": 2})
    with pytest.raises(SettingsError, match="high_low_min_days=9 must not be more"):
        vee.newest_rules(rules={"high_low_min_days": 9})
    with pytest.raises(SettingsError, match="the rule book"):
        vee.estimate(frame, rules="editions: []")
    refused(frame, rules=3, match="rules are a rule book")


def test_a_question_about_another_day_point_or_channel_says_what_there_is(frame):
    points = pd.concat([frame.assign(point_id="A"), frame.assign(point_id="B")])
    for at, options, match in [
        ("2026-02-01", {"point_id": "A"}, "holds 2026-01-05 to 2026-01-07, not 2026-02-01"),
        ("yesterday", {"point_id": "A"}, "give a day as 2026-03-10"),
        ("2026-01-05T10:00", {"point_id": "A"}, "has no time zone"),
        (date(2026, 1, 5), {}, "2 points: say point_id="),
        (date(2026, 1, 5), {"point_id": "C"}, "no point 'C': use one of A, B"),
        (date(2026, 1, 5), {"point_id": "A", "obis_code": "1-0:2.29.0"}, "no channel '1-0:2.29.0'.*use 1-0:1.29.0"),
    ]:
        with pytest.raises(FrameError, match=match):
            vee.explain(points, at, **options)


# --- what is odd, and still has an answer -----------------------------------------------------------------------------


def test_negative_values_are_refused_by_their_rule_and_estimated(frame):
    frame = frame.copy()
    frame.loc[30, "kwh"] = -0.2
    row = vee.estimate(frame).iloc[30]
    assert (row["rules"], row["reason"], row["method"]) == ("negative", "negative", "linear")
    assert row["delivered_kwh"] == -0.2
    assert row["kwh"] == pytest.approx((frame["kwh"][29] + frame["kwh"][31]) / 2, abs=1e-6)


def test_negative_values_stand_on_a_channel_that_counts_both_ways(frame):
    frame = frame.assign(obis_code="1-0:16.29.0")
    frame.loc[30, "kwh"] = -0.2
    assert vee.estimate(frame)["kwh"][30] == -0.2


def test_one_day_alone_has_short_gaps_filled_and_long_ones_missing():
    frame = household(1).drop(index=[*range(20, 24), *range(50, 70)])
    clean = vee.estimate(frame)
    assert clean.loc[20:23, "method"].eq("linear").all()
    long = clean.loc[50:69]
    assert long["status"].eq("missing").all()
    assert long["kwh"].isna().all()
    assert len(clean) == 96


def test_gaps_at_both_ends_are_outside_of_the_table(frame):
    """The table begins at 10 o'clock and ends at noon: nobody asked for what lies before and after."""
    clean = vee.estimate(frame.iloc[10:60])
    assert clean["interval_start"].tolist() == frame["time"].iloc[10:60].tolist()
    assert clean["status"].eq("measured").all()


def test_a_constant_is_stuck_and_stands():
    clean = vee.estimate(household(3).assign(kwh=0.125))
    assert clean["rules"].str.contains("stuck").all()
    assert clean["kwh"].eq(0.125).all()


def test_zeros_are_zeros_and_gaps_among_them_are_no_numbers_out_of_nothing():
    frame = household(10).assign(kwh=0.0).drop(index=range(500, 540))
    clean = vee.estimate(frame)
    # Also the parts of the day with the gap: the zeros beside it go on over midnight.
    assert clean["rules"].str.contains("zero_run").sum() == 960 - 40
    gap = clean.loc[500:539]
    assert (gap["kwh"].isna() | gap["kwh"].eq(0)).all()
    assert clean.drop(index=gap.index)["kwh"].eq(0).all()


def test_one_percent_measured_stays_missing_and_needs_the_interval_said():
    frame = household(60).sample(frac=0.01, random_state=1).sort_index()
    refused(frame, match="the interval of the table cannot be told.*say minutes=15")
    clean = vee.estimate(frame, minutes=15)
    measured = clean["status"].eq("measured")
    assert measured.sum() == len(frame)
    assert clean[measured]["kwh"].tolist() == frame["kwh"].tolist()
    # Two values that are at most two hours apart have a line between them; all else stays missing.
    others = clean[~measured]
    assert set(others["status"]) == {"missing", "estimated"}
    assert set(others["method"].dropna()) == {"linear"}
    assert others["kwh"].isna().sum() > 0.98 * len(others)


def test_blanks_are_asked_for_and_not_measured(frame):
    last = pd.DataFrame({"time": frame["time"].iloc[[-1]] + pd.Timedelta(hours=1), "kwh": [np.nan]})
    frame = pd.concat([frame, last], ignore_index=True)
    frame.loc[[30, 31], "kwh"] = np.nan
    clean = vee.estimate(frame)
    assert clean.loc[[30, 31], "rules"].eq("blank").all()
    assert clean.loc[[30, 31], "estimated"].all()
    assert len(clean) == len(frame)


def test_a_table_of_blanks_is_all_missing(frame):
    clean = vee.estimate(frame.assign(kwh=np.nan))
    assert clean["status"].eq("missing").all()
    assert clean["kwh"].isna().all()
    table = pa.table({"time": pa.array(frame["time"]), "kwh": pa.nulls(len(frame))})
    assert vee.estimate(table)["kwh"].null_count == len(frame)


def test_a_history_that_ends_is_no_reason_to_go_on():
    """Of many days without any value the first are estimated by days before, and the others are flagged."""
    frame = household(60).drop(index=range(20 * 96, 45 * 96))
    clean = vee.estimate(frame)
    gap = clean.iloc[20 * 96 : 45 * 96]
    assert not gap["status"].isin(["measured"]).any()
    assert gap["rules"].str.contains("prolonged_estimation").any()


# --- the clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "slots"), [("2026-03-29", 92), ("2026-10-25", 100)])
def test_days_on_which_clocks_change_have_their_own_slots(day, slots):
    first = pd.Timestamp(day) - pd.Timedelta(days=7)
    frame = household(9, first=first.date())
    clean = vee.estimate(frame.drop(index=range(7 * 96 + 40, 7 * 96 + 44)))
    of_day = clean[clean["interval_start"].dt.date == date.fromisoformat(day)]
    assert len(of_day) == slots
    assert of_day["method"].eq("linear").sum() == 4
    assert clean["interval_start"].tolist() == frame["time"].tolist()


def test_one_pass_of_the_repeated_hour_alone_is_not_guessed():
    frame = household(3, first=date(2026, 10, 24))
    clean = vee.estimate(frame.drop(index=range(96 + 8, 96 + 12)))
    assert clean["rules"].str.contains("collapsed_dst").sum() == 8
    assert clean.loc[96 + 8 : 96 + 15, "method"].eq("linear").all()


def test_a_clock_that_is_a_little_off_means_the_slot_that_is_near(frame):
    drift = pd.to_timedelta(np.where(np.arange(len(frame)) % 2, -60, 60), unit="s")
    clean = vee.estimate(frame.assign(time=frame["time"] + drift), minutes=np.int64(60))
    assert clean["interval_start"].tolist() == frame["time"].tolist()
    assert clean["kwh"].tolist() == frame["kwh"].tolist()
    assert clean["rules"].eq("clock_drift").all()


def test_whole_days_as_values_are_told_across_the_change_and_the_odd_day_is_named():
    times = pd.date_range("2026-03-20", "2026-04-10", freq="D", tz="Europe/Berlin")
    frame = pd.DataFrame({"time": times, "kwh": np.linspace(8, 9, len(times))})
    with pytest.warns(
        UserWarning, match="2026-03-29 has 23 hours, which slots of 1440 minutes do not divide: 1 values"
    ):
        clean = vee.estimate(frame)
    assert clean["interval_minutes"].eq(1_440).all()
    with pytest.warns(UserWarning, match="do not divide"):
        refused(frame.iloc[9:10], minutes=1_440, match="no value of the table has a slot")
    assert len(clean) == len(frame) - 1


def test_times_of_utc_give_days_of_berlin_and_times_of_a_place_its_own():
    frame = household(3, minutes=60)
    utc = frame.assign(time=frame["time"].dt.tz_convert("UTC"))
    clean = vee.estimate(utc)
    assert str(clean["interval_start"].dt.tz) == "UTC"
    assert clean["kwh"].tolist() == vee.estimate(frame)["kwh"].tolist()
    london = household(3, minutes=60, zone="Europe/London")
    assert vee.Readings(london)._table.zone == "Europe/London"
    assert vee.Readings(london, timezone="Europe/Berlin")._table.zone == "Europe/Berlin"


# --- several intervals ------------------------------------------------------------------------------------------------


def test_a_series_of_two_intervals_is_refused_unless_lengths_are_given():
    hours = household(3, minutes=60)
    quarters = household(3, first=date(2026, 1, 8))
    mixed = pd.concat([hours, quarters])
    refused(mixed, match="the interval of the table cannot be told.*minutes apart: say minutes=")
    mixed["length"] = [60] * len(hours) + [15] * len(quarters)
    refused(mixed, minutes="length", match=r"values of 15 and 60 minutes.*finer ones are added up")
    clean = vee.estimate(mixed, {"interval_minutes": 60}, minutes="length")
    assert clean["status"].eq("measured").all()
    assert len(clean) == 6 * 24
    expected = quarters["kwh"].to_numpy().reshape(-1, 4).sum(axis=1)
    np.testing.assert_allclose(clean["kwh"].iloc[72:], expected, atol=1e-9)
    # An hour is never split into quarters.
    refused(
        mixed,
        registry={"interval_minutes": 15},
        minutes="length",
        match="24 values of 2026-01-05 fit no slot of 15 minutes",
    )


def test_lengths_must_be_whole_minutes(frame):
    refused(frame.assign(length=7), minutes="length", match="holds 7 minutes")
    refused(frame.assign(length=1.5), minutes="length", match="lengths are whole minutes")


def test_series_of_different_intervals_keep_their_own():
    both = pd.concat([household(3, minutes=60).assign(point_id=2), household(3).assign(point_id=10)])
    clean = vee.estimate(both)
    assert clean.groupby("point_id")["interval_minutes"].agg(["min", "max", "size"]).to_dict("index") == {
        2: {"min": 60, "max": 60, "size": 72},
        10: {"min": 15, "max": 15, "size": 288},
    }
    # Numbers are in the order of numbers, and stay numbers.
    assert clean["point_id"].drop_duplicates().tolist() == [2, 10]


def test_quarter_hours_are_added_up_to_the_interval_of_the_registry():
    frame = household(3)
    clean = vee.estimate(frame, {"interval_minutes": 60})
    assert clean["interval_minutes"].eq(60).all()
    np.testing.assert_allclose(clean["kwh"], frame["kwh"].to_numpy().reshape(-1, 4).sum(axis=1), atol=1e-9)


def test_two_times_do_not_tell_an_interval_but_the_registry_does(frame):
    refused(frame.iloc[:2], match="cannot be told from 2 times")
    assert len(vee.estimate(frame.iloc[:2], {"interval_minutes": 60})) == 2


def test_columns_that_are_not_used_are_not_looked_at(frame):
    odd = frame.assign(
        notes=[[1, "a", {"b": None}]] * len(frame), big=[2**70] * len(frame), what=[object()] * len(frame)
    )
    assert vee.estimate(odd).equals(vee.estimate(frame))
    nested = pa.Table.from_pandas(frame).append_column("notes", pa.array([{"a": [1]}] * len(frame)))
    assert vee.estimate(nested).equals(vee.estimate(pa.Table.from_pandas(frame)))


@pytest.mark.parametrize("name", ["time", "value", "point", "obis", "status", "unit", "minutes"])
def test_a_used_column_of_lists_or_structures_is_refused_in_one_line(frame, name):
    for cell in ([1, 2], {"a": 1}):
        nested = frame.assign(nested=[cell] * len(frame))
        refused(nested, match="column 'nested' holds (list|struct)", **{name: "nested"})
    mixed = frame.assign(nested=[[1], {"a": 1}, object()] * (len(frame) // 3))
    refused(mixed, match="column 'nested' mixes kinds of values", **{name: "nested"})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"valeu": "kwh"}, "no option 'valeu': use time, value, point"),
        ({"point_id": "A"}, "no option 'point_id'"),
        ({"time": 5}, "time=5 is no text"),
        ({"value": None}, "value=None is no text"),
        ({"unit": 1}, "unit=1 is no text"),
        ({"unit": ["kWh"]}, "unit=.* is no text"),
        ({"timezone": 1}, "timezone=1 is no text"),
        ({"timezone": ""}, "timezone='' is no IANA"),
        ({"stamp": "middle"}, "stamp='middle'"),
        ({"stamp": ["end"]}, "stamp="),
        ({"minutes": 1.5}, "minutes=1.5"),
        ({"minutes": True}, "minutes=True"),
        ({"rules": 3}, "rules are a rule book"),
        ({"registry": 3}, "DataFrame or a PyArrow table is needed, not int"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(frame, options, match):
    refused(frame, match=match, **options)


@pytest.mark.parametrize("year", [1970, 1989, 2206])
def test_a_stray_year_beyond_all_days_is_refused(frame, year):
    stray = frame.assign(time=frame["time"].where(frame.index != 7, pd.Timestamp(f"{year}-01-05T07:00", tz="UTC")))
    refused(stray, match=f"a time is {year}-01-05: give days from 1990-01-01 to 2199-12-31", minutes=60)


@pytest.mark.parametrize(("year", "gap"), [(2024, "2024-01-05 and 2026-01-05"), (2150, "2026-01-07 and 2150-01-05")])
def test_a_stray_year_is_refused_and_not_filled_with_empty_days(frame, year, gap):
    stray = frame.assign(time=frame["time"].where(frame.index != 7, pd.Timestamp(f"{year}-01-05T07:00", tz="UTC")))
    refused(stray, match=f"no value lies between {gap}: correct the year", minutes=60)


def test_times_that_no_calendar_has_are_refused(frame):
    times = pa.array([10**18, 10**15, 10**15 + 1], pa.timestamp("us", tz="UTC"))
    refused(pa.table({"time": times, "kwh": [1.0, 2, 3]}), match="a time is 33658-09-27", minutes=60)


@pytest.mark.parametrize(("first", "hours"), [(date(2026, 3, 27), 23), (date(2026, 10, 23), 25)])
def test_daily_values_by_their_ends_are_of_the_day_that_ended_when_clocks_change(first, hours):
    ends = pd.date_range(pd.Timestamp(first, tz="Europe/Berlin") + pd.DateOffset(days=1), periods=5, freq="D")
    daily = pd.DataFrame({"time": ends, "kwh": [1.0, 2, 3, 4, 5]})
    with pytest.warns(UserWarning, match=f"has {hours} hours.*1 values are left out"):
        clean = vee.estimate(daily, stamp="end")
    assert clean["kwh"].tolist() == [1, 2, 4, 5]
    days = [first.day, first.day + 1, first.day + 3, first.day + 4]
    assert clean["interval_start"].dt.day.tolist() == days
    by_start = daily.assign(time=pd.date_range(pd.Timestamp(first, tz="Europe/Berlin"), periods=5, freq="D"))
    with pytest.warns(UserWarning, match="1 values are left out"):
        assert vee.estimate(by_start).equals(clean)


def test_hourly_values_by_their_ends_are_those_by_their_starts_when_clocks_change():
    for first in (date(2026, 3, 28), date(2026, 10, 24)):
        by_start = household(3, first=first, minutes=60)
        by_end = by_start.assign(time=by_start["time"] + pd.Timedelta("1h"))
        assert vee.estimate(by_end, stamp="end").equals(vee.estimate(by_start))
