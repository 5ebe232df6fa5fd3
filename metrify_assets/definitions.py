"""The code location that Dagster loads."""

from metrify_assets.landing.setup import set_up
from metrify_assets.orchestration.build import build_defs
from metrify_assets.platform import platform_of
from metrify_assets.settings import Settings

settings = Settings.from_env()
# The partitions begin with it, from the first time that they are loaded.
set_up(platform_of(settings))
defs = build_defs(settings)
