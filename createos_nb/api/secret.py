"""Secret: a text that shows itself only to `reveal()`."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

# Of this process only: a fingerprint lets a person compare two values on screen, and tells a reader of a
# saved notebook nothing, since short values could otherwise be guessed from it.
_SALT = secrets.token_bytes(16)

_SHORTEST_HIDDEN = 4


def _spellings(value: str) -> set[str]:
    found = {value, repr(value)[1:-1], quote(value), quote(value, safe="")}
    for plain in (True, False):
        once = json.dumps(value, ensure_ascii=plain)
        found |= {once[1:-1], json.dumps(once, ensure_ascii=plain)[3:-3]}
    return found | {html.escape(each) for each in found}


class Secret:
    """A text that is masked in every view of it: repr, str, format, pickle, JSON, frames, tracebacks.

    Examples
    --------
    >>> key = Secret("skp_0123456789")
    >>> str(key) == repr(key) == f"{key}"
    True
    >>> str(key).startswith("••••")
    True
    >>> key.reveal()
    'skp_0123456789'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself: the one way out."""
        return self._value

    def hidden_in(self, text: str) -> str:
        """Return a text of somebody else's with the mask in place of this, as JSON, HTML or a URL spells it."""
        # A value of a few letters would be found in words that do not come from it.
        if len(self._value) >= _SHORTEST_HIDDEN:
            for spelling in sorted(_spellings(self._value), key=len, reverse=True):
                text = text.replace(spelling, str(self))
        return text

    @property
    def fingerprint(self) -> str:
        """Four hex digits, equal for equal values within this process and meaningless outside it."""
        return hmac.new(_SALT, self._value.encode(), hashlib.sha256).hexdigest()[:4]

    def __repr__(self) -> str:
        return f"••••{self.fingerprint}"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __len__(self) -> int:
        return len(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> Secret:
        return self

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # A pickle is a file: it gets the mask, as text.
        return (str, (repr(self),))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
            python_schema=core_schema.union_schema(
                [
                    core_schema.is_instance_schema(cls),
                    core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
                ]
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(_serialized, info_arg=True),
        )


def _serialized(secret: Secret, info: SerializationInfo[Any]) -> str:
    return secret.reveal() if info.context and info.context.get("reveal") else repr(secret)


def found(value: object) -> Iterator[Secret]:
    """Return the secrets in arguments: in maps, sequences and models too."""
    if isinstance(value, Secret):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from found(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from found(inner)
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from found(inner)
