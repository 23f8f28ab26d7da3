"""Deployments: immutable builds of a project, which environments point at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WrapValidator

from createos_nb.api.contents import Contents, Uploadable
from createos_nb.api.listing import Listing
from createos_nb.api.message import Exchange
from createos_nb.api.model import Model, Omissible, Timestamp, known, without_empty
from createos_nb.api.operation import operation
from createos_nb.api.outcomes import STATUSES as STATUSES
from createos_nb.api.outcomes import UNFINISHED as UNFINISHED
from createos_nb.api.outcomes import deployed
from createos_nb.api.parameter import Multipart, Query
from createos_nb.api.procedure import Procedure
from createos_nb.api.projects import Created, VcsSettings
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import Secret
from createos_nb.api.source_files import EncodedFile as EncodedFile
from createos_nb.api.source_files import SourceFile as SourceFile
from createos_nb.api.source_files import archive
from createos_nb.api.upload import Upload, uploading
from createos_nb.api.waiting import until

DeploymentStatus = Annotated[str, known(*STATUSES)]


Image = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^\S+$", description="without spaces")]


class DeploymentExtra(Model):
    """Where it answers."""

    endpoint: Omissible[str] = None


class Deployment(Model):
    """An immutable build of a project."""

    id: str
    project_id: str
    status: DeploymentStatus
    """An unknown one is kept, and never taken for success."""
    version_number: Omissible[int] = None
    source: Omissible[dict[str, Any]] = None
    settings: Omissible[Annotated[VcsSettings, WrapValidator(without_empty)]] = None
    extra: DeploymentExtra = DeploymentExtra()
    artifact_image: str | None = None
    cancel_reason: str | None = None
    cancelled_at: Timestamp | None = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None

    @property
    def version(self) -> str:
        """``"v3"``, or the id's beginning when the platform gave no number."""
        return f"v{self.version_number}" if self.version_number is not None else self.id[:8]


class BuildLogLine(Model):
    """One line of a build log."""

    log_columns: ClassVar = ("ts", "stage", "line_number", "log")

    deployment_id: Omissible[str] = None
    ts: Timestamp
    stage: str
    line_number: int
    log: str
    created_at: Omissible[Timestamp] = None


class Download(Model):
    """Where something can be had, for a while and without a key."""

    download_uri: Secret
    """Whoever has it can fetch it."""


