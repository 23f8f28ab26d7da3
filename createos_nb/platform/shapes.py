"""Shapes: what an operation takes and answers, as JSON schemas read from its declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.errors import PydanticInvalidForJsonSchema

from createos_nb.api.listing import MAX_OFFSET, Listing, Page
from createos_nb.api.operation import Operation
from createos_nb.api.parameter import Place

WINDOW = {
    "limit": {"type": "integer", "minimum": 1, "default": 10},
    "offset": {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
}
"""The two that a paged operation takes on the wire; the declaration adds the upper bound."""


@dataclass(frozen=True)
class Shape:
    """One argument on the wire.

    Attributes
    ----------
    name
        Its name in Python, which is its name among the arguments of a tool.
    wire
        Its name in the query or the body.
    place
        Where it travels.
    schema
        What it may be.
    required
        Whether it must be sent.
    or_in_body
        Whether it may be a member of the body instead.
    """

    name: str
    wire: str
    place: Place
    schema: dict[str, Any]
    required: bool = False
    or_in_body: bool = False


def arguments(operation: Operation[..., Any], *, refs: str = "#/$defs/") -> tuple[list[Shape], dict[str, Any]]:
    """Return an operation's arguments, and the definitions that their schemas refer to.

    Parameters
    ----------
    operation
        Whose.
    refs
        Where the definitions will stand.
    """
    whole = operation.arguments_model.model_json_schema(by_alias=True, ref_template=refs + "{model}")
    required = set(whole.get("required", ()))
    shapes = []
    for item in operation.parameters:
        schema = {key: value for key, value in whole["properties"][to_camel(item.name)].items() if key != "title"}
        if item.place != "local":
            must = to_camel(item.name) in required
            shapes.append(Shape(item.name, item.wire, item.place, schema, must, item.or_in_body))
        elif item.name == "page_size":
            limit = {**WINDOW["limit"], "maximum": _bounded(schema)["maximum"]}
            shapes.append(Shape("limit", "limit", "query", limit))
            shapes.append(Shape("offset", "offset", "query", dict(WINDOW["offset"])))
    return shapes, whole.get("$defs", {})


def body(shapes: list[Shape]) -> dict[str, Any] | None:
    """Return the schema of the JSON body, None when there is none."""
    members = [shape for shape in shapes if shape.place == "body" or shape.or_in_body]
    if not members:
        return None
    required = [shape.wire for shape in members if shape.required]
    return {
        "type": "object",
        "properties": {shape.wire: shape.schema for shape in members},
        **({"required": required} if required else {}),
    }


def answer(
    operation: Operation[..., Any], *, refs: str, rows_in: str = "data"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of what an operation answers, and the definitions that it refers to.

    Parameters
    ----------
    operation
        Whose.
    refs
        Where the definitions will stand.
    rows_in
        Where a list has its rows, when it is more than the rows themselves.
    """
    kind = operation.signature.return_annotation
    if get_origin(kind) is Listing:
        rows, definitions = _schema(list[get_args(kind)[0]], refs)  # type: ignore[misc] # known only when it runs
        if not operation.paged and rows_in == "data":
            return rows, definitions
        page, more = _schema(Page, refs)
        kept = {"pagination": page["properties"]["pagination"]} if operation.paged else {}
        page |= {"properties": {rows_in: rows, **kept}, "required": [rows_in]}
        return page, {**definitions, **(more if operation.paged else {})}
    return _schema(kind, refs)


def _schema(kind: Any, refs: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        schema = TypeAdapter(kind).json_schema(by_alias=True, mode="serialization", ref_template=refs + "{model}")
    except PydanticInvalidForJsonSchema:
        return {}, {}  # such as bytes of a download: anything at all
    return schema, schema.pop("$defs", {})


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the one of a schema's alternatives that has an upper bound."""
    return next(each for each in (schema, *schema.get("anyOf", ())) if "maximum" in each)
