"""Scenarios: situations to look at, to practise on and to test with; a table that anyone can add to.

The applications are real: built, running, answering. Their past is made up, and marked so: access records
as ``generated``, deployments in their ``source``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from createos_nb.api.deployments import UNFINISHED, Deployment
from createos_nb.api.environments import Environment, EnvironmentSettings, Resources
from createos_nb.api.operation import Operation
from createos_nb.api.projects import Project, UploadSettings
from createos_nb.errors import Conflict, InvalidArgument, NotFound, Unprocessable
from createos_nb.platform import fleet
from createos_nb.platform.applications import shop
from createos_nb.platform.archives import unpack_files
from createos_nb.platform.handlers import environments, projects
from createos_nb.platform.history import History, write
from createos_nb.platform.platform import Context

DAY_S = 86_400
_LOOK_S = 0.02
_BEGUN = "begun"


@dataclass(frozen=True)
class Scenario:
    """A situation.

    Attributes
    ----------
    summary
        What is there when it is loaded, in one sentence.
    project
        The project it makes. Where there is one of this name, the scenario is loaded already.
    load
        Makes it.
    """

    summary: str
    project: str
    load: Callable[[Context, str], Awaitable[None]]


@dataclass(frozen=True)
class _Release:
    """A version of the shop, and for how long it has been live."""

    version: int
    since_s: float
    statuses: Mapping[str, int]


async def _quickstart(context: Context, name: str) -> None:
    """One healthy application with a day of history."""
    await _shop(context, name, ("production",), [_Release(1, DAY_S, {"/missing": 404})])


async def _bad_deploy(context: Context, name: str) -> None:
    """Three deployments of one shop; the newest fails at the checkout."""
    fine = {"/missing": 404}
    releases = [
        _Release(1, DAY_S, fine),
        _Release(2, DAY_S / 4, fine),
        _Release(3, 600, {**fine, "/checkout": 500}),
    ]
    await _shop(context, name, ("staging", "production"), releases)


async def _fleet(context: Context, _name: str) -> None:
    """Fifty projects with three environments each and a week of history."""
    await fleet.load(context)


SCENARIOS = {
    "quickstart": Scenario("One healthy shop with a day of history.", "hello", _quickstart),
    "bad-deploy": Scenario(
        "A shop with staging and production, whose newest of three deployments answers 500 at the checkout.",
        "shop",
        _bad_deploy,
    ),
    "fleet": Scenario(
        "50 projects with 150 environments and a week of history, asleep until they are asked for; five of them "
        "fail at the checkout.",
        fleet.name_of(1),
        _fleet,
    ),
}
"""Every scenario by its name."""


def _load(_self: object, name: str) -> str:
    """Load a scenario, unless it is there.

    Parameters
    ----------
    name
        One of `SCENARIOS`.
    """
    raise NotImplementedError


LOAD = Operation(
    _load,
    name="LoadScenario",
    method="POST",
    path="/local/scenarios/{name}",
    tool=None,
    safety="idempotent",
    paged=False,
)
"""Declared as the API's operations are, but only of this platform."""


def checked(name: str) -> str:
    """Return the name of a scenario.

    Raises
    ------
    InvalidArgument
        There is no such scenario.
    """
    if name not in SCENARIOS:
        raise InvalidArgument(f"There is no scenario {name!a}. Choose one of {', '.join(SCENARIOS)}.")
    return name


async def load(context: Context, *, name: str) -> str:
    """Load a scenario, unless it is there; return what is there then.

    Raises
    ------
    NotFound
        There is no such scenario.
    Conflict
        The name of its project is that of another project of the user.
    Unprocessable
        Something of it could not be built.
    """
    try:
        scenario = SCENARIOS[checked(name)]
    except InvalidArgument as error:
        raise NotFound.answer(str(error)) from None
    async with context.lifecycle.lock(f"scenario {name}"):
        if not await _is_there(context, scenario.project):
            await scenario.load(context, scenario.project)
    return scenario.summary


async def _is_there(context: Context, name: str) -> bool:
    """Whether a scenario's project is there as a whole; what a load that was cut off left is removed."""
    found = context.store.find(Project, unique_name=name, user_id=context.user_id, deleted_at=None)
    for project in found:
        begun = context.store.fact(_progress(project.id)) == _BEGUN
        if begun and project.status != "deleting":
            context.lifecycle.delete_project(project)
        if begun or project.status == "deleting":
            while context.store.get(Project, project.id).deleted_at is None:
                await asyncio.sleep(_LOOK_S)
            return False
        made = context.store.find(Deployment, project_id=project.id)
        if not any("generated" in (deployment.source or {}) for deployment in made):
            raise Conflict.answer(
                f"You have a project {name!a} that no scenario made, and the scenario's has that name. "
                "Delete yours, or load the scenario into another state directory."
            )
    return bool(found)


async def _shop(context: Context, name: str, targets: tuple[str, ...], releases: list[_Release]) -> None:
    created = await projects.create(
        context,
        unique_name=name,
        display_name=name.title() + " shop",
        type="upload",
        settings=UploadSettings(runtime="python", port=8000, run_command="python main.py"),
        source=None,
        description="Made by a scenario",
        app_id=None,
        enabled_security_scan=False,
    )
    context.store.remember(_progress(created.id), _BEGUN)
    made = [await _environment(context, created.id, target) for target in targets]
    now_s = context.platform.clock.time()
    ends_s = [now_s - later.since_s for later in releases[1:]] + [now_s]
    for release, end_s in zip(releases, ends_s, strict=True):
        start_s = now_s - release.since_s
        deployment = await _deploy(context, created.id, shop(release.version), start_s)
        for place, environment_id in enumerate(made):
            await _live(context, environment_id, deployment)
            history = History(
                environment_id, deployment, start_s, end_s, per_minute=2 + 10 * place, statuses=release.statuses
            )
            await asyncio.to_thread(write, await context.platform.access_log(), [history])
    context.store.remember(_progress(created.id), "whole")


def _progress(project_id: str) -> str:
    return f"scenario's project {project_id}"


async def _environment(context: Context, project_id: str, name: str) -> str:
    created = await environments.create(
        context,
        project_id=project_id,
        unique_name=name,
        display_name=name.title(),
        description=f"Made by a scenario - {name}",
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(),
        branch=None,
        is_auto_promote_enabled=True,
    )
    return created.id


async def _deploy(context: Context, project_id: str, files: Mapping[str, str], since_s: float) -> str:
    """Upload, wait for the end of the build, and say that it was made at another time."""
    project = context.store.get(Project, project_id)
    contents = {path: text.encode() for path, text in files.items()}
    source = {"files": len(files), "generated": "its time is made up, by a scenario"}
    deployment_id = (await context.pipeline.upload(project, partial(unpack_files, contents), source)).id
    while (status := context.store.get(Deployment, deployment_id).status) in UNFINISHED:
        await asyncio.sleep(_LOOK_S)
    if status != "deployed":
        lines = context.pipeline.build_logs.read(deployment_id, skip=0)
        raise Unprocessable.answer(f"The scenario's application ended as {status}: {lines[-1].log}")
    context.store.change(Deployment, deployment_id, created_at=datetime.fromtimestamp(since_s, UTC))
    return deployment_id


async def _live(context: Context, environment_id: str, deployment_id: str) -> None:
    while (environment := context.store.get(Environment, environment_id)).status != "active":
        await asyncio.sleep(_LOOK_S)
    if environment.project_deployment_id != deployment_id:
        raise Unprocessable.answer(f"The scenario's application did not come live in {environment.unique_name}.")
