"""The drops sensor: what a tick costs with many old files and ten new ones, in a directory and on S3.

Both keep the same number of drops in the ledger. The server on S3's side is moto's, in a process of its own. It looks
at all its keys for each listing, which S3 does not; so of every tick on S3 our own share is told as well: all but the
waits for its answers.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

from benchmarks.frame import Bench, Figures, median
from benchmarks.s3_process import Waiting, s3_process

SIZES = (1_000, 10_000, 100_000)
SHORT_SIZES = (100,)
NEW = 10
PASSED = 10_000
"""Old files of the case whose whole pass is followed."""
REPEATS = 5
PER_DAY = 1_000
"""Old files of one day's folder."""
TODAY = datetime.now(UTC).date()
FEED = """
name: dated
description: A feed whose names begin with their date.
kind: readings
format: delimited
header: [point, start, kwh]
stamp: {columns: [start]}
interval_minutes: 60
point: {column: point}
obis: "1-0:1.29.0"
unit: kWh
values: [{column: kwh}]
settle_seconds: 0
"""
DATED = 'dated_names: {pattern: "%Y/%m/%d/", days: 3}\n'
KINDS = {
    "local": "a directory, every file looked at",
    "local_between": "a directory, names that begin with their date, between two hourly looks at every file",
    "s3": "S3, names that begin with their date, while the hourly pass through all keys is under way",
    "s3_between": "S3, names that begin with their date, between two such passes",
    "s3_undated": "S3, names that tell nothing: a slice of the keys",
}
FIGURES = {
    **{
        f"sensor_{kind}_{size}_seconds": f"a tick, {size:,} old files and {NEW} new: {meaning}"
        for kind, meaning in KINDS.items()
        for size in SIZES
    },
    **{
        f"sensor_{kind}_{size}_own_seconds": "our own share of it: without waiting for the server's answers"
        for kind in KINDS
        if kind.startswith("s3")
        for size in SIZES
    },
    **{f"sensor_{kind}_start_seconds": f"the first tick of a process, {SIZES[-1]:,} drops" for kind in ("local", "s3")},
    "sensor_s3_start_own_seconds": "our own share of it",
    "sensor_s3_undated_ticks": f"ticks until a pass has seen {PASSED:,} keys whose names tell nothing",
    "sensor_s3_requests": "listings of a tick between two passes, however many old files",
}


def measure(bench: Bench) -> Figures:
    """Measure ticks over old files by the thousand."""
    figures: Figures = {}
    sizes, passed = (SHORT_SIZES, SHORT_SIZES[-1]) if bench.short else (SIZES, PASSED)
    for size in sizes:
        for store in ("local", "s3"):
            with bench.scratch(f"{store}{size}") as folder:
                found = bench.in_child(
                    "benchmarks.sources_sensor:ticks",
                    store=store,
                    old=size,
                    folder=str(folder),
                    repeats=bench.repeats or REPEATS,
                    passed=passed,
                ).value
            for kind, seconds in found["seconds"].items():
                figures[f"sensor_{kind}_{size}_seconds"] = median(seconds)
            for kind, seconds in found["own"].items():
                figures[f"sensor_{kind}_{size}_own_seconds"] = median(seconds)
            told = ", ".join(
                f"{kind} {median(seconds):.3f} s"
                + (f" (own {median(found['own'][kind]):.3f} s)" if kind in found["own"] else "")
                for kind, seconds in found["seconds"].items()
            )
            bench.say(f"{size:,} old files: {told}")
            figures |= found["counts"]
            if size == sizes[-1]:
                figures[f"sensor_{store}_start_seconds"] = round(found["start"], 3)
                if store == "s3":
                    figures["sensor_s3_start_own_seconds"] = round(found["start_own"], 3)
    return figures


