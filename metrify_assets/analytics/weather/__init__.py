"""Weather dependence: how much of a point's use follows the temperature, and what it would be in normal weather.

Belongs here: rules, sums of days, sufficiency, the fit of all points, adjustment (NumPy alone), and the edge that reads
and writes the lake (``inputs.py``, ``results.py``). Does not belong here: Dagster.
"""
