"""A feed as one file has it: optional columns that the file lacks, and which of the declared intervals it holds.

Belongs here: narrowing a declaration to a file that it allows for. Does not belong here: accepting what is not
declared; such a file is left to the source, which refuses it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metrify_assets.feeds.codes import RejectReason
from metrify_assets.feeds.formats.chunk import Source, UnreadableFile
from metrify_assets.feeds.formats.files import beginning
from metrify_assets.feeds.formats.text_source import header_of
from metrify_assets.feeds.model import DelimitedValues, Feed, ObservedFeed
from metrify_assets.feeds.values.stamps import OK, StampReader
from metrify_assets.vee.delivery_day import MICROSECONDS_PER_MINUTE


def with_columns_of(feed: Feed, path: Path) -> Feed:
    """Return the feed without the optional columns that a file lacks, in the order of the file."""
    if not isinstance(feed, DelimitedValues) or not feed.optional:
        return feed
    header = header_of(feed, path)
    needed = set(feed.column_names) - set(feed.optional)
    values = tuple(value for value in feed.values if value.column in header)
    if not needed <= set(header) <= set(feed.column_names) or len(set(header)) != len(header) or not values:
        return feed
    return feed.model_copy(update={"header": header, "values": values, "optional": ()})


def with_interval_of(feed: ObservedFeed, source: Source, path: Path, stamps: StampReader) -> ObservedFeed:
    """Return the feed with the interval that most neighbouring stamps of a file's beginning are apart.

    Raises
    ------
    UnreadableFile
        If that is none of the declared intervals.
    """
    read = stamps.read(next(source.chunks()))
    readable = read.start[0, (read.state[0] == OK) & ~read.repeated]
    steps, counts = np.unique(np.diff(np.unique(readable)), return_counts=True)
    if not steps.size:
        return feed
    minutes = int(steps[np.argmax(counts)]) // MICROSECONDS_PER_MINUTE
    declared = (feed.interval_minutes, *feed.also_intervals)
    if minutes not in declared:
        expected = " or ".join(str(length) for length in declared)
        raise UnreadableFile(
            RejectReason.WRONG_INTERVAL,
            f"expected a value every {expected} minutes, found one every {minutes}",
            beginning(path, feed.plain_encoding),
            sum(part.delivered_rows for part in source.chunks()),
        )
    return feed.model_copy(update={"interval_minutes": minutes, "also_intervals": ()})
