"""Bills calculated by hand, and by an independent implementation that adds decimals slot by slot."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrify_assets.analytics.tariffs.bills import Line, Market, Refusal, bill, spans_of_month
from metrify_assets.analytics.tariffs.charges import PriceSeries, Readings
from metrify_assets.analytics.tariffs.model import Assignment, TariffBook, parse_tariffs
from metrify_assets.vee.delivery_day import DeliveryDay, days_between

ZONE = "Europe/Berlin"
MARKET = Market(ZONE)
MARCH, APRIL, OCTOBER = date(2026, 3, 1), date(2026, 4, 1), date(2026, 10, 1)


def book(*components: str, more: str = "") -> TariffBook:
    lines = "".join(f"      - {{{component}}}\n" for component in components)
    return parse_tariffs(
        f"tariffs:\n  - name: home\n    valid_from: 2020-01-01\n    currency: EUR\n    components:\n{lines}{more}", "t"
    )


def month_readings(month: date, micro_kwh: int | list[int] = 250_000, minutes: int = 15) -> Readings:
    last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    start = np.concatenate([DeliveryDay(day, ZONE).slot_starts(minutes) for day in days_between(month, last)])
    values = np.resize(np.array(micro_kwh, dtype=np.int64), len(start))
    yes = np.ones(len(start), dtype=bool)
    return Readings(start, np.full(len(start), minutes, dtype=np.int64), values, yes, ~yes)


def lines_of(
    tariffs: TariffBook,
    readings: Readings,
    month: date = APRIL,
    market: Market = MARKET,
    assignments: tuple[Assignment, ...] = (Assignment("p", "home", date(2020, 1, 1), None),),
) -> list[list[Line]]:
    spans = spans_of_month(tariffs, assignments, month)
    return [lines for _, lines in bill(spans, {"import": readings, "export": readings}, market)]


def cents(lines: list[Line]) -> dict[str, int | None]:
    return {line.component: line.cents for line in lines}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC).timestamp()) * 1_000_000


def hourly(month: date, price: list[int]) -> PriceSeries:
    slots = month_readings(month, price, 60)
    return PriceSeries(slots.start, slots.minutes, slots.micro_kwh)


def test_a_bill_of_april_by_hand() -> None:
    # 30 days x 96 slots x 0.25 kWh = 720 kWh; x 0.2812 = 202.464; 30 x 0.35 = 10.50; (202.46 + 10.50) x 19 % = 40.4624.
    tariffs = book(
        "name: energy, kind: flat, price: 0.2812",
        "name: base, kind: standing, per: day, price: 0.35",
        "name: vat, kind: tax, percent: 19",
    )
    (lines,) = lines_of(tariffs, month_readings(APRIL))
    assert cents(lines) == {"energy": 20246, "base": 1050, "vat": 4046, "total": 25342}
    assert lines[0].micro_kwh == 720_000_000


@pytest.mark.parametrize(("month", "hours"), [(MARCH, 743), (OCTOBER, 745)])
def test_months_in_which_clocks_change_have_their_own_hours(month: date, hours: int) -> None:
    (lines,) = lines_of(book("name: energy, kind: flat, price: 1"), month_readings(month), month)
    assert cents(lines)["total"] == hours * 100


def test_cents_are_rounded_half_to_even_once_a_component() -> None:
    tariffs = book(
        "name: half_to_zero, kind: standing, per: month, price: 0.005",
        "name: half_to_two, kind: standing, per: month, price: 0.015",
        "name: negative_half, kind: standing, per: month, price: -0.025",
    )
    (lines,) = lines_of(tariffs, month_readings(APRIL))
    assert cents(lines) == {"half_to_zero": 0, "half_to_two": 2, "negative_half": -2, "total": 0}


def test_time_of_use_goes_by_local_hours_weekdays_and_holidays() -> None:
    # April 2026 has 22 working days less Good Friday (3rd) and Easter Monday (6th): 20 x 12 h x 1 kW at 0.40.
    holidays = {2026: frozenset((date(2026, 4, day) - date(1970, 1, 1)).days for day in (3, 6))}
    market = Market(ZONE, holidays=lambda year, state: holidays[year])
    tariffs = book(
        "name: energy, kind: time_of_use, price: 0.2, windows: "
        "[{days: [mon, tue, wed, thu, fri], from: '08:00', to: '20:00', price: 0.4}]",
        more="    holidays: nationwide\n",
    )
    (lines,) = lines_of(tariffs, month_readings(APRIL), market=market)
    assert cents(lines)["energy"] == 240 * 40 + 480 * 20


def test_a_window_over_midnight_belongs_to_the_day_of_each_hour() -> None:
    tariffs = book("name: e, kind: time_of_use, price: 0, windows: [{from: '22:00', to: '06:00', price: 1}]")
    (lines,) = lines_of(tariffs, month_readings(MARCH), MARCH)
    # 31 nights of 8 hours, less the hour that the clocks skip at 02:00.
    assert cents(lines)["e"] == (31 * 8 - 1) * 100


def test_blocks_go_on_across_a_change_of_the_tariffs_prices() -> None:
    tariffs = parse_tariffs(
        """
