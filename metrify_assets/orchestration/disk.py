"""Room on the disk of an installation.

Belongs here: how much there is, and what is said where it runs out. Does not belong here: who asks (the sensors, and
Dagster's storage).
"""

from __future__ import annotations

import shutil
from pathlib import Path

MEGABYTE = 1_000_000


def is_full(folder: Path) -> bool:
    """Return whether the disk of a folder has less room than the smallest of databases writes at once."""
    return _free(folder) < MEGABYTE


def full_disk(folder: Path) -> str:
    """Return what is said when the disk of a folder is full."""
    return f"the disk of {folder} is full: make room there, and work goes on by itself"


def shortage(folder: Path, least_mb: int) -> str | None:
    """Return what is said when the disk of a folder has less than ``least_mb`` megabytes left; None if it has more."""
    free = _free(folder)
    if free >= least_mb * MEGABYTE:
        return None
    return (
        f"the disk of {folder} has {free // MEGABYTE} MB left, and new runs wait for {least_mb} MB "
        "(METRIFY_MIN_FREE_MB): make room there, and work goes on by itself"
    )


def _free(folder: Path) -> int:
    """Return the free bytes of a folder's disk. Where files lie in a bucket it may not be there yet."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(there).free
