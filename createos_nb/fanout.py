"""Fan-out: one question to many targets, side by side, with what failed kept beside what answered."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pandas as pd

from createos_nb import schema
from createos_nb.errors import CreateOSError, PartialAnswer, PartialWarning

One = TypeVar("One")
Answer = TypeVar("Answer")

WIDTH = 16
"""Targets asked at once; the blocking client is at its best between 1 and 32 wide."""

Names = tuple[str, str | None]
"""Project and environment, by their unique names."""


def gather(targets: Sequence[One], ask: Callable[[One], Answer]) -> list[Answer]:
    """Ask every target, side by side, and return the answers in order; the first error is raised."""
    if len(targets) < 2:
        return [ask(target) for target in targets]
    with ThreadPoolExecutor(min(WIDTH, len(targets)), thread_name_prefix="createos-nb") as pool:
        return list(pool.map(ask, targets))


class Failures:
    """The targets that failed in the last call."""

    def __init__(self) -> None:
        self._rows: list[schema.Row] = []

    def frame(self) -> pd.DataFrame:
        """Return them (`schema.ERRORS`)."""
        return schema.ERRORS.frame(self._rows)

    def collect(
        self,
        kind: schema.Kind,
        operation: str,
        targets: Sequence[One],
        names: Callable[[One], Names],
        rows: Callable[[One], Sequence[schema.Row] | pd.DataFrame],
        *,
        strict: bool = False,
        complete: bool = True,
    ) -> pd.DataFrame:
        """Ask every target for its rows, and return them all as one frame.

        Parameters
        ----------
        kind
            The kind of the frame.
        operation
            What is asked, for the table of errors.
        targets
            Whom to ask.
        names
            A target's project and environment.
        rows
            Asks one target; returns its rows, or its frame when it is made already.
        strict
            Raise when some failed.
        complete
            False when the targets themselves are not all that there are.

        Raises
        ------
        PartialAnswer
            Some failed and ``strict`` was asked for.
        CreateOSError
            All of them failed: the error of the first.
        """
        answers = gather(targets, lambda one: _tried(rows, one))
        failed = [
            (one, answer) for one, answer in zip(targets, answers, strict=True) if isinstance(answer, Exception)
        ]
        self._rows = [
            {"project": project, "environment": environment, "operation": operation, "error": str(error)}
            for (project, environment), error in ((names(one), error) for one, error in failed)
        ]
        if failed and len(failed) == len(targets):
            raise failed[0][1]
        whole = complete and not failed
        frame = kind.concat(
            _framed(kind, answer, whole=whole) for answer in answers if not isinstance(answer, Exception)
        )
        if failed:
            message = f"{len(failed)} of {len(targets)} targets failed: {failed[0][1]} See ws.errors()."
            if strict:
                raise PartialAnswer(message, frame=frame, errors=self.frame())
            warnings.warn(PartialWarning(message, self.frame()), stacklevel=4)
        return frame


def _tried(
    rows: Callable[[One], Sequence[schema.Row] | pd.DataFrame], one: One
) -> Sequence[schema.Row] | pd.DataFrame | CreateOSError:
    try:
        return rows(one)
    except CreateOSError as error:
        return error


def _framed(kind: schema.Kind, answer: Sequence[schema.Row] | pd.DataFrame, *, whole: bool) -> pd.DataFrame:
    frame = answer if isinstance(answer, pd.DataFrame) else kind.frame(answer)
    return frame if whole else frame.assign(complete=False)
