"""Metrify: a Dagster asset-based data platform for smart-meter data.

>>> import metrify_assets as metrify
>>> metrify.open(".metrify").clean_readings(days="2026-03-10")     # tables of an installation
>>> metrify.library.estimate(frame)                                # an analyst's own table

Nothing is imported before it is asked for: what starts in seconds imports this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metrify_assets import library
    from metrify_assets.library.installation import open_installation as open

__all__ = ["library", "open"]


def __getattr__(name: str) -> Any:
    if name == "library":
        return import_module("metrify_assets.library")
    if name == "open":
        return import_module("metrify_assets.library.installation").open_installation
    raise AttributeError(f"module 'metrify_assets' has no attribute {name!r}")
