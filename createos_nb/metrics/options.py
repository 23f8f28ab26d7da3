"""Options: what a person passes beside a frame, checked before anything is computed."""

from __future__ import annotations

from numbers import Integral, Real

from createos_nb.errors import InvalidArgument


def share(name: str, value: object, example: str) -> float:
    """Return an option that is a share.

    Parameters
    ----------
    name
        The option's name.
    value
        What was passed.
    example
        Ends the message: what to write instead.

    Raises
    ------
    InvalidArgument
        It is not a number above 0 and below 1.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise InvalidArgument(f"{name}={value!r:.80} is not between 0 and 1. {example}")
    return float(value)


def count(name: str, value: object) -> int:
    """Return an option that is a count.

    Parameters
    ----------
    name
        The option's name.
    value
        What was passed.

    Raises
    ------
    InvalidArgument
        It is not a whole number of 1 or more.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise InvalidArgument(f"{name}={value!r:.80} is not a whole number of 1 or more.")
    return int(value)
