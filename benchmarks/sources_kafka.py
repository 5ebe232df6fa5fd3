"""Benchmark ``sources_kafka``: landing a topic against a bare consume loop over the same topic.

Belongs here: which cases are compared, in which order, and the names of the figures. Does not belong here: the two
sides (``kafka_sides.py``) and the broker (``tests/integration/kafka_broker.py``).

One real broker on loopback holds a partition of JSON reads. The bare loop fetches every record and looks at its error
and offset; our side lands the same offsets as immutable Parquet drops, and then reads them into the raw tables and
records them. Every case runs in a fresh process, with the libraries loaded before the clock starts; the sides take
turns; figures are medians. Both sides must see the same number of records.
"""

from __future__ import annotations

from collections import defaultdict

from benchmarks.frame import Bench, BenchmarkError, Child, Figures, median

RECORDS_PER_POINT = 10
REPEATS = 3

FIGURES = {
    "records": "JSON reads in the partition",
    "bytes_per_record": "bytes of a value, mean",
    "bare_seconds": "bare consume loop, median",
    "bare_records_per_s": "records / bare_seconds",
    "bare_peak_mib": "its resident memory",
    "landing_seconds": "our side: records to durable Parquet drops, median",
    "landing_records_per_s": "records / landing_seconds",
    "landing_share": "landing_records_per_s / bare_records_per_s; goal: at least 0.5",
    "taken_in_seconds": "our side: landing, decoding, raw tables and ledger, median",
    "taken_in_records_per_s": "records / taken_in_seconds",
    "landed_mib": "size of the drops",
    "peak_mib": "resident memory of our side, taking in included",
}


def measure(bench: Bench) -> Figures:
    """Take all figures.

    Raises
    ------
    BenchmarkError
        If no broker can be had, or the two sides see different numbers of records.
    """
    from tests.integration.kafka_broker import NoBrokerError, running

    try:
        with bench.scratch("broker") as folder, running(folder) as broker:
            broker.create("reads")
            broker.create("warm-up")
            return _measure(bench, broker.bootstrap)
    except NoBrokerError as error:
        raise BenchmarkError(str(error)) from error


def _measure(bench: Bench, bootstrap: str) -> Figures:
    records = bench.points * RECORDS_PER_POINT
    bench.say(f"writing {records:,} records")
    written = bench.in_child("benchmarks.kafka_sides:produce", bootstrap=bootstrap, records=records).value
    turns: dict[str, list[Child]] = defaultdict(list)
    repeats = bench.repeats or REPEATS
    for repeat in range(1, repeats + 1):
        turns["bare"].append(bench.in_child("benchmarks.kafka_sides:bare", bootstrap=bootstrap))
        with bench.scratch("landed") as folder:
            turns["ours"].append(bench.in_child("benchmarks.kafka_sides:land", bootstrap=bootstrap, root=str(folder)))
        found = {side: runs[-1].value["records"] for side, runs in turns.items()}
        if set(found.values()) != {records}:
            raise BenchmarkError(f"of {records} records the sides saw {found}")
        bare, ours = turns["bare"][-1].value, turns["ours"][-1].value
        bench.say(f"{repeat}/{repeats}: bare {bare['seconds']:.1f} s, landing {ours['seconds']:.1f} s")
    bare_seconds = median([run.value["seconds"] for run in turns["bare"]])
    seconds = {name: median([run.value[name] for run in turns["ours"]]) for name in ("seconds", "taken_in_seconds")}
    return {
        "records": records,
        "bytes_per_record": round(written["bytes"] / records),
        "bare_seconds": bare_seconds,
        "bare_records_per_s": round(records / bare_seconds),
        "bare_peak_mib": round(max(run.peak_mib for run in turns["bare"])),
        "landing_seconds": seconds["seconds"],
        "landing_records_per_s": round(records / seconds["seconds"]),
        "landing_share": round(bare_seconds / seconds["seconds"], 3),
        "taken_in_seconds": seconds["taken_in_seconds"],
        "taken_in_records_per_s": round(records / seconds["taken_in_seconds"]),
        "landed_mib": round(turns["ours"][-1].value["bytes"] / 2**20, 1),
        "peak_mib": round(max(run.peak_mib for run in turns["ours"])),
    }
