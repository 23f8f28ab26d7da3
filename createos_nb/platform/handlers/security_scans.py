"""Security scans: nothing was ever scanned on this platform, since it has no scanner."""

from __future__ import annotations

from typing import NoReturn

from createos_nb.api.security_scans import SecurityScan
from createos_nb.errors import NotFound
from createos_nb.platform.handlers.gaps import refuse
from createos_nb.platform.platform import Context


async def get(context: Context, *, project_id: str, deployment_id: str) -> SecurityScan:
    """Refuse: there is no scan, nor a report of one."""
    deployment = context.deployment(project_id, deployment_id)
    raise NotFound.answer(f"Deployment {deployment.version} was never scanned.")


async def trigger(context: Context, *, project_id: str, deployment_id: str) -> NoReturn:
    """Refuse: there is no scanner."""
    context.deployment(project_id, deployment_id)
    raise refuse("TriggerSecurityScan")


async def retrigger(context: Context, *, project_id: str, deployment_id: str) -> NoReturn:
    """Refuse: there is no scanner."""
    context.deployment(project_id, deployment_id)
    raise refuse("RetriggerSecurityScan")


HANDLERS = {
    "GetSecurityScan": get,
    "GetSecurityScanDownloadUri": get,
    "TriggerSecurityScan": trigger,
    "RetriggerSecurityScan": retrigger,
}
