"""Runs: starts a runbook in a kernel of its own, and judges how it ended."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from createos_nb import settings
from createos_nb.errors import RunbookError
from createos_nb.markup import one_line
from createos_nb.runbooks.completion import EXECUTION, record_in
from createos_nb.runbooks.notebooks import Parameter, find
from createos_nb.runbooks.notebooks import parameters as declared_parameters

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from createos_nb.workspace import Workspace

REFUSALS = frozenset({"InvalidArgument", "LeaseHeld", "NotFound", "PlanStale", "SettingsError"})
"""Errors in a cell that say that something was refused, and nothing changed."""

_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


@dataclass(frozen=True)
class Run:
    """A runbook that came to its end.

    Attributes
    ----------
    name
        The runbook.
    state
        ``"done"``, ``"undone"``, ``"unclear"`` or ``"dry_run"``.
    output
        The notebook as it ran.
    outcome
        The record that its last cell wrote: state, plan, journal head, figures.
    """

    name: str
    state: str
    output: Path
    outcome: dict[str, Any] = field(repr=False)


def run(
    name: str,
    *,
    ws: Workspace | None = None,
    output: str | PathLike[str] | None = None,
    **parameters: str | float | bool,
) -> Run:
    """Run a runbook in a kernel of its own and say how it ended.

    Parameters
    ----------
    name
        A runbook's name such as ``"rollback"``, or the path of a notebook.
    ws
        The platform to run it on; default the one that the settings name. Its key reaches the kernel in a
        file that only you can read, and never the notebook.
    output
        The notebook to write; default one in the package's home, named for the runbook and the time. It is
        written also when a cell fails, up to that cell.
    **parameters
        Parameters that the notebook declares; `describe` lists them.

    Raises
    ------
    RunbookError
        There is no such runbook, it does not declare a parameter, a value has the wrong type, a cell failed,
        or it did not come to its end. `.notebook_path` is the notebook, once one was written.
    """
    source = find(name)
    _check(name, declared_parameters(source), parameters)
    _refuse_key(parameters, ws)
    target = Path(output) if output is not None else _default_output(source.stem)
    execution = secrets.token_hex(8)
    with _kernel_environment(ws) as environment:
        notebook = _execute(source, target, parameters, {**environment, EXECUTION: execution})
    record = record_in(notebook)
    if record is None or record.get("execution") != execution:
        raise RunbookError(
            f"{name} ran, but did not come to its end: its last cell wrote no record. Look at what is live, and at "
            f"{target}.",
            notebook_path=target,
        )
    return Run(name, str(record["state"]), target, record)


def _check(name: str, declared: Mapping[str, Parameter], given: Mapping[str, object]) -> None:
    for parameter, value in given.items():
        if parameter not in declared:
            raise RunbookError(
                f"The runbook {name} has no parameter {one_line(parameter)!r}. It has: {', '.join(declared)}. "
                "A key is never one: set CREATEOS_API_KEY_FILE, or pass ws=.",
                refused=True,
            )
        wanted = declared[parameter].type
        # bool is an int to Python, and never meant as one.
        fits = isinstance(value, _TYPES.get(wanted, ())) and (wanted == "bool" or not isinstance(value, bool))
        if not fits:
            raise RunbookError(
                f"The parameter {parameter} of {name} is {wanted}, not {type(value).__name__} "
                f"({declared[parameter].help or 'see runbooks.describe'}).",
                refused=True,
            )


def _refuse_key(given: Mapping[str, object], ws: Workspace | None) -> None:
    key = ws.api.settings.credential.reveal() if ws else None
    for parameter, value in given.items():
        if isinstance(value, str) and (value == key or value.startswith("skp_")):
            raise RunbookError(
                f"The parameter {parameter} looks like an API key, and parameters are written into the notebook. "
                "Set CREATEOS_API_KEY_FILE, or pass ws=.",
                refused=True,
            )


def _default_output(stem: str) -> Path:
    return settings.home() / "runs" / f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}.ipynb"


@contextmanager
def _kernel_environment(ws: Workspace | None) -> Iterator[dict[str, str | None]]:
    """Give the variables that lead a kernel to a workspace's platform, the key in a file that is gone after."""
    if ws is None:
        yield {}
        return
    chosen = ws.api.settings
    # None takes away what would win over the workspace's own.
    mine = {"CREATEOS_API_URL": chosen.api_url, "CREATEOS_API_KEY": None, "CREATEOS_API_KEY_FILE": None}
    if chosen.header == "X-Access-Token":
        yield {**mine, "CREATEOS_ACCESS_TOKEN": chosen.credential.reveal()}
        return
    with tempfile.TemporaryDirectory(prefix="createos-nb-") as private:
        key_file = Path(private) / "key"
        key_file.touch(mode=0o600)
        key_file.write_text(chosen.credential.reveal(), encoding="utf-8")
        yield {**mine, "CREATEOS_API_KEY_FILE": str(key_file)}


def _execute(
    source: Path, target: Path, parameters: Mapping[str, object], environment: Mapping[str, str | None]
) -> NotebookNode:
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill import PapermillExecutionError, execute_notebook
    from papermill.engines import papermill_engines

    from createos_nb.runbooks.engine import CreateOSEngine

    papermill_engines.register("createos", CreateOSEngine)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        executed: NotebookNode = execute_notebook(
            _literal(source),
            _literal(target),
            parameters=dict(parameters),
            engine_name="createos",
            kernel_name="python3",
            kernel_env=environment,
            progress_bar=False,
        )
        return executed
    except PapermillExecutionError as error:
        raise RunbookError(
            f"{source.stem} failed: {error.ename}: {one_line(error.evalue, limit=600)} See {target}.",
            notebook_path=target,
            refused=error.ename in REFUSALS,
        ) from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise RunbookError(
            f"{source.stem} was cut off ({type(error).__name__}). Look at what is live, and at {target}.",
            notebook_path=target,
        ) from None
    except OSError as error:
        raise RunbookError(
            f"Cannot write {target}: {error.strerror}. Pass output= with a path you may write to."
        ) from None


def _literal(path: Path) -> str:
    # papermill takes braces in a path for the names of parameters.
    return str(path).replace("{", "{{").replace("}", "}}")
