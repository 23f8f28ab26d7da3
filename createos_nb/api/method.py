"""Method: how a declaration shows itself on a resource: its name, its signature, its documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def bound(declared: Any, method: Callable[..., Any], resource: object) -> Callable[..., Any]:
    """Dress a method as its declaration, and keep it on the resource.

    With both ``__signature__`` and ``__wrapped__``, Shift-Tab shows the real signature and ``??`` the
    declaration's source; kept in ``__dict__`` it is the same object at every look.
    """
    method.__name__ = declared.attribute
    method.__qualname__ = f"{type(resource).__name__}.{declared.attribute}"
    method.__doc__ = declared.__doc__
    method.__module__ = declared.function.__module__
    method.__wrapped__ = declared.function  # type: ignore[attr-defined] # functions take attributes
    method.__signature__ = readable(declared.signature, declared.function)  # type: ignore[attr-defined]
    vars(resource)[declared.attribute] = method
    return method


def readable(signature: inspect.Signature, function: Callable[..., Any]) -> inspect.Signature:
    """Return a signature whose annotations show types alone, without bounds and marks, as Shift-Tab should."""
    plain = get_type_hints(function)
    return signature.replace(
        parameters=[
            parameter.replace(annotation=plain.get(name, parameter.annotation))
            for name, parameter in signature.parameters.items()
        ]
    )
