"""Workspace: every question about what runs on CreateOS is one call that returns a DataFrame.

    ws.deployments()                                  # of everything this key may see
    prod = ws["shop/production"]                      # a selection: one environment, or many
    prod.analytics.requests_over_time(since="1h")     # one frame, whatever the number of environments
    prod.plan_rollback()                              # a plan: shows, never acts

A selection is ``project/environment``; either part may be a pattern (``"*/production"``), several go as a
list, and ``ws[:]`` is everything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pandas as pd

import createos_nb.accessor  # noqa: F401 - registers df.createos
from createos_nb import schema
from createos_nb.account import AccountFrames
from createos_nb.answers import Answers
from createos_nb.api.listing import Listing
from createos_nb.api.projects import Project
from createos_nb.errors import (
    ConnectionFailed,
    CreateOSError,
    GivenUp,
    InvalidArgument,
    NotFound,
    RateLimited,
    TimedOut,
    Unauthorized,
)
from createos_nb.explanation import Explained
from createos_nb.extras import require
from createos_nb.fanout import FanOut
from createos_nb.frames import Target
from createos_nb.markup import escape, one_line
from createos_nb.names import Names
from createos_nb.plans import deploy
from createos_nb.plans.journal import Journal
from createos_nb.selection import Selection

if TYPE_CHECKING:
    from createos_nb.api.client import Client
    from createos_nb.archive import Archive
    from createos_nb.plans.deploy import Deploy


class Workspace(AccountFrames):
    """What a person works on: frames about everything that a key may see, and selections of it.

    Parameters
    ----------
    client
        Carries the requests out; `connect` and `local` make one.

    Attributes
    ----------
    api
        The typed client, for everything that has no frame.
    """

    def __init__(self, client: Client) -> None:
        self._fanout = FanOut(client, Answers.of(client))
        self._names = Names(client)
        super().__init__(self._fanout)

    @property
    def platform(self) -> str:
        """The platform it talks to and the key it uses, in one line without the key."""
        info = self.api.info()
        return f"CreateOS at {info['api_url']}, key from {info['source']}"

    def __repr__(self) -> str:
        return f"<Workspace on {one_line(self.platform)}>"

    def _repr_html_(self) -> str:
        return f"<div style='font:13px/1.5 system-ui'>{escape(self.platform)}</div>"

    def __getitem__(self, key: str | Sequence[str] | slice) -> Selection:
        """Return the environments that a key names; see the module's docstring.

        Raises
        ------
        NotFound
            There is no such project or environment; the message lists those that there are.
        InvalidArgument
            It is not a key of that form.
        CreateOSError
            A project that was named cannot be read, or none of them, or nothing was found in the others.

        Warns
        -----
        PartialWarning
            Some of the projects of a pattern cannot be read: the selection lacks them, and the frames that it
            answers with say so in ``complete``.
        """
        patterns = _patterns(key)
        projects = self._projects(patterns)
        found: list[Target] = []
        names: dict[str, list[str]] = {}
        heard = self._fanout.hear(
            projects,
            lambda client, one: client.environments.list(one.id),
            names=lambda one: (one.unique_name, None),
            operation="ListProjectEnvironments",
            # What was named is not to be left out.
            needed=lambda one: any(_named(pattern, one.unique_name) for pattern, _ in patterns),
            of_all=(ConnectionFailed, GivenUp, RateLimited, TimedOut, Unauthorized),
        )
        for project, environments in heard.answers:
            names[project.unique_name] = [environment.unique_name for environment in environments]
            found += [
                Target(project, environment)
                for environment in environments
                if any(_matches(pattern, project.unique_name, environment.unique_name) for pattern in patterns)
            ]
        self._names.learn(names)
        if heard.failed:
            self._fanout.warn(f"The selection lacks environments: {heard.message}")
        for pattern in patterns:
            # Of everything there may be nothing: a new account is no mistake.
            if pattern != ("*", "*") and not any(_matches(pattern, *target.names) for target in found):
                if heard.failed:
                    raise heard.error  # It may be there.
                within = {name: its for name, its in names.items() if _same(pattern[0], name)}
                raise NotFound(self._missing(pattern, within), status=404)
        return Selection(Listing(found, complete=not heard.failed), self._fanout)

    def _ipython_key_completions_(self) -> list[str]:
        return self._names.selections()

    def _projects(self, patterns: Sequence[tuple[str, str]]) -> list[Project]:
        names = {project for project, _ in patterns}
        if any(_is_pattern(name) for name in names):
            listing = self.api.projects.list()
            if not listing.complete:
                raise CreateOSError("The list of projects changed while it was read. Select again.")
            listed = list(listing)
        else:
            # The platform's filter is "contains", so what it answers is looked through below.
            listed = [item for name in sorted(names) for item in self.api.projects.list(name=name)]
        found = {item.id: item for item in listed if any(_same(name, item.unique_name) for name in names)}
        return list(found.values())

    def _missing(self, pattern: tuple[str, str], within: Mapping[str, Sequence[str]]) -> str:
        """Return a message about a pattern that nothing follows; within the projects that it names."""
        project, environment = pattern
        return (
            self._names.missing_environment(environment, within) if within else self._names.missing_project(project)
        )

    def explain(self) -> AccountFrames:
        """Return the same calls, which say what they would cost instead of making requests.

        Returns
        -------
        AccountFrames
            Each call of it returns a frame of kind `schema.EXPLANATION`: the requests it would send, and their
            share of the budget. It sends one request at most, to learn how many projects there are.

        Examples
        --------
        >>> ws.explain().deployments()  # doctest: +SKIP
        """
        return AccountFrames(Explained(self.api, self._fanout.answers))

    def errors(self) -> pd.DataFrame:
        """Return the targets that failed in the last call, and why (`schema.ERRORS`)."""
        return self._fanout.errors()

    def journal(self) -> pd.DataFrame:
        """Return what was changed from this machine (`schema.JOURNAL`), oldest first.

        Only changes made through this package by this user are in it; the platform keeps no audit log.
        """
        here = self.api.settings.api_url
        return schema.JOURNAL.frame(Journal().rows(platform=here))

    def archive(self, where: str | os.PathLike[str]) -> Archive:
        """Return the archive at a place: history beyond the platform's memory, as Parquet files and Ibis tables.

        Parameters
        ----------
        where
            A directory, or a URL that fsspec knows, such as ``"s3://bucket/history"``. It is made when the
            first rows are written. Never put credentials into it.

        Raises
        ------
        MissingExtra
            The libraries for it are not installed; the message has the line that installs them.
        InvalidArgument
            It is no such place.

        Examples
        --------
        >>> archive = ws.archive("history")  # doctest: +SKIP
        >>> archive.collect(ws["*/production"], since="7d")  # doctest: +SKIP
        >>> archive.questions.summary(archive.traffic()).to_pandas()  # doctest: +SKIP
        """
        require("archive", "An archive")
        from createos_nb.archive import Archive

        return Archive(where)

    def plan_deploy(self, project: str, *, directory: str | os.PathLike[str]) -> Deploy:
        """Plan to upload a directory as a new deployment of an upload project.

        Parameters
        ----------
        project
            Its unique name.
        directory
            The application's files.

        Raises
        ------
        NotFound
            There is no such project.
        InvalidArgument
            The directory cannot be uploaded; the message says why.
        """
        if _is_pattern(project) or "/" in project:
            raise InvalidArgument(f"{one_line(project)!r} is not one project. Give its unique name.")
        found = self._projects([(project, "")])
        if not found:
            raise NotFound(self._names.missing_project(project), status=404)
        return deploy(self.api, project=found[0].unique_name, project_id=found[0].id, directory=directory)


def _patterns(key: str | Sequence[str] | slice) -> list[tuple[str, str]]:
    if isinstance(key, slice):
        if key != slice(None):
            raise InvalidArgument("ws[:] is everything; other slices mean nothing here.")
        return [("*", "*")]
    keys: list[object] = [key] if isinstance(key, str | bytes) or not isinstance(key, Iterable) else list(key)
    if not keys:
        raise InvalidArgument("The list of environments is empty. Name some, as in ws[['shop/production']].")
    return [_pattern(item) for item in keys]


def _pattern(key: object) -> tuple[str, str]:
    project, slash, environment = key.partition("/") if isinstance(key, str) else ("", "", "")
    if not project or not environment or not slash or "/" in environment:
        shown = repr(one_line(key)) if isinstance(key, str) else f"{key!r:.80}"
        raise InvalidArgument(
            f"{shown} is not a selection. Write 'project/environment', such as 'shop/production' or '*/production'."
        )
    return project, environment


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _named(pattern: str, name: str) -> bool:
    """Whether a pattern is a name written out, and this one."""
    return not _is_pattern(pattern) and _same(pattern, name)


def _same(pattern: str, name: str) -> bool:
    # Names are unique regardless of case.
    return fnmatchcase(name.lower(), pattern.lower())


def _matches(pattern: tuple[str, str], project: str, environment: str) -> bool:
    return _same(pattern[0], project) and _same(pattern[1], environment)
