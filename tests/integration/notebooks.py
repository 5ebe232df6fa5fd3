"""Runs a notebook as a reader does: every cell, in a kernel of its own."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

SECONDS_PER_CELL = 300


def run_notebook(path: Path, folder: Path) -> NotebookNode:
    """Run a notebook in a folder and return it with its outputs; raises what a cell raises."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=SECONDS_PER_CELL, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    return client.execute()


def shown(notebook: NotebookNode) -> list[str]:
    """Return the kinds of everything that the cells show."""
    return [
        kind
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", {})
        if kind in ("image/png", "text/html")
    ]
