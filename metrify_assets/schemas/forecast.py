"""Tables of forecasts: features, models, what was issued, the backtest and its scores.

Belongs here: their columns. Does not belong here: methods and reasons (``analytics/forecast/champion.py`` holds what
they mean; the tables hold their names).
"""

from __future__ import annotations

import pyarrow as pa

from metrify_assets.schemas.grid_and_weather import CONTROL_AREAS
from metrify_assets.schemas.table import INSTANT, LABEL, Column, Table

FORECAST_METHODS = ("model", "similar_day", "median_13_days", "none")
FORECAST_REASONS = ("", "no_model", "missing_history", "behind_similar_day", "no_history")

AREA = Column("control_area", LABEL, "Control area, or DE for all of Germany.", allowed=CONTROL_AREAS)
SOURCE = Column("source_id", LABEL, "Who published the load.")
LEAD = Column("lead_days", pa.int16(), "Days from the issue day to the day that is forecast.", hard_minimum=1)
SLOT = Column("slot", pa.int16(), "Local slot of the day, from 0 at local midnight.", hard_minimum=0)
FEATURE = Column("feature", LABEL, "Name of the feature.")
DAY = Column("day", pa.date32(), "Issue day (local date).")

_FORECAST = (
    AREA,
    SOURCE,
    LEAD,
    Column("issued_at", INSTANT, "Time of issue (UTC): only what had arrived by then was looked at."),
    Column("interval_start", INSTANT, "Start of the interval (UTC)."),
    Column("resolution_minutes", pa.int16(), "Length of the interval in minutes.", hard_minimum=1),
    Column("p10", pa.float64(), "Load that is exceeded with 90 %, MW; null without past errors.", True),
    Column("p50", pa.float64(), "Forecast, MW; null if nothing could be forecast.", True),
    Column("p90", pa.float64(), "Load that is exceeded with 10 %, MW; null without past errors.", True),
    Column("method", LABEL, "What the forecast comes from.", allowed=FORECAST_METHODS),
    Column("reason", LABEL, "Why it is not the model's; empty if it is.", allowed=FORECAST_REASONS),
)

FORECAST_FEATURES = Table(
    name="forecast_features",
    description="What a forecast of load looks at: the features of an issue day, as known at 08:00 local time.",
    key=("control_area", "lead_days", "slot", "feature"),
    columns=(
        AREA,
        LEAD,
        SLOT,
        FEATURE,
        Column("value", pa.float64(), "Value of the feature; null if it was not known.", True),
        DAY,
    ),
)

FORECAST_MODEL = Table(
    name="forecast_model",
    description="Models of a week, fitted at its Monday 08:00: one ridge regression per control area, lead and slot.",
    key=("control_area", "lead_days", "slot", "feature"),
    columns=(
        AREA,
        LEAD,
        SLOT,
        FEATURE,
        Column("coefficient", pa.float64(), "MW per unit of the feature; of `intercept` MW."),
        Column("first_day", pa.date32(), "First day of the training window."),
        Column("last_day", pa.date32(), "Last day of the training window."),
        Column("model_digest", LABEL, "Digest of the model."),
        Column("day", pa.date32(), "Monday of the week."),
    ),
)

FORECAST_MODEL_TRIALS = Table(
    name="forecast_model_trials",
    description="Raw forecasts of the days before a week, each by the model of its own week: what corrections and "
    "intervals follow from.",
    key=("control_area", "lead_days", "target_day", "slot"),
    columns=(
        AREA,
        LEAD,
        Column("target_day", pa.date32(), "Day that was forecast."),
        SLOT,
        Column("raw", pa.float64(), "Forecast before its correction, MW; null where a feature was missing.", True),
        Column("day", pa.date32(), "Monday of the week."),
    ),
)

FORECAST = Table(
    name="forecast",
    description="Forecasts of load by issue day, a day and a week ahead. What was issued is never overwritten.",
    key=("control_area", "lead_days", "interval_start"),
    columns=(
        *_FORECAST,
        Column("model_digest", LABEL, "Digest of the model of that week; null if there was none.", True),
        DAY,
    ),
)

FORECAST_BACKTEST = Table(
    name="forecast_backtest",
    description="Rolling origin: every forecast of the last year as it would have been issued, beside what came.",
    key=("control_area", "lead_days", "interval_start"),
    by_day=False,
    columns=(
        *_FORECAST,
        Column("actual", pa.float64(), "Measured load, MW; null where it is missing.", True),
        Column("week_before", pa.float64(), "Load of the same local slot a week earlier, MW.", True),
        Column("operator", pa.float64(), "The operator's own day-ahead forecast, MW, where a feed delivers it.", True),
        Column("target_day", pa.date32(), "Day that was forecast."),
    ),
)

FORECAST_SCORES = Table(
    name="forecast_scores",
    description="How good the forecasts of the backtest were, by control area, lead and month.",
    key=("control_area", "lead_days", "month"),
    by_day=False,
    columns=(
        AREA,
        LEAD,
        Column("month", LABEL, "Month of the target day, YYYY-MM; `all` for the whole backtest."),
        Column("compared", pa.int64(), "Intervals that were compared.", hard_minimum=0),
        Column("wape", pa.float64(), "Sum of the absolute errors / sum of the load.", True, minimum=0.01),
        Column("mase", pa.float64(), "Error / that of the same local slot a week earlier.", True, maximum=1.0),
        Column("pinball", pa.float64(), "Mean pinball loss of P10, P50 and P90 / mean load.", True),
        Column("coverage", pa.float64(), "Share of the load from P10 to P90; 0.8 is nominal.", True, minimum=0.5),
        Column("operator_wape", pa.float64(), "WAPE of the operator's own forecast, a day ahead.", True),
        Column("fallback_share", pa.float64(), "Share of the intervals that are not the model's."),
    ),
)
