"""What Dagster shows: thin assets that load, call the core, write and report."""
