"""Incidents: take notes, keep evidence, collect the rest, and write the report."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import altair as alt
import nbformat
import pandas as pd

from createos_nb.api.secret import Secret
from createos_nb.errors import InvalidArgument
from createos_nb.reports.collection import Collection
from createos_nb.reports.display import Facts
from createos_nb.reports.evidence import Evidence, Note, Pin
from createos_nb.reports.files import write
from createos_nb.reports.html import to_html
from createos_nb.reports.notebook import to_notebook
from createos_nb.timerange import Moment, TimeRange, utc

if TYPE_CHECKING:
    from createos_nb.selection import Selection


def incident(
    identifier: str,
    selection: Selection,
    *,
    since: str | timedelta | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    title: str | None = None,
) -> Incident:
    """Begin an incident of one environment.

    Parameters
    ----------
    identifier
        Its number, such as ``"INC-42"``.
    selection
        One environment, such as ``ws["shop/production"]``.
    since, start, end
        The window to look at; the last hour when none is given. Without ``end`` it reaches to the moment the
        evidence is collected.
    title
        The incident in one line; made of the identifier and the environment when not given.

    Raises
    ------
    InvalidArgument
        The identifier is empty, the window is malformed, or the selection is not one environment.
    """
    if not identifier.strip():
        raise InvalidArgument("The incident needs an identifier. Pass one such as 'INC-42'.")
    targets = selection.targets()
    if len(targets) != 1:
        raise InvalidArgument(
            f"An incident is about one environment, and {selection!r} is {len(targets)}. Select one, "
            "such as ws['shop/production']."
        )
    window = TimeRange.of(since, start=start, end=end)
    # Without an end the window stays open: what happens until the report is written belongs to it.
    return Incident(
        identifier.strip(), selection, window, title or f"Incident on {targets[0]}", open_ended=end is None
    )


class Incident:
    """An incident of one environment; made by `incident`.

    Attributes
    ----------
    identifier, title
        Its number and its name in one line.
    window
        The time looked at.
    """

    def __init__(
        self, identifier: str, selection: Selection, window: TimeRange, title: str, *, open_ended: bool
    ) -> None:
        self.identifier = identifier
        self.title = title
        self.window = window
        self._open_ended = open_ended
        self._selection = selection
        self._notes: list[Note] = []
        self._pins: list[Pin] = []

    def note(self, text: str, *, at: Moment | None = None) -> None:
        """Add what somebody saw or did to the timeline.

        Parameters
        ----------
        text
            In your words, one or two sentences.
        at
            When it was; now when not given.

        Raises
        ------
        InvalidArgument
            The text is empty, or the time has no time zone.
        """
        if not text.strip():
            raise InvalidArgument("The note is empty. Write what was seen or done.")
        self._notes.append(Note(_now() if at is None else utc(at), text.strip()))

    def pin(self, shown: pd.DataFrame | alt.TopLevelMixin, why: str) -> None:
        """Keep a frame or a chart in the report as it is now.

        Parameters
        ----------
        shown
            A frame, of which the report shows the first 50 rows, or an Altair chart.
        why
            What it shows, in one line; its heading in the report.

        Raises
        ------
        InvalidArgument
            It is neither a frame nor a chart.
        """
        if not isinstance(shown, pd.DataFrame | alt.TopLevelMixin):
            raise InvalidArgument(f"A {type(shown).__name__} cannot be pinned. Pin a DataFrame or an Altair chart.")
        self._pins.append(Pin(_now(), why, copy.deepcopy(shown)))

    def collect(self) -> Evidence:
        """Ask the platform and the journal for everything the report shows.

        What cannot be had becomes a `Gap`, so that a report can be written in the middle of an outage. The
        API key and the values of the environment's variables are masked in what the platform wrote.
        """
        return self._collect()[0]

    def report(self, path: str | os.PathLike[str], *, html: bool = False) -> Report:
        """Collect the evidence and write the report.

        Parameters
        ----------
        path
            The notebook to write, ending in ``.ipynb``; a file that is there is replaced.
        html
            Write the same as one HTML page beside it, which opens without network or kernel.

        Raises
        ------
        InvalidArgument
            The path does not end in ``.ipynb``, the report would hold a secret (from a note, a pin or the
            title), or the page would be larger than 5 MB; nothing is written then.
        CreateOSError
            The files cannot be written.
        """
        notebook_path = Path(path)
        if notebook_path.suffix != ".ipynb":
            raise InvalidArgument(
                f"{notebook_path.name} does not end in .ipynb. Name the report like 'inc-42.ipynb'."
            )
        evidence, secrets = self._collect()
        notebook = to_notebook(evidence)
        texts = {notebook_path: nbformat.writes(notebook)}
        page = notebook_path.with_suffix(".html") if html else None
        if page:
            texts[page] = to_html(notebook, title=f"{self.identifier}: {self.title}", show_code=False)
        write(texts, secrets=secrets)
        return Report(notebook_path, page, evidence)

    def _collect(self) -> tuple[Evidence, dict[str, Secret]]:
        window = TimeRange.of(start=self.window.start, end=_now()) if self._open_ended else self.window
        collection = Collection(self._selection, window)
        return collection.evidence(self.identifier, self.title, self._notes, self._pins), collection.secrets

    def __repr__(self) -> str:
        return f"Incident({self.identifier!r}, {self.title!r}, {self.window!r}, {len(self._notes)} notes)"


@dataclass(frozen=True, repr=False)
class Report:
    """The files that a report was written to.

    Attributes
    ----------
    notebook
        The report as a notebook; its outputs are stored, so that it reads without a kernel.
    html
        The same as one page that opens without network; None when it was not asked for.
    evidence
        What it was made of.
    """

    notebook: Path
    html: Path | None
    evidence: Evidence

    @property
    def files(self) -> list[Path]:
        """The files that were written."""
        return [self.notebook, *([self.html] if self.html else [])]

    def _facts(self) -> Facts:
        sizes = [(path.suffix.lstrip("."), f"{path} ({path.stat().st_size / 1000:,.0f} kB)") for path in self.files]
        return Facts([("report", f"{self.evidence.identifier}: {self.evidence.title}"), *sizes])

    def _repr_html_(self) -> str:
        return self._facts()._repr_html_()

    def __repr__(self) -> str:
        return repr(self._facts())


def _now() -> datetime:
    return datetime.now(UTC)
