"""The command that checks tariffs before an installation uses them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from metrify_assets.cli.main import cli
from metrify_assets.errors import TariffError

FILE = """
assignments: points.csv
tariffs:
  - {name: home, valid_from: 2026-01-01, currency: EUR, components: [{name: e, kind: flat, price: '0.2812'}]}
"""


def test_tariffs_that_are_right_are_listed_with_their_points(tmp_path):
    (tmp_path / "tariffs.yaml").write_text(FILE)
    (tmp_path / "points.csv").write_text(
        "point_id,tariff,valid_from,valid_to\np,home,2026-01-01,\nq,home,2026-02-01,\n"
    )
    shown = CliRunner().invoke(cli, ["tariffs", "check", str(tmp_path / "tariffs.yaml")])
    assert (shown.exit_code, shown.output) == (0, "home  2026-01-01 to -  2 points  e (flat)\n")
    as_json = CliRunner().invoke(cli, ["tariffs", "check", str(tmp_path / "tariffs.yaml"), "--json"])
    assert json.loads(as_json.output)[0]["points"] == 2


def test_a_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "tariffs.yaml").write_text(FILE)
    with pytest.raises(TariffError, match=r"points.csv cannot be read: No such file"):
        CliRunner().invoke(cli, ["tariffs", "check", str(tmp_path / "tariffs.yaml")], catch_exceptions=False)
