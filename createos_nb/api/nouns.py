"""Nouns: the groups of operations that a client has, each loaded when it is first looked at.

To make the models of all twelve takes about as long as to load the libraries below; most work needs four of
them. Properties, since Tab completes what a property says that it returns, and remembers nothing of
``__getattr__``.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from createos_nb.api.account import Account, AsyncAccount
    from createos_nb.api.analytics import AnalyticsOperations, AsyncAnalyticsOperations
    from createos_nb.api.api_keys import APIKeys, AsyncAPIKeys
    from createos_nb.api.apps import Apps, AsyncApps
    from createos_nb.api.cronjobs import AsyncCronjobs, Cronjobs
    from createos_nb.api.deployments import AsyncDeployments, Deployments
    from createos_nb.api.domains import AsyncDomains, Domains
    from createos_nb.api.driver import AsyncDriver, Driver
    from createos_nb.api.environments import AsyncEnvironments, Environments
    from createos_nb.api.github import AsyncGithub, Github
    from createos_nb.api.projects import AsyncProjects, Projects
    from createos_nb.api.security_scans import AsyncSecurityScans, SecurityScans
    from createos_nb.api.templates import AsyncTemplates, Templates


class Nouns:
    """The operations of each noun, blocking."""

    _driver: Driver

    @cached_property
    def projects(self) -> Projects:
        """What is deployed: repositories, images, uploads."""
        from createos_nb.api.projects import Projects

        return Projects(self._driver)

    @cached_property
    def environments(self) -> Environments:
        """Where a project's deployments serve."""
        from createos_nb.api.environments import Environments

        return Environments(self._driver)

    @cached_property
    def deployments(self) -> Deployments:
        """Immutable builds of a project."""
        from createos_nb.api.deployments import Deployments

        return Deployments(self._driver)

    @cached_property
    def domains(self) -> Domains:
        """Names under which environments answer."""
        from createos_nb.api.domains import Domains

        return Domains(self._driver)

    @cached_property
    def analytics(self) -> AnalyticsOperations:
        """What environments answered."""
        from createos_nb.api.analytics import AnalyticsOperations

        return AnalyticsOperations(self._driver)

    @cached_property
    def account(self) -> Account:
        """Who the key belongs to, and its quotas."""
        from createos_nb.api.account import Account

        return Account(self._driver)

    @cached_property
    def api_keys(self) -> APIKeys:
        """Keys of the account."""
        from createos_nb.api.api_keys import APIKeys

        return APIKeys(self._driver)

    @cached_property
    def templates(self) -> Templates:
        """Published templates of projects."""
        from createos_nb.api.templates import Templates

        return Templates(self._driver)

    @cached_property
    def security_scans(self) -> SecurityScans:
        """Scans of deployments."""
        from createos_nb.api.security_scans import SecurityScans

        return SecurityScans(self._driver)

    @cached_property
    def github(self) -> Github:
        """Connected GitHub accounts, their repositories and branches."""
        from createos_nb.api.github import Github

        return Github(self._driver)

    @cached_property
    def cronjobs(self) -> Cronjobs:
        """Requests that the platform makes by the clock."""
        from createos_nb.api.cronjobs import Cronjobs

        return Cronjobs(self._driver)

    @cached_property
    def apps(self) -> Apps:
        """Groups of projects."""
        from createos_nb.api.apps import Apps

        return Apps(self._driver)


class AsyncNouns:
    """The operations of each noun, awaiting."""

    _driver: AsyncDriver

    @cached_property
    def projects(self) -> AsyncProjects:
        """What is deployed: repositories, images, uploads."""
        from createos_nb.api.projects import AsyncProjects

        return AsyncProjects(self._driver)

    @cached_property
    def environments(self) -> AsyncEnvironments:
        """Where a project's deployments serve."""
        from createos_nb.api.environments import AsyncEnvironments

        return AsyncEnvironments(self._driver)

    @cached_property
    def deployments(self) -> AsyncDeployments:
        """Immutable builds of a project."""
        from createos_nb.api.deployments import AsyncDeployments

        return AsyncDeployments(self._driver)

    @cached_property
    def domains(self) -> AsyncDomains:
        """Names under which environments answer."""
        from createos_nb.api.domains import AsyncDomains

        return AsyncDomains(self._driver)

    @cached_property
    def analytics(self) -> AsyncAnalyticsOperations:
        """What environments answered."""
        from createos_nb.api.analytics import AsyncAnalyticsOperations

        return AsyncAnalyticsOperations(self._driver)

    @cached_property
    def account(self) -> AsyncAccount:
        """Who the key belongs to, and its quotas."""
        from createos_nb.api.account import AsyncAccount

        return AsyncAccount(self._driver)

    @cached_property
    def api_keys(self) -> AsyncAPIKeys:
        """Keys of the account."""
        from createos_nb.api.api_keys import AsyncAPIKeys

        return AsyncAPIKeys(self._driver)

    @cached_property
    def templates(self) -> AsyncTemplates:
        """Published templates of projects."""
        from createos_nb.api.templates import AsyncTemplates

        return AsyncTemplates(self._driver)

    @cached_property
    def security_scans(self) -> AsyncSecurityScans:
        """Scans of deployments."""
        from createos_nb.api.security_scans import AsyncSecurityScans

        return AsyncSecurityScans(self._driver)

    @cached_property
    def github(self) -> AsyncGithub:
        """Connected GitHub accounts, their repositories and branches."""
        from createos_nb.api.github import AsyncGithub

        return AsyncGithub(self._driver)

    @cached_property
    def cronjobs(self) -> AsyncCronjobs:
        """Requests that the platform makes by the clock."""
        from createos_nb.api.cronjobs import AsyncCronjobs

        return AsyncCronjobs(self._driver)

    @cached_property
    def apps(self) -> AsyncApps:
        """Groups of projects."""
        from createos_nb.api.apps import AsyncApps

        return AsyncApps(self._driver)
