"""Candidates: which deployments an environment could be rolled back to, and which of them to choose."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from createos_nb.api.deployments import Deployment
from createos_nb.errors import InvalidArgument
from createos_nb.markup import one_line

SERVING = frozenset({"deployed", "sleeping"})
"""States in which a deployment has been built and can serve."""


@dataclass(frozen=True)
class Candidate:
    """A deployment, and whether it can be rolled back to."""

    deployment: Deployment
    eligible: bool
    reason: str


def candidates(deployments: Sequence[Deployment], live: Deployment, left: AbstractSet[str]) -> list[Candidate]:
    """Return every deployment older than what is live, newest first, and whether it could serve.

    Parameters
    ----------
    deployments
        All of the project.
    live
        What is live.
    left
        Ids of those that somebody rolled back from.
    """
    older = sorted((item for item in deployments if _age(item) < _age(live)), key=_age, reverse=True)
    return [_candidate(item, left) for item in older]


def _candidate(deployment: Deployment, left: AbstractSet[str]) -> Candidate:
    if deployment.status not in SERVING:
        return Candidate(deployment, eligible=False, reason=f"no: {deployment.status}")
    if deployment.id in left:
        # What somebody rolled back from is not what to go back to, unless they name it.
        return Candidate(deployment, eligible=False, reason="not by itself: it was rolled back here")
    return Candidate(deployment, eligible=True, reason="yes")


def _age(deployment: Deployment) -> tuple[int, float]:
    return (deployment.version_number or 0, deployment.created_at.timestamp())


def choose(
    candidates: Sequence[Candidate],
    deployments: Sequence[Deployment],
    live: Deployment,
    wanted: str | None,
    target: str,
) -> Deployment:
    """Return the deployment to go back to.

    Parameters
    ----------
    candidates
        Older ones, newest first.
    deployments, live
        All of the project, and what is live.
    wanted
        Id or version of a particular one; None for the newest that can serve.
    target
        The environment, for messages.

    Raises
    ------
    InvalidArgument
        There is none, or the wanted one cannot serve.
    """
    if wanted is None:
        for item in candidates:
            if item.eligible:
                return item.deployment
        older = ", ".join(f"{item.deployment.version} ({item.reason})" for item in candidates[:5])
        raise InvalidArgument(
            f"No older deployment of {target} can serve ({older or f'{live.version} is the first'}). "
            "Fix forward: deploy a corrected version."
        )
    found = [item for item in deployments if wanted in {item.id, item.version}]
    if not found:
        known = ", ".join(item.version for item in deployments[:10])
        raise InvalidArgument(f"{one_line(wanted)!r} is no deployment of {target}. There are: {known}.")
    if found[0].id == live.id:
        raise InvalidArgument(f"{found[0].version} is what is live on {target} already.")
    if found[0].status not in SERVING:
        raise InvalidArgument(f"{found[0].version} cannot serve: it is {found[0].status}. Choose another.")
    return found[0]
