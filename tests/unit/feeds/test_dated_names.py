from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metrify_assets.feeds.values.dated_names import DatedNames

TODAY = date(2026, 6, 1)


@pytest.mark.parametrize(
    ("pattern", "window"),
    [
        ("%Y/%m/%d/", ("", "2026/05/29")),
        ("north_%Y-%m-%d", ("north_", "north_2026-05-29")),
        ("reads/%Y/day%m%d.csv", ("reads/", "reads/2026/day0529")),
    ],
)
def test_the_window_begins_some_days_ago(pattern, window):
    assert DatedNames(pattern=pattern).window(TODAY) == window


@given(st.integers(-400, 400), st.integers(1, 30), st.sampled_from(["%Y/%m/%d/", "x_%Y%m%d", "%Y-%m/%d_"]))
def test_a_name_is_in_the_window_if_its_date_is(offset, days, pattern):
    names = DatedNames(pattern=pattern, days=days)
    beginning, after = names.window(TODAY)
    name = f"{(TODAY + timedelta(days=offset)).strftime(pattern)}a.csv"
    assert (name.startswith(beginning) and name > after) == (offset >= -days)


@pytest.mark.parametrize("pattern", ["", "%Y/%m/", "%d.%m.%Y", "%Y%m%d%H", "%Y/%m/%d/%d", "%Y%m%", "%y%m%d"])
def test_a_pattern_whose_names_do_not_sort_by_date_is_refused(pattern):
    with pytest.raises(ValidationError, match="so names sort by date"):
        DatedNames(pattern=pattern)
