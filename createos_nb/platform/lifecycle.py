"""Lifecycle: the work behind the calls; build, promote, resize, sleep, delete, and recover after a crash."""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from createos_nb.api.deployments import UNFINISHED, Deployment
from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project, VcsSettings
from createos_nb.api.secret import Secret
from createos_nb.platform.buildlogs import BuildLogs
from createos_nb.platform.builds import Artefact, BuildFailed, BuildSettings, build
from createos_nb.platform.processes import StartFailed, Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs
from createos_nb.platform.serving import Serving
from createos_nb.platform.store import Store

BUILDS_AT_ONCE = 2

_log = logging.getLogger(__name__)


class Lifecycle:
    """The work behind the calls. All of it runs on one event loop; calls only start it.

    Parameters
    ----------
    store, serving, supervisor, runtime_logs, build_logs
        What it works with.
    sources
        Directory of the unpacked uploads, one a deployment. They are kept, so that any can serve again.
    owner
        The platform's id, which marks every process it starts.
    """

    def __init__(
        self,
        store: Store,
        serving: Serving,
        supervisor: Supervisor,
        runtime_logs: RuntimeLogs,
        build_logs: BuildLogs,
        sources: Path,
        *,
        owner: str,
    ) -> None:
        self.store = store
        self.serving = serving
        self.runtime_logs = runtime_logs
        self.build_logs = build_logs
        self._supervisor = supervisor
        self._sources = sources
        self._owner = owner
        self._slots = asyncio.Semaphore(BUILDS_AT_ONCE)
        self._locks: dict[str, asyncio.Lock] = {}
        self._builds: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        serving.on_crash = self._crashed

    # --- deployments --------------------------------------------------------------------------------------

    async def upload(self, project: Project, unpack: Callable[[Path], None], source: dict[str, Any]) -> Deployment:
        """Unpack an upload and queue its build; nothing is left of a refused one.

        Parameters
        ----------
        unpack
            Writes the upload's files to a fresh directory, or raises `BadRequest`.
        source
            What the deployment says it was made from.
        """
        deployment_id = str(uuid.uuid4())
        directory = self._sources / deployment_id
        await asyncio.to_thread(unpack, directory)
        deployment = self.store.add_deployment(project, deployment_id=deployment_id, source=source)
        self._queue(deployment)
        return deployment

    def cancel(self, deployment: Deployment) -> None:
        """Cancel a deployment that has not been built yet."""
        self.store.change(
            Deployment,
            deployment.id,
            status="cancelled",
            cancelled_at=datetime.now(UTC),
            cancel_reason="cancelled by its owner",
        )
        if task := self._builds.get(deployment.id):
            task.cancel()

    def _queue(self, deployment: Deployment) -> None:
        task = self._run(self._build(deployment))
        self._builds[deployment.id] = task
        task.add_done_callback(lambda _: self._builds.pop(deployment.id, None))

    async def _build(self, deployment: Deployment) -> None:
        def log(stage: str, line: str) -> None:
            self.build_logs.write(deployment.id, stage, line)

        try:
            async with self._slots:
                self.store.change(Deployment, deployment.id, status="building")
                artefact = await build(
                    self._sources / deployment.id,
                    _build_settings(deployment.settings or VcsSettings()),
                    log,
                    owner=self._owner,
                )
            self.store.change(Deployment, deployment.id, status="deploying", artefact_json=artefact.to_json())
            await self._check(deployment, artefact, log)
        except BuildFailed as failure:
            log("build", failure.reason)
            self.store.change(Deployment, deployment.id, status="build_error")
        except StartFailed as failure:
            for line in (*failure.last_lines, failure.reason):
                log("deploy", line)
            self.store.change(Deployment, deployment.id, status="crashing")
        except OSError as error:
            log("build", f"The platform could not build it: {error}. Make room, or check the state directory.")
            self.store.change(Deployment, deployment.id, status="error")
        else:
            self.store.change(Deployment, deployment.id, status="deployed")
            log("deploy", "Healthy: it answers on its port.")
            self._promote_by_itself(deployment)

    async def _check(self, deployment: Deployment, artefact: Artefact, log: Callable[[str, str], None]) -> None:
        """Start it once, as it is, to see that it listens; what serves is started for each environment."""
        log("deploy", "Starting it to see that it answers. An uploaded application runs as you, not in a sandbox.")
        settings = deployment.settings or VcsSettings()
        process = await self._supervisor.start(
            artefact,
            environment_id=None,
            deployment_id=deployment.id,
            replica=0,
            variables=_revealed(settings.run_envs),
            memory_mb=None,
        )
        await self._supervisor.stop(process)

    def _promote_by_itself(self, deployment: Deployment) -> None:
        built = self.store.find(Deployment, project_id=deployment.project_id, status="deployed")
        if any((other.version_number or 0) > (deployment.version_number or 0) for other in built):
            return  # Built faster than this one, and newer.
        for environment in self.store.find(Environment, project_id=deployment.project_id):
            if environment.is_auto_promote_enabled and environment.status != "deleting":
                self.promote(environment, deployment)

    def _crashed(self, environment_id: str, deployment_id: str, last_lines: Sequence[str]) -> None:
        self.store.change(Deployment, deployment_id, status="crashing")
        for line in last_lines:
            self.build_logs.write(deployment_id, "run", line)
        _log.warning("Deployment %s of environment %s keeps ending.", deployment_id, environment_id)

    # --- environments -------------------------------------------------------------------------------------

    def promote(self, environment: Environment, deployment: Deployment) -> None:
        """Begin to put a deployment live; the environment is ``promoting`` until it serves, or cannot."""
        self.store.change(Environment, environment.id, status="promoting")
        self._run(self._promote(environment.id, deployment.id))

    async def _promote(self, environment_id: str, deployment_id: str) -> None:
        async with self._lock(environment_id):
            found = self.store.find(Environment, id=environment_id)
            if not found or found[0].status == "deleting":
                return
            (environment,) = found
            try:
                await self._serve(environment, deployment_id)
            except StartFailed as failure:
                self._say(environment_id, deployment_id, (*failure.last_lines, failure.reason))
                self.store.change(Environment, environment_id, status="active")
            else:
                self.store.change(Environment, environment_id, status="active", project_deployment_id=deployment_id)
                woken = self.store.get(Deployment, deployment_id)
                if woken.status == "sleeping":
                    self.store.change(Deployment, deployment_id, status="deployed")

    async def _serve(self, environment: Environment, deployment_id: str) -> None:
        written = self.store.artefact(deployment_id)
        resources = environment.resources
        if written is None or resources is None:
            raise StartFailed("There is nothing built that could be started.")
        await self.serving.serve(
            environment.id,
            hosts=self.hosts(environment),
            deployment_id=deployment_id,
            artefact=Artefact.from_json(written),
            variables=_revealed(environment.settings.run_envs),
            replicas=resources.replicas,
            memory_mb=resources.memory,
        )

    def resize(self, environment: Environment) -> None:
        """Begin to bring the running processes to the resources that the store says."""
        self.store.change(Environment, environment.id, status="resizing")
        self._run(self._resize(environment.id))

    async def _resize(self, environment_id: str) -> None:
        async with self._lock(environment_id):
            environment = self.store.get(Environment, environment_id)
            resources = environment.resources
            try:
                if resources is not None:
                    await self.serving.resize(environment_id, resources.replicas, memory_mb=resources.memory)
            except StartFailed as failure:
                lines = (*failure.last_lines, failure.reason)
                self._say(environment_id, environment.project_deployment_id or "none", lines)
            self.store.change(Environment, environment_id, status="active")

    def _say(self, environment_id: str, deployment_id: str, lines: Sequence[str]) -> None:
        """Write into the environment's log why something did not come about."""
        for line in lines:
            self.runtime_logs.write(environment_id, deployment_id, 0, line)
            self.build_logs.write(deployment_id, "promote", line)

    def delete_environment(self, environment: Environment) -> None:
        """Begin to delete an environment."""
        self.store.change(Environment, environment.id, status="deleting")
        self._run(self._delete_environment(environment.id))

    async def _delete_environment(self, environment_id: str) -> None:
        async with self._lock(environment_id):
            await self.serving.stop(environment_id)
            for domain in self.store.find(Domain, environment_id=environment_id):
                self.store.change(Domain, domain.id, environment_id=None)
            self.store.remove(Environment, environment_id)

    def delete_project(self, project: Project) -> None:
        """Begin to delete a project with all that is in it."""
        self.store.change(Project, project.id, status="deleting")
        self._run(self._delete_project(project.id))

    async def _delete_project(self, project_id: str) -> None:
        for environment in self.store.find(Environment, project_id=project_id):
            await self._delete_environment(environment.id)
        for deployment in self.store.find(Deployment, project_id=project_id):
            if task := self._builds.get(deployment.id):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await asyncio.to_thread(shutil.rmtree, self._sources / deployment.id, ignore_errors=True)
            self.store.remove(Deployment, deployment.id)
        for domain in self.store.find(Domain, project_id=project_id):
            self.store.remove(Domain, domain.id)
        self.store.change(Project, project_id, status="deleted", deleted_at=datetime.now(UTC))

    # --- names ----------------------------------------------------------------------------------------------

    def hosts(self, environment: Environment) -> list[str]:
        """Return the names by which an environment is reached: its own, and its active domains."""
        project = self.store.get(Project, environment.project_id)
        domains = self.store.find(Domain, environment_id=environment.id, status="active")
        return [f"{environment.unique_name}.{project.unique_name}.localhost".lower(), *(d.name for d in domains)]

    def route(self, environment_id: str | None) -> None:
        """Tell the gateway the names of an environment, after one of them changed."""
        for environment in self.store.find(Environment, id=environment_id) if environment_id else ():
            self.serving.set_hosts(environment.id, self.hosts(environment))

    # --- beginning and end ----------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up what an earlier, ended or killed platform left: builds, promotions, what was live."""
        swept = self._supervisor.sweep()
        if swept:
            _log.warning("Ended %d processes that an earlier platform had left.", swept)
        for project in self.store.find(Project, status="deleting"):
            self.delete_project(project)
        for environment in self.store.find(Environment):
            if environment.status == "deleting":
                self.delete_environment(environment)
                continue
            self.route(environment.id)
            if environment.project_deployment_id:
                live = self.store.get(Deployment, environment.project_deployment_id)
                self.promote(environment, live)
            else:
                self.store.change(Environment, environment.id, status="active")
        for deployment in reversed(self.store.find(Deployment)):
            if deployment.status in UNFINISHED:
                self.build_logs.write(deployment.id, "prepare", "The platform was restarted; building it again.")
                self._queue(deployment)

    async def close(self) -> None:
        """End the work under way and every application."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.serving.close()

    def _lock(self, environment_id: str) -> asyncio.Lock:
        return self._locks.setdefault(environment_id, asyncio.Lock())

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("Work in the background failed.", exc_info=error)


def _revealed(variables: dict[str, Secret] | None) -> dict[str, str]:
    return {name: value.reveal() for name, value in (variables or {}).items()}


def _build_settings(settings: VcsSettings) -> BuildSettings:
    return BuildSettings(
        runtime=settings.runtime,
        port=settings.port,
        install_command=settings.install_command,
        build_command=settings.build_command,
        run_command=settings.run_command,
        build_flag=settings.build_flag,
        run_flag=settings.run_flag,
        build_dir=settings.build_dir,
        directory_path=settings.directory_path,
        build_vars=_revealed(settings.build_vars),
    )
