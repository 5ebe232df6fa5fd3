from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.vee.exact import mean_half_even, scale_half_even
from metrify_assets.vee.units import to_micro_kwh

FACTORS = {"kWh": 1, "Wh": Fraction(1, 1000), "MWh": 1000, "kW": 1, "W": Fraction(1, 1000), "MW": 1000}


def convert(value: int, unit: str, minutes: int = 15) -> int:
    return int(to_micro_kwh(np.array([value]), np.array([0]), [unit], np.array([minutes]))[0])


@pytest.mark.parametrize(
    ("value", "unit", "minutes", "expected"),
    [
        (1_500_000, "kWh", 15, 1_500_000),
        (250_000_000, "Wh", 15, 250_000),
        (2_000, "MWh", 15, 2_000_000),
        (4_000_000, "kW", 15, 1_000_000),
        (4_000_000, "kW", 30, 2_000_000),
        (4_000_000, "kW", 60, 4_000_000),
        (800_000_000, "W", 15, 200_000),
        (3_000, "MW", 15, 750_000),
        (1_000_000, "kW", 10, 166_667),
        (-4_000_000, "kW", 15, -1_000_000),
        (0, "MW", 15, 0),
        (1_500_000, "kvarh", 15, 1_500_000),
        (250_000_000, "varh", 15, 250_000),
        (4_000_000, "kvar", 15, 1_000_000),
    ],
)
def test_units_become_energy(value, unit, minutes, expected):
    assert convert(value, unit, minutes) == expected


@pytest.mark.parametrize(("value", "expected"), [(500, 0), (1_500, 2), (2_500, 2), (2_501, 3), (-500, 0), (-1_500, -2)])
def test_halves_of_a_micro_kwh_go_to_the_even_one(value, expected):
    assert convert(value, "Wh") == expected


def test_kwh_are_handed_on_without_a_copy():
    values = np.array([1, 2, 3])
    assert to_micro_kwh(values, np.zeros(3, dtype=np.int8), ["kWh"], np.full(3, 15)) is values


def test_each_row_is_converted_from_its_own_unit_and_interval():
    values = np.array([4_000_000, 4_000_000, 4_000_000, 4_000_000])
    converted = to_micro_kwh(values, np.array([0, 1, 1, 2]), ["kWh", "kW", "Wh"], np.array([15, 15, 60, 15]))
    assert converted.tolist() == [4_000_000, 1_000_000, 4_000_000, 4_000]


def test_no_rows_are_no_rows():
    nothing = np.empty(0, dtype=np.int64)
    assert to_micro_kwh(nothing, nothing, ["kW"], nothing).tolist() == []


def test_an_unknown_unit_is_named():
    with pytest.raises(ValueError, match="unknown unit 'BTU'"):
        convert(1, "BTU")


def test_an_unknown_unit_that_no_row_uses_is_no_error():
    assert to_micro_kwh(np.array([5]), np.array([1]), ["BTU", "kWh"], np.array([15])).tolist() == [5]


def test_power_without_an_interval_is_an_error():
    with pytest.raises(ValueError, match="at least one minute"):
        convert(1, "kW", 0)


def test_energy_that_the_table_cannot_hold_is_an_error_and_never_wraps():
    with pytest.raises(OverflowError, match=r"1 value\(s\) do not fit DECIMAL\(18,6\) kWh, the first is 1e\+09 MWh"):
        convert(10**15, "MWh")
    assert convert(10**15 - 1, "MWh") == 10**18 - 1_000
    with pytest.raises(OverflowError):
        convert(-(10**18 - 1), "MW")


@given(st.integers(-4 * 10**13, 4 * 10**13), st.sampled_from(list(FACTORS)), st.integers(1, 1_440))
def test_conversion_is_that_of_exact_fractions(value, unit, minutes):
    hours = 1 if unit.endswith("h") else Fraction(minutes, 60)
    assert convert(value, unit, minutes) == round(value * FACTORS[unit] * hours)


@given(
    st.integers(-(10**18), 10**18),
    st.integers(0, 1_440),
    st.integers(1, 60_000),
    st.integers(-(10**18), 10**18),
)
def test_scaling_is_that_of_exact_fractions(value, multiplier, divisor, offset):
    exact = round(offset + Fraction(value * multiplier, divisor))
    if abs(value) * multiplier // divisor < 2**62:
        assert int(scale_half_even(value, multiplier, divisor, offset)) == exact


def test_means_round_half_to_even():
    assert mean_half_even(np.array([3, 5, 7, 10]), np.array([2, 2, 3, 3])).tolist() == [2, 2, 2, 3]
