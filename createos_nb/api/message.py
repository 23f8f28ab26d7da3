"""Message: what travels between an exchange, which decides, and a driver, which carries it out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from createos_nb.api.secret import Secret
from createos_nb.errors import CreateOSError

T = TypeVar("T")

Safety = Literal["read", "idempotent", "creates", "destroys"]
"""What repeating an operation would do; retrying is decided by it, never by the HTTP verb."""


class Unshown(dict[str, Any]):
    """A mapping that shows none of its values, since secrets stand among them in clear."""

    def __repr__(self) -> str:
        return "{…}"


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
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    """What in it must not be shown, also not where the platform repeats it in a refusal."""
    costs: bool = False
    """Whether it spends money: then it is never sent twice, whatever happened to the first."""
    tool: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the MCP tool takes: path and query flat in snake_case, the JSON body under ``body``."""

    def __post_init__(self) -> None:
        # What looks into attributes, as vars() and verbose tracebacks do, asks no field whether it may be shown.
        for name in ("query", "body", "arguments"):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                held = {key: Unshown(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}
                object.__setattr__(self, name, Unshown(held))

    def hidden_in(self, text: str) -> str:
        """Return a text of the platform's with masks in place of the secrets that were sent."""
        for secret in self.secrets:
            text = secret.hidden_in(text)
        return text

    def __str__(self) -> str:
        return f"{self.operation} ({self.method} {self.template})"


@dataclass(frozen=True)
class Response:
    """One answer, whatever carried it; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def __len__(self) -> int:
        return len(self.body)

    def __bool__(self) -> bool:
        return True

    def without(self, credential: Secret) -> Response:
        """Return the answer with a mask where it repeats the key, as debugging servers and proxies do."""
        key = credential.reveal()
        if not key or (key.encode() not in self.body and not any(key in value for value in self.headers.values())):
            return self
        headers = {name: credential.hidden_in(value) for name, value in self.headers.items()}
        body = credential.hidden_in(self.body.decode("utf-8", "surrogateescape"))
        return Response(self.status, headers, body.encode("utf-8", "surrogateescape"))


def closed() -> CreateOSError:
    """Return what a client says that was closed."""
    return CreateOSError("The client is closed. Make a new one.")


@dataclass(frozen=True)
class Reserve:
    """Ask for a place in the request budget, before every attempt.

    The driver waits for it and sends back True, or False for a further attempt that the retry budget does not
    allow; it raises `RateLimited` when the wait is longer than its caller would wait.
    """

    request: Request
    attempt: int = 1
    patience_s: float | None = None
    """Seconds that it may wait for, in place of what its caller's other requests would; None for those."""


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