tariffs:
  - {name: home, valid_from: 2020-01-01, valid_to: 2026-04-16, currency: EUR,
     components: [{name: e, kind: tiered, blocks: [{up_to_kwh: 400, price: 0.10}, {price: 0.20}]}]}
  - {name: home, valid_from: 2026-04-16, currency: EUR,
     components: [{name: e, kind: tiered, blocks: [{up_to_kwh: 400, price: 0.30}, {price: 0.40}]}]}
""",
        "t",
    )
    first, second = lines_of(tariffs, month_readings(APRIL))
    # 360 kWh in the first block; then 40 kWh in it and 320 beyond.
    assert (cents(first)["e"], cents(second)["e"]) == (3600, 40 * 30 + 320 * 40)


def test_a_month_split_between_two_versions_bills_each_day_once() -> None:
    tariffs = parse_tariffs(
        """
tariffs:
  - {name: home, valid_from: 2020-01-01, valid_to: 2026-04-11, currency: EUR, components: &c [
     {name: e, kind: flat, price: 1}, {name: base, kind: standing, per: month, price: 30}]}
  - {name: home, valid_from: 2026-04-11, currency: EUR, components: *c}
""",
        "t",
    )
    first, second = lines_of(tariffs, month_readings(APRIL))
    assert cents(first) == {"e": 24000, "base": 1000, "total": 25000}
    assert cents(second) == {"e": 48000, "base": 2000, "total": 50000}


def test_dynamic_prices_may_be_negative() -> None:
    # By turns -0.10 and +0.25 with a markup of 0.05: 360 h x -0.05 + 360 h x 0.30.
    market = Market(ZONE, {("m", "DE"): hourly(APRIL, [-100_000_000, 250_000_000])})
    tariffs = book("name: e, kind: dynamic, source_id: m, control_area: DE, markup: 0.05")
    (lines,) = lines_of(tariffs, month_readings(APRIL), market=market)
    assert cents(lines)["e"] == 360 * -5 + 360 * 30


def test_an_hour_without_a_price_refuses_the_line_with_its_hours_and_energy() -> None:
    series = hourly(APRIL, [100_000_000])
    keep = np.arange(len(series.start)) != 100
    market = Market(ZONE, {("m", "DE"): PriceSeries(series.start[keep], series.minutes[keep], series.price[keep])})
    tariffs = book(
        "name: e, kind: dynamic, source_id: m, control_area: DE", "name: base, kind: standing, per: month, price: 5"
    )
    (lines,) = lines_of(tariffs, month_readings(APRIL), market=market)
    assert cents(lines) == {"e": None, "base": 500, "total": None}
    for line in (lines[0], lines[2]):
        assert (line.refusal, line.refused_minutes, line.refused_micro_kwh) == (Refusal.PRICE_MISSING, 60, 1_000_000)


def test_hourly_slots_are_refused_where_prices_change_by_the_quarter_hour() -> None:
    quarters = month_readings(APRIL, [1, 2])
    market = Market(ZONE, {("m", "DE"): PriceSeries(quarters.start, quarters.minutes, quarters.micro_kwh)})
    tariffs = book("name: e, kind: dynamic, source_id: m, control_area: DE")
    (lines,) = lines_of(tariffs, month_readings(APRIL, 1_000_000, 60), market=market)
    assert (lines[0].refusal, lines[0].refused_minutes) == (Refusal.INTERVAL_TOO_LONG, 720 * 60)


def test_missing_slots_refuse_what_counts_energy_and_nothing_else() -> None:
    readings = month_readings(APRIL)
    readings.present[10:14] = False
    absent = readings.where(np.arange(len(readings.start)) >= 2)
    tariffs = book(
        "name: e, kind: flat, price: 1",
        "name: t, kind: tiered, blocks: [{price: 1}]",
        "name: peak, kind: demand, price: 1",
        "name: base, kind: standing, per: month, price: 5",
        "name: vat, kind: tax, percent: 19",
        "name: tax_of_base, kind: tax, percent: 10, of: [base]",
    )
    (lines,) = lines_of(tariffs, absent)
    missing = (None, Refusal.READINGS_MISSING, 90)
    shown = {line.component: (line.cents, line.refusal, line.refused_minutes) for line in lines}
    assert shown["e"] == shown["t"] == shown["peak"] == shown["total"] == missing
    assert shown["vat"] == (None, Refusal.BASE_REFUSED, 0)
    assert (shown["base"], shown["tax_of_base"]) == ((500, None, 0), (50, None, 0))


def test_the_peak_is_the_highest_mean_power_of_a_quarter_hour() -> None:
    # 5-minute slots of 1, 2 and 3 kWh: 6 kWh a quarter hour are 24 kW.
    readings = month_readings(APRIL, [1_000_000, 2_000_000, 3_000_000], 5)
    (lines,) = lines_of(book("name: peak, kind: demand, price: 7.5"), readings)
    assert (lines[0].peak_kw, lines[0].cents) == (24, 18000)
    (lines,) = lines_of(book("name: peak, kind: demand, price: 7.5"), month_readings(APRIL, 1, 30))
    assert (lines[0].refusal, lines[0].refused_minutes) == (Refusal.INTERVAL_TOO_LONG, 720 * 60)


def test_a_peak_that_is_estimated_rests_on_estimates_whole() -> None:
    readings = month_readings(APRIL)
    readings.micro_kwh[5] = 900_000
    readings.estimated[5] = True
    (lines,) = lines_of(book("name: peak, kind: demand, price: 1"), readings)
    assert lines[0].estimated_money_share == 1
    readings.micro_kwh[6] = 900_000
    (lines,) = lines_of(book("name: peak, kind: demand, price: 1"), readings)
    assert lines[0].estimated_money_share == 0


def test_the_share_on_estimates_is_one_of_energy_and_one_of_money() -> None:
    # A quarter of the hours is estimated, at three times the price of the others: 3 of 6 parts of the money.
    readings = month_readings(APRIL)
    local_hour = (np.arange(len(readings.start)) // 4) % 24
    readings.estimated[local_hour < 6] = True
    tariffs = book("name: e, kind: time_of_use, price: 0.1, windows: [{from: '00:00', to: '06:00', price: 0.3}]")
    (lines,) = lines_of(tariffs, readings)
    assert (lines[0].estimated_energy_share, lines[0].estimated_money_share) == (0.25, 0.5)


def test_a_tariff_that_ends_is_refused_for_the_days_after_it() -> None:
    tariffs = parse_tariffs(
        "tariffs: [{name: home, valid_from: 2020-01-01, valid_to: 2026-04-21, currency: EUR, "
        "components: [{name: e, kind: flat, price: 1}]}]",
        "t",
    )
    billed, ended = lines_of(tariffs, month_readings(APRIL))
    assert cents(billed)["total"] == 48000
    assert [(line.component, line.refusal, line.refused_minutes, line.refused_micro_kwh) for line in ended] == [
        ("total", Refusal.NO_TARIFF, 10 * 1_440, 240_000_000)
    ]


def test_days_without_an_assignment_are_not_billed() -> None:
    assignments = (Assignment("p", "home", date(2026, 4, 11), date(2026, 4, 21)),)
    (lines,) = lines_of(book("name: e, kind: flat, price: 1"), month_readings(APRIL), assignments=assignments)
    assert cents(lines)["total"] == 24000


def test_energy_and_prices_beyond_64_bits_stay_exact() -> None:
    readings = month_readings(APRIL, 10**15)
    (lines,) = lines_of(book("name: e, kind: flat, price: 999999.999999999"), readings)
    exact = Decimal(2880) * 10**9 * Decimal("999999.999999999") * 100
    assert lines[0].cents == int(exact.to_integral_value(ROUND_HALF_EVEN))


def slow_cents(readings: Readings, tariff_prices: dict[str, Decimal], month: date) -> dict[str, Decimal]:
    """Bill as a person would, slot by slot, with decimals and local times of the standard library."""
    zone = ZoneInfo(ZONE)
    flat = tou = total = dynamic = Decimal(0)
    quarters: dict[datetime, Decimal] = {}
    for start, micro in zip(readings.start.tolist(), readings.micro_kwh.tolist(), strict=True):
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start)
        local, kwh = instant.astimezone(zone), Decimal(micro) / 1_000_000
        high = local.weekday() < 5 and 6 <= local.hour < 22
        flat += kwh * tariff_prices["flat"]
        tou += kwh * (tariff_prices["high"] if high else tariff_prices["low"])
        dynamic += kwh * (tariff_prices["even"] if instant.hour % 2 == 0 else tariff_prices["odd"])
        total += kwh
        quarters[instant] = kwh * 4
    tiered = min(total, Decimal(300)) * tariff_prices["low"] + max(Decimal(0), total - 300) * tariff_prices["high"]
    exact = {"flat": flat, "tou": tou, "tiered": tiered, "dynamic": dynamic}
    exact["peak"] = max(quarters.values()) * abs(tariff_prices["flat"])
    lines = {name: (amount * 100).to_integral_value(ROUND_HALF_EVEN) for name, amount in exact.items()}
    lines["vat"] = (sum(lines.values(), Decimal(0)) * Decimal("0.19")).to_integral_value(ROUND_HALF_EVEN)
    return {**lines, "total": sum(lines.values(), Decimal(0))}


PRICE = st.decimals(min_value=-1, max_value=1, places=6)


@settings(max_examples=25, deadline=None)
@given(
    prices=st.fixed_dictionaries(dict.fromkeys(("flat", "high", "low", "even", "odd"), PRICE)),
    values=st.lists(st.integers(0, 20_000_000), min_size=1, max_size=60),
    month=st.sampled_from([MARCH, APRIL, OCTOBER]),
    seed=st.integers(0, 2**31),
)
def test_bills_are_those_of_adding_decimals_slot_by_slot_in_any_order(
    prices: dict[str, Decimal], values: list[int], month: date, seed: int
) -> None:
    readings = month_readings(month, values)
    order = np.random.default_rng(seed).permutation(len(readings.start))
    shuffled = Readings(
        *(getattr(readings, name)[order] for name in ("start", "minutes", "micro_kwh", "present", "estimated"))
    )
    hours = np.unique(readings.start // 3_600_000_000) * 3_600_000_000
    nano = {name: int(price * 10**9) for name, price in prices.items()}
    series = PriceSeries(
        hours,
        np.full(len(hours), 60, dtype=np.int64),
        np.where(hours // 3_600_000_000 % 24 % 2 == 0, nano["even"], nano["odd"]).astype(np.int64),
    )
    p = {name: f"'{price:f}'" for name, price in prices.items()}
    tariffs = book(
        f"name: flat, kind: flat, price: {p['flat']}",
        f"name: tou, kind: time_of_use, price: {p['low']}, windows: "
        f"[{{days: [mon, tue, wed, thu, fri], from: '06:00', to: '22:00', price: {p['high']}}}]",
        f"name: tiered, kind: tiered, blocks: [{{up_to_kwh: 300, price: {p['low']}}}, {{price: {p['high']}}}]",
        "name: dynamic, kind: dynamic, source_id: m, control_area: DE",
        f"name: peak, kind: demand, price: '{abs(prices['flat']):f}'",
        "name: vat, kind: tax, percent: 19",
    )
    (lines,) = lines_of(tariffs, shuffled, month, Market(ZONE, {("m", "DE"): series}))
    assert cents(lines) == slow_cents(readings, prices, month)
    assert sum(line.cents or 0 for line in lines[:-1]) == lines[-1].cents


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.integers(0, 20_000_000), min_size=1, max_size=60), cut=st.integers(2, 31))
def test_energy_and_money_of_two_parts_of_a_month_add_up_to_the_whole(values: list[int], cut: int) -> None:
    readings, middle = month_readings(MARCH, values), date(2026, 3, cut)
    tariffs = book(
        "name: e, kind: flat, price: 0.01",
        "name: t, kind: tiered, blocks: [{up_to_kwh: 500, price: 0.01}, {price: 0.02}]",
    )
    whole = lines_of(tariffs, readings, MARCH)[0]
    parts = [
        lines_of(tariffs, readings, MARCH, assignments=(Assignment("p", "home", first, end),))[0][0]
        for first, end in ((MARCH, middle), (middle, None))
    ]
    assert sum(part.micro_kwh or 0 for part in parts) == whole[0].micro_kwh
    assert sum(part.turnover for part in parts) == whole[0].turnover
