"""Deploy: upload a directory as a new deployment of an upload project."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

from createos_nb.api.client import Client
from createos_nb.api.contents import Contents, contents
from createos_nb.api.deployments import Deployment
from createos_nb.api.upload import OPERATION
from createos_nb.errors import InvalidArgument, WaitFailed
from createos_nb.markup import one_line
from createos_nb.plans.facts import at_rest, newest_version
from createos_nb.plans.plan import Call, Plan
from createos_nb.plans.run import Run


@dataclass(frozen=True, kw_only=True, repr=False)
class Deploy(Plan):
    """Uploads a directory; see `deploy`."""

    kind: ClassVar[str] = "deploy"

    contents: Contents = field(compare=False)

    def observe(self) -> dict[str, object]:
        """Read which deployment is the newest, and the directory as it is now."""
        promoting = _promoting(self.client, self.project_id)
        return _facts(self.client, self.project_id, contents(cast("Path", self.contents.root)), promoting)

    def carry_out(self, run: Run) -> None:
        """Upload, wait for the end of the build, and see where it went live."""
        upload, wait, *look = self.calls
        created = run.step(
            upload,
            lambda: self.client.deployments.upload(self.project_id, self.contents, progress=False),
            note=lambda answer: answer.id,
        )
        run.measured["deployment_id"] = created.id
        deployment = run.step(
            wait,
            lambda: self._ended(created.id, run),
            note=lambda state: state.status,
        )
        run.measured.update(version=deployment.version, status=deployment.status)
        if deployment.status != "deployed":
            run.end("undone", f"{deployment.version} ended as {deployment.status}: {self._last_line(deployment)}")
            return
        for call in look:
            run.step(call, lambda: self._settle(deployment), note=lambda names: ", ".join(names) or "nowhere")
        live = [
            item
            for item in self.client.environments.list(self.project_id)
            if item.project_deployment_id == deployment.id
        ]
        run.measured["environments"] = ",".join(item.unique_name for item in live)
        where = ", ".join(f"{item.unique_name} ({item.extra.endpoint})" for item in live)
        lacking = set(str(self.before["promoting"]).split(",")) - {item.unique_name for item in live} - {""}
        if lacking:
            missed = ", ".join(sorted(lacking))
            run.end(
                "unclear", f"{deployment.version} is deployed, but did not come live on {missed}. See its logs."
            )
            return
        run.end(
            "done", f"{deployment.version} is deployed" + (f" and live on {where}." if live else ", live nowhere.")
        )

    def _ended(self, deployment_id: str, run: Run) -> Deployment:
        """Wait for the end, and return the deployment as it ended: a bad end is this plan's to tell."""
        try:
            return self.client.deployments.wait(
                self.project_id,
                deployment_id,
                on_change=lambda state: run.say(f"  {state.version} {state.status}"),
                progress=False,
            )
        except WaitFailed as error:
            if error.outcome == "vanished":
                raise
            return cast("Deployment", error.last)

    def _settle(self, deployment: Deployment) -> list[str]:
        live = []
        for item in self.client.environments.list(self.project_id):
            if item.is_auto_promote_enabled:
                now = at_rest(self.client, self.project_id, item.id, deployment_id=deployment.id)
                live += [now.unique_name] if now.project_deployment_id == deployment.id else []
        return live

    def _last_line(self, deployment: Deployment) -> str:
        lines = self.client.deployments.build_logs(self.project_id, deployment.id)
        return one_line(lines[-1].log, limit=300) if lines else "the build log is empty."


def deploy(client: Client, *, project: str, project_id: str, directory: str | os.PathLike[str]) -> Deploy:
    """Plan to upload a directory as a new deployment.

    Parameters
    ----------
    project, project_id
        An upload project.
    directory
        Its files; what is left out is in the plan's notes.

    Raises
    ------
    InvalidArgument
        The directory cannot be uploaded, or the project takes no uploads.
    """
    found = contents(directory)
    found.arguments()  # too large a one is refused now, not at apply()
    kind = client.projects.get(project_id).type
    if kind != "upload":
        raise InvalidArgument(f"{project} is a project of type {kind}, which takes no uploads. Deploy it that way.")
    promoting = _promoting(client, project_id)
    summary = {"files": len(found.files), "bytes": found.size, "content": found.digest}
    calls = [
        Call(OPERATION[found.way], summary, f"upload {found.name}"),
        Call("GetDeployment", {}, "wait for the end of the build"),
    ]
    if promoting:
        calls.append(Call("ListProjectEnvironments", {}, f"wait until it is live on {', '.join(promoting)}"))
    left_out = "; ".join(f"{path} ({reason})" for path, reason in list(found.left_out.items())[:20])
    return Deploy(
        client=client,
        project=project,
        project_id=project_id,
        before=_facts(client, project_id, found, promoting),
        after={"live_on": ", ".join(promoting) or "nowhere until it is assigned"},
        calls=tuple(calls),
        requests=len(calls) + 15,
        risk=f"It goes live by itself on {', '.join(promoting)}." if promoting else "None for what serves now.",
        notes=(f"Left out: {left_out}.",) if left_out else (),
        contents=found,
    )


def _promoting(client: Client, project_id: str) -> list[str]:
    return [item.unique_name for item in client.environments.list(project_id) if item.is_auto_promote_enabled]


def _facts(client: Client, project_id: str, found: Contents, promoting: list[str]) -> dict[str, object]:
    deployments = client.deployments.list(project_id)
    newest = newest_version(deployments).version if deployments else ""
    return {"newest_deployment": newest, "content": found.digest, "promoting": ",".join(promoting)}
