"""Registry tables: the rows of all registry drops that count, one per key and start of validity."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from metrify_assets.digest import EMPTY, digest_of
from metrify_assets.drops.ledger import LedgerView
from metrify_assets.drops.parts import read_part
from metrify_assets.platform import Platform
from metrify_assets.schemas.registries import REGISTRIES
from metrify_assets.storage.lake import Lake, Manifest
from metrify_assets.storage.object_store import ObjectStore


def stale_registries(platform: Platform) -> dict[str, str]:
    """Return the registries that have to be built anew, each with the digest of the drops that it is to be made of.

    One whose manifest is damaged, or of which a file is missing or cut, is among them.

    Costs one look at the ledger, and one at all manifests.
    """
    view = platform.ledger.view()
    wanted = {entity: _drops_digest(view, entity) for entity in REGISTRIES}
    manifests = platform.lake.undated(list(REGISTRIES))
    return {
        entity: digest
        for entity, digest in wanted.items()
        if entity not in manifests or not _is_current(platform.lake, manifests[entity], digest)
    }


def _drops_digest(view: LedgerView, entity: str) -> str:
    shards = view.raw_digests(f"registry_{entity}").get("", {})
    return digest_of(*sorted(shards.items())) if shards else EMPTY


def _is_current(lake: Lake, manifest: Manifest | None, digest: str) -> bool:
    return _built_from(manifest) == digest and (manifest is None or lake.has_files(manifest))


def _built_from(manifest: Manifest | None) -> str:
    return manifest.shards[0].inputs.get("drops", "") if manifest is not None else EMPTY


def build_registry(platform: Platform, entity: str) -> tuple[pa.Table, Manifest]:
    """Rebuild a registry from its drops and publish it.

    For one key (which holds ``valid_from``) the row received last counts; among rows of one file, the last.
    """
    view = platform.ledger.view()
    digest = _drops_digest(view, entity)
    rows = registry_rows(platform.store, view, entity)
    shard = platform.lake.write_shard(entity, None, 0, rows, inputs={"drops": digest})
    return rows, platform.lake.publish(entity, None, {0: shard})


def registry_rows(store: ObjectStore, view: LedgerView, entity: str) -> pa.Table:
    """Return the rows of a registry from the drops that count in a view."""
    table = REGISTRIES[entity]
    pieces = [
        read_part(store, drop, part, table.arrow)
        for drop in view.drops_of(f"registry_{entity}")
        for part in drop.parts[""]
    ]
    rows = pa.concat_tables(pieces).unify_dictionaries() if pieces else table.empty()
    arrival = np.repeat(np.arange(len(pieces)), [piece.num_rows for piece in pieces])
    return _latest(rows, table.key, arrival)


def registered_values(platform: Platform, entity: str, column: str) -> set[str]:
    """Return the values of a registry's column, from the drops that count now."""
    return set(registry_rows(platform.store, platform.ledger.view(), entity)[column].unique().to_pylist())


def _latest(rows: pa.Table, key: tuple[str, ...], arrival: np.ndarray) -> pa.Table:
    """Return of each key the row that came last: ``arrival`` numbers the drops of the rows."""
    plain = {name: _plain(rows[name]) for name in (*key, "row_number")} | {"arrival": pa.array(arrival)}
    order = [(name, "ascending") for name in (*key, "arrival", "row_number")]
    rows = rows.take(pc.sort_indices(pa.table(plain), sort_keys=order))
    keys = list(zip(*(rows[name].to_pylist() for name in key), strict=True))
    last = [position for position, value in enumerate(keys) if position + 1 == len(keys) or keys[position + 1] != value]
    return rows.take(pa.array(last, pa.int64()))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
