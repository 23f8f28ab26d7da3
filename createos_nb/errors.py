"""Everything createos_nb raises on purpose, one short tree.

::

    CreateOSError
      SettingsError (ValueError)       no API key, a bad URL: says which setting and where it was looked for
      MissingExtra (ImportError)       a library of an optional part is not installed: has the line to install it
      InvalidArgument (ValueError)     refused before anything was sent: names the field, the value, the range
        NotOverMCP                     the operation has no MCP tool: use REST for it
      ConnectionFailed                 no answer; of this class itself, nothing was sent
        TimedOut (TimeoutError)        a read was sent without an answer, or a wait ran out of time
      OperationFailed                  the platform answered no: .operation .status .detail .request_id
        BadRequest  Unauthorized  Forbidden  NotFound (LookupError)  Conflict  Unprocessable
        RateLimited (.retry_at)  ServerError
        Rejected                       HTTP 200 with {"status": "fail"}
      GivenUp                          part of a call that was interrupted; nothing more was sent
      WaitFailed                       what was waited for ended otherwise: .outcome .last
      UnexpectedResponse               an answer that does not fit the model; .body holds its beginning
      OutcomeUnknown                   sent, but unanswered: it may or may not have happened
      FrameError (ValueError)          a frame lacks a column, or has one of the wrong kind
      PlanStale                        the world moved between plan and apply: .before .now
      LeaseHeld                        somebody else is changing this environment
      PartialAnswer                    strict=True and some targets failed: .frame .errors
      RunbookError                     a bad parameter or a failed cell: .notebook_path
      PlatformError                    the embedded platform: a port is taken, a child died

    PartialWarning (UserWarning)       some targets failed: .errors

Every message says what happened and what to do next. None of them ever holds an API key.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import pandas as pd


class CreateOSError(Exception):
    """Anything that createos_nb raises on purpose; it survives the way to another process."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_made_again, (type(self), self.args), vars(self))


def _made_again(kind: type[Exception], args: tuple[Any, ...]) -> Exception:
    error = kind.__new__(kind, *args)
    Exception.__init__(error, *args)
    return error


class SettingsError(CreateOSError, ValueError):
    """A setting is missing or malformed; the message names it and where it was looked for."""


class MissingExtra(CreateOSError, ModuleNotFoundError):
    """A library of an optional part of the package is not installed; the message has the line to install it."""


class InvalidArgument(CreateOSError, ValueError):
    """An argument was refused before anything was sent."""


class NotOverMCP(InvalidArgument):
    """An operation cannot be called over MCP, and nothing was sent; over REST it can.

    Attributes
    ----------
    operation
        The operation's name, such as ``"SuspendProject"``.
    """

    def __init__(self, message: str, *, operation: str = "") -> None:
        super().__init__(message)
        self.operation = operation


class ConnectionFailed(CreateOSError):
    """No answer; of this class itself, the platform was not reached, so nothing has happened there."""


class TimedOut(ConnectionFailed, TimeoutError):
    """A read was sent and got no answer, or a wait had no end, within the time that was allowed."""


class GivenUp(CreateOSError):
    """The call that a request belonged to was interrupted, so the request was not sent."""


class OutcomeUnknown(CreateOSError):
    """A change was sent and no answer came back that tells: read the state before trying again.

    Attributes
    ----------
    operation
        The operation's name, such as ``"UploadDeploymentFiles"``.
    request
        What was sent; its text form shows no value.
    status
        HTTP status of what came back, 0 when nothing did.
    request_id
        The platform's id of the request, when it sent one.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        request: Any = None,
        status: int = 0,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.request = request
        self.status = status
        self.request_id = request_id
        self._reconcile: Callable[[], Any] | None = None

    def reconcile(self) -> Any:
        """Read back whether it happened; nothing is changed. In the awaiting colour, await the result.

        Returns
        -------
        createos_nb.api.reconciliation.Verdict
            Its ``outcome`` is ``"applied"``, ``"not applied"`` or ``"unknown"``, its ``evidence`` a sentence.
        """
        if self._reconcile is None:
            raise InvalidArgument("This error has lost its client. Look at the present state.")
        return self._reconcile()

    def bound_to(self, reconcile: Callable[[], Any]) -> None:
        """Say how to read back; for drivers."""
        self._reconcile = reconcile

    def __reduce__(self) -> tuple[Any, ...]:
        # A client does not travel to another process, nor what it sent, which is in clear.
        return (_made_again, (type(self), self.args), {**vars(self), "request": None, "_reconcile": None})


class OperationFailed(CreateOSError):
    """The platform answered that it did not do what it was asked.

    Attributes
    ----------
    operation, method, path
        What was asked; ``path`` is the declared one, without ids.
    status
        HTTP status of the answer, 0 when the failure was not an HTTP answer.
    detail
        The platform's own sentence.
    request_id
        The platform's id of the request, when it sent one.
    """

    http_status: ClassVar[int] = 500
    advice: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        method: str = "",
        path: str = "",
        status: int = 0,
        detail: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.method = method
        self.path = path
        self.status = status
        self.detail = detail
        self.request_id = request_id

    @classmethod
    def answer(cls, detail: str) -> Self:
        """Make the error that a platform's handler raises to answer with this status."""
        return cls(detail, status=cls.http_status, detail=detail)


