"""Documents that say when they were made: the one made later counts, whatever arrives first."""

from __future__ import annotations

import gzip
import zipfile
from datetime import UTC, date, datetime
from itertools import permutations

import pytest

from metrify_assets.feeds.places import places
from tests.unit.feeds.test_e66 import POINT, document, observation, series
from tests.unit.feeds.test_esl import document as export
from tests.unit.feeds.test_esl import meter, period, row
from tests.workbench import Workbench, micros, workbench

DAY = date(2026, 3, 1)
CHANNEL = "1-1:1.29.0"


@pytest.fixture
def bench(tmp_path) -> Workbench:
    bench = workbench(tmp_path, shards=1, timezone="Europe/Zurich")
    bench.register({"point_id": POINT, "obis_code": CHANNEL, "interval_minutes": 15})
    return bench


def made(created: str, volume: int) -> bytes:
    """Return a document whose first quarter hour has some volume."""
    return document(series(observation(1, volume)), created=created).encode()


def first_value(bench: Workbench) -> tuple[object, int, datetime]:
    bench.settle()
    first = bench.clean(DAY).to_pylist()[0]
    return first["delivered_kwh"], first["version"], first["received_at"]


DOCUMENTS = [("a_E66_1.xml", "2026-03-02T05:00:00Z", 1), ("b_E66_2.xml", "2026-03-05T05:00:00Z", 2)]
DOCUMENTS.append(("c_E66_3.xml", "2026-03-09T06:00:00+01:00", 3))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_document_that_was_made_last_counts_in_any_order_of_arrival(bench, order):
    for days_later, place in enumerate(order):
        name, created, volume = DOCUMENTS[place]
        bench.land("sdat_e66", name, made(created, volume), datetime(2026, 4, 1 + days_later, 6, tzinfo=UTC))
    assert first_value(bench) == (3, 3, datetime(2026, 3, 9, 5, tzinfo=UTC))


def test_a_document_counts_as_made_when_it_arrived_if_it_says_a_later_time(bench):
    arrived = datetime(2026, 3, 2, 6, tzinfo=UTC)
    drop = bench.land("sdat_e66", "a_E66_1.xml", made("2099-01-01T00:00:00Z", 1), arrived).drop
    assert drop.received_at <= drop.ingested_at


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_document_of_a_zip_that_was_made_last_counts_in_any_order(bench, tmp_path, order):
    path = tmp_path / "a_E66_b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0_broken.xml", b"<a>")
        for place in order:
            name, created, volume = DOCUMENTS[place]
            archive.writestr(name, made(created, volume))
    drop = bench.land("sdat_e66", path.name, path.read_bytes(), datetime(2026, 4, 1, 6, tzinfo=UTC)).drop
    assert (drop.counts["raw_values"], drop.counts["refused_files"]) == (3, 1)
    assert first_value(bench) == (3, 3, datetime(2026, 3, 9, 5, tzinfo=UTC))


@pytest.mark.parametrize("packed", [True, False])
def test_a_zip_brings_no_outdated_document_back(bench, tmp_path, packed):
    """The first document came with a newer one of other values; what was made in between stands."""
    other = document(series(observation(5, 9)), created="2026-03-10T05:00:00Z").encode()
    content = {"a_E66_1.xml": made("2026-03-02T05:00:00Z", 1), "b_E66_2.xml": other}
    if packed:
        path = tmp_path / "z_E66_1.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
        content = {path.name: path.read_bytes()}
    for name, text in content.items():
        bench.land("sdat_e66", name, text, datetime(2026, 4, 1, 6, tzinfo=UTC))
    bench.land("sdat_e66", "c_E66_3.xml", made("2026-03-05T05:00:00Z", 2), datetime(2026, 4, 2, 6, tzinfo=UTC))
    assert first_value(bench) == (2, 2, datetime(2026, 3, 5, 5, tzinfo=UTC))


