"""The published files of a bucket as PyArrow datasets: a query fetches the row groups and columns that it needs.

Belongs here: the file system and the fragments. Does not belong here: queries (``query.py``).

DuckDB itself would read S3 through an extension that it downloads.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from metrify_assets.published.catalog import Published
from metrify_assets.storage.s3 import Bucket

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from pyarrow.fs import S3FileSystem


def file_system(bucket: Bucket) -> S3FileSystem:
    """Return PyArrow's file system for a bucket; credentials come from the usual AWS environment."""
    from pyarrow.fs import S3FileSystem

    scheme, _, address = (bucket.endpoint or "https://").partition("://")
    return S3FileSystem(
        region=bucket.client.meta.region_name, scheme=scheme, endpoint_override=address.rstrip("/") or None
    )


def dataset_of(bucket: Bucket, files: S3FileSystem, published: Published) -> ds.FileSystemDataset:
    """Return the files of a model as a dataset; a filter on its day or month leaves files unopened."""
    import pyarrow.dataset as ds

    format_ = ds.ParquetFileFormat()
    model = published.model

    def fragment(period: str, file: str) -> ds.ParquetFileFragment:
        condition = ds.field(model.period) == pa.scalar(date.fromisoformat(period)) if model.period else None
        path = f"{bucket.name}/{bucket.full(file)}"
        return format_.make_fragment(path, filesystem=files, partition_expression=condition)

    fragments = [fragment(period, part.file) for period, part in sorted(published.parts.items()) if part.file]
    return ds.FileSystemDataset(fragments, schema=model.arrow, format=format_, filesystem=files)
