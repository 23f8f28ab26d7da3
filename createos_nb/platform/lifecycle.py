"""Lifecycle: the work behind the calls; promote, resize, sleep, delete, and recover after a crash."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from createos_nb.api.deployments import UNFINISHED, Deployment
from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment, Resources
from createos_nb.api.projects import Project
from createos_nb.platform import endpoints
from createos_nb.platform.builds import Artefact
from createos_nb.platform.children import Variables
from createos_nb.platform.disk import once_there_is_room
from createos_nb.platform.endpoints import PREFIX
from createos_nb.platform.pipeline import Pipeline
from createos_nb.platform.processes import StartFailed, Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs
from createos_nb.platform.serving import Serving
from createos_nb.platform.standing import Standing
from createos_nb.platform.store import Store
from createos_nb.platform.variables import started_with

_PLATFORM = "platform"
"""Stands for a deployment in the log of an environment, for what no deployment printed."""

_log = logging.getLogger(__name__)


class Lifecycle:
    """The work behind the calls. All of it runs on one event loop; calls only start it.

    Parameters
    ----------
    store, serving, supervisor, runtime_logs, pipeline
        What it works with.
    """

    def __init__(
        self,
        store: Store,
        serving: Serving,
        supervisor: Supervisor,
        runtime_logs: RuntimeLogs,
        pipeline: Pipeline,
    ) -> None:
        self.store = store
        self.standing = Standing(store)
        self.serving = serving
        self.runtime_logs = runtime_logs
        self.pipeline = pipeline
        self._supervisor = supervisor
        # Whoever holds or awaits one keeps it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._pending: dict[str, int] = {}
        self._latest: dict[str, object] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        serving.on_crash = self._crashed
        pipeline.on_deployed = self._promote_by_itself

    def _promote_by_itself(self, deployment: Deployment) -> None:
        others = self.store.find(Deployment, project_id=deployment.project_id)
        self.route_project(deployment.project_id)
        built = [other for other in others if other.status in {"deployed", "sleeping"}]
        if any((other.version_number or 0) > (deployment.version_number or 0) for other in built):
            return  # Built faster than this one, and newer.
        for environment in self.store.find(Environment, project_id=deployment.project_id):
            if environment.is_auto_promote_enabled and environment.status != "deleting":
                self.promote(environment, deployment)

    def _crashed(self, environment_id: str, deployment_id: str, last_lines: Sequence[str]) -> None:
        _log.warning("Deployment %s of environment %s keeps ending.", deployment_id, environment_id)
        self.run(self._give_up(environment_id, deployment_id, last_lines))

    async def _give_up(self, environment_id: str, deployment_id: str, last_lines: Sequence[str]) -> None:
        if not environment_id.startswith(PREFIX):
            await once_there_is_room(partial(self.standing.gave_up, environment_id, deployment_id))
        # After that, since they would be lost on a full disk.
        for line in last_lines:
            self.pipeline.build_logs.write(deployment_id, "run", line)

    # --- environments -------------------------------------------------------------------------------------

    def promote(self, environment: Environment, deployment: Deployment) -> None:
        """Begin to put a deployment live; the environment is ``promoting`` until it serves, or cannot."""
        asked = self._latest[environment.id] = object()
        self._begin(
            environment.id,
            lambda: self._promote(environment.id, deployment.id, asked),
            status="promoting",
            wanted_deployment_id=deployment.id,
        )

    async def _promote(self, environment_id: str, deployment_id: str, asked: object) -> None:
        if self._latest[environment_id] is not asked:
            return  # Overtaken: what was asked for since follows.
        environment = self.store.get(Environment, environment_id)
        if self.is_suspended(environment.project_id):
            return  # It stays wanted until the project serves again.
        deployment = self.store.get(Deployment, deployment_id)
        variables = started_with(deployment, environment)
        live = {"project_deployment_id": deployment_id, "live_variables_json": variables, "asleep_at": None}
        try:
            await self._serve(environment, deployment_id, variables)
        except StartFailed as failure:
            self.say(environment_id, deployment_id, failure)
            live = {}

        def note() -> None:
            with self.store.transaction():
                self.store.change(Environment, environment_id, **live)
                if self._latest[environment_id] is asked:
                    self.store.change(Environment, environment_id, wanted_deployment_id=None)
                if live:
                    self.standing.runs(environment_id, deployment_id)
                    if environment.project_deployment_id is not None:
                        self.standing.tell(environment.project_deployment_id)

        await once_there_is_room(note)
        # A domain may have been added, or led elsewhere, while it was started.
        self.route_project(environment.project_id)

    async def serve_live(self, environment: Environment) -> None:
        """Serve what is live on an environment, with the variables it had when it went live.

        Raises
        ------
        StartFailed
            It did not start.
        """
        deployment_id = str(environment.project_deployment_id)
        await self._serve(environment, deployment_id, self.store.live_variables(environment.id))

    async def _serve(self, environment: Environment, deployment_id: str, variables: Variables) -> None:
        written = self.store.artefact(deployment_id)
        resources = environment.resources
        if self.is_suspended(environment.project_id):
            raise StartFailed("The project is suspended.")
        if written is None or resources is None:
            raise StartFailed("There is nothing built that could be started. Upload it again.")
        seamless = await self.serving.serve(
            environment.id,
            hosts=self.hosts(environment),
            deployment_id=deployment_id,
            artefact=Artefact.from_json(written),
            variables=variables,
            replicas=resources.replicas,
            memory_mb=resources.memory,
            cpu_millicores=resources.cpu,
            giving_way=endpoints.own_places(self.store, environment.project_id),
        )
        if not seamless:
            note = "It does not read PORT: the version before had to end first, and requests in between got a 503."
            self.pipeline.build_logs.write(deployment_id, "promote", note)

    def resize(self, environment: Environment, resources: Resources) -> None:
        """Begin to bring the running processes to these resources."""
        self._begin(
            environment.id, lambda: self._resize(environment.id), status="resizing", resources_json=resources
        )

    async def _resize(self, environment_id: str) -> None:
        environment = self.store.get(Environment, environment_id)
        resources = environment.resources
        if resources is None:
            return
        try:
            await self.serving.resize(
                environment_id,
                resources.replicas,
                memory_mb=resources.memory,
                cpu_millicores=resources.cpu,
            )
        except StartFailed as failure:
            self.say(environment_id, environment.project_deployment_id, failure)
            running = max(1, len(self.serving.processes_of(environment_id)))
            held = resources.model_copy(update={"replicas": running})
            self.store.change(Environment, environment_id, resources_json=held)

    def _begin(self, environment_id: str, work: Callable[[], Awaitable[None]], **changes: object) -> None:
        """Note that an environment is being changed, and change it when what was begun before is done."""
        self.store.change(Environment, environment_id, **changes)
        self._pending[environment_id] = self._pending.get(environment_id, 0) + 1
        self.run(self._in_turn(environment_id, work))

    async def _in_turn(self, environment_id: str, work: Callable[[], Awaitable[None]]) -> None:
        async with self.lock(environment_id):
            if self.stays(environment_id):
                try:
                    await work()
                    status = self.store.get(Environment, environment_id).status
                    await self.pipeline.transitions.leave("environment", status)
                except Exception as error:  # noqa: BLE001 - whatever happened, it must come to rest
                    _log.exception("Changing environment %s failed.", environment_id)
                    self.say(environment_id, None, StartFailed(f"The platform failed: {error}. See its own log."))
            self._pending[environment_id] -= 1
            if not self._pending[environment_id]:
                del self._pending[environment_id]
                self._latest.pop(environment_id, None)
                await once_there_is_room(partial(self._come_to_rest, environment_id))

    def _come_to_rest(self, environment_id: str) -> None:
        if self.stays(environment_id) and environment_id not in self._pending:
            suspended = self.is_suspended(self.store.get(Environment, environment_id).project_id)
            forgotten = {} if suspended else {"wanted_deployment_id": None}
            self.store.change(Environment, environment_id, status="active", **forgotten)

    def stays(self, environment_id: str) -> bool:
        """Whether an environment is there, and is not being deleted."""
        return any(found.status != "deleting" for found in self.store.find(Environment, id=environment_id))

    def say(self, environment_id: str, deployment_id: str | None, failure: StartFailed) -> None:
        """Write into the logs why something did not come about; its own last lines are there already."""
        self.runtime_logs.write(environment_id, deployment_id or _PLATFORM, 0, failure.reason)
        if deployment_id is not None:
            for line in (*failure.last_lines, failure.reason):
                self.pipeline.build_logs.write(deployment_id, "promote", line)

    def is_suspended(self, project_id: str) -> bool:
        """Whether a project is suspended; nothing of it is started then."""
        return self.store.get(Project, project_id).status == "suspended"

    def suspend(self, project: Project) -> None:
        """Begin to stop everything that a project serves; its environments answer 503."""
        self.store.change(Project, project.id, status="suspended")
        for deployment in self.store.find(Deployment, project_id=project.id):
            if (place := PREFIX + deployment.id) in self.serving.environment_ids:
                self.run(self.serving.stop(place))
        for environment in self.store.find(Environment, project_id=project.id):
            self._begin(environment.id, partial(self._stop, environment.id), status="updating")

    async def _stop(self, environment_id: str) -> None:
        await self.serving.stop(environment_id)
        suspended = self.is_suspended(self.store.get(Environment, environment_id).project_id)
        self.route(environment_id, asleep=suspended or self.store.sleeps(environment_id))

    def unsuspend(self, project: Project) -> None:
        """Begin to serve again what was live, and then what was to go live meanwhile."""
        self.store.change(Project, project.id, status="active")
        for environment in self.store.find(Environment, project_id=project.id):
            if environment.status != "deleting":
                self._take_up(environment)

    def delete_environment(self, environment: Environment) -> None:
        """Begin to delete an environment."""
        self.store.change(Environment, environment.id, status="deleting")
        self.run(self._delete_environment(environment.id))

    async def _delete_environment(self, environment_id: str) -> None:
        async with self.lock(environment_id):
            await self.serving.stop(environment_id)
            with self.store.transaction():
                for domain in self.store.find(Domain, environment_id=environment_id):
                    self.store.change(Domain, domain.id, environment_id=None)
                environment = self.store.get(Environment, environment_id)
                self.store.remove(Environment, environment_id)
                self.standing.left(environment_id)
                self.runtime_logs.remove(_PLATFORM, environment_id)
                if environment.project_deployment_id is not None:
                    self.standing.tell(environment.project_deployment_id)
            self.route_project(environment.project_id)

    def delete_project(self, project: Project) -> None:
        """Begin to delete a project with all that is in it."""
        with self.store.transaction():
            self.store.change(Project, project.id, status="deleting")
            for environment in self.store.find(Environment, project_id=project.id):
                self.store.change(Environment, environment.id, status="deleting")
        self.run(self._delete_project(project.id))

    async def _delete_project(self, project_id: str) -> None:
        deployments = self.store.find(Deployment, project_id=project_id)
        for deployment in deployments:
            await self.serving.stop(PREFIX + deployment.id)
        for environment in self.store.find(Environment, project_id=project_id):
            await self._delete_environment(environment.id)
        await self.pipeline.discard(deployments)
        for deployment in deployments:
            self.store.remove(Deployment, deployment.id)
            self.runtime_logs.remove(deployment.id)
            self.pipeline.build_logs.remove(deployment.id)
        for domain in self.store.find(Domain, project_id=project_id):
            self.store.remove(Domain, domain.id)
        self.store.change(Project, project_id, status="deleted", deleted_at=self.store.clock.now())

    # --- names ----------------------------------------------------------------------------------------------

    def hosts(self, environment: Environment) -> list[str]:
        """Return the names by which an environment is reached: its own, its domains, and perhaps the project's."""
        project = self.store.get(Project, environment.project_id)
        domains = self.store.find(Domain, environment_id=environment.id, status="active")
        own = f"{environment.unique_name}.{project.unique_name}.localhost".lower()
        leads = endpoints.front(self.store, project) == environment.id
        return [own, *(d.name for d in domains), *([endpoints.address_of(project)] if leads else ())]

    def route(self, environment_id: str | None, *, asleep: bool | None = None) -> None:
        """Tell the gateway the names of an environment, after one of them changed.

        Parameters
        ----------
        asleep
            Whether it is to be woken when it is asked for; None for as before.
        """
        for environment in self.store.find(Environment, id=environment_id) if environment_id else ():
            self.serving.set_hosts(environment.id, self.hosts(environment), asleep=asleep)

    def route_project(self, project_id: str) -> None:
        """Tell the gateway all names of a project, once its own address may lead elsewhere."""
        project = self.store.get(Project, project_id)
        if project.status not in {"active", "suspended"}:
            return
        places = {endpoints.front(self.store, project), *self.serving.environment_ids}
        for deployment in self.store.find(Deployment, project_id=project_id):
            if (place := PREFIX + deployment.id) in places:
                self.serving.set_hosts(place, endpoints.names_of(self.store, deployment), asleep=True)
        for environment in self.store.find(Environment, project_id=project_id):
            self.route(environment.id)

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
            else:
                self._take_up(environment)
        await asyncio.to_thread(self.pipeline.remove_strays, self.store.find(Deployment))
        for deployment in reversed(self.store.find(Deployment)):
            if deployment.status in UNFINISHED:
                self.pipeline.queue(deployment, again=True)

    def _take_up(self, environment: Environment) -> None:
        """Serve again what was live, with the variables it had, and then what was being promoted."""
        wanted, live = self.store.wanted(environment.id), environment.project_deployment_id
        suspended = self.is_suspended(environment.project_id)
        sleeps = suspended or (live is not None and self.store.sleeps(environment.id))
        self.route(environment.id, asleep=sleeps)
        if live is not None and not sleeps:
            self._begin(environment.id, lambda: self._serve_again(environment.id, live), status="promoting")
        if wanted is not None and not suspended:
            self.promote(environment, self.store.get(Deployment, wanted))
        elif live is None or sleeps:
            self.store.change(Environment, environment.id, status="active")

    async def _serve_again(self, environment_id: str, deployment_id: str) -> None:
        environment = self.store.get(Environment, environment_id)
        if self.is_suspended(environment.project_id) or environment.project_deployment_id != deployment_id:
            return  # It was suspended again, or another one has gone live since.
        try:
            await self.serve_live(environment)
        except StartFailed as failure:
            self.say(environment.id, deployment_id, failure)
            self.standing.gave_up(environment.id, deployment_id)
        else:
            self.standing.runs(environment.id, deployment_id)
        self.route(environment.id)

    async def close(self) -> None:
        """End the work under way and every application."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pipeline.close()
        await self.serving.close()

    def lock(self, environment_id: str) -> asyncio.Lock:
        """Return what is held while an environment is changed."""
        return self._locks.setdefault(environment_id, asyncio.Lock())

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something in the background; `close` ends it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("Work in the background failed.", exc_info=error)
