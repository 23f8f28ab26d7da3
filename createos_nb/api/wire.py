"""Wire: how values are spelled in a query and in JSON, and how rows are told apart."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter

from createos_nb.api.listing import Page
from createos_nb.api.secret import Secret

_anything: TypeAdapter[Any] = TypeAdapter(Any)


def identity(row: BaseModel) -> object:
    """Return what makes a row the same row: its id, or all of it where it has none."""
    return getattr(row, "id", None) or row.model_dump_json()


def bare(data: Any) -> Any:
    """Return a list that comes whole, also where it is wrapped as a page would be."""
    return Page.model_validate(data).data if isinstance(data, dict) else data


def query_text(value: Any) -> str:
    """Return a value as it stands in a query."""
    if isinstance(value, Secret):
        return value.reveal()
    return str(value).lower() if isinstance(value, bool) else str(value)


def wire(value: Any, *, leave_out_none: bool = False) -> Any:
    """Return a value as JSON has it: models in camelCase, secrets in clear."""
    return _anything.dump_python(
        value,
        mode="json",
        by_alias=True,
        exclude_none=leave_out_none,
        context={"reveal": True},
        fallback=Secret.reveal,  # of a map of variables, whose values are in no model
    )
