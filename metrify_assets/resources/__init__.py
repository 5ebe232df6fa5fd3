"""Object store, warehouse, dbt, and the storage of Dagster itself."""
