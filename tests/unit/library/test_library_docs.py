"""What docs/library.md tells its readers to type works as it stands there."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date, timedelta

import pytest

from metrify_assets.library.delivered import Meaning
from metrify_assets.library.readings import Options
from metrify_assets.settings import REPOSITORY_DIR
from tests.workbench import points_file, reads, workbench

TEXT = (REPOSITORY_DIR / "docs" / "library.md").read_text(encoding="utf-8")
DAYS = [date(2026, 3, 28) + timedelta(number) for number in range(3)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the installation that the page opens."""
    bench = workbench(tmp_path)
    bench.land("registry_points", "points.csv", points_file([{"point_id": "A"}]))
    bench.land("plain", "a.csv", reads(["A"], DAYS))
    bench.settle()
    (tmp_path / ".metrify").symlink_to(bench.platform.settings.root, target_is_directory=True)
    monkeypatch.chdir(tmp_path)


def test_every_block_of_the_page_runs(folder, capsys):
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL):
        exec(compile(block, "docs/library.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == [
        f"{day} {slots}" for day, slots in zip(DAYS, (24, 23, 24), strict=True)
    ]
    assert set(names["clean"]["method"].dropna()) == {"similar_day"}


def test_the_page_names_every_parameter_and_column(folder):
    for option in fields(Meaning):
        assert re.search(rf"`{option.name}(=.*?)?`", TEXT), option.name
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)[:3]:
        exec(compile(block, "docs/library.md", "exec"), names)
    for frame in ("checked", "clean", "why"):
        for column in names[frame].columns:
            assert f"`{column}`" in TEXT, column


def test_options_are_those_that_a_table_has_a_meaning_for():
    assert set(Options.__annotations__) == {option.name for option in fields(Meaning)}
