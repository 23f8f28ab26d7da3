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
import urllib.request

import psutil
import pytest

from createos_nb.api.secret import Secret
from createos_nb.platform import processes
from createos_nb.platform.builds import Artefact
from createos_nb.platform.cgroups import Cgroups, Group
from createos_nb.platform.children import CHILD, OWNER
from createos_nb.platform.processes import StartFailed, Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs

pytestmark = pytest.mark.anyio

SERVER = """
    import http.server, json, os, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = json.dumps({"environment": dict(os.environ), "pid": os.getpid()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        def log_message(self, *values):
            pass

    print("starting", flush=True)
"""
ON_PORT = SERVER + '    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()\n'


def on_port(before):
    """A server on PORT that does something before."""
    return textwrap.dedent(before) + "\n" + textwrap.dedent(ON_PORT)


def alive(pid):
    """Whether a process runs; one that only waits to be noticed by its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


OURS = f"test-processes-{os.getpid()}"
"""Another worker runs other tests with this file's supervisor, and neither may end what is the other's."""


@pytest.fixture
def logs(tmp_path):
    logs = RuntimeLogs(tmp_path / "logs")
    yield logs
    logs.close()


@pytest.fixture
async def supervisor(logs):
    supervisor = Supervisor(logs, owner=OURS)
    yield supervisor
    await supervisor.stop_all()
    assert supervisor.sweep() == 0, "a test left a process behind"


@pytest.fixture
def artefact(tmp_path):
    def make(source, *, port=8080, command=None):
        directory = tmp_path / "app"
        directory.mkdir(exist_ok=True)
        (directory / "main.py").write_text(textwrap.dedent(source))
        return Artefact(directory, command or (sys.executable, "main.py"), {}, port)

    return make


async def start(supervisor, artefact, **changes):
    settings = {
        "environment_id": "env",
        "deployment_id": "dep",
        "replica": 0,
        "variables": {},
        "memory_mb": None,
        "healthy_within_s": 15,
    }
    return await supervisor.start(artefact, **{**settings, **changes})


async def get(process):
    def fetch():
        with urllib.request.urlopen(f"http://{process.host}:{process.port}/", timeout=30) as answer:
            return json.load(answer)

    return await asyncio.to_thread(fetch)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Exits:
    """Collects what `Supervisor.on_exit` is told."""

    def __init__(self, supervisor):
        self.queue = asyncio.Queue()
        supervisor.on_exit = lambda *told: self.queue.put_nowait(told)

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), 20)


async def test_a_started_application_answers_on_the_port_it_was_given(supervisor, artefact):
    process = await start(supervisor, artefact(ON_PORT))
    assert (await get(process))["pid"] == process.pid
    assert supervisor.processes == (process,)
    await supervisor.stop(process)
    assert not alive(process.pid)
    assert supervisor.processes == ()


async def test_its_output_is_in_the_runtime_logs(supervisor, artefact, logs):
    process = await start(supervisor, artefact(on_port("import sys; print('to stderr', file=sys.stderr)")))
    await supervisor.stop(process)
    assert logs.read(environment_id="env", deployment_id="dep").split("\n") == ["to stderr", "starting"]


async def test_it_gets_its_variables_and_none_of_the_platforms(supervisor, artefact, monkeypatch):
    planted = ["CREATEOS_API_KEY", "JPY_API_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "PYTHONSTARTUP"]
    for name in planted:
        monkeypatch.setenv(name, "planted")
    variables = {"GREETING": "hello", "PASSWORD": Secret("hunter2"), "PORT": "1", OWNER: "forged", CHILD: "forged"}
    process = await start(supervisor, artefact(ON_PORT), variables=variables)
    environment = (await get(process))["environment"]
    assert environment["GREETING"] == "hello"
    assert environment["PASSWORD"] == "hunter2"
    assert environment["PORT"] == str(process.port)
    assert environment[OWNER] == OURS
    assert not {*planted} & {*environment}
    assert "planted" not in environment.values()
    assert "hunter2" not in repr(process)


async def test_it_has_its_own_session_no_input_and_no_files_of_the_platform(supervisor, artefact):
    process = await start(supervisor, artefact(ON_PORT))
    assert os.getsid(process.pid) == process.pid != os.getsid(0)
    assert os.readlink(f"/proc/{process.pid}/fd/0") == "/dev/null"
    running = psutil.Process(process.pid)
    assert running.open_files() == []
    assert {connection.laddr.port for connection in running.net_connections()} == {process.port}


async def test_an_application_that_ignores_port_is_found_where_it_listens(supervisor, artefact):
    port = free_port()
    source = SERVER + f'    http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()\n'
    process = await start(supervisor, artefact(source, port=port))
    assert process.port == port
    assert (await get(process))["pid"] == process.pid


async def test_a_port_nobody_was_told_of_is_found_too(supervisor, artefact, monkeypatch):
    monkeypatch.setattr(processes, "_OTHER_PORT_S", 0.1)
    port = free_port()
    source = SERVER + f'    http.server.HTTPServer(("0.0.0.0", {port}), Handler).serve_forever()\n'
    process = await start(supervisor, artefact(source, port=8080))
    assert (process.host, process.port) == ("127.0.0.1", port)


async def test_a_grandchild_that_listens_is_found_and_ends_too(supervisor, artefact):
    source = textwrap.dedent(ON_PORT)
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {source!r}])\n"
    process = await start(supervisor, artefact(outer))
    grandchild = (await get(process))["pid"]
    assert grandchild != process.pid
    await supervisor.stop(process)
    assert not alive(grandchild)


async def test_somebody_elses_socket_on_the_declared_port_is_not_taken_for_the_application(supervisor, artefact):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartFailed, match="did not listen"):
            await start(supervisor, artefact("import time; time.sleep(60)", port=port), healthy_within_s=1)


async def test_a_port_that_is_in_use_is_named_with_the_way_out(supervisor, artefact):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        source = SERVER + f'    http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()\n'
        with pytest.raises(StartFailed, match="environment variable PORT") as caught:
            await start(supervisor, artefact(source, port=port))
    assert str(port) in caught.value.reason


async def test_an_application_that_ends_at_once_fails_with_its_last_lines(supervisor, artefact):
    with pytest.raises(StartFailed, match="exit code 3") as caught:
        await start(supervisor, artefact("print('no database'); raise SystemExit(3)"))
    assert caught.value.last_lines == ("no database",)
    assert supervisor.processes == ()


async def test_an_application_that_never_listens_fails_and_is_ended(supervisor, artefact, tmp_path):
    source = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    # It has to begin within this, or there is nothing to be ended.
    quick = (sys.executable, "-I", "-S", "main.py")
    with pytest.raises(StartFailed, match=r"within 3 s.*PORT"):
        await start(supervisor, artefact(source, command=quick), healthy_within_s=3)
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_a_program_that_is_not_there_fails_with_its_name(supervisor, artefact):
    with pytest.raises(StartFailed) as caught:
        await start(supervisor, artefact("", command=("no-such-program",)))
    assert caught.value.last_lines == ("Cannot run no-such-program: No such file or directory.",)


async def test_a_cancelled_start_leaves_nothing(supervisor, artefact, logs):
    starting = asyncio.create_task(
        start(supervisor, artefact("print('up', flush=True)\nimport time; time.sleep(60)"))
    )
    while not logs.read(deployment_id="dep"):
        await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert supervisor.sweep() == 0


async def test_one_that_ignores_the_request_to_end_is_killed(supervisor, artefact):
    process = await start(supervisor, artefact(on_port("import signal; signal.signal(15, signal.SIG_IGN)")))
    await supervisor.stop(process, grace_s=0.2)
    assert not alive(process.pid)


async def test_a_daemon_that_left_its_session_ends_with_the_application(supervisor, artefact, tmp_path):
    source = f"""
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open({str(tmp_path / "new")!r}, "w").write(str(os.getpid()))
            os.rename({str(tmp_path / "new")!r}, {str(tmp_path / "pid")!r})
            time.sleep(600)
        os._exit(0)
    while not os.path.exists({str(tmp_path / "pid")!r}):
        time.sleep(0.01)
    """
    process = await start(supervisor, artefact(on_port(source)))
    daemon = psutil.Process(int((tmp_path / "pid").read_text()))
    assert os.getsid(daemon.pid) != process.pid
    await supervisor.stop(process)
    assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE


async def test_an_unasked_end_is_told_with_its_code(supervisor, artefact):
    exits = Exits(supervisor)
    process = await start(supervisor, artefact(ON_PORT))
    os.kill(process.pid, signal.SIGKILL)
    ended, returncode, reason = await exits.next()
    assert (ended, returncode) == (process, -9)
    assert "signal 9" in reason
    assert supervisor.processes == ()


async def test_a_stop_that_was_asked_for_is_not_told(supervisor, artefact):
    exits = Exits(supervisor)
    await supervisor.stop(await start(supervisor, artefact(ON_PORT)))
    assert exits.queue.empty()


HOG = "hog = b'x' * 200_000_000"


@pytest.fixture(params=["cgroup", "watchdog"])
async def limiting(request, logs, tmp_path, require, monkeypatch):
    """A supervisor that keeps limits in each of the two ways."""
    root = {} if request.param == "cgroup" else {"root": tmp_path, "membership": tmp_path / "none"}
    owner = f"{OURS}-limits"
    cgroups = Cgroups(owner, **root)
    if request.param == "cgroup" and not {"memory", "cpu"} <= cgroups.enforced:
        require("cgroup", "no control group of this machine can be written to")
    monkeypatch.setattr(processes, "_USE_CHECK_S", 0.1)
    supervisor = Supervisor(logs, owner=owner, cgroups=cgroups)
    yield supervisor
    await supervisor.stop_all()
    assert supervisor.sweep() == 0, "a test left a process behind"


async def test_too_much_memory_ends_it_and_is_named(limiting, artefact, logs):
    exits = Exits(limiting)
    source = SERVER + (
        "    import threading\n"
        f'    threading.Timer(0.3, lambda: exec("{HOG}", globals())).start()\n'
        '    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()\n'
    )
    process = await start(limiting, artefact(source), memory_mb=100)
    ended, _, reason = await exits.next()
    assert ended is process
    assert "out of memory" in reason
    assert "100 MiB allowed" in reason
    assert "out of memory" in logs.read(deployment_id="dep")


async def test_memory_of_a_grandchild_counts_and_all_of_it_ends(limiting, artefact):
    exits = Exits(limiting)
    hog = f"import time; {HOG}; time.sleep(600)"
    source = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {hog!r}])\n" + textwrap.dedent(
        ON_PORT
    )
    process = await start(limiting, artefact(source), memory_mb=100)
    assert "out of memory" in (await exits.next())[2]
    assert not alive(process.pid)


async def test_an_application_that_runs_out_of_memory_while_it_starts_is_told_so(limiting, artefact):
    with pytest.raises(StartFailed, match=r"out of memory|ended by signal 9|did not listen"):
        await start(limiting, artefact(f"{HOG}\nimport time; time.sleep(600)"), memory_mb=50, healthy_within_s=2)


async def test_cpu_is_limited_by_the_kernel_or_said_not_to_be(limiting, artefact):
    work = "def do_GET(self):\n        sum(range(3_000_000))"
    source = textwrap.dedent(ON_PORT).replace("def do_GET(self):", work, 1)
    process = await start(limiting, artefact(source), cpu_millicores=50)
    await get(process)
    if "cpu" not in limiting.cgroups.enforced:
        assert "of cpu not enforced" in limiting.cgroups.sentence
        return
    counts = (process.group.directories["cpu"] / "cpu.stat").read_text()
    assert int(dict(line.split() for line in counts.splitlines())["nr_throttled"]) > 0
    process.limit(memory_mb=None, cpu_millicores=1000)
    assert "100000" in (process.group.directories["cpu"] / "cpu.cfs_quota_us").read_text()


async def test_no_control_group_outlives_its_application(limiting, artefact):
    process = await start(limiting, artefact(ON_PORT), memory_mb=500, cpu_millicores=500)
    await limiting.stop(process)
    assert process.group is None or not any(path.exists() for path in process.group.directories.values())


def test_version_2_is_used_where_its_controllers_are_ours(tmp_path):
    """The kernel's files, as far as they are written to; this machine may have another version."""
    membership = tmp_path / "cgroup"
    membership.write_text("0::/user.slice\n")
    place = tmp_path / "root" / "user.slice"
    group = place / "createos-nb-me"
    for directory in (place, group):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cgroup.controllers").write_text("cpu memory")
    (group / "cgroup.subtree_control").write_text("cpu memory")
    # A real kernel keeps what is enabled; a file only what was written last.
    (group / "cgroup.subtree_control").chmod(0o400)
    cgroups = Cgroups("me", root=tmp_path / "root", membership=membership)
    assert cgroups.enforced <= {"cpu", "memory", "pids"}
    made = Group({"cpu": group, "memory": group})
    made.limit(memory_mb=500, cpu_millicores=200)
    assert (group / "memory.max").read_text() == str(500 * 2**20)
    assert (group / "cpu.max").read_text() == "20000 100000"
    assert made.entrances == (group / "cgroup.procs",)
    made.limit(memory_mb=None, cpu_millicores=None)
    assert ((group / "memory.max").read_text(), (group / "cpu.max").read_text()) == ("max", "max")
    (group / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    assert made.oom_kills == 1


async def test_an_endless_line_and_binary_output_do_no_harm(supervisor, artefact, logs):
    source = (
        "import os\nos.write(1, b'x' * 50_000 + b'\\n' + bytes(range(256)) + b'\\nend\\n')\n"
        + textwrap.dedent(ON_PORT)
    )
    process = await start(supervisor, artefact(source))
    await supervisor.stop(process)
    lines = logs.read(deployment_id="dep").split("\n")
    assert "".join(lines[:4]) == "x" * 50_000
    assert max(map(len, lines)) <= 16_384
    assert lines[-2:] == ["end", "starting"]


async def test_output_without_end_leaves_the_platform_responsive(supervisor, artefact, logs):
    source = """
    import os, threading

    def shout():
        while True:
            os.write(1, b"noise\\n" * 5000)

    threading.Thread(target=shout, daemon=True).start()
    """
    process = await start(supervisor, artefact(on_port(source)))
    loop, took = asyncio.get_running_loop(), []
    for _ in range(50):
        before = loop.time()
        await asyncio.sleep(0.001)
        took.append(loop.time() - before)
    await supervisor.stop(process)
    # The machine itself may pause now and then, which is not the output's fault.
    assert sorted(took)[-3] < 0.5
    assert len(process.last_lines) == processes.LAST_LINES


async def test_starts_and_stops_leave_no_zombies_descriptors_or_threads(supervisor, artefact):
    made = artefact(ON_PORT)
    await supervisor.stop(await start(supervisor, made))
    # asyncio starts the threads it keeps for what blocks one by one: all of them, before they are counted.
    most = min(32, (os.cpu_count() or 1) + 4)
    barrier = threading.Barrier(most)
    await asyncio.gather(*(asyncio.to_thread(barrier.wait, 60) for _ in range(most)))
    me = psutil.Process()
    before = me.num_fds(), threading.active_count()
    zombies = {child for child in me.children() if child.status() == psutil.STATUS_ZOMBIE}  # of other tests
    for _ in range(20):  # C03
        await supervisor.stop(await start(supervisor, made))
    assert me.num_fds() <= before[0] + 2
    assert threading.active_count() <= before[1] + 2
    assert not {child for child in me.children() if child.status() == psutil.STATUS_ZOMBIE} - zombies


async def test_a_sweep_ends_what_a_killed_platform_left_and_nobody_elses(supervisor, tmp_path):
    nap = (sys.executable, "-c", "print(1, flush=True); import time; time.sleep(600)")
    ours = subprocess.Popen(nap, env={OWNER: OURS}, stdout=subprocess.PIPE, start_new_session=True)
    foreign = subprocess.Popen(nap, env={OWNER: f"{OURS}-2"}, stdout=subprocess.PIPE)
    unmarked = subprocess.Popen(nap, stdout=subprocess.PIPE)
    try:
        for process in (ours, foreign, unmarked):
            process.stdout.readline()
        assert supervisor.sweep() == 1
        assert not alive(ours.pid)
        assert foreign.poll() is None
        assert unmarked.poll() is None
    finally:
        for process in (ours, foreign, unmarked):
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
async def test_applications_die_with_a_killed_platform(tmp_path, artefact):
    made = artefact(ON_PORT)
    platform = f"""
    import asyncio, pathlib
    from createos_nb.platform.builds import Artefact
    from createos_nb.platform.processes import Supervisor
    from createos_nb.platform.runtimelogs import RuntimeLogs

    async def main():
        supervisor = Supervisor(RuntimeLogs(pathlib.Path({str(tmp_path / "logs2")!r})), owner={OURS!r})
        artefact = Artefact.from_json({made.to_json()!r})
        process = await supervisor.start(
            artefact, environment_id="e", deployment_id="d", replica=0, variables={{}}, memory_mb=None
        )
        print(process.pid, flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(platform)], stdout=subprocess.PIPE, text=True)
    try:
        application = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        assert application in psutil.wait_procs([application], timeout=5)[0]
        # The next platform's first act.
        later = Cgroups(OURS)
        later.sweep()
        assert not any(path.exists() for path in later.bases)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
