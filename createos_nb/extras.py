"""Extras: which optional part of the package brings which library, and what to say when it is missing."""

from __future__ import annotations

from importlib.util import find_spec

from createos_nb.errors import MissingExtra

EXTRAS = {
    "notebook": (
        *("altair", "bleach", "drain3", "IPython", "ipykernel", "ipywidgets", "mistune", "nbclient", "nbconvert"),
        *("nbformat", "numpy", "pandas", "papermill", "pyarrow", "traitlets", "vl_convert"),
    ),
    "local": ("duckdb", "httptools", "psutil", "python_multipart", "starlette", "uvicorn"),
    "archive": ("duckdb", "fsspec", "ibis", "pandas", "pyarrow", "sqlglot"),
    "lab": ("jupyterlab", "voila"),
}
"""Each extra's libraries, by the names they are imported under."""


def require(extra: str, what: str) -> None:
    """See to it that an extra is installed, before any work begins.

    Parameters
    ----------
    extra
        A name in `EXTRAS`.
    what
        What needs it, as a person would call it.

    Raises
    ------
    MissingExtra
        One of its libraries is missing; the message has the line that installs it.
    """
    for library in EXTRAS[extra]:
        if find_spec(library) is None:
            raise _missing(what, library, extra)


def explained(error: ModuleNotFoundError, what: str) -> ImportError:
    """Return the error to raise for an import that failed: with the line that installs the extra, if it is one."""
    library = (error.name or "").partition(".")[0]
    extra = next((extra for extra, libraries in EXTRAS.items() if library in libraries), None)
    return error if extra is None else _missing(what, library, extra)


def _missing(what: str, library: str, extra: str) -> MissingExtra:
    return MissingExtra(
        f"{what} needs {library}, which is not installed. Run: pip install 'createos-nb[{extra}]'", name=library
    )
