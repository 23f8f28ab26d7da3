"""Displayables: what the sections of a report return; each reads well as HTML and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from createos_nb import markup


@dataclass(frozen=True, repr=False)
class Table:
    """Rows under headings, with a line below them when something needs saying."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str | None = None

    def _repr_html_(self) -> str:
        return markup.table(self.columns, self.rows, note=self.note)

    def __repr__(self) -> str:
        lines = [self.columns, *self.rows]
        cells = [[markup.one_line(value, limit=100) for value in line] for line in lines]
        widths = [max(len(row[index]) for row in cells) for index in range(len(self.columns))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        return "\n".join([*text, *([markup.visible(self.note)] if self.note else [])])


@dataclass(frozen=True, repr=False)
class Facts:
    """Names and values, one a line."""

    values: Sequence[tuple[str, str]]

    def _repr_html_(self) -> str:
        row = Markup('<tr><th style="text-align:left">{}</th><td style="text-align:left">{}</td></tr>')
        rows = (row.format(markup.escape(name), markup.escape(value)) for name, value in self.values)
        return str(Markup('<table class="facts">{}</table>').format(Markup("\n").join(rows)))

    def __repr__(self) -> str:
        width = max(len(name) for name, _value in self.values)
        return "\n".join(f"{name.ljust(width)}  {markup.one_line(value)}" for name, value in self.values)


@dataclass(frozen=True, repr=False)
class Figures:
    """A few large figures side by side, each with what it counts."""

    values: Sequence[tuple[str, str]]

    def _repr_html_(self) -> str:
        cell = Markup('<td style="text-align:left"><strong>{}</strong><br>{}</td>')
        cells = (cell.format(markup.escape(figure), markup.escape(what)) for figure, what in self.values)
        return str(Markup('<table class="figures"><tr>{}</tr></table>').format(Markup("").join(cells)))

    def __repr__(self) -> str:
        return "\n".join(f"{figure:>12}  {what}" for figure, what in self.values)


@dataclass(frozen=True, repr=False)
class Excerpt:
    """Lines of a log, as they were, control characters spelled out."""

    text: str

    def _repr_html_(self) -> str:
        return str(Markup("<pre>{}</pre>").format(markup.escape(self.text)))

    def __repr__(self) -> str:
        return markup.visible(self.text)
