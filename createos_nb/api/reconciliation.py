"""Reconciliation: after a change that got no answer, read back whether it happened. It never sends a change.

What was made is known by its name; a deployment by its content, as far as it shows, and by the time at which
it was made, on the server's clock. Where the readable state cannot tell, the verdict is that it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import createos_nb.api.declarations  # noqa: F401 - what reads back is of other nouns
from createos_nb.api.budget import UPLOADS
from createos_nb.api.envelope import served_at
from createos_nb.api.exchange import answered
from createos_nb.api.message import Exchange, Request, Sleep, Work
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.uploaded import Contents, kept, sent
from createos_nb.errors import NotFound, OperationFailed

SETTLES_S = 5.0
"""After so long what was sent, and is not to be seen, is taken for not having arrived."""

MARGIN_S = 1.0
"""The platform tells its time in whole seconds; what was made so shortly before counts as made since."""


@dataclass(frozen=True)
class Verdict:
    """What reading back says of a change that got no answer.

    Attributes
    ----------
    outcome
        ``"applied"``, ``"not applied"``, or ``"unknown"`` when it cannot be told.
    evidence
        What was seen, in one sentence.
    found
        The id of what was made, when that can be said.
    """

    outcome: Literal["applied", "not applied", "unknown"]
    evidence: str
    found: str | None = None


Readback = Callable[[Mapping[str, Any], "datetime | None"], Exchange[Verdict]]
"""Reads back from the arguments and the first moment at which the change can have happened, server's time."""


def reconciled(request: Request, begun_s: float, failed_s: float) -> Exchange[Verdict]:
    """Read back whether a request that got no answer was carried out.

    Parameters
    ----------
    request
        What was sent.
    begun_s, failed_s
        When it was begun to be sent, and given up, on the driver's clock.
    """
    readback = READBACK.get(request.operation)
    if readback is None and request.operation not in UPLOADS:
        return Verdict("unknown", UNREADABLE.get(request.operation, "Its state cannot be read. Look for yourself."))
    now_s: float = yield Sleep(0)
    now_s = yield Sleep(max(0.0, failed_s + SETTLES_S - now_s))
    answer = yield from answered(OPERATIONS["GetCurrentUser"].request())
    clock, now_s = served_at(answer), (yield Sleep(0))
    # What was made before is somebody else's, however much it is like what was sent.
    first = None if clock is None else clock - timedelta(seconds=now_s - begun_s + MARGIN_S)
    if readback is None:
        return (yield from _uploaded(request, first))
    return (yield from readback(request.arguments, first))


def _uploaded(request: Request, first: datetime | None) -> Exchange[Verdict]:
    """Read back which new deployment, if any, an upload became: the one that was built from the same files."""
    if first is None:
        return _TIMELESS
    project_id = request.arguments["project_id"]
    rows = yield from OPERATIONS["ListDeployments"].exchange(project_id, max_rows=20)
    new = [row for row in rows if row.created_at >= first]
    contents: Contents | None = yield Work(partial(sent, request))
    same, unreadable = [], []
    for row in new:
        there = yield from _built_from(project_id, row.id)
        if contents is None or there is None:
            unreadable.append(row)
        elif there == contents:
            same.append(row)
    if unreadable:
        return Verdict("unknown", f"{_versions(unreadable)} is new, and what it was built from cannot be read.")
    return _of_the_same(same, new)


def _built_from(project_id: str, deployment_id: str) -> Exchange[Contents | None]:
    try:
        download = yield from OPERATIONS["DownloadDeployment"].exchange(project_id, deployment_id)
    except OperationFailed:
        return None
    contents: Contents | None = yield Work(partial(kept, download.download_uri))
    return contents


def _of_the_same(same: list[Any], new: list[Any]) -> Verdict:
    """Return the verdict on a deployment from the new ones, and those of them that have its content."""
    if len(same) == 1:
        made = same[0]
        evidence = f"Deployment {made.version} has the same content, made at {made.created_at:%H:%M:%S} UTC."
        return Verdict("applied", evidence, made.id)
    if same:
        return Verdict("unknown", f"{len(same)} deployments of this content are new: {_versions(same)}.")
    seen = f" of this content; new are {_versions(new)}" if new else ""
    return Verdict("not applied", f"There is no new deployment{seen}.")


