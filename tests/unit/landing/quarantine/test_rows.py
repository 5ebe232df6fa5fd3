from __future__ import annotations

from metrify_assets.landing.quarantine.rows import refused_rows
from tests.unit.landing.quarantine.mending import BLANKS, mend, redefine


def test_a_refused_row_is_shown_as_it_came_with_its_place(bench):
    drop = bench.land("plain", "sub/a.csv", BLANKS).drop
    rows, total = refused_rows(bench.platform, [drop], limit=10)
    assert total == 3
    assert [(row.row_number, row.line_number, row.reason, row.payload) for row in rows] == [
        (2, 3, "bad_number", "A,2026-03-28T01:00:00Z,-"),
        (3, 5, "bad_number", "A,2026-03-28T02:00:00Z,-"),
        (5, 7, "bad_timestamp", "A,never,4"),
    ]
    for row in rows:
        # The line of the landed file, opened as a person would, is the row.
        with open(row.path) as file:
            assert file.read().splitlines()[row.line_number - 1] == row.payload
        assert (row.feed, row.name, row.landed) == ("plain", "sub/a.csv", drop.landed)


def test_only_so_many_rows_are_shown_and_all_are_counted(bench):
    drops = [bench.land("plain", name, BLANKS + name.encode()).drop for name in ("a.csv", "b.csv")]
    rows, total = refused_rows(bench.platform, drops, limit=4)
    assert (len(rows), total) == (4, 8)
    rows, total = refused_rows(bench.platform, drops, reason="bad_number", limit=9)
    assert ([row.row_number for row in rows], total) == ([2, 3, 2, 3], 4)


def test_a_file_that_was_refused_as_a_whole_has_no_line(bench):
    drop = bench.land("plain", "a.csv", b"wrong\n1\n").drop
    ((row,), _) = refused_rows(bench.platform, [drop], limit=1)
    assert (row.row_number, row.line_number, row.reason) == (0, None, "header_mismatch")
    assert row.payload == "wrong\n1\n"


def test_no_line_is_told_where_rows_were_counted_by_another_definition(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    redefine(bench, "header: [point, start, kwh]", "header: false\ncolumns: [point, start, kwh]")
    rows, _ = refused_rows(bench.platform, [drop], limit=9)
    assert {row.line_number for row in rows} == {None}


def test_rows_are_shown_although_the_landed_file_is_gone(bench):
    drop = bench.land("plain", "a.csv", BLANKS).drop
    bench.platform.store.delete(drop.landed)
    rows, _ = refused_rows(bench.platform, [drop], limit=9)
    assert (rows[0].payload, rows[0].line_number) == ("A,2026-03-28T01:00:00Z,-", None)


def test_drops_without_rejects_have_no_rows(bench):
    mend(bench)
    drop = bench.land("plain", "a.csv", BLANKS[: BLANKS.index(b"A,never")]).drop
    assert refused_rows(bench.platform, [drop], limit=9) == ([], 0)
