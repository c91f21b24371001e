"""The notebook of examples/, in a kernel of its own."""

import os
from pathlib import Path

import nbformat
import pytest

import irvis

ROOT = Path(__file__).parents[2]
FRAMES = 2
TOUR = ROOT / "examples" / "tour.ipynb"


def test_no_outputs_are_stored():
    cells = [cell for cell in nbformat.read(TOUR, 4).cells if cell.cell_type == "code"]
    assert len(cells) > 8
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)


@pytest.mark.slow
def test_every_cell_runs_and_shows_what_the_run_has(tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    notebook = nbformat.read(TOUR, 4)
    for cell in notebook.cells:  # fewer frames
        for key in ("frames=", "clip=", 'frames": ', 'clip": '):
            cell.source = cell.source.replace(f"{key}16,", f"{key}{FRAMES},")
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result"}
    assert sum("image/png" in output.data for output in outputs) == 3
    pages = [output.data["text/html"] for output in outputs if "text/html" in output.data]
    assert any(f"{FRAMES} of {FRAMES} pairs" in page for page in pages)  # the progress bar
    run = irvis.open(tmp_path / "runs" / "tour")
    assert run._repr_html_() in pages
    texts = [output.data["text/plain"] for output in outputs if "text/plain" in output.data]
    assert repr(run.compare("unet", "vis")) in texts
    assert repr(run.attribution.loc[("unet", "confidence", "all")]) in texts
