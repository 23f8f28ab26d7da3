"""The notebook of panels, run as it is shipped."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "panels.ipynb"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def notebook(shop):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source = f'environment = "{shop.project}/production"'
    return notebook


def test_the_notebook_shows_three_panels_and_leaves_records_of_them(notebook, shop, platform, monkeypatch):
    monkeypatch.setenv("CREATEOS_API_URL", platform.api_url)
    monkeypatch.setenv("CREATEOS_API_KEY_FILE", platform.key_file)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = [output.data for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    records = [data["text/html"] for data in outputs if WIDGET_VIEW in data]
    headings = ("Deploy a directory", f"Scale {shop.project}/production", f"Domains of {shop.project}")
    assert len(records) == len(headings)
    for record, heading in zip(records, headings, strict=True):
        assert heading in record
    assert platform.api_key().reveal() not in nbformat.writes(notebook)
