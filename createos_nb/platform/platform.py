"""Platform: everything that one embedded CreateOS consists of."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from createos_nb.api.account import User
from createos_nb.api.api_keys import APIKey
from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project
from createos_nb.api.secret import Secret
from createos_nb.errors import Conflict, PlatformError, Unprocessable
from createos_nb.platform.buildlogs import BuildLogs
from createos_nb.platform.clock import Clock
from createos_nb.platform.downloads import Downloads
from createos_nb.platform.endpoints import Endpoints
from createos_nb.platform.entrance import Entrance
from createos_nb.platform.faults import Faults
from createos_nb.platform.lifecycle import Lifecycle
from createos_nb.platform.options import Options
from createos_nb.platform.pipeline import Pipeline
from createos_nb.platform.processes import Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs
from createos_nb.platform.service import DATABASE
from createos_nb.platform.serving import Serving
from createos_nb.platform.sleep import Sleep
from createos_nb.platform.store import Store, digest
from createos_nb.settings import LOCAL_KEY

if TYPE_CHECKING:
    from createos_nb.platform.accesslog import AccessLog

_LOOK_AT_LEAST_S = 3600.0


class Platform:
    """Everything that one embedded CreateOS consists of, on one state directory; made in a running loop.

    Parameters
    ----------
    state
        Its directory.
    options
        How it is to behave.

    Raises
    ------
    PlatformError
        The state is damaged, incomplete, or not of this version.
    """

    def __init__(self, state: Path, options: Options = Options()) -> None:  # noqa: B008 - it is frozen
        self.options = options
        self.clock = Clock()
        self.faults = Faults()
        self.state = state
        self._key_file = state / "key"
        self.store = Store(state / DATABASE, fresh=not self._key_file.exists(), clock=self.clock)
        sources = state / "sources"
        sources.mkdir(mode=0o700, exist_ok=True)
        runtime_logs = RuntimeLogs(state / "runtime-logs", clock=self.clock.time)
        # Of the path, so that a copied state does not take the original's processes for its own.
        owner = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
        self.entrance = Entrance(state / "requests", self.clock, owner=owner)
        self.entrance.on_full = self._take_over_records
        supervisor = Supervisor(runtime_logs, owner=owner, clock=self.clock)
        self.cgroups = supervisor.cgroups
        self.lifecycle = Lifecycle(
            self.store,
            Serving(supervisor, self.entrance, clock=self.clock),
            supervisor,
            runtime_logs,
            Pipeline(self.store, supervisor, BuildLogs(state / "build-logs", self.clock), sources, owner=owner),
        )
        self.transitions = self.lifecycle.pipeline.transitions
        self.endpoints = Endpoints(self.store, self.lifecycle.serving)
        self.sleep = Sleep(self.lifecycle, self.entrance, self.clock, self.endpoints, idle_s=options.idle_s)
        self.api_url = ""
        self.gateway_url = ""
        self.downloads = Downloads(self.clock)
        self._ensure_user()
        self._access_log_file = state / "access.duckdb"
        self._access_log: asyncio.Task[AccessLog] | None = None

    async def begin(self) -> None:
        """Take up what an earlier, ended or killed platform left, and what goes on by itself."""
        waking = self.sleep.interrupted()
        for deployment in waking:
            self.store.change(Deployment, deployment.id, status="sleeping")
        await self.lifecycle.recover()
        for deployment in waking:
            self.sleep.wake(deployment)
        self.lifecycle.run(self.sleep.watch())
        self.lifecycle.run(self._forget())

    async def _forget(self) -> None:
        """Delete what is older than it is to be kept, for as long as there is such a limit."""
        records_s, logs_s = self.options.keep_records_s, self.options.keep_logs_s
        kept = [seconds for seconds in (records_s, logs_s) if seconds is not None]
        while kept:
            if records_s is not None:
                log = await self.access_log()
                await asyncio.to_thread(log.forget, self.clock.time() - records_s)
            if logs_s is not None:
                self.lifecycle.runtime_logs.forget(self.clock.time() - logs_s)
            await self.clock.sleep(min(*kept, _LOOK_AT_LEAST_S) / 4)

    def _take_over_records(self) -> None:
        self.lifecycle.run(self._flush())

    async def _flush(self) -> None:
        log = await self.access_log()
        await asyncio.to_thread(log.flush)

    async def access_log(self) -> AccessLog:
        """Return the access log, opened at first use: its database engine loads longer than all the rest.

        Raises
        ------
        PlatformError
            The file is damaged, or another process has it open.
        """
        if self._access_log is None:
            self._access_log = asyncio.create_task(
                asyncio.to_thread(_open_access_log, self._access_log_file, self.state / "requests")
            )
        return await asyncio.shield(self._access_log)

    def _ensure_user(self) -> None:
        """See to it that the key in the key file is of use."""
        if self._key_file.exists():
            found = self.store.user_of_key(self._key_file.read_text(encoding="utf-8").strip())
            if found is not None:
                if found[1].expired_at is not None:
                    self.store.change(APIKey, found[1].id, expired_at=None)
                return
        # The oldest: others came later, and what is on this machine is not theirs.
        user = next(reversed(self.store.find(User)), None) or self.store.add(
            User, username="local", display_name="You, on this machine"
        )
        key = self._new_key(user)
        # It is there only once its key is in the store, and then whole.
        temporary = self._key_file.with_suffix(".new")
        temporary.touch(mode=0o600)
        temporary.write_text(key + "\n", encoding="utf-8")
        temporary.replace(self._key_file)

    def add_user(self, username: str) -> Secret:
        """Make another user, and return a key of theirs.

        Raises
        ------
        Conflict
            There is a user of this name.
        """
        if self.store.find(User, username=username):
            raise Conflict.answer(f"There is a user {username!a} already. Choose another name.")
        user = self.store.add(User, username=username, display_name=username)
        return Secret(self._new_key(user))

    def _new_key(self, user: User) -> str:
        key = LOCAL_KEY + secrets.token_urlsafe(32)
        # It does not expire: with a clock that was moved too far, nobody could move it back.
        self.store.add(APIKey, user_id=user.id, name=user.username, digest=digest(key))
        return key

    async def close(self) -> None:
        """End the applications, write what is buffered, close the files."""
        await self.entrance.close()
        await self.sleep.close()
        await self.lifecycle.close()
        self.lifecycle.runtime_logs.close()
        if self._access_log is not None:
            with suppress(PlatformError):
                (await self._access_log).close()
        self.store.close()


def _open_access_log(path: Path, recorded: Path) -> AccessLog:
    from createos_nb.platform.accesslog import AccessLog

    return AccessLog(path, recorded)


@dataclass(frozen=True)
class Context:
    """What a handler works with: the platform, whose request it is, and which arguments were sent as null."""

    platform: Platform
    user_id: str
    cleared: frozenset[str] = frozenset()

    @property
    def store(self) -> Store:
        """What the platform knows."""
        return self.platform.store

    @property
    def lifecycle(self) -> Lifecycle:
        """The work behind the calls."""
        return self.platform.lifecycle

    def now(self) -> datetime:
        """Return the platform's time in UTC."""
        return self.platform.clock.now()

    def project(self, project_id: str) -> Project:
        """Return a project of this user that is not deleted, or raise `NotFound`."""
        return self.store.get(Project, project_id, user_id=self.user_id, deleted_at=None)

    def active_project(self, project_id: str) -> Project:
        """Return a project of this user, or raise `NotFound`, or `Unprocessable` when it serves nothing."""
        project = self.project(project_id)
        if project.status != "active":
            raise Unprocessable.answer(f"The project is {project.status}.")
        return project

    def environment(self, project_id: str, environment_id: str) -> Environment:
        """Return an environment of a project of this user, or raise `NotFound`."""
        return self.store.get(Environment, environment_id, project_id=self.project(project_id).id)

    def deployment(self, project_id: str, deployment_id: str) -> Deployment:
        """Return a deployment of a project of this user, or raise `NotFound`."""
        return self.store.get(Deployment, deployment_id, project_id=self.project(project_id).id)

    @property
    def pipeline(self) -> Pipeline:
        """What builds."""
        return self.platform.lifecycle.pipeline
