"""What the platform should make of real files, worked out a second time: slowly, and without the package.

Belongs here: plain Python on ``csv``, ``decimal`` and ``zoneinfo``, one value at a time. Does not belong here: any
import from ``metrify_assets``, because code that is checked against itself is not checked.

Instants are whole seconds since 1970 (UTC), energy is a whole number of micro-kWh: a sum of them is exact.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")
MICRO = 1_000_000

HOLIDAYS = {
    *(date(2012, 10, 3), date(2012, 12, 25), date(2012, 12, 26)),
    # Good Friday, Easter Monday, Labour Day, Ascension, Whit Monday between New Year and Unity Day.
    *(date(2013, 1, 1), date(2013, 3, 29), date(2013, 4, 1), date(2013, 5, 1), date(2013, 5, 9), date(2013, 5, 20)),
    *(date(2013, 10, 3), date(2013, 12, 25), date(2013, 12, 26), date(2014, 1, 1)),
    *(date(2015, 10, 3), date(2015, 12, 25), date(2015, 12, 26)),
}
"""Nationwide holidays of Germany in the periods that the tests look at, from the calendar on the wall."""

LONGEST_LINEAR_GAP_MINUTES = 120
LIKE_DAYS, FEWEST_LIKE_DAYS, LOOKBACK_DAYS = 3, 2, 28
MOST_SCALE = 10
LEAST_SECONDS_OF_A_LEVEL, LOWEST_LEVEL, HIGHEST_LEVEL = 6 * 3_600, 500, 2_000


class Slot(NamedTuple):
    """A clean slot: micro-kWh (None = missing), status and method."""

    value: int | None
    status: str
    method: str | None


def rows_of(path: Path, *, delimiter: str = ",", encoding: str = "utf-8", header: bool = True) -> list[list[str]]:
    """Return the data rows of a delimited file."""
    with path.open(encoding=encoding, newline="") as lines:
        rows = list(csv.reader(lines, delimiter=delimiter))
    return rows[1:] if header else rows


def cut(path: Path, keep: Callable[[list[str]], bool], *, delimiter: str, encoding: str = "utf-8") -> bytes:
    """Return a file's first line and those of its lines that ``keep`` wants, byte for byte."""
    first, *others = path.read_bytes().splitlines(keepends=True)
    return first + b"".join(line for line in others if keep(line.decode(encoding).rstrip("\r\n").split(delimiter)))


def text_rows(content: bytes, *, delimiter: str, encoding: str = "utf-8") -> list[list[str]]:
    """Return the rows of what ``cut`` left."""
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=delimiter))


def micro(text: str, factor: Fraction = Fraction(1)) -> int:
    """Return millionths of a decimal number: six places as delivered (half up), then the factor (half to even)."""
    delivered = Decimal(text.strip()).quantize(Decimal("0.000001"), ROUND_HALF_UP)
    return half_even(Fraction(delivered) * factor * MICRO)


def half_even(value: Fraction) -> int:
    """Return the nearest whole number, the even one of two."""
    whole, rest = divmod(value.numerator, value.denominator)
    exact = Decimal(whole) + Decimal(rest) / Decimal(value.denominator)
    assert 0 <= rest < value.denominator
    return int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


def instant(moment: datetime) -> int:
    """Return the seconds since 1970 of a moment that knows its zone."""
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def utc(text: str) -> int:
    """Return the instant of an ISO stamp in UTC."""
    return instant(datetime.fromisoformat(text).replace(tzinfo=UTC))


def local_instants(wall_clock: Iterable[datetime]) -> Iterator[int | None]:
    """Turn Berlin wall-clock stamps in file order into instants; None for a time that the clocks skipped.

    Of a stamp that comes twice the first is summer time, the second is winter time.
    """
    seen: set[datetime] = set()
    for stamp in wall_clock:
        moment = stamp.replace(tzinfo=BERLIN, fold=int(stamp in seen)).astimezone(UTC)
        seen.add(stamp)
        yield instant(moment) if moment.astimezone(BERLIN).replace(tzinfo=None) == stamp else None


def berlin(moment: int) -> datetime:
    """Return the wall clock of Berlin at an instant."""
    return datetime.fromtimestamp(moment, UTC).astimezone(BERLIN)


def slots_of(day: date, minutes: int) -> list[int]:
    """Return the starts of a local day's slots."""
    start, end = (
        instant(datetime(d.year, d.month, d.day, tzinfo=BERLIN).astimezone(UTC)) for d in (day, day + timedelta(1))
    )
    return list(range(start, end, minutes * 60))


def days_from(first: date, last: date) -> list[date]:
    """Return the days from the first to the last."""
    return [first + timedelta(number) for number in range((last - first).days + 1)]


def register_slots(reads: dict[int, tuple[int, str]], minutes: int) -> dict[int, tuple[int, str]]:
    """Return the energy between neighbouring reads of a counter; a substitute on either side makes a substitute."""
    energies = {}
    for start, (opening, said) in reads.items():
        if start + minutes * 60 in reads:
            closing, said_too = reads[start + minutes * 60]
            energies[start] = (closing - opening, "substitute" if "substitute" in (said, said_too) else "measured")
    return energies


