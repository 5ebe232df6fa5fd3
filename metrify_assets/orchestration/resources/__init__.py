"""The clients of an installation, as Dagster's resources."""
