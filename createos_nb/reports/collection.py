"""Collection: asks the platform and the journal for what a report shows; the only reading there is."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from createos_nb import schema
from createos_nb.api.environments import Environment
from createos_nb.api.secret import Secret
from createos_nb.errors import CreateOSError
from createos_nb.reports.evidence import Evidence, Gap, Note, Pin
from createos_nb.reports.masking import masked, worth_hiding
from createos_nb.schema import Kind
from createos_nb.timerange import TimeRange
from createos_nb.workspace import Workspace

if TYPE_CHECKING:
    from createos_nb.selection import Selection


class Collection:
    """One pass over the sources of a report.

    Attributes
    ----------
    secrets
        The API key and the values of the environment's variables, which must not get into a report.
    gaps
        The sources that did not answer, or not wholly.
    """

    def __init__(self, selection: Selection, window: TimeRange) -> None:
        self._selection = selection
        self._window = window
        (self._target,) = selection.targets()
        self._workspace = Workspace(selection.api)
        self.gaps: list[Gap] = []
        self._variables_are_known = False
        self.secrets: dict[str, Secret] = {"the API key": self._workspace.api.settings.credential}

    def evidence(self, identifier: str, title: str, notes: list[Note], pins: list[Pin]) -> Evidence:
        """Ask everything and return it, frozen."""
        live = self._ask("the environment", schema.ENVIRONMENTS, self._live)
        analytics, start, end = self._selection.analytics, self._window.start, self._window.end
        return Evidence(
            identifier=identifier,
            title=title,
            project=self._target.names[0],
            environment=self._target.names[1],
            platform=f"CreateOS at {self._workspace.api.settings.api_url}",
            window=self._window,
            collected_at=datetime.now(UTC).replace(microsecond=0),
            collected_by=_user(),
            live=live,
            overall=self._ask(
                "counts of requests",
                schema.OVERALL_REQUESTS,
                lambda: analytics.overall_requests(start=start, end=end),
            ),
            over_time=self._ask(
                "requests over time",
                schema.REQUESTS_OVER_TIME,
                lambda: analytics.requests_over_time(start=start, end=end),
            ),
            error_paths=self._ask(
                "paths with errors", schema.TOP_ERROR_PATHS, lambda: analytics.top_error_paths(start=start, end=end)
            ),
            deployments=self._ask("deployments", schema.LIVE_DEPLOYMENTS, self._selection.deployments),
            journal=self._ask("the journal of changes", schema.JOURNAL, self._journal),
            logs=self._ask("the runtime log", schema.LOGS, self._logs),
            notes=tuple(notes),
            pins=tuple(pins),
            gaps=tuple(self.gaps),
        )

    def _ask(self, source: str, kind: Kind, question: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        try:
            answer = question()
        except CreateOSError as error:
            self.gaps.append(Gap(source, str(error)))
            return kind.empty()
        if not answer["complete"].all():
            self.gaps.append(Gap(f"part of {source}", "The platform did not give all of it."))
        return masked(answer, self.secrets)

    def _live(self) -> pd.DataFrame:
        environment = self._target.now(self._selection.api)
        public = [
            self._workspace.api.settings.api_url,
            str(self._target),
            environment.extra.endpoint or "",
            *environment.extra.custom_domains,
        ]
        self.secrets.update(worth_hiding(self._variables(environment), public=public))
        self._variables_are_known = True
        return schema.ENVIRONMENTS.frame([schema.environment_row(self._target.names[0], environment)])

    def _variables(self, environment: Environment) -> dict[str, Secret]:
        """Return every variable that a process of the environment, or a build, may have been given."""
        api, project_id = self._workspace.api, self._target.ids[0]
        settings = [api.projects.get(project_id).settings]
        settings += [deployment.settings for deployment in api.deployments.list(project_id)]
        found = {f"the variable {name}": value for name, value in environment.settings.run_envs.items()}
        for number, each in enumerate(item for item in settings if item is not None):
            for name, value in {**(each.build_vars or {}), **(each.run_envs or {})}.items():
                found.setdefault(f"the variable {name} of settings {number}", value)
        return found

    def _logs(self) -> pd.DataFrame:
        if not self._variables_are_known:
            raise CreateOSError("Left out: the variables whose values to mask in it could not be read.")
        logs = self._selection.logs(self._window)
        # What came in the window and says an earlier time is not of it.
        return logs[~(logs["timestamp"] < self._window.start)].reset_index(drop=True)

    def _journal(self) -> pd.DataFrame:
        project, environment = self._target.names
        journal = self._workspace.journal()
        here = (journal["project"] == project) & (journal["environment"].fillna(environment) == environment)
        return journal[here & _within(journal["at"], self._window)].reset_index(drop=True)


def _within(moments: pd.Series, window: TimeRange) -> pd.Series:
    return (moments >= window.start) & (moments < window.end)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under an id that has no name
        return str(os.getuid())
