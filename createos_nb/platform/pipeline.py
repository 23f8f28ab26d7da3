"""Pipeline: from an upload to a deployment that can serve, or to the reason why it cannot."""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project, VcsSettings
from createos_nb.errors import NotFound
from createos_nb.platform import ports
from createos_nb.platform.archives import unpack_files, unpack_kept
from createos_nb.platform.buildlogs import BuildLogs
from createos_nb.platform.builds import Artefact, build
from createos_nb.platform.disk import once_there_is_room
from createos_nb.platform.processes import PortTaken, StartFailed, Supervisor
from createos_nb.platform.store import Store
from createos_nb.platform.transitions import Transitions
from createos_nb.platform.variables import started_with
from createos_nb.platform.workshop import BuildFailed, BuildSettings

BUILDS_AT_ONCE = 2

_BUILT_NOTHING = frozenset({"build_error", "cancelled", "error"})

_log = logging.getLogger(__name__)


class Pipeline:
    """Builds what is uploaded, a few at a time, and sees that it starts.

    Parameters
    ----------
    store, supervisor, build_logs
        What it works with.
    sources
        Directory of the unpacked uploads, one a deployment. They are kept, so that any can serve again.
    owner
        The platform's id, which marks every process it starts.

    Attributes
    ----------
    transitions
        How long deployments, and environments, stay in their states.
    on_deployed
        Called with each deployment that can serve, in the transaction that says so.
    """

    def __init__(
        self, store: Store, supervisor: Supervisor, build_logs: BuildLogs, sources: Path, *, owner: str
    ) -> None:
        self.on_deployed: Callable[[Deployment], None] | None = None
        self.build_logs = build_logs
        self.transitions = Transitions(store.clock)
        self._store = store
        self._supervisor = supervisor
        self._sources = sources
        self._archives = sources.parent / "archives"
        self._archives.mkdir(mode=0o700, exist_ok=True)
        self._owner = owner
        self._slots = asyncio.Semaphore(BUILDS_AT_ONCE)
        self._builds: dict[str, asyncio.Task[None]] = {}

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
        try:
            await asyncio.to_thread(shutil.make_archive, str(self._archives / deployment_id), "zip", directory)
            deployment = self._store.add_deployment(project, deployment_id=deployment_id, source=source)
        except BaseException:
            await asyncio.to_thread(self._remove, deployment_id)
            raise
        self.queue(deployment)
        return deployment

    def cancel(self, deployment: Deployment) -> None:
        """Cancel a deployment that has not been built yet."""
        self._store.change(
            Deployment,
            deployment.id,
            status="cancelled",
            cancelled_at=self._store.clock.now(),
            cancel_reason="cancelled by its owner",
        )
        if task := self._builds.get(deployment.id):
            task.cancel()

    def queue(self, deployment: Deployment, *, again: bool = False) -> None:
        """Build a deployment as soon as there is room.

        Parameters
        ----------
        again
            Whether a build of it was cut off; it begins with the files as they were uploaded.
        """
        if again:
            self.build_logs.write(deployment.id, "prepare", "The platform was restarted; building it again.")
        task = asyncio.create_task(self._build(deployment, again=again))
        self._builds[deployment.id] = task
        task.add_done_callback(lambda _: self._builds.pop(deployment.id, None))

    async def build_files(
        self, files: Mapping[str, str], settings: VcsSettings, into: str
    ) -> tuple[Path, Artefact]:
        """Build text files aside, as a deployment's are; return where, and what became of them.

        Raises
        ------
        BuildFailed
            They could not be built.
        """
        directory = Path(into) / "source"
        await asyncio.to_thread(unpack_files, {path: text.encode() for path, text in files.items()}, directory)
        return directory, await build(directory, _build_settings(settings), _unheard, owner=self._owner)

    def keep_copy(self, built: Path, artefact: Artefact, deployment_id: str, files: Mapping[str, str]) -> Artefact:
        """Keep a copy of what was built as a deployment's own, with other files of the same names in it.

        Parameters
        ----------
        built, artefact
            What `build_files` returned.
        """
        directory = self._sources / deployment_id
        shutil.copytree(built, directory, symlinks=True, ignore=shutil.ignore_patterns("*ctivate*", "__pycache__"))
        with zipfile.ZipFile(self._archives / f"{deployment_id}.zip", "w") as archive:
            for path, text in files.items():
                (directory / path).write_text(text, encoding="utf-8")
                archive.writestr(path, text)
        return Artefact.from_json(artefact.to_json().replace(str(built), str(directory)))

    async def discard(self, deployments: Iterable[Deployment]) -> None:
        """End the builds of deployments, and remove what they were and would have been made of."""
        ids = [deployment.id for deployment in deployments]
        await self._cease([self._builds[each] for each in ids if each in self._builds])
        for each in ids:
            await asyncio.to_thread(self._remove, each)

    async def close(self) -> None:
        """End the builds under way; they are taken up again at the next start."""
        await self._cease(tuple(self._builds.values()))

    async def _cease(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def remove_strays(self, deployments: Iterable[Deployment]) -> None:
        """Remove what uploads left that a crash kept from becoming one of the deployments, or from going."""
        statuses = {deployment.id: deployment.status for deployment in deployments}
        for path in (*self._sources.iterdir(), *self._archives.iterdir()):
            status = statuses.get(path.name.removesuffix(".zip"))
            if status is not None and (path.parent == self._archives or status not in _BUILT_NOTHING):
                continue
            # What is being unpacked has a dot before its name: it is nobody's, whatever the name.
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _remove(self, deployment_id: str) -> None:
        shutil.rmtree(self._sources / deployment_id, ignore_errors=True)
        (self._archives / f"{deployment_id}.zip").unlink(missing_ok=True)

    def wake(self, deployment: Deployment) -> None:
        """See whether a sleeping deployment starts; it can serve again when it does."""
        self._store.change(Deployment, deployment.id, status="deploying")
        task = asyncio.create_task(self._wake(deployment))
        self._builds[deployment.id] = task
        task.add_done_callback(lambda _: self._builds.pop(deployment.id, None))

    async def _wake(self, deployment: Deployment) -> None:
        def log(stage: str, line: str) -> None:
            self.build_logs.write(deployment.id, stage, line)

        written = self._store.artefact(deployment.id)
        try:
            if written is None:
                raise StartFailed("There is nothing built that could be started. Upload it again.")
            await self._check(deployment, Artefact.from_json(written), log)
        except StartFailed as failure:
            for line in (*failure.last_lines, failure.reason):
                log("deploy", line)
            await self._end(deployment.id, "crashing")
        else:
            await self._end(deployment.id, "deployed")

    def archive(self, deployment_id: str) -> Path:
        """Return the archive of the files that a deployment was made from.

        Raises
        ------
        NotFound
            It was uploaded before archives were kept.
        """
        path = self._archives / f"{deployment_id}.zip"
        if not path.is_file():
            raise NotFound.answer("Its files were not kept.")
        return path

    async def _build(self, deployment: Deployment, *, again: bool) -> None:
        def log(stage: str, line: str) -> None:
            self.build_logs.write(deployment.id, stage, line)

        try:
            await self.transitions.leave("deployment", "queue")
            async with self._slots:
                self._store.change(Deployment, deployment.id, status="building")
                if again:
                    await self._unpack_again(deployment.id)
                artefact = await build(
                    self._sources / deployment.id,
                    _build_settings(deployment.settings or VcsSettings()),
                    log,
                    owner=self._owner,
                    cgroups=self._supervisor.cgroups,
                )
            await self.transitions.leave("deployment", "building")
            self._store.change(Deployment, deployment.id, status="deploying", artefact_json=artefact.to_json())
            await self._check(deployment, artefact, log)
            await self.transitions.leave("deployment", "deploying")
        except BuildFailed as failure:
            log("build", failure.reason)
            await self._fail(deployment.id, "build_error")
        except StartFailed as failure:
            for line in (*failure.last_lines, failure.reason):
                log("deploy", line)
            await self._end(deployment.id, "crashing")
        except asyncio.CancelledError:
            if self._store.get(Deployment, deployment.id).status == "cancelled":
                await self._remove_source(deployment.id)
            raise
        except Exception as error:  # noqa: BLE001 - whatever happened, a deployment must come to an end
            _log.exception("Building deployment %s failed.", deployment.id)
            log("build", f"The platform could not build it: {error}. Its own log says more.")
            await self._fail(deployment.id, "error")
        else:
            await once_there_is_room(partial(self._succeed, deployment))

    async def _unpack_again(self, deployment_id: str) -> None:
        archive = self._archives / f"{deployment_id}.zip"
        if archive.is_file():  # Else it was uploaded before archives were kept.
            await self._remove_source(deployment_id)
            await asyncio.to_thread(unpack_kept, archive, self._sources / deployment_id)

    def _succeed(self, deployment: Deployment) -> None:
        # One transaction: a crash must not leave it built, and forgotten by those that follow it.
        with self._store.transaction():
            self._store.change(Deployment, deployment.id, status="deployed")
            if self.on_deployed is not None:
                self.on_deployed(deployment)

    async def _fail(self, deployment_id: str, status: str) -> None:
        """End a build that came to nothing; it can never serve, and what it left may have filled the disk."""
        await self._remove_source(deployment_id)
        await self._end(deployment_id, status)

    async def _remove_source(self, deployment_id: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._sources / deployment_id, ignore_errors=True)

    async def _end(self, deployment_id: str, status: str) -> None:
        await once_there_is_room(lambda: self._store.change(Deployment, deployment_id, status=status))

    async def _check(self, deployment: Deployment, artefact: Artefact, log: Callable[[str, str], None]) -> None:
        """Start it once, as it is, to see that it listens; what serves is started for each environment."""
        log("deploy", "Starting it to see that it answers. An uploaded application runs as you, not in a sandbox.")
        log("deploy", self._supervisor.cgroups.sentence)
        try:
            process = await self._supervisor.start(
                artefact,
                environment_id=None,
                deployment_id=deployment.id,
                replica=0,
                variables=started_with(deployment, self._first_target(deployment)),
                memory_mb=None,
            )
        except PortTaken as failure:
            ours = {each.id for each in self._store.find(Deployment, project_id=deployment.project_id)}
            if not any(each.ignores_port and each.deployment_id in ours for each in self._supervisor.processes):
                raise
            # One that ignores PORT can run only once, and a version of it runs already.
            log("deploy", f"{failure.reason} It is started when it goes live, in place of what is there.")
        else:
            others = ports.open_to_others(process.child)
            await self._supervisor.stop(process)
            log("deploy", "Healthy: it answers on its port.")
            if others:
                log(
                    "deploy",
                    f"It listens on {', '.join(others)}: other machines may reach it past the gateway. "
                    "Let it listen on 127.0.0.1, where the gateway finds it.",
                )

    def _first_target(self, deployment: Deployment) -> Environment | None:
        """Return the environment it is meant for before others, without whose variables it may not start."""
        oldest_first = reversed(self._store.find(Environment, project_id=deployment.project_id))
        return min(oldest_first, key=lambda environment: not environment.is_auto_promote_enabled, default=None)


def _unheard(_stage: str, _line: str) -> None:
    """Take a line that nobody reads."""


def _build_settings(settings: VcsSettings) -> BuildSettings:
    given = {field.name: getattr(settings, field.name) for field in fields(BuildSettings)}
    return BuildSettings(**{name: value for name, value in given.items() if value is not None})
