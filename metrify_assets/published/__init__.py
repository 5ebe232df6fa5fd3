"""The published marts: Parquet in the object store, and the one file that consumers open.

Belongs here: exporting, switching versions, and reading what is published. Does not belong here: building the marts
(``metrify_dbt/``) and when it is published (``orchestration/automation/``).
"""
