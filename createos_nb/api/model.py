"""Model: what everything the platform answers has in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel


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
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _in_microseconds(value: object) -> object:
    # Servers written in Go send nanoseconds, which datetime cannot hold.
    if isinstance(value, str) and "." in value:
        whole, _, rest = value.partition(".")
        digits = len(rest) - len(rest.lstrip("0123456789"))
        return f"{whole}.{rest[: min(digits, 6)]}{rest[digits:]}"
    return value


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    BeforeValidator(_in_microseconds),
    AfterValidator(_to_utc),
    PlainSerializer(_iso, when_used="json"),
]
"""An aware UTC datetime, to the microsecond."""


def known(*values: str) -> WithJsonSchema:
    """Say which values of a text are documented; any other is kept, since the platform may add some."""
    return WithJsonSchema({"type": "string", "enum": list(values)})
