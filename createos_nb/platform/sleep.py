"""Sleep: environments that nobody asks for have no processes; the next request starts them again."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from typing import NamedTuple

from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.platform.clock import Clock
from createos_nb.platform.endpoints import PREFIX, Endpoints, names_of
from createos_nb.platform.entrance import Entrance
from createos_nb.platform.gateway.routes import NOTHING_RUNS
from createos_nb.platform.lifecycle import Lifecycle
from createos_nb.platform.processes import StartFailed

MAX_WAITING = 500
"""How many requests may wait for one environment to wake; further ones are refused at once."""
MAX_WOKEN = 40
"""How many environments that a request woke may be awake; the one not used for longest sleeps again."""

_TRY_AGAIN_S = 5.0
_LOOKS = 8

_log = logging.getLogger(__name__)


class _Woken(NamedTuple):
    """Why an environment that is asked for does not answer, None when it does; and whether that is since now."""

    failure: str | None = None
    started: bool = False


class Sleep:
    """Puts environments to sleep and wakes them, whoever asks for it.

    Parameters
    ----------
    lifecycle, routes, clock, endpoints
        What it works with; it answers the routes' `wake`.
    idle_s
        Seconds without a request after which an environment is put to sleep; None for never.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        routes: Entrance,
        clock: Clock,
        endpoints: Endpoints,
        *,
        idle_s: float | None = None,
    ) -> None:
        self._endpoints = endpoints
        routes.find = endpoints.find
        self.idle_s = idle_s
        self._lifecycle = lifecycle
        self._store = lifecycle.store
        self._serving = lifecycle.serving
        self._routes = routes
        self._clock = clock
        self._waking: dict[str, asyncio.Task[_Woken]] = {}
        self._waiting: Counter[str] = Counter()
        self._failed: dict[str, tuple[float, str]] = {}
        self._woken: set[str] = set()
        routes.wake = self._wake_for_request

    # --- to sleep -----------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Put to sleep what is idle, for as long as it runs."""
        looked_at = self._clock.time()
        while self.idle_s is not None:
            # Counted from the last look, not from its end: a clock may be moved on while something is put to sleep.
            await self._clock.sleep(looked_at + self.idle_s / _LOOKS - self._clock.time())
            looked_at = self._clock.time()
            idle_since = looked_at - self.idle_s
            for environment_id in self._serving.environment_ids:
                if await self._routes.unused_since(environment_id) <= idle_since:
                    await self._doze(environment_id, idle_since)

    async def _doze(self, environment_id: str, unused_since: float) -> None:
        """Put an environment to sleep unless it was used since, or is being changed."""
        if self._lifecycle.lock(environment_id).locked():
            return
        async with self._lifecycle.lock(environment_id):
            if environment_id.startswith(PREFIX):
                for deployment in self._store.find(Deployment, id=environment_id.removeprefix(PREFIX)):
                    own = names_of(self._store, deployment)
                    await self._serving.sleep(environment_id, own, unused_since=unused_since)
                return
            for environment in self._live(environment_id):
                deployment_id = str(environment.project_deployment_id)
                if self._store.get(Deployment, deployment_id).status != "deployed":
                    continue  # It says that something is wrong, and is to go on saying so.
                hosts = self._lifecycle.hosts(environment)
                if await self._serving.sleep(environment_id, hosts, unused_since=unused_since):
                    self._note(environment_id, deployment_id)

    def put(self, deployment: Deployment) -> bool:
        """Begin to put a deployment to sleep wherever it is live; return whether it is anywhere."""
        live = self._store.find(Environment, project_deployment_id=deployment.id)
        with self._store.transaction():
            for environment in live:
                self._note(environment.id, deployment.id)
        for environment in live:
            self._lifecycle.run(self._put(environment.id))
        return bool(live)

    async def _put(self, environment_id: str) -> None:
        async with self._lifecycle.lock(environment_id):
            for environment in self._live(environment_id):
                if self._store.sleeps(environment_id):
                    await self._serving.sleep(environment_id, self._lifecycle.hosts(environment))

    def _live(self, environment_id: str) -> list[Environment]:
        """Return the environment, if it is there to stay and something is live on it."""
        found = self._store.find(Environment, id=environment_id) if self._lifecycle.stays(environment_id) else []
        return [environment for environment in found if environment.project_deployment_id is not None]

    def _note(self, environment_id: str, deployment_id: str) -> None:
        with self._store.transaction():
            self._store.change(Environment, environment_id, asleep_at=self._clock.now())
            self._lifecycle.standing.runs(environment_id, deployment_id)

    # --- awake --------------------------------------------------------------------------------------------

    def wake(self, deployment: Deployment) -> bool:
        """Begin to wake a deployment wherever it is live; return whether it is anywhere."""
        asleep = [
            environment.id
            for environment in self._store.find(Environment, project_deployment_id=deployment.id)
            if self._store.sleeps(environment.id)
        ]
        if asleep:
            self._store.change(Deployment, deployment.id, status="deploying")
        for environment_id in asleep:
            self._failed.pop(environment_id, None)
            self._begin(environment_id)
        return bool(asleep)

    async def _wake_for_request(self, environment_id: str) -> str | None:
        """Wait until an environment is awake; return why it is not."""
        if self._waiting[environment_id] >= MAX_WAITING:
            return f"It is waking up, and {MAX_WAITING} requests wait for it. Try again in a moment."
        task = self._waking.get(environment_id) or self._begin(environment_id)
        self._waiting[environment_id] += 1
        try:
            woken = await asyncio.shield(task)
        finally:
            self._waiting[environment_id] -= 1
            if not self._waiting[environment_id]:
                del self._waiting[environment_id]
        if woken.started and environment_id not in self._woken:
            self._woken.add(environment_id)
            await self._make_room(environment_id)
        return woken.failure

    def _begin(self, environment_id: str) -> asyncio.Task[_Woken]:
        """Wake an environment, once however many ask for it."""
        task = self._waking.get(environment_id)
        if task is None:
            task = self._waking[environment_id] = asyncio.create_task(self._wake(environment_id))
            task.add_done_callback(lambda _: self._waking.pop(environment_id))
        return task

    async def _wake(self, environment_id: str) -> _Woken:
        async with self._lifecycle.lock(environment_id):
            own = environment_id.startswith(PREFIX)
            for environment in () if own else self._store.find(Environment, id=environment_id):
                if self._lifecycle.is_suspended(environment.project_id):
                    if environment.project_deployment_id is not None:  # It may have been said to be on its way.
                        self._lifecycle.standing.tell(environment.project_deployment_id)
                    return _Woken("The project is suspended. Unsuspend it, and it answers again.")
            if environment_id not in self._routes.asleep if own else not self._store.sleeps(environment_id):
                return _Woken(self._why_nothing(environment_id))
            tried_at, reason = self._failed.get(environment_id, (-math.inf, ""))
            if self._clock.time() - tried_at < _TRY_AGAIN_S:
                return _Woken(reason)
            if own:
                try:
                    await self._endpoints.start(environment_id)
                except StartFailed as failure:
                    reason = f"It did not start. {failure.reason} See the logs of the deployment."
                    self._failed[environment_id] = self._clock.time(), reason
                    return _Woken(reason)
                self._lifecycle.standing.answers(environment_id.removeprefix(PREFIX))
            for environment in self._live(environment_id):
                deployment_id = str(environment.project_deployment_id)
                try:
                    await self._start(environment)
                except StartFailed as failure:
                    reason = f"It did not wake up. {failure.reason} See the build log of the deployment."
                    self._failed[environment_id] = self._clock.time(), reason
                    self._lifecycle.say(environment_id, deployment_id, failure)
                    self._lifecycle.standing.gave_up(environment_id, deployment_id)
                    return _Woken(reason)
                self._failed.pop(environment_id, None)
                with self._store.transaction():
                    self._store.change(Environment, environment_id, asleep_at=None)
                    self._lifecycle.standing.runs(environment_id, deployment_id)
                # A domain may have been added, or led elsewhere, while it was started.
                self._lifecycle.route(environment_id)
        return _Woken(started=True)

    def _why_nothing(self, environment_id: str) -> str | None:
        """Return why nothing answers for what does not sleep, None when by now something does."""
        if self._serving.processes_of(environment_id):
            return None
        if (deployment_id := self._lifecycle.standing.given_up(environment_id)) is not None:
            version = self._store.get(Deployment, deployment_id).version
            return f"The application keeps ending: {version} is crashing. Its build log ends with its last lines."
        if environment_id in self._serving.environment_ids:
            return "The application has ended, and is started again. Try again in a moment."
        return NOTHING_RUNS

    async def _start(self, environment: Environment) -> None:
        try:
            await self._lifecycle.serve_live(environment)
        except StartFailed:
            raise
        except Exception as error:
            _log.exception("Waking environment %s failed.", environment.id)
            raise StartFailed(f"The platform failed: {error}. See its own log.") from error

    def interrupted(self) -> list[Deployment]:
        """Return the deployments that were being woken when the platform ended; they sleep as before."""
        return [
            deployment
            for deployment in self._store.find(Deployment, status="deploying")
            if any(
                self._store.sleeps(environment.id)
                for environment in self._store.find(Environment, project_deployment_id=deployment.id)
            )
        ]

    async def _make_room(self, but: str) -> None:
        """Put the environment to sleep again that was not used for longest, when requests woke too many."""
        self._woken.intersection_update(self._serving.environment_ids)
        if len(self._woken) > MAX_WOKEN:
            used = [(await self._routes.unused_since(each), each) for each in self._woken - {but}]
            since, longest = min(used, default=(math.inf, ""))
            if since < math.inf:
                self._woken.discard(longest)
                self._lifecycle.run(self._doze(longest, since))

    async def close(self) -> None:
        """End what is being woken."""
        for task in tuple(self._waking.values()):
            task.cancel()
        await asyncio.gather(*self._waking.values(), return_exceptions=True)
