"""Applications that take all they can get: limited, named, and no harm to the platform (SAFETY C05)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from createos_nb.api.client import Client
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.platform import limits, processes, runtimelogs, service
from createos_nb.platform.cgroups import Cgroups
from createos_nb.platform.processes import Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs
from tests.platform.conftest import echo, eventually, make_site, visit
from tests.platform.test_processes import ON_PORT, Exits, artefact, on_port, start

pytestmark = pytest.mark.anyio
__all__ = ["artefact"]  # A fixture of test_processes.

HOGS = {
    "memory": "kept = []\nwhile True: kept.append(bytearray(5_000_000))",
    "processes": "while True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)",
    "files": "kept = []\nwhile True:\n    try: kept.append(open('/dev/null'))\n    except OSError: time.sleep(0.1)",
    "disk": "while True:\n    try: open('big', 'ab', buffering=0).write(b'x' * 1_000_000)\n"
    "    except OSError: time.sleep(0.01)\n    time.sleep(0.01)",
    "output": "while True: os.write(1, b'noise\\n' * 20_000)",
    "binary": "while True: os.write(1, os.urandom(100_000))",
    "line": "while True: os.write(1, b'x' * 100_000)",
    "processor": "while True: pass",
}
NAMED = {"memory": "ran out of memory (500 MiB allowed)", "processes": limits.NO_MORE}
GREEDY = """
import http.server, os, sys, threading, time

HOGS = {hogs!r}

class Greedy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/go":
            hog = HOGS[os.environ["HOG"]]
            threading.Thread(target=exec, args=(hog, globals()), daemon=True).start()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *values):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Greedy).serve_forever()
"""
CALLS = 60


def test_a_greedy_application_harms_itself_alone(small_disk, require, figures):
    if not {"memory", "cpu", "pids"} <= Cgroups("test-hogs").enforced:
        require("cgroup", "without control groups a bomb of processes is not to be tried")
    address = service.start(small_disk / "state")
    with Client(address.api_url, api_key=address.api_key()) as client:

        def p95():
            """The 95th percentile of how long the API takes, in ms."""
            times = []
            for _ in range(CALLS):
                before = time.perf_counter()
                client.projects.list()
                times.append((time.perf_counter() - before) * 1000)
            return sorted(times)[CALLS * 95 // 100]

        site = make_site(client, "greedy", auto_promote=False)
        client.environments.delete(*site.target)
        environments = {
            name: client.environments.create(
                site.project_id,
                unique_name=f"hog-{name}",
                display_name="Greedy",
                description="It takes all it can get",
                resources=Resources(cpu=200, memory=500, replicas=1),
                settings=EnvironmentSettings(run_envs={"HOG": name}),
                is_auto_promote_enabled=True,
            ).id
            for name in HOGS
        }
        polite = make_site(client, "polite")
        polite.live(polite.deploy(echo()).id)
        deployment_id = site.deploy({"main.py": GREEDY.format(hogs=HOGS)}).id
        hogs = {
            name: client.environments.wait(site.project_id, environment_id, timeout_s=60)
            for name, environment_id in environments.items()
        }
        state, alive, took = Path(address.state_dir), 0, {"idle": p95()}
        for name, environment_id in environments.items():
            hog = hogs[name]
            assert visit(hog.extra.endpoint, "/go").status_code == 204

            def said(environment_id=environment_id):
                return client.environments.logs(site.project_id, environment_id, since_seconds=600)

            if name in NAMED:
                eventually(lambda name=name, said=said: NAMED[name] in said())
            elif name == "disk":
                # Nobody can be told of it on a full disk.
                eventually(lambda hog=hog: visit(hog.extra.endpoint).status_code == 503)
            took[name] = p95()
            alive += polite.visit().status_code == 200 and psutil.pid_exists(address.pid)
            if name == "disk":
                # What it was filled with is the application's own, and stays until somebody takes it away.
                (state / "sources" / deployment_id / "big").unlink()
                eventually(lambda: "ended because the disk is nearly full" in site.log(deployment_id))
                assert client.deployments.get(site.project_id, deployment_id).status == "crashing"
            client.environments.delete(site.project_id, environment_id)
        assert alive == len(HOGS)

        logs = {path.parent.name: path for path in (state / "runtime-logs").rglob("*.log")}
        most = (runtimelogs.KEPT_FILES + 1) * runtimelogs.MAX_FILE_BYTES
        for name in ("output", "binary", "line"):
            ring = [logs[environments[name]], *logs[environments[name]].parent.glob("*.log.*")]
            assert sum(path.stat().st_size for path in ring) < most * 1.1
        with figures():
            figures = ", ".join(f"{name} {p95_ms:.1f}" for name, p95_ms in took.items())
            print(f"\nC05: platform alive {alive}/{len(HOGS)}; API p95, ms: {figures}")


@pytest.fixture
async def unlimited(tmp_path, monkeypatch):
    """A supervisor on a machine whose kernel keeps no limits."""
    monkeypatch.setattr(processes, "_USE_CHECK_S", 0.1)
    logs = RuntimeLogs(tmp_path / "logs")
    supervisor = Supervisor(
        logs, owner="test-hogs", cgroups=Cgroups("test-hogs", root=tmp_path, membership=tmp_path / "none")
    )
    yield supervisor
    await supervisor.stop_all()
    assert supervisor.sweep() == 0, "a test left a process behind"
    logs.close()


async def test_where_no_kernel_counts_them_too_many_threads_end_an_application(unlimited, artefact, monkeypatch):
    monkeypatch.setattr(processes, "MAX_PROCESSES", 20)
    exits = Exits(unlimited)
    source = """
    import threading, time

    for _ in range(30):
        threading.Timer(600, print).start()
    """
    await start(unlimited, artefact(on_port(source)))
    _, _, reason = await exits.next()
    assert reason == limits.TOO_MANY


@pytest.mark.skipif(sys.platform != "linux", reason="limits are looked up in /proc")
async def test_an_application_may_open_so_many_files_and_leaves_no_image_of_its_memory(unlimited, artefact):
    process = await start(unlimited, artefact(textwrap.dedent(ON_PORT)))
    told = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    allowed = {line[:26].strip(): line[26:].split()[:2] for line in told}
    assert allowed["Max core file size"] == ["0", "0"]
    assert int(allowed["Max open files"][1]) <= 8192


async def test_of_those_in_one_directory_the_one_that_fills_the_disk_ends_and_is_not_started_again(
    unlimited, artefact, monkeypatch
):
    monkeypatch.setattr(processes, "_DISK_CHECK_S", 0.1)
    monkeypatch.setattr(limits, "is_short", lambda _: True)
    monkeypatch.setattr(limits, "RESERVE_BYTES", 2_000_000)
    exits = Exits(unlimited)
    source = """
    import signal

    signal.signal(signal.SIGUSR1, lambda *_: open("cache", "wb").write(b"x" * 5_000_000))
    """
    made = artefact(on_port(source))
    (made.directory / "built").write_bytes(b"x" * 5_000_000)
    os.utime(made.directory / "built", (1, 1))
    polite, greedy = [await start(unlimited, made, replica=replica) for replica in (0, 1)]
    await asyncio.sleep(0.3)
    assert unlimited.processes == (polite, greedy)
    os.kill(greedy.pid, signal.SIGUSR1)
    ended, _, reason = await exits.next()
    assert "the disk is nearly full" in reason
    assert ended is greedy
    assert not ended.may_return
    assert unlimited.processes == (polite,)
