"""``metrify dbt docs``: one page with every model, whether or not there is a warehouse yet."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.warehouse.warehouse import DuckDBWarehouse

pytestmark = [pytest.mark.dbt, pytest.mark.seldom]


def test_the_documentation_is_one_page_and_makes_no_warehouse(tmp_path, monkeypatch):
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path / "root"))
    result = CliRunner().invoke(cli, ["dbt", "docs", str(tmp_path / "site")])
    assert result.exit_code == 0, result.output
    page = tmp_path / "site" / "index.html"
    assert str(page) in result.output
    text = page.read_text(encoding="utf-8")
    for shown in ("data_quality_scorecard", "Share of the expected slots that have a value, estimated ones included"):
        assert shown in text
    assert not DuckDBWarehouse(tmp_path / "root" / "warehouse.duckdb").exists
    # The page stands alone: it fetches neither manifest nor catalog.
    assert [path.name for path in page.parent.iterdir()] == ["index.html"]
