"""Benchmark ``sources``: the formats, the stream and the sensor, each measured beside its peers.

Belongs here: putting the parts together. Does not belong here: any part (``sources_*.py``).
"""

from __future__ import annotations

from benchmarks import sources_formats, sources_kafka, sources_sensor
from benchmarks.frame import Bench, Figures

PARTS = {"formats": sources_formats, "kafka": sources_kafka, "sensor": sources_sensor}

FIGURES = {f"{name}_{figure}": text for name, part in PARTS.items() for figure, text in part.FIGURES.items()}


def measure(bench: Bench) -> Figures:
    """Return the figures of all parts, their names after that of the part."""
    return {f"{name}_{figure}": value for name, part in PARTS.items() for figure, value in part.measure(bench).items()}
