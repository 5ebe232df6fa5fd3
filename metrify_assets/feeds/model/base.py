"""What every feed has, whatever it carries and however it is written.

Belongs here: names of files, signs of numbers, the digest. Does not belong here: what depends on the kind
(``kinds.py``) or the format (``formats.py``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from metrify_assets.feeds.declared import Encoding, MemberPattern, NamePattern, ThousandsSign, is_utf_16
from metrify_assets.feeds.model.fields import Declared, Sentinel
from metrify_assets.feeds.model.vocabulary import READER_VERSION, SameName
from metrify_assets.feeds.stream import NOT_READING
from metrify_assets.feeds.values.dated_names import DatedNames

if TYPE_CHECKING:
    from metrify_assets.feeds.model.vocabulary import FeedFormat, FeedKind

CountingRows = Literal["refuse", "last", "first"]


class Feed(Declared):
    """One feed: what arrives under ``inbox/<name>/`` and how to read it.

    See ``definitions/`` for examples. ``parse_feed`` makes the class of a definition's kind and format.
    """

    if TYPE_CHECKING:
        # Fields of the classes below, each of its own literal: pydantic takes what two parents share from the first.
        kind: FeedKind
        format: FeedFormat

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    description: Annotated[str, Field(min_length=1)]
    files: NamePattern = Field(
        default="*", description="Pattern of file names, or several: north_*.csv|n_*.csv; .gz or .zip may follow."
    )
    members: MemberPattern = Field(
        default="", description="Zip: pattern of the names of the files inside; all without it."
    )
    same_name: SameName = Field(default=SameName.REPLACE, description="What a second file of the same name means.")
    settle_seconds: float = Field(
        default=2, ge=0, allow_inf_nan=False, description="A file must not change for so long before it is read."
    )
    dated_names: DatedNames | None = Field(default=None, description="How names state their date; see docs/s3.md.")

    encoding: Encoding = Field(
        default="utf-8", description="Encoding of text: any that keeps ASCII as it is; of lines also UTF-16."
    )
    decimal: Literal[".", ","] = Field(default=".", description="Decimal sign of numbers that are texts.")
    thousands: Annotated[ThousandsSign, Field(max_length=1)] = Field(
        default="", description="Sign between groups of digits; none without it."
    )
    sentinels: tuple[Sentinel, ...] = Field(
        default=(), description="Texts beside blank that mean that there is no value."
    )

    @model_validator(mode="after")
    def _signs_differ(self) -> Feed:
        if self.thousands and self.thousands == self.decimal:
            raise ValueError("thousands and decimal must differ")
        if is_utf_16(self.encoding) and not self.reads_utf_16:
            raise ValueError(f"encoding {self.encoding} belongs to delimited and json_lines feeds: leave it out")
        return self

    reads_utf_16: ClassVar[bool] = False
    """Whether files in UTF-16 are made UTF-8; XML says its encoding itself."""

    @property
    def plain_encoding(self) -> str:
        """Encoding of a plain file, without the mark at its beginning: UTF-16 was made UTF-8."""
        return "utf-8" if is_utf_16(self.encoding) else self.encoding.removesuffix("-sig")

    @property
    def column_names(self) -> tuple[str, ...]:
        """Columns of a delimited file in order; empty for other formats, and where the schema says them."""
        return ()

    @property
    def used_columns(self) -> tuple[str, ...]:
        """Columns that the feed reads, each once, values last; empty for registries, whose columns are the schema's."""
        return ()

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Columns that hold values."""
        return ()

    @property
    def reads_file_name(self) -> bool:
        """Whether the name of a file says whose values it holds: the same bytes under another name are other values."""
        return False

    @property
    def values_per_row(self) -> int:
        """Value cells of one row; a registry row counts as one."""
        return 1

    @property
    def in_order_of_arrival(self) -> bool:
        """Whether rows are records or messages in the order in which they came: where a drop ends is chance."""
        return False

    @property
    def states_creation(self) -> bool:
        """Whether a document says when it was made: of two documents the one made later counts."""
        return False

    @property
    def counting_rows(self) -> CountingRows:
        """Which of the rows with different values of one slot in one delivery count: ``refuse`` for none."""
        return "last"

    @property
    def read_by(self) -> dict[str, str]:
        """What else than Metrify's version decides how bytes become rows."""
        return {}

    @property
    def digest(self) -> str:
        """Hash of everything that decides how bytes become rows; 16 hexadecimal digits."""
        # Without defaults: a field that is new must not make the drops of feeds that do without it be read again.
        unread = ("description", "files", "same_name", "settle_seconds", "dated_names", "mqtt", "repeated_rows")
        excluded: dict[str, Any] = {**dict.fromkeys(unread, True), "stream": set(NOT_READING)}
        declared = self.model_dump(mode="json", exclude=excluded, exclude_defaults=True)
        # What holds, declared or not; the last row counted always where nothing else is said.
        if self.counting_rows != "last":
            declared["repeated_rows"] = self.counting_rows
        text = json.dumps([READER_VERSION, declared | self.read_by], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def accepts(self, name: str) -> bool:
        """Return whether a file of that name belongs to the feed."""
        plain = PurePosixPath(name).name
        names = (plain, plain.removesuffix(".gz").removesuffix(".zip"))
        return any(fnmatchcase(text, pattern) for text in names for pattern in self.files.split("|"))


def check_outcomes(part: str, texts: Iterable[str], allowed: Iterable[str]) -> None:
    """Raise ``ValueError`` that names the allowed texts if one of the texts of a part is none of them."""
    allowed = tuple(allowed)
    for text in texts:
        if text not in allowed:
            raise ValueError(f"{part} {text!r} is unknown; use one of {', '.join(allowed)}")
