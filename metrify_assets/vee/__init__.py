"""Validation, estimation and editing (VEE): the domain core.

Pure functions on NumPy arrays. Nothing in this package imports Dagster, opens a file or reads a clock.
"""
