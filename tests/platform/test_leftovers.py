"""What applications leave behind, take from others or learn about the platform (SAFETY C01 to C08, G04)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress

import aiohttp
import psutil
import pytest

from createos_nb.platform import ports
from createos_nb.platform.cgroups import Cgroups
from createos_nb.platform.children import OWNER, Child, end_owned, environment
from createos_nb.platform.gateway.recorder import Recorder
from createos_nb.platform.gateway.routes import Routes, Upstream
from tests.platform.gateways import gateway
from tests.platform.test_processes import ON_PORT, alive, artefact, get, logs, on_port, start, supervisor

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc"),
]
__all__ = ["artefact", "logs", "supervisor"]  # Fixtures of test_processes.

FAMILY = """
import os, signal, subprocess, sys, time

def note(name):
    with open(f"pids/{os.getpid()}.{name}", "w"):
        pass

signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.makedirs("pids", exist_ok=True)
nap = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
for name, options in {"grandchild": {}, "session": {"start_new_session": True}}.items():
    child = subprocess.Popen([sys.executable, "-c", nap], **options)
    open(f"pids/{child.pid}.{name}", "w").close()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note("daemon")
        time.sleep(600)
    os._exit(0)
os.wait()
if CLEARS and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note("cleared")
        os.execve(sys.executable, [sys.executable, "-c", nap], {})
    os._exit(0)
while len(os.listdir("pids")) < 3 + CLEARS:
    time.sleep(0.01)
note("application")
"""
PLATFORM = """
import asyncio, faulthandler, os, pathlib, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup would have it ignore
from createos_nb.platform.builds import Artefact
from createos_nb.platform.processes import Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs

async def main():
    supervisor = Supervisor(RuntimeLogs(pathlib.Path(sys.argv[1])), owner="test-leftovers")
    await supervisor.start(
        Artefact.from_json({artefact!r}), environment_id="e", deployment_id="d", replica=0, variables={{}},
        memory_mb=None,
    )
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
ENDS = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT, signal.SIGSEGV]
KILLS = 20


