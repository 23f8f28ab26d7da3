"""Secret: a text that shows itself only to `reveal()`."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from pydantic import GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

# Of this process only: a fingerprint lets a person compare two values on screen, and tells a reader of a
# saved notebook nothing, since short values could otherwise be guessed from it.
_SALT = secrets.token_bytes(16)


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