_TIMELESS = Verdict("unknown", "The platform does not tell its time, so new deployments cannot be told.")


def _made(operation: str, ids: tuple[str, ...], sent: str, read: str) -> Readback:
    """Return the readback of something that is known by its name among those of a list."""

    def readback(arguments: Mapping[str, Any], first: datetime | None) -> Exchange[Verdict]:
        rows = yield from OPERATIONS[operation].exchange(*(arguments[name] for name in ids))
        name = arguments["body"][sent]
        same = [row for row in rows if str(getattr(row, read)).lower() == str(name).lower()]
        new = [row for row in same if first is not None and row.created_at >= first]
        if len(new) == 1:
            return Verdict("applied", f"{name} is there, made at {new[0].created_at:%H:%M:%S} UTC.", new[0].id)
        if same:
            return Verdict("unknown", f"{name} is there, but may be older or not the only one.")
        if not rows.complete:
            return Verdict("unknown", "The list could not be read whole.")
        return Verdict("not applied", f"There is no {name}.")

    return readback


def _deployed(content: Callable[[Mapping[str, Any], Mapping[str, Any]], bool]) -> Readback:
    """Return the readback of a new deployment, known by its content and the time it was made."""

    def readback(arguments: Mapping[str, Any], first: datetime | None) -> Exchange[Verdict]:
        if first is None:
            return _TIMELESS
        rows = yield from OPERATIONS["ListDeployments"].exchange(arguments["project_id"], max_rows=20)
        new = [row for row in rows if row.created_at >= first]
        return _of_the_same([row for row in new if content(arguments, row.source or {})], new)

    return readback


def _triggered(source: Callable[[Mapping[str, Any]], Exchange[Mapping[str, Any] | None]]) -> Readback:
    """Return the readback of a deployment that the platform itself fetches, known by what it is made from."""

    def readback(arguments: Mapping[str, Any], first: datetime | None) -> Exchange[Verdict]:
        if first is None:
            return _TIMELESS
        rows = yield from OPERATIONS["ListDeployments"].exchange(arguments["project_id"], max_rows=20)
        new = [row for row in rows if row.created_at >= first and "image" not in (row.source or {})]
        wanted = yield from source(arguments)
        if wanted is None and new:
            return Verdict(
                "unknown", f"New is {_versions(new)}; whether by this call or by a push is not to be seen."
            )
        same = [row for row in new if wanted is not None and wanted.items() <= (row.source or {}).items()]
        return _of_the_same(same, new)

    return readback


def _of_the_branch(arguments: Mapping[str, Any]) -> Exchange[Mapping[str, Any] | None]:
    """Return what the newest commit of a branch has: its branch; None where the platform chooses it."""
    yield from ()
    return {"branch": arguments["branch"]} if arguments.get("branch") else None


def _of_the_first(arguments: Mapping[str, Any]) -> Exchange[Mapping[str, Any] | None]:
    """Return what a repetition has, of another branch that branch alone; None where the first one does not say."""
    if arguments.get("branch"):
        return {"branch": arguments["branch"]}
    first = yield from OPERATIONS["GetDeployment"].exchange(arguments["project_id"], arguments["deployment_id"])
    told = {name: value for name, value in (first.source or {}).items() if name in {"branch", "commit"} and value}
    return told if "commit" in told else None


def _versions(rows: list[Any]) -> str:
    return ", ".join(row.version for row in rows)


def _gone(operation: str, ids: tuple[str, ...], thing: str, *, listed: bool) -> Readback:
    """Return the readback of something that is to be gone, or on its way."""

    def readback(arguments: Mapping[str, Any], _first: datetime | None) -> Exchange[Verdict]:
        wanted = [arguments[name] for name in ids]
        try:
            if listed:
                rows = yield from OPERATIONS[operation].exchange(*wanted[:-1])
                found = next((row for row in rows if row.id == wanted[-1]), None)
            else:
                found = yield from OPERATIONS[operation].exchange(*wanted)
        except NotFound:
            found = None
        if found is None:
            return Verdict("applied", f"The {thing} is gone.")
        state = getattr(found, "status", None) or ("revoked" if getattr(found, "revoked_at", None) else "there")
        going = state in {"deleting", "deleted", "terminating", "sleeping", "revoked"}
        return Verdict("applied" if going else "not applied", f"The {thing} is {state}.")

    return readback


