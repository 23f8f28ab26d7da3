"""Selection: one environment or many, with the frames and plans that concern them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from createos_nb import plans, schema
from createos_nb.analytics import Analytics
from createos_nb.api.client import Client
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project
from createos_nb.errors import InvalidArgument
from createos_nb.fanout import Failures
from createos_nb.logs import parse
from createos_nb.markup import escape, one_line
from createos_nb.plans.assign import Assign
from createos_nb.plans.domain import AssignDomain
from createos_nb.plans.rollback import Rollback
from createos_nb.plans.scale import Scale
from createos_nb.timerange import TimeRange

Since = str | timedelta | None

NO_LOGS = "Listening for logs..."
"""What the platform answers when there are none."""


@dataclass(frozen=True)
class Target:
    """One environment of a project, as it was when it was selected."""

    project: Project
    environment: Environment

    @property
    def names(self) -> tuple[str, str]:
        """Unique names of the project and the environment."""
        return self.project.unique_name, self.environment.unique_name

    @property
    def ids(self) -> tuple[str, str]:
        """Ids of the project and the environment."""
        return self.project.id, self.environment.id

    def __str__(self) -> str:
        return "/".join(self.names)


class Selection:
    """One environment or many: the same calls, the same frames.

    Attributes
    ----------
    analytics
        The platform's eight analytics answers as frames.
    """

    def __init__(self, client: Client, targets: Sequence[Target], failures: Failures) -> None:
        self.api = client
        self.analytics = Analytics(self)
        self._targets = tuple(targets)
        self._failures = failures

    def targets(self) -> tuple[Target, ...]:
        """Return the selected environments."""
        return self._targets

    @property
    def name(self) -> str:
        """``project/environment`` of each, comma-joined."""
        return ", ".join(map(str, self._targets))

    def __len__(self) -> int:
        return len(self._targets)

    def __repr__(self) -> str:
        return f"<Selection of {len(self)}: {one_line(self.name)}>"

    def _repr_html_(self) -> str:
        return f"<div style='font:13px/1.5 system-ui'>{escape(one_line(self.name, limit=2000))}</div>"

    def environments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the environments as they are now (`schema.ENVIRONMENTS`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self.collect(
            schema.ENVIRONMENTS,
            "ListProjectEnvironments",
            lambda one: [schema.environment_row(one.names[0], self.now(one))],
            strict=strict,
        )

    def deployments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all deployments of the projects, newest first (`schema.LIVE_DEPLOYMENTS`).

        The column ``live`` says which of them is live on one of the selected environments.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        by_project = {one.project.id: one for one in self._targets}
        selected = {one.environment.id for one in self._targets}

        def rows(one: Target) -> list[schema.Row]:
            environments = self.api.environments.list(one.project.id)
            live = {item.project_deployment_id for item in environments if item.id in selected}
            deployments = self.api.deployments.list(one.project.id)
            return [
                {
                    **schema.deployment_row(one.names[0], item, environments),
                    "live": item.id in live,
                    "complete": deployments.complete,
                }
                for item in deployments
            ]

        return self._failures.collect(
            schema.LIVE_DEPLOYMENTS,
            "ListDeployments",
            list(by_project.values()),
            lambda one: (one.names[0], None),
            rows,
            strict=strict,
        )

    def domains(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the domains that lead to the environments (`schema.DOMAINS`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self.collect(
            schema.DOMAINS,
            "ListDomains",
            lambda one: [
                schema.domain_row(one.names[0], item, [one.environment])
                for item in self.api.domains.list(one.project.id)
                if item.environment_id == one.environment.id
            ],
            strict=strict,
        )

    def variables(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the variables, their values masked (`schema.VARIABLES`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self.collect(
            schema.VARIABLES,
            "ListProjectEnvironments",
            lambda one: schema.variable_rows(one.names[0], self.now(one)),
            strict=strict,
        )

    def resources(self, *, strict: bool = False) -> pd.DataFrame:
        """Return cpu, memory and replicas (`schema.RESOURCES`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self.collect(
            schema.RESOURCES,
            "ListProjectEnvironments",
            lambda one: [schema.resource_row(one.names[0], self.now(one))],
            strict=strict,
        )

    def logs(self, *, since: Since = "15m", strict: bool = False) -> pd.DataFrame:
        """Return what the applications printed, parsed into columns (`schema.LOGS`), oldest first.

        Parameters
        ----------
        since
            How far to look back: ``"90s"``, ``"15m"``, ``"2h"``. The platform gives no other window.
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        seconds = max(1, round(TimeRange.of(since).duration.total_seconds()))

        def ask(one: Target) -> pd.DataFrame:
            text = self.api.environments.logs(*one.ids, since_seconds=seconds)
            return parse("" if text.strip() == NO_LOGS else text, project=one.names[0], environment=one.names[1])

        return self.collect(schema.LOGS, "GetProjectEnvironmentLogs", ask, strict=strict)

    def build_logs(self, *, deployment: str | None = None, strict: bool = False) -> pd.DataFrame:
        """Return the build log of a deployment of each project (`schema.BUILD_LOGS`).

        Parameters
        ----------
        deployment
            Its id or version (``"v3"``); default what is live.
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """

        def rows(one: Target) -> list[schema.Row]:
            wanted = deployment or self.now(one).project_deployment_id
            if wanted is None:
                return []
            found = [
                item for item in self.api.deployments.list(one.project.id) if wanted in {item.id, item.version}
            ]
            if not found:
                raise InvalidArgument(
                    f"{one_line(wanted)!r} is no deployment of {one.names[0]}. See .deployments()."
                )
            lines = self.api.deployments.build_logs(one.project.id, found[0].id)
            return schema.build_log_rows(one.names[0], found[0].id, lines)

        return self.collect(schema.BUILD_LOGS, "GetBuildLogs", rows, strict=strict)

    def plan_rollback(
        self, *, deployment: str | None = None, min_requests: int = 100, verify_for_s: float = 120.0
    ) -> Rollback:
        """Plan to put an older deployment live, pinned and verified by traffic. Shows, never acts.

        Parameters
        ----------
        deployment
            Its id or version (``"v2"``); default the newest older one that can serve.
        min_requests
            Requests that the verification needs.
        verify_for_s
            Seconds that it waits for them.

        Raises
        ------
        InvalidArgument
            There is nothing to roll back to; the message says why.
        """
        return plans.rollback(
            self.api, **self._one(), deployment=deployment, min_requests=min_requests, verify_for_s=verify_for_s
        )

    def plan_assign(self, *, deployment: str) -> Assign:
        """Plan to put a deployment live. Shows, never acts.

        Parameters
        ----------
        deployment
            Its id or version (``"v2"``).
        """
        return plans.assign(self.api, **self._one(), deployment=deployment)

    def plan_scale(
        self, *, replicas: int | None = None, cpu_millicores: int | None = None, memory_mb: int | None = None
    ) -> Scale:
        """Plan to change what the environment may use; what is not given stays. Shows, never acts.

        Parameters
        ----------
        replicas
            Processes, 1 to 3.
        cpu_millicores
            For each replica, 200 to 500.
        memory_mb
            For each replica, 500 to 1024.
        """
        return plans.scale(
            self.api, **self._one(), replicas=replicas, cpu_millicores=cpu_millicores, memory_mb=memory_mb
        )

    def plan_domain(self, name: str) -> AssignDomain:
        """Plan to lead a domain here: add it, check its records, assign it, as far as needed. Never acts.

        Parameters
        ----------
        name
            Such as ``"api.example.com"``.
        """
        return plans.domain(self.api, **self._one(), name=name)

    def now(self, target: Target) -> Environment:
        """Return one of the environments as it is now."""
        return self.api.environments.get(*target.ids)

    def collect(
        self,
        kind: schema.Kind,
        operation: str,
        rows: Callable[[Target], Sequence[schema.Row] | pd.DataFrame],
        *,
        strict: bool,
    ) -> pd.DataFrame:
        """Ask every environment for its rows, and return them as one frame."""
        return self._failures.collect(kind, operation, self._targets, lambda one: one.names, rows, strict=strict)

    def _one(self) -> dict[str, str]:
        if len(self._targets) != 1:
            raise InvalidArgument(
                f"A plan concerns one environment, and this selection has {len(self)}. Choose one: "
                f"{', '.join(map(str, self._targets[:10]))}."
            )
        (target,) = self._targets
        return {
            "project": target.names[0],
            "project_id": target.ids[0],
            "environment": target.names[1],
            "environment_id": target.ids[1],
        }
