"""How dbt's models look in Dagster.

Belongs here: key, partitions, columns and code version of a model's asset. Does not belong here: which models there
are (``model_sets.py``) and building them (``marts.py``).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

from metrify_assets.orchestration.assets.model_sets import Node, is_daily


class MetrifyTranslator(DagsterDbtTranslator):
    """Names of dbt models as asset keys; the daily models by delivery day.

    Parameters
    ----------
    days : PartitionsDefinition
    codes : mapping of str to str
        Version of the code of each model, by unique id.
    """

    def __init__(self, days: dg.PartitionsDefinition, codes: Mapping[str, str]):
        super().__init__(
            DagsterDbtTranslatorSettings(
                enable_duplicate_source_asset_keys=True,
                enable_code_references=True,
                # The sources are assets of this code location, which list their columns themselves.
                enable_source_metadata=False,
            )
        )
        self.days = days
        self.codes = codes

    def get_asset_key(self, dbt_resource_props: Node) -> dg.AssetKey:
        """Return the model's name, or the asset that a source names."""
        named = dbt_resource_props.get("meta", {}).get("dagster", {}).get("asset_key")
        return dg.AssetKey(named or [dbt_resource_props["name"]])

    def get_partitions_def(self, dbt_resource_props: Node) -> dg.PartitionsDefinition | None:
        """Return the delivery days for the daily models, none for the others."""
        return self.days if is_daily(dbt_resource_props) else None

    def get_code_version(self, dbt_resource_props: Node) -> str | None:
        """Return the version of all code that the model's rows depend on; a source has none."""
        return self.codes.get(dbt_resource_props["unique_id"])

    def get_description(self, dbt_resource_props: Node) -> str:
        """Return the model's own description; its SQL is behind the asset's code reference."""
        description: str = dbt_resource_props["description"]
        return description

    def get_metadata(self, dbt_resource_props: Node) -> Mapping[str, Any]:
        """Return the model's table and its columns: type, description, and whether null is allowed."""
        columns = [
            dg.TableColumn(
                name=column["name"],
                type=column.get("data_type") or "?",
                description=column.get("description"),
                constraints=dg.TableColumnConstraints(nullable=not _is_required(column)),
            )
            for column in dbt_resource_props.get("columns", {}).values()
        ]
        schema = {"dagster/column_schema": dg.TableSchema(columns=columns)} if columns else {}
        return {**super().get_metadata(dbt_resource_props), **schema}


def _is_required(column: Mapping[str, Any]) -> bool:
    return any(constraint["type"] == "not_null" for constraint in column.get("constraints", ()))
