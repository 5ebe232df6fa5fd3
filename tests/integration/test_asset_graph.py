"""The asset graph is the one that was reviewed last."""

from pathlib import Path

from tests.golden.graph import RECORDED, describe


def test_the_asset_graph_is_as_recorded(tmp_path: Path):
    assert describe(tmp_path) == RECORDED.read_text(encoding="utf-8"), (
        "if it is meant to change, record it: python -m tests.golden"
    )
