"""`import createos_nb` costs nothing: every name is loaded when it is first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import createos_nb

HEAVY = {
    *("pandas", "numpy", "pyarrow", "altair", "vl_convert", "ipywidgets", "traitlets", "IPython", "papermill"),
    *("nbformat", "nbclient", "nbconvert", "duckdb", "ibis", "mcp", "starlette", "uvicorn", "aiohttp", "httpx"),
    *("pydantic", "psutil", "click"),
}


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after some code."""
    command = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_import_loads_nothing_heavy():
    assert loaded_after("import createos_nb") & HEAVY == set()


def test_looking_at_its_names_loads_nothing_heavy():
    assert (
        loaded_after("import createos_nb as cos; dir(cos); cos.__all__; cos.__version__; repr(cos)") & HEAVY
        == set()
    )


FRAME = (
    "pd.DataFrame({'project': ['shop'], 'environment': ['production'], 'interval_s': [60], 'partial': [False], "
    "'timestamp': pd.to_datetime(['2026-11-01T12:00Z']), 'requests': [2], 'status_5xx': [0]})"
)


@pytest.mark.parametrize(
    "order",
    [
        "createos_nb, pandas as pd",
        "pandas as pd, createos_nb",
        "createos_nb, importlib.util; importlib.util.find_spec('pandas'); import pandas as pd",
    ],
    ids=["we", "pandas", "after a look whether it is there"],
)
def test_frames_have_the_accessor_whichever_is_imported_first(order):
    loaded = loaded_after(f"import {order}; frame = {FRAME}")
    assert loaded & {"altair", "duckdb"} == set()
    told = "'createos' in dir(frame), 'createos' in dir(pd.DataFrame({'a': []}))"
    printed = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"import {order}; frame = {FRAME}; print(len(frame.createos.error_rate()), {told})",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.split() == ["1", "True", "False"]


def test_the_errors_load_nothing_heavy():
    assert loaded_after("from createos_nb import errors, TimeRange") & HEAVY == set()


def test_the_client_loads_neither_frames_nor_notebooks():
    assert loaded_after("from createos_nb import Client, AsyncClient") & HEAVY <= {"httpx", "pydantic", "click"}


def test_the_command_line_answers_without_loading_frames():
    assert loaded_after("import createos_nb.cli") & HEAVY <= {"click"}


@pytest.mark.parametrize("name", createos_nb.__all__)
def test_every_promised_name_is_there_and_stays_the_same(name):
    assert getattr(createos_nb, name) is getattr(createos_nb, name)
    assert name in dir(createos_nb)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        createos_nb.conect  # noqa: B018 - looking is the test
