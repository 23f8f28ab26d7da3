"""Docstring: what every operation returns and raises, where it follows from its declaration."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from createos_nb.api.operation import Operation

_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)
_FIRST = ("Parameters", "Returns", "Raises")


def documented(function: Callable[..., Any], operation: Operation[..., Any]) -> str:
    """Return an operation's docstring, with the sections that its author left out.

    Parameters
    ----------
    function
        The declared function.
    operation
        What was declared of it.
    """
    head, *found = _SECTION.split(inspect.cleandoc(function.__doc__ or ""))
    sections = {name: text.rstrip() for name, text in zip(found[::2], found[1::2], strict=True)}
    sections.setdefault("Returns", str(function.__annotations__.get("return", "None")))
    own = sections.get("Raises", "")
    raised = [
        f"{name}\n    {reason}" for name, reason in _raised(operation) if not re.search(rf"^{name}\b", own, re.M)
    ]
    sections["Raises"] = "\n".join(filter(None, [own, *raised]))
    names = [*_FIRST, *(name for name in sections if name not in _FIRST)]
    parts = [f"{name}\n{'-' * len(name)}\n{sections[name]}" for name in names if name in sections]
    tool = f"MCP tool: {operation.tool}." if operation.tool else "No MCP tool."
    return "\n\n".join([head.rstrip(), *parts, f"REST: {operation.method} {operation.path}. {tool}"])


def _raised(operation: Operation[..., Any]) -> Iterator[tuple[str, str]]:
    yield "InvalidArgument", "An argument is out of bounds or misspelt; nothing was sent."
    if "{" in operation.path:
        yield "NotFound", "There is nothing of this id, or it is another account's."
    if operation.safety in {"creates", "destroys"}:
        yield "OutcomeUnknown", "It may have happened: its `reconcile()` reads back. It was not sent twice."
    elif operation.safety == "idempotent":
        yield "OutcomeUnknown", "It was sent and got no answer, also when it was sent again."
    else:
        yield "TimedOut", "It got no answer, also when it was sent again."
    yield "RateLimited", "The key's budget has no room in time; ``retry_at`` says when it has."
    yield "Unauthorized", "The key is none, or no longer one."
    yield "ConnectionFailed", "Nothing answers at the API's address; nothing was sent."
    if operation.tool is None:
        yield "NotOverMCP", "The client speaks MCP, which has no tool for it."
