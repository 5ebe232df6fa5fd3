from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.sources.mqtt.batches import Batch, Collector, Limits, Receipt
from metrify_assets.sources.mqtt.messages import line_of
from metrify_assets.sources.mqtt.progress import Progress
from tests.unit.sources.mqtt.test_messages import PATTERNS, message

LIMITS = Limits(messages=3, size=1_000_000, age_seconds=10)


def collector(window: int = 100) -> Collector:
    return Collector(PATTERNS, window)


def test_a_batch_is_due_when_it_holds_enough_messages():
    messages = collector()
    for packet in (1, 2):
        messages.take(message(b"1", packet=packet), now=0)
        assert not messages.batch.is_due(LIMITS, now=0)
    messages.take(message(b"1", packet=3), now=0)
    assert messages.batch.is_due(LIMITS, now=0)


def test_a_batch_is_due_when_it_is_large_enough():
    messages = collector()
    messages.take(message(b"1"), now=0)
    size = len(line_of(message(b"1"), PATTERNS)) + 1
    assert messages.batch.size == size == len(messages.batch.content)
    assert not messages.batch.is_due(Limits(size=size + 1), now=0)
    assert messages.batch.is_due(Limits(size=size), now=0)


def test_a_batch_is_due_when_its_first_message_is_old_enough():
    messages = collector()
    messages.take(message(b"1"), now=5)
    messages.take(message(b"2", packet=8), now=14)
    assert messages.batch.due_in(LIMITS, now=14) == 1
    assert not messages.batch.is_due(LIMITS, now=14.9)
    assert messages.batch.is_due(LIMITS, now=15)


def test_an_empty_batch_is_never_due():
    assert not Batch().is_due(LIMITS, now=1e9)
    assert Batch().due_in(LIMITS, now=1e9) == 10


def test_a_message_sent_again_is_acknowledged_in_its_turn_and_not_written_twice():
    messages = collector()
    first = message(b"1", packet=7)
    messages.take(first, now=0)
    messages.next_batch()
    messages.take(message(b"2", packet=8, connection=2), now=1)
    messages.take(replace(first, duplicate=True, connection=2), now=1)
    assert messages.batch.lines == [line_of(message(b"2", packet=8), PATTERNS)]
    assert messages.batch.receipts == [Receipt(2, 8), Receipt(2, 7)]
    assert messages.repeated == 1


def test_repeated_messages_alone_make_a_batch_due_too():
    messages = collector()
    for packet in (1, 2, 3):
        messages.take(message(b"1", packet=packet), now=0)
    messages.next_batch()
    for packet in (1, 2, 3):
        messages.take(message(b"1", packet=packet, duplicate=True), now=20)
    assert messages.batch.lines == []
    assert messages.batch.is_due(LIMITS, now=20)


def test_what_only_looks_like_a_message_seen_before_is_written():
    messages = collector()
    messages.take(message(b"1", packet=7), now=0)
    for other in (
        message(b"1", packet=7),  # not marked as sent again: the packet's number is used anew
        message(b"2", packet=7, duplicate=True),
        message(b"2", "plant/x", packet=7, duplicate=True),
        message(b"2", "plant/x", packet=9, duplicate=True),
        message(b"2", "plant/x", packet=0, qos=0, duplicate=True),
    ):
        messages.take(other, now=0)
    assert (len(messages.batch.lines), messages.repeated) == (6, 0)


def test_what_the_broker_numbers_anew_is_forgotten():
    messages = collector()
    messages.take(message(b"1", packet=7), now=0)
    messages.clear()
    messages.take(message(b"1", packet=7, duplicate=True), now=0)
    assert messages.repeated == 0


def test_messages_without_acknowledgement_have_no_receipt():
    messages = collector()
    messages.take(message(b"1", packet=0, qos=0), now=0)
    assert (len(messages.batch.lines), messages.batch.receipts) == (1, [])


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from([b"1", b"2"]), st.booleans()), max_size=30), st.integers(1, 4)
)
def test_every_message_is_a_line_or_repeats_one_that_was_written(sent, window):
    messages = collector(window)
    written: set[tuple[int, bytes]] = set()
    for packet, payload, duplicate in sent:
        before = len(messages.batch.lines)
        messages.take(message(payload, packet=packet, duplicate=duplicate), now=0)
        if len(messages.batch.lines) == before:
            assert duplicate
            assert (packet, payload) in written
        written.add((packet, payload))
    assert len(messages.batch.receipts) == len(sent) == len(messages.batch.lines) + messages.repeated


def test_progress_tells_rate_delay_and_what_waits():
    progress, messages = Progress(looked_at=0.0), collector()
    for packet in range(1, 5):
        progress.messages += 1
        messages.take(message(b"1", packet=packet), now=1.0)
    progress.wrote(messages.batch, now=3.5)
    size = messages.batch.size
    messages.next_batch()
    progress.messages += 1
    messages.take(message(b"1", packet=9), now=4.0)
    progress.look(messages, True, now=10.0)
    assert progress.as_record() == {
        "messages": 5,
        "repeated": 0,
        "lost": 0,
        "written": 4,
        "batches": 1,
        "size": size,
        "waiting": 1,
        "connected": True,
        "messages_per_second": 0.5,
        "delay_seconds": 2.5,
    }
    progress.look(messages, False, now=20.0)
    assert (progress.messages_per_second, progress.delay_seconds) == (0, 0)
    assert progress.as_text().startswith("not connected: 4 messages in 1 files")
