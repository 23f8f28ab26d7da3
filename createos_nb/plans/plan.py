"""Plan: a change, written down before it is made. Showing one never acts."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from createos_nb.api.client import Client
from createos_nb.markup import escape, one_line, table
from createos_nb.plans.result import Result
from createos_nb.plans.run import Run, apply


@dataclass(frozen=True)
class Call:
    """One call that a plan would make."""

    operation: str
    arguments: Mapping[str, object]
    why: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Plan(ABC):
    """A change: what is, what is to be, the calls in between, their cost and their risk.

    Attributes
    ----------
    project, project_id, environment, environment_id
        What it changes; the last two are None when it concerns the whole project.
    before, after
        The facts that it rests on, and what they will be.
    calls
        What would be sent, in order.
    requests
        About how many requests it costs, reading and waiting included.
    risk
        What can go wrong, in one sentence.
    notes
        What else to know before applying it.
    """

    kind: ClassVar[str]

    client: Client = field(compare=False)
    project: str
    project_id: str
    environment: str | None = None
    environment_id: str | None = None
    before: Mapping[str, object]
    after: Mapping[str, object]
    calls: tuple[Call, ...]
    requests: int
    risk: str
    notes: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """``project/environment``, or the project alone."""
        return f"{self.project}/{self.environment}" if self.environment else self.project

    @property
    def title(self) -> str:
        """The change in a few words."""
        return f"{self.kind} {self.target}"

    @property
    def platform(self) -> str:
        """URL of the API it goes to."""
        return self.client.settings.api_url

    @property
    def hash(self) -> str:
        """Twelve hex digits of all that it rests on and would send: what a confirmation confirms."""
        body = {
            "kind": self.kind,
            "platform": self.platform,
            "ids": [self.project_id, self.environment_id],
            "before": dict(self.before),
            "calls": [[call.operation, dict(call.arguments)] for call in self.calls],
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()[:12]

    @abstractmethod
    def observe(self) -> dict[str, object]:
        """Read the facts that the plan rests on, as they are now."""

    @abstractmethod
    def carry_out(self, run: Run) -> None:
        """Make the calls, one `Run.step` each, and end the run in a named state."""

    def apply(self, *, reason: str = "", progress: Callable[[str], None] | None = None) -> Result:
        """Make the change.

        Reads the facts again and refuses when they moved, holds the lease, writes the journal before and
        after each call, and ends in a named state, also when something fails on the way.

        Parameters
        ----------
        reason
            Why; it goes into the journal.
        progress
            Called with one line at each step; default writes nothing.

        Raises
        ------
        PlanStale
            The world moved since the plan was made; nothing was changed.
        LeaseHeld
            Another change of the same environment is under way; nothing was changed.
        """
        return apply(self, reason=reason, progress=progress)

    def __repr__(self) -> str:
        lines = [f"Plan {self.hash}: {one_line(self.title)} on {self.platform}"]
        lines += [f"  {one_line(name)}: {one_line(old)} -> {one_line(new)}" for name, old, new in self._changes()]
        lines += [f"  {n}. {call.operation}: {one_line(call.why)}" for n, call in enumerate(self.calls, 1)]
        lines += [f"  about {self.requests} requests. Risk: {one_line(self.risk, limit=400)}"]
        lines += [f"  note: {one_line(note, limit=400)}" for note in self.notes]
        lines += [f"  Nothing has been changed. plan.apply() changes it; headless: confirm={self.hash!r}."]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = (
            f"<div style='font:600 14px/1.5 system-ui'>Plan {self.hash}: {escape(self.title)}</div>"
            f"<div style='font:12px/1.4 system-ui;color:#555'>on {escape(self.platform)}, about {self.requests} "
            "requests. Nothing has been changed.</div>"
        )
        changes = table(["", "now", "after"], self._changes())
        calls = table(
            ["", "call", "why", "arguments"],
            [(n, call.operation, call.why, _shown(call.arguments)) for n, call in enumerate(self.calls, 1)],
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in (f"Risk: {self.risk}", *self.notes))
        return f"{head}{changes}{calls}{self._extra_html()}<ul style='font:13px/1.5 system-ui'>{notes}</ul>"

    def _extra_html(self) -> str:
        """Return further tables of a kind of plan."""
        return ""

    def _changes(self) -> list[tuple[str, object, object]]:
        return [(name.replace("_", " "), self.before.get(name, ""), new) for name, new in self.after.items()]


def _shown(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={one_line(value, limit=60)}" for name, value in arguments.items())
