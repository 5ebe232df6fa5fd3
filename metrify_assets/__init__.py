"""Metrify: a Dagster asset-based data platform for smart-meter data."""
