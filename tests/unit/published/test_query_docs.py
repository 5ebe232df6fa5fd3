"""What docs/query.md tells its readers to type works as it stands there."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.published.models import Column
from metrify_assets.settings import REPOSITORY_DIR
from tests.small_marts import DAILY, SCORE, small_marts

TEXT = (REPOSITORY_DIR / "docs" / "query.md").read_text(encoding="utf-8")
CHANNEL = Column("obis_code", "varchar", "Channel.", False)
CONSUMPTION = replace(DAILY, name="daily_consumption_metrics", columns=(CHANNEL, *DAILY.columns))
BALANCE = replace(SCORE, name="grid_balance_metrics")


def code(language: str) -> list[str]:
    """Return the blocks of a language that stand in the document."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a reader in the folder that holds ``.metrify``, with a day that has no rows."""
    plant = small_marts(tmp_path / ".metrify")
    plant.build({date(2026, 3, 28): {"A": "4"}, date(2026, 3, 29): {"A": "1.5", "B": None}, date(2026, 3, 30): {}})
    with plant.warehouse.connect() as connection:
        connection.execute(
            f"create table {CONSUMPTION.table} as select '1-0:1.29.0' as obis_code, * from metrics.daily"
        )
        connection.execute(f"create table {BALANCE.table} as from metrics.score")
    plant.publish(models=(CONSUMPTION, BALANCE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("METRIFY_ROOT", raising=False)


def test_the_python_of_the_document_reads_what_is_published():
    names: dict = {}
    for block in code("python"):
        exec(compile(block, "docs/query.md", "exec"), names)
    assert list(names["day"]["point_id"]) == ["A", "B"]
    frame, table = names["frame"], names["table"]
    assert list(zip(frame["point_id"], frame["day"], frame["energy_kwh"], strict=True)) == [
        ("A", date(2026, 3, 28), Decimal("4")),
        ("A", date(2026, 3, 29), Decimal("1.5")),
        ("B", date(2026, 3, 29), None),
    ]
    assert table.select(["point_id", "day", "energy_kwh"]).to_pylist() == [
        {"point_id": "A", "day": date(2026, 3, 29), "energy_kwh": Decimal("1.5")},
        {"point_id": "B", "day": date(2026, 3, 29), "energy_kwh": None},
    ]


def test_the_queries_of_the_document_are_answered():
    Path("balance.sql").write_text("from grid_balance_metrics", encoding="utf-8")
    [commands] = code("sh")
    outputs = []
    for line in commands.splitlines():
        program, command, *arguments = shlex.split(line, comments=True)
        assert program == "metrify"
        if ">" in arguments:
            arguments = arguments[: arguments.index(">")]
        if command == "query":
            done = CliRunner().invoke(cli, [command, *arguments])
            assert done.exception is None, line
            outputs.append(done.output)
    listing, daily, from_file, as_csv = outputs
    assert "metrics.daily_consumption_metrics  (3 rows, 2026-03-28 .. 2026-03-30)" in listing
    assert [line.split() for line in daily.splitlines()[2:4]] == [
        ["2026-03-28", "4.000000"],
        ["2026-03-29", "1.500000"],
    ]
    assert "2026-03-29" in from_file
    assert as_csv.startswith("day,points\n")
