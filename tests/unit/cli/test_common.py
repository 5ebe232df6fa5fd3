"""What all commands share."""

from __future__ import annotations

from metrify_assets.cli.common import aligned


def test_columns_lie_side_by_side_and_numbers_end_at_the_right() -> None:
    lines = [["mart", "rows", "what"], ["dim_date", "5", ""], ["f", "1,200", "hours"]]
    assert aligned(lines, right=[1]) == [
        "mart       rows  what",
        "dim_date      5",
        "f         1,200  hours",
    ]


def test_no_lines_are_no_text() -> None:
    assert aligned([]) == []
