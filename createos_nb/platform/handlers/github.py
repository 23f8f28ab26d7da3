"""GitHub: this platform is connected to no account."""

from __future__ import annotations

from typing import NoReturn

from createos_nb.api.github import GithubAccount
from createos_nb.api.secret import Secret
from createos_nb.errors import NotFound
from createos_nb.platform.handlers.gaps import refuse
from createos_nb.platform.platform import Context


async def install(_context: Context, *, installation_id: int, code: Secret) -> NoReturn:
    """Refuse: GitHub cannot be reached."""
    raise refuse("InstallGithubApp")


async def list_accounts(_context: Context) -> list[GithubAccount]:
    """List the connected accounts: none."""
    return []


async def list_repositories(_context: Context, *, installation_id: str) -> NoReturn:
    """Refuse: there is no account that could be named."""
    raise _unknown(installation_id)


async def list_branches(
    _context: Context,
    *,
    installation_id: str,
    repository: str,
    page: int | None,
    per_page: int | None,
    protected: str | None,
) -> NoReturn:
    """Refuse: there is no account that could be named."""
    raise _unknown(installation_id)


async def repository_content(
    _context: Context,
    *,
    installation_id: str,
    repository: str,
    branch: str,
    tree_sha: str | None,
) -> NoReturn:
    """Refuse: there is no account that could be named."""
    raise _unknown(installation_id)


def _unknown(installation_id: str) -> NotFound:
    return NotFound.answer(f"There is no connected GitHub account {installation_id} here.")


HANDLERS = {
    "InstallGithubApp": install,
    "ListConnectedGithubAccounts": list_accounts,
    "ListGithubInstallations": list_accounts,
    "ListGithubRepositories": list_repositories,
    "ListGithubRepositoryBranches": list_branches,
    "GetGithubRepositoryContent": repository_content,
}
