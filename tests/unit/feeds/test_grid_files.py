"""Grid files of several dialects: optional columns, intervals told by the file, contradicting rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from metrify_assets.errors import FeedError
from metrify_assets.feeds.model import TextField, parse_feed
from tests.unit.feeds.reading import feed, read, write

LOAD = "50Hertz_Realisierter_Stromverbrauch_202601010000_202601020000"


def smard(tmp_path, header, *rows, resolution="Stunde", name="smard_load", stem=LOAD):
    text = "\ufeff" + "\r\n".join([header, *rows, ""])
    return read(name, write(tmp_path, f"{stem}_{resolution}.csv", text))


def told(result):
    """Return metric and value of every row."""
    return [(row["metric"], row["value"]) for row in result.rows]


@pytest.mark.parametrize("ending", [" Originalauflösungen", " Berechnete Auflösungen", ""])
def test_the_ending_of_a_column_name_is_not_looked_at(tmp_path, ending):
    header = (
        f"Datum von;Datum bis;Gesamt (Netzlast) [MWh]{ending};Residuallast [MWh]{ending};Pumpspeicher [MWh]{ending}"
    )
    row = "01.01.2026 00:00;01.01.2026 01:00;8.814,25;-1.402,25;-"
    assert told(smard(tmp_path, header, row)) == [
        ("load_mw", Decimal("8814.25")),
        ("residual_load_mw", Decimal("-1402.25")),
        ("pumped_storage_mw", None),
    ]


def test_a_file_has_the_columns_that_its_downloader_chose_in_any_order(tmp_path):
    header = "Datum von;Datum bis;Pumpspeicher [MWh] Originalauflösungen;Netzlast [MWh] Originalauflösungen"
    result = smard(tmp_path, header, "01.01.2026 00:00;01.01.2026 01:00;1,5;2.000,0")
    assert told(result) == [("pumped_storage_mw", Decimal("1.5")), ("load_mw", Decimal(2000))] or told(result) == [
        ("load_mw", Decimal(2000)),
        ("pumped_storage_mw", Decimal("1.5")),
    ]
    assert result.report.delivered_values == 2


@pytest.mark.parametrize(
    "header",
    [
        "Datum von;Datum bis;Kernfusion [MWh]",
        "Datum von;Datum bis",
        "Datum bis;Netzlast [MWh]",
        "Datum von;Datum bis;Netzlast [MWh];Netzlast [MWh]",
    ],
)
def test_other_columns_are_refused_with_the_expected_header(tmp_path, header):
    (row,) = smard(tmp_path, header, "1;2;3").quarantine
    assert row["reason"] == "header_mismatch"


def test_quarter_hours_are_told_by_the_stamps_and_make_four_times_the_mw(tmp_path):
    rows = [f"01.01.2026 00:{minute};01.01.2026 00:00;2.500,25" for minute in ("00", "15", "30", "45")]
    result = smard(tmp_path, "Datum von;Datum bis;Netzlast [MWh]", *rows, resolution="Viertelstunde")
    assert result.values == [Decimal("10001")] * 4
    assert result.column("resolution_minutes") == [15] * 4


def test_an_interval_that_is_not_declared_is_refused_whole(tmp_path):
    rows = [f"0{day}.01.2026 00:00;x;1,0" for day in (1, 2, 3)]
    (row,) = smard(tmp_path, "Datum von;Datum bis;Netzlast [MWh]", *rows).quarantine
    assert (row["reason"], row["value_cells"]) == ("wrong_interval", 3)
    assert row["detail"] == "expected a value every 60 or 15 minutes, found one every 1440"


def test_generation_by_type(tmp_path):
    header = "Datum von;Datum bis;Biomasse [MWh] Originalauflösungen;Photovoltaik [MWh] Originalauflösungen"
    stem = "DE_Realisierte_Erzeugung_202601010000_202601020000"
    result = smard(tmp_path, header, "01.01.2026 12:00;x;4.100,5;-", name="smard_generation", stem=stem)
    assert told(result) == [("biomass_mw", Decimal("4100.5")), ("solar_mw", None)]
    assert set(result.column("control_area")) == {"DE"}


@pytest.mark.parametrize("area", ["50Hertz", "Amprion", "TenneT", "TransnetBW", "DE"])
@pytest.mark.parametrize(
    ("name", "stem", "column"),
    [
        ("smard_load", "Realisierter_Stromverbrauch_202601010000_202601020000", "Netzlast [MWh]"),
        ("smard_generation", "Realisierte_Erzeugung_202601010000_202601020000", "Biomasse [MWh]"),
    ],
)
def test_a_smard_file_belongs_to_the_area_that_its_name_begins_with(tmp_path, area, name, stem, column):
    row = "01.01.2026 12:00;x;4.100,5"
    result = smard(tmp_path, f"Datum von;Datum bis;{column}", row, name=name, stem=f"{area}_{stem}")
    assert result.column("control_area") == [area]
    assert feed(name).accepts(f"{area}_{stem}_Stunde.csv")
    assert feed(name).accepts(f"{area}_{stem}_Viertelstunde.csv.zip")


@pytest.mark.parametrize("start", ["", "Atlantis_", "DE-"])
def test_a_smard_file_whose_name_says_no_area_is_refused(tmp_path, start):
    stem = f"{start}Realisierter_Stromverbrauch_202601010000_202601020000"
    assert not feed("smard_load").accepts(f"{stem}_Stunde.csv")
    result = smard(tmp_path, "Datum von;Datum bis;Netzlast [MWh]", "01.01.2026 12:00;x;4.100,5", stem=stem)
    assert result.rows == []
    (row,) = result.quarantine
    assert row["reason"] == "unknown_file_name"
    assert row["detail"].endswith(f"found '{stem}_Stunde.csv': rename the file")


def amprion(tmp_path, *rows):
    return read(
        "amprion_demand", write(tmp_path, "demand_202601.csv", "\n".join(["date,time_from,time_to,demand", *rows]))
    )


def test_rows_that_contradict_each_other_are_all_refused(tmp_path):
    result = amprion(
        tmp_path,
        "2026-01-01,00:00,00:15,100",
        "2026-01-01,00:15,00:30,200",
        "2026-01-01,00:15,00:30,0",
        "2026-01-01,00:30,00:45,300",
        "2026-01-01,00:15,00:30,200",
    )
    assert result.values == [Decimal(100), Decimal(300)]
    assert [(row["row_number"], row["reason"], row["value_cells"]) for row in result.quarantine] == [
        (number, "contradicting_rows", 1) for number in (2, 3, 5)
    ]
    assert result.quarantine[0]["payload"] == "2026-01-01,00:15,00:30,200"
    assert result.quarantine[0]["day"] == date(2026, 1, 1)


def test_rows_that_repeat_a_value_or_lack_one_contradict_nothing(tmp_path):
    rows = ["2026-01-01,00:00,00:15,100"] * 2 + ["2026-01-01,00:00,00:15,", "2026-01-01,00:00,00:15,100.0"]
    result = amprion(tmp_path, *rows)
    assert result.quarantine == []
    assert result.values == [Decimal(100), Decimal(100), None, Decimal(100)]


def test_a_file_name_that_tells_no_area_loses_no_row_where_contradictions_are_looked_for(tmp_path):
    named = feed("amprion_demand").model_copy(update={"control_area": TextField(file_name="^demand_([A-Z]+)")})
    text = "date,time_from,time_to,demand\n2026-01-01,00:00,00:15,1\n2026-01-01,00:15,00:30,2\n"
    (row,) = read(named, write(tmp_path, "demand_202601.csv", text)).quarantine
    assert (row["reason"], row["value_cells"]) == ("unknown_file_name", 2)


def test_both_passes_of_the_repeated_hour_are_slots_of_their_own(tmp_path):
    rows = [
        f"2025-10-26,{stamp},x,{i}" for i, stamp in enumerate(["01:45", "02:00", "02:30", "02:00", "02:30", "03:00"])
    ]
    result = amprion(tmp_path, *rows)
    assert result.quarantine == []
    assert len(set(result.column("interval_start"))) == 6


def test_a_last_row_counts_where_the_feed_does_not_say_otherwise(tmp_path):
    rows = ["2026-01-01T00:00:00Z,Amprion,load_mw,1", "2026-01-01T00:00:00Z,Amprion,load_mw,2"]
    text = "\n".join(["timestamp_utc,control_area,metric,value", *rows])
    assert read("grid_status", write(tmp_path, "g.csv", text)).values == [1, 2]


def transnetbw(tmp_path, header, *rows):
    return read(
        "transnetbw_wind", write(tmp_path, "mwindeinsp_ist_prognose_2026_00.csv", "\n".join([header, *rows, ""]))
    )


HEADER = "Datum von;Uhrzeit von;Datum bis;Uhrzeit bis;Prognose (MW);Ist-Wert (MW)"


def test_lines_that_end_with_a_delimiter_and_lines_that_do_not(tmp_path):
    row = "01.01.2026;00:15:00;01.01.2026;00:30:00;66,00;116"
    expected = [("wind_onshore_forecast_mw", Decimal(66)), ("wind_onshore_mw", Decimal(116))]
    assert told(transnetbw(tmp_path, HEADER, row)) == expected
    assert told(transnetbw(tmp_path, HEADER + ";", row + ";")) == expected
    assert transnetbw(tmp_path, HEADER + ";", row).reasons == ["wrong_column_count"]


def test_an_unfinished_month_has_a_forecast_and_no_value_yet(tmp_path):
    result = transnetbw(tmp_path, HEADER + ";", "18.11.2015;23:45:00;19.11.2015;00:00:00;558,00;;")
    assert told(result) == [("wind_onshore_forecast_mw", Decimal(558)), ("wind_onshore_mw", None)]


ENTSOE = (
    "DateTime(UTC)\tResolutionCode\tAreaCode\tAreaDisplayName\tAreaTypeCode\tMapCode\tTotalLoad[MW]\tUpdateTime(UTC)"
)


def test_an_entsoe_file_gives_the_german_control_areas(tmp_path):
    rows = [
        f"2026-01-01 00:00:00.000\t{code}\t10YDE\tName\tCTA\t{area}\t{load}\t2026-01-02 01:00:00"
        for code, area, load in (
            ("PT15M", "DE_50HzT", "9000.5"),
            ("PT15M", "DE_TenneT_GER", "15000"),
            ("PT60M", "DE_Amprion", "1"),
            ("PT15M", "FR", "2"),
        )
    ]
    text = "\n".join([ENTSOE, *rows, ""])
    result = read("entsoe_load", write(tmp_path, "2026_01_ActualTotalLoad_6.1.A.csv", text))
    assert [(row["control_area"], row["value"], row["interval_start"]) for row in result.rows] == [
        ("50Hertz", Decimal("9000.5"), datetime(2026, 1, 1, tzinfo=UTC)),
        ("TenneT", Decimal(15000), datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    assert result.reasons == ["missing_source", "unknown_control_area"]
    assert "PT15M, found 'PT60M'" in result.quarantine[0]["detail"]


@pytest.mark.parametrize(
    ("name", "metric"), [("netztransparenz_solar", "solar_mw"), ("netztransparenz_wind", "wind_onshore_mw")]
)
def test_a_netztransparenz_row_in_utc_is_read_and_one_in_another_zone_refused(tmp_path, name, metric):
    header = "Datum;Zeitzone;von;bis;50Hertz (MW);Amprion (MW);TenneT TSO (MW);TransnetBW (MW)"
    rows = [f"01.03.2026;{zone};23:45;00:00;1.5;2,5;N.A.;0,000".replace("1.5", "1,5") for zone in ("UTC", "CET")]
    result = read(name, write(tmp_path, "Hochrechnung Solar Wind.csv", "\n".join([header, *rows, ""])))
    assert [(row["control_area"], row["value"], row["metric"]) for row in result.rows] == [
        ("50Hertz", Decimal("1.5"), metric),
        ("Amprion", Decimal("2.5"), metric),
        ("TenneT", None, metric),
        ("TransnetBW", Decimal(0), metric),
    ]
    assert {row["interval_start"] for row in result.rows} == {datetime(2026, 3, 1, 23, 45, tzinfo=UTC)}
    assert [(row["reason"], row["value_cells"]) for row in result.quarantine] == [("bad_timestamp", 4)]


def changed(name: str, **changes: object) -> dict:
    return feed(name).model_dump() | changes


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (changed("smard_load", optional=("Datum von",)), "these columns cannot be optional: Datum von"),
        (changed("smard_load", optional=("Sonne",)), "no such column in the header: Sonne"),
        (changed("meters_north", also_intervals=(30,)), "also_intervals belongs to grid_status and weather"),
        (changed("meters_north", repeated_rows="best"), "Input should be 'refuse', 'last' or 'first'"),
        (changed("meters_mqtt", repeated_rows="refuse"), "messages keep their order, where the last counts"),
        (changed("registry_points", repeated_rows="last"), "repeated_rows belongs to readings"),
        (changed("meters_south", optional=("x",)), "belongs? to delimited feeds"),
        (
            changed("grid_status", records=("a[]",)),
            "records belongs to json_document feeds: use format json_document, not delimited",
        ),
        (changed("openweathermap_hours", records=()), "a json_document feed needs records"),
        (changed("grid_status", values=({"column": "value", "unit": "MWh"},)), "needs a metric whose unit is known"),
        (
            changed("amprion_demand", values=({"column": "demand", "unit": "psi"},)),
            "unit 'psi' of demand is unknown; use one of MW, kW, GW, MWh, kWh, GWh",
        ),
        (
            changed(
                "dwd_10min_tu", stamp={"columns": ("MESS_DATUM",), "earlier": {"before": "2000-01-01", "timezone": "X"}}
            ),
            "'X' is no IANA time zone",
        ),
        (
            changed(
                "dwd_10min_tu",
                stamp={"columns": ("MESS_DATUM",), "earlier": {"before": "2000-01-01T00:00:00Z", "timezone": "UTC"}},
            ),
            "give a wall-clock time without an offset",
        ),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(declared, message):
    with pytest.raises(FeedError, match=message.replace("[", r"\[").replace("(", r"\(")):
        parse_feed(declared)
