"""Different values for one slot in one file, from the inbox to clean readings."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.days.digests import Digests
from metrify_assets.days.validated import compute_validated
from metrify_assets.feeds import reader
from metrify_assets.landing import ingest
from tests.unit.landing.quarantine.mending import redefine
from tests.workbench import Workbench, flat, reads

DAY = date(2026, 3, 10)
BEFORE, AFTER = date(2026, 3, 9), date(2026, 3, 11)
HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
THREE = b"A,2026-03-10T09:00:00Z,5.1\nA,2026-03-10T09:00:00Z,500\nA,2026-03-10T09:00:00Z,0\n"


def three_values(days=(BEFORE, DAY, AFTER)) -> bytes:
    """Return hourly reads of 0.5 and 0.501 kWh in which one hour has the values 5.1, 500 and 0 kWh."""
    lines = reads(["A"], days, flat(0.5)).splitlines(keepends=True)
    others = [line for line in lines if not line.startswith(b"A,2026-03-10T09:00:00")]
    assert len(others) == len(lines) - 1
    return b"".join(others) + THREE


def slot(bench: Workbench) -> dict:
    (row,) = [row for row in bench.clean(DAY).to_pylist() if row["interval_start"] == HOUR]
    return row


def counted(bench: Workbench, day: date = DAY) -> dict[str, int]:
    from metrify_assets.orchestration.assets.readings import _validated_conservation

    manifest = compute_validated(bench.platform, day, Digests(bench.platform), force=True).manifest
    assert manifest is not None
    numbers, holds = _validated_conservation(manifest)
    assert holds
    return numbers


def landed(bench: Workbench, content: bytes, name: str = "a.csv"):
    drop = bench.land("plain", name, content).drop
    counts = drop.counts
    assert counts["delivered_values"] == counts["raw_values"] + counts["quarantined_values"]
    return drop


def test_three_values_for_one_hour_are_refused_and_the_hour_is_estimated(bench):
    bench.register("A")
    drop = landed(bench, three_values())
    assert drop.counts == {
        "refused_files": 0,
        "rows": 74,
        "delivered_values": 74,
        "raw_values": 71,
        "quarantined_rows": 3,
        "quarantined_values": 3,
    }
    refused = bench.quarantine(drop)
    assert [(row["reason"], row["payload"], row["value_cells"], row["day"]) for row in refused] == [
        ("contradicting_rows", line, 1, DAY) for line in THREE.decode().splitlines()
    ]
    bench.settle()
    published = slot(bench)
    assert (published["status"], published["delivered_kwh"], published["method"]) == ("estimated", None, "linear")
    # The hours beside it are 0.5 and 0.5 kWh (even slots); nothing of 5.1, 500 or 0.
    assert Decimal("0.499") <= published["value_kwh"] <= Decimal("0.502")
    numbers = counted(bench)
    assert (numbers["raw"], numbers["current"], numbers["superseded"]) == (23, 23, 0)


def test_the_refused_rows_are_shown_and_read_once_the_feed_says_that_the_last_counts(bench, monkeypatch):
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", "2")
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(bench.platform.settings.feeds_dir))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, ["quarantine", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    bench.register("A")
    landed(bench, three_values())
    shown = run("show", "--reason", "contradicting_rows")
    for row, line in enumerate(THREE.decode().splitlines(), start=72):
        value = line.rpartition(",")[2]
        assert f"plain/a.csv, row {row}, line {row + 1}: contradicting_rows: expected one value per slot" in shown
        assert f"than kwh: '{value}'" in shown
        assert f"as it came: '{line}'" in shown
    redefine(bench, "unit: kWh", "unit: kWh\nrepeated_rows: last")
    assert "freed 3 rows; 0 still refused" in run("replay", "--feed", "plain")
    assert run("list") == "nothing was refused in 2 drops\n"
    bench.settle()
    published = slot(bench)
    assert (published["status"], published["value_kwh"]) == ("measured", Decimal(0))
    assert counted(bench)["superseded"] == 2


def test_an_earlier_delivery_of_the_hour_stands(bench):
    bench.register("A")
    landed(bench, reads(["A"], [DAY], flat(0.5)), "first.csv")
    landed(bench, three_values([DAY]), "second.csv")
    bench.settle()
    published = slot(bench)
    assert (published["status"], published["value_kwh"]) == ("measured", Decimal("0.500"))


def test_what_was_written_before_the_contradiction_showed_is_deleted(bench, monkeypatch):
    monkeypatch.setattr(ingest, "FLUSH_ROWS", 10)
    monkeypatch.setattr(reader, "MAX_VALUES_PER_BATCH", 8)
    bench.register("A")
    drop = landed(bench, three_values())
    assert (drop.counts["raw_values"], drop.counts["quarantined_values"]) == (71, 3)
    named = {part.file for parts in drop.parts.values() for part in parts}
    assert {entry.key for entry in bench.platform.store.list("lake/raw_readings")} == named
    bench.settle()
    assert slot(bench)["status"] == "estimated"
    assert counted(bench)["raw"] == 23


def test_identical_rows_stay_and_are_counted_as_redeliveries(bench):
    bench.register("A")
    content = reads(["A"], [DAY], flat(0.5))
    drop = landed(bench, content + content.partition(b"\n")[2])
    assert (drop.counts["raw_values"], drop.counts["quarantined_values"]) == (48, 0)
    bench.settle()
    numbers = counted(bench)
    assert (numbers["raw"], numbers["current"], numbers["identical"]) == (48, 24, 24)
    assert slot(bench)["status"] == "measured"


@pytest.mark.parametrize(("counting", "value"), [("first", "5.1"), ("last", "0")])
def test_the_first_or_the_last_counts_where_the_feed_says_so(bench, counting, value):
    redefine(bench, "unit: kWh", f"unit: kWh\nrepeated_rows: {counting}")
    bench.register("A")
    drop = landed(bench, three_values([DAY]))
    bench.settle()
    assert (slot(bench)["status"], slot(bench)["value_kwh"]) == ("measured", Decimal(value))
    refused = [row["payload"] for row in bench.quarantine(drop)]
    assert refused == (THREE.decode().splitlines()[1:] if counting == "first" else [])


def test_drops_read_before_are_outdated_where_the_feed_now_refuses(bench):
    redefine(bench, "unit: kWh", "unit: kWh\nrepeated_rows: last")
    drop = landed(bench, three_values([DAY]))
    assert not ingest.is_outdated(bench.platform, drop)
    redefine(bench, "\nrepeated_rows: last", "")
    assert ingest.outdated(bench.platform) == [drop]