class _Operations:
    @operation("ListDeployments", "GET", "/v1/projects/{project_id}/deployments", paged=True)
    def list(
        self,
        project_id: str,
        *,
        page_size: Annotated[int, Field(ge=1, le=20)] = 20,
        max_rows: Annotated[int, Field(ge=1)] | None = None,
    ) -> Listing[Deployment]:
        """List a project's deployments, newest first.

        Parameters
        ----------
        page_size
            Rows a request, 1 to 20.
        max_rows
            Rows in all; None for every one.
        """
        raise NotImplementedError

    @operation("GetDeployment", "GET", "/v1/projects/{project_id}/deployments/{deployment_id}")
    def get(self, project_id: str, deployment_id: str) -> Deployment:
        """Return one deployment with its settings (variables masked).

        Raises
        ------
        NotFound
            The project has no such deployment.
        """
        raise NotImplementedError

    @operation("UploadDeploymentFiles", "PUT", "/v1/projects/{project_id}/deployments/files", safety="creates")
    def upload_files(
        self, project_id: str, *, files: Annotated[Sequence[SourceFile], Field(min_length=1, max_length=100)]
    ) -> Created:
        """Upload text files as a new deployment of an upload project, and build it.

        Parameters
        ----------
        files
            1 to 100 files; for more, or for binary ones, use `upload_zip`.

        Notes
        -----
        A PUT that creates: sent twice, it deploys twice. It is repeated by itself only where the platform says that
        it refused it for want of budget (HTTP 429) and when to come again.
        """
        raise NotImplementedError

    @operation(
        "UploadDeploymentBase64Files", "PUT", "/v1/projects/{project_id}/deployments/files/base64", safety="creates"
    )
    def upload_base64_files(
        self, project_id: str, *, files: Annotated[Sequence[EncodedFile], Field(min_length=1, max_length=100)]
    ) -> Created:
        """Upload files of any bytes as a new deployment of an upload project, and build it.

        Parameters
        ----------
        files
            1 to 100 files, each in base64; for more, use `upload_zip`.

        Notes
        -----
        A PUT that creates: sent twice, it deploys twice. It is repeated by itself only where the platform says that
        it refused it for want of budget (HTTP 429) and when to come again.
        """
        raise NotImplementedError

    @operation("CreateDeployment", "POST", "/v1/projects/{project_id}/deployments", safety="creates")
    def create(self, project_id: str, *, image: Image) -> Created:
        """Deploy a container image to an image project.

        Parameters
        ----------
        image
            Such as ``"nginx:1.27"``.
        """
        raise NotImplementedError

    @operation("TriggerLatestDeployment", "POST", "/v1/projects/{project_id}/trigger-latest", safety="creates")
    def trigger_latest(
        self, project_id: str, *, branch: Annotated[str, Query("branch", or_in_body=True)] | None = None
    ) -> Created | str:
        """Build the newest commit of a vcs project.

        Parameters
        ----------
        branch
            Of which branch; the project's default one when it is not given.

        Returns
        -------
        Created or str
            The new deployment's id, or the platform's sentence that it is deployed already.
        """
        raise NotImplementedError

    @operation(
        "RetriggerDeployment",
        "POST",
        "/v1/projects/{project_id}/deployments/{deployment_id}/retrigger",
        safety="creates",
    )
    def retrigger(
        self,
        project_id: str,
        deployment_id: str,
        *,
        settings: Annotated[Literal["project", "deployment"], Query("settings")] | None = None,
        branch: Annotated[str, Query("branch")] | None = None,
    ) -> Created | str:
        """Build a deployment of a vcs project again, as a new deployment.

        Parameters
        ----------
        settings
            ``"project"`` for the present settings, ``"deployment"`` (the default) for those it was built with.
        branch
            Of which branch.
        """
        raise NotImplementedError

    @operation(
        "WakeupDeployment",
        "POST",
        "/v1/projects/{project_id}/deployments/{deployment_id}/wakeup",
        safety="idempotent",
    )
    def wake(self, project_id: str, deployment_id: str) -> str:
        """Let a sleeping deployment run again.

        Raises
        ------
        Unprocessable
            It does not sleep.
        """
        raise NotImplementedError

    @operation("DownloadDeployment", "GET", "/v1/projects/{project_id}/deployments/{deployment_id}/download")
    def download_uri(self, project_id: str, deployment_id: str) -> Download:
        """Return where the files that a deployment was built from can be had."""
        raise NotImplementedError

    @operation("UploadDeploymentZip", "PUT", "/v1/projects/{project_id}/deployments/upload-zip", safety="creates")
    def upload_zip(
        self, project_id: str, *, file: Annotated[bytes, BeforeValidator(archive), Multipart("file")]
    ) -> Created:
        """Upload a zip archive as a new deployment of an upload project, and build it.

        Parameters
        ----------
        file
            The archive; at most 50 MB, the official client's limit.

        Raises
        ------
        BadRequest
            The archive has an entry that would be written outside its directory, or is otherwise hostile.
        """
        raise NotImplementedError

    @operation("GetBuildLogs", "GET", "/v1/projects/{project_id}/deployments/{deployment_id}/build-logs")
    def build_logs(
        self, project_id: str, deployment_id: str, *, skip: Annotated[int, Field(ge=0)] | None = None
    ) -> Listing[BuildLogLine]:
        """Return a deployment's build log; empty for image projects.

        Parameters
        ----------
        skip
            Lines to leave out at the beginning.
        """
        raise NotImplementedError

    @operation("GetDeploymentLogs", "GET", "/v1/projects/{project_id}/deployments/{deployment_id}/deployment-logs")
    def logs(
        self,
        project_id: str,
        deployment_id: str,
        *,
        since_seconds: Annotated[int, Field(ge=1), Query("since-seconds")] | None = None,
    ) -> str:
        """Return what a deployment's processes printed, as one text.

        Parameters
        ----------
        since_seconds
            Seconds to look back; CreateOS uses 60 when it is not given.
        """
        raise NotImplementedError

    @operation(
        "CancelDeployment",
        "POST",
        "/v1/projects/{project_id}/deployments/{deployment_id}/cancel",
        safety="idempotent",
    )
    def cancel(self, project_id: str, deployment_id: str) -> str:
        """Cancel a deployment that is queued or building.

        Raises
        ------
        Unprocessable
            It is past that.
        """
        raise NotImplementedError

    @operation(
        "DeleteDeployment",
        "DELETE",
        "/v1/projects/{project_id}/deployments/{deployment_id}",
        safety="destroys",
    )
    def delete(self, project_id: str, deployment_id: str) -> str:
        """Terminate a deployment, even one that an environment serves.

        Notes
        -----
        The official command-line client uses it to put a deployment to sleep; the documentation calls it
        asynchronous deletion. Of one that is live it stops what answers now: an embedded platform puts it to
        sleep, and the next request wakes it. To remove old versions, leave out what an environment names as its
        `project_deployment_id`.
        """
        raise NotImplementedError


