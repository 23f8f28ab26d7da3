"""Answer: how what an operation answers is read, as its declared type or as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Annotated, Any, Protocol, get_args, get_origin

from pydantic import AfterValidator, Field, TypeAdapter, ValidationInfo

from createos_nb.api.envelope import MISSING, data_in, data_of, is_json
from createos_nb.api.exchange import parsed
from createos_nb.api.garbage import LARGE_BYTES, held
from createos_nb.api.listing import Listing, Page
from createos_nb.api.message import Request, Response
from createos_nb.api.model import RECEIVED
from createos_nb.api.paging import Found
from createos_nb.api.wire import bare, identity


class Columns(Protocol):
    """The rows of one answer as columns."""

    @property
    def keys(self) -> Sequence[object]:
        """What makes each row the same row, such as its id."""
        ...

    @property
    def total(self) -> int | None:
        """How many rows the platform said there are."""
        ...


class ColumnReader(Protocol):
    """Reads the rows of an answer as columns, without a model of each."""

    def __call__(self, body: bytes, *, paged: bool) -> Columns | None:
        """Return them; None for an answer that is not exactly as usual, so that its models tell what it is."""
        ...


@dataclass(frozen=True)
class Part:
    """Rows of a list that came together.

    Attributes
    ----------
    rows
        All that came: columns, or models where it was not as usual.
    taken
        Which of them belong to the list.
    """

    rows: Columns | Sequence[Any]
    taken: Sequence[int]


@dataclass(frozen=True)
class Parts:
    """A list of rows that may be columns; ``complete`` as of a `Listing`."""

    parts: Sequence[Part]
    complete: bool

    @classmethod
    def of(cls, listing: Listing[tuple[Any, int]]) -> Parts:
        """Put rows together again that came together."""
        runs = (list(run) for _, run in groupby(listing, key=lambda row: id(row[0])))
        return cls([Part(run[0][0], [index for _, index in run]) for run in runs], listing.complete)


class _Read:
    """A value of the declared type, in an envelope where other things stand beside it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, _Read) else value


def _noted(name: str, info: ValidationInfo) -> str:
    assert info.context is not None
    info.context["names"].append(name)
    return name


class Answer:
    """What an operation answers.

    Parameters
    ----------
    annotation
        The declared type.
    """

    def __init__(self, annotation: Any) -> None:
        self._listed = get_origin(annotation) is Listing
        row: Any = get_args(annotation)[0] if self._listed else None
        self._type: Any = tuple[row, ...] if self._listed else annotation
        self._row = row

    def of(self, request: Request, response: Response) -> Any:
        """Read an answer as the declared type."""
        large = self._large(response)
        return parsed(request, self._read, data_of(request, response)) if large is None else large.value

    def _read(self, data: Any) -> Any:
        if self._listed:
            return Listing(self._rows_of(data), of=self._row)
        return self._adapter.validate_python(data, context=RECEIVED)

    def _rows_of(self, data: Any) -> Sequence[Any]:
        rows: tuple[Any, ...] = self._adapter.validate_python(bare(data), context=RECEIVED)
        return rows

    def _large(self, response: Response) -> _Read | None:
        """Read a large answer in one pass, from its bytes to the declared type.

        None for one that is not large, and one that is no plain success: they are read in two steps, which tell
        what it is instead. Of a name that an object below the envelope has twice, the last one counts.
        """
        if len(response) < LARGE_BYTES or not 200 <= response.status < 300 or not is_json(response):
            return None
        names: list[str] = []
        try:
            said = self._enveloped.validate_json(response.body, context={**RECEIVED, "names": names})
        except ValueError:
            return None
        data = said.get("data")
        envelope = {name: _plain(value) for name, value in said.items()} | {"data": None}
        if len(set(names)) < len(names) or not isinstance(data, _Read) or data_in(envelope) is MISSING:
            return None
        return _Read(Listing(data.value, of=self._row)) if self._listed else data

    def page(self, request: Request, response: Response) -> Found[Any]:
        """Read one page of a list, with models as its rows."""
        total, rows = parsed(request, self._page_of, data_of(request, response))
        return Found([identity(row) for row in rows], rows, total, self._row)

    def _page_of(self, data: Any) -> tuple[int | None, Sequence[Any]]:
        # What it holds in clear stands in no frame but those that `parsed` drops.
        body = Page.model_validate(data)
        return body.pagination.total, self._rows_of(body.data)

    def parts(
        self, request: Request, response: Response, columns: ColumnReader, *, paged: bool
    ) -> Found[tuple[Any, int]]:
        """Read one page of a list, or all of it, with columns where that can be."""
        with held(len(response)):
            usual = 200 <= response.status < 300 and is_json(response)
            found = columns(response.body, paged=paged) if usual else None
            if found is not None:
                return Found(found.keys, [(found, index) for index in range(len(found.keys))], found.total)
            if paged:
                models = self.page(request, response)
            else:
                rows = parsed(request, self._rows_of, data_of(request, response))
                models = Found([identity(row) for row in rows], rows, None)
            return Found(models.keys, [(models.rows, index) for index in range(len(models.rows))], models.total)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self._type)

    @cached_property
    def _enveloped(self) -> TypeAdapter[Any]:
        value: Any = Annotated[
            Annotated[self._type, AfterValidator(_Read)] | Any, Field(union_mode="left_to_right")
        ]
        return TypeAdapter(dict[Annotated[str, AfterValidator(_noted)], value])
