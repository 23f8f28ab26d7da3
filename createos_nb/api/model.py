"""Model: what everything the platform answers has in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema


class Model(BaseModel):
    """Something the platform answers: snake_case here, camelCase on the wire, unknown fields kept."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True, hide_input_in_errors=True
    )

    def wire(self) -> dict[str, Any]:
        """Return it as it travels: camelCase, secrets in clear. Never show or store the result."""
        return self.model_dump(mode="json", by_alias=True, context={"reveal": True})


def _to_utc(moment: datetime) -> datetime:
    # The platform's times all are UTC; one that lost its offset on the way is read as such.
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it lies before the year 1 or after the year 9999") from None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    AfterValidator(_to_utc),
    PlainSerializer(_iso, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""An aware UTC datetime; what a server says beyond the microsecond is cut off."""


RECEIVED = {"received": True}
"""Validation context of what the platform answers: its numbers and texts are what they are, see `Bounds`."""


@dataclass(frozen=True)
class Bounds:
    """What a number or a text may be when it is sent; what is received may be anything.

    A platform that changes its bounds, or that holds something from before they were set, must not make a
    whole list unreadable.
    """

    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_after_validator_function(self._within, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        facets = {"minimum": self.minimum, "maximum": self.maximum, "maxLength": self.max_length}
        return {**handler(schema), **{name: value for name, value in facets.items() if value is not None}}

    def _within(self, value: Any, info: ValidationInfo) -> Any:
        if not (info.context and info.context.get("received")):
            if self.max_length is not None and len(value) > self.max_length:
                raise ValueError(f"it must have at most {self.max_length} characters")
            if (self.minimum is not None and value < self.minimum) or (
                self.maximum is not None and value > self.maximum
            ):
                raise ValueError(f"it must be {self.minimum} to {self.maximum}")
        return value


def known(*values: str) -> WithJsonSchema:
    """Say which values of a text are documented; any other is kept, since the platform may add some."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


class _NeverNull:
    """Takes null out of what is said of an answer's member."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        said = handler(schema)
        if handler.mode == "serialization" and "anyOf" in said:
            (said,) = (each for each in said["anyOf"] if each != {"type": "null"})
        return said


def _is_none(value: object) -> bool:
    return value is None


T = TypeVar("T")
Omissible = Annotated[T | None, Field(exclude_if=_is_none), _NeverNull()]
"""A member of an answer that is left out when it has no value: the platform's documents do not let it be null."""
