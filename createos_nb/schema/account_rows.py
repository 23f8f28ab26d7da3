"""Account rows: what belongs to an account beside its projects' daily life, as rows of frames."""

from __future__ import annotations

from collections.abc import Iterable

from createos_nb.api.apps import App
from createos_nb.api.cronjobs import Cronjob
from createos_nb.api.environments import Environment
from createos_nb.api.github import GithubAccount, GithubBranch, GithubRepository
from createos_nb.api.projects import Transfer
from createos_nb.api.security_scans import SecurityScan
from createos_nb.api.templates import ProjectTemplate
from createos_nb.schema.rows import Row


def app_row(app: App) -> Row:
    """Return the row of an app for `APPS`."""
    return {
        "app": app.name,
        "app_id": app.id,
        "description": app.description,
        "color": app.color,
        "created_at": app.created_at,
        "updated_at": app.updated_at,
    }


def github_account_row(account: GithubAccount) -> Row:
    """Return the row of a connected account for `GITHUB_ACCOUNTS`."""
    return {
        "account": account.username,
        "installation_id": str(account.installation_id),
        "owner_id": None if account.owner_id is None else str(account.owner_id),
    }


def github_repository_row(account: GithubAccount, repository: GithubRepository) -> Row:
    """Return the row of a repository for `GITHUB_REPOSITORIES`."""
    return {
        "account": account.username,
        "installation_id": str(account.installation_id),
        "repository": repository.full_name,
        "repository_id": str(repository.id),
        "private": bool(repository.private),
        "default_branch": repository.default_branch,
    }


def github_branch_row(account: GithubAccount, repository: str, branch: GithubBranch) -> Row:
    """Return the row of a branch for `GITHUB_BRANCHES`."""
    return {
        "account": account.username,
        "repository": repository,
        "branch": branch.name,
        "protected": bool(branch.protected),
        "commit": branch.commit.sha if branch.commit else None,
    }


def security_scan_row(project: str, live_on: Iterable[Environment], scan: SecurityScan | None) -> Row:
    """Return the row of a deployment that is live for `SECURITY_SCANS`; without a scan, it was never scanned."""
    environments = sorted(live_on, key=lambda item: item.unique_name)
    row: Row = {
        "project": project,
        "environment": ",".join(item.unique_name for item in environments),
        "project_id": environments[0].project_id,
        "deployment_id": environments[0].project_deployment_id,
    }
    if scan is None:
        return row
    return {
        **row,
        "scan_id": scan.id,
        "status": scan.status,
        "tool": scan.tool,
        "failed_reason": scan.failed_reason,
        "created_at": scan.created_at,
        "updated_at": scan.updated_at,
    }


def transfer_row(project: str, transfer: Transfer) -> Row:
    """Return the row of a transfer for `TRANSFERS`."""
    return {
        "project": project,
        "project_id": transfer.project_id,
        "transfer_id": transfer.id,
        "from_user_id": transfer.from_user_id,
        "to_user_id": transfer.to_user_id,
        "created_at": transfer.created_at,
        "expires_at": transfer.expires_at,
        "updated_at": transfer.updated_at,
    }


def cronjob_row(project: str, cronjob: Cronjob, environments: Iterable[Environment]) -> Row:
    """Return the row of a cron job for `CRONJOBS`."""
    names = {environment.id: environment.unique_name for environment in environments}
    return {
        "project": project,
        "environment": names.get(cronjob.environment_id),
        "project_id": cronjob.project_id,
        "environment_id": cronjob.environment_id,
        "cronjob": cronjob.name,
        "cronjob_id": cronjob.id,
        "schedule": cronjob.schedule,
        "type": cronjob.type,
        "status": cronjob.status,
        "suspended_at": cronjob.suspended_at,
        "created_at": cronjob.created_at,
    }


def template_row(template: ProjectTemplate) -> Row:
    """Return the row of a published template for `TEMPLATES`."""
    return {
        "template": template.name,
        "template_id": template.id,
        "status": template.status,
        "categories": ",".join(template.categories),
        "amount": template.amount,
        "author": template.author.name if template.author else None,
        "purchased": bool(template.has_user_purchased),
        "created_at": template.created_at,
    }
