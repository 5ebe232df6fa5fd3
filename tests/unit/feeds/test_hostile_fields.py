"""A field of a good file of every format, replaced by what breaks naive readers: nothing raises, nothing is lost.

The reading helper checks conservation and schemas of every file.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.feeds import test_e66 as e66
from tests.unit.feeds import test_esl as esl
from tests.unit.feeds import test_espi as espi
from tests.unit.feeds import test_mscons as mscons
from tests.unit.feeds.reading import read, write

HOSTILE = [
    *("", "-", "--5", "²", "³0", "９", "x", " 1 ", "1e+-3", "1e9999", "0x10", "NaN", "-1", "99999999999999999999"),
    *(
        "9" * 5_000,
        "0" * 50 + "1",
        "00010101",
        "99991231",
        "999912312359",
        "000101010000",
        "25000101",
        "\ufeff",
        "\x00",
    ),
    *("1,5", '"', "é\u2028", "\\ud800"),
]
FIELD = re.compile(r"[^,;+:'<>{}\[\]\"=/\s?]+")

NEM12 = (
    "100,NEM12,202603011135,MDA1,Ret1\n200,NMI0000001,E1Q1,1,E1,N1,METER1,kWh,720,\n"
    "300,20260301,1.5,2.5,V,,,20260302120025,\n400,1,1,F14,76,\n400,2,2,A,,\n500,O,S01,20260302,1\n900\n"
)
FILES = {
    "nem12": ("nem12", "a.csv", NEM12),
    "mscons": (
        "mscons_de",
        "MSCONS_1.txt",
        mscons.text(mscons.interchange(mscons.message(*mscons.channel(), *mscons.TWO))),
    ),
    "mscons_run": (
        "mscons_ch_99a",
        "MSCONS_1.txt",
        mscons.text(
            mscons.interchange(
                mscons.message(
                    *mscons.channel("1-1?:1.29.0"),
                    "DTM+163:202603010000?+01:303",
                    "DTM+672:15:806",
                    "QTY+46:1.5:KWH",
                    "QTY+79:2",
                    kind="MSCONS:D:99A:UN:EEG2.0",
                )
            )
        ),
    ),
    "espi": (
        "green_button",
        "a.xml",
        espi.document(
            espi.meter_reading(),
            espi.reading_type(powerOfTenMultiplier=-3, accumulationBehaviour=3),
            espi.block(espi.reading(espi.START, 250, quality=8)),
        ),
    ),
    "e66": (
        "sdat_e66",
        "1_E66_2.xml",
        e66.document(e66.series(e66.observation(1, "2.250", 56), e66.observation(2, "0.5"))),
    ),
    "esl": ("sdat_esl", "EdmRegisterWertExport_1.xml", esl.document(esl.meter(esl.period(esl.row(), esl.MAXIMUM)))),
    "json_document": (
        "openweathermap_current",
        "current_berlin_2026.json",
        '{"dt": 1772323200, "name": "Berlin", "main": {"temp": 280.15, "pressure": 1013, "humidity": 50.5},'
        ' "wind": {"speed": 1, "deg": 2}, "clouds": {"all": 3}, "rain": {"1h": 0.5}, "snow": {"1h": 0.25}}',
    ),
    "json_lines": (
        "meters_south",
        "south.jsonl",
        '{"point":"A","obis":"1-0:1.29.0","end":"2026-03-01T00:15:00Z","wh":1,"quality":"A"}\n',
    ),
    "delimited": (
        "meters_north",
        "north_1.csv",
        "Zaehlpunkt;OBIS;Datum;Uhrzeit;Wert;Status\nA;1-0:1.29.0;01.03.2026;00:15;1,5;W\n",
    ),
}


def changed(good: str) -> st.SearchStrategy[str]:
    """Return the file with one of its fields replaced."""
    return st.tuples(st.sampled_from(list(FIELD.finditer(good))), st.sampled_from(HOSTILE)).map(
        lambda drawn: good[: drawn[0].start()] + drawn[1] + good[drawn[0].end() :]
    )


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=examples(0.6))
@given(data=st.data())
def test_no_field_makes_a_reader_fail_or_lose_a_value(name, data):
    feed, file_name, good = FILES[name]
    with TemporaryDirectory() as folder:
        assert read(feed, write(Path(folder), file_name, good)).rows != []
        read(feed, write(Path(folder), file_name, data.draw(changed(good))))


@pytest.mark.parametrize(
    ("name", "field", "hostile"),
    [
        ("nem12", "720", "³0"),
        ("nem12", "720", "9" * 5_000),
        ("nem12", "1,1,F14", "²,1,F14"),
        ("nem12", "300,2026", " 300,2026"),
        ("mscons", "QTY", " QTY"),
        ("mscons", "UNA", "\ufeffUNA"),
        ("mscons_run", "672:15", "672:²"),
        ("mscons_run", "672:15", "672:" + "9" * 5_000),
        ("mscons_run", "163:202603010000", "163:999912312359"),
        ("mscons_run", "163:202603010000?+01", "163:000101010000"),
        ("espi", str(espi.START), "--5"),
        ("espi", str(espi.START), "²"),
        ("espi", ">900<", f">{'9' * 5_000}<"),
        ("espi", ">900<", ">²<"),
        ("json_document", "280.15", "1e99999999999999999999"),
        ("json_document", "280.15", '"\\ud800"'),
        ("json_document", "Berlin", "\\ud800"),
    ],
)
def test_fields_that_made_a_reader_fail(tmp_path, name, field, hostile):
    feed, file_name, good = FILES[name]
    assert field in good
    read(feed, write(tmp_path, file_name, good.replace(field, hostile)))
