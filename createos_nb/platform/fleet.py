"""Fleet: fifty projects of three environments each, with a week of history; all asleep until they are asked for.

The application is built once, as any upload is; every deployment has a copy of what was built, of its own.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryDirectory

from createos_nb.api.account import User
from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment, EnvironmentSettings, Resources
from createos_nb.api.projects import Project, VcsSettings
from createos_nb.errors import Forbidden, Unprocessable
from createos_nb.platform.applications import shop
from createos_nb.platform.builds import Artefact
from createos_nb.platform.handlers.projects import MAX_PROJECTS
from createos_nb.platform.history import History, write
from createos_nb.platform.platform import Context
from createos_nb.platform.workshop import BuildFailed

PROJECTS = 50
REQUESTS_A_MINUTE = {"production": 2.0, "staging": 0.2, "preview": 0.05}
"""The environments of each project, and how much they are asked for on average."""
WEEK_S = 7 * 86_400

_SINCE_S = {1: WEEK_S, 2: 2 * 86_400, 3: 3 * 3600}
_SETTINGS = VcsSettings(runtime="python", port=8000, run_command="python main.py")
_GENERATED = "it and its time are made up, by a scenario"


@dataclass(frozen=True)
class _Release:
    """A version of the shop in one project."""

    version: int
    start_s: float
    end_s: float
    deployment_id: str

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.start_s, UTC)


def name_of(number: int) -> str:
    """Return the unique name of a project, which has a number from 1."""
    return f"fleet-{number:02}"


def versions_of(number: int) -> tuple[int, ...]:
    """Return the versions of the shop that a project has had; the third fails at the checkout."""
    return (1, 2, 3) if number % 10 == 0 else (1, 2)


async def load(context: Context) -> None:
    """Make the fleet: all of it, or none.

    Raises
    ------
    Forbidden
        It is more than the quota of projects.
    Conflict
        A name is taken.
    Unprocessable
        The application could not be built.
    """
    if len(context.store.find(Project, user_id=context.user_id, deleted_at=None)) + PROJECTS > MAX_PROJECTS:
        raise Forbidden.answer(f"With {PROJECTS} more projects you would have over {MAX_PROJECTS}, the quota.")
    now_s = context.platform.clock.time()
    releases = {number: _releases(number, now_s) for number in range(1, PROJECTS + 1)}
    rows = [_Row(number, name) for number in releases for name in REQUESTS_A_MINUTE]
    histories = [history for row in rows for history in row.histories(releases[row.number])]
    # First the past, then those it belongs to: a kill between them leaves records that nobody asks for.
    artefacts, _ = await asyncio.gather(
        _artefacts(context, [release for made in releases.values() for release in made]),
        asyncio.to_thread(write, await context.platform.access_log(), histories),
    )
    with context.store.transaction():
        user = context.store.get(User, context.user_id)
        for number, made in releases.items():
            _project(context, user, number, made, artefacts, [row for row in rows if row.number == number])
    for row in rows:
        environment = context.store.get(Environment, row.environment_id)
        context.lifecycle.serving.set_hosts(environment.id, context.lifecycle.hosts(environment), asleep=True)


class _Row:
    """An environment of the fleet."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.environment_id = str(uuid.uuid4())

    def histories(self, releases: list[_Release]) -> list[History]:
        # From half to one and a half of the average.
        per_minute = REQUESTS_A_MINUTE[self.name] * (0.5 + self.number / PROJECTS)
        return [
            History(
                self.environment_id,
                release.deployment_id,
                release.start_s,
                release.end_s,
                per_minute=per_minute,
                statuses={"/missing": 404, **({"/checkout": 500} if release.version == 3 else {})},
                failing=0.02 if self.number % 7 == 0 else 0.0,
            )
            for release in releases
        ]


def _releases(number: int, now_s: float) -> list[_Release]:
    starts = [now_s - _SINCE_S[version] for version in versions_of(number)]
    return [
        _Release(version, start_s, end_s, str(uuid.uuid4()))
        for version, start_s, end_s in zip(versions_of(number), starts, [*starts[1:], now_s], strict=True)
    ]


async def _artefacts(context: Context, releases: list[_Release]) -> dict[str, Artefact]:
    """Build the application, and give each deployment its copy."""
    with TemporaryDirectory(dir=context.platform.state, prefix="fleet-") as directory:
        try:
            built, artefact = await context.pipeline.build_files(shop(1), _SETTINGS, directory)
        except BuildFailed as failure:
            raise Unprocessable.answer(f"The scenario's application could not be built: {failure.reason}") from None

        def copies() -> dict[str, Artefact]:
            return {
                release.deployment_id: context.pipeline.keep_copy(
                    built, artefact, release.deployment_id, shop(release.version)
                )
                for release in releases
            }

        return await asyncio.to_thread(copies)


def _project(
    context: Context,
    user: User,
    number: int,
    releases: list[_Release],
    artefacts: dict[str, Artefact],
    rows: list[_Row],
) -> None:
    """Note a project, its deployments and its environments, which sleep."""
    began, live = {"created_at": releases[0].at, "updated_at": releases[0].at}, releases[-1]
    project = context.store.add(
        Project,
        user_id=user.id,
        unique_name=name_of(number),
        display_name=f"Fleet {number:02}",
        type="upload",
        status="active",
        description="Made by a scenario",
        source_json={},
        settings_json=_SETTINGS,
        **began,
    )
    for release in releases:
        context.store.add(
            Deployment,
            id=release.deployment_id,
            project_id=project.id,
            version_number=release.version,
            status="sleeping" if release is live else "deployed",
            source_json={"files": len(shop(release.version)), "generated": _GENERATED},
            settings_json=_SETTINGS,
            artefact_json=artefacts[release.deployment_id].to_json(),
            created_at=release.at,
            updated_at=release.at,
        )
        context.pipeline.build_logs.write(release.deployment_id, "prepare", f"Not built by itself: {_GENERATED}.")
    for row in rows:
        context.store.add(
            Environment,
            id=row.environment_id,
            project_id=project.id,
            unique_name=row.name,
            display_name=row.name.title(),
            description=f"Made by a scenario - {row.name}",
            status="active",
            is_auto_promote_enabled=True,
            resources_json=Resources(cpu=200, memory=500, replicas=1),
            settings_json=EnvironmentSettings(),
            live_variables_json={},
            project_deployment_id=live.deployment_id,
            asleep_at=context.platform.clock.now(),
            **began,
        )
