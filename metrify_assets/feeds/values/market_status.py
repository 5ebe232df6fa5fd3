"""Status codes of market messages as a mapping that a feed can start from.

Belongs here: the codes of a standard turned into the texts of ``SOURCE_STATUSES``. Does not belong here: the codes and
their meaning (``vee.market_codes``), and dialects, which a feed adds to the mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum, StrEnum
from typing import Any

from metrify_assets.vee.codes import SourceStatus
from metrify_assets.vee.market_codes import (
    EbixQuality,
    EspiQuality,
    MsconsQualifier,
    Nem12Quality,
    source_status_of_ebix,
    source_status_of_espi,
    source_status_of_mscons,
    source_status_of_nem12,
)


class MarketCodes(StrEnum):
    """A standard whose codes a status column may hold."""

    MSCONS = "mscons"
    ESPI = "espi"
    NEM12 = "nem12"
    EBIX = "ebix"


def statuses(codes: MarketCodes) -> dict[str, str]:
    """Return the status of each code; codes that are no interval value (a forecast, a sum) are left out."""
    kinds: dict[MarketCodes, tuple[Iterable[StrEnum | IntEnum], Callable[[Any], SourceStatus | None]]] = {
        MarketCodes.MSCONS: (MsconsQualifier, source_status_of_mscons),
        MarketCodes.ESPI: (EspiQuality, source_status_of_espi),
        MarketCodes.NEM12: (Nem12Quality, source_status_of_nem12),
        MarketCodes.EBIX: (EbixQuality, source_status_of_ebix),
    }
    members, status_of = kinds[codes]
    status_by_code = {str(code.value): status_of(code) for code in members}
    return {text: status.name.lower() for text, status in status_by_code.items() if status is not None}
