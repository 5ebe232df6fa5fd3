"""``metrify score --lake`` on a small lake that real sensors and jobs filled, and ``--real`` as people call it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from metrify_assets.cli.main import main
from metrify_assets.errors import DamagedFileError
from metrify_assets.scoring.gaps.run import score_lake
from metrify_assets.vee.delivery_day import DeliveryDay, days_between
from tests import real_data
from tests.harness import Installation, installation
from tests.templates import built_once, copy_of
from tests.workbench import ARRIVED, IMPORT, instant, write_feeds

EXPORT = "1-0:2.29.0"
FIRST, LAST = date(2026, 2, 9), date(2026, 4, 5)
SPAN = "2026-03-16..2026-04-05"
HOUSES, ROOFS = [f"H{number}" for number in range(6)], [f"R{number}" for number in range(3)]
BOOK = """
editions:
  - version: winter
    valid_from: 1990-01-01
    estimation: {like_days: 2}
    exceptions:
      - {point_class: household, estimation: {similar_days: 6}}
  - version: later
    valid_from: 2027-01-01
    estimation: {similar_days: 10, similar_day_over_midnight: true, intervals: true}
"""

pytestmark = pytest.mark.slow


def feeds_of(root: Path) -> Path:
    folder = write_feeds(root / "feeds")
    plain = (folder / "plain.yaml").read_text()
    (folder / "exported.yaml").write_text(plain.replace("name: plain", "name: exported").replace(IMPORT, EXPORT))
    return folder


def opened(root: Path, **settings):
    return installation(root, with_marts=False, shards=2, max_days_per_run=100, feeds_dir=feeds_of(root), **settings)


def file_of(points: list[str], code: str, days: list[date], seed: int) -> bytes:
    """Return hours with a daily shape; of each point some are missing."""
    random = np.random.default_rng(seed)
    lines = ["point,start,kwh"]
    for point in points:
        for day in days:
            for slot, start in enumerate(DeliveryDay(day).slot_starts(60).tolist()):
                sun = max(np.sin((slot - 6) / 12 * np.pi), 0)
                shape = sun if code == EXPORT else 1 + np.sin(slot / 24 * 2 * np.pi)
                if random.random() > 0.002:
                    lines.append(f"{point},{instant(start)},{shape * random.uniform(0.6, 1.4):.3f}")
    return ("\n".join(lines) + "\n").encode()


def deliver(plant: Installation, feed: str, name: str, content: bytes, hours: float = 0) -> None:
    plant.put(feed, content, name, mtime=(ARRIVED + timedelta(hours=hours)).timestamp())


def fill(plant: Installation) -> None:
    header = "point_id,obis_code,interval_minutes,connection_kw,point_class,valid_from"
    rows = [f"{point},{IMPORT},60,30,household,2020-01-01" for point in HOUSES]
    rows += [f"{point},{code},60,30,pv,2020-01-01" for point in ROOFS for code in (IMPORT, EXPORT)]
    deliver(plant, "registry_points", "points.csv", "\n".join([header, *rows, ""]).encode())
    days = days_between(FIRST, LAST)
    deliver(plant, "plain", "all.csv", file_of([*HOUSES, *ROOFS], IMPORT, days, 1))
    deliver(plant, "exported", "all.csv", file_of(ROOFS, EXPORT, days, 2))
    plant.settle()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(root: Path) -> None:
        with opened(root, first_day=FIRST) as plant:
            fill(plant)

    return built_once(tmp_path_factory, "scored_lake", build)


@pytest.fixture
def plant(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with opened(copy_of(template, tmp_path), first_day=FIRST) as plant:
        for name, value in (
            ("ROOT", plant.settings.root),
            ("SHARDS", 2),
            ("FEEDS_DIR", plant.settings.feeds_dir),
            ("FIRST_DAY", FIRST),
        ):
            monkeypatch.setenv(f"METRIFY_{name}", str(value))
        yield plant


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run ``metrify score``; return its exit code and what it wrote."""
    monkeypatch.setattr(sys, "argv", ["metrify", "score", *arguments])
    monkeypatch.setenv("COLUMNS", "220")
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    output = capsys.readouterr()
    return code, output.out, output.err


