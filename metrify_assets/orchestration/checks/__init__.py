"""Audits of tables, and their results as asset checks."""
