"""Fixtures of the tests on S3; a module names them: ``pytest_plugins = ["tests.s3_fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.s3_server import Sender, new_bucket, s3_endpoint

_numbers = count(1)


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The URL of an S3 server."""
    with s3_endpoint() as url:
        yield url


@pytest.fixture
def sender(s3_url: str) -> Sender:
    """A bucket of its own for each test."""
    return new_bucket(s3_url, f"metrify-{next(_numbers)}")