@pytest.mark.parametrize("order", [(1, 0), (0, 1)])
def test_of_documents_of_one_name_the_one_made_later_counts(bench, order):
    for days_later, place in enumerate(order):
        _, created, volume = DOCUMENTS[place]
        bench.land("sdat_e66", "x_E66_1.xml", made(created, volume), datetime(2026, 4, 1 + days_later, 6, tzinfo=UTC))
    assert first_value(bench)[0] == 2


def test_of_documents_made_at_one_time_the_order_in_a_zip_decides_nothing(tmp_path):
    values = set()
    for number, order in enumerate(permutations((1, 2, 3))):
        bench = workbench(tmp_path / str(number), shards=1, timezone="Europe/Zurich")
        bench.register({"point_id": POINT, "obis_code": CHANNEL, "interval_minutes": 15})
        path = tmp_path / f"{number}_E66.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for volume in order:
                archive.writestr(f"{order.index(volume)}.xml", made("2026-03-02T05:00:00Z", volume))
        bench.land("sdat_e66", path.name, path.read_bytes())
        values.add(first_value(bench)[0])
    assert len(values) == 1


def test_a_document_in_a_zip_that_contradicts_itself_is_refused_there_alone(bench, tmp_path):
    path = tmp_path / "a_E66_b.zip"
    twice = document(series(observation(1, 7)), series(observation(1, 8)), created="2026-03-09T05:00:00Z")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.xml", twice)
        archive.writestr("b.xml", made("2026-03-02T05:00:00Z", 1))
    drop = bench.land("sdat_e66", path.name, path.read_bytes()).drop
    rows = [(row["row_number"], row["reason"], row["value_cells"]) for row in bench.quarantine(drop)]
    assert rows == [(3, "contradicting_rows", 1), (4, "contradicting_rows", 1)]
    assert first_value(bench)[:2] == (1, 1)
    located = places(bench.platform.feed("sdat_e66"), path, [1, 3], [("b.xml", 0), ("a.xml", 2)])
    assert {row: place.member for row, place in located.items()} == {1: "b.xml", 3: "a.xml"}


def test_values_of_a_time_after_the_creation_are_read_if_it_is_over_when_the_document_arrives(bench):
    """A clock that is wrong at the sender costs no value; what nobody can have measured is refused."""
    early = "2026-02-28T12:00:00Z"
    drop = bench.land("sdat_e66", "a_E66_1.xml", made(early, 1), datetime(2026, 3, 2, 6, tzinfo=UTC)).drop
    assert (drop.received_at, drop.counts["raw_values"]) == (micros(datetime(2026, 2, 28, 12, tzinfo=UTC)), 1)
    drop = bench.land("sdat_e66", "b_E66_2.xml", made(early, 2), datetime(2026, 2, 28, 13, tzinfo=UTC)).drop
    assert (drop.counts["raw_values"], drop.counts["quarantined_values"]) == (0, 1)


@pytest.mark.parametrize("created", ["soon", "<a/>"])
def test_a_document_that_does_not_say_when_it_was_made_was_written_when_its_file_was(bench, created):
    arrived = datetime(2026, 4, 1, 6, tzinfo=UTC)
    drop = bench.land("sdat_e66", "a_E66_1.xml", made(created, 1), arrived).drop
    assert (drop.received_at, drop.counts["raw_values"]) == (micros(arrived), 1)


@pytest.mark.parametrize("content", [b"", b"<a><b></a>", b"PK\x03\x04 no zip"])
def test_a_damaged_document_is_quarantined_with_the_time_of_its_file(bench, content):
    arrived = datetime(2026, 4, 1, 6, tzinfo=UTC)
    drop = bench.land("sdat_e66", "a_E66_1.xml", content, arrived).drop
    assert (drop.received_at, drop.counts["refused_files"]) == (micros(arrived), 1)


def test_a_packed_register_export_has_the_time_of_its_header(bench):
    text = export(meter(period(row())), created="2026-03-31T00:00:00")
    drop = bench.land("sdat_esl", "EdmRegisterWertExport_1.xml.gz", gzip.compress(text.encode())).drop
    assert drop.received_at == micros(datetime(2026, 3, 30, 22, tzinfo=UTC))
