"""Files of the benchmark ``sources_formats``: the same seeded values in every format.

Belongs here: writing the files, and the feeds that read them. Does not belong here: reading them
(``sources_formats_sides.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from metrify_assets.feeds.model import Feed, parse_feed

FIRST = datetime(2026, 3, 2, tzinfo=UTC)
SLOTS = 96
OBIS = "1-0:1.29.0"

_COMMON: dict[str, Any] = {
    "description": "A file of the benchmark.",
    "kind": "readings",
    "obis": OBIS,
    "unit": "kWh",
    "values": [{"column": "value"}],
}
_LONG = {
    **_COMMON,
    "stamp": {"columns": ["start"], "format": "iso"},
    "interval_minutes": 15,
    "point": {"column": "point"},
    "status": {"column": "status", "mapping": {"W": "measured", "E": "substitute"}},
}
_OWN_LENGTHS: dict[str, Any] = {
    "stamp": {"columns": ["start"], "timezone": "UTC"},
    "interval_minutes": {"column": "minutes"},
}

FEEDS: dict[str, dict[str, Any]] = {
    "csv_long": {**_LONG, "format": "delimited", "header": ["point", "start", "value", "status"]},
    "csv_wide": {
        **_COMMON,
        "format": "delimited",
        "delimiter": ";",
        "decimal": ",",
        "header": ["point", "day", "..."],
        "slots": {"first": "00:00", "last": "23:45", "step_minutes": 15},
        "stamp": {"columns": ["day", "slot"], "format": "%Y-%m-%d %H:%M", "timezone": "UTC"},
        "interval_minutes": 15,
        "point": {"column": "point"},
    },
    "parquet": {**_LONG, "format": "parquet"},
    "nem12": {**_COMMON, **_OWN_LENGTHS, "format": "nem12", "point": {"column": "nmi"}},
    "mscons": {**_COMMON, **_OWN_LENGTHS, "format": "mscons", "point": {"column": "point"}},
    "espi": {**_COMMON, **_OWN_LENGTHS, "format": "espi", "point": {"column": "usage_point"}},
}
SHARES = {"csv_long": 1.0, "csv_wide": 1.0, "parquet": 1.0, "nem12": 0.3, "mscons": 0.3, "espi": 0.1}
"""Values of each file, as a share of the largest: formats that are slow to read are written in smaller files."""


def feed(name: str) -> Feed:
    """Return the feed of a format."""
    return parse_feed({**FEEDS[name], "name": name})


def stage(folder: str, points: int) -> dict[str, dict[str, Any]]:
    """Write a day (96 quarter hours) of a quarter of the points in every format.

    Returns
    -------
    dict
        Per format: path, rows (values) and bytes.
    """
    writers = {
        "csv_long": _write_csv_long,
        "csv_wide": _write_csv_wide,
        "parquet": _write_parquet,
        "nem12": _write_nem12,
        "mscons": _write_mscons,
        "espi": _write_espi,
    }
    staged = {}
    for name, write in writers.items():
        count = max(1, round(points / 4 * SHARES[name]))
        path = Path(folder) / f"{name}.dat"
        write(path, np.random.default_rng(20_260_302).integers(0, 4_000, size=(count, SLOTS)))
        staged[name] = {"path": str(path), "rows": count * SLOTS, "bytes": path.stat().st_size}
    return staged


def _starts() -> list[datetime]:
    return [FIRST + timedelta(minutes=15 * slot) for slot in range(SLOTS + 1)]


def _points(count: int) -> list[str]:
    return [f"DE{number:031}" for number in range(count)]


def _table(watt_hours: np.ndarray) -> pa.Table:
    """Return point, start, value and status; head-end systems deliver all points of a quarter hour together."""
    count = len(watt_hours)
    texts = pa.array([f"{start:%Y-%m-%dT%H:%M:%SZ}" for start in _starts()[:-1]])
    unscaled = pa.py_buffer(np.ascontiguousarray(watt_hours.T, dtype=np.int64))
    values = pa.Array.from_buffers(pa.decimal64(18, 3), watt_hours.size, [None, unscaled])
    return pa.table(
        {
            "point": pa.array(_points(count)).take(pa.array(np.tile(np.arange(count), SLOTS))),
            "start": texts.take(pa.array(np.repeat(np.arange(SLOTS), count))),
            "value": values.cast(pa.decimal128(18, 3)),
            "status": pa.array(["W", "E"]).take(pa.array((watt_hours.T.ravel() % 100 == 0).astype(np.int32))),
        }
    )


def _write_csv_long(path: Path, watt_hours: np.ndarray) -> None:
    pa_csv.write_csv(_table(watt_hours), path, pa_csv.WriteOptions(quoting_style="none"))


def _write_parquet(path: Path, watt_hours: np.ndarray) -> None:
    table = _table(watt_hours)
    starts = table["start"].cast(pa.timestamp("us", "UTC"))
    pq.write_table(table.set_column(1, "start", starts), path, compression="snappy")


def _write_csv_wide(path: Path, watt_hours: np.ndarray) -> None:
    header = ["point", "day", *(f"{start:%H:%M}" for start in _starts()[:-1])]
    _write_lines(
        path,
        ";".join(header),
        (
            ";".join([point, "2026-03-02", *(f"{wh // 1000},{wh % 1000:03}" for wh in row)])
            for point, row in zip(_points(len(watt_hours)), watt_hours.tolist(), strict=True)
        ),
    )


def _write_nem12(path: Path, watt_hours: np.ndarray) -> None:
    def lines() -> Iterator[str]:
        for number, row in enumerate(watt_hours.tolist()):
            yield f"200,{number:010},E1,1,E1,,METER{number},kWh,15,"
            yield ",".join(["300,20260302", *(f"{wh / 1000:.3f}" for wh in row), "A,,,20260303120025,"])
        yield "900"

    _write_lines(path, "100,NEM12,202603031135,MDP,RET", lines())


def _write_mscons(path: Path, watt_hours: np.ndarray) -> None:
    stamps = [f"{start:%Y%m%d%H%M}?+00:303'" for start in _starts()]
    with path.open("w") as stream:
        stream.write("UNA:+.? 'UNB+UNOC:3+S:500+R:500+260303:0430+B1'")
        for number, (point, row) in enumerate(zip(_points(len(watt_hours)), watt_hours.tolist(), strict=True)):
            stream.write(f"UNH+{number}+MSCONS:D:04B:UN:2.4c'BGM+7+{number}+9'UNS+D'NAD+DP'LOC+172+{point}'LIN+1'")
            stream.write("PIA+5+1-1?:1.29.0:SRW'")
            for slot, wh in enumerate(row):
                stream.write(f"QTY+220:{wh / 1000:.3f}'DTM+163:{stamps[slot]}DTM+164:{stamps[slot + 1]}")
            stream.write(f"UNT+{8 + 3 * len(row)}+{number}'")
        stream.write(f"UNZ+{len(watt_hours)}+B1'")


def _write_espi(path: Path, watt_hours: np.ndarray) -> None:
    seconds = [int(start.timestamp()) for start in _starts()]
    with path.open("w") as stream:
        stream.write('<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">')
        stream.write(
            '<entry><link rel="self" href="ReadingType/1"/><content><ReadingType xmlns="http://naesb.org/espi">'
        )
        stream.write("<accumulationBehaviour>4</accumulationBehaviour><flowDirection>1</flowDirection>")
        stream.write("<powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom></ReadingType></content></entry>")
        for point, row in enumerate(watt_hours.tolist()):
            own = f"UsagePoint/{point}/MeterReading/1"
            stream.write(f'<entry><link rel="self" href="{own}"/><link rel="related" href="ReadingType/1"/><content>')
            stream.write('<MeterReading xmlns="http://naesb.org/espi"/></content></entry>')
            stream.write(f'<entry><link rel="up" href="{own}/IntervalBlock"/><content>')
            stream.write('<IntervalBlock xmlns="http://naesb.org/espi">')
            for slot, wh in enumerate(row):
                stream.write(f"<IntervalReading><timePeriod><duration>900</duration><start>{seconds[slot]}</start>")
                stream.write(f"</timePeriod><value>{wh}</value></IntervalReading>")
            stream.write("</IntervalBlock></content></entry>")
        stream.write("</feed>")


def _write_lines(path: Path, first: str, lines: Iterator[str]) -> None:
    with path.open("w") as stream:
        stream.write(first + "\n")
        stream.writelines(line + "\n" for line in lines)