def test_nothing_outlives_a_platform_that_is_killed_and_nobody_else_is_touched(artefact, tmp_path, figures):  # C01
    """Four times each: killed, told to end, hung up, aborted, crashed; before and after the next start."""
    groups = bool(Cgroups("test-leftovers").enforced)
    made = artefact(f"CLEARS = {groups}\n{FAMILY}\n" + textwrap.dedent(ON_PORT))
    pids = made.directory / "pids"
    foreign = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={OWNER: "somebody-else", "PATH": "/bin"}
    )
    at_once = after = started = 0
    try:
        for number in range(KILLS):
            platform = subprocess.Popen(
                [sys.executable, "-c", PLATFORM.format(artefact=made.to_json()), str(tmp_path / "run-logs")],
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert platform.stdout.readline() == b"up\n"
            family = {entry.suffix[1:]: psutil.Process(int(entry.stem)) for entry in pids.iterdir()}
            assert len(family) == 4 + groups
            started += len(family)
            platform.send_signal(ENDS[number % len(ENDS)])
            platform.wait()
            platform.stdout.close()
            marked = [process for name, process in family.items() if name != "cleared"]
            deadline = time.monotonic() + 30
            while any(alive(process.pid) for process in marked) and time.monotonic() < deadline:
                time.sleep(0.01)
            at_once += sum(alive(process.pid) for process in marked)
            end_owned("test-leftovers")
            Cgroups("test-leftovers").sweep()
            after += sum(alive(process.pid) for process in family.values())
            for entry in pids.iterdir():
                entry.unlink()
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()
        end_owned("test-leftovers")
    with figures():
        print(f"\nC01: {KILLS} ends, {started} processes, orphans before a restart {at_once}, after it {after}")
    assert (at_once, after) == (0, 0)


def test_a_child_outlives_the_thread_that_started_it(tmp_path):  # C02
    loop = asyncio.new_event_loop()
    children: list[Child] = []

    def begin():
        started = Child.start(
            ("sleep", "60"),
            directory=tmp_path,
            variables=environment(),
            owner="test-threads",
            on_lines=lambda _: None,
        )
        children.append(loop.run_until_complete(started))

    try:
        for _ in range(20):
            thread = threading.Thread(target=begin)
            thread.start()
            thread.join()
        time.sleep(0.2)
        assert sum(alive(child.pid) for child in children) == 20
    finally:
        for child in children:
            loop.run_until_complete(child.end(grace_s=0))
        loop.close()
    assert not any(alive(child.pid) for child in children)


async def test_of_a_daemon_that_cleared_its_environment_nothing_stays(supervisor, artefact, require):  # C01
    if not supervisor.cgroups.enforced:
        require("cgroup", "no control group of this machine can be written to")
    made = artefact("CLEARS = True\n" + FAMILY + textwrap.dedent(ON_PORT))
    process = await start(supervisor, made)
    pids = [int(entry.stem) for entry in (made.directory / "pids").iterdir()]
    await supervisor.stop(process, grace_s=0)
    assert len(pids) == 5
    assert not [pid for pid in pids if alive(pid)]


async def test_a_port_that_was_taken_in_between_is_replaced_by_another(supervisor, artefact, monkeypatch):  # C04
    made, free = artefact(ON_PORT), ports.free
    wrong = 0
    for _ in range(20):
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = iter([other.getsockname()[1]])
            monkeypatch.setattr(ports, "free", lambda taken=taken: next(taken, None) or free())
            process = await start(supervisor, made)
            assert process.port != other.getsockname()[1]
            wrong += (await get(process))["pid"] != process.pid
            await supervisor.stop(process, grace_s=0)
    assert wrong == 0


async def test_an_application_on_ipv6_is_not_taken_for_another_on_the_same_port(supervisor, artefact):  # C04
    source = ON_PORT.replace(
        'http.server.HTTPServer(("127.0.0.1",',
        "import socket; http.server.HTTPServer.address_family = socket.AF_INET6\n"
        '    http.server.HTTPServer(("::1",',
    )
    try:
        process = await start(supervisor, artefact(source))
    except OSError:
        pytest.skip("no IPv6 here")
    with socket.create_server(("127.0.0.1", process.port)):
        assert process.host == "::1"
        await supervisor.stop(process, grace_s=0)


async def test_whoever_takes_the_port_of_a_dead_application_gets_none_of_its_requests(
    supervisor, artefact, tmp_path, figures
):  # G04
    routes, recorder, made = Routes(), Recorder(tmp_path / "requests"), artefact(ON_PORT)
    received: list[bytes] = []
    answers: list[int] = []

    async with (
        gateway(routes, recorder, answer_within_s=5) as port,
        aiohttp.ClientSession(
            f"http://127.0.0.1:{port}", headers={"Host": "a.b.localhost"}, timeout=aiohttp.ClientTimeout(5)
        ) as client,
    ):
        for _ in range(20):
            process = await start(supervisor, made)

            async def has_port(process=process):
                return process.has_port()

            target = Upstream(process.host, process.port, "env", "dep", 0, has_port)
            routes.replace("env", ["a.b.localhost"], [target])
            async with client.get("/") as answer:
                assert answer.status == 200
            os.kill(process.pid, signal.SIGKILL)
            await process.child.wait()
            # The route is not told: it is the moment before the platform notices.
            with socket.create_server((process.host, process.port)) as stranger:
                for _ in range(3):
                    async with client.post("/secret", data=b"password") as answer:
                        answers.append(answer.status)
                stranger.setblocking(False)
                with suppress(BlockingIOError):
                    while True:
                        connection, _ = stranger.accept()
                        with connection, suppress(BlockingIOError, ConnectionError):
                            connection.setblocking(False)
                            received.append(connection.recv(65_536))
            while process in supervisor.processes:
                await asyncio.sleep(0.01)
    recorder.close()
    with figures():
        print(f"\nG04: {len(answers)} requests to a port in new hands, {sum(map(bool, received))} arrived")
    assert set(answers) == {502}
    assert not any(received)


async def test_an_application_that_opens_its_port_anew_stays_its_own(supervisor, artefact):  # G04
    source = """
    import http.server, os, signal, sys

    signal.signal(signal.SIGUSR1, lambda *_: os.execv(sys.executable, [sys.executable, *sys.argv]))
    """
    process = await start(supervisor, artefact(on_port(source)))
    assert process.has_port()
    before = process.sockets
    os.kill(process.pid, signal.SIGUSR1)
    async with asyncio.timeout(10):
        while not process.has_port() or process.sockets == before:
            await asyncio.sleep(0.02)
    assert (await get(process))["pid"] == process.pid
    await supervisor.stop(process)
    assert not process.has_port()


PLANTED = [
    *("CREATEOS_API_KEY", "CREATEOS_ACCESS_TOKEN", "CREATEOS_API_URL", "CREATEOS_NB_HOME", "X_API_KEY"),
    *("JPY_API_TOKEN", "JUPYTERHUB_API_TOKEN", "JUPYTER_TOKEN", "JPY_SESSION_NAME", "JUPYTERHUB_API_URL"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "BOTO_CONFIG"),
    *("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_ACCESS_TOKEN", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"),
    *(
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "GITLAB_TOKEN",
        "NPM_TOKEN",
        "NODE_AUTH_TOKEN",
        "TWINE_PASSWORD",
        "UV_PUBLISH_TOKEN",
    ),
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN", "SLACK_TOKEN", "SENTRY_DSN", "DATABASE_URL", "PGPASSWORD"),
    *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "DBUS_SESSION_BUS_ADDRESS", "KUBECONFIG", "DOCKER_HOST"),
    *("LD_PRELOAD_", "PYTHONPATH", "PYTHONSTARTUP", "NODE_OPTIONS_", "BASH_ENV", "VAULT_TOKEN"),
]


async def test_of_what_the_platform_knows_an_application_learns_nothing(supervisor, artefact, monkeypatch):  # C08
    for name in PLANTED:
        monkeypatch.setenv(name, "planted")
    source = "import os\nMASK = os.umask(0o77)\nos.environ['MASK'], os.environ['CWD'] = oct(MASK), os.getcwd()\n"
    made = artefact(source + textwrap.dedent(ON_PORT))
    process = await start(supervisor, made)
    told = (await get(process))["environment"]
    assert len(PLANTED) >= 40
    assert not [name for name in PLANTED if name in told]
    assert "planted" not in json.dumps(told)
    assert "planted" not in json.dumps(environment(building=True))
    assert (told["MASK"], told["CWD"]) == ("0o77", str(made.directory))
    await supervisor.stop(process)
