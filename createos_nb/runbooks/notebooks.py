"""Notebooks: where the ones of this package are, and which parameters they take."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import createos_nb
from createos_nb.errors import RunbookError
from createos_nb.markup import one_line

RUNBOOKS = "runbooks"
"""The folder of the notebooks that `list` lists."""


@dataclass(frozen=True)
class Parameter:
    """A parameter that a notebook declares, as a line of its parameters cell does.

    Attributes
    ----------
    name
        A Python identifier.
    type
        ``"str"``, ``"int"``, ``"float"`` or ``"bool"``.
    default
        Python source of its default.
    help
        One line, with the unit.
    """

    name: str
    type: str
    default: str
    help: str


def directory() -> Path:
    """Return the directory of the notebooks: inside the package when installed, beside it in a checkout."""
    package = Path(createos_nb.__file__).parent
    installed = package / "notebooks"
    return installed if installed.is_dir() else package.parent / "notebooks"


def find(name: str) -> Path:
    """Return the path of a notebook.

    Parameters
    ----------
    name
        A runbook's name such as ``"rollback"``, a notebook's path below `directory` such as
        ``"explore/analytics"``, or the path of a notebook of your own, ending in ``.ipynb``.

    Raises
    ------
    RunbookError
        There is none of that name; the message lists the runbooks.
    """
    if name.endswith(".ipynb") and Path(name).is_file():
        return Path(name)
    known = {path.stem: path for path in _runbooks()}
    known |= {
        path.relative_to(directory()).with_suffix("").as_posix(): path for path in directory().rglob("*.ipynb")
    }
    if name not in known:
        raise RunbookError(
            f"There is no runbook {one_line(name)!r}. There are: {', '.join(path.stem for path in _runbooks())}. "
            "A notebook of your own is given by its path, ending in .ipynb.",
            refused=True,
        )
    return known[name]


def parameters(path: Path) -> dict[str, Parameter]:
    """Return the parameters that a notebook declares in its cell tagged ``parameters``, in their order."""
    from papermill import inspect_notebook

    # papermill takes braces in a path for the names of parameters.
    with _quiet():
        declared: dict[str, dict[str, Any]] = inspect_notebook(str(path).replace("{", "{{").replace("}", "}}"))
    return {
        name: Parameter(name, each["inferred_type_name"], each["default"], each["help"])
        for name, each in declared.items()
    }


def list() -> pd.DataFrame:
    """Return the runbooks.

    Returns
    -------
    DataFrame, one row per runbook
        ``name``        what `run` takes
        ``title``       its heading
        ``parameters``  names, joined by commas
    """
    rows = [(path.stem, _title(path), ", ".join(parameters(path))) for path in _runbooks()]
    return pd.DataFrame(rows, columns=["name", "title", "parameters"], dtype="str")


def describe(name: str) -> pd.DataFrame:
    """Return the parameters of a runbook.

    Returns
    -------
    DataFrame, one row per parameter, in the order in which the notebook declares them
        ``parameter``  its name
        ``type``       str, int, float or bool
        ``default``    as Python source
        ``help``       one line, with the unit

    Raises
    ------
    RunbookError
        There is no such runbook.
    """
    rows = [(each.name, each.type, each.default, each.help) for each in parameters(find(name)).values()]
    return pd.DataFrame(rows, columns=["parameter", "type", "default", "help"], dtype="str")


def _runbooks() -> tuple[Path, ...]:
    return tuple(sorted((directory() / RUNBOOKS).glob("*.ipynb")))


def _title(path: Path) -> str:
    source = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
    # A string, or a list of lines.
    return "".join(source).splitlines()[0].lstrip("# ")


@contextmanager
def _quiet() -> Iterator[None]:
    # papermill tells the log each path it opens, which is news to nobody here.
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
