"""Without an extra's packages everything else works, and what needs them names the extra in one line."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from metrify_assets.errors import EXTRAS
from metrify_assets.settings import REPOSITORY_DIR

pytestmark = pytest.mark.seldom

AVRO_FEED = """
name: meters_avro
description: Reads of a stream.
kind: readings
format: stream
same_name: add
stream: {topics: [meters], value: avro, avro_schema: meters.avsc}
stamp: {columns: [start]}
interval_minutes: 15
point: {column: point}
obis: "1-0:1.29.0"
unit: kWh
values: [{column: kwh}]
"""


def metrify_without(extra: str, arguments: list[str], root: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run the command line in a process that cannot import the modules of an extra."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS[extra]}))"
    run = "from metrify_assets.cli.main import main; main()"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("METRIFY_")}
    return subprocess.run(
        [sys.executable, "-c", f"{hide}; {run}", *arguments],
        env={**inherited, "METRIFY_ROOT": str(root), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("extra", "arguments", "environment"),
    [
        ("kafka", ["streams"], {"METRIFY_KAFKA_BOOTSTRAP": "127.0.0.1:1"}),
        (
            "mqtt",
            ["bridge", "mqtt", "--feed", "meters_mqtt"],
            {"METRIFY_MQTT_URL": "mqtt://127.0.0.1:1"},
        ),
        ("plots", ["explain", "P1", "2026-03-29", "--plot", "day.svg"], {}),
    ],
)
def test_what_needs_an_extra_names_it_in_one_line(extra, arguments, environment, tmp_path):
    done = metrify_without(extra, arguments, tmp_path, **environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("metrify: ")
    assert done.stderr.endswith(f" needs the extra {extra}: pip install 'metrify[{extra}]'\n")


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_rest_works_without_an_extra(extra, tmp_path):
    done = metrify_without(extra, ["feed", "list"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "meters_north" in done.stdout


def test_a_feed_that_needs_an_extra_stops_no_other(tmp_path):
    (tmp_path / "meters_avro.yaml").write_text(AVRO_FEED)
    (tmp_path / "meters.avsc").write_text('{"type": "record", "name": "r", "fields": []}')
    done = metrify_without("kafka", ["feed", "list"], tmp_path / "root", METRIFY_FEEDS_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "meters_north" in done.stdout
    broken = next(line for line in done.stdout.splitlines() if line.startswith("BROKEN meters_avro"))
    assert "Avro needs the extra kafka: pip install 'metrify[kafka]'" in broken


def test_all_extras_are_in_all_and_have_modules_that_an_error_can_name():
    project = tomllib.loads((REPOSITORY_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = project["optional-dependencies"]
    assert set(declared) == {*EXTRAS, "all"}
    assert declared["all"] == [f"metrify[{','.join(EXTRAS)}]"]
    core = {line.split(">")[0] for line in project["dependencies"]}
    assert core.isdisjoint({"confluent-kafka", "fastavro", "paho-mqtt", "matplotlib"})
