"""Environments that sleep when nobody asks for them, and wake when somebody does; real processes, a moved clock."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import uuid

import aiohttp
import psutil
import pytest

from createos_nb.api.account import User
from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment, EnvironmentSettings, Resources
from createos_nb.api.projects import Project, UploadSettings
from createos_nb.api.secret import Secret
from createos_nb.errors import InvalidArgument, Unprocessable
from createos_nb.platform import sleep as module
from createos_nb.platform.builds import Artefact
from createos_nb.platform.handlers import deployments, environments, projects
from createos_nb.platform.options import Options
from createos_nb.platform.platform import Context, Platform
from tests.platform.conftest import ECHO, echo, eventually, make_site, visit

IDLE_S = 600
APPLICATION = """
import asyncio, os, time
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

if os.path.exists(os.environ.get("BROKEN_WHEN", "/nowhere")):
    raise SystemExit("broken on purpose")
while os.path.exists(os.environ["STARTS"] + ".wait"):
    time.sleep(0.01)
with open(os.environ["STARTS"], "a") as starts:
    starts.write(f"{os.getpid()}\\n")

async def answer(connection, request):
    if request.path == "/socket":
        return None
    if request.path == "/long":
        while not os.path.exists(os.environ["STARTS"] + ".release"):
            await asyncio.sleep(0.01)
    return Response(200, "OK", Headers({"Content-Length": "2"}), b"ok")

async def socket(connection):
    async for message in connection:
        await connection.send(message)

async def main():
    async with serve(socket, "127.0.0.1", int(os.environ["PORT"]), process_request=answer, backlog=128) as server:
        await server.serve_forever()

