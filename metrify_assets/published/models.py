"""Which models are published, and what is known of them: read from the dbt manifest.

Belongs here: names, columns and types as their contracts say them, keys as their tests say them. Does not belong here:
the rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from metrify_assets.digest import digest_of
from metrify_assets.errors import PublishError
from metrify_assets.schemas.table import INSTANT
from metrify_assets.schemas.warehouse import MART_SCHEMAS

DAY, MONTH = "day", "month"
KEY_TEST = "unique_combination"
"""Generic test of the dbt project that says which columns identify a row."""

_TYPES = {
    "varchar": pa.string(),
    "date": pa.date32(),
    "timestamp with time zone": INSTANT,
    "double": pa.float64(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
}
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")


def arrow_type(data_type: str) -> pa.DataType:
    """Return the Arrow type of a column by the type that its contract states.

    Raises
    ------
    PublishError
        If the type is none that marts use.
    """
    match = _DECIMAL.fullmatch(data_type)
    if match:
        return pa.decimal128(int(match[1]), int(match[2]))
    if data_type not in _TYPES:
        raise PublishError(f"a contract states the type {data_type!r}: use one of {', '.join(_TYPES)}, decimal(p,s)")
    return _TYPES[data_type]


@dataclass(frozen=True)
class Column:
    """One column: its name, the type as the contract says it, what it means, and whether null has a meaning."""

    name: str
    type: str
    description: str
    nullable: bool = True


@dataclass(frozen=True)
class Model:
    """A model that is published.

    Attributes
    ----------
    schema, name, description : str
        As in the warehouse and in dbt.
    columns : tuple of Column
    key : tuple of str
        Columns that identify a row; files are sorted by them.
    period : str or None
        What its rows are cut into: ``day``, ``month``, or None for a model that is published whole.
    days_after : int
        Days after a rebuilt one that are rebuilt with it.
    """

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    period: str | None = None
    days_after: int = 0

    @property
    def table(self) -> str:
        """Qualified name, in the warehouse and for consumers."""
        return f"{self.schema}.{self.name}"

    @cached_property
    def arrow(self) -> pa.Schema:
        """Arrow schema of the files."""
        return pa.schema([pa.field(c.name, arrow_type(c.type), c.nullable) for c in self.columns])

    @property
    def layout(self) -> str:
        """Digest of everything but the rows that decides what a file holds."""
        return digest_of(*((c.name, c.type, c.nullable) for c in self.columns), self.key, self.period)

    def where(self, periods: Sequence[str]) -> str:
        """Return the condition on the rows of some periods, as it ends a query."""
        if self.period is None:
            return ""
        listed = ", ".join(f"cast('{period}' as date)" for period in periods)
        return f" where {self.period} in ({listed})"

    @property
    def exact(self) -> tuple[str, ...]:
        """Columns of exact numbers: in whatever order they are added up, the sum is the same."""
        return tuple(f.name for f in self.arrow if pa.types.is_decimal(f.type) or pa.types.is_integer(f.type))


def models_of(manifest: Mapping[str, Any]) -> tuple[Model, ...]:
    """Return the models of a manifest that are published, ordered by schema and name."""
    nodes = manifest["nodes"]
    keys = {
        node["attached_node"]: tuple(node["test_metadata"]["kwargs"]["columns"])
        for node in nodes.values()
        if node["resource_type"] == "test" and (node.get("test_metadata") or {}).get("name") == KEY_TEST
    }
    models = [
        _model(node, keys.get(name, ()))
        for name, node in nodes.items()
        if node["resource_type"] == "model" and node["schema"] in MART_SCHEMAS
    ]
    return tuple(sorted(models, key=lambda model: model.table))


def _model(node: Mapping[str, Any], key: tuple[str, ...]) -> Model:
    columns = tuple(
        Column(
            column["name"],
            column["data_type"].lower(),
            column["description"],
            not any(constraint["type"] == "not_null" for constraint in column["constraints"]),
        )
        for column in node["columns"].values()
    )
    meta = node["config"]["meta"]
    daily = node["config"]["materialized"] == "incremental"
    return Model(
        schema=node["schema"],
        name=node["alias"],
        description=" ".join(node["description"].split()),
        columns=columns,
        # Without a key all columns order the rows: the same rows must make the same bytes.
        key=key or tuple(column.name for column in columns),
        period=meta.get("replaces", DAY) if daily else None,
        days_after=meta.get("days_after", 0),
    )
