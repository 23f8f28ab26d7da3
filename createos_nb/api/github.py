"""GitHub: the accounts that CreateOS may read, their repositories, and what is in them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from createos_nb.api.listing import Listing
from createos_nb.api.model import Model, Omissible
from createos_nb.api.operation import operation
from createos_nb.api.parameter import Query
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import Secret


class GithubAccount(Model):
    """A GitHub account with the CreateOS app installed."""

    installation_id: int
    username: str
    owner_id: Omissible[int] = None
    avatar_url: Omissible[str] = None


class GithubRepository(Model):
    """A repository of a connected account."""

    id: int
    name: str
    full_name: str
    private: Omissible[bool] = None
    default_branch: Omissible[str] = None


class GithubCommit(Model):
    """The newest commit of a branch."""

    sha: str
    url: Omissible[str] = None


class GithubBranch(Model):
    """A branch of a repository."""

    name: str
    protected: Omissible[bool] = None
    commit: Omissible[GithubCommit] = None


class GithubContent(Model):
    """The files of a repository, as GitHub's tree."""

    sha: Omissible[str] = None
    tree: tuple[dict[str, Any], ...] = ()
    truncated: Omissible[bool] = None


class _Operations:
    @operation("InstallGithubApp", "POST", "/v1/app-installations/github", safety="creates")
    def install(self, *, installation_id: int, code: Secret) -> str:
        """Connect a GitHub account, with what GitHub handed over after the app was installed there.

        Parameters
        ----------
        installation_id
            Of GitHub.
        code
            Of GitHub; good once.
        """
        raise NotImplementedError

    @operation("ListConnectedGithubAccounts", "GET", "/v1/app-installations/github/accounts")
    def list_accounts(self) -> Listing[GithubAccount]:
        """List the connected GitHub accounts."""
        raise NotImplementedError

    @operation("ListGithubInstallations", "GET", "/v1/app-installations/github/installations", tool=None)
    def list_installations(self) -> Listing[GithubAccount]:
        """List the installations of the CreateOS app; has no MCP tool."""
        raise NotImplementedError

    @operation(
        "ListGithubRepositories", "GET", "/v1/app-installations/github/accounts/{installation_id}/repositories"
    )
    def list_repositories(self, installation_id: str) -> Listing[GithubRepository]:
        """List the repositories of a connected account.

        Raises
        ------
        NotFound
            The account is not connected.
        """
        raise NotImplementedError

    @operation(
        "ListGithubRepositoryBranches",
        "GET",
        "/v1/app-installations/github/accounts/{installation_id}/repositories/branches",
    )
    def list_branches(
        self,
        installation_id: str,
        *,
        repository: str,
        page: Annotated[int, Field(ge=1)] | None = None,
        per_page: Annotated[int, Field(ge=1, le=100), Query("per-page")] | None = None,
        protected: Literal["true", "false"] | None = None,
    ) -> Listing[GithubBranch]:
        """List one page of a repository's branches.

        Parameters
        ----------
        repository
            Its full name, such as ``"octocat/shop"``.
        page
            From 1, which is the default.
        per_page
            Rows, 1 to 100; CreateOS uses 30 when it is not given.
        protected
            Only those that are, or are not.
        """
        raise NotImplementedError

    @operation(
        "GetGithubRepositoryContent",
        "POST",
        "/v1/app-installations/github/accounts/{installation_id}/repositories/content",
        safety="read",
    )
    def repository_content(
        self, installation_id: str, *, repository: str, branch: str, tree_sha: str | None = None
    ) -> GithubContent:
        """Return the files of a repository.

        Parameters
        ----------
        repository
            Its full name, such as ``"octocat/shop"``.
        branch
            Of which branch.
        tree_sha
            Of which directory; the root when it is not given.
        """
        raise NotImplementedError


class Github(_Operations, Resource):
    """GitHub: the accounts that CreateOS may read, their repositories, and what is in them."""


class AsyncGithub(_Operations, AsyncResource):
    """GitHub, awaiting."""
