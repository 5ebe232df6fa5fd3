"""``metrify bridge mqtt`` as people call it; what it does with a broker is in the integration tests."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.errors import MetrifyError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--feed", "meters_south"], "expects names like"),
        (["--feed", "plain"], "has the format delimited"),
        (["--topic", "meters/{point}/+"], "reads the level obis: name it, such as meters/{obis}"),
        (["--topic", "a/#/b"], "'#' is no level"),
        (["--url", "http://x"], "METRIFY_MQTT_URL: write mqtt://host:1883"),
        (["--max-messages", "30000"], "is never full"),
    ],
)
def test_what_cannot_be_is_one_line(bench, monkeypatch, options, message):
    monkeypatch.setenv("METRIFY_ROOT", str(bench.platform.settings.root))
    monkeypatch.setenv("METRIFY_SHARDS", str(bench.platform.settings.shards))
    monkeypatch.setenv("METRIFY_FEEDS_DIR", str(bench.platform.settings.feeds_dir))
    done = CliRunner().invoke(cli, ["bridge", "mqtt", "--feed", "meters_mqtt", *options])
    assert isinstance(done.exception, MetrifyError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
