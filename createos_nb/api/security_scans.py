"""Security scans: what a scanner found in a deployment."""

from __future__ import annotations

from typing import Annotated, Any

from createos_nb.api.deployments import Download
from createos_nb.api.model import Model, Omissible, Timestamp, known
from createos_nb.api.operation import operation
from createos_nb.api.resource import AsyncResource, Resource

STATUSES = ("pending", "in_progress", "success", "failed")
"""The documented states; the user documentation says ``successful``."""

ScanStatus = Annotated[str, known(*STATUSES)]


class SecurityScan(Model):
    """The scan of one deployment, with its report once it has ended well."""

    id: str
    deployment_id: str
    status: ScanStatus
    type: Omissible[str] = None
    tool: Omissible[str] = None
    executor: str | None = None
    parsed_report: dict[str, Any] | None = None
    failed_reason: str | None = None
    created_at: Timestamp
    updated_at: Omissible[Timestamp] = None
    expires_at: Omissible[Timestamp] = None
    deleted_at: Timestamp | None = None


class _Operations:
    @operation("GetSecurityScan", "GET", "/v1/projects/{project_id}/deployments/{deployment_id}/security-scans")
    def get(self, project_id: str, deployment_id: str) -> SecurityScan:
        """Return the scan of a deployment.

        Raises
        ------
        NotFound
            It was never scanned.
        """
        raise NotImplementedError

    @operation(
        "GetSecurityScanDownloadUri",
        "GET",
        "/v1/projects/{project_id}/deployments/{deployment_id}/security-scans/download",
    )
    def download_uri(self, project_id: str, deployment_id: str) -> Download:
        """Return where the whole report can be had, for a while and without a key.

        Raises
        ------
        NotFound
            It was never scanned.
        """
        raise NotImplementedError

    @operation(
        "TriggerSecurityScan",
        "POST",
        "/v1/projects/{project_id}/deployments/{deployment_id}/security-scans/trigger",
        safety="creates",
    )
    def trigger(self, project_id: str, deployment_id: str) -> str:
        """Begin to scan a deployment that was not scanned yet."""
        raise NotImplementedError

    @operation(
        "RetriggerSecurityScan",
        "POST",
        "/v1/projects/{project_id}/deployments/{deployment_id}/security-scans/retrigger",
        safety="creates",
    )
    def retrigger(self, project_id: str, deployment_id: str) -> str:
        """Scan a deployment again; the earlier report is replaced.

        Raises
        ------
        NotFound
            It was never scanned.
        """
        raise NotImplementedError


class SecurityScans(_Operations, Resource):
    """Security scans: what a scanner found in a deployment."""


class AsyncSecurityScans(_Operations, AsyncResource):
    """Security scans, awaiting."""
