"""The picture of a day: that it is drawn, for every length of day, and says what the explanation says."""

from __future__ import annotations

from datetime import date

import pytest

from metrify_assets.explain.gather import explain
from metrify_assets.explain.plot import draw
from tests.unit.explain.conftest import DAY, POINT, correct, usual
from tests.workbench import reads


def test_an_svg_is_the_same_bytes_each_time(busy, tmp_path):
    correct(busy, 20, 5.2)
    explanation = explain(busy.platform, POINT, DAY)
    draw(explanation, tmp_path / "one.svg")
    draw(explanation, tmp_path / "two.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"<svg" in (tmp_path / "one.svg").read_bytes()


@pytest.mark.parametrize("day", [date(2025, 3, 30), date(2025, 10, 26)])
def test_days_of_23_and_25_hours_are_drawn(bench, tmp_path, day):
    bench.register(POINT)
    bench.land("plain", "day.csv", reads([POINT], [day], usual))
    draw(explain(bench.platform, POINT, day), tmp_path / "day.png")
    assert (tmp_path / "day.png").read_bytes().startswith(b"\x89PNG")


def test_a_day_without_any_value_is_drawn(bench, tmp_path):
    bench.register(POINT, "B")
    bench.land("plain", "day.csv", reads(["B"], [DAY], usual))
    draw(explain(bench.platform, POINT, DAY), tmp_path / "day.svg")
    assert (tmp_path / "day.svg").stat().st_size > 0