def clean_slots(
    delivered: dict[int, tuple[int, str]], days: list[date], minutes: int, outliers: Collection[int] = ()
) -> dict[int, Slot]:
    """Return every slot of a series: as delivered, else interpolated, else the mean of like days, else missing.

    Parameters
    ----------
    delivered : dict
        Start of the slot to micro-kWh and ``measured`` or ``substitute``.
    days : list of date
        Consecutive days.
    minutes : int
    outliers : collection of int
        Starts of values that are no end of a line: they stand, and count for the length of the gap.
    """
    cleaned = {
        start: Slot(value, "measured" if said == "measured" else "estimated", _METHOD[said])
        for start, (value, said) in delivered.items()
    }
    slots = {day: slots_of(day, minutes) for day in days}
    line = [start for day in days for start in slots[day]]
    cleaned |= _interpolated(delivered, line, minutes, outliers)
    whole = {day for day in days if all(delivered.get(s, (0, ""))[1] == "measured" for s in slots[day])}
    for day in days:
        cleaned |= _like_days(delivered, day, slots, whole, [start for start in slots[day] if start not in cleaned])
    return {start: cleaned.get(start, Slot(None, "missing", None)) for start in line}


def scaled(cleaned: dict[int, Slot], reads: dict[int, tuple[int, str]], minutes: int) -> dict[int, Slot]:
    """Return the slots with our own estimates scaled to what the counter counted between its measured reads.

    A slot is the difference of two roundings of the sum so far, so that the whole is exact.
    """
    firm = sorted(moment for moment, (_, said) in reads.items() if said == "measured")
    result = dict(cleaned)
    for opening, closing in itertools.pairwise(firm):
        inside = list(range(opening, closing, minutes * 60))
        if any(start not in cleaned or cleaned[start].value is None for start in inside):
            continue
        own = [start for start in inside if cleaned[start].method in ("linear", "like_day")]
        total = sum(cleaned[start].value for start in own)
        rest = reads[closing][0] - reads[opening][0] - sum(cleaned[s].value for s in inside if s not in own)
        if not own or rest < 0 or rest > MOST_SCALE * total:
            continue
        so_far = 0
        for start in own:
            before, so_far = so_far, so_far + cleaned[start].value
            value = (
                half_even(Fraction(so_far * rest, total)) - half_even(Fraction(before * rest, total)) if total else 0
            )
            result[start] = Slot(value, "estimated", "register_scaled")
    return result


_METHOD = {"measured": None, "substitute": "sender_substitute"}


def _interpolated(
    delivered: dict[int, tuple[int, str]], line: list[int], minutes: int, outliers: Collection[int]
) -> dict[int, Slot]:
    estimates = {}
    position = 0
    while position < len(line):
        end = position
        while end < len(line) and (line[end] not in delivered or line[end] in outliers):
            end += 1
        length = end - position
        if 0 < length <= LONGEST_LINEAR_GAP_MINUTES // minutes and position > 0 and end < len(line):
            left, right = delivered[line[position - 1]][0], delivered[line[end]][0]
            for number in range(1, length + 1):
                value = half_even(left + Fraction((right - left) * number, length + 1))
                if line[position + number - 1] not in delivered:
                    estimates[line[position + number - 1]] = Slot(value, "estimated", "linear")
        position = max(end, position + 1)
    return estimates


def _like_days(
    delivered: dict[int, tuple[int, str]], day: date, slots: dict[date, list[int]], whole: set[date], open_: list[int]
) -> dict[int, Slot]:
    """Return the means of like days, times how the measured rest of the day compares with them."""
    alike = [
        other
        for other in (day - timedelta(back) for back in range(1, LOOKBACK_DAYS + 1))
        if other in whole and _kind(other) == _kind(day)
    ]

    def mean(start: int) -> int | None:
        number = [s for s in slots[day] if berlin(s).time() == berlin(start).time()].index(start)
        values = []
        for other in alike:
            same = [s for s in slots[other] if berlin(s).time() == berlin(start).time()]
            if same:
                values.append(delivered[same[min(number, len(same) - 1)]][0])
        taken = values[:LIKE_DAYS]
        return half_even(Fraction(sum(taken), len(taken))) if len(taken) >= FEWEST_LIKE_DAYS else None

    means = {start: estimate for start in open_ if (estimate := mean(start)) is not None}
    if not means:
        return {}
    measured = [start for start in slots[day] if delivered.get(start, (0, ""))[1] == "measured"]
    compared = [(delivered[start][0], estimate) for start in measured if (estimate := mean(start)) is not None]
    use, usual = (sum(pair[side] for pair in compared) for side in (0, 1))
    slot_seconds = slots[day][1] - slots[day][0]
    level = 1_000
    if use > 0 and usual > 0 and len(compared) * slot_seconds >= LEAST_SECONDS_OF_A_LEVEL:
        level = min(max(half_even(Fraction(1_000 * use, usual)), LOWEST_LEVEL), HIGHEST_LEVEL)
    return {
        start: Slot(half_even(Fraction(value * level, 1_000)), "estimated", "like_day")
        for start, value in means.items()
    }


def _kind(day: date) -> int:
    return 6 if day in HOLIDAYS else day.weekday()
