"""Weather dependence of real series: a household in Konstanz with a heat pump, beside a station of the weather service.

The station, Albstadt-Badkap, lies 60 km away and 350 m higher. The households of the London files have no weather here.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metrify_assets.analytics.weather.adjust import expected_days
from metrify_assets.analytics.weather.daily import daily_energy, daily_temperature
from metrify_assets.analytics.weather.fit import Baseline, fit_points
from metrify_assets.analytics.weather.rules import DEFAULT_RULES, Model, Refusal
from metrify_assets.vee.delivery_day import DeliveryDay
from tests import real_data
from tests.unit.analytics.weather.points import baseline, months

pytestmark = pytest.mark.real_data

ZONE = ZoneInfo("Europe/Berlin")
FIRST = date(2015, 10, 15)
DAYS = [FIRST + timedelta(day) for day in range(365 + 115)]
CHANNELS = ("heat_pump", "grid_import", "freezer", "refrigerator", "dishwasher", "washing_machine", "ev")


def hours_by_day(values: dict[datetime, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sum of each day's hours, their number, and the hours that the day has."""
    total, count = np.zeros(len(DAYS)), np.zeros(len(DAYS))
    for start, value in values.items():
        number = (start.astimezone(ZONE).date() - FIRST).days
        if 0 <= number < len(DAYS):
            total[number] += value
            count[number] += 1
    return total, count, np.array([DeliveryDay(day, str(ZONE)).slots(60) for day in DAYS])


def household(file: Path) -> np.ndarray:
    """Return the daily energy of each channel from its counter; an hour needs both of its ends."""
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines))
    energy = []
    for channel in CHANNELS:
        states = {
            datetime.fromisoformat(row["utc_timestamp"]): float(row[f"DE_KN_residential4_{channel}"])
            for row in rows
            if row[f"DE_KN_residential4_{channel}"]
        }
        hour = timedelta(hours=1)
        used = {start: states[start + hour] - state for start, state in states.items() if start + hour in states}
        total, count, hours = hours_by_day(used)
        energy.append(daily_energy(total, count / hours, DEFAULT_RULES))
    return np.array(energy)


def station(folder: Path) -> np.ndarray:
    """Return the daily temperature of a station."""
    (file,) = folder.glob("produkt_tu_stunde_*.txt")
    celsius = {}
    for line in file.read_text(encoding="latin-1").splitlines()[1:]:
        cells = line.split(";")
        if cells[1][:4] in ("2015", "2016", "2017") and float(cells[3]) > -900:
            celsius[datetime.strptime(cells[1], "%Y%m%d%H").replace(tzinfo=UTC)] = float(cells[3])
    total, count, hours = hours_by_day(celsius)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return daily_temperature(mean[None], count[None], hours, DEFAULT_RULES)[0]


@pytest.fixture(scope="module")
def year() -> tuple[Baseline, np.ndarray, np.ndarray]:
    """Return the first year of the household, and energy and temperature of all days."""
    energy = household(real_data.require("meters/opsd_household/household_data_60min_singleindex.csv"))
    temperature = station(real_data.require("weather/dwd_hourly_tu/stundenwerte_TU_00071_20091201_20181231_hist"))
    first = baseline(energy[:, :365], temperature[:365], month=months(FIRST, 365))
    return first, energy, temperature


def test_a_heat_pump_heats_a_freezer_cools_and_a_washing_machine_does_neither(year):
    fits = fit_points(year[0])
    model = dict(zip(CHANNELS, (Model(number) for number in fits.model.tolist()), strict=True))
    assert (fits.verdicts.refusal == Refusal.NONE).all()
    assert model["heat_pump"] == model["grid_import"] == Model.HEATING
    # In a warmer room they work more.
    assert model["freezer"] == model["refrigerator"] == Model.COOLING
    assert model["washing_machine"] == model["ev"] == Model.BASE_LOAD
    assert fits.r_squared[0] > 0.7


def test_a_model_of_one_year_expects_the_next_winter_better_than_the_mean_of_the_year(year):
    first, energy, temperature = year
    fits = fit_points(first)
    expected = expected_days(fits, np.zeros(len(CHANNELS), np.int64), temperature[None, 365:])
    used, heats = energy[0, 365:], expected[0]
    known = np.isfinite(used) & np.isfinite(heats)
    error = np.abs(used - heats)[known].sum() / used[known].sum()
    plain = np.abs(used - np.nanmean(energy[0, :365]))[known].sum() / used[known].sum()
    assert known.sum() == 114
    assert error < plain / 2
