"""Frames: what is asked of selected environments, each question one DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from createos_nb import schema
from createos_nb.analytics import Analytics
from createos_nb.answers import Answers
from createos_nb.api.client import Client
from createos_nb.api.deployments import Deployments
from createos_nb.api.environments import Environment
from createos_nb.api.listing import Listing
from createos_nb.api.projects import Project
from createos_nb.completion import offers_dir
from createos_nb.errors import InvalidArgument, NotFound
from createos_nb.fanout import Asking, Question, Targets
from createos_nb.logs import parse
from createos_nb.markup import escape, one_line
from createos_nb.timerange import Moment, Since, TimeRange

_PLUMBING = {"ask", "answers", "targets"}


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

    def now(self, client: Client) -> Environment:
        """Return the environment as it is now."""
        return client.environments.get(*self.ids)

    def __str__(self) -> str:
        return "/".join(self.names)


@offers_dir
class EnvironmentFrames:
    """Questions about one environment or many: the same calls, the same frames.

    Parameters
    ----------
    targets
        The environments; a listing that is not complete makes every frame incomplete.
    asking
        Asks the questions, or explains what they would cost.

    Attributes
    ----------
    api
        The typed client, for everything that has no frame.
    analytics
        The platform's eight analytics answers as frames.
    """

    def __init__(self, targets: Sequence[Target], asking: Asking) -> None:
        self.api = asking.client
        self.analytics = Analytics(self)
        self._targets = targets if isinstance(targets, Listing) else Listing(tuple(targets))
        self._asking = asking

    @property
    def answers(self) -> Answers:
        """What is known about windows that are over."""
        return self._asking.answers

    def targets(self) -> tuple[Target, ...]:
        """Return the selected environments."""
        return tuple(self._targets)

    @property
    def name(self) -> str:
        """``project/environment`` of each, comma-joined."""
        return ", ".join(map(str, self._targets))

    def __dir__(self) -> Iterable[str]:
        # What other modules ask through is not what a person asks.
        return sorted(set(super().__dir__()) - _PLUMBING)

    def __len__(self) -> int:
        return len(self._targets)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}: {one_line(self.name)}>"

    def _repr_html_(self) -> str:
        return f"<div style='font:13px/1.5 system-ui'>{escape(one_line(self.name, limit=2000))}</div>"

    def environments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the environments as they are now (`schema.ENVIRONMENTS`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self._read(
            schema.ENVIRONMENTS, lambda one, now: [schema.environment_row(one.names[0], now)], strict=strict
        )

    def deployments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all deployments of the projects, newest first (`schema.LIVE_DEPLOYMENTS`).

        The column ``live`` says which of them is live on one of the selected environments.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        selected = {one.environment.id for one in self._targets}

        def frame(client: Client, one: Target) -> pd.DataFrame:
            environments = client.environments.list(one.project.id)
            found = client.deployments.run(
                Deployments.list.parts(schema.LIVE_DEPLOYMENT_RECORDS.read, one.project.id)
            )
            return schema.LIVE_DEPLOYMENT_RECORDS.frame(found, one.names[0], environments, selected)

        question = Question(
            schema.LIVE_DEPLOYMENTS,
            Targets(lambda _client: self._projects(), lambda one: (one.names[0], None)),
            frame,
            {"ListDeployments": 1, "ListProjectEnvironments": 1},
            frozenset({"ListDeployments"}),
        )
        return self._asking.ask(question, strict=strict)

    def domains(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the domains that lead to the environments (`schema.DOMAINS`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self.ask(
            schema.DOMAINS,
            lambda client, one: [
                schema.domain_row(one.names[0], item, [one.environment])
                for item in client.domains.list(one.project.id)
                if item.environment_id == one.environment.id
            ],
            {"ListDomains": 1},
            strict=strict,
        )

    def variables(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the variables, their values masked (`schema.VARIABLES`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self._read(schema.VARIABLES, lambda one, now: schema.variable_rows(one.names[0], now), strict=strict)

    def resources(self, *, strict: bool = False) -> pd.DataFrame:
        """Return cpu, memory and replicas (`schema.RESOURCES`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        return self._read(
            schema.RESOURCES, lambda one, now: [schema.resource_row(one.names[0], now)], strict=strict
        )

    def logs(
        self, since: Since = None, *, start: Moment | None = None, end: Moment | None = None, strict: bool = False
    ) -> pd.DataFrame:
        """Return what the applications printed, parsed into columns (`schema.LOGS`), oldest first.

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now): ``"90s"``, ``"2h"``; default 15 minutes. Or a `TimeRange`.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds. The platform gives the newest lines
            alone, by when they came: what was printed at ``end`` or later is left out here, by the time that a
            line says, or the line above it; nothing is, where no line says one.
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        present = self.api.now()
        window = TimeRange.of(since, start=start, end=end, now=present, default="15m")
        seconds = max(1, round((present - window.start).total_seconds()))
        ends = end is not None or isinstance(since, TimeRange)

        def ask(client: Client, one: Target) -> pd.DataFrame:
            text = client.environments.logs(*one.ids, since_seconds=seconds)
            frame = parse(text, project=one.names[0], environment=one.names[1])
            return frame[~(frame["timestamp"].ffill() >= window.end)].reset_index(drop=True) if ends else frame

        return self.ask(schema.LOGS, ask, {"GetProjectEnvironmentLogs": 1}, strict=strict)

    def build_logs(self, *, deployment: str | pd.Series[Any] | None = None, strict: bool = False) -> pd.DataFrame:
        """Return the build log of a deployment of each project (`schema.BUILD_LOGS`), each log once.

        Parameters
        ----------
        deployment
            Its id, version (``"v3"``) or row of a frame; default what is live on each of the environments.
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """
        if isinstance(deployment, pd.Series):
            deployment = deployment.get("deployment_id")
            if not isinstance(deployment, str):
                raise InvalidArgument("That row has no deployment_id. Pass a row of deployments(), or an id.")
        selected = {one.environment.id for one in self._targets}

        def live(client: Client, project_id: str) -> set[str]:
            its = client.environments.list(project_id)
            return {
                item.project_deployment_id for item in its if item.project_deployment_id and item.id in selected
            }

        def rows(client: Client, one: Target) -> list[schema.Row]:
            wanted = {str(deployment)} if deployment is not None else live(client, one.project.id)
            if not wanted:
                return []
            found = [item for item in client.deployments.list(one.project.id) if wanted & {item.id, item.version}]
            if not found:
                named = one_line(", ".join(sorted(wanted)))
                raise InvalidArgument(f"{named!r} is no deployment of {one.names[0]}. See .deployments().")
            return [
                row
                for item in found
                for row in schema.build_log_rows(
                    one.names[0], item.id, client.deployments.build_logs(one.project.id, item.id)
                )
            ]

        # What is live may be as many deployments of a project as it has environments here.
        pages = {"ListDeployments"} if deployment is not None else {"ListDeployments", "GetBuildLogs"}
        question = Question(
            schema.BUILD_LOGS,
            Targets(lambda _client: self._projects(), lambda one: (one.names[0], None)),
            rows,
            {"GetBuildLogs": 1, "ListDeployments": 1, "ListProjectEnvironments": int(deployment is None)},
            frozenset(pages),
        )
        return self._asking.ask(question, strict=strict)

    def security_scans(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the security scans of what is live on the environments (`schema.SECURITY_SCANS`).

        What was never scanned has a row without a scan.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out those that failed.
        """

        def rows(client: Client, one: Target) -> list[schema.Row]:
            return scanned(client, one.names[0], [one.now(client)])

        requests = {"GetSecurityScan": 1, "ListProjectEnvironments": 1}
        return self.ask(
            schema.SECURITY_SCANS, rows, requests, unbounded=frozenset({"GetSecurityScan"}), strict=strict
        )

    def _projects(self) -> Listing[Target]:
        """Return one environment of each project: what belongs to a project is asked for once."""
        of_each = {one.project.id: one for one in self._targets}
        return Listing(list(of_each.values()), complete=self._targets.complete)

    def ask(
        self,
        kind: schema.Kind,
        rows: Callable[[Client, Target], Sequence[schema.Row] | pd.DataFrame],
        requests: Mapping[str, int],
        *,
        strict: bool,
        unbounded: frozenset[str] = frozenset(),
        held: Callable[[Target], int] | None = None,
    ) -> pd.DataFrame:
        """Ask every environment for its rows, and return them as one frame; see `Question`."""
        targets = Targets(lambda _client: self._targets, lambda one: one.names)
        return self._asking.ask(Question(kind, targets, rows, requests, unbounded, held), strict=strict)

    def _read(
        self, kind: schema.Kind, rows: Callable[[Target, Environment], Sequence[schema.Row]], *, strict: bool
    ) -> pd.DataFrame:
        """Return a frame of what environments themselves say."""
        return self.ask(
            kind, lambda client, one: rows(one, one.now(client)), {"ListProjectEnvironments": 1}, strict=strict
        )


def scanned(client: Client, project: str, environments: Sequence[Environment]) -> list[schema.Row]:
    """Return the rows of a project for `schema.SECURITY_SCANS`: one for each deployment that is live."""
    live: dict[str, list[Environment]] = {}
    for environment in environments:
        if environment.project_deployment_id is not None:
            live.setdefault(environment.project_deployment_id, []).append(environment)
    rows = []
    for deployment_id, live_on in live.items():
        try:
            scan = client.security_scans.get(live_on[0].project_id, deployment_id)
        except NotFound:
            scan = None
        rows.append(schema.security_scan_row(project, live_on, scan))
    return rows
