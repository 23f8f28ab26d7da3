from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import socket
import sys
import textwrap

import aiohttp
import psutil
import pytest

from createos_nb.platform import serving as module
from createos_nb.platform.builds import Artefact
from createos_nb.platform.clock import Clock
from createos_nb.platform.entrance import Entrance
from createos_nb.platform.gateway.server import ANSWER_WITHIN_S
from createos_nb.platform.processes import PortTaken, StartFailed, Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs
from createos_nb.platform.serving import Serving

pytestmark = pytest.mark.anyio

HOST = "production.shop.localhost"
OF_ENV = {"environment_id": "env", "hosts": [HOST], "replicas": 1, "memory_mb": None}
APPLICATION = """
    import http.server, json, os, time

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        def do_GET(self):
            while self.path == "/slow" and not os.path.exists("released"):
                time.sleep(0.01)
            if self.path == "/crash":
                os._exit(9)
            content = json.dumps({"version": os.environ["VERSION"], "pid": os.getpid()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        def log_message(self, *values):
            pass

    if os.path.exists(os.environ.get("BROKEN_WHEN", "/nowhere")):
        raise SystemExit("broken on purpose")
    http.server.ThreadingHTTPServer.request_queue_size = 128
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def artefact(tmp_path):
    (tmp_path / "main.py").write_text(textwrap.dedent(APPLICATION))
    return Artefact(tmp_path, (sys.executable, "main.py"), {}, 8080)


@pytest.fixture
async def routes(tmp_path):
    entrance = Entrance(tmp_path / "requests")
    yield entrance
    await entrance.close()


@pytest.fixture
async def serving(tmp_path, routes):
    logs = RuntimeLogs(tmp_path / "logs")
    supervisor = Supervisor(logs, owner=f"test-serving-{os.getpid()}")
    serving = Serving(supervisor, routes, backoff_s=(0, 0, 0))
    yield serving
    await serving.close()
    assert supervisor.sweep() == 0, "a test left a process behind"
    logs.close()


@pytest.fixture
def serve(serving, artefact):
    async def serve(version, **changes):
        settings = {
            "hosts": [HOST],
            "deployment_id": version,
            "artefact": artefact,
            "variables": {"VERSION": version, **changes.pop("variables", {})},
            "replicas": 1,
            "memory_mb": None,
        }
        await serving.serve("env", **{**settings, **changes})

    return serve


@pytest.fixture
async def get(routes):
    """Ask the gateway; returns (status, answer)."""
    listener = socket.create_server(("127.0.0.1", 0))
    routes.open(listener)
    port = listener.getsockname()[1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def get(path="/", host=HOST):
            async with session.get(path, headers={"Host": host}) as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if answer.status == 200 else text

        yield get
    listener.close()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_deployment_is_served_on_its_hosts(serve, serving, get):
    assert not serving.processes_of("env")
    await serve("v1", hosts=[HOST, "shop.example.localhost"])
    assert {each.deployment_id for each in serving.processes_of("env")} == {"v1"}
    for host in (HOST, "shop.example.localhost"):
        assert (await get(host=host))[1]["version"] == "v1"


async def test_a_switch_loses_no_request(serve, get):
    await serve("v1")
    seen, done = [], asyncio.Event()

    async def visitor():
        while not done.is_set():
            seen.append(await get())

    visitors = [asyncio.create_task(visitor()) for _ in range(8)]
    for version in ("v2", "v3", "v4"):
        await serve(version)
        await until(lambda version=version: seen and seen[-1][1]["version"] == version)
    done.set()
    await asyncio.gather(*visitors)
    assert {status for status, _ in seen} == {200}
    assert {answer["version"] for _, answer in seen} == {"v1", "v2", "v3", "v4"}


async def test_a_request_under_way_is_answered_by_the_replica_that_has_it(serve, get, routes, tmp_path):
    await serve("v1")
    slow = asyncio.create_task(get("/slow"))
    async with asyncio.timeout(20):
        while await routes.unused_since("env") < math.inf:
            await asyncio.sleep(0.01)
    await serve("v2")
    assert (await get())[1]["version"] == "v2"
    assert not slow.done()
    assert [(await get())[1]["version"] for _ in range(5)] == ["v2"] * 5
    (tmp_path / "released").touch()
    old = (await slow)[1]
    assert old["version"] == "v1"
    await until(lambda: not psutil.pid_exists(old["pid"]))


def test_what_the_gateway_grants_an_application_a_switch_grants_it_too():
    assert module._DRAIN_WITHIN_S > ANSWER_WITHIN_S


async def test_a_deployment_that_does_not_start_leaves_the_old_one_serving(serve, serving, get, tmp_path):
    await serve("v1")
    (tmp_path / "broken").touch()
    with pytest.raises(StartFailed, match="exit code 1") as caught:
        await serve("v2", variables={"BROKEN_WHEN": str(tmp_path / "broken")})
    assert caught.value.last_lines == ("broken on purpose",)
    assert {each.deployment_id for each in serving.processes_of("env")} == {"v1"}
    assert (await get())[1]["version"] == "v1"


async def test_of_several_replicas_all_start_or_none(serve, serving, artefact, tmp_path):
    (tmp_path / "main.py").write_text(
        f"import os\nos.mkdir({str(tmp_path / 'only-one')!r})\n" + textwrap.dedent(APPLICATION)
    )
    with pytest.raises(StartFailed):
        await serve("v1", replicas=3)
    assert not serving.processes_of("env")
    assert serving._supervisor.processes == ()


async def test_a_replica_that_ends_while_another_starts_fails_the_whole(serve, serving, tmp_path):
    source = f"""
    import os, pathlib, socket, time

    gone = pathlib.Path({str(tmp_path / "gone")!r})
    address = ("127.0.0.1", int(os.environ["PORT"]))
    try:
        os.mkdir({str(tmp_path / "first")!r})
    except FileExistsError:
        while not gone.exists():
            time.sleep(0.02)
        server = socket.create_server(address)
        time.sleep(600)
    else:
        server = socket.create_server(address)
        server.accept()
        time.sleep(0.5)
        gone.touch()
        os._exit(5)
    """
    (tmp_path / "main.py").write_text(textwrap.dedent(source))
    with pytest.raises(StartFailed, match="ended right after"):
        await serve("v1", replicas=2)
    assert serving.processes_of("env") == ()
    assert serving._supervisor.processes == ()


async def test_replicas_are_processes_that_take_turns(serve, serving, get):
    await serve("v1", replicas=3)
    pids = {process.pid for process in serving.processes_of("env")}
    assert len(pids) == 3
    assert {(await get())[1]["pid"] for _ in range(3)} == pids


async def test_resizing_adds_and_removes_replicas_and_keeps_the_others(serve, serving, get):
    await serve("v1")
    first = serving.processes_of("env")
    await serving.resize("env", 3)
    three = serving.processes_of("env")
    assert [process.replica for process in three] == [0, 1, 2]
    assert three[:1] == first
    assert {(await get())[1]["pid"] for _ in range(6)} == {process.pid for process in three}
    await serving.resize("env", 1, memory_mb=700)
    assert serving.processes_of("env") == first
    assert first[0].memory_mb == 700
    assert {(await get())[1]["pid"] for _ in range(4)} == {first[0].pid}
    await until(lambda: serving._supervisor.processes == first)


async def test_resizing_an_environment_that_serves_nothing_does_nothing(serving):
    await serving.resize("env", 3)
    assert serving.processes_of("env") == ()


async def test_a_replica_that_fails_to_be_added_leaves_the_others(serve, serving, get, tmp_path):
    await serve("v1", variables={"BROKEN_WHEN": str(tmp_path / "broken")})
    (tmp_path / "broken").touch()
    with pytest.raises(StartFailed):
        await serving.resize("env", 2)
    assert len(serving.processes_of("env")) == 1
    assert (await get())[0] == 200


async def test_a_replica_that_dies_is_taken_out_at_once_and_comes_back(serve, serving, get):
    await serve("v1", replicas=2)
    victim, other = serving.processes_of("env")
    os.kill(victim.pid, signal.SIGKILL)
    await until(lambda: len(serving.processes_of("env")) == 2 and victim not in serving.processes_of("env"))
    replaced, kept = serving.processes_of("env")
    assert kept is other
    assert replaced.replica == victim.replica
    assert {(await get())[1]["pid"] for _ in range(4)} == {replaced.pid, kept.pid}


async def test_while_one_replica_is_down_the_other_answers_everything(serve, serving, get, tmp_path):
    await serve("v1", replicas=2, variables={"BROKEN_WHEN": str(tmp_path / "broken")})
    (tmp_path / "broken").touch()
    os.kill(serving.processes_of("env")[0].pid, signal.SIGKILL)
    assert {(await get())[0] for _ in range(50)} == {200}


async def test_a_crash_loop_is_given_up_and_told_with_the_last_lines(serve, serving, get, tmp_path):
    crashed = asyncio.get_running_loop().create_future()
    serving.on_crash = lambda *told: crashed.set_result(told)
    await serve("v1", variables={"BROKEN_WHEN": str(tmp_path / "broken")})
    (tmp_path / "broken").touch()
    os.kill(serving.processes_of("env")[0].pid, signal.SIGKILL)
    environment_id, deployment_id, lines = await asyncio.wait_for(crashed, 20)
    assert (environment_id, deployment_id) == ("env", "v1")
    assert "broken on purpose" in lines
    assert (await get())[0] == 503


async def test_one_that_dies_after_it_listened_is_a_crash_loop_too(serve, serving, get):
    crashed = asyncio.get_running_loop().create_future()
    serving.on_crash = lambda *told: crashed.set_result(told)
    await serve("v1")

    async def break_it():
        while not crashed.done():
            await get("/crash")

    breaking = asyncio.create_task(break_it())
    _, _, lines = await asyncio.wait_for(crashed, 30)
    await breaking
    assert "exit code 9" in lines[-1]


async def test_crashes_long_ago_are_forgotten(serve, serving, monkeypatch):
    monkeypatch.setattr(module, "_HEALTHY_AGAIN_S", 0)
    crashed = []
    serving.on_crash = lambda *told: crashed.append(told)
    await serve("v1")
    for _ in range(5):
        [process] = serving.processes_of("env")
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda process=process: serving.processes_of("env") not in ((), (process,)))
    assert crashed == []


async def test_one_that_ends_now_and_then_is_restarted_until_it_ends_too_often(serve, serving, monkeypatch):
    clock, crashed, restarts = Clock(), [], []
    monkeypatch.setattr(serving, "_clock", clock)
    monkeypatch.setattr(serving._supervisor, "_clock", clock)
    serving.on_crash = lambda *told: crashed.append(told)
    await serve("v1")
    for healthy_s in [62.0] * 12 + [20.0, 61.0] * 20:
        [process] = serving.processes_of("env")
        clock.move(healthy_s)
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda process=process: crashed or serving.processes_of("env") not in ((), (process,)))
        if crashed:
            break
        restarts.append(clock.time())
    assert len(restarts) > 12
    assert max(sum(at <= other < at + 600 for other in restarts) for at in restarts) == 12


async def test_a_stopped_environment_is_forgotten_with_its_processes(serve, serving, get):
    await serve("v1", replicas=2)
    processes = serving.processes_of("env")
    await serving.stop("env")
    assert not serving.processes_of("env")
    assert not [process for process in processes if psutil.pid_exists(process.pid)]
    assert (await get())[0] == 421
    assert not list(serving._locks), "a platform that runs for long has had many environments"
    await serving.stop("env")


async def test_hosts_change_while_it_serves_and_while_it_does_not(serve, serving, get):
    serving.set_hosts("env", [HOST])
    assert (await get())[0] == 503
    await serve("v1")
    serving.set_hosts("env", ["new.localhost"])
    assert (await get())[0] == 421
    assert (await get(host="new.localhost"))[0] == 200


# --- applications that ignore PORT ------------------------------------------------------------------------


@pytest.fixture
def stubborn(tmp_path):
    """An application that listens on a port of its own choice, whatever it is told."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "main.py").write_text(textwrap.dedent(APPLICATION).replace('int(os.environ["PORT"])', str(port)))
    return Artefact(tmp_path, (sys.executable, "main.py"), {}, port)


