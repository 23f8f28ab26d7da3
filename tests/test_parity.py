"""Every declaration agrees with the OpenAPI file, and is served; what is missing is in one table."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

import createos_nb.api.declarations  # noqa: F401 - of every operation
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.path import names

DOCUMENT = json.loads((Path(__file__).parent / "api" / "createos-openapi.json").read_text())
DOCUMENTED: dict[str, dict[str, Any]] = {
    facts["operationId"]: {"method": method.upper(), "path": path, **facts}
    for path, methods in DOCUMENT["paths"].items()
    for method, facts in methods.items()
}

NARROWER = {
    ("CreateDomain", "name"): {"pattern"},  # a name that no registrar takes is refused before it is sent
    ("GetDeploymentLogs", "since-seconds"): {"minimum"},
    ("GetProjectEnvironmentLogs", "since-seconds"): {"minimum"},
    ("UploadDeploymentFiles", "files"): {"minItems"},  # an upload of nothing is a mistake
    ("UploadDeploymentBase64Files", "files"): {"minItems"},
    # What cannot be an id, or an image, is a mistake; a schedule is read as a whole, not by a pattern.
    ("AssignDeploymentToProjectEnvironment", "deploymentId"): {"minLength", "maxLength", "pattern"},
    ("CreateCronjob", "environmentId"): {"minLength", "maxLength", "pattern"},
    ("CreateDeployment", "image"): {"minLength", "maxLength", "pattern"},
    **{
        (name, end): {"minimum", "maximum"}  # up to the year 9999: milliseconds are a mistake
        for name in DOCUMENTED
        for end in ("start", "end")
        if name.startswith("GetProjectEnvironmentAnalytics")
    },
}
"""Bounds that a declaration adds on purpose."""

BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "pattern", "enum", "minItems", "maxItems")


def declared_schema(name: str) -> dict[str, Any]:
    """JSON schema of a declaration's arguments, references resolved, spelled as on the wire."""
    declared = OPERATIONS[name]
    schema = declared.arguments_model.model_json_schema(by_alias=True)

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                return resolved(schema["$defs"][node["$ref"].rpartition("/")[2]])
            return {key: resolved(value) for key, value in node.items() if key != "$defs"}
        return [resolved(item) for item in node] if isinstance(node, list) else node

    whole = resolved(schema)
    required = whole.get("required", [])
    return {
        item.wire: {
            **whole["properties"][to_camel(item.name)],
            "_place": item.place,
            "_required": to_camel(item.name) in required,
        }
        for item in declared.parameters
    }


def facets(schema: dict[str, Any]) -> dict[str, Any]:
    """The bounds that a schema sets, whichever of its alternatives sets them."""
    found = {bound: schema[bound] for bound in BOUNDS if bound in schema}
    if "const" in schema:
        found["enum"] = [schema["const"]]
    for alternative in schema.get("anyOf", []):
        found |= facets(alternative)
    return found


def assert_same_bounds(name: str, field: str, declared: dict[str, Any], documented: dict[str, Any]) -> None:
    ours, theirs = facets(declared), facets(documented)
    for added in NARROWER.get((name, field), set()):
        assert added in ours, f"{name}.{field} no longer adds {added}"
        ours.pop(added)
    assert ours == theirs, f"{name}.{field}"
    inner, outer = fields_of(declared), fields_of(documented)
    assert set(outer) <= set(inner), f"{name}.{field}"
    for key, schema in outer.items():
        assert_same_bounds(name, f"{field}.{key}", inner[key], schema)
    if "items" in documented:
        assert_same_bounds(name, f"{field}[]", items_of(declared), documented["items"])


def items_of(schema: dict[str, Any]) -> dict[str, Any]:
    found = (alternative["items"] for alternative in [schema, *schema.get("anyOf", [])] if "items" in alternative)
    return next(found)


def body_of(name: str) -> dict[str, Any]:
    content = DOCUMENTED[name].get("requestBody", {}).get("content", {})
    return next((media["schema"] for media in content.values()), {})


def fields_of(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A body's fields; of alternatives all of them, the most permissive first."""
    fields = dict(schema.get("properties", {}))
    for alternative in schema.get("oneOf", []) + schema.get("anyOf", []):
        fields = {**fields_of(alternative), **fields}
    return fields


@pytest.mark.parametrize("name", OPERATIONS)
def test_method_path_and_tool_are_those_of_the_file(name):
    declared, documented = OPERATIONS[name], DOCUMENTED[name]
    assert (declared.method, declared.path) == (documented["method"], documented["path"])
    assert declared.tool == documented["x-mcp-tool"]
    assert set(names(declared.path)) == {p["name"] for p in documented.get("parameters", []) if p["in"] == "path"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_query_is_that_of_the_file(name):
    declared = {wire: schema for wire, schema in declared_schema(name).items() if schema["_place"] == "query"}
    documented = {p["name"]: p for p in DOCUMENTED[name].get("parameters", []) if p["in"] == "query"}
    if OPERATIONS[name].paged:
        limit = documented.pop("limit")["schema"]
        assert documented.pop("offset")
        page_size = declared_schema(name)["page_size"]
        assert (page_size["minimum"], page_size["maximum"]) == (limit["minimum"], limit["maximum"])

    assert set(declared) == set(documented)
    for wire, schema in declared.items():
        assert schema["_required"] == documented[wire]["required"]
        assert_same_bounds(name, wire, schema, documented[wire]["schema"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_body_is_that_of_the_file(name):
    declared = {
        wire: schema for wire, schema in declared_schema(name).items() if schema["_place"] in {"body", "file"}
    }
    body = body_of(name)
    documented = fields_of(body)

    assert set(declared) == set(documented)
    required = set(body.get("required", []))
    for wire, schema in declared.items():
        if required:
            assert schema["_required"] == (wire in required), f"{name}.{wire}"
        assert_same_bounds(name, wire, schema, documented[wire])


def test_an_operation_takes_a_body_exactly_where_the_file_has_one():
    assert {name for name in OPERATIONS if OPERATIONS[name].takes} == {
        name for name in OPERATIONS if "requestBody" in DOCUMENTED[name]
    }


def test_an_operation_is_paged_exactly_where_the_file_has_limit_and_offset():
    assert {name for name, declared in OPERATIONS.items() if declared.paged} == {
        name
        for name in OPERATIONS
        if {"limit", "offset"} <= {parameter["name"] for parameter in DOCUMENTED[name].get("parameters", [])}
    }


def test_every_documented_operation_is_declared_and_no_other():
    assert len(DOCUMENTED) == 97
    assert set(OPERATIONS) == set(DOCUMENTED)


def test_every_declared_operation_has_one_handler():
    from createos_nb.platform.handlers import HANDLERS

    assert set(HANDLERS) == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_handler_takes_what_the_declaration_gives_it(name):
    from createos_nb.platform.handlers import HANDLERS

    declared = OPERATIONS[name]
    given = {item.name for item in declared.parameters} - {"page_size", "max_rows"}
    given |= {"limit", "offset"} if declared.paged else set()
    context, *taken = inspect.signature(HANDLERS[name]).parameters.values()
    assert context.kind is context.POSITIONAL_OR_KEYWORD
    assert {parameter.name for parameter in taken} == given
    assert inspect.iscoroutinefunction(HANDLERS[name])
