"""Snowflake as the warehouse: access, statements, loads from the lake, and the warehouse that puts them together."""
