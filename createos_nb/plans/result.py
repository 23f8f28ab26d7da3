"""Result: how a plan's application ended, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from createos_nb.markup import escape, one_line, table

if TYPE_CHECKING:
    from createos_nb.plans.plan import Plan

State = Literal["done", "undone", "unclear", "dry_run"]

_MEANING: dict[State, str] = {
    "done": "done",
    "undone": "undone: what was live before is live",
    "unclear": "unclear: a person has to look",
    "dry_run": "dry run: nothing was changed",
}


@dataclass(frozen=True)
class Step:
    """One call of a plan that was made, and how it ended."""

    operation: str
    why: str
    outcome: Literal["ok", "failed", "unknown"]
    detail: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True)
class Result:
    """How applying a plan ended.

    Attributes
    ----------
    state
        ``"done"``, ``"undone"`` (nothing, or no longer anything, is changed), ``"unclear"`` (a person has to
        look) or ``"dry_run"``.
    plan
        The plan that was applied.
    detail
        What happened, in one sentence.
    steps
        The calls that were made, in order.
    measured
        Figures: requests and error rates before and after, ids of what was made.
    run
        Id of this application in the journal; empty for a dry run.
    journal_head
        Hash of the journal's last record of this run.
    """

    state: State
    plan: Plan
    detail: str
    steps: tuple[Step, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""
    journal_head: str = ""

    @classmethod
    def dry(cls, plan: Plan) -> Result:
        """Return what a dry run of a plan ends with."""
        return cls(
            "dry_run", plan, f"Nothing was changed. To apply it, pass confirm={plan.hash!r} and dry_run=False."
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, without the plan's contents."""
        return {
            "state": self.state,
            "run": self.run,
            "plan": self.plan.hash,
            "kind": self.plan.kind,
            "target": self.plan.target,
            "detail": self.detail,
            "measured": dict(self.measured),
            "journal_head": self.journal_head,
            "steps": [
                {
                    **asdict(step),
                    "started_at": f"{step.started_at:%Y-%m-%dT%H:%M:%S.%fZ}",
                    "ended_at": f"{step.ended_at:%Y-%m-%dT%H:%M:%S.%fZ}",
                }
                for step in self.steps
            ],
        }

    def __repr__(self) -> str:
        lines = [f"{one_line(self.plan.title)}: {_MEANING[self.state]}. {one_line(self.detail, limit=400)}"]
        lines += [f"  {step.outcome:7} {step.operation}: {one_line(step.detail)}" for step in self.steps]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        mark = {"done": "✓", "undone": "↩", "unclear": "?", "dry_run": "○"}[self.state]
        title = f"{mark} {escape(self.plan.title)}: {_MEANING[self.state]}"
        head = f"<div style='font:600 14px/1.5 system-ui'>{title}</div>"
        rows = [
            (
                f"{step.started_at:%H:%M:%S}",
                step.operation,
                step.why,
                step.outcome,
                f"{(step.ended_at - step.started_at).total_seconds():.1f} s",
                step.detail,
            )
            for step in self.steps
        ]
        steps = table(["time (UTC)", "call", "why", "outcome", "took", "detail"], rows) if rows else ""
        return f"{head}<div style='font:13px/1.5 system-ui'>{escape(self.detail)}</div>{steps}"