def files_of(root: Path) -> dict[str, tuple[int, int]]:
    stats = {str(path.relative_to(root)): path.stat() for path in root.rglob("*") if path.is_file()}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def test_the_editions_are_compared_by_class_direction_and_place_and_nothing_is_written(plant, monkeypatch, capsys):
    before = files_of(plant.settings.root)
    code, text, _ = run(monkeypatch, capsys, "--lake", "--days", SPAN, "--gaps", "20", "--json")
    assert code == 0
    assert files_of(plant.settings.root) == before
    record = json.loads(text)
    assert list(record["editions"]) == ["2020-1", "2026-12"]
    # The last day is in April: the edition of December does not hold yet.
    assert record["in_force"] == "2020-1"
    cells = {(each["point_class"], each["direction"], each["place"], each["hours"]): each for each in record["cells"]}
    assert {key[:2] for key in cells} == {("household", "import"), ("pv", "import"), ("pv", "export")}
    assert {key[2] for key in cells} == {
        *("inside a day", "head of a day", "tail of a day", "over midnight"),
        *("several days", "whole day", "clock change"),
    }
    inside = cells["household", "import", "inside a day", 8]
    assert inside["gaps"] == 20
    for edition in record["editions"]:
        figures = inside["methods"][edition]
        assert figures["low"] <= figures["error_to_line"] <= figures["high"]
        assert 0.8 < figures["energy"] < 1.2
    # The shape of a day is all that there is to know, and a line does not know it.
    assert inside["methods"]["2026-12"]["high"] < 1
    assert cells["pv", "export", "over midnight", 3]["methods"]["2026-12"]["error_to_line"] is not None or (
        cells["pv", "export", "over midnight", 3]["line_wape"] in (None, 0)
    )
    classes = {each["point_class"]: each for each in record["classes"]}
    assert classes["household"]["choice"]["best"] == "2026-12"
    assert classes["household"]["choice"]["other"] == "2020-1"
    assert classes["household"]["choice"]["certain"] is True
    code, again, _ = run(monkeypatch, capsys, "--lake", "--days", SPAN, "--gaps", "20", "--json")
    assert json.loads(again) == record


def test_an_installation_with_a_rule_book_of_its_own_sees_its_editions_beside_the_shipped(
    plant, monkeypatch, capsys, tmp_path
):
    (tmp_path / "book.yaml").write_text(BOOK)
    monkeypatch.setenv("METRIFY_RULES_FILE", str(tmp_path / "book.yaml"))
    code, text, _ = run(monkeypatch, capsys, "--lake", "--days", SPAN, "--gaps", "5")
    assert code == 0
    lines = text.splitlines()
    assert lines[0].startswith("Gaps cut into the lake, 2026-03-16 to 2026-04-05")
    like, tail = "like days of 28, profile", "line up to 120 min"
    assert lines[1:4] == [
        f"winter: {tail}, 2 {like}; household: {tail}, 6 similar days of 28, 2 {like}, in force",
        f"later = 2026-12: {tail}, 10 similar days of 28 bridged over midnight, 3 {like}",
        f"2020-1: {tail}, 3 {like}",
    ]
    assert "The best edition of each class" in text
    assert "clock change, 5 h" in text


def test_days_that_are_replaced_twice_while_they_are_read_are_read_again(plant):
    said: list[str] = []
    corrected = [date(2026, 3, 20), date(2026, 3, 21)]

    def progress(text: str) -> None:
        said.append(text)
        if "estimated" in text and "replaced" not in said:
            # Files are removed once nobody can be about to publish them.
            for file in (plant.settings.root / "lake").rglob("*.parquet"):
                os.utime(file, (ARRIVED.timestamp(), ARRIVED.timestamp()))
            for number in (1, 2):
                content = file_of(HOUSES, IMPORT, corrected, 10 + number)
                deliver(plant, "adding", f"corrected_{number}.csv", content, hours=number)
                plant.settle()
            said.append("replaced")

    report = score_lake(plant.platform, date(2026, 3, 16), LAST, gaps=5, seed=1, progress=progress)
    assert "days were replaced meanwhile: reading them again" in said
    # What is said in the end is said of the days as they are then.
    settled = score_lake(plant.platform, date(2026, 3, 16), LAST, gaps=5, seed=1, progress=lambda _: None)
    assert report == settled