class _Procedures(_Operations):
    @Procedure
    def upload(
        self, project_id: str, directory_or_files: Uploadable | Contents, *, progress: bool = True
    ) -> Exchange[Upload]:
        """Upload files as a new deployment of an upload project, and build it.

        Sent as text files where they are few and text, as base64 where some are not, else as a zip archive.

        Parameters
        ----------
        directory_or_files
            A directory; or files below the working directory, each by its path; or relative path to content.
            Version control, caches, links and files that may hold secrets are left out, and of a directory
            what git ignores, unless its ``.createosignore`` takes that back.
        progress
            Whether to show a bar for a large archive, in a notebook or at a terminal.

        Returns
        -------
        Upload
            The new deployment's id, what was sent, and what was left out and why.

        Raises
        ------
        InvalidArgument
            There is nothing to upload, something cannot be read, or it is more than 50 MB; nothing was sent.
        OutcomeUnknown
            No answer came that tells; it is sent again only after a refusal for want of budget (HTTP 429).
        """
        return (yield from uploading(project_id, directory_or_files, progress=progress))

    @Procedure
    def wait(
        self,
        project_id: str,
        deployment_id: str,
        *,
        timeout_s: float = 960.0,
        on_change: Callable[[Any], None] | None = None,
        progress: bool = True,
    ) -> Exchange[Deployment]:
        """Wait until a deployment is deployed.

        Parameters
        ----------
        timeout_s
            Seconds to wait; a build ends after 15 minutes at most.
        on_change
            Called with the deployment at every change.
        progress
            Whether to show its status and the time, in a notebook or at a terminal.

        Returns
        -------
        Deployment
            Always one that is ``deployed``; an unknown status is waited out, never taken for success.

        Raises
        ------
        WaitFailed
            It ended otherwise; ``outcome`` is ``build_error``, ``crashing``, ``cancelled``, ``error``,
            ``sleeping``, ``terminating`` or ``vanished``, and ``last`` the deployment as last seen.
        Unauthorized
            The key was refused meanwhile; the build goes on.
        TimedOut
            It had not ended within ``timeout_s``; call again to go on waiting.
        """
        deployment: Deployment = yield from until(
            lambda: Deployments.get.exchange(project_id, deployment_id),
            deployed,
            timeout_s=timeout_s,
            what=f"The end of deployment {deployment_id}",
            on_change=on_change,
            progress=progress,
        )
        return deployment


class Deployments(_Procedures, Resource):
    """Deployments: immutable builds of a project, which environments point at."""


class AsyncDeployments(_Procedures, AsyncResource):
    """Deployments, awaiting."""
