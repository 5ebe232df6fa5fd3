"""The code location that Dagster loads."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from metrify_assets.build import build_defs  # noqa: E402
from metrify_assets.settings import Settings  # noqa: E402

defs = build_defs(Settings.from_env())
