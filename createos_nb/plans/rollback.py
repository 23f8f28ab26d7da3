"""Rollback: put an older deployment live, keep auto-promotion from undoing it, and verify it by traffic.

CreateOS has no rollback of its own and keeps no history of what served. ``assign-deployment`` is the one
lever; an environment that promotes by itself would undo it with the next upload, so that is switched off
first. "The previous deployment" is an inference from the list, and labelled as one.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from createos_nb.api.client import Client
from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.errors import CreateOSError, InvalidArgument
from createos_nb.markup import one_line, table
from createos_nb.metrics.comparison import Comparison, Counts, compare_error_rates, counts
from createos_nb.plans.candidates import Candidate, candidates, choose
from createos_nb.plans.facts import at_rest, live_facts, newest_version
from createos_nb.plans.journal import Journal
from createos_nb.plans.plan import Call, Plan
from createos_nb.plans.run import Run

MAX_BASELINE = timedelta(minutes=5)
_NOT_WRITABLE = re.compile(r"[^a-zA-Z0-9 _-]")


@dataclass(frozen=True, kw_only=True, repr=False)
class Rollback(Plan):
    """A rollback of one environment; see `rollback`.

    It is ``done`` when errors fell, or there were none before and after; ``undone`` when they rose, or it
    did not come live, and what was live before is live again; ``unclear`` when there was too little traffic
    to tell, or an answer never came: then the rollback stays, and a person has to look.

    Attributes
    ----------
    target_deployment
        What is to be live.
    candidates
        Every older deployment, newest first, and whether it could serve.
    min_requests, verify_for_s
        How much traffic the verification needs, and how long it waits for it.
    """

    kind: ClassVar[str] = "rollback"

    target_deployment: Deployment
    live_deployment: Deployment
    display_name: str
    written_description: str
    branch: str | None
    candidates: tuple[Candidate, ...] = ()
    min_requests: int = 100
    verify_for_s: float = 120.0
    clock: Callable[[], float] = field(default=time.time, compare=False)
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)

    def observe(self) -> dict[str, object]:
        """Read what is live, whether it promotes by itself, and the state of the target."""
        return _facts(self.client, self.project_id, str(self.environment_id), self.target_deployment.id)

    def carry_out(self, run: Run) -> None:
        """Pin, assign, wait, verify; undo when it made things worse."""
        before = self._baseline()
        run.measured.update(requests_before=before.requests, error_rate_before=before.error_rate)
        calls = {call.operation: call for call in self.calls}
        try:
            if pin := calls.get("UpdateProjectEnvironment"):
                run.step(pin, lambda: self._write_auto_promote(on=False))
            assign = calls["AssignDeploymentToProjectEnvironment"]
            run.step(assign, lambda: self._assign(self.target_deployment))
        except CreateOSError as error:
            # Only what was plainly refused is known not to have happened.
            if run.steps and run.steps[-1].outcome == "failed" and len(run.steps) > 1:
                self._unpin(run, f"It could not be put live ({error})")
                return
            raise
        live = run.step(calls["ListProjectEnvironments"], self._wait_live, note=self._live_note)
        if live.project_deployment_id != self.target_deployment.id:
            self._undo(run, f"{self.target_deployment.version} did not come live")
            return
        verify = calls["GetProjectEnvironmentAnalyticsOverallRequests"]
        comparison = run.step(verify, lambda: self._verify(run, before), note=lambda seen: seen.detail)
        run.measured.update(requests_after=comparison.after.requests, error_rate_after=comparison.after.error_rate)
        version = self.target_deployment.version
        if comparison.after.requests < self.min_requests:
            seen = f"{comparison.after.requests} of {self.min_requests} requests came in {self.verify_for_s:g} s."
            run.end("unclear", f"{version} is live, but not verified: only {seen} {self._by_hand()}")
        elif comparison.verdict == "rose":
            self._undo(run, f"Errors rose with {version}: {comparison.detail.rstrip('.')}")
        elif comparison.verdict == "unclear":
            run.end("unclear", f"{version} is live, but not verified: {comparison.detail} {self._by_hand()}")
        else:
            run.end("done", f"{version} is live and verified. {comparison.detail}")

    def _by_hand(self) -> str:
        return f"Look at the traffic, then leave it or assign {self.live_deployment.version} again."

    def _baseline(self) -> Counts:
        now = math.floor(self.clock())
        since = max(self.live_deployment.created_at.timestamp(), now - MAX_BASELINE.total_seconds())
        # The present second is counted too: nothing has been changed in it yet.
        return self._counts(math.floor(since), now + 1)

    def _counts(self, start: int, end: int) -> Counts:
        seen = self.client.analytics.overall_requests(
            self.project_id, str(self.environment_id), start=start, end=max(end, start + 1)
        )
        return counts(round(seen.total), round(seen.server))

    def _write_auto_promote(self, *, on: bool) -> str:
        return self.client.environments.update(
            self.project_id,
            str(self.environment_id),
            display_name=self.display_name,
            description=self.written_description,
            branch=self.branch,
            is_auto_promote_enabled=on,
        )

    def _assign(self, deployment: Deployment) -> str:
        return self.client.environments.assign_deployment(
            self.project_id, str(self.environment_id), deployment_id=deployment.id
        )

    def _wait_live(self, deployment: Deployment | None = None) -> Environment:
        return at_rest(
            self.client,
            self.project_id,
            str(self.environment_id),
            deployment_id=(deployment or self.target_deployment).id,
        )

    def _live_note(self, environment: Environment) -> str:
        arrived = environment.project_deployment_id == self.target_deployment.id
        return f"{self.target_deployment.version} is live" if arrived else "another deployment is live"

    def _verify(self, run: Run, before: Counts) -> Comparison:
        """Count from the first whole second after it came live until there is enough, or time is up.

        The second is this machine's: its clock has to agree with the platform's.
        """
        start = math.floor(self.clock()) + 1
        deadline = self.clock() + self.verify_for_s
        pause_s = 1.0
        while True:
            self.sleep(min(pause_s, max(0.1, deadline - self.clock())))
            comparison = compare_error_rates(
                before, self._counts(start, math.floor(self.clock()) + 1), min_requests=self.min_requests
            )
            after = comparison.after
            run.say(f"  {after.requests} requests since it came live, {after.server_errors} of them errors")
            # One look, once there is enough: a test that is repeated until it says something says it by chance.
            if after.requests >= self.min_requests or self.clock() >= deadline:
                return comparison
            pause_s = min(pause_s * 1.5, 15.0)

    def _rewritten(self) -> str:
        if self.written_description == self.before["description"]:
            return ""
        return f" Its description stays {self.written_description!r}, which the API can write."

    def _unpin(self, run: Run, why: str) -> None:
        """Let it promote by itself again, after nothing but that was changed."""
        version = self.live_deployment.version
        unpin = Call("UpdateProjectEnvironment", {"is_auto_promote_enabled": True}, "promote by itself again")
        try:
            run.step(unpin, lambda: self._write_auto_promote(on=True))
        except CreateOSError as error:
            run.end("unclear", f"{why}; {version} is still live, but promotes no longer by itself ({error}).")
        else:
            run.end("undone", f"{why}. {version} is still live.{self._rewritten()}")

    def _undo(self, run: Run, why: str) -> None:
        """Put back what was live and how it promoted: one attempt, then a person has to look."""
        back = self.live_deployment
        by_hand = f"Put it back by hand: assign {back.version} ({back.id}) to {self.target}."
        try:
            again = Call(
                "AssignDeploymentToProjectEnvironment", {"deployment_id": back.id}, f"put {back.version} back live"
            )
            run.step(again, lambda: self._assign(back))
            look = Call("ListProjectEnvironments", {}, f"wait until {back.version} is live again")
            live = run.step(look, lambda: self._wait_live(back), note=lambda seen: str(seen.project_deployment_id))
            if self.before["auto_promote"]:
                unpin = Call(
                    "UpdateProjectEnvironment", {"is_auto_promote_enabled": True}, "promote by itself again"
                )
                run.step(unpin, lambda: self._write_auto_promote(on=True))
        except CreateOSError as error:
            run.end("unclear", f"{why}, and undoing it failed ({error}). {by_hand}")
            return
        if live.project_deployment_id == back.id:
            run.end("undone", f"{why}. {back.version} is live again.{self._rewritten()}")
        else:
            run.end("unclear", f"{why}, and {back.version} did not come back. {by_hand}")

    def _extra_html(self) -> str:
        rows = [
            (
                item.deployment.version,
                item.deployment.status,
                f"{item.deployment.created_at:%Y-%m-%d %H:%M:%S}",
                "→ chosen" if item.deployment.id == self.target_deployment.id else "",
                item.reason,
            )
            for item in self.candidates[:10]
        ]
        return table(["version", "status", "created (UTC)", "", "can it serve"], rows, caption="Candidates")


def rollback(
    client: Client,
    *,
    project: str,
    project_id: str,
    environment: str,
    environment_id: str,
    deployment: str | None = None,
    min_requests: int = 100,
    verify_for_s: float = 120.0,
) -> Rollback:
    """Plan to put an older deployment live.

    Parameters
    ----------
    project, project_id, environment, environment_id
        The environment to roll back.
    deployment
        Id or version (``"v2"``) of what is to be live; default the newest one older than what is live that
        was built and can serve.
    min_requests, verify_for_s
        Traffic that the verification needs, and the seconds that it waits for it.

    Raises
    ------
    InvalidArgument
        Nothing is live, or there is nothing that can be rolled back to; the message says why.
    """
    if min_requests < 1 or verify_for_s <= 0:
        raise InvalidArgument("min_requests must be at least 1 and verify_for_s more than 0 seconds.")
    facts = live_facts(client, project_id, environment_id)
    live = facts.live
    if live is None:
        raise InvalidArgument(f"Nothing is live on {project}/{environment}, so there is nothing to roll back.")
    if deployment is None and (earlier := Journal().rollback_to(live.id, environment_id=environment_id)):
        raise InvalidArgument(
            f"{live.version} was put live on {project}/{environment} by a rollback already ({earlier}). "
            "To go further back, name the deployment."
        )
    left = Journal().rolled_back(platform=client.settings.api_url, environment_id=environment_id)
    older = candidates(facts.deployments, live, left)
    target = choose(older, facts.deployments, live, deployment, f"{project}/{environment}")
    now = facts.environment
    description, rewritten = _writable(now)
    notes = []
    if deployment is None:
        notes.append(
            f"{target.version} is inferred: the newest deployment older than {live.version} that was built and "
            "can serve. The platform keeps no history of what served."
        )
    newest = newest_version(facts.deployments)
    if newest.id != live.id:
        notes.append(f"What is live, {live.version}, is not the newest deployment ({newest.version}).")
    if rewritten and now.is_auto_promote_enabled:
        notes.append(
            f"The description {one_line(now.description)!r} cannot be written back as it is (the API allows "
            f"letters, digits, spaces, _ and -); it becomes {description!r}."
        )
    notes.append("Variables are not rolled back: the environment's present ones stay.")
    calls = []
    if now.is_auto_promote_enabled:
        calls.append(
            Call(
                "UpdateProjectEnvironment",
                {"is_auto_promote_enabled": False, "display_name": now.display_name, "description": description},
                "pin: stop the next deployment from going live by itself",
            )
        )
    calls += [
        Call("AssignDeploymentToProjectEnvironment", {"deployment_id": target.id}, f"put {target.version} live"),
        Call("ListProjectEnvironments", {}, f"wait until {target.version} is live"),
        Call(
            "GetProjectEnvironmentAnalyticsOverallRequests",
            {"min_requests": min_requests, "verify_for_s": verify_for_s},
            f"verify by at least {min_requests} requests that errors fell, for up to {verify_for_s:g} s",
        ),
    ]
    return Rollback(
        client=client,
        project=project,
        project_id=project_id,
        environment=environment,
        environment_id=environment_id,
        before=_facts_of(facts.environment, live, target),
        after={"live": target.version, "live_id": target.id, "auto_promote": False},
        calls=tuple(calls),
        requests=len(calls) + 25,
        risk=f"{target.version} may not fit today's data or variables; if errors rise, {live.version} comes back.",
        notes=tuple(notes),
        target_deployment=target,
        live_deployment=live,
        display_name=now.display_name,
        written_description=description,
        branch=now.branch,
        candidates=tuple(older),
        min_requests=min_requests,
        verify_for_s=verify_for_s,
    )


def _facts(client: Client, project_id: str, environment_id: str, target_id: str) -> dict[str, object]:
    environment = client.environments.get(project_id, environment_id)
    target = client.deployments.get(project_id, target_id)
    live_id = environment.project_deployment_id
    live = client.deployments.get(project_id, live_id) if live_id else None
    return _facts_of(environment, live, target)


def _facts_of(environment: Environment, live: Deployment | None, target: Deployment) -> dict[str, object]:
    return {
        "live": live.version if live else "",
        "live_id": live.id if live else "",
        "auto_promote": environment.is_auto_promote_enabled,
        "environment_status": environment.status,
        "display_name": environment.display_name,
        "description": environment.description or "",
        "branch": environment.branch or "",
        "target_status": target.status,
    }


def _writable(environment: Environment) -> tuple[str, bool]:
    """Return a description that the PUT accepts, and whether it differs from the present one.

    Its bounds are tighter than those of the POST that made the environment (api/README).
    """
    present = environment.description or ""
    text = re.sub(r" {2,}", " ", _NOT_WRITABLE.sub(" ", present)).strip()[:2048]
    text = text if len(text) >= 4 else environment.display_name
    return text, text != present
