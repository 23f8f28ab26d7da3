"""Message: what travels between an exchange, which decides, and a driver, which carries it out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

T = TypeVar("T")

Safety = Literal["read", "idempotent", "creates", "destroys"]
"""What repeating an operation would do; retrying is decided by it, never by the HTTP verb."""


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent; its text form names the operation and shows no value."""

    operation: str
    method: str
    template: str
    path: str
    safety: Safety
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Any = field(default=None, repr=False)
    file: bytes | None = field(default=None, repr=False)
    sent: Callable[[int], object] | None = field(default=None, repr=False)
    """Called with the bytes of the file that went out since the last time."""
    costs: bool = False
    """Whether it spends money: then it is never sent twice, whatever happened to the first."""
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the MCP tool takes: path and query flat in snake_case, the JSON body under ``body``."""

    def __str__(self) -> str:
        return f"{self.operation} ({self.method} {self.template})"


@dataclass(frozen=True)
class Response:
    """One answer, whatever carried it; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Reserve:
    """Ask for a place in the request budget, before every attempt.

    The driver waits for it and sends back True, or False for a further attempt that the retry budget does not
    allow; it raises `RateLimited` when the wait is longer than its caller would wait.
    """

    request: Request
    attempt: int = 1


@dataclass(frozen=True)
class Sleep:
    """Let time pass; the driver sends back its monotonic clock in seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do something slow on this machine; the driver sends back its value, the awaiting one from a thread."""

    call: Callable[[], Any]


class Unanswered(Exception):
    """A driver throws this into an exchange: the request was sent and no answer came back."""


Step: TypeAlias = Request | Reserve | Sleep | Work

Exchange: TypeAlias = Generator[Step, Any, T]
"""Yields steps, is sent responses, waits and clock readings, returns a value or raises."""
