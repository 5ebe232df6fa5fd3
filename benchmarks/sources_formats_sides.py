"""The two sides of the benchmark ``sources_formats``, each run in a process of its own.

Belongs here: reading a file as a feed does, and as the peer of its format does. Does not belong here: the files
(``sources_formats_files.py``).

Our side ends with the typed rows of ``raw_readings`` in memory, batch by batch as ingestion takes them: instants,
delivery days, statuses, exact decimals, provenance, everything refused accounted for. The peers do less: DuckDB parses
the file into a table of typed columns, nemreader into its objects, the loops into lists. All return how many values
they found and what these add up to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


def ours(name: str, path: str) -> Answer:
    """Read a file as its feed declares."""
    # PyArrow loads pandas when an array is first turned into NumPy's: no side's seconds hold the loading of libraries.
    import pandas as pd  # noqa: F401

    from benchmarks.sources_formats_files import feed
    from metrify_assets.feeds.reader import ReadReport, read_drop
    from metrify_assets.storage.arrow import decimal_integers
    from metrify_assets.vee.delivery_day import to_microseconds

    declared, report, micro = feed(name), ReadReport(), 0
    received_at = to_microseconds(datetime.fromisoformat("2026-03-10T00:00:00+00:00"))
    started = time.perf_counter()
    for batch in read_drop(
        declared,
        Path(path),
        name=f"{name}.dat",
        drop_id="drop",
        received_at=received_at,
        zone="Europe/Berlin",
        first_day=date(2020, 1, 1),
        last_day=date(2027, 1, 1),
        report=report,
    ):
        micro += int(decimal_integers(batch.rows["value"]).sum())
    # The reading types of the ESPI file say that its values are thousandths.
    return _answer(time.perf_counter() - started, report.raw_values, Decimal(micro).scaleb(-6))


def peer(name: str, path: str) -> Answer:
    """Read a file as the peer of its format does."""
    return {
        "csv_long": _duckdb_csv_long,
        "csv_wide": _duckdb_csv_wide,
        "parquet": _duckdb_parquet,
        "nem12": _nemreader,
        "mscons": _mscons_loop,
        "espi": _espi_loop,
    }[name](path)


def _answer(seconds: float, rows: int, total: Decimal | float) -> Answer:
    return {"seconds": seconds, "rows": rows, "total": f"{Decimal(total):.3f}"}


def _in_duckdb(query: str) -> Answer:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        started = time.perf_counter()
        connection.execute(f"CREATE TABLE readings AS {query}")
        seconds = time.perf_counter() - started
        (found,) = connection.execute("SELECT count(*), sum(value) FROM readings").fetchall()
    return _answer(seconds, *found)


def _duckdb_csv_long(path: str) -> Answer:
    columns = "{point: VARCHAR, start: TIMESTAMPTZ, value: 'DECIMAL(18,6)', status: VARCHAR}"
    return _in_duckdb(f"SELECT * FROM read_csv('{path}', header = true, delim = ',', columns = {columns})")


def _duckdb_csv_wide(path: str) -> Answer:
    from metrify_assets.feeds.model import Slots

    labels = Slots(first="00:00", last="23:45", step_minutes=15).labels
    types = ", ".join(["point: VARCHAR", "day: DATE", *(f"'{label}': 'DECIMAL(18,6)'" for label in labels)])
    source = f"read_csv('{path}', header = true, delim = ';', decimal_separator = ',', columns = {{{types}}})"
    return _in_duckdb(
        f"SELECT point, day + slot::TIME AS start, value FROM (UNPIVOT {source} ON COLUMNS(* EXCLUDE (point, day)) "
        "INTO NAME slot VALUE value)"
    )


def _duckdb_parquet(path: str) -> Answer:
    return _in_duckdb(f"SELECT point, start, value::DECIMAL(18,6) AS value, status FROM read_parquet('{path}')")


def _timed(read: Callable[[], list[float]]) -> Answer:
    started = time.perf_counter()
    values = read()
    seconds = time.perf_counter() - started
    return _answer(seconds, len(values), Decimal(round(sum(values) * 1000)) / 1000)


def _nemreader(path: str) -> Answer:
    from nemreader import read_nem_file

    started = time.perf_counter()
    readings = read_nem_file(path).readings
    seconds = time.perf_counter() - started
    values = [one.read_value for channels in readings.values() for series in channels.values() for one in series]
    return _answer(seconds, len(values), Decimal(round(sum(values) * 1000)) / 1000)


def _mscons_loop(path: str) -> Answer:
    """Split a file that is known to be well-formed: no releases but in stamps, no checks, no counts."""

    def read() -> list[float]:
        rows: list[tuple[str, str, datetime, datetime, float]] = []
        point = channel = ""
        value = 0.0
        start = datetime.min
        for segment in Path(path).read_text().split("'"):
            tag = segment[:3]
            if tag == "QTY":
                value = float(segment.split(":")[1])
            elif segment.startswith("DTM+163"):
                start = datetime.fromisoformat(f"{segment[8:16]}T{segment[16:20]}{segment[21:24]}:00")
            elif segment.startswith("DTM+164"):
                end = datetime.fromisoformat(f"{segment[8:16]}T{segment[16:20]}{segment[21:24]}:00")
                rows.append((point, channel, start, end, value))
            elif segment.startswith("LOC+172+"):
                point = segment[8:]
            elif tag == "PIA":
                channel = segment.split("+")[2].replace("?:", ":")
        return [row[4] for row in rows]

    return _timed(read)


def _espi_loop(path: str) -> Answer:
    """Walk the tree of a whole file with the standard library: no links, no checks."""
    from datetime import UTC
    from xml.etree.ElementTree import parse

    def read() -> list[float]:
        espi = "{http://naesb.org/espi}"
        rows = []
        for reading in parse(path).iter(f"{espi}IntervalReading"):
            period = reading.find(f"{espi}timePeriod")
            start = datetime.fromtimestamp(int(period.findtext(f"{espi}start")), UTC)
            rows.append(
                (start, int(period.findtext(f"{espi}duration")), float(reading.findtext(f"{espi}value")) / 1000)
            )
        return [row[2] for row in rows]

    return _timed(read)
