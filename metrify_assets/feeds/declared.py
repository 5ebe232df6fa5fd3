"""The texts of a feed definition, each tried when the definition is read.

Belongs here: what a text must be so that no reader fails on it later: formats of stamps, time zones, encodings,
patterns, names of columns, paths, OBIS codes. Does not belong here: which texts a feed has (``model.py``).

Each function returns the text, or raises ``ValueError`` that says what is wrong and what to write.
"""

from __future__ import annotations

import codecs
import re
from datetime import UTC, datetime, timedelta
from fnmatch import translate
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

_PROBE = datetime(2026, 11, 28, 13, tzinfo=UTC)
"""A day and month that cannot be taken for each other, after noon."""
_DIRECTIVE = re.compile("%(.)", re.DOTALL)
_OBIS = re.compile(r"(?:\d{1,3}-\d{1,3}:)?[0-9CFLP]{1,3}\.[0-9CFLP]{1,3}\.[0-9CFLP]{1,3}(?:[*&.]\d{1,3})?", re.ASCII)
_ASCII_LINE = bytes(range(0x20, 0x7F)).decode() + "\t\r\n"
_THOUSANDS = "., '_\u2019\u00a0\u202f"


def stamp_format(text: str) -> str:
    """Try a ``strptime`` format: the stamp of a day must be read back as that day."""
    _read_back(text, _PROBE)
    return text


def check_resolution(text: str, minutes: int) -> None:
    """Raise ``ValueError`` if stamps of a ``strptime`` format cannot tell intervals of so many minutes apart."""
    if minutes % 1_440 == 0:
        return
    # A full hour is stated by any format that states the neighbouring quarter or minute.
    moment = _PROBE if minutes % 60 == 0 else _PROBE + timedelta(minutes=minutes % 60)
    parsed = _read_back(text, moment)
    if (parsed.hour, parsed.minute) != (moment.hour, moment.minute):
        raise ValueError(
            f"format {text!r} states no time of day fine enough for intervals of {minutes} minutes: add %H:%M (and the "
            "column that holds it), or %p to %I"
        )