def ticks(store: str, old: int, folder: str, repeats: int, passed: int) -> dict[str, Any]:
    """Fill an inbox and a ledger, tick, and return the seconds of every tick."""
    with ExitStack() as stack:
        settings, put, keep = (_local if store == "local" else _on_s3)(stack, Path(folder))
        keys = [f"{_day(number):%Y/%m/%d}/{number:06}.csv" for number in range(old)]
        sources = put(keys, b"x" * 100)
        _fill_ledger(settings, sources, keep)
        put([f"{TODAY:%Y/%m/%d}/new{number}.csv" for number in range(NEW)], b"y")
        sensor = _Sensor(settings)
        if store == "local":
            ((start, _),) = sensor.timed("", 1)
            ticks = {"local": sensor.timed("", repeats), "local_between": sensor.timed(_between(), repeats)}
            return {"start": start, "counts": {}, "seconds": _walls(ticks), "own": {}}
        return _s3_ticks(sensor, settings, repeats, follow=old == passed)


def _walls(ticks: dict[str, list[tuple[float, float]]]) -> dict[str, list[float]]:
    return {kind: [seconds for seconds, _ in found] for kind, found in ticks.items()}


def _s3_ticks(sensor: _Sensor, settings: dict[str, Any], repeats: int, *, follow: bool) -> dict[str, Any]:
    from metrify_assets.drops.inbox import Position

    waiting = Waiting(sensor.platform.inbox.bucket.client)
    ((start, start_own),) = sensor.timed("", 1, waiting)
    ticks = {"s3": sensor.timed("", repeats, waiting), "s3_between": sensor.timed(_between(), repeats, waiting)}
    asked: list[str] = []
    client = sensor.platform.inbox.bucket.client
    client.meta.events.register("before-call.s3.ListObjectsV2", lambda params, **_: asked.append(params["url"]))
    sensor.tick(_between())
    counts = {"sensor_s3_requests": len(asked)}
    Path(settings["feeds_dir"], "dated.yaml").write_text(FEED)
    undated = _Sensor(settings)
    undated.tick("")
    ticks["s3_undated"] = undated.timed("", repeats, waiting)
    if follow:
        position, looks = "", 0
        while looks == 0 or Position.parse(position).after:
            position, looks = undated.look(position), looks + 1
        counts["sensor_s3_undated_ticks"] = looks
    own = {kind: [mine for _, mine in found] for kind, found in ticks.items()}
    return {"start": start, "start_own": start_own, "seconds": _walls(ticks), "own": own, "counts": counts}


def _between() -> str:
    """Return the position after a pass through all keys, an hour before the next."""
    from metrify_assets.clock import SYSTEM_CLOCK
    from metrify_assets.drops.inbox import Position

    return str(Position("", False, SYSTEM_CLOCK.now()))


class _Sensor:
    """The drops sensor of a process that has seen nothing yet."""

    def __init__(self, settings: dict[str, Any]):
        import dagster as dg

        from metrify_assets.orchestration.automation.sensors import drops_sensor
        from metrify_assets.platform import Platform
        from metrify_assets.settings import Settings

        self.platform = Platform(Settings(**settings))
        self.instance = dg.DagsterInstance.ephemeral()
        self.sensor = drops_sensor(dg.DefaultSensorStatus.STOPPED)

    def tick(self, cursor: str) -> int:
        """Evaluate the sensor; return how many files it asks for."""
        import dagster as dg

        resources = {"platform": self.platform}
        with dg.build_sensor_context(self.instance, cursor=cursor, resources=resources) as context:
            requests = self.sensor(context).run_requests or []
        return sum(len(request.run_config["ops"]["ingest_drops"]["config"]["drops"]) for request in requests)

    def timed(self, cursor: str, repeats: int, waiting: Waiting | None = None) -> list[tuple[float, float]]:
        """Return the seconds of some ticks that see the same, and those that were not waiting for a server."""
        seconds = []
        for _ in range(repeats):
            started, waited = time.perf_counter(), waiting.seconds if waiting else 0.0
            self.tick(cursor)
            passed = time.perf_counter() - started
            seconds.append((passed, passed - ((waiting.seconds if waiting else 0.0) - waited)))
        return seconds

    def look(self, position: str) -> str:
        """Look once; return where the next look goes on."""
        from metrify_assets.orchestration.automation.sensors import scan_inbox

        return scan_inbox(self.platform, position).position


