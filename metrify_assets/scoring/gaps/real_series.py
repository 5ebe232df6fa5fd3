"""Published series of real meters, read from their files.

Belongs here: the files' formats. Does not belong here: cutting gaps, and which days of a series are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from metrify_assets.errors import MetrifyError
from metrify_assets.scoring.gaps.series import MeasuredSeries
from metrify_assets.vee.arrays import Int64Array
from metrify_assets.vee.delivery_day import DeliveryDay

VARIABLE = "METRIFY_REAL_DATA"
"""Names the folder of real files."""
IMPORT, EXPORT = "1-0:1.29.0", "1-0:2.29.0"
_SECOND, _MINUTE = 1_000_000, 60_000_000
_GERMAN = {
    "parse_options": csv.ParseOptions(delimiter=";"),
    "convert_options": csv.ConvertOptions(decimal_point=","),
}


def households(file: Path) -> list[MeasuredSeries]:
    """Return a household of London, half hours (Low Carbon London: point, GMT, kWh)."""
    table = csv.read_csv(file)
    stamps = table.column(1).cast(pa.timestamp("s"), safe=False).cast(pa.int64()).to_numpy()
    texts = pc.utf8_trim_whitespace(table.column(2).cast(pa.string())).to_pylist()
    # Of a half hour that is there twice the last value counts.
    values = {
        stamp // 1_800 * 1_800: round(float(text) * 1_000_000)
        for stamp, text in zip(stamps.tolist(), texts, strict=True)
        if text not in ("", "Null", None)
    }
    starts = np.array(sorted(values), dtype=np.int64)
    energy = np.array([values[start] for start in starts.tolist()], dtype=np.int64)
    return [MeasuredSeries(file.stem, IMPORT, "household", "Europe/London", 30, starts * _SECOND, energy)]


def industry(file: Path) -> list[MeasuredSeries]:
    """Return an industrial load profile, quarter hours (day, start, kW) without a break from its first midnight on."""
    table = csv.read_csv(file, read_options=csv.ReadOptions(encoding="latin-1"), **_GERMAN)
    day, month, year = (int(part) for part in str(table.column(0)[0]).split("."))
    first = DeliveryDay(date(year, month, day)).start
    return [_quarters(file.stem, "industry", "Europe/Berlin", first, table.column(2).to_numpy())]


def site_of_2012(file: Path) -> list[MeasuredSeries]:
    """Return the industrial site of 2012, quarter hours (day, end, kW) in the order of its file.

    Its clock changes in October alone: its days are taken as if there were no summer time.
    """
    names = csv.ReadOptions(encoding="latin-1", column_names=["day", "end", "kw"])
    power = csv.read_csv(file, read_options=names, **_GERMAN)["kw"].to_numpy()
    return [_quarters(file.stem, "industry of 2012", "UTC", DeliveryDay(date(2012, 1, 1), "UTC").start, power)]


def _quarters(name: str, point_class: str, zone: str, first: int, power: np.ndarray) -> MeasuredSeries:
    starts: Int64Array = first + 15 * _MINUTE * np.arange(len(power), dtype=np.int64)
    return MeasuredSeries(name, IMPORT, point_class, zone, 15, starts, np.rint(power * 250_000).astype(np.int64))


def home_with_pv(file: Path) -> list[MeasuredSeries]:
    """Return import and export of the household in Konstanz with PV, hours (Open Power System Data).

    Its counters are read: an hour has a value where both ends were read.
    """
    table = csv.read_csv(file)
    starts = table["utc_timestamp"].cast(pa.timestamp("s"), safe=False).cast(pa.int64()).to_numpy() * _SECOND
    channels = []
    for code, column in ((IMPORT, "grid_import"), (EXPORT, "grid_export")):
        counter = table[f"DE_KN_residential4_{column}"].to_numpy().astype(float)
        energy = np.diff(counter, prepend=np.nan)
        present = ~np.isnan(energy)
        values = np.rint(energy[present] * 1_000_000).astype(np.int64)
        channels.append(
            MeasuredSeries("DE_KN_residential4", code, "home with PV", "Europe/Berlin", 60, starts[present], values)
        )
    return channels


SETS: Mapping[str, Callable[[Path], list[MeasuredSeries]]] = {
    "lcl_halfhourly": households,
    "lastgang": industry,
    "lastgang_end_stamped": site_of_2012,
    "opsd_household": home_with_pv,
}
"""Reader of each file of a folder of this name."""


def read_set(folder: Path, name: str) -> list[MeasuredSeries]:
    """Return the series of one set, by the names of their files.

    Raises
    ------
    MetrifyError
        If a file is not what its folder's name says.
    """
    series = []
    for file in sorted(set_folder(folder, name).glob("*.csv")):
        try:
            series += SETS[name](file)
        except (pa.ArrowInvalid, KeyError, ValueError, AttributeError, IndexError) as error:
            problem = " ".join(str(error).split())
            raise MetrifyError(f"{file} is no file of {name}: {problem}: take it out of the folder") from error
    return series


def set_folder(folder: Path, name: str) -> Path:
    """Return the folder of a set, below ``meters`` or directly below the folder."""
    below = folder / "meters" / name
    return below if below.is_dir() else folder / name


def available_sets(folder: Path) -> list[str]:
    """Return the names of the sets that a folder holds files of.

    Raises
    ------
    MetrifyError
        If it is no folder, or holds none.
    """
    if not folder.is_dir():
        raise MetrifyError(f"{folder} is no folder: name the folder of real files, or set {VARIABLE} to it")
    names = [name for name in SETS if any(set_folder(folder, name).glob("*.csv"))]
    if not names:
        raise MetrifyError(f"{folder} holds no series: put CSV files into one of {', '.join(SETS)} below it")
    return names
