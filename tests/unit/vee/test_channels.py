"""What OBIS codes say of a channel: the codes of the standard, and those that are no quantity of the moment."""

from __future__ import annotations

import pytest

from metrify_assets.vee.channels import Channel, ChannelKind, Phase, Quantity, Statistic, channel_of, kind_of


@pytest.mark.parametrize(
    ("code", "quantity", "phase", "statistic"),
    [
        ("1-0:32.7.0", Quantity.VOLTAGE, Phase.L1, Statistic.MOMENT),
        ("1-0:52.24.0", Quantity.VOLTAGE, Phase.L2, Statistic.MEAN),
        ("1-1:72.25.0", Quantity.VOLTAGE, Phase.L3, Statistic.MEAN),
        ("1-0:32.3.0", Quantity.VOLTAGE, Phase.L1, Statistic.MINIMUM),
        ("1-0:72.6.0", Quantity.VOLTAGE, Phase.L3, Statistic.MAXIMUM),
        ("1-0:31.7.0", Quantity.CURRENT, Phase.L1, Statistic.MOMENT),
        ("1-0:51.16.0", Quantity.CURRENT, Phase.L2, Statistic.MAXIMUM),
        ("1-0:71.13.0", Quantity.CURRENT, Phase.L3, Statistic.MINIMUM),
        ("1-0:91.7.0", Quantity.CURRENT, Phase.NEUTRAL, Statistic.MOMENT),
        ("1-0:13.7.0", Quantity.POWER_FACTOR, Phase.ALL, Statistic.MOMENT),
        ("1-0:33.7.0", Quantity.POWER_FACTOR, Phase.L1, Statistic.MOMENT),
        ("1-0:14.7.0", Quantity.FREQUENCY, Phase.ALL, Statistic.MOMENT),
        ("1-0:12.7.0*255", Quantity.VOLTAGE, Phase.ALL, Statistic.MOMENT),
    ],
)
def test_a_quantity_of_the_moment_has_a_phase_and_a_statistic(code, quantity, phase, statistic):
    assert channel_of(code) == Channel(quantity, phase, statistic)
    assert kind_of(code) is ChannelKind.INSTANTANEOUS


@pytest.mark.parametrize(
    "code", ["1-0:1.8.0", "1-0:1.29.0", "1-0:2.29.0", "1-1:5.29.0", "1-1:8.8.0", "1-0:1.7.0", "7-0:13.7.0", "E1", ""]
)
def test_energy_active_and_reactive_is_none(code):
    assert channel_of(code) is None
    assert kind_of(code) is ChannelKind.ENERGY


@pytest.mark.parametrize("code", ["1-0:32.7.3", "1-0:32.36.0", "1-0:52.7.124"])
def test_harmonics_and_counters_of_events_are_not_read_and_are_no_energy_either(code):
    assert channel_of(code) is None
    assert kind_of(code) is ChannelKind.INSTANTANEOUS
