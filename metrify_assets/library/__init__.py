"""Validation, estimation and explanation of an analyst's own tables: no installation, no Dagster, no files.

>>> from metrify_assets import library as vee
>>> clean = vee.estimate(frame)                      # a pandas DataFrame or a PyArrow table, and the same comes back
>>> vee.explain(frame, "2026-03-10T18:00+01:00")     # why that slot's value is what it is, in words

Belongs here: the way from a table to raw rows and back, and reading the tables of an installation. What is computed is
computed by ``days/``, as on the platform. Does not belong here: rules and estimates (``vee/``).
"""

from metrify_assets.library.readings import Options, Readings, estimate, explain, validate
from metrify_assets.library.rules import newest_rules

__all__ = ["Options", "Readings", "estimate", "explain", "newest_rules", "validate"]
