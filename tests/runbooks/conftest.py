"""Small notebooks, each for one condition."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

PARAMETERS = """word: str = "a"  # a word
count: int = 1  # how many
share: float = 0.5  # of all, 0 to 1
dry_run: bool = True  # only show it"""

FINISH = """import pandas as pd
from createos_nb import runbooks
runbooks.finish(pd.DataFrame({"row": [1]}))"""


@pytest.fixture
def notebook(tmp_path) -> Callable[..., Path]:
    """Write a notebook with the parameters above and some cells, and return its path."""

    def write(*cells: str, name: str = "small.ipynb") -> Path:
        parameters = v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
        made = v4.new_notebook(cells=[v4.new_markdown_cell("# Small"), parameters, *map(v4.new_code_cell, cells)])
        made.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
        made.metadata["language_info"] = {"name": "python"}
        path = tmp_path / name
        nbformat.write(made, path)
        return path

    return write
