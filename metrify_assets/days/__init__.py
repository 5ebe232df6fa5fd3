"""One module per table of the lake: load its inputs, call the core, audit, replace the day.

Belongs here: the I/O around the pure core. Does not belong here: Dagster (``assets/``) and rules (``vee/``).
"""
