"""Admin: moves the clock, plans faults, holds states and forces domains; off unless it is asked for.

Declared as the API's operations are, but only of this platform, under ``/local``, behind the same guards.

Examples
--------
>>> import createos_nb as cos
>>> from createos_nb.platform.admin import Admin
>>> ws = cos.local(admin=True)  # doctest: +SKIP
>>> admin = Admin(ws.api)  # doctest: +SKIP
>>> admin.plan_fault(operation="ListProjects", status=503)  # doctest: +SKIP
>>> admin.move_clock(seconds=3600)  # doctest: +SKIP
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Literal, ParamSpec, TypeVar

from pydantic import Field

from createos_nb.api.domains import STATUSES, Domain
from createos_nb.api.model import Model, Timestamp
from createos_nb.api.operation import OPERATIONS, Operation
from createos_nb.api.resource import Resource
from createos_nb.errors import BadRequest, Forbidden
from createos_nb.platform.faults import EVERY, Envelope, Planned, When
from createos_nb.platform.platform import Context
from createos_nb.platform.transitions import STATES, Mode, Noun

if TYPE_CHECKING:
    from createos_nb.api.client import Client  # and with it httpx, which the platform's process has no need of

P = ParamSpec("P")
T = TypeVar("T")

_MOST_S = 10 * 365 * 86_400
Seconds = Annotated[float, Field(ge=0, le=_MOST_S, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,1024}$")]


class Time(Model):
    """The platform's time, and by how many seconds it is ahead of this machine's."""

    now: Timestamp
    ahead_s: float


class Fault(Model):
    """A planned fault; see `Admin.plan_fault`."""

    operation: str
    when: When
    delay_s: float
    status: int | None
    envelope: Envelope
    message: str
    retry_after_s: int | None
    headers: dict[str, str]
    cut: bool
    skip: int
    times: int


class Status(Model):
    """What limits are in force on a platform, and which version of SQLite keeps its state."""

    memory_limit: str
    cpu_limit: str
    rate_limit: str
    idle_s: float | None
    keep_records_s: float | None
    keep_logs_s: float | None
    admin: bool
    clock_ahead_s: float
    planned_faults: int
    sqlite_version: str


def _local(
    name: str, method: str, path: str, safety: Literal["read", "idempotent", "creates", "destroys"]
) -> Callable[[Callable[Concatenate[Any, P], T]], Operation[P, T]]:
    def declare(function: Callable[Concatenate[Any, P], T]) -> Operation[P, T]:
        return Operation(function, name=name, method=method, path=path, tool=None, safety=safety, paged=False)

    return declare


class Admin(Resource):
    """The admin API of an embedded platform that was started with it.

    Parameters
    ----------
    client
        Of that platform, such as ``cos.local(admin=True).api``.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client.projects)

    @_local("GetLocalStatus", "GET", "/local/status", "read")
    def status(self) -> Status:
        """Return the limits in force; answered without the admin API as well."""
        raise NotImplementedError

    @_local("GetClock", "GET", "/local/clock", "read")
    def clock(self) -> Time:
        """Return the platform's time."""
        raise NotImplementedError

    @_local("MoveClock", "POST", "/local/clock", "creates")
    def move_clock(self, *, seconds: Annotated[float, Field(ge=-_MOST_S, le=_MOST_S, allow_inf_nan=False)]) -> Time:
        """Move the platform's clock on: keys expire, windows of the rate limit end, idle environments sleep.

        Parameters
        ----------
        seconds
            By how much; negative for back. After a restart it is this machine's time again.
        """
        raise NotImplementedError

    @_local("PlanFault", "POST", "/local/faults", "creates")
    def plan_fault(
        self,
        *,
        operation: Name,
        when: When = "before",
        delay_s: Seconds = 0,
        status: Annotated[int, Field(ge=200, le=599)] | None = None,
        envelope: Envelope = "jsend",
        message: Annotated[str, Field(max_length=2000)] = "This failure was planned.",
        retry_after_s: Annotated[int, Field(ge=0, le=_MOST_S)] | None = None,
        headers: dict[HeaderName, HeaderValue] | None = None,
        cut: bool = False,
        skip: Count = 0,
        times: Count = 1,
    ) -> Fault:
        """Plan what goes wrong with the next calls of an operation, over REST or MCP; forgotten at a restart.

        Parameters
        ----------
        operation
            Its operation id, such as ``"UploadDeploymentFiles"``; ``"*"`` for every one.
        when
            ``"before"``: a cut or a status comes instead of the call. ``"after"``: it is carried out first.
        delay_s
            How long it waits first, in seconds of the platform's clock.
        status, envelope, message
            The failure that is answered, 200 to 599: as ``{"status", "data"}`` ("jsend"), ``{"success",
            "message"}`` ("flat") or ``{"error": {...}}`` ("nested"). None for the call's own answer.
        retry_after_s
            Seconds that a header ``Retry-After`` names.
        headers
            Further headers of the answer.
        cut
            The connection is cut without an answer.
        skip
            How many calls pass first.
        times
            How many calls it befalls; 0 for all.
        """
        raise NotImplementedError

    @_local("ListFaults", "GET", "/local/faults", "read")
    def faults(self) -> list[Fault]:
        """List the faults that are still to come."""
        raise NotImplementedError

    @_local("ForgetFaults", "DELETE", "/local/faults", "idempotent")
    def forget_faults(self) -> int:
        """Drop every planned fault, and return how many there were."""
        raise NotImplementedError

    @_local("SetTransition", "PUT", "/local/transitions", "idempotent")
    def set_transition(self, *, noun: Noun, status: Name, mode: Mode, seconds: Seconds = 0) -> str:
        """Set when a state ends, once its work is done; forgotten at a restart.

        Parameters
        ----------
        noun
            ``"deployment"`` or ``"environment"``.
        status
            Of a deployment ``queue``, ``building`` or ``deploying``; of an environment ``promoting``,
            ``resizing`` or ``updating``.
        mode
            ``"at once"``, ``"timed"`` or ``"by hand"``, see `advance`.
        seconds
            Of the platform's clock, for ``"timed"``.
        """
        raise NotImplementedError

    @_local("AdvanceTransition", "POST", "/local/transitions/advance", "creates")
    def advance(self, *, noun: Noun, status: Name) -> int:
        """End a state by hand for all that are held in it, and return how many there were."""
        raise NotImplementedError

    @_local("ForceDomainStatus", "PUT", "/local/domains/{domain_id}/status", "idempotent")
    def force_domain(self, domain_id: str, *, status: Name) -> str:
        """Force the status of a domain, whatever DNS says; its message says that it was forced.

        Parameters
        ----------
        status
            One of `createos_nb.api.domains.STATUSES`; an ``active`` one is served.
        """
        raise NotImplementedError


