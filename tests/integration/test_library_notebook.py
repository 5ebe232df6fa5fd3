"""The notebook of the library runs as a reader runs it, with nothing but itself."""

from __future__ import annotations

import nbformat
import pytest

from metrify_assets.settings import REPOSITORY_DIR
from tests.integration.notebooks import run_notebook, shown

pytestmark = pytest.mark.slow

PATH = REPOSITORY_DIR / "docs" / "notebooks" / "library.ipynb"


def test_a_csv_is_validated_estimated_and_explained_in_ten_lines(tmp_path):
    stored = nbformat.read(PATH, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in stored.cells)
    [ten_lines] = [cell.source for cell in stored.cells if "vee.estimate" in cell.source]
    assert len([line for line in ten_lines.splitlines() if line]) <= 10
    notebook = run_notebook(PATH, tmp_path)
    assert shown(notebook).count("image/png") == 1
    texts = [
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    ]
    summary, why, *_, errors = texts
    assert "gap" in summary
    assert "spike robust_outlier" in summary
    assert "similar days: weighted mean of 10 days" in why
    assert "spike (block): max 4.2 kWh" in why
    # What the last cell says: less than half the error of a straight line.
    rows = {line.rsplit(None, 2)[0].strip(): float(line.split()[-1]) for line in errors.splitlines()[1:]}
    assert rows["estimated"] < 0.5 * rows["a straight line"]
    assert [path.name for path in tmp_path.iterdir()] == ["household.csv"]
