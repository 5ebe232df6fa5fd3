"""The explanation as text: what is in it, and that it fits."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from metrify_assets.explain.gather import explain
from metrify_assets.explain.text import WIDTH, console, show
from metrify_assets.explain.words import energy, number, percent
from tests.unit.explain.conftest import DAY, POINT, correct, edit
from tests.unit.explain.test_registers import land_registers


def shown(bench, *, width: int | None = None, all_slots: bool = False) -> str:
    out = StringIO()
    target = Console(file=out, width=width, highlight=False, markup=False) if width else console(out)
    show(explain(bench.platform, POINT, DAY), target, all_slots=all_slots)
    return out.getvalue()


def test_only_slots_that_need_explaining_are_listed_unless_all_are_asked_for(busy):
    text = shown(busy)
    assert "Slots to explain: 5" in text
    assert "19 slots are plainly measured; --all lists them." in text
    assert "Slots: 24" in shown(busy, all_slots=True)


def test_the_page_names_versions_findings_sources_and_files(busy):
    correct(busy, 20, 5.2)
    edit(busy, 21, 0.7)
    text = " ".join(shown(busy).split())
    for words in (
        "max 5.2 kWh",
        "by M. Weber",
        "superseded",
        "#2 manual_edits/edit.csv",
        "plain/day.csv",
        "not computed yet",
    ):
        assert words in text
    assert "2026-03-03 Tue eligible" in text


@pytest.mark.parametrize("width", [60, 80, WIDTH])
def test_no_line_is_wider_than_the_terminal(busy, width):
    correct(busy, 20, 5.2)
    land_registers(busy, "1000", "1012.5")
    assert max(map(len, shown(busy, width=width).splitlines())) <= width


def test_a_piped_page_has_no_escape_codes_and_a_hundred_columns(busy):
    text = shown(busy)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) == WIDTH


def test_brackets_of_a_remark_are_no_markup(busy):
    edit(busy, 21, 0.7, remark="[red]see ticket[/red]")
    assert "[red]see" in shown(busy)


def test_figures_have_their_unit_and_no_trailing_zeros():
    assert energy(410_000) == "0.41 kWh"
    assert energy(1) == "0.000001 kWh"
    assert number(12_345.5) == "12,345.5"
    assert number(1_000.0) == "1,000"
    assert (percent(478.2), percent(4.26)) == ("478 %", "4.3 %")
