"""Examples of packages of one's own, built and unpacked as pip does."""

from __future__ import annotations

import importlib
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

HERE = Path(__file__).parent


def install_example(example: str, module: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build an example's wheel, unpack it into a folder, put that on the path, and return it."""
    site = folder / "site"
    monkeypatch.chdir(HERE / example)
    wheel = build_wheel(str(folder))
    monkeypatch.chdir(folder)
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(site)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, module, raising=False)
    importlib.invalidate_caches()
    return site
