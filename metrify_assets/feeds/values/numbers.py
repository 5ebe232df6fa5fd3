"""Numbers: from the sender's text or type to exact decimals with six places.

Belongs here: decimal and thousands signs, sentinels, what is no number and what is too large. Does not belong here:
whether a value is plausible (``vee/``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import encode

DECIMALS = 6
MICRO = 10**DECIMALS
LIMIT = 10**12
"""Values of this size and above do not fit DECIMAL(18,6) and no meter delivers them."""

OK, NULL, BAD_NUMBER, NOT_A_NUMBER, OUT_OF_RANGE, CONTRADICTING = range(6)
REASONS = {
    CONTRADICTING: RejectReason.CONTRADICTING_ROWS,
    BAD_NUMBER: RejectReason.BAD_NUMBER,
    NOT_A_NUMBER: RejectReason.NOT_A_NUMBER,
    OUT_OF_RANGE: RejectReason.VALUE_OUT_OF_RANGE,
}
_WHOLE = re.compile(r"[0-9]{1,15}")
_AT_ONCE_CHARACTERS = 36
"""Longest text that is left to Arrow: what has more digits than its decimals hold is read as another number."""
_MISREAD = (b"x", b"X", b"+-")
_NOT_A_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_SIX_PLACES = Decimal(1).scaleb(-DECIMALS)


def whole(text: str) -> int | None:
    """Return a whole number without a sign, of at most 15 ASCII digits; None if the text is none."""
    return int(text) if _WHOLE.fullmatch(text) else None


@dataclass(frozen=True)
class Numbers:
    """Values of one column.

    Attributes
    ----------
    micro : int64 array, shape (n,)
        Millionths; 0 where there is no value.
    state : uint8 array, shape (n,)
        ``OK``, ``NULL`` (blank or sentinel) or one of ``REASONS``. ``CONTRADICTING`` is found by the reader.
    """

    micro: np.ndarray
    state: np.ndarray


def added(first: Numbers, second: Numbers) -> Numbers:
    """Return the sums: a missing number adds nothing, and where both are missing there is no value."""
    worst = np.where(first.state > NULL, first.state, np.where(second.state > NULL, second.state, OK))
    state = np.where(worst == OK, np.minimum(first.state, second.state), worst).astype(np.uint8)
    micro = np.where(state == OK, first.micro + second.micro, 0)
    state[np.abs(micro) >= LIMIT * MICRO] = OUT_OF_RANGE
    return Numbers(np.where(state == OK, micro, 0), state)


class NumberReader:
    """Reads the number columns of one feed.

    Parameters
    ----------
    decimal, thousands : str
        Signs of the sender; any other sign makes a bad number, so that a changed format never shifts the point.
    sentinels : tuple of str
        Texts that mean that there is no value; one that is a number also matches other spellings of that number
        (-999 and -999.0).
    """

    def __init__(self, decimal: str = ".", thousands: str = "", sentinels: tuple[str, ...] = ()) -> None:
        self._decimal = decimal
        self._thousands = thousands
        self._sentinels = {"", *(text.strip() for text in sentinels)}
        sign, point = r"[+-]?", re.escape(decimal)
        digits = rf"(?:[0-9]+{point}?[0-9]*|{point}[0-9]+)"
        if thousands:
            digits += rf"|[1-9][0-9]{{0,2}}(?:{re.escape(thousands)}[0-9]{{3}})+(?:{point}[0-9]*)?"
        self._number = re.compile(rf"{sign}(?:{digits})(?:[eE]{sign}0*[0-9]{{1,9}})?")
        self._sentinel_numbers = [micro for text in self._sentinels if (micro := self._as_number(text)) is not None]

    def read(self, column: pa.Array | pa.ChunkedArray) -> Numbers:
        """Read text, floating-point, integer or decimal columns; values are rounded half away from zero to 6 places."""
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_floating(kind) and not pa.types.is_dictionary(column.type):
            return self._read_floats(column)
        if pa.types.is_decimal(kind) and not pa.types.is_dictionary(column.type) and kind.scale <= DECIMALS:
            numbers = self._read_decimals(column)
            if numbers is not None:
                return numbers
        codes, values = encode(column)
        if not pa.types.is_string(kind):
            # Integers, decimals and large strings: their text is exact, and always with a decimal point.
            reader = self if pa.types.is_large_string(kind) else NumberReader(sentinels=tuple(self._sentinels))
            micro, state = reader._parse(values.cast(pa.string()))
        else:
            micro, state = self._parse(values)
        return Numbers(micro[codes], state[codes])

    def _parse(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        parsed = self._parse_at_once(texts)
        if parsed is None:
            # Something among the texts is unusual: look at each.
            pairs = [self._parse_text(text) for text in texts.to_pylist()]
            micro = np.array([pair[0] for pair in pairs], dtype=np.int64)
            state = np.array([pair[1] for pair in pairs], dtype=np.uint8)
        else:
            micro, state = parsed
        return self._without_sentinels(micro, state)

    def _parse_at_once(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray] | None:
        """Parse texts that are all plain numbers or sentinels; None if one is not."""
        if self._thousands:
            return None
        texts = pc.utf8_trim_whitespace(texts)
        missing = pc.or_kleene(pc.is_null(texts), pc.is_in(texts, pa.array(sorted(self._sentinels))))
        texts = pc.if_else(missing, "0", texts)
        if _beyond_arrow(texts):
            return None
        if self._decimal != ".":
            if pc.any(pc.match_substring(texts, ".")).as_py():
                return None
            texts = pc.replace_substring(texts, self._decimal, ".")
        try:
            values = texts.cast(pa.decimal128(18, DECIMALS))
        except pa.ArrowInvalid:
            return None
        return _low_words(values), np.where(missing.to_numpy(zero_copy_only=False), NULL, OK).astype(np.uint8)

    def _parse_text(self, text: str | None) -> tuple[int, int]:
        text = "" if text is None else text.strip()
        if text in self._sentinels:
            return 0, NULL
        if _NOT_A_NUMBER.fullmatch(text):
            return 0, NOT_A_NUMBER
        if not self._number.fullmatch(text):
            return 0, BAD_NUMBER
        micro = self._as_number(text)
        return (0, OUT_OF_RANGE) if micro is None else (micro, OK)

    def _as_number(self, text: str) -> int | None:
        """Return millionths; None if the text is no number or too large."""
        if not self._number.fullmatch(text):
            return None
        if self._thousands:
            text = text.replace(self._thousands, "")
        value = Decimal(text.replace(self._decimal, "."))
        if value and value.adjusted() >= 12:
            return None
        value = value.quantize(_SIX_PLACES, ROUND_HALF_UP)
        return int(value.scaleb(DECIMALS)) if abs(value) < LIMIT else None

    def _read_decimals(self, column: pa.Array | pa.ChunkedArray) -> Numbers | None:
        """Read exact decimals as they are; None if one of them is too large."""
        try:
            values = column.cast(pa.decimal128(18, DECIMALS))
        except pa.ArrowInvalid:
            return None
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        missing = values.is_null().to_numpy(zero_copy_only=False)
        state = np.where(missing, NULL, OK).astype(np.uint8)
        return Numbers(*self._without_sentinels(_low_words(values), state))

    def _read_floats(self, column: pa.Array | pa.ChunkedArray) -> Numbers:
        missing = pc.is_null(column).to_numpy(zero_copy_only=False)
        values = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
        state = np.where(missing, NULL, OK).astype(np.uint8)
        # A NaN is no value only where the feed says so.
        not_a_number = NULL if any(text.lower() == "nan" for text in self._sentinels) else NOT_A_NUMBER
        state[np.isnan(values)] = not_a_number
        state[np.isinf(values)] = NOT_A_NUMBER
        finite = np.isfinite(values)
        state[finite & (np.abs(np.where(finite, values, 0.0)) >= LIMIT)] = OUT_OF_RANGE
        scaled = np.where(state == OK, values, 0.0) * MICRO
        micro = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled).astype(np.int64)
        return Numbers(*self._without_sentinels(micro, state))

    def _without_sentinels(self, micro: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        for sentinel in self._sentinel_numbers:
            state = np.where((micro == sentinel) & (state == OK), NULL, state).astype(np.uint8)
        return np.where(state == OK, micro, 0), state


def _beyond_arrow(texts: pa.Array) -> bool:
    """Return whether Arrow may read one of the texts as a number that it is not.

    Of too many digits it keeps those that fit (5,000 nines become -1); it takes ``1E0x2`` for 100 and ``1e+-3`` for
    0.001.
    """
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    content = b"" if texts.buffers()[2] is None else texts.buffers()[2].to_pybytes()
    return longest > _AT_ONCE_CHARACTERS or any(mark in content for mark in _MISREAD)


def _low_words(values: pa.Array) -> np.ndarray:
    """Return a decimal128 array of at most 18 digits as its unscaled int64 values."""
    words = np.frombuffer(values.buffers()[1], dtype=np.int64)
    return words[2 * values.offset : 2 * (values.offset + len(values)) : 2].copy()


def decimals(micro: np.ndarray, missing: np.ndarray) -> pa.Array:
    """Return millionths as DECIMAL(18,6), null where ``missing``."""
    validity = pa.array(~missing).buffers()[1] if missing.any() else None
    buffers = [validity, pa.py_buffer(np.ascontiguousarray(micro, dtype=np.int64))]
    return pa.Array.from_buffers(pa.decimal64(18, DECIMALS), len(micro), buffers)