class BadRequest(OperationFailed):
    """HTTP 400: an argument is malformed or out of bounds."""

    http_status = 400


class Unauthorized(OperationFailed):
    """HTTP 401: the key is missing, wrong, expired or revoked."""

    http_status = 401
    advice = "Check the API key: `client.info()` says where it came from."


class Forbidden(OperationFailed):
    """HTTP 403: the key is good, but not for this."""

    http_status = 403
    advice = "Use a key that may see it, or ask its owner."


class NotFound(OperationFailed, LookupError):
    """HTTP 404: no such thing, or this key may not see it."""

    http_status = 404
    advice = "Check the id, or that this API key may see it."


class Conflict(OperationFailed):
    """HTTP 409: the name is taken, or the state does not allow it."""

    http_status = 409


class Unprocessable(OperationFailed):
    """HTTP 422: understood, but not possible in the present state."""

    http_status = 422


class RateLimited(OperationFailed):
    """HTTP 429: the request budget is used up.

    Attributes
    ----------
    retry_at
        The moment from which the platform will answer again, aware UTC; None when it did not say.
    """

    http_status = 429
    advice = "Wait, or use fewer targets or a longer refresh interval."
    retry_at: datetime | None = None


class ServerError(OperationFailed):
    """HTTP 5xx: the platform failed; where something may have been changed by then, it is `OutcomeUnknown`."""

    advice = "Try again in a moment; if it stays, the platform has a problem."


class Rejected(OperationFailed):
    """HTTP 200 whose envelope says ``fail`` or ``error``: it did not happen."""

    http_status = 200


class UnexpectedResponse(CreateOSError):
    """The answer is not what the API promises.

    Attributes
    ----------
    body
        The first 2,000 characters of the answer; where it is JSON, only what it is, since secrets may be in it.
    operation
        What was asked.
    status
        HTTP status of the answer, 0 when the failure was not an HTTP answer.
    request_id
        The platform's id of the request, when it sent one.
    """

    def __init__(
        self, message: str, *, body: str = "", operation: str = "", status: int = 0, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.body = body[:2000]
        self.operation = operation
        self.status = status
        self.request_id = request_id


class WaitFailed(CreateOSError):
    """What was waited for has come to another end; only success is ever returned by a wait.

    Attributes
    ----------
    outcome
        How it ended: the status, such as ``"build_error"``, or ``"vanished"`` when it is gone.
    last
        As it was last seen.
    """

    def __init__(self, message: str, *, outcome: str, last: Any) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.last = last


class FrameError(CreateOSError, ValueError):
    """A frame lacks a column, or has one of the wrong kind."""


class PlanStale(CreateOSError):
    """The world moved between plan and apply: nothing was changed.

    Attributes
    ----------
    before, now
        What the plan saw, and what is there now; equal keys, secrets masked.
    """

    def __init__(self, message: str, *, before: dict[str, object], now: dict[str, object]) -> None:
        super().__init__(message)
        self.before = before
        self.now = now


class LeaseHeld(CreateOSError):
    """Somebody else is changing this environment on this machine: nothing was changed."""


class PartialAnswer(CreateOSError):
    """Some targets failed and ``strict=True`` was asked for.

    Attributes
    ----------
    frame
        The rows of the targets that answered.
    errors
        One row per target that failed (`schema.ERRORS`).
    """

    def __init__(self, message: str, *, frame: pd.DataFrame, errors: pd.DataFrame) -> None:
        super().__init__(message)
        self.frame = frame
        self.errors = errors


class PartialWarning(UserWarning):
    """Some targets failed; the frame holds the others.

    Attributes
    ----------
    errors
        One row per target that failed (`schema.ERRORS`).
    """

    def __init__(self, message: str, errors: pd.DataFrame) -> None:
        super().__init__(message)
        self.errors = errors

    def __reduce__(self) -> tuple[Any, ...]:
        return (_made_again, (type(self), self.args), vars(self))


class RunbookError(CreateOSError):
    """A runbook's parameter was refused, or one of its cells failed.

    Attributes
    ----------
    refused
        True when it was refused, by its parameters or its plan, and nothing was changed.
    notebook_path
        The notebook with the failing cell, when one was written.
    """

    def __init__(self, message: str, *, notebook_path: Path | None = None, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        self.notebook_path = notebook_path


class PlatformError(CreateOSError):
    """The embedded platform could not do what it was started for."""


BY_STATUS: dict[int, type[OperationFailed]] = {
    error.http_status: error
    for error in (BadRequest, Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, RateLimited)
}
"""HTTP status to class; any other 4xx is an `OperationFailed`, any 5xx a `ServerError`."""