async def test_a_new_version_of_one_that_ignores_port_takes_its_place(serving, get, stubborn):
    assert await serving.serve(**OF_ENV, deployment_id="v1", artefact=stubborn, variables={"VERSION": "v1"})
    first = serving.processes_of("env")[0]
    assert not await serving.serve(**OF_ENV, deployment_id="v2", artefact=stubborn, variables={"VERSION": "v2"})
    assert (await get())[1]["version"] == "v2"
    assert not psutil.pid_exists(first.pid)


async def test_the_old_one_comes_back_when_its_successor_cannot_start(serving, get, stubborn, tmp_path):
    await serving.serve(**OF_ENV, deployment_id="v1", artefact=stubborn, variables={"VERSION": "v1"})
    (tmp_path / "other").mkdir()
    # It wants the port only when it is free, and then ends: the second start fails in another way.
    (tmp_path / "other" / "main.py").write_text(
        f"import socket\nsocket.create_server(('127.0.0.1', {stubborn.port}))\nraise SystemExit('broken')\n"
    )
    broken = Artefact(tmp_path / "other", (sys.executable, "main.py"), {}, stubborn.port)
    with pytest.raises(StartFailed, match="ended before it listened"):
        await serving.serve(**OF_ENV, deployment_id="v2", artefact=broken, variables={})
    assert (await get())[1]["version"] == "v1"
    assert {each.deployment_id for each in serving.processes_of("env")} == {"v1"}


async def test_two_replicas_of_one_that_ignores_port_are_one_clear_error(serving, stubborn):
    of_two = {**OF_ENV, "replicas": 2}
    with pytest.raises(PortTaken, match="environment variable PORT, which is its alone"):
        await serving.serve(**of_two, deployment_id="v1", artefact=stubborn, variables={"VERSION": "v1"})
    assert serving.processes_of("env") == ()
