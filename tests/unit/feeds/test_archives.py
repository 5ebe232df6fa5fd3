"""Zip archives of DWD: the product member is read, the others are not, and what is no honest archive is refused."""

from __future__ import annotations

import gzip
import zipfile
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.feeds.formats import archives
from tests.examples import examples
from tests.unit.feeds.reading import read, write

PRODUCT = "produkt_tu_stunde_20240101_20250101_00044.txt"
TEXT = (
    "STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor\r\n"
    "         44;2024070100;    3;  14.2;  83.0;eor\r\n"
    "         44;2024070101;    3;  -999;  -999;eor\r\n"
)
NAME = "stundenwerte_TU_00044_akt.zip"


def packed(members: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def hourly(tmp_path, content):
    return read("dwd_hourly_tu", write(tmp_path, NAME, content))


def test_the_product_is_read_and_its_metadata_left_in_the_archive(tmp_path):
    members = {"Metadaten_Fehlwerte_00044.txt": "Stations_ID;x\n44;1\n", PRODUCT: TEXT, "Metadaten_Geographie.txt": "y"}
    result = hourly(tmp_path, packed(members))
    assert result.quarantine == []
    assert result.values == [Decimal("14.2"), Decimal("83"), None, None]
    assert set(result.column("station_id")) == {"dwd-44"}
    assert (result.report.rows, result.report.delivered_values) == (2, 4)


def test_the_product_file_alone_is_read_as_well(tmp_path):
    assert (
        read("dwd_hourly_tu", write(tmp_path, PRODUCT, TEXT)).values == hourly(tmp_path, packed({PRODUCT: TEXT})).values
    )


@pytest.mark.parametrize(
    ("members", "detail"),
    [
        ({"Metadaten_Fehlwerte_00044.txt": "x"}, "found Metadaten_Fehlwerte_00044.txt"),
        ({}, "found none"),
    ],
)
def test_an_archive_without_a_product_is_refused(tmp_path, members, detail):
    (row,) = hourly(tmp_path, packed(members)).quarantine
    assert row["reason"] == "bad_archive"
    assert detail in row["detail"]


def test_a_member_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "RATIO_FROM_BYTES", 10_000)
    (row,) = hourly(tmp_path, packed({PRODUCT: TEXT + "\n" * 1_000_000})).quarantine
    assert row["reason"] == "bad_archive"
    assert "not unpacked" in row["detail"]


def test_a_broken_archive_is_refused(tmp_path):
    whole = packed({PRODUCT: TEXT * 100})
    assert hourly(tmp_path, whole[:-30]).reasons == ["truncated_file"]
    damaged = bytearray(whole)
    damaged[len(PRODUCT) + 60] ^= 0xFF
    assert hourly(tmp_path, bytes(damaged)).reasons == ["truncated_file"]


def test_an_encrypted_member_is_refused(tmp_path):
    content = bytearray(packed({PRODUCT: TEXT}, zipfile.ZIP_STORED))
    # The flag in the local header and in the directory; the content need not be encrypted for it to be refused.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (row,) = hourly(tmp_path, bytes(content)).quarantine
    assert row["reason"] == "bad_archive"
    assert "encrypted" in row["detail"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_no_weather_service_uses_is_refused(tmp_path, compression):
    (row,) = hourly(tmp_path, packed({PRODUCT: TEXT}, compression)).quarantine
    assert row["reason"] == "bad_archive"
    assert f"stored or deflated, found compression {compression}" in row["detail"]


@settings(max_examples=examples(3))
@given(st.lists(st.tuples(st.integers(4, 10_000), st.integers(0, 255)), max_size=4), st.integers(0, 400))
@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_no_damage_makes_the_reader_fail(compression, changes, cut):
    content = bytearray(packed({PRODUCT: TEXT, "Metadaten.txt": "x"}, compression))
    for place, byte in changes:
        content[4 + place % (len(content) - 4)] = byte
    if cut > 300:
        del content[cut:]
    with TemporaryDirectory() as folder:
        hourly(Path(folder), bytes(content))


def test_without_a_pattern_every_member_is_read(tmp_path):
    assert read("grid_status", write(tmp_path, "grid.csv", packed({"a.csv": "x", "b.csv": "y"}))).reasons == [
        *["header_mismatch"] * 2
    ]


LINES = "Zaehlpunkt;OBIS;Datum;Uhrzeit;Wert;Status\n" + "A;1-0:1.29.0;01.03.2026;00:15;1,5;W\n" * 3


def test_a_gzip_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "RATIO_FROM_BYTES", 10_000)
    bomb = gzip.compress(LINES.encode() + b"\n" * 1_000_000)
    (row,) = read("meters_north", write(tmp_path, "north_1.csv.gz", bomb)).quarantine
    assert (row["reason"], "not unpacked" in row["detail"]) == ("bad_archive", True)


def test_many_members_may_not_unpack_to_far_too_much_together(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "RATIO_FROM_BYTES", 1_000)
    monkeypatch.setattr(archives, "MAX_RATIO", 0)
    result = read("meters_north", write(tmp_path, "north_1.zip", packed({f"{i}.csv": LINES for i in range(9)})))
    allowed = 1_000 // len(LINES)
    assert len(result.rows) == 3 * allowed
    assert result.reasons == ["bad_archive"] * (9 - allowed)


def test_a_damaged_member_does_not_lose_those_after_it(tmp_path):
    members = {"1.csv": LINES, "2.csv": LINES.replace("A;", "B;"), "3.csv": LINES.replace("A;", "C;")}
    content = bytearray(packed(members, zipfile.ZIP_STORED))
    content[content.index(b"B;1-0")] = ord("X")
    result = read("meters_north", write(tmp_path, "north_1.zip", bytes(content)))
    assert result.column("point_id") == ["A"] * 3 + ["C"] * 3
    (row,) = result.quarantine
    assert (row["reason"], row["detail"][:7]) == ("truncated_file", "2.csv: ")
    assert len({row["row_number"], *result.column("row_number")}) == 7


def test_what_a_truncated_archive_lost_is_counted_as_its_format_does(tmp_path):
    days = "".join(
        f"300,202603{i:02},{','.join(str(i + j) for j in range(48))},A,,,20260302120025,\n" for i in range(1, 29)
    )
    whole = gzip.compress(f"100,NEM12,202603011135,A,B\n200,N,E1,1,E1,N1,M,kWh,30,\n{days}900\n".encode())
    result = read("nem12", write(tmp_path, "a.csv.gz", whole[:-8]))
    assert result.reasons == ["truncated_file"]
    assert result.report.delivered_values == 28 * 48


@pytest.mark.parametrize(
    "content",
    [
        packed({"a.csv.gz": gzip.compress(LINES.encode())}),
        packed({"a.zip": packed({"a.csv": LINES})}),
        gzip.compress(packed({"a.csv": LINES})),
        gzip.compress(gzip.compress(LINES.encode())),
    ],
)
def test_an_archive_in_an_archive_is_named(tmp_path, content):
    (row,) = read("meters_north", write(tmp_path, "north_1.zip", content)).quarantine
    assert row["reason"] == "bad_archive"
    assert "deliver it unpacked once" in row["detail"]


def test_a_name_inside_an_archive_forges_no_line(tmp_path):
    name = "1\nforged\x1b[2K.csv"
    result = read("meters_north", write(tmp_path, "north_1.zip", packed({name: "nothing\n"})))
    assert r"1\nforged\x1b[2K.csv: expected" in result.quarantine[0]["detail"]
    assert all(member.isprintable() for member, _ in result.report.members)
