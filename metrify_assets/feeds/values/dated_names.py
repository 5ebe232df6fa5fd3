"""Names that begin with a date: what lets an inbox be listed from some days ago on.

Belongs here: the declaration and where a listing begins. Does not belong here: the listing (``inbox_s3.py``).
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

_DIRECTIVE = re.compile("%.?")
_ORDER = ["%Y", "%m", "%d"]


class DatedNames(BaseModel):
    """How the names of a feed's files state their date, so that later ones come after earlier ones.

    Attributes
    ----------
    pattern : str
        Beginning of a name below the feed's folder: text with ``%Y``, ``%m`` and ``%d`` in this order, such as
        ``%Y/%m/%d/`` or ``north_%Y-%m-%d``. The date is the sender's: of the upload, or of the delivery day.
    days : int
        How many days back (UTC) every look lists. What is put under an older date is found by a slower pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str
    days: Annotated[int, Field(ge=1, le=366)] = 3

    @field_validator("pattern")
    @classmethod
    def _sorted_by_date(cls, value: str) -> str:
        if _DIRECTIVE.findall(value) != _ORDER:
            raise ValueError(f"{value!r} must hold %Y, %m and %d, once each and in this order: so names sort by date")
        return value

    def window(self, today: date) -> tuple[str, str]:
        """Return the text that all names begin with, and the name after which those of recent days come."""
        first = today - timedelta(days=self.days)
        dated = self.pattern[: self.pattern.index("%d") + 2]
        return self.pattern[: self.pattern.index("%")], first.strftime(dated)
