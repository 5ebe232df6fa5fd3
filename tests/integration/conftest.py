"""Fixtures of the tests with servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.snowflake_server import running_server


@pytest.fixture(scope="session")
def snowflake_port() -> Iterator[int]:
    """Port of a server that speaks Snowflake's protocol; its databases are in memory."""
    with running_server() as port:
        yield port
