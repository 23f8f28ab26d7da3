"""Platform: everything that one embedded CreateOS consists of."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from createos_nb.api.account import User
from createos_nb.api.api_keys import APIKey
from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project
from createos_nb.platform.accesslog import AccessLog
from createos_nb.platform.buildlogs import BuildLogs
from createos_nb.platform.lifecycle import Lifecycle
from createos_nb.platform.processes import Supervisor
from createos_nb.platform.routes import Routes
from createos_nb.platform.runtimelogs import RuntimeLogs
from createos_nb.platform.serving import Serving
from createos_nb.platform.store import Store, digest

KEY_PREFIX = "skp_local_"
"""What keys of an embedded platform begin with, so that nobody takes one for a real one."""


class Platform:
    """Everything that one embedded CreateOS consists of, on one state directory.

    Parameters
    ----------
    state
        Its directory.
    """

    def __init__(self, state: Path) -> None:
        sources = state / "sources"
        sources.mkdir(mode=0o700, exist_ok=True)
        self.store = Store(state / "platform.sqlite")
        self.access_log = AccessLog(state / "access.duckdb")
        self.routes = Routes()
        runtime_logs = RuntimeLogs(state / "runtime-logs")
        owner = self._owner()
        supervisor = Supervisor(runtime_logs, owner=owner)
        self.lifecycle = Lifecycle(
            self.store,
            Serving(supervisor, self.routes),
            supervisor,
            runtime_logs,
            BuildLogs(state / "build-logs"),
            sources,
            owner=owner,
        )
        self.gateway_url = ""
        self._key_file = state / "key"
        self._ensure_user()

    def _owner(self) -> str:
        """Return the id that marks this state's processes, the same after every restart."""
        owner = self.store.fact("owner")
        if owner is None:
            owner = secrets.token_hex(8)
            self.store.remember("owner", owner)
        return owner

    def _ensure_user(self) -> None:
        if self._key_file.exists() and self.store.find(User):
            return
        user = next(iter(self.store.find(User)), None) or self.store.add(
            User, username="local", display_name="You, on this machine"
        )
        key = KEY_PREFIX + secrets.token_urlsafe(32)
        self.store.add(
            APIKey,
            user_id=user.id,
            name="local",
            digest=digest(key),
            expired_at=datetime.now(UTC) + timedelta(days=3650),
        )
        self._key_file.touch(mode=0o600)
        self._key_file.write_text(key + "\n", encoding="utf-8")

    async def close(self) -> None:
        """End the applications, write what is buffered, close the files."""
        await self.lifecycle.close()
        self.lifecycle.runtime_logs.close()
        self.access_log.close()
        self.store.close()


@dataclass(frozen=True)
class Context:
    """What a handler works with: the platform, and whose request it is."""

    platform: Platform
    user_id: str

    @property
    def store(self) -> Store:
        """What the platform knows."""
        return self.platform.store

    @property
    def lifecycle(self) -> Lifecycle:
        """The work behind the calls."""
        return self.platform.lifecycle

    def project(self, project_id: str) -> Project:
        """Return a project of this user that is not deleted, or raise `NotFound`."""
        return self.store.get(Project, project_id, user_id=self.user_id, deleted_at=None)

    def environment(self, project_id: str, environment_id: str) -> Environment:
        """Return an environment of a project of this user, or raise `NotFound`."""
        return self.store.get(Environment, environment_id, project_id=self.project(project_id).id)

    def deployment(self, project_id: str, deployment_id: str) -> Deployment:
        """Return a deployment of a project of this user, or raise `NotFound`."""
        return self.store.get(Deployment, deployment_id, project_id=self.project(project_id).id)
