"""Secret: a text that shows itself only to `reveal()`."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    SerializationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from createos_nb.errors import CreateOSError

P = ParamSpec("P")
T = TypeVar("T")

# Of this process only: a fingerprint lets a person compare two values on screen, and tells a reader of a
# saved notebook nothing, since short values could otherwise be guessed from it.
_SALT = secrets.token_bytes(16)

_SHORTEST_HIDDEN = 4
_MASK = re.compile("••••[0-9a-f]{4}")


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
    def is_mask(self) -> bool:
        """Whether it is what a view showed of another secret, as read back from a pickle or from JSON."""
        return _MASK.search(self._value) is not None

    @property
    def fingerprint(self) -> str:
        """Four hex digits, equal for equal values within this process and meaningless outside it."""
        return hmac.new(_SALT, self._value.encode(), hashlib.sha256).hexdigest()[:4]

    def __repr__(self) -> str:
        return self._value if _MASK.fullmatch(self._value) else f"••••{self.fingerprint}"

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

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        # A pickle is a file: it gets the mask.
        return (Secret, (repr(self),))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _validated,
            serialization=core_schema.plain_serializer_function_ser_schema(_serialized, info_arg=True),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string"}


def _validated(value: object, info: core_schema.ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        received = info.context and info.context.get("received")
        if not received and any("\ud800" <= each <= "\udfff" for each in value):
            raise PydanticCustomError("no_utf_8", "it has a character that no UTF-8 can hold")
        return Secret(value)
    if info.context and info.context.get("received") and isinstance(value, int | float | None):
        # A platform that has a number, or nothing, where a text belongs is not to make a whole list unreadable.
        return Secret("" if value is None else str(value))
    raise PydanticCustomError("no_text", "it must be text, in quotes")


def _serialized(secret: Secret, info: SerializationInfo[Any]) -> str:
    return secret.reveal() if info.context and info.context.get("reveal") else repr(secret)


_OF_SECRETS = frozenset({"headers", "runEnvs", "buildVars"})


def _masked(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose shape is not documented, with masks for what is a secret in those that are."""
    return {
        name: {key: Secret(text) if isinstance(text, str) else text for key, text in inner.items()}
        if name in _OF_SECRETS and isinstance(inner, dict)
        else inner
        for name, inner in settings.items()
    }


def _told(settings: dict[str, Any], info: SerializationInfo[Any]) -> dict[str, Any]:
    return {
        name: {key: _serialized(each, info) if isinstance(each, Secret) else each for key, each in inner.items()}
        if isinstance(inner, dict)
        else inner
        for name, inner in settings.items()
    }


Settings = Annotated[dict[str, Any], AfterValidator(_masked), PlainSerializer(_told)]
"""Settings as the platform tells them, whatever is in them; headers and variables are `Secret`."""


def found(value: object, place: str = "") -> Iterator[tuple[str, Secret]]:
    """Return the secrets in arguments, each with its place: in maps, sequences and models too."""
    if isinstance(value, Secret):
        yield place, value
    elif isinstance(value, Mapping | BaseModel):
        for name, inner in value.items() if isinstance(value, Mapping) else value:
            yield from found(inner, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from found(inner, f"{place}.{index}")


def frameless(function: Callable[P, T]) -> Callable[P, T]:
    """Let an error of ours leave a function without its frames, since arguments in clear may stand in them.

    What shows the values of a traceback's frames, as ``%xmode Verbose`` does, asks none whether it may.
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except CreateOSError as error:
            refusal = error.with_traceback(None)
        finally:
            del args, kwargs
        raise refusal

    return called
