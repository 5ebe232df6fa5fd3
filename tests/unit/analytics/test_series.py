"""Values by local day and slot, on days of 23 and 25 hours too."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from metrify_assets.analytics.forecast.series import LoadSeries, instant_of, local_slots, skipped_slots
from tests.unit.analytics.loads import ZONE, instants

SPRING, AUTUMN = date(2019, 3, 31), date(2019, 10, 27)


def test_the_repeated_hour_is_the_mean_of_both_passes_and_missing_without_one_of_them():
    values = np.arange(25.0)
    assert LoadSeries.of("x", instants(AUTUMN, 1), values, minutes=60).values[0, :4].tolist() == [0, 1, 2.5, 4]
    values[3] = np.nan
    assert np.isnan(LoadSeries.of("x", instants(AUTUMN, 1), values, minutes=60).values[0, 2])


def test_the_skipped_hour_has_no_value_but_a_line_to_look_back_at():
    series = LoadSeries.of("x", instants(SPRING, 1), np.arange(23.0), minutes=60)
    assert skipped_slots(SPRING, 60, ZONE).tolist() == [2]
    assert np.isnan(series.values[0, 2])
    assert series.lagged()[0, :5].tolist() == [0, 1, 1.5, 2, 3]


def test_quarter_hours_skipped_in_march_lie_on_the_line_too():
    series = LoadSeries.of("x", instants(SPRING, 1, 15), np.arange(92.0), minutes=15)
    assert series.lagged()[0, 7:13].tolist() == pytest.approx([7, 7.2, 7.4, 7.6, 7.8, 8])


def test_a_value_that_had_not_arrived_is_missing():
    received = np.where(np.arange(24) < 8, 100, 200)
    series = LoadSeries.of("x", instants(date(2019, 2, 1), 1), np.ones(24), minutes=60, received_at=received)
    assert np.isfinite(series.received_by(100).values).sum() == 8
    assert np.isfinite(series.received_by(200).values).sum() == 24


def test_days_of_23_and_25_hours_have_as_many_intervals_and_their_local_slots():
    assert local_slots(SPRING, 60, ZONE)[1].tolist() == [0, 1, *range(3, 24)]
    assert local_slots(AUTUMN, 60, ZONE)[1].tolist() == [0, 1, 2, 2, *range(3, 24)]


@pytest.mark.parametrize(("day", "utc_hour"), [(SPRING, 6), (AUTUMN, 7), (date(2019, 7, 1), 6), (date(2019, 1, 1), 7)])
def test_the_time_of_issue_is_a_local_one(day, utc_hour):
    midnight = (day - date(1970, 1, 1)).days * 86_400_000_000
    assert instant_of(day, 480, ZONE) == midnight + utc_hour * 3_600_000_000


def test_an_interval_that_does_not_divide_an_hour_is_refused():
    with pytest.raises(ValueError, match="7 minutes does not divide an hour"):
        LoadSeries.of("x", np.zeros(1, dtype=np.int64), np.zeros(1), minutes=7)