def _day(number: int) -> date:
    return TODAY - timedelta(days=10 + number // PER_DAY)


Put = Callable[[list[str], bytes], list[tuple[str, int, int, str]]]
Keep = Callable[[dict[str, dict]], None]
"""Stores records of the ledger, past the API that would take a request or a flush to the disk for each."""


def _settings(folder: Path) -> dict[str, Any]:
    feeds = folder / "feeds"
    feeds.mkdir(parents=True)
    (feeds / "dated.yaml").write_text(FEED + DATED)
    return {"root": str(folder / "metrify"), "feeds_dir": str(feeds)}


def _local(_: ExitStack, folder: Path) -> tuple[dict[str, Any], Put, Keep]:
    inbox = folder / "metrify" / "inbox" / "dated"

    def keep(records: dict[str, dict]) -> None:
        for key, record in records.items():
            path = folder / "metrify" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))

    def put(names: list[str], content: bytes) -> list[tuple[str, int, int, str]]:
        sources = []
        for name in names:
            path = inbox / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            sources.append((name, len(content), os.stat(path).st_mtime_ns // 1_000, ""))
        return sources

    return _settings(folder), put, keep


def _on_s3(stack: ExitStack, folder: Path) -> tuple[dict[str, Any], Put, Keep]:
    from tests.s3_server import new_bucket, s3_settings

    server = stack.enter_context(s3_process())
    sender = new_bucket(server.url, "sensor")
    written = datetime.now(UTC).replace(microsecond=0)
    modified_at = int(written.timestamp()) * 1_000_000

    def put(names: list[str], content: bytes) -> list[tuple[str, int, int, str]]:
        server.put_many(sender.bucket.name, [(f"inbox/dated/{name}", content) for name in names], written)
        etag = md5(content, usedforsecurity=False).hexdigest()
        return [(name, len(content), modified_at, etag) for name in names]

    def keep(records: dict[str, dict]) -> None:
        server.put_many(sender.bucket.name, [(key, json.dumps(record).encode()) for key, record in records.items()])

    return _settings(folder) | s3_settings(sender), put, keep


def _fill_ledger(settings: dict[str, Any], sources: list[tuple[str, int, int, str]], keep: Keep) -> None:
    """Record a drop for every source, as ingest runs of the last days would have."""
    from metrify_assets.clock import SYSTEM_CLOCK
    from metrify_assets.drops.ledger import Drop, Part
    from metrify_assets.drops.ledger_records import INDEX_FOLDER, Segment, ledger_log
    from metrify_assets.platform import Platform
    from metrify_assets.settings import Settings

    store = Platform(Settings(**settings)).store
    records = {}
    moment = SYSTEM_CLOCK.now() - 24 * 3_600_000_000
    for number, (name, size, modified_at, etag) in enumerate(sources):
        drop_id = f"{number:016x}"
        day = _day(number).isoformat()
        shards = {str(shard): [shard] for shard in range(4)}
        part = Part(f"lake/raw_readings/day={day}/{drop_id}~p-0.parquet", shards, dict.fromkeys(shards, 24))
        drop = Drop(
            feed="dated",
            drop_id=drop_id,
            name=name,
            kind="readings",
            table="raw_readings",
            replaces=True,
            landed=f"landing/dated/{drop_id}-x.csv",
            size=size,
            modified_at=modified_at,
            received_at=modified_at,
            ingested_at=moment + number,
            parse_digest="0123456789abcdef",
            parts={day: [part]},
            counts={
                "rows": 96,
                "delivered_values": 96,
                "raw_values": 96,
                "quarantined_rows": 0,
                "quarantined_values": 0,
            },
            etag=etag,
        )
        records[f"{ledger_log(store).key_at(moment + number * 100_000)}-dated-{drop_id}~p.drop.json"] = asdict(drop)
    keep(records)
    until = ledger_log(store).key_at(SYSTEM_CLOCK.now() - 3_600_000_000)
    store.write(f"{INDEX_FOLDER}/all.json.gz", Segment("", until, records).packed())
