"""OpenAPI: the description of the API that this platform serves, read from the declarations."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from createos_nb.api.operation import Operation
from createos_nb.platform import shapes
from createos_nb.platform.handlers.templates import ROWS_IN

_EXTENDED = {"cronjobs", "project-templates"}
"""What the user documentation does not name."""
_REFS = "#/components/schemas/"
_FAILURES = {
    "400": "An argument is malformed or out of bounds",
    "401": "Not exactly one good key",
    "403": "The key is good, but not for this",
    "404": "No such thing",
    "409": "The name is taken, or the state does not allow it",
    "415": "Another content type than the operation takes",
    "422": "Not possible in the present state",
    "429": "The requests of this minute are used up",
    "500": "The platform failed",
}


def document(operations: list[Operation[..., Any]]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of some operations.

    Parameters
    ----------
    operations
        Those that are served.
    """
    definitions: dict[str, Any] = {}
    described: dict[str, dict[str, Any]] = {}
    for declared in operations:
        described.setdefault(declared.path, {})[declared.method.lower()] = _operation(declared, definitions)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The embedded CreateOS",
            "version": metadata.version("createos-nb"),
            "description": "What this platform serves; it is built from the declarations of createos_nb.",
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}, {"accessToken": []}],
        "paths": described,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "accessToken": {"type": "apiKey", "in": "header", "name": "X-Access-Token"},
            },
            "responses": {
                status: {"description": meaning, "content": {"application/json": {"schema": _failure(status)}}}
                for status, meaning in _FAILURES.items()
            },
            "schemas": dict(sorted(definitions.items())),
        },
    }


def _operation(declared: Operation[..., Any], definitions: dict[str, Any]) -> dict[str, Any]:
    taken, theirs = shapes.arguments(declared, refs=_REFS)
    answered, ours = shapes.answer(declared, refs=_REFS, rows_in=ROWS_IN.get(declared.name, "data"))
    for name, schema in {**theirs, **ours}.items():
        definitions.setdefault(name, schema)
    summary, _, rest = (declared.__doc__ or "").partition("\n\n")
    facts: dict[str, Any] = {
        "operationId": declared.name,
        "tags": [declared.path.split("/")[2]],
        "summary": summary.replace("\n", " "),
        "description": rest.partition("\n\nREST:")[0],
        "x-mcp-tool": declared.tool,
        "x-tier": "extended" if _EXTENDED & {*declared.path.split("/")} else "core",
        "x-safety": declared.safety,
    }
    parameters = [
        {"name": shape.wire, "in": shape.place, "required": shape.required, "schema": shape.schema}
        for shape in taken
        if shape.place in {"path", "query"}
    ]
    if parameters:
        facts["parameters"] = parameters
    if declared.takes is not None:
        facts["requestBody"] = _body(declared, taken)
    facts["responses"] = {
        str(declared.status): {
            "description": "Done",
            "content": {"application/json": {"schema": _success(answered)}},
        },
        **{code: {"$ref": f"#/components/responses/{code}"} for code in _FAILURES},
    }
    return facts


def _body(declared: Operation[..., Any], taken: list[shapes.Shape]) -> dict[str, Any]:
    if declared.takes == "multipart":
        files = [shape.wire for shape in taken if shape.place == "file"]
        form = {
            "type": "object",
            "properties": {wire: {"type": "string", "format": "binary"} for wire in files},
            "required": files,
        }
        return {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return {"required": True, "content": {"application/json": {"schema": shapes.body(taken) or {}}}}


def _success(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["status", "data"],
        "properties": {"status": {"const": "success"}, "data": data},
    }


def _failure(status: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["status", "data"],
        "properties": {
            "status": {"const": "error" if status >= "500" else "fail"},
            "data": {"type": "string", "description": "What happened, in one sentence."},
        },
    }
