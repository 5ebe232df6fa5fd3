"""Registry tables: the rows of all registry drops that count, one per key and start of validity."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.lake import EMPTY, Manifest, digest_of
from metrify_assets.ledger import LedgerView
from metrify_assets.platform import Platform
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.tables.raw import read_part


def wanted_digest(platform: Platform, entity: str) -> str:
    """Return the digest of the drops that a registry is to be made of."""
    shards = platform.ledger.view().raw_digests(f"registry_{entity}").get("", {})
    return digest_of(*sorted(shards.items())) if shards else EMPTY


def is_stale(platform: Platform, entity: str) -> bool:
    """Return whether a registry has to be built anew."""
    manifest = platform.lake.manifest(entity, None)
    if manifest is None:
        return wanted_digest(platform, entity) != EMPTY
    return manifest.shards[0].inputs.get("drops") != wanted_digest(platform, entity)


def build_registry(platform: Platform, entity: str) -> tuple[pa.Table, Manifest]:
    """Rebuild a registry from its drops and publish it.

    For one key (which holds ``valid_from``) the row received last counts; among rows of one file, the last.
    """
    digest = wanted_digest(platform, entity)
    rows = registry_rows(platform, platform.ledger.view(), entity)
    shard = platform.lake.write_shard(entity, None, 0, rows, inputs={"drops": digest})
    return rows, platform.lake.publish(entity, None, {0: shard})


def registry_rows(platform: Platform, view: LedgerView, entity: str) -> pa.Table:
    """Return the rows of a registry from the drops that count in a view."""
    table = REGISTRIES[entity]
    pieces = [
        read_part(platform, drop, part, table.arrow)
        for drop in view.drops_of(f"registry_{entity}")
        for part in drop.parts[""]
    ]
    rows = pa.concat_tables(pieces).unify_dictionaries() if pieces else table.empty()
    return _latest(rows, table.key)


def _latest(rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    order = [(name, "ascending") for name in (*key, "received_at", "drop_id", "row_number")]
    plain = pa.table({name: _plain(rows[name]) for name, _ in order})
    rows = rows.take(pc.sort_indices(plain, sort_keys=order))
    keys = list(zip(*(rows[name].to_pylist() for name in key), strict=True))
    last = [position for position, value in enumerate(keys) if position + 1 == len(keys) or keys[position + 1] != value]
    return rows.take(pa.array(last, pa.int64()))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