LOCAL = tuple(each for each in vars(Admin).values() if isinstance(each, Operation))
"""Every operation of the admin API."""


# --- the platform's side --------------------------------------------------------------------------------------


def _allowed(context: Context) -> None:
    if not context.platform.options.admin:
        raise Forbidden.answer(
            "The admin API is off. Start the platform with: createos-nb local up --admin, or cos.local(admin=True)."
        )


async def _status(context: Context) -> Status:
    platform = context.platform
    memory, cpu = platform.cgroups.limits
    return Status(
        memory_limit=memory,
        cpu_limit=cpu,
        rate_limit=platform.options.rate_limit,
        idle_s=platform.options.idle_s,
        keep_records_s=platform.options.keep_records_s,
        keep_logs_s=platform.options.keep_logs_s,
        admin=platform.options.admin,
        clock_ahead_s=platform.clock.ahead_s,
        planned_faults=len(platform.faults.planned),
        sqlite_version=sqlite3.sqlite_version,
    )


async def _clock(context: Context) -> Time:
    _allowed(context)
    clock = context.platform.clock
    return Time(now=clock.now(), ahead_s=clock.ahead_s)


async def _move_clock(context: Context, *, seconds: float) -> Time:
    _allowed(context)
    if abs(context.platform.clock.ahead_s + seconds) > _MOST_S:
        raise BadRequest.answer("The clock can be at most ten years away from this machine's.")
    context.platform.clock.move(seconds)
    return await _clock(context)


async def _plan_fault(context: Context, *, operation: str, headers: dict[str, str] | None, **facts: Any) -> Fault:
    _allowed(context)
    if operation != EVERY and operation not in OPERATIONS:
        raise BadRequest.answer(f"There is no operation {operation!a}. Name one as the OpenAPI file does, or '*'.")
    planned = Planned(operation, headers=headers or {}, **facts)
    if not (planned.cut or planned.status or planned.delay_s or planned.headers or planned.retry_after_s):
        raise BadRequest.answer("Nothing goes wrong with this. Give delay_s, status, headers or cut.")
    context.platform.faults.plan(planned)
    return Fault(**asdict(planned))


async def _faults(context: Context) -> list[Fault]:
    _allowed(context)
    return [Fault(**asdict(planned)) for planned in context.platform.faults.planned]


async def _forget_faults(context: Context) -> int:
    _allowed(context)
    return context.platform.faults.forget()


async def _set_transition(context: Context, *, noun: Noun, status: str, mode: Mode, seconds: float) -> str:
    _allowed(context)
    _checked(noun, status)
    context.platform.transitions.set(noun, status, mode, seconds)
    return f"{noun} {status}: {mode}"


async def _advance(context: Context, *, noun: Noun, status: str) -> int:
    _allowed(context)
    _checked(noun, status)
    return context.platform.transitions.advance(noun, status)


def _checked(noun: Noun, status: str) -> None:
    if status not in STATES[noun]:
        names = ", ".join(sorted(STATES[noun]))
        raise BadRequest.answer(f"No {noun} can be held in {status!a}. Use one of {names}.")


async def _force_domain(context: Context, *, domain_id: str, status: str) -> str:
    _allowed(context)
    domain = context.store.get(Domain, domain_id)
    context.project(domain.project_id)
    if status not in STATUSES:
        raise BadRequest.answer(f"{status!a} is no status of a domain. Use one of {', '.join(STATUSES)}.")
    message = f"Its status was forced to {status} by the admin API; no DNS was looked up."
    context.store.change(Domain, domain.id, status=status, message=message)
    context.lifecycle.route(domain.environment_id)
    return message


HANDLERS: dict[str, Callable[..., Awaitable[Any]]] = {
    "GetLocalStatus": _status,
    "GetClock": _clock,
    "MoveClock": _move_clock,
    "PlanFault": _plan_fault,
    "ListFaults": _faults,
    "ForgetFaults": _forget_faults,
    "SetTransition": _set_transition,
    "AdvanceTransition": _advance,
    "ForceDomainStatus": _force_domain,
}
