"""The SQL of deploy/snowflake: read by a Snowflake grammar, and what it grants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from metrify_assets.settings import REPOSITORY_DIR
from metrify_assets.warehouse.snowflake.access import LOADER_ROLE, TRANSFORMER_ROLE
from metrify_assets.warehouse.snowflake.statements import STAGE

FILES = sorted((REPOSITORY_DIR / "deploy" / "snowflake").glob("*.sql"))
BEYOND_THE_GRAMMAR = re.compile(r"(?i)^(create|alter) (user|resource monitor|warehouse|role|transient schema)\b")
"""Statements that the grammar knows by their first word only."""


def statements(path: Path) -> list[str]:
    """Return the statements of a file, without comments."""
    text = "\n".join(line.partition("--")[0] for line in path.read_text().splitlines())
    return [" ".join(statement.split()) for statement in text.split(";") if statement.strip()]


def grants(role: str) -> list[tuple[set[str], str]]:
    """Return what a role is granted: privileges and object."""
    rows = []
    for path in FILES:
        for statement in statements(path):
            match = re.fullmatch(rf"grant (.+) on (.+) to role {role}", statement)
            if match:
                rows.append(({word.strip() for word in match[1].split(",")}, match[2]))
    return rows


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_statement_is_snowflake_sql(path):
    assert statements(path)
    for statement in statements(path):
        parsed = sqlglot.parse_one(statement, dialect="snowflake")
        if isinstance(parsed, exp.Command):
            assert BEYOND_THE_GRAMMAR.match(statement) or statement.startswith("grant"), statement


def test_the_roles_are_those_that_the_platform_uses():
    text = FILES[0].read_text()
    for role in (LOADER_ROLE, TRANSFORMER_ROLE):
        assert f"create role if not exists {role.lower()} " in text
        assert f"grant role {role.lower()} to user metrify;" in text
    assert f"create stage if not exists metrify.{STAGE} " in FILES[2].read_text()


def test_nothing_is_granted_whole():
    for path in FILES:
        for statement in statements(path):
            assert "all privileges" not in statement
            assert "ownership" not in statement


def test_a_reader_reads_marts_and_metrics_and_nothing_else():
    reads = grants("metrify_reader")
    assert {privilege for privileges, _ in reads for privilege in privileges} == {"usage", "select"}
    objects = {target for _, target in reads}
    assert {schema for target in objects for schema in re.findall(r"metrify\.(\w+)", target)} == {"marts", "metrics"}


def test_the_loader_sees_raw_alone_and_the_transformer_does_not_write_it():
    loader = {schema for _, target in grants("metrify_loader") for schema in re.findall(r"metrify\.(\w+)", target)}
    assert loader == {"raw"}
    on_raw = [privileges for privileges, target in grants("metrify_transformer") if "metrify.raw" in target]
    assert set.union(*on_raw) == {"usage", "select"}
