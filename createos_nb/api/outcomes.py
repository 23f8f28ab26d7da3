"""Outcomes: the states of a deployment, and which of them are an end."""

from __future__ import annotations

from typing import Protocol

from createos_nb.errors import WaitFailed

STATUSES = (
    "queue",
    "building",
    "deploying",
    "deployed",
    "sleeping",
    "crashing",
    "build_error",
    "error",
    "cancelled",
    "terminating",
)
"""The documented states, in the order of a deployment's life; `queued` and `failed` are older spellings."""

UNFINISHED = frozenset({"queue", "queued", "building", "deploying"})
"""States that lead to another one by themselves."""

_NEXT = {
    "build_error": "Read deployments.build_logs({ids}) for the reason.",
    "crashing": "Read deployments.logs({ids}, since_seconds=3600): its process does not stay up.",
    "sleeping": "It is built; wake it with deployments.wake({ids}).",
    "cancelled": "Deploy again if that was not meant.",
}


class _Deployment(Protocol):
    """As much of a deployment as tells how it ended."""

    @property
    def id(self) -> str: ...
    @property
    def project_id(self) -> str: ...
    @property
    def status(self) -> str: ...


def deployed(deployment: _Deployment) -> bool:
    """Whether it is deployed; any other end is raised, any other state waited out."""
    outcome = {"failed": "error"}.get(deployment.status, deployment.status)
    if outcome == "deployed" or outcome in UNFINISHED or outcome not in STATUSES:
        return outcome == "deployed"
    either = "Read deployments.build_logs({ids}) and deployments.logs({ids}, since_seconds=3600)."
    advice = _NEXT.get(outcome, either).format(ids=f"{deployment.project_id!r}, {deployment.id!r}")
    raise WaitFailed(f"Deployment {deployment.id} ended as {outcome}. {advice}", outcome=outcome, last=deployment)
