"""Numbers: what is read at once by Arrow is what is read text by text."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.feeds.values.numbers import BAD_NUMBER, NULL, OK, OUT_OF_RANGE, NumberReader, whole
from tests.examples import examples

digits = st.text("0123456789", max_size=45)
exponents = st.sampled_from(["", "e5", "E-5", "e30", "e-30", "e+-3", "e-+3", "E0x2", "e", "e 3", "e0005"])
numbers = st.tuples(st.sampled_from(["", "-", "+", "--"]), digits, st.sampled_from(["", ".", ","]), digits, exponents)
texts = numbers.map("".join) | st.text("0123456789.,+-eExX ²\u00a0", max_size=9)


@settings(max_examples=examples(4))
@given(st.lists(texts, max_size=4), st.sampled_from([".", ","]))
def test_numbers_read_together_are_those_read_one_by_one(column, decimal):
    together = NumberReader(decimal).read(pa.array(column, pa.string()))
    for position, text in enumerate(column):
        # A text that is no number makes the reader look at each on its own.
        alone = NumberReader(decimal).read(pa.array([text, "no number"]))
        assert (together.micro[position], together.state[position]) == (alone.micro[0], alone.state[0])


@pytest.mark.parametrize(
    ("text", "state", "value"),
    [
        ("9" * 5_000, OUT_OF_RANGE, 0),
        ("6108771336731858040317277731605.29101190794764e-5", OUT_OF_RANGE, 0),
        ("10535820716188492.2373589888181632138434006366199293960304e-5", OK, Decimal("105358207161.884922")),
        ("0." + "0" * 100 + "1", OK, 0),
        ("5678E0x8", BAD_NUMBER, 0),
        ("1e+-3", BAD_NUMBER, 0),
        ("1e-3", OK, Decimal("0.001")),
        ("  ", NULL, 0),
    ],
)
def test_what_arrow_alone_would_misread(text, state, value):
    numbers = NumberReader().read(pa.array([text]))
    assert (numbers.state[0], Decimal(int(numbers.micro[0])).scaleb(-6)) == (state, value)


@pytest.mark.parametrize(
    ("text", "number"), [("15", 15), ("007", 7), ("", None), ("-1", None), ("²", None), ("９", None), ("9" * 16, None)]
)
def test_whole_numbers(text, number):
    assert whole(text) == number


decimals = st.decimals(-(10**13), 10**13, places=4) | st.none()


@given(st.lists(decimals, max_size=5), st.sampled_from([4, 8]), st.booleans())
def test_decimals_are_what_their_texts_are(column, scale, with_sentinel):
    reader = NumberReader(sentinels=("-999",) if with_sentinel else ())
    values = pa.array([*column, Decimal(-999)], pa.decimal128(38, scale))
    exact, of_texts = reader.read(values), reader.read(values.cast(pa.string()))
    assert exact.micro.tolist() == of_texts.micro.tolist()
    assert exact.state.tolist() == of_texts.state.tolist()


def test_a_decimal_point_is_no_thousands_point_after_a_zero():
    numbers = NumberReader(",", ".").read(pa.array(["0.123", "1.234", "0,5", "012.345", "10.000,5"]))
    assert numbers.state.tolist() == [BAD_NUMBER, OK, OK, BAD_NUMBER, OK]
    assert numbers.micro.tolist() == [0, 1_234_000_000, 500_000, 0, 10_000_500_000]
