"""Where the files are that real meters, grids and stations produced.

Belongs here: finding a file, or skipping a test with the reason. The files stay out of the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "METRIFY_REAL_DATA"
DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


def folder() -> Path:
    """Return the folder of real files, whether it is there or not."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


def require(path_in_folder: str) -> Path:
    """Return the path of a real file; skip the test, and say why, where it is absent."""
    path = folder() / path_in_folder
    if not path.exists():
        pytest.skip(f"real file {path_in_folder} is not in {folder()}: set {VARIABLE} to the folder of real files")
    return path
