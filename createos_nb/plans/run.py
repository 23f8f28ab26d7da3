"""Run: one application of a plan, with its lease, its journal and its named end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from createos_nb.errors import (
    CreateOSError,
    OutcomeUnknown,
    PlanStale,
    ServerError,
    TimedOut,
    UnexpectedResponse,
)
from createos_nb.markup import one_line
from createos_nb.plans.journal import Journal
from createos_nb.plans.lease import lease
from createos_nb.plans.result import Result, State, Step

if TYPE_CHECKING:
    from createos_nb.plans.plan import Call, Plan

T = TypeVar("T")


class Run:
    """One application of a plan: makes its steps, and remembers how each ended."""

    def __init__(self, plan: Plan, journal: Journal, reason: str, progress: Callable[[str], None]) -> None:
        self.plan = plan
        self.id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        self.steps: list[Step] = []
        self.measured: dict[str, Any] = {}
        self.state: State = "unclear"
        self.unwritten = ""
        self.detail = ""
        self.say = progress
        self._journal = journal
        self.head = self.record("begin", detail=reason, before=dict(plan.before), after=dict(plan.after))

    def record(self, event: str, **facts: object) -> str:
        """Write a record about this run and return its hash."""
        plan = self.plan
        self.head = self._journal.write(
            {
                "run": self.id,
                "event": event,
                "kind": plan.kind,
                "plan": plan.hash,
                "platform": plan.platform,
                "project": plan.project,
                "project_id": plan.project_id,
                "environment": plan.environment,
                "environment_id": plan.environment_id,
                **facts,
            }
        )
        return self.head

    def step(self, call: Call, do: Callable[[], T], *, note: Callable[[T], str] = str) -> T:
        """Make one call: intent in the journal, the call, its outcome in the journal.

        Parameters
        ----------
        call
            What is about to be done.
        do
            Does it.
        note
            What to remember of its result, in a few words.
        """
        started = datetime.now(UTC)
        self.say(f"{call.why} …")
        self.record("intent", operation=call.operation, step=call.why, detail=dict(call.arguments))
        try:
            result = do()
        except BaseException as error:
            # A server that failed while it answered, and an answer that cannot be read, may well have done it.
            unsure = not isinstance(error, CreateOSError) or isinstance(
                error, OutcomeUnknown | TimedOut | ServerError | UnexpectedResponse
            )
            self._ended(call, started, "unknown" if unsure else "failed", str(error) or type(error).__name__)
            raise
        self._ended(call, started, "ok", note(result))
        return result

    def _ended(self, call: Call, started: datetime, outcome: Any, detail: str) -> None:
        step = Step(call.operation, call.why, outcome, one_line(detail, limit=500), started, datetime.now(UTC))
        self.steps.append(step)
        self.record_after("outcome", operation=call.operation, step=call.why, outcome=outcome, detail=step.detail)

    def record_after(self, event: str, **facts: object) -> None:
        """Write a record of what has happened already; a journal that fails now must not hide it."""
        try:
            self.record(event, **facts)
        except CreateOSError as error:
            self.unwritten = str(error)

    def end(self, state: State, detail: str) -> None:
        """Name the state that the run ends in."""
        self.state, self.detail = state, detail

    @property
    def changed(self) -> bool:
        """Whether any call may have had an effect."""
        return any(step.outcome != "failed" for step in self.steps)


def apply(plan: Plan, *, reason: str = "", progress: Callable[[str], None] | None = None) -> Result:
    """Apply a plan; see `Plan.apply`."""
    journal = Journal()
    with lease(plan.platform, plan.project_id, plan.environment_id, plan.title):
        # Whoever held the lease before is gone, so that a run of this target without an end was cut off.
        journal.close_interrupted(platform=plan.platform, environment_id=plan.environment_id)
        now = plan.observe()
        if now != dict(plan.before):
            raise PlanStale(_moved(plan.before, now), before=dict(plan.before), now=now)
        try:
            run = Run(plan, journal, reason, progress or (lambda _line: None))
        except CreateOSError as error:
            raise CreateOSError(f"{error} Nothing was changed.") from None
        try:
            plan.carry_out(run)
        except CreateOSError as error:
            run.end(
                "unclear" if run.changed else "undone", f"{'' if run.changed else 'Nothing was changed. '}{error}"
            )
        except BaseException as error:
            # An interrupt, say. The record must stand, whatever comes after.
            run.end("unclear", f"{type(error).__name__} in the middle of it; look at what is live.")
            run.record_after("end", state=run.state, detail=run.detail)
            raise
        run.record_after("end", state=run.state, detail=run.detail, measured=run.measured)
        if run.unwritten:
            run.end(run.state, f"{run.detail} {run.unwritten}")
        run.say(f"{plan.title}: {run.state}. {run.detail}")
        return Result(run.state, plan, run.detail, tuple(run.steps), run.measured, run.id, run.head)


def _moved(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    differences = "; ".join(
        f"{name} was {one_line(before.get(name))}, is {one_line(now.get(name))}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    )
    return f"The world moved since this plan was made: {differences}. Nothing was changed; plan again."
