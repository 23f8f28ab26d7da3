"""Gaps: what this platform has no machinery for, and the one way in which that is said."""

from __future__ import annotations

from createos_nb.errors import Unprocessable

GAPS = {
    "CreateDeployment": "it runs no container images; use an upload project",
    "TriggerLatestDeployment": "it has no git; upload the files",
    "InstallGithubApp": "it cannot reach GitHub; use an upload project",
    "TriggerSecurityScan": "it has no scanner",
    "RetriggerSecurityScan": "it has no scanner",
    "CreateCronjob": "it has no scheduler for cron jobs",
    "CreateProjectTemplate": "it has no marketplace of templates",
}
"""Operation to what is missing; each answers HTTP 422, once its arguments and what they name are good."""


def refuse(operation: str) -> Unprocessable:
    """Return the refusal of an operation in `GAPS`."""
    return Unprocessable.answer(f"not available on this platform: {GAPS[operation]}.")
