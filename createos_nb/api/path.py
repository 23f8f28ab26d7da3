"""Path: the one place where ids become part of an address."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote

from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line

_NAME = re.compile(r"\{(\w+)\}")


def fill(template: str, values: Mapping[str, object]) -> str:
    """Return the path with every ``{name}`` replaced by its value as exactly one segment.

    HTTP clients normalise dot segments even when they are quoted, so that deleting the deployment ``".."``
    would delete its project; such values are refused here, before anything is sent, as is what no id holds: a
    slash, a backslash, a percent sign.

    Raises
    ------
    InvalidArgument
        A value is not text, is empty or blank, is ``.`` or ``..``, or has a control character or
        one of those.

    Examples
    --------
    >>> fill("/v1/projects/{project_id}", {"project_id": "a?b"})
    '/v1/projects/a%3Fb'
    """
    return _NAME.sub(lambda match: _segment(match.group(1), values[match.group(1)]), template)


def names(template: str) -> tuple[str, ...]:
    """Return the names in a path template, in order."""
    return tuple(_NAME.findall(template))


def _segment(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} must be text, not {type(value).__name__}. Pass the id as the API lists it.")
    if (
        value in {"", ".", ".."}
        or not value.strip()
        or any(unicodedata.category(each) in {"Cc", "Zl", "Zp"} or each in "/\\%" for each in value)
    ):
        shown = "" if "skp_" in value.lower() else f"={one_line(value)!r}"  # a key in the wrong place
        raise InvalidArgument(f"{name}{shown} is not an id. Pass the id as the API lists it.")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidArgument(f"{name} has a character that no address can hold. Pass the id as listed.") from None
