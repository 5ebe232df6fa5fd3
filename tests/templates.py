"""Installations that are built once in a session, by whichever worker needs one first, and copied by the tests.

Belongs here: building once, and copying. Does not belong here: what is in a template, its tests say that.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import Installation, installation


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Return the folder that ``build`` filled, in this process or in another one of the session.

    Tests copy it and leave it as it is: others read it too.
    """
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "templates"
    shared.mkdir(exist_ok=True)
    folder, mark = shared / name, shared / f"{name}.built"
    with open(shared / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            # What a build that failed has left.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            mark.touch()
    return folder


def copy_of(template: Path, target: Path) -> Path:
    """Copy a template into a folder, with the times of its files; return the folder."""
    shutil.copytree(template, target, dirs_exist_ok=True)
    return target


@contextmanager
def moved(template: Path, root: Path, **settings) -> Iterator[Installation]:
    """Yield a copy of an installation with marts: nothing is computed anew, what consumers have names the new place."""
    with installation(copy_of(template, root), **settings) as plant:
        assert plant.settle() == ["publish"]
        yield plant
