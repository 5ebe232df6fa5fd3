"""The models as they would be sent to Snowflake: rendered with its dispatched macros, read by a Snowflake grammar.

Belongs here: that every model is Snowflake SQL by its grammar, and uses no function that only DuckDB has. This proves
neither types nor results: those need the engine.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import sqlglot
from sqlglot import expressions as exp

from metrify_assets.settings import REPOSITORY_DIR
from metrify_assets.warehouse.mart_vars import mart_vars

PROJECT = REPOSITORY_DIR / "metrify_dbt"
MODELS = sorted((PROJECT / "models").rglob("*.sql")) + sorted((PROJECT / "tests").glob("*.sql"))
DAYS = ["2026-03-28", "2026-03-29"]
DUCKDB_ONLY = {"epoch_us", "to_hours", "to_minutes", "isodow", "weekofyear", "isoyear", "read_parquet", "list_contains"}


class Returned(Exception):
    """What dbt's ``return`` does: leave the macro with a value."""

    def __init__(self, value: Any):
        self.value = value


class Project:
    """dbt's Jinja, as far as this project uses it, for one adapter."""

    def __init__(self, adapter: str):
        self.adapter = adapter
        self.jinja = jinja2.Environment(extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined)
        self.macros: dict[str, Callable] = {}
        self.context: dict[str, Any] = {
            # Every table that a model asks for is there.
            "adapter": SimpleNamespace(dispatch=self.dispatch, get_relation=lambda database, schema, name: name),
            "target": SimpleNamespace(database="metrify"),
            "config": Config(),
            "execute": True,
            "flags": SimpleNamespace(FULL_REFRESH=False),
            "modules": SimpleNamespace(datetime=datetime),
            "env_var": lambda name, default=None: default,
            "ref": lambda name: f"analytics.{name}",
            "source": lambda schema, name: Source(f"raw.{name}"),
            "var": mart_vars().__getitem__,
            "return": self.leave,
            "run_query": self.run_query,
            "dbt": SimpleNamespace(
                listagg=lambda column, separator, order: f"listagg({column}, {separator}) within group ({order})",
                date_spine=lambda part, start, end: f"select {start} as date_day",
            ),
        }
        texts = [path.read_text() for path in sorted((PROJECT / "macros").glob("*.sql"))]
        macro = re.compile(r"({%-?\s*macro\s+)(\w+)")
        for name in (defined for text in texts for _, defined in macro.findall(text)):
            self.context[name] = self.calling(name)
        for text in texts:
            # A macro calls another by name through the context, as in dbt, where `return` is heeded.
            module = self.jinja.from_string(macro.sub(r"\1macro_of__\2", text), globals=self.context).module
            own = {name: defined for name, defined in vars(module).items() if name.startswith("macro_of__")}
            self.macros |= {name.removeprefix("macro_of__"): defined for name, defined in own.items()}

    def calling(self, name: str) -> Callable:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return self.macros[name](*arguments, **named)
            except Returned as returned:
                return returned.value

        return call

    @staticmethod
    def leave(value: Any) -> None:
        raise Returned(value)

    def dispatch(self, name: str, package: str) -> Callable:
        own = f"{self.adapter}__{name}"
        return self.context[own if own in self.macros else f"default__{name}"]

    @staticmethod
    def run_query(sql: str) -> Any:
        if "first_year" in sql:
            return [[2026, 2026]]
        if "by_day" in sql:
            return [{"path": "lake/day=2026-03-28/0.parquet", "by_day": True, "lacks_columns": False}]
        return SimpleNamespace(columns=[SimpleNamespace(values=lambda: DAYS)])

    def render(self, path: Path) -> str:
        return self.jinja.from_string(path.read_text(), globals=self.context).render()


class Source(str):
    """A source's name, which knows the table's."""

    @property
    def identifier(self) -> str:
        return self.partition(".")[2]


class Config:
    """dbt's ``config``: called at the head of a model, asked by macros."""

    def __call__(self, **_: Any) -> str:
        return ""

    def meta_get(self, name: str, default: Any = None) -> Any:
        return default


@pytest.fixture(scope="module")
def snowflake() -> Project:
    return Project("snowflake")


@pytest.fixture(scope="module")
def duckdb() -> Project:
    return Project("duckdb")


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_is_snowflake_sql(snowflake, path):
    sql = snowflake.render(path)
    [statement] = sqlglot.parse(sql, dialect="snowflake")
    assert isinstance(statement, exp.Query)
    called = {node.name.lower() for node in statement.find_all(exp.Anonymous)}
    assert not called & DUCKDB_ONLY
    # Operators that DuckDB has and Snowflake has not.
    assert "//" not in sql
    assert " & " not in sql


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_for_duckdb_can_be_carried_over(duckdb, path):
    sql = duckdb.render(path)
    sqlglot.transpile(sql, read="duckdb", write="snowflake", unsupported_level=sqlglot.ErrorLevel.RAISE)


def test_a_query_tag_names_the_run_and_the_model(snowflake):
    run = '{"app":"metrify","run":"it\'s"}'
    text = snowflake.context["model_query_tag"](run, "dim_date").strip()
    assert text == """alter session set query_tag = '{"app":"metrify","run":"it''s","model":"dim_date"}'"""
    assert isinstance(sqlglot.parse_one(text, dialect="snowflake"), exp.Alter | exp.Command | exp.Set)


def test_models_by_day_or_month_are_clustered_by_it():
    for path in MODELS:
        text = path.read_text()
        if "replace_days" in text:
            column = "month" if "'replaces': 'month'" in text else "day"
            assert f"cluster_by=['{column}']" in text, path
