"""What is made of a gap that is cut, against the library's answer for a table that lacks these values."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metrify_assets import library
from metrify_assets.errors import MetrifyError
from metrify_assets.reference.rule_books import shipped_rule_book
from metrify_assets.scoring.gaps.cascade import estimate_gaps
from metrify_assets.scoring.gaps.places import Gap
from metrify_assets.scoring.gaps.run import score_files
from metrify_assets.scoring.gaps.series import SHARD, MeasuredSeries, SeriesDays
from metrify_assets.vee.delivery_day import DeliveryDay, days_between
from metrify_assets.vee.rulebook import RuleBook

BERLIN = "Europe/Berlin"
IMPORT, EXPORT = "1-0:1.29.0", "1-0:2.29.0"
FIRST, LAST = date(2026, 2, 23), date(2026, 4, 5)
SPRING = date(2026, 3, 29)
NEWEST = RuleBook(((date.min, shipped_rule_book().editions[-1][1]),))


def random_series(point: str, code: str, seed: int) -> MeasuredSeries:
    """Return hours with a daily shape; of an export nothing at night."""
    starts = np.concatenate([DeliveryDay(day, BERLIN).slot_starts(60) for day in days_between(FIRST, LAST)])
    hours = (starts // 3_600_000_000) % 24
    random = np.random.default_rng(seed)
    shape = np.maximum(np.sin((hours - 6) / 12 * np.pi), 0) if code == EXPORT else 1 + np.sin(hours / 24 * 2 * np.pi)
    values = np.rint(shape * random.uniform(0.5, 1.5, len(starts)) * 1_000_000).astype(np.int64)
    return MeasuredSeries(point, code, None, BERLIN, 60, starts, values)


SERIES = [random_series("A", IMPORT, 1), random_series("B", IMPORT, 2), random_series("A", EXPORT, 3)]
GAPS = {
    "inside": ((date(2026, 3, 24), 9, 16),),
    "head": ((date(2026, 3, 24), 0, 6),),
    "over midnight": ((date(2026, 3, 24), 20, 24), (date(2026, 3, 25), 0, 3)),
    "short, over midnight": ((date(2026, 3, 24), 23, 24), (date(2026, 3, 25), 0, 1)),
    "whole day": ((date(2026, 3, 25), 0, 24),),
    "several days": ((date(2026, 3, 24), 13, 24), (date(2026, 3, 25), 0, 24), (date(2026, 3, 26), 0, 13)),
    "clock change": ((SPRING, 1, 8),),
}


def library_answer(parts: tuple[tuple[date, int, int], ...], key: tuple[str, str]) -> list[float]:
    """Return what the library estimates of the slots, in a table that lacks them."""
    lacking = np.concatenate([DeliveryDay(day, BERLIN).slot_starts(60)[start:end] for day, start, end in parts])
    frames = []
    for each in SERIES:
        own = (each.point_id, each.obis_code) == key
        kept = ~(np.isin(each.starts, lacking) & own)
        times = pd.to_datetime(each.starts[kept], unit="us", utc=True).tz_convert(BERLIN)
        frames.append(
            pd.DataFrame(
                {"time": times, "kwh": each.values[kept] / 1e6, "point_id": each.point_id, "obis_code": each.obis_code}
            )
        )
    estimated = library.estimate(pd.concat(frames), minutes=60)
    mine = estimated[(estimated["point_id"] == key[0]) & (estimated["obis_code"] == key[1])]
    starts = pd.to_datetime(lacking, unit="us", utc=True)
    return mine.set_index("interval_start")["kwh"].loc[starts.tz_convert(BERLIN)].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", GAPS)
def test_a_cut_gap_gets_what_the_library_makes_of_values_that_were_never_delivered(name):
    days = SeriesDays(SERIES, NEWEST)
    keys = [(each.point_id, each.obis_code) for each in SERIES]
    # All three at once, one of them twice: each gap is cut alone.
    gaps = [Gap(key, 60, GAPS[name]) for key in [*keys, keys[0]]]
    [cut] = estimate_gaps(days, days, SHARD, gaps, {"new": NEWEST.editions[0][1]})
    value, has_value = cut.estimates["new"]
    slots = sum(end - start for _, start, end in GAPS[name])
    for row, gap in enumerate(cut.gaps):
        assert cut.cut[row].sum() == slots
        assert has_value[row][cut.cut[row]].all()
        assert (value[row][cut.cut[row]] / 1e6).tolist() == pytest.approx(library_answer(GAPS[name], gap.key), abs=1e-9)


def test_the_line_ends_at_the_days_beside_unless_it_is_told_to_stay_within():
    days = SeriesDays(SERIES, NEWEST)
    gap = Gap(("A", IMPORT), 60, GAPS["head"])
    [beyond] = estimate_gaps(days, days, SHARD, [gap], {})
    [within] = estimate_gaps(days, days, SHARD, [gap], {}, beyond_the_days=False)
    day = date(2026, 3, 24)
    before, own = (DeliveryDay(each, BERLIN).start for each in (day - timedelta(days=1), day))
    values = dict(zip(SERIES[0].starts.tolist(), SERIES[0].values.tolist(), strict=True))
    hour = 3_600_000_000
    truth = [values[own + hour * slot] for slot in range(6)]
    left, right = values[before + 23 * hour], values[own + 6 * hour]
    line = [left + (right - left) * (slot + 1) / 7 for slot in range(6)]
    expected = sum(abs(a - b) for a, b in zip(line, truth, strict=True))
    assert beyond.errors()[1].error["line"].tolist() == pytest.approx([expected])
    assert within.errors()[1].error["line"].tolist() == [sum(abs(right - each) for each in truth)]


def test_a_gap_without_days_before_it_is_left_out():
    days = SeriesDays(SERIES, NEWEST)
    gap = Gap(("A", IMPORT), 60, ((FIRST + timedelta(days=1), 3, 13),))
    [cut] = estimate_gaps(days, days, SHARD, [gap], {"new": NEWEST.editions[0][1]})
    compared, errors = cut.errors()
    assert (compared, len(errors), errors.left_out) == ([], 0, 1)


def write_household(folder: Path, days: int, value) -> Path:
    lines = ["LCLid,tstp,energy(kWh/hh)"]
    for number in range(days * 48):
        stamp = pd.Timestamp("2013-01-07") + pd.Timedelta(minutes=30 * number)
        lines.append(f"X,{stamp},{value(number)}")
    (folder / "meters" / "lcl_halfhourly").mkdir(parents=True, exist_ok=True)
    (folder / "meters" / "lcl_halfhourly" / "X.csv").write_text("\n".join(lines) + "\n")
    return folder


def scored(folder: Path, **options):
    book = shipped_rule_book()
    return score_files(folder, book, None, **({"gaps": 4, "seed": 1, "progress": lambda _: None} | options))


def test_a_file_of_zeros_has_no_ratio_and_no_best_edition(tmp_path):
    report = scored(write_household(tmp_path, 40, lambda number: 0))
    assert report.cells
    for cell in report.cells:
        assert {figures.error_to_line for figures in cell.methods.values()} == {None}
        assert {figures.energy for figures in cell.methods.values()} == {None}
    assert [each.choice.best for each in report.classes] == [None]


def test_figures_of_a_file_repeat_and_say_how_many_gaps_they_are_of(tmp_path):
    random = np.random.default_rng(1).uniform(0.1, 1, 48 * 40)
    folder = write_household(tmp_path, 40, lambda number: round(random[number], 3))
    report = scored(folder)
    assert report == scored(folder)
    assert list(report.editions) == ["2020-1", "2026-12"]
    assert report.in_force == "2026-12"
    [household] = report.classes
    assert household.gaps + household.left_out == sum(cell.gaps + cell.left_out for cell in report.cells) > 30
    # Noise has no shape: nothing beats the mean by much, and a line through it is worse than a mean of days.
    assert household.methods["2026-12"].error_to_line < 1


@pytest.mark.parametrize(
    ("days", "value", "message"),
    [
        (1, lambda number: 0.5 + number % 7, "too few series or days: 0 gaps"),
        (40, lambda number: 0.5 if number % 100 == 0 else "Null", "too few series or days: 0 gaps"),
    ],
)
def test_too_little_to_compare_is_one_line(tmp_path, days, value, message):
    with pytest.raises(MetrifyError, match=message):
        scored(write_household(tmp_path, days, value))


def test_a_folder_without_series_and_a_file_that_is_none_are_named(tmp_path):
    with pytest.raises(MetrifyError, match="is no folder: name the folder of real files, or set METRIFY_REAL_DATA"):
        scored(tmp_path / "absent")
    with pytest.raises(MetrifyError, match="holds no series: put CSV files into one of lcl_halfhourly"):
        scored(tmp_path)
    write_household(tmp_path, 1, lambda number: "much")
    with pytest.raises(MetrifyError, match=r"X.csv is no file of lcl_halfhourly: .*take it out of the folder"):
        scored(tmp_path)
    write_household(tmp_path, 1, lambda number: 1)
    with pytest.raises(MetrifyError, match="has a value on the days: leave --days out"):
        score_files(
            tmp_path,
            shipped_rule_book(),
            (date(2020, 1, 1), date(2020, 1, 31)),
            gaps=4,
            seed=1,
            progress=lambda _: None,
        )
