"""Registries: typed rows with validity, and what bad input gets."""

from __future__ import annotations

from datetime import date

import pytest

from tests.unit.feeds.reading import feed, read, write


def points(tmp_path, body, header="point_id,obis_code,interval_minutes,connection_kw,valid_from,valid_to\n"):
    return read("registry_points", write(tmp_path, "points.csv", header + body))


def test_a_row_is_typed_and_absent_columns_are_null(tmp_path):
    (row,) = points(tmp_path, "P1,1-0:1.29.0,15,27.6,2020-01-01,\n").rows
    assert row["interval_minutes"] == 15
    assert row["connection_kw"] == 27.6
    assert (row["valid_from"], row["valid_to"]) == (date(2020, 1, 1), None)
    assert row["annual_kwh"] is None
    assert (row["feed"], row["row_number"]) == ("registry_points", 1)


@pytest.mark.parametrize(
    "line",
    [
        ",1-0:1.29.0,15,1,2020-01-01,",
        "P2,1-0:1.29.0,fifteen,1,2020-01-01,",
        "P2,1-0:1.29.0,15.5,1,2020-01-01,",
        "P2,1-0:1.29.0,0,1,2020-01-01,",
        "P2,1-0:1.29.0,15,-1,2020-01-01,",
        "P2,1-0:1.29.0,15,nan,2020-01-01,",
        "P2,1-0:1.29.0,15,1,01.01.2020,",
        "P2,1-0:1.29.0,15,1,,",
        "P2,1-0:1.29.0,15,1,2020-01-01,2020-01-01",
    ],
)
def test_a_value_that_cannot_be_is_quarantined_with_its_row(tmp_path, line):
    result = points(tmp_path, f"P1,1-0:1.29.0,15,1,2020-01-01,\n{line}\n")
    assert [row["point_id"] for row in result.rows] == ["P1"]
    assert [(row["reason"], row["payload"]) for row in result.quarantine] == [("bad_registry_value", line)]


def test_the_first_row_of_a_key_stands(tmp_path):
    line = "P1,1-0:1.29.0,15,{},2020-01-01,\n"
    result = points(tmp_path, line.format(1) + line.format(2) + line.format(3).replace("2020", "2021"))
    assert [row["connection_kw"] for row in result.rows] == [1, 3]
    assert [(row["row_number"], row["reason"]) for row in result.quarantine] == [(2, "duplicate_key")]


def test_a_missing_required_column_is_a_header_mismatch(tmp_path):
    result = points(tmp_path, "P1,15\n", header="point_id,interval_minutes\n")
    assert result.reasons == ["header_mismatch"]
    assert "valid_from" in result.quarantine[0]["detail"]


def test_columns_may_have_names_and_an_order_of_their_own(tmp_path):
    declared = feed("registry_operators").model_copy(update={"rename": {"id": "operator_id"}})
    content = "kind,valid_from,note,name,id\ntso,2020-01-01,x,Amprion GmbH,amprion\nxyz,2020-01-01,x,Y,y\n"
    result = read(declared, write(tmp_path, "operators.csv", content))
    assert [(row["operator_id"], row["name"], row["kind"]) for row in result.rows] == [
        ("amprion", "Amprion GmbH", "tso")
    ]
    assert result.reasons == ["bad_registry_value"]


def test_meters_and_stations_are_read(tmp_path):
    meters = write(tmp_path, "m.csv", "meter_id,point_id,valid_from,installed_on\nZ1,P1,2020-01-01,2019-12-24\n")
    assert read("registry_meters", meters).rows[0]["installed_on"] == date(2019, 12, 24)
    stations = write(
        tmp_path,
        "s.csv",
        "station_id,name,latitude,longitude,valid_from\nS1,Ulm,48.4,10.0,2020-01-01\nS2,X,91,0,2020-01-01\n",
    )
    result = read("registry_weather_stations", stations)
    assert [row["station_id"] for row in result.rows] == ["S1"]
    assert result.reasons == ["bad_registry_value"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-03-01T10:00:00+01:00", "9999-12-31T23:59:59Z"),
        ("9999-12-31T23:30:00-05:00", ""),
        ("0001-01-01T00:00:00+01:00", "2026-03-01T10:00:00Z"),
    ],
)
def test_an_instant_at_the_end_of_the_calendar_is_refused_with_its_row(tmp_path, start, end):
    good = "B,2026-03-01T10:00:00Z,2026-03-01T11:00:00Z,storm"
    text = f"point_id,starts_at,ends_at,cause\nA,{start},{end},storm\n{good}\n"
    result = read("registry_outages", write(tmp_path, "outages.csv", text))
    assert result.column("point_id") == ["B"]
    assert "expected an instant between the years 2 and 9998" in result.quarantine[0]["detail"]
