from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.feeds.topics import TopicPattern
from metrify_assets.sources.mqtt.messages import Message, line_of

PATTERNS = (TopicPattern.parse("meters/{point}/energy"), TopicPattern.parse("plant/#"))


def message(payload: bytes, topic: str = "meters/A/energy", **facts: object) -> Message:
    fields = {"packet": 7, "qos": 1, "retained": False, "duplicate": False, "received_at": 1_500_000, "connection": 1}
    return Message(topic, payload, **(fields | facts))


def line(payload: bytes, topic: str = "meters/A/energy", **facts: object) -> str:
    return line_of(message(payload, topic, **facts), PATTERNS).decode()


def test_a_line_holds_the_payload_the_named_levels_and_the_facts_of_the_packet():
    assert json.loads(line(b'{"kwh": 0.25}', duplicate=True)) == {
        "received_at": "1970-01-01T00:00:01.500000+00:00",
        "topic": "meters/A/energy",
        "levels": {"point": "A"},
        "qos": 1,
        "packet": 7,
        "retained": False,
        "duplicate": True,
        "payload": {"kwh": 0.25},
    }


def test_numbers_keep_the_digits_that_were_sent():
    assert '"payload": {"kwh": 1.10, "n": 123456789012345678901234567890}' in line(
        b'{"kwh": 1.10, "n": 123456789012345678901234567890}'
    )


def test_json_of_several_lines_becomes_one():
    text = line(b'{\r\n  "kwh":\n 1\n}\n')
    assert "\n" not in text
    assert "\r" not in text
    assert json.loads(text)["payload"] == {"kwh": 1}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"kwh=1",
        b"{",
        b"NaN",
        b'{"kwh": Infinity}',
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
        b'{"a": "\n"}',
        "naïve\n\x00".encode(),
    ],
)
def test_text_that_is_no_json_is_kept_as_text(payload):
    record = json.loads(line(payload))
    assert record["text"].encode() == payload
    assert "payload" not in record


@given(st.binary())
def test_every_payload_can_be_had_back_from_one_line(payload):
    text = line(payload)
    assert "\n" not in text
    record = json.loads(text)
    if "base64" in record:
        assert base64.b64decode(record["base64"]) == payload
    elif "text" in record:
        assert record["text"].encode() == payload
    else:
        assert record["payload"] == json.loads(payload)


def test_a_topic_of_no_pattern_has_no_levels():
    assert json.loads(line(b"1", "elsewhere"))["levels"] == {}
    assert json.loads(line(b"1", "plant/a/b"))["levels"] == {}
