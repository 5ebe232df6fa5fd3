"""What is read from the dbt manifest."""

from __future__ import annotations

import pyarrow as pa
import pytest

from metrify_assets.errors import PublishError
from metrify_assets.published.models import Column, arrow_type, models_of


def node(name: str, schema: str, **config: object) -> dict:
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": schema,
        "description": "Two\n  lines.",
        "config": {"materialized": "table", "meta": {}, **config},
        "columns": {
            "day": {
                "name": "day",
                "data_type": "DATE",
                "description": "Local date.",
                "constraints": [{"type": "not_null"}],
            },
            "loss_kwh": {
                "name": "loss_kwh",
                "data_type": "decimal(18,6)",
                "description": "Loss, kWh.",
                "constraints": [],
            },
        },
    }


def test_marts_and_metrics_are_published_with_their_keys_and_periods():
    unique = {
        "resource_type": "test",
        "attached_node": "daily",
        "test_metadata": {"name": "unique_combination", "kwargs": {"columns": ["day"]}},
    }
    other = {"resource_type": "test", "attached_node": "dim", "test_metadata": {"name": "accepted_range", "kwargs": {}}}
    single = {"resource_type": "test", "attached_node": None}
    nodes = {
        "daily": node("daily", "metrics", materialized="incremental", meta={"days_after": 1}),
        "monthly": node("monthly", "metrics", materialized="incremental", meta={"replaces": "month"}),
        "dim": node("dim", "marts"),
        "stg": node("stg", "staging", materialized="view"),
        "unique": unique,
        "other": other,
        "single": single,
    }
    dim, daily, monthly = models_of({"nodes": nodes})
    assert [model.table for model in (dim, daily, monthly)] == ["marts.dim", "metrics.daily", "metrics.monthly"]
    assert (daily.period, daily.days_after, daily.key) == ("day", 1, ("day",))
    assert (monthly.period, monthly.days_after) == ("month", 0)
    # Without a key all columns order the rows.
    assert (dim.period, dim.key) == (None, ("day", "loss_kwh"))
    assert daily.description == "Two lines."
    assert daily.columns[0] == Column("day", "date", "Local date.", False)
    assert daily.exact == ("loss_kwh",)
    assert daily.arrow.field("loss_kwh").type == pa.decimal128(18, 6)


def test_a_type_that_no_mart_uses_is_refused():
    with pytest.raises(PublishError, match="'json'"):
        arrow_type("json")
