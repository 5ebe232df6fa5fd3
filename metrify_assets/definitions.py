"""The code location that Dagster loads."""

from metrify_assets.build import build_defs
from metrify_assets.settings import Settings

defs = build_defs(Settings.from_env())
