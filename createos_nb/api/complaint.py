"""Complaint: what is wrong with an argument, in one sentence that names the field, the value and the range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from createos_nb.markup import one_line

if TYPE_CHECKING:
    from createos_nb.api.parameter import Parameter

_CONFIDENTIAL = ("env", "vars", "secret", "key", "content")


_OBJECTS = frozenset(
    {"model_type", "model_attributes_type", "dict_type", "mapping_type", "list_type", "tuple_type", "sequence_str"}
    | {"is_instance_of", "iterable_type"}
)
"""Kinds of errors of what is no object or list, and should be one."""
_OF_SECRETS = frozenset({"no_utf_8", "no_text"})
_PLAIN = {
    **dict.fromkeys(("is_instance_of", "string_type"), "it must be a text"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "it must be an object"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "it must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "it must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "it must be true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "it must be a list"),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "timezone_aware"),
        "it must be a time with its offset, such as 2027-01-31T00:00:00Z",
    ),
}
"""Kinds of errors in words of JSON; pydantic's own are of Python."""


def complaint(
    operation: str, arguments: type[BaseModel], error: ValidationError, wire: Sequence[Parameter] = ()
) -> str:
    """Return one sentence about the first thing that is wrong.

    Parameters
    ----------
    operation
        Whose arguments they are.
    arguments
        The model that refused them.
    error
        What it said.
    wire
        Where each of them travels, for whoever sent them; none for a caller in Python.
    """
    first = error.errors(include_url=False)[0]
    schema = arguments.model_json_schema()
    # A union puts what it tried into the place, a model or a kind of value; a person typed only the fields.
    tried = schema.get("$defs", {})
    place = [str(part) for part in first["loc"] if part not in tried and "[" not in str(part)]
    spelled = {to_camel(item.name): item.wire for item in wire if item.name != "page_size"} | {"pageSize": "limit"}
    named = [spelled.get(to_camel(part), part) if wire else part for part in place[:1]] + place[1:]
    field = ".".join(named) or "arguments"
    if first["type"] == "missing":
        return f"{operation}: {field} is required."
    if first["type"] == "unknown_name":
        said = first["msg"]
        return one_line(said if said.startswith(operation) else f"{operation}: {said}", limit=400)
    # A text in the place of an object may be that object, with the secrets that stand in it.
    hidden = first["type"] in _OBJECTS | _OF_SECRETS or any(word in field.lower() for word in _CONFIDENTIAL)
    shown = "" if hidden else _shown(first.get("input"))
    if first["type"] == "too_long" and isinstance(first.get("input"), Sized):
        shown = f" of {len(first['input'])}"
    allowed = _allowed(schema, place)
    if allowed and (kind := _kind(first)):
        # What is of another kind may well lie within the bounds.
        allowed = f"{kind}, {allowed.removeprefix('it must be ').removeprefix('there must be ')}"
    allowed = allowed or _said(first, plain=bool(wire))
    return one_line(f"{operation}: {field}{shown} is refused: {allowed.rstrip('.')}.", limit=400)


def _kind(error: ErrorDetails) -> str:
    """Return what kind of value there should be, empty when it is of the right one."""
    said = _said(error, plain=True)
    return said if error["type"] in _PLAIN or said.startswith("it must be a ") else ""


def _said(error: ErrorDetails, *, plain: bool) -> str:
    if error["type"] == "is_instance_of" and "Sequence" in error["msg"]:
        return "it must be a list"
    if plain and error["type"] in _PLAIN:
        return _PLAIN[error["type"]]
    return error["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")


def _shown(value: object) -> str:
    if value is None or isinstance(value, date):
        return f"={value}"
    return f"={value!r}" if isinstance(value, str | int | float) and len(str(value)) <= 80 else ""


def _allowed(schema: Mapping[str, Any], place: Sequence[str]) -> str:
    """Return what a field may be, empty when its bounds say nothing."""
    found = [schema]
    for part in place:
        found = [each for one in found for each in _members(one, schema, part)]
    for bounds in (each for one in found for each in _variants(one, schema)):
        if "minimum" in bounds and "maximum" in bounds:
            unit = f", {bounds['description']}" if "description" in bounds else ""
            return f"it must be {bounds['minimum']} to {bounds['maximum']}{unit}"
        if "minItems" in bounds and "maxItems" in bounds:
            return f"there must be {bounds['minItems']} to {bounds['maxItems']} of them"
        if "minLength" in bounds and "maxLength" in bounds:
            length = f"{bounds['minLength']} to {bounds['maxLength']}"
            if "pattern" not in bounds:
                return f"it must have {length} characters"
            return f"it must be {length} characters, {bounds.get('description') or bounds['pattern']}"
    return ""


def _members(schema: Mapping[str, Any], root: Mapping[str, Any], part: str) -> Iterator[Mapping[str, Any]]:
    for variant in _variants(schema, root):
        properties = variant.get("properties", {})
        if found := properties.get(part) or properties.get(to_camel(part)):
            yield found
        elif part.isdecimal() and "items" in variant:
            yield variant["items"]


def _variants(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Return a schema, or what it refers to or chooses among."""
    if "$ref" in schema:
        yield from _variants(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    elif "anyOf" in schema:
        for variant in schema["anyOf"]:
            yield from _variants(variant, root)
    else:
        yield schema