asyncio.run(main())
"""


class Here:
    """A platform within the test, with one application that is live, and its gateway."""

    def __init__(self, platform, starts):
        self.platform = platform
        self.store = platform.store
        self.starts = starts
        self.context = Context(platform, self.store.find(User)[0].id)

    async def deploy(self, *, replicas=1, environments_=("production",)):
        made = await projects.create(
            self.context,
            unique_name="naps",
            display_name="Naps",
            type="upload",
            settings=UploadSettings(runtime="python", run_command="python main.py"),
            source=None,
            description=None,
            app_id=None,
            enabled_security_scan=False,
        )
        self.project_id = made.id
        self.deployment_id = str(uuid.uuid4())
        directory = self.starts.with_name("application")
        directory.mkdir()
        (directory / "main.py").write_text(APPLICATION)
        self.store.add_deployment(self.store.get(Project, made.id), deployment_id=self.deployment_id, source={})
        artefact = Artefact(directory, (sys.executable, "main.py"), {}, 8080).to_json()
        self.store.change(Deployment, self.deployment_id, status="deployed", artefact_json=artefact)
        variables = {"STARTS": self.starts, "BROKEN_WHEN": self.starts.with_name("broken")}
        self.environment_ids = [
            (
                await environments.create(
                    self.context,
                    project_id=made.id,
                    unique_name=name,
                    display_name=name.title(),
                    description=None,
                    resources=Resources(cpu=200, memory=500, replicas=replicas),
                    settings=EnvironmentSettings(
                        run_envs={key: Secret(str(value)) for key, value in variables.items()}
                    ),
                    branch=None,
                    is_auto_promote_enabled=True,
                )
            ).id
            for name in environments_
        ]
        for environment_id in self.environment_ids:
            await until(lambda each=environment_id: self.store.get(Environment, each).status == "active")
        assert self.status == "deployed"
        self.starts.write_text("")

    @property
    def environment_id(self):
        return self.environment_ids[0]

    @property
    def status(self):
        return self.store.get(Deployment, self.deployment_id).status

    @property
    def processes(self):
        return self.platform.lifecycle.serving.processes_of(self.environment_id)

    @property
    def asleep(self):
        return self.store.sleeps(self.environment_id) and not self.processes

    def started(self):
        """The processes that the application was started as since it was deployed."""
        return self.starts.read_text().split()

    @contextlib.asynccontextmanager
    async def ask(self, path="/", host="production.naps.localhost"):
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            session.get(self.gateway + path, headers={"Host": host}) as answer,
        ):
            yield answer.status, await answer.text()

    async def get(self, path="/", host="production.naps.localhost"):
        async with self.ask(path, host) as answer:
            return answer

    async def call(self, operation):
        return await operation(self.context, project_id=self.project_id, deployment_id=self.deployment_id)


async def until(what, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not what():
            await asyncio.sleep(0.01)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def options():
    return Options(idle_s=IDLE_S)


@pytest.fixture
async def here(tmp_path, options):
    state = tmp_path / "state"
    state.mkdir()
    platform = Platform(state, options)
    await platform.begin()
    listener = socket.create_server(("127.0.0.1", 0))
    platform.entrance.open(listener)
    made = Here(platform, tmp_path / "starts")
    made.gateway = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield made
    await platform.close()
    listener.close()


@pytest.mark.anyio
async def test_an_idle_time_goes_on_while_the_gateway_only_starts(here):
    await here.deploy()
    used = await here.platform.entrance.unused_since(here.environment_id)
    here.platform.clock.move(IDLE_S - 60)
    # As one that starts late: it is told everything again.
    here.platform.entrance._routes()
    assert await here.platform.entrance.unused_since(here.environment_id) == used


@pytest.mark.anyio
async def test_what_nobody_asks_for_sleeps_after_the_idle_time_and_not_before(here):
    await here.deploy()
    here.platform.clock.move(IDLE_S - 60)
    await asyncio.sleep(0.2)
    assert len(here.processes) == 1
    pid = here.processes[0].pid
    here.platform.clock.move(120)
    await until(lambda: here.asleep)
    assert here.status == "sleeping"
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert here.store.get(Environment, here.environment_id).project_deployment_id == here.deployment_id


@pytest.mark.anyio
async def test_a_request_wakes_it_and_is_recorded_once(here):
    await here.deploy()
    here.platform.clock.move(IDLE_S * 2)
    await until(lambda: here.asleep)
    log = await here.platform.access_log()
    window = (here.environment_id, 0, 10**10)
    assert log.overall_requests(*window).total == 0
    assert await here.get("/first") == (200, "ok")
    assert [(row.path, row.count) for row in log.top_hit_paths(*window)] == [("/first", 1)]
    assert log.overall_requests(*window).success == 1
    assert here.status == "deployed"
    assert not here.store.sleeps(here.environment_id)
    assert len(here.started()) == 1


@pytest.mark.anyio
async def test_fifty_requests_at_once_wake_it_once_and_every_replica_once(here):
    await here.deploy(replicas=3)
    for _ in range(3):
        here.platform.clock.move(IDLE_S * 2)
        await until(lambda: here.asleep)
        here.starts.write_text("")
        answers = await asyncio.gather(*(here.get(f"/{number}") for number in range(50)))
        assert answers == [(200, "ok")] * 50
        assert len(here.started()) == 3
        assert sorted(process.replica for process in here.processes) == [0, 1, 2]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/long", "/socket"])
async def test_a_long_request_and_a_websocket_keep_it_awake(here, path):
    await here.deploy()
    [process] = here.processes
    async with aiohttp.ClientSession() as session:
        headers = {"Host": "production.naps.localhost"}
        if path == "/long":
            asked = asyncio.create_task(here.get("/long"))
            async with asyncio.timeout(20):
                while await here.platform.entrance.unused_since(here.environment_id) < float("inf"):
                    await asyncio.sleep(0.01)
        else:
            websocket = await session.ws_connect(here.gateway + path, headers=headers)
        here.platform.clock.move(IDLE_S * 10)
        await asyncio.sleep(0.3)
        assert here.processes == (process,)
        if path == "/long":
            here.starts.with_name("starts.release").touch()
            assert await asked == (200, "ok")
        else:
            await websocket.send_str("still there?")
            assert (await websocket.receive(5)).data == "still there?"
            await websocket.close()
    # Only now its idle time begins.
    await asyncio.sleep(0.3)
    assert here.processes == (process,)
    here.platform.clock.move(IDLE_S * 2)
    await until(lambda: here.asleep)


@pytest.mark.anyio
async def test_too_many_requests_for_one_that_wakes_are_refused_and_told_why(here, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 5)
    await here.deploy()
    await here.call(deployments.delete)
    await until(lambda: here.asleep)
    waits = here.starts.with_name("starts.wait")
    waits.touch()
    asking = [asyncio.create_task(here.get()) for _ in range(20)]
    await until(lambda: sum(each.done() for each in asking) == 15)
    waits.unlink()
    answers = await asyncio.gather(*asking)
    refused = [text for status, text in answers if status == 503]
    assert len(refused) == 15
    assert sum(status == 200 for status, _ in answers) == 5
    assert all("5 requests wait for it. Try again in a moment." in text for text in refused)
    assert len(here.started()) == 1


@pytest.mark.anyio
async def test_one_that_does_not_wake_says_why_and_is_not_started_again_for_each_request(here):
    await here.deploy()
    await here.call(deployments.delete)
    await until(lambda: here.asleep)
    broken = here.starts.with_name("broken")
    broken.touch()
    answers = await asyncio.gather(*(here.get() for _ in range(10)))
    answers.append(await here.get())
    assert {status for status, _ in answers} == {503}
    assert all(text.startswith("It did not wake up. ") and "It ended" in text for _, text in answers)
    assert here.status == "crashing"
    lines = here.platform.lifecycle.pipeline.build_logs.read(here.deployment_id)
    assert [line.log for line in lines].count("broken on purpose") == 1
    broken.unlink()
    here.platform.clock.move(10)
    assert await here.get() == (200, "ok")
    assert here.status == "deployed"


@pytest.mark.anyio
async def test_a_deployment_sleeps_while_it_sleeps_wherever_it_is_live(here):
    await here.deploy(environments_=("production", "staging"))
    here.platform.clock.move(IDLE_S - 1)
    assert await here.get(host="staging.naps.localhost") == (200, "ok")
    here.platform.clock.move(100)
    await until(lambda: here.asleep)
    assert here.status == "deployed", "staging is awake"
    here.platform.clock.move(IDLE_S * 2)
    await until(lambda: here.status == "sleeping")
    assert await here.get(host="staging.naps.localhost") == (200, "ok")
    assert here.status == "deployed"
    assert here.asleep, "production sleeps on"


@pytest.mark.anyio
async def test_it_is_put_to_sleep_and_woken_by_call(here):
    await here.deploy()
    assert await here.call(deployments.delete) == "Deployment terminated"
    assert here.status == "sleeping"
    await until(lambda: here.asleep)
    assert here.started() == []
    assert await here.call(deployments.wake) == "Deployment is waking up"
    assert here.status == "deploying"
    await until(lambda: here.status == "deployed")
    assert len(here.processes) == len(here.started()) == 1
    assert await here.get() == (200, "ok")
    with pytest.raises(Unprocessable, match="does not sleep"):
        await here.call(deployments.wake)


@pytest.mark.anyio
async def test_requests_and_sleep_that_meet_lose_no_request(here):
    await here.deploy()

    async def visit():
        return [await here.get() for _ in range(15)]

    visits = [asyncio.create_task(visit()) for _ in range(4)]
    for _ in range(5):
        if here.status == "deployed":
            await here.call(deployments.delete)
        await asyncio.sleep(0.05)
    for each in visits:
        assert await each == [(200, "ok")] * 15


@pytest.mark.anyio
async def test_of_many_that_requests_woke_the_one_not_used_for_longest_sleeps_again(here, monkeypatch):
    monkeypatch.setattr(module, "MAX_WOKEN", 1)
    await here.deploy(environments_=("production", "staging"))
    await here.call(deployments.delete)
    await until(lambda: not here.platform.lifecycle.serving.environment_ids)
    assert await here.get() == (200, "ok")
    assert await here.get(host="staging.naps.localhost") == (200, "ok")
    await until(lambda: here.asleep)
    assert here.platform.lifecycle.serving.environment_ids == (here.environment_ids[1],)


@pytest.mark.anyio
async def test_what_was_never_asleep_is_not_put_to_sleep_to_make_room(here, monkeypatch):
    monkeypatch.setattr(module, "MAX_WOKEN", 1)
    await here.deploy(environments_=("production", "staging"))
    # As for a request that came while they were just going live.
    for environment_id in here.environment_ids:
        assert await here.platform.sleep._wake_for_request(environment_id) is None
    assert not here.asleep
    assert not here.platform.sleep._woken


@pytest.mark.parametrize("idle_s", [0, -1, 0.5, float("nan"), float("inf")])
def test_an_idle_time_that_cannot_be_is_refused(idle_s):
    with pytest.raises(InvalidArgument, match="Use at least 1 s"):
        Options(idle_s=idle_s)


@pytest.mark.anyio
@pytest.mark.parametrize("options", [Options(keep_records_s=7200, keep_logs_s=3600)])
async def test_records_and_logs_are_kept_for_as_long_as_was_asked_for(here):
    await here.deploy()
    log, logs = await here.platform.access_log(), here.platform.lifecycle.runtime_logs
    assert await here.get("/early") == (200, "ok")
    logs.write(here.environment_id, here.deployment_id, 0, "early")
    here.platform.clock.move(5000)
    assert await here.get("/late") == (200, "ok")
    await until(lambda: logs.read(environment_id=here.environment_id, since_s=10**6) == "")
    window = (here.environment_id, 0, 10**10)
    assert [row.path for row in log.top_hit_paths(*window)] == ["/early", "/late"]
    logs.write(here.environment_id, here.deployment_id, 0, "late")
    here.platform.clock.move(3000)
    await until(lambda: [row.path for row in log.top_hit_paths(*window)] == ["/late"])
    assert logs.read(environment_id=here.environment_id, since_s=10**6) == "late"


def test_nothing_is_kept_for_less_than_a_minute():
    with pytest.raises(InvalidArgument, match="at least 60 s"):
        Options(keep_records_s=1)


# --- a process of its own -------------------------------------------------------------------------------------


def test_what_sleeps_sleeps_on_after_a_kill_and_wakes_when_it_is_asked_for(own):
    site = make_site(own.start(), "sleeper")
    deployment = site.deploy(echo())
    site.live(deployment.id)
    site.client.deployments.delete(site.project_id, deployment.id)
    own.kill()
    site = own.again(site)
    assert site.client.deployments.get(site.project_id, deployment.id).status == "sleeping"
    assert site.live().project_deployment_id == deployment.id
    assert site.visit().json()["version"] == 1
    assert site.client.deployments.get(site.project_id, deployment.id).status == "deployed"


def test_a_call_to_wake_it_survives_a_kill(own):
    site = make_site(own.start(), "woken")
    deployment = site.deploy({"main.py": f"import time; time.sleep(1)\nVERSION = 1\n{ECHO}"})
    site.live(deployment.id)
    site.client.deployments.delete(site.project_id, deployment.id)
    site.client.deployments.wake(site.project_id, deployment.id)
    own.kill()
    site = own.again(site)
    eventually(lambda: site.client.deployments.get(site.project_id, deployment.id).status == "deployed")
    assert "building it again" not in site.log(deployment.id)
    assert site.visit().status_code == 200


def test_a_suspended_project_does_not_wake_and_what_slept_in_it_sleeps_on(own):
    site = make_site(own.start(), "suspended")
    deployment = site.deploy(echo())
    site.live(deployment.id)
    site.client.deployments.delete(site.project_id, deployment.id)
    site.client.projects.suspend(site.project_id)
    site.live()
    assert site.visit().status_code == 503
    site.client.projects.unsuspend(site.project_id)
    site.live()
    assert site.client.deployments.get(site.project_id, deployment.id).status == "sleeping"
    assert site.visit().json()["version"] == 1


def test_a_deployment_answers_at_its_own_address_though_another_is_live(own):
    site = make_site(own.start(), "previewed")
    first, second = site.deploy(echo(1)), site.deploy(echo(2))
    site.live(second.id)
    endpoint = site.client.deployments.get(site.project_id, first.id).extra.endpoint
    assert endpoint.startswith("http://v1.deployments.previewed.localhost:")
    answers = [visit(endpoint).json() for _ in range(3)]
    assert {answer["version"] for answer in answers} == {1}
    assert len({answer["pid"] for answer in answers}) == 1
    assert site.visit().json()["version"] == 2
    assert site.client.analytics.overall_requests(*site.target).total == 1, "the deployment's own do not count"
    assert visit(endpoint.replace("v1.", "v9.")).status_code == 421
    own.kill()
    site = own.again(site)
    assert visit(endpoint).json()["version"] == 1
    site.client.projects.delete(site.project_id)
    eventually(lambda: visit(endpoint).status_code == 421)


def test_a_projects_own_address_leads_to_what_is_live_else_to_the_newest_deployment(own):
    """As in the specification's quick start, which makes no environment: ``my-app`` is live when it is built."""
    site = make_site(own.start(), "my-app")
    site.client.environments.delete(*site.target)
    eventually(lambda: not site.client.environments.list(site.project_id))
    address = f"http://my-app.localhost:{own.address.gateway_url.rpartition(':')[2]}"
    assert visit(address).status_code == 421, "there is nothing yet"

    def answers(version):
        answer = visit(address)
        return answer.status_code == 200 and answer.json()["version"] == version

    for version in (1, 2):
        site.deploy(echo(version))
        assert answers(version)
    old = site.client.deployments.list(site.project_id)[-1]
    staging = site.client.environments.create(
        site.project_id,
        unique_name="staging",
        display_name="Staging",
        description=None,
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(),
    ).id
    assert answers(2), "an environment with nothing on it leads nowhere"
    site.client.environments.assign_deployment(site.project_id, staging, deployment_id=old.id)
    site.client.environments.wait(site.project_id, staging, deployment_id=old.id, timeout_s=60)
    assert answers(1)
    site.deploy(echo(3))
    assert answers(1), "a deployment that is live nowhere"
    assert site.client.environments.get(site.project_id, staging).extra.custom_domains == ()
    own.kill()
    site = own.again(site)
    eventually(lambda: answers(1))
    site.client.environments.delete(site.project_id, staging)
    eventually(lambda: answers(3))
    own.kill()
    site = own.again(site)
    assert answers(3)
    site.client.projects.suspend(site.project_id)
    assert visit(address).status_code == 503
