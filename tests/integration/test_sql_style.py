"""The SQL of the dbt project against the style in ``.sqlfluff``, as dbt compiles it."""

from __future__ import annotations

from datetime import date

import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from sqlfluff.core import FluffConfig, Linter

from metrify_assets.settings import REPOSITORY_DIR
from metrify_assets.warehouse.warehouse import DuckDBWarehouse

pytestmark = [pytest.mark.dbt, pytest.mark.seldom]


def test_the_sql_is_as_the_style_says(tmp_path, monkeypatch):
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    warehouse.prepare_build([], [date(2026, 3, 29)], list, "run")
    monkeypatch.chdir(REPOSITORY_DIR)
    monkeypatch.setenv("METRIFY_WAREHOUSE", str(warehouse.path))
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    config = FluffConfig.from_root()
    paths = [str(REPOSITORY_DIR / "metrify_dbt" / folder) for folder in ("models", "tests")]
    result = Linter(config=config).lint_paths(tuple(paths))
    DuckDBConnectionManager.close_all_connections()
    files = [file for path in result.paths for file in path.files]
    assert len(files) > 20
    violations = [
        f"{file.path}:{violation.line_no}: {violation.rule_code()} {violation.desc()}"
        for file in files
        for violation in file.get_violations()
    ]
    if violations:
        pytest.fail("\n".join(violations), pytrace=False)
