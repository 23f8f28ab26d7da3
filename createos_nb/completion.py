"""Completion: what Tab offers of an object is what its ``dir()`` says."""

from __future__ import annotations

import sys
from typing import TypeVar

One = TypeVar("One", bound=type)


def offers_dir(one: One) -> One:
    """Let Tab offer what ``dir()`` of an instance says, also where jedi is off; a class decorator.

    IPython then adds the names of the class, so that what does not apply, or is not meant for people, shows.
    """
    if "IPython" in sys.modules:
        from IPython.utils.generics import complete_object

        complete_object.register(one, lambda held, _offered: list(dir(held)))
    return one
