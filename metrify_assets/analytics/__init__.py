"""Analytics: what clean reads say of points, networks and the future.

Belongs here: one package per question, each with a pure core over arrays and a thin edge that reads and writes tables.
Does not belong here: computing days (``days/``), marts (``warehouse/``), and anything of Dagster.
"""