def test_a_damaged_day_is_named_and_not_read_for_ever(plant):
    entry = next(iter(plant.platform.lake.manifest("clean_readings", date(2026, 3, 20)).shards.values()))
    (plant.settings.root / entry.file).write_bytes(b"x" * (plant.settings.root / entry.file).stat().st_size)
    with pytest.raises(DamagedFileError, match="day=2026-03-20"):
        score_lake(plant.platform, date(2026, 3, 16), LAST, gaps=5, seed=1, progress=lambda _: None)


BAD = [
    (["--lake"], "say which days are scored: --days 2026-10-01..2026-10-31"),
    (["--lake", "--days", "30"], "--days '30': give the first and the last day, such as 2026-10-01..2026-10-31"),
    (["--lake", "--days", "2026-13-01..2026-03-01"], "'2026-13-01' is no day: write it as 2026-03-29"),
    (["--lake", "--days", "2026-03-20..2026-03-16"], "the first day comes after the last one"),
    (["--lake", "--days", "2026-03-20..2199-03-16"], "2199-03-16 lies in the future: choose days up to 20"),
    (
        ["--lake", "--days", "2020-03-20..2020-03-26"],
        "clean_readings has no day from 2020-03-20 to 2020-03-26: choose days from 2026-02-09 to 2026-04-05",
    ),
    (["--lake", "--days", "2026-02-09..2026-02-10"], "too few series or days: 0 gaps of a class can be compared, 30"),
    (["--lake", "--real", "--days", SPAN], "--lake and --real are two different scores: give one of them"),
    (["--lake", "--days", SPAN, "--points", "9"], "--points is of the simulation: leave it out with --lake and --real"),
    (["--gaps", "9"], "--gaps is of gaps in measured days: give --lake or --real as well"),
    (["--days", SPAN], f"--days '{SPAN}': of a simulation give a number from 1 to 400"),
    (["--real"], "METRIFY_REAL_DATA is not set: set it to the folder of real files, or name it after --real"),
    (["--real", "nowhere"], "nowhere is no folder: name the folder of real files, or set METRIFY_REAL_DATA to it"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_line_that_says_what_to_do(plant, monkeypatch, capsys, arguments, message):
    monkeypatch.delenv(real_data.VARIABLE, raising=False)
    code, text, error = run(monkeypatch, capsys, *arguments)
    assert (code, text) == (1, "")
    [line] = error.splitlines()
    assert line.startswith("metrify: ")
    assert message in line


def test_days_on_which_nothing_is_measured_are_said_to_be_so(plant, monkeypatch, capsys):
    # Registered and expected, but only one value came: an hour of one point of another day keeps the day alive.
    day = LAST + timedelta(days=1)
    deliver(plant, "plain", "late.csv", f"point,start,kwh\nH0,{day}T10:00:00Z,\n".encode(), hours=1)
    plant.settle()
    capsys.readouterr()
    code, _, error = run(monkeypatch, capsys, "--lake", "--days", f"{day}..{day}")
    assert code == 1
    assert error.strip() == f"metrify: no slot from {day} to {day} is measured: choose other days"


def test_a_folder_without_an_installation_is_said_to_be_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path / "nothing"))
    code, _, error = run(monkeypatch, capsys, "--lake", "--days", SPAN)
    assert code == 1
    assert len(error.splitlines()) == 1
    assert "there is no installation in" in error
    assert not (tmp_path / "nothing").exists()


@pytest.mark.real_data
def test_real_series_are_scored_from_the_folder_of_the_environment(monkeypatch, capsys):
    for folder in ("lcl_halfhourly", "lastgang", "lastgang_end_stamped", "opsd_household"):
        real_data.require(f"meters/{folder}")
    monkeypatch.setenv(real_data.VARIABLE, str(real_data.folder()))
    code, text, _ = run(monkeypatch, capsys, "--real", "--gaps", "8", "--json")
    assert code == 0
    record = json.loads(text)
    groups = {(each["point_class"], each["direction"]) for each in record["cells"]}
    assert groups == {
        *(("household", "import"), ("industry", "import"), ("industry of 2012", "import")),
        *(("home with PV", "import"), ("home with PV", "export")),
    }
    best = {each["point_class"]: each["choice"]["best"] for each in record["classes"]}
    assert best["household"] == "2026-12"
