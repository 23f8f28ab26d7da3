"""Parameter: where an argument of an operation travels, and how it is spelled there."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictBool
from pydantic.alias_generators import to_camel

from createos_nb.api.listing import MAX_OFFSET
from createos_nb.api.message import Unshown
from createos_nb.api.path import names
from createos_nb.errors import BadRequest

Place = Literal["path", "query", "body", "file", "local"]
"""``"local"`` are the two of paging, which become limits and offsets of several requests."""


@dataclass(frozen=True)
class Query:
    """Mark of an argument that travels in the query.

    Attributes
    ----------
    name
        Where the wire spells it differently.
    or_in_body
        Other clients send it in a JSON body; a platform reads it there when the query has none.
    """

    name: str | None = None
    or_in_body: bool = False


@dataclass(frozen=True)
class Body:
    """Mark of an argument that travels in the body under a name that is not its own in camelCase."""

    name: str


@dataclass(frozen=True)
class Multipart:
    """Mark of the one argument that travels as a multipart form field."""

    name: str


@dataclass(frozen=True)
class Parameter:
    """One parameter of a declaration, with its place on the wire and its name there."""

    name: str
    place: Place
    wire: str
    annotation: Any
    default: Any
    or_in_body: bool = False


class Arguments(BaseModel):
    """What the models of all operations' arguments have in common."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )


class Received(dict[str, Any]):
    """The arguments of a call by name, and which of them were sent as null: to be cleared."""

    def __init__(self, values: Mapping[str, Any], *, sent: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.cleared = frozenset(name for name, value in sent.items() if value is None)


class Misfit(TypeError):
    """Arguments that are not those of an operation: one is missing, misspelt or one too many."""


def fitted(operation: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Unshown:
    """Return arguments by the names of an operation's parameters, defaults included."""
    try:
        found = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise Misfit(f"{operation}: {error}. It takes {', '.join(signature.parameters) or 'nothing'}.") from None
    found.apply_defaults()
    return Unshown(found.arguments)


def placed(parameter: inspect.Parameter, *, method: str, path: str, paged: bool) -> Parameter:
    """Return where a declared parameter travels; see `createos_nb.api.operation` for the rule.

    Parameters
    ----------
    parameter
        The parameter, its annotation evaluated.
    method, path, paged
        Of the operation.
    """
    found = _marks(parameter.annotation)
    query = next((mark for mark in found if isinstance(mark, Query)), None)
    body = next((mark for mark in found if isinstance(mark, Body)), None)
    file = next((mark for mark in found if isinstance(mark, Multipart)), None)
    name = parameter.name
    place: Place
    if name in names(path):
        place, wire = "path", name
    elif paged and name in {"page_size", "max_rows"}:
        place, wire = "local", name
    elif file is not None:
        place, wire = "file", file.name
    elif query is not None or method in {"GET", "DELETE"}:
        place, wire = "query", (query.name if query and query.name else name)
    else:
        place, wire = "body", (body.name if body else to_camel(name))
    annotation = _exact(parameter.annotation) if place == "body" else parameter.annotation
    return Parameter(name, place, wire, annotation, parameter.default, query is not None and query.or_in_body)


def _no_text(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("it must be a whole number, not a text")
    return value


def _exact(annotation: Any) -> Any:
    """Return a type of JSON, where unlike in a query 0 is no truth value, and a text is no number."""
    if annotation is bool:
        return StrictBool
    if annotation is int:
        return Annotated[int, BeforeValidator(_no_text)]
    if get_origin(annotation) is Annotated:
        kind, *marks = get_args(annotation)
        return Annotated[(_exact(kind), *marks)]
    if get_origin(annotation) in {Union, UnionType}:
        return Union[tuple(map(_exact, get_args(annotation)))]  # noqa: UP007 - of as many as there are
    return annotation


def _marks(annotation: Any) -> tuple[Any, ...]:
    """Return an annotation's marks, also where it is one side of ``… | None``."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[1:]
    return tuple(mark for side in get_args(annotation) for mark in _marks(side))


def offset_in(text: str) -> int:
    """Read the offset of a query."""
    if not text.isdecimal() or len(text) > len(str(MAX_OFFSET)):
        raise BadRequest.answer(f"offset must be a whole number, 0 to {MAX_OFFSET}.")
    return int(text)
