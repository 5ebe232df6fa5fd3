"""Units of grid status and weather, against fractions worked out by hand."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.feeds.values.conversions import Conversion, conversion, units_of


def converted(value: str, delivered: str, stored: str, minutes: int = 60) -> Decimal:
    micro = int(Decimal(value).scaleb(6))
    values, too_large = conversion(delivered, stored, minutes).apply(np.array([micro]))
    assert not too_large[0]
    return Decimal(int(values[0])).scaleb(-6)


@pytest.mark.parametrize(
    ("value", "delivered", "stored", "minutes", "expected"),
    [
        ("250", "MWh", "MW", 15, "1000"),
        ("250", "MWh", "MW", 60, "250"),
        ("8.5", "GW", "MW", 15, "8500"),
        ("1500", "kW", "MW", 15, "1.5"),
        ("-12.5", "kWh", "MW", 15, "-0.05"),
        ("273.15", "K", "degC", 60, "0"),
        ("278.52", "K", "degC", 60, "5.37"),
        ("-40", "degF", "degC", 60, "-40"),
        ("50", "degF", "degC", 60, "10"),
        ("8", "okta", "%", 60, "100"),
        ("3", "okta", "%", 60, "37.5"),
        ("36", "J/cm2", "W/m2", 60, "100"),
        ("6", "J/cm2", "W/m2", 10, "100"),
        ("0.1", "J/cm2", "W/m2", 10, "1.666667"),
        ("101325", "Pa", "hPa", 60, "1013.25"),
        ("36", "km/h", "m/s", 60, "10"),
        ("50010", "mHz", "Hz", 1, "50.01"),
        ("-8.543", "ct/kWh", "EUR/MWh", 60, "-85.43"),
    ],
)
def test_a_unit_becomes_the_one_that_is_stored(value, delivered, stored, minutes, expected):
    assert converted(value, delivered, stored, minutes) == Decimal(expected)


def test_a_joule_per_square_centimetre_is_that_by_0_36_watt_hours_per_square_metre():
    assert converted("0.36", "J/cm2", "W/m2", 60) == 1
    assert converted("1", "Wh/m2", "W/m2", 60) == 1


def test_what_does_not_fit_is_told():
    _, too_large = conversion("GW", "MW", 15).apply(np.array([10**15, -(10**15), 10**14]))
    assert too_large.tolist() == [True, True, False]


@given(
    st.integers(-(10**18) + 1, 10**18 - 1),
    st.sampled_from([Fraction(1), Fraction(5, 9), Fraction(25, 9), Fraction(1, 1000), Fraction(4), Fraction(6000)]),
    st.sampled_from([0, -273_150_000, -32_000_000]),
)
def test_arithmetic_is_that_of_decimals(micro, factor, before):
    (converted_micro,), (too_large,) = Conversion(factor, before).apply(np.array([micro], dtype=np.int64))
    exact = (micro + before) * factor
    rounded = int((Decimal(abs(exact.numerator)) / exact.denominator).quantize(Decimal(1), ROUND_HALF_UP))
    if too_large:
        assert converted_micro == 0
        # Refused only where it does not fit, or where 64 bits would not hold what is in between.
        assert rounded >= 10**18 or 2 * abs(micro + before) * factor.numerator + factor.denominator > 2**62
    else:
        assert converted_micro == (rounded if exact > 0 else -rounded)


def test_every_unit_of_a_feed_can_be_converted():
    assert all(conversion(unit, "MW", 15) for unit in units_of("MW"))
