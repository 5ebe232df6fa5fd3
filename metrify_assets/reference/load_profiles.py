"""The standard load profiles that come with the package: ``load_profiles/*.csv``.

Belongs here: reading and checking these files. Does not belong here: what a profile means (``vee/profiles.py``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import numpy as np

from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.profiles import (
    MINUTES_PER_QUARTER_HOUR,
    PERIODS,
    QUARTER_HOURS,
    DayKind,
    KeyedBy,
    LoadProfile,
    LoadProfiles,
)

INDEX = "profiles.csv"
INDEX_COLUMNS = ["name", "publication", "keyed_by", "unit", "annual_kwh", "dynamised"]
DECIMALS = {"W": 2, "kWh": 3}
"""Decimal places of the published numbers by unit: mean power of a quarter hour, or energy in it."""
STEPS_PER_KWH = {"W": 1_000 * 100 * 4, "kWh": 1_000}
"""Steps of the table in one kWh: a hundredth of a watt for a quarter hour, or a thousandth of a kWh."""
DYNAMISED = {"yes": True, "no": False}


class LoadProfileError(ValueError):
    """A file of load profiles is not laid out as its README says."""


@lru_cache(maxsize=1)
def load_profiles() -> LoadProfiles:
    """Return the profiles that come with the package; they are read once."""
    return read_load_profiles(files("metrify_assets.reference").joinpath("profiles"))


def read_load_profiles(folder: Traversable) -> LoadProfiles:
    """Read a folder of load profiles.

    Parameters
    ----------
    folder : Traversable
        Holds ``profiles.csv`` and one table per profile, named by it in lower case. Its README explains the columns.

    Raises
    ------
    LoadProfileError
        If a file is not laid out so.
    FileNotFoundError
        If a file is absent.
    """
    header, *rows = _rows(folder, INDEX)
    if header != INDEX_COLUMNS:
        raise LoadProfileError(f"{INDEX}: the columns must be {','.join(INDEX_COLUMNS)}")
    names = [row[0] for row in rows]
    if len(set(names)) != len(names):
        raise LoadProfileError(f"{INDEX}: a name comes twice")
    return LoadProfiles({row[0]: _read_profile(folder, row) for row in rows})


def _read_profile(folder: Traversable, row: list[str]) -> LoadProfile:
    name, _, keyed_by, unit, annual_kwh, dynamised = row
    if keyed_by not in PERIODS or unit not in DECIMALS or not annual_kwh.isdecimal() or dynamised not in DYNAMISED:
        raise LoadProfileError(f"{INDEX}: {name} is not described as the README says: {','.join(row)}")
    file = f"{name.lower()}.csv"
    energy = _read_table(_rows(folder, file), file, KeyedBy(keyed_by), DECIMALS[unit])
    try:
        return LoadProfile(energy, KeyedBy(keyed_by), int(annual_kwh) * STEPS_PER_KWH[unit], DYNAMISED[dynamised])
    except ValueError as error:
        raise LoadProfileError(f"{file}: {error}") from error


def _read_table(rows: list[list[str]], file: str, keyed_by: KeyedBy, decimals: int) -> Int64Array:
    """Return the steps of a table; int64, shape (periods, 3, 96)."""
    header, *body = rows
    columns = [f"{period}_{kind.name.lower()}" for period in PERIODS[keyed_by] for kind in DayKind]
    if header != ["start", *columns]:
        raise LoadProfileError(f"{file}: the columns must be start,{','.join(columns)}")
    minutes = (quarter * MINUTES_PER_QUARTER_HOUR for quarter in range(QUARTER_HOURS))
    if [row[0] for row in body] != [f"{minute // 60:02d}:{minute % 60:02d}" for minute in minutes]:
        raise LoadProfileError(f"{file}: the rows must be the quarter hours from 00:00 to 23:45")
    steps = np.array([_steps(row[1:], file, decimals) for row in body], dtype=np.int64)
    return np.ascontiguousarray(steps.T).reshape(len(PERIODS[keyed_by]), len(DayKind), QUARTER_HOURS)


def _steps(cells: Iterable[str], file: str, decimals: int) -> list[int]:
    try:
        scaled = [Decimal(cell).scaleb(decimals) for cell in cells]
    except InvalidOperation as error:
        raise LoadProfileError(f"{file}: a cell is not a number") from error
    if any(not number.is_finite() or number != int(number) for number in scaled):
        raise LoadProfileError(f"{file}: numbers have {decimals} decimal places at most")
    return [int(number) for number in scaled]


def _rows(folder: Traversable, file: str) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(folder.joinpath(file).read_text(encoding="utf-8"))))
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise LoadProfileError(f"{file}: every row must have as many cells as the header")
    return rows
