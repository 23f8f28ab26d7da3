"""What a deployment's status says of the environments that it is live on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment, EnvironmentSettings, Resources
from createos_nb.platform.standing import Standing
from createos_nb.platform.store import Store
from tests.platform.conftest import ECHO, echo, eventually, make_site
from tests.platform.test_store import project_of

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "platform.sqlite")
    yield store
    store.close()


@pytest.fixture
def project(store):
    return project_of(store)


@pytest.fixture
def deployment(store, project):
    store.add_deployment(project, deployment_id="d", source={})
    store.change(Deployment, "d", status="deployed")
    return "d"


@pytest.fixture
def environments(store, project, deployment):
    return [
        store.add(
            Environment,
            project_id=project.id,
            unique_name=name,
            display_name=name,
            description=name,
            status="active",
            is_auto_promote_enabled=True,
            resources_json=Resources(cpu=200, memory=500, replicas=1),
            settings_json=EnvironmentSettings(),
            project_deployment_id=deployment,
        ).id
        for name in ("staging", "production")
    ]


@pytest.fixture
def status(store):
    return lambda deployment_id="d": store.get(Deployment, deployment_id).status


def test_it_crashes_until_no_environment_gives_it_up(store, environments, status):
    standing = Standing(store)
    staging, production = environments
    standing.gave_up(staging, "d")
    standing.runs(production, "d")
    assert status() == "crashing"
    standing.left(staging)
    assert status() == "deployed"


def test_it_sleeps_while_it_does_everywhere(store, environments, status):
    standing = Standing(store)
    staging, production = environments
    store.change(Environment, staging, asleep_at=NOON)
    standing.tell("d")
    assert status() == "deployed"
    store.remove(Environment, production)
    standing.tell("d")
    assert status() == "sleeping"


@pytest.mark.parametrize("before", ["queue", "building", "build_error", "cancelled"])
def test_what_is_live_nowhere_or_was_not_built_keeps_its_status(store, environments, status, before):
    standing = Standing(store)
    store.change(Deployment, "d", status=before)
    standing.tell("d")
    assert status() == before


def test_live_nowhere_it_sleeps_until_it_is_asked_for_by_its_own_address(store, deployment, environments, status):
    standing = Standing(store)
    store.change(Deployment, "d", status="sleeping")
    standing.answers("d")
    assert status() == "sleeping", "it is live, and sleeps there"
    for environment in environments:
        store.remove(Environment, environment)
    standing.answers("d")
    assert status() == "deployed"


def test_a_deployment_that_crashed_on_an_environment_is_well_once_that_is_deleted(own):
    site = make_site(own.start(), "crashes-in-one")
    fails = 'import os\nif os.path.exists(os.environ.get("FAILS_WHEN", "/nowhere")):\n    raise SystemExit(7)\n'
    fails_when = own.state.with_name("fails")
    deployment = site.deploy({"main.py": f"VERSION = 1\n{fails}{ECHO}"})
    site.live(deployment.id)
    staging = site.client.environments.create(
        site.project_id,
        unique_name="staging",
        display_name="Staging",
        description="It fails after the restart",
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(run_envs={"FAILS_WHEN": str(fails_when)}),
        is_auto_promote_enabled=True,
    ).id
    site.client.environments.wait(site.project_id, staging, deployment_id=deployment.id, timeout_s=60)
    fails_when.touch()
    own.kill()
    site = own.again(site)
    site.live()
    eventually(lambda: site.client.deployments.get(site.project_id, deployment.id).status == "crashing")
    assert site.visit().json()["version"] == 1
    site.client.environments.delete(site.project_id, staging)
    eventually(lambda: site.client.deployments.get(site.project_id, deployment.id).status == "deployed")
    newer = site.deploy(echo(2))
    assert site.live(newer.id).project_deployment_id == newer.id