def _has(operation: str, ids: tuple[str, ...], same: Callable[[Any, Mapping[str, Any]], bool]) -> Readback:
    """Return the readback of values that something is to have now."""

    def readback(arguments: Mapping[str, Any], _first: datetime | None) -> Exchange[Verdict]:
        rows = yield from OPERATIONS[operation].exchange(*(arguments[name] for name in ids[:-1]))
        found = next((row for row in rows if row.id == arguments[ids[-1]]), None)
        if found is None:
            return Verdict("not applied", "It is not there any more.")
        if same(found, arguments["body"]):
            return Verdict("applied", "It has what was sent.")
        return Verdict("not applied", "It has not what was sent. Sending it again does no harm.")

    return readback


_ENVIRONMENT = ("project_id", "environment_id")

READBACK: dict[str, Readback] = {
    "CreateProject": _made("ListProjects", (), "uniqueName", "unique_name"),
    "CreateProjectEnvironment": _made("ListProjectEnvironments", ("project_id",), "uniqueName", "unique_name"),
    "CreateDomain": _made("ListDomains", ("project_id",), "name", "name"),
    "CreateAPIKey": _made("ListAPIKeys", (), "name", "name"),
    "CreateApp": _made("ListApps", (), "name", "name"),
    "CreateCronjob": _made("ListCronjobs", ("project_id",), "name", "name"),
    "CreateDeployment": _deployed(lambda sent, source: source.get("image") == sent["body"]["image"]),
    "TriggerLatestDeployment": _triggered(_of_the_branch),
    "RetriggerDeployment": _triggered(_of_the_first),
    "DeleteProject": _gone("GetProject", ("project_id",), "project", listed=False),
    "DeleteProjectEnvironment": _gone("ListProjectEnvironments", _ENVIRONMENT, "environment", listed=True),
    "DeleteDeployment": _gone("GetDeployment", ("project_id", "deployment_id"), "deployment", listed=False),
    "DeleteDomain": _gone("ListDomains", ("project_id", "domain_id"), "domain", listed=True),
    "DeleteApp": _gone("ListApps", ("app_id",), "app", listed=True),
    "DeleteCronjob": _gone("GetCronjob", ("project_id", "cronjob_id"), "cron job", listed=False),
    "DeleteProjectTemplate": _gone("GetProjectTemplate", ("template_id",), "template", listed=False),
    "RevokeAPIKey": _gone("ListAPIKeys", ("api_key_id",), "key", listed=True),
    "AssignDeploymentToProjectEnvironment": _has(
        "ListProjectEnvironments",
        _ENVIRONMENT,
        lambda found, body: found.project_deployment_id == body["deploymentId"],
    ),
    "UpdateProjectEnvironmentResources": _has(
        "ListProjectEnvironments",
        _ENVIRONMENT,
        lambda found, body: found.resources is not None and found.resources.wire().items() >= body.items(),
    ),
    "UpdateProjectEnvironmentEnvironmentVariables": _has(
        "ListProjectEnvironments",
        _ENVIRONMENT,
        lambda found, body: (
            {name: secret.reveal() for name, secret in found.settings.run_envs.items()} == body["runEnvs"]
        ),
    ),
}
"""How each operation's outcome is read back, but for uploads."""

_REPEAT = "Sending it again does no harm."
UNREADABLE = {
    "GetProjectTransferUri": "Tokens are not listed. Make another one; the first expires by itself.",
    "TransferProject": "Look whether the project is among yours now; the token is good once.",
    "InstallGithubApp": "Look at the connected accounts.",
    "TriggerSecurityScan": "Look at the deployment's scan.",
    "RetriggerSecurityScan": "Look at the deployment's scan.",
    "CreateProjectTemplate": "Look at your templates.",
    "BuyProjectTemplate": "Look at your purchases before you buy again: it costs money.",
    "DeployProjectTemplateViaGithub": "Look at your projects and at GitHub.",
    **{
        name: _REPEAT
        for name, declared in OPERATIONS.items()
        if declared.safety == "idempotent" and name not in READBACK
    },
}
"""Of operations whose outcome cannot be read back: what to do instead."""
