"""Tariffs and their assignments as files: what is wrong is one line that says what to do."""

from __future__ import annotations

from datetime import date

import pytest

from metrify_assets.analytics.tariffs.model import parse_assignments, parse_tariffs
from metrify_assets.errors import TariffError

HOME = "{name: home, valid_from: 2026-01-01, currency: EUR, components: [{name: e, kind: flat, price: '0.2812'}]}"
EXPORT = HOME.replace("home", "pv").replace("currency", "direction: export, currency")
HEADER = "point_id,tariff,valid_from,valid_to\n"


def with_component(component: str) -> str:
    return f"tariffs: [{{name: home, valid_from: 2026-01-01, currency: EUR, components: [{component}]}}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tariffs: [", "t is no YAML"),
        ("tariffs: []", "t: tariffs: "),
        (with_component("{name: e, kind: gift, price: 1}"), "'gift'"),
        (with_component("{name: e, kind: flat, price: cheap}"), "'cheap' is no number"),
        (with_component("{name: e, kind: flat, price: 0.1234567891}"), "more than 9 decimal digits"),
        (with_component("{name: e, kind: flat, price: .nan}"), "beyond 1000000: check the unit"),
        (with_component("{name: total, kind: flat, price: 1}"), "component total needs a name of its own"),
        (with_component("{name: v, kind: tax, percent: 19, of: [e]}"), "tax v needs e before it"),
        (with_component("{name: e, kind: tiered, blocks: [{up_to_kwh: 5, price: 1}]}"), "the last has none"),
        (with_component("{name: e, kind: dynamic, source_id: m, control_area: FR}"), "control_area must be one of"),
        (
            with_component("{name: e, kind: time_of_use, price: 1, windows: [{from: '06:10', to: '07:00', price: 1}]}"),
            "'06:10' is no quarter hour",
        ),
        (f"tariffs: [{HOME}, {HOME}]", "tariff home holds twice on 2026-01-01: end the earlier one by valid_to"),
        (f"tariffs: [{HOME[:-1]}, valid_to: 2026-01-01}}]", "valid_to must be after valid_from"),
        (f"tariffs: [{HOME[:-1]}, holidays: XX}}]", "holidays must be nationwide or one of"),
    ],
)
def test_a_wrong_tariff_file_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(TariffError) as error:
        parse_tariffs(text, "t")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("p,away,2026-01-01,\n", "a.csv, line 2: there is no tariff 'away': use one of home, pv"),
        ("p,home,1.1.2026,\n", "line 2: "),
        ("p,home,2026-01-01\n", "a line needs point_id"),
        ("p,home,2026-01-02,2026-01-02\n", "valid_to must be after valid_from"),
        ("p,home,2026-01-01,\np,home,2026-05-01,\n", "point p has two tariffs of import on 2026-05-01"),
    ],
)
def test_a_wrong_assignment_is_refused_with_its_line(rows: str, message: str) -> None:
    with pytest.raises(TariffError) as error:
        parse_assignments(HEADER + rows, "a.csv", parse_tariffs(f"tariffs: [{HOME}, {EXPORT}]", "t"))
    assert message in str(error.value)


def test_a_point_may_have_a_tariff_of_each_direction() -> None:
    book = parse_tariffs(f"tariffs: [{HOME}, {EXPORT}]", "t")
    assigned = parse_assignments(HEADER + "p,home,2026-01-01,2026-06-01\np,pv,2026-02-01,\n", "a.csv", book)
    assert [(a.tariff, a.valid_to) for a in assigned["p"]] == [("pv", None), ("home", date(2026, 6, 1))]
