"""The notebook runs from its first cell to its last, and says what it shows."""

from __future__ import annotations

import os
from pathlib import Path

import nbclient
import nbformat
import pytest
from support.toys import ROOT

pytestmark = pytest.mark.slow

PATH = ROOT / "docs" / "notebook.ipynb"


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder: it needs no run and no repository."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # beside other tests two threads wait for each other most of the time
    notebook = nbformat.read(PATH, as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells), "stored without outputs"
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data"}, "nothing on stderr"
    texts = [output.data.get("text/plain", "") for output in outputs]
    assert any("of 20 photographs are classified correctly" in text for text in texts)
    assert any("score_min" in text for text in texts)
    assert sum("image/png" in output.data for output in outputs) == 1
