"""A validation rule of one's own: whole kilowatt-hours, as people type them in and meters hardly ever count them."""

import numpy as np

from metrify_assets.vee.own_rules import OwnRule, SeriesOfDay

MICRO_PER_KWH = 1_000_000


def whole_kwh(series: SeriesOfDay) -> np.ndarray:
    """Find values of one whole kilowatt-hour or more."""
    return series.valid & (series.delivered >= MICRO_PER_KWH) & (series.delivered % MICRO_PER_KWH == 0)


WHOLE_KWH = OwnRule(
    name="whole_kwh",
    definition="The value is a whole number of kilowatt-hours.",
    bit=24,
    find=whole_kwh,
    version="1",
    source="example",
)
