"""Confirmation: a runbook changes nothing unless the person who starts it names what is to be changed."""

from __future__ import annotations

from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line
from createos_nb.plans import Plan, Result


def apply(plan: Plan, *, dry_run: bool, confirm: str, reason: str = "") -> Result:
    """Apply a plan from a runbook, if it was confirmed.

    Parameters
    ----------
    plan
        The change.
    dry_run
        Change nothing and return a result that says so.
    confirm
        The plan's hash, or the name of what it changes, such as ``"shop/production"``. With the hash, a plan
        that came out differently is refused.
    reason
        Why; it goes into the journal.

    Raises
    ------
    InvalidArgument
        The confirmation is of something else, or missing; nothing was changed.
    PlanStale, LeaseHeld
        The world moved, or somebody else is changing it; nothing was changed.
    """
    if dry_run:
        return Result.dry(plan)
    # papermill reads a hash of digits alone as a number.
    if str(confirm) not in {plan.hash, plan.target}:
        given = f"confirm={one_line(confirm)!r} is of something else" if confirm else "It was not confirmed"
        raise InvalidArgument(
            f"{given}, so nothing was changed. Look at the plan, then pass confirm={plan.hash!r} for exactly this "
            f"plan, or confirm={plan.target!r} for whatever the plan will be then."
        )
    return plan.apply(reason=reason, progress=_say)


def _say(line: str) -> None:
    print(one_line(line, limit=400), flush=True)  # noqa: T201 - a cell's output is where a person watches it
