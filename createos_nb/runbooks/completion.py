"""Completion: the record that a runbook came to its end, which its driver looks for.

A notebook that ran is no proof: ``sys.exit(0)`` in the middle, or a dead kernel, leaves one whose cells all
say ``completed`` (SAFETY.md, findings 4 and 5). Only the last cell writes this record.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pandas as pd

from createos_nb.plans import Result

if TYPE_CHECKING:
    # Loading these takes a second, which a kernel that only looks or rolls back need not spend.
    from nbformat import NotebookNode

    from createos_nb.reports import Report

MEDIA_TYPE = "application/vnd.createos.runbook+json"
EXECUTION = "CREATEOS_NB_EXECUTION"
"""The variable by which a driver tells the kernel which execution this is."""


class Completion:
    """How a runbook ended; displaying it writes the record into the notebook."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record

    def _repr_mimebundle_(self, **_options: object) -> dict[str, Any]:
        return {MEDIA_TYPE: self.record, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{self.record['state']}: {self.record['detail']}"


def finish(outcome: Result | Report | pd.DataFrame) -> Completion:
    """End a runbook: the last expression of its last cell.

    Parameters
    ----------
    outcome
        What it came to: the result of its plan, the report it wrote, or the frame it ends with.
    """
    return Completion({"execution": os.environ.get(EXECUTION, ""), **_told(outcome)})


def _told(outcome: Result | Report | pd.DataFrame) -> dict[str, Any]:
    if isinstance(outcome, Result):
        return outcome.to_json()
    # Nothing was changed, so there is no plan and nothing in the journal.
    unchanged = {"state": "done", "run": "", "plan": "", "journal_head": ""}
    if isinstance(outcome, pd.DataFrame):
        return {**unchanged, "detail": f"{len(outcome)} {'row' if len(outcome) == 1 else 'rows'}."}
    files = [str(path) for path in outcome.files]
    return {**unchanged, "files": files, "detail": f"Wrote {', '.join(files)}."}


def record_in(notebook: NotebookNode) -> dict[str, Any] | None:
    """Return the record in the last code cell of a notebook; None when it did not come to its end."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for output in cells[-1].outputs if cells else ():
        if MEDIA_TYPE in output.get("data", {}):
            return dict(output.data[MEDIA_TYPE])
    return None