def _read_back(text: str, moment: datetime) -> datetime:
    """Return what is read of an instant written in a format; raise ``ValueError`` if its day is lost."""
    directives = _DIRECTIVE.findall(text.replace("%%", ""))
    twice = next((name for name in directives if directives.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{text!r} cannot be read: %{twice} comes twice, write it once")
    try:
        # What is wrong with a directive is said before what is wrong with the day.
        parsed = datetime.strptime(moment.strftime(text), text)
    except (ValueError, re.error) as error:
        problem = str(error) if "directive" in str(error) or "stray" in str(error) else "is no format that can be read"
        raise ValueError(f"{text!r}: {problem}: write a strptime format such as '%d.%m.%Y %H:%M'") from error
    if parsed.date() != moment.date():
        raise ValueError(f"{text!r} states no date: add %d, %m and %Y (and the column that holds them)")
    return parsed


def time_zone(text: str) -> str:
    """Try an IANA time zone."""
    try:
        ZoneInfo(text)
    except (LookupError, ValueError, OSError) as error:
        # A folder of the time zone database, such as Europe, is an OSError.
        raise ValueError(f"{text[:60]!r} is no IANA time zone; use a name such as Europe/Berlin") from error
    return text


def is_utf_16(encoding: str) -> bool:
    """Return whether an encoding is UTF-16, which is made UTF-8 before lines and cells are separated."""
    return codecs.lookup(encoding).name in ("utf-16", "utf-16-le", "utf-16-be")


def line_encoding(text: str) -> str:
    """Try an encoding: UTF-16, or one that keeps ASCII as it is, so that lines and cells can be separated."""
    advice = "use utf-8, utf-8-sig, utf-16 or latin-1"
    try:
        if is_utf_16(text):
            return text
        plain = text.removesuffix("-sig")
        kept = _ASCII_LINE.encode(plain) == _ASCII_LINE.encode() and _ASCII_LINE.encode().decode(plain) == _ASCII_LINE
    except (LookupError, ValueError) as error:
        raise ValueError(f"{text[:60]!r} is no encoding of text; {advice}") from error
    if not kept:
        raise ValueError(f"{text!r} does not keep ASCII as it is; {advice}")
    return text


def delimiter(text: str) -> str:
    """Try the sign between two cells."""
    if not text.isascii() or text.isalnum() or text in '"\r\n\0+-':
        raise ValueError(f"{text!r} cannot stand between cells: use one ASCII sign such as ';', ',', '|' or a tab")
    return text


def thousands_sign(text: str) -> str:
    """Try the sign between groups of digits; blank for none."""
    if text and text not in _THOUSANDS:
        raise ValueError(f"{text!r} does not part groups of digits: use a point, a comma, a blank or an apostrophe")
    return text


def name_pattern(text: str) -> str:
    """Try a pattern of file names, or several with ``|`` between them."""
    for part in text.split("|"):
        if not part or part != part.strip():
            raise ValueError(f"{text!r} has a pattern that is empty or has blanks around it: write a_*.csv|b_*.csv")
        if "/" in part:
            raise ValueError(f"{part!r} names a folder, but only the name of a file is looked at: leave the folder out")
        _printable(part)
        re.compile(translate(part))
    return text


def text_pattern(text: str) -> str:
    """Try a regular expression on the name of a file: its one group is the text."""
    try:
        groups = re.compile(text).groups
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text[:60]!r} is no regular expression: {error}") from error
    if groups != 1:
        raise ValueError("file_name needs exactly one group in brackets, which is the text")
    return text


def obis_code(text: str) -> str:
    """Try an OBIS code."""
    if not _OBIS.fullmatch(text):
        raise ValueError(f"obis: {text!r} is no OBIS code: write A-B:C.D.E, such as 1-0:1.29.0")
    return text


def column_name(text: str) -> str:
    """Try the name of a column that is read."""
    if not text:
        raise ValueError("is empty: name the column")
    return header_name(text)


def header_name(text: str) -> str:
    """Try the name of a column of a header, which may be empty; blanks around names are not looked at in files."""
    if text != text.strip():
        raise ValueError(f"{text!r} has blanks around it, which are not looked at in files: leave them out")
    return _printable(text)


def beginning_of_lines(text: str) -> str:
    """Try the beginning of lines that are left out: an empty one would leave out all."""
    if not text:
        raise ValueError("is empty, which every line begins with: write how the lines begin")
    return _printable(text)


def field_path(text: str) -> str:
    """Try the path of a field in JSON: names, or positions in an array, with dots between them."""
    if "" in text.split(".") or re.search(r"\[\d*\]", text):
        raise ValueError(
            f"column {text!r} is no path in JSON: write names and positions with dots between them: weather.0.id"
        )
    return text


def records_path(text: str) -> str:
    """Try where records lie in a JSON document: names with dots between them, ``[]`` at the end of an array's."""
    path = text.removesuffix("[]")
    if path and ("" in path.split(".") or set(path) & set("[]")):
        raise ValueError(
            f"{text!r} is no place of records: write hourly[] (an array), data.current, or '' (the document)"
        )
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{text!r} has a control character: leave it out")
    return text


TimeZone = Annotated[str, AfterValidator(time_zone)]
Encoding = Annotated[str, AfterValidator(line_encoding)]
Delimiter = Annotated[str, AfterValidator(delimiter)]
ThousandsSign = Annotated[str, AfterValidator(thousands_sign)]
NamePattern = Annotated[str, AfterValidator(name_pattern)]
MemberPattern = Annotated[str, AfterValidator(lambda text: name_pattern(text) if text else text)]
"""Blank for all files of a zip."""
TextPattern = Annotated[str, AfterValidator(text_pattern)]
HeaderName = Annotated[str, AfterValidator(header_name)]
ColumnName = Annotated[str, AfterValidator(column_name)]
LineBeginning = Annotated[str, AfterValidator(beginning_of_lines)]
RecordsPath = Annotated[str, AfterValidator(records_path)]
