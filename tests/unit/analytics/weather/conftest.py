"""What tests of the lake's side share: it takes seconds to write."""

from __future__ import annotations

import pytest

from metrify_assets.platform import Platform
from tests.unit.analytics.weather.lake import write_spring


@pytest.fixture(scope="package")
def platform(tmp_path_factory) -> Platform:
    """Return an installation that no test leaves changed."""
    return write_spring(tmp_path_factory.mktemp("weather"))
