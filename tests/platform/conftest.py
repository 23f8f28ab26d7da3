"""Fixtures for the platform's server: plain HTTP, a platform of a test's own, a site that tells about itself."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from createos_nb.api.client import Client
from createos_nb.api.deployments import SourceFile
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.api.projects import UploadSettings
from createos_nb.endpoints import reach
from createos_nb.errors import NotFound, WaitFailed
from createos_nb.platform import service
from createos_nb.platform.options import Options
from tests.conftest import delete

ECHO = """
import http.server, json, os, sys

class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        told = {"pid": os.getpid(), "version": VERSION, "variables": dict(os.environ)}
        content = json.dumps(told).encode()
        path = self.path.partition("?")[0]
        self.send_response(int(path.removeprefix("/status/")) if path.startswith("/status/") else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *values):
        pass

if os.environ.get("REFUSES_TO_START"):
    sys.exit("It refuses to start.")
print(f"It listens, version {VERSION}.", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Echo).serve_forever()
"""


def echo(version: int = 1, before: str = "") -> dict[str, str]:
    """An application that answers its pid, version and variables; ``before`` runs when it starts."""
    return {"main.py": f"VERSION = {version}\n{before}\n{ECHO}"}


def held(file: Path) -> str:
    """What keeps an application from starting while a file is there, for `echo`: however long a test takes."""
    return f"import os, time\nwhile os.path.exists({str(file)!r}): time.sleep(0.02)"


def eventually(what: Callable[[], Any], *, within_s: float = 20.0) -> Any:
    """Return the first true value of ``what``; fail when there is none in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(0.02)
    pytest.fail(f"It did not come true within {within_s:g} s.")


def visit(endpoint: str, path: str = "/") -> httpx.Response:
    """Ask an application through the gateway."""
    url, headers = reach(endpoint + path)
    return httpx.get(url, headers=headers, trust_env=False, timeout=20)


@dataclass
class Site:
    """A project with one environment, on any platform."""

    client: Client
    project_id: str
    environment_id: str

    @property
    def environment(self) -> Any:
        return self.client.environments.get(self.project_id, self.environment_id)

    @property
    def target(self) -> tuple[str, str]:
        return self.project_id, self.environment_id

    def begin(self, files: dict[str, str]) -> str:
        """Upload files and return the deployment's id."""
        sources = [SourceFile(path=path, content=text) for path, text in files.items()]
        return self.client.deployments.upload_files(self.project_id, files=sources).id

    def deploy(self, files: dict[str, str]) -> Any:
        """Upload files and return the deployment once its build has ended, well or badly."""
        try:
            return self.client.deployments.wait(self.project_id, self.begin(files), timeout_s=60)
        except WaitFailed as error:
            return error.last

    def live(self, deployment_id: str | None = None) -> Any:
        """Return the environment once it is at rest."""
        return self.client.environments.wait(*self.target, deployment_id=deployment_id, timeout_s=60)

    def visit(self, path: str = "/") -> httpx.Response:
        return visit(self.environment.extra.endpoint, path)

    def log(self, deployment_id: str) -> str:
        lines = self.client.deployments.build_logs(self.project_id, deployment_id)
        return "\n".join(line.log for line in lines)


def make_site(client: Client, name: str, *, auto_promote: bool = True, **settings: Any) -> Site:
    """Create a project for `echo` with the environment ``production``."""
    project_id = client.projects.create(
        unique_name=name,
        display_name="Site",
        type="upload",
        settings=UploadSettings(**{"runtime": "python", "run_command": "python main.py", **settings}),
    ).id
    environment_id = client.environments.create(
        project_id,
        unique_name="production",
        display_name="Production",
        description="The site",
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(),
        is_auto_promote_enabled=auto_promote,
    ).id
    return Site(client, project_id, environment_id)


@pytest.fixture
def all_deleted(client):
    """What tests before this one deleted is listed and counted no more, as it is for a moment."""
    eventually(lambda: not client.projects.list(status="deleting"))


@pytest.fixture
def site(client, request):
    """A project of the test's own on the shared platform; deleted afterwards."""
    made = make_site(client, f"site-{abs(hash(request.node.nodeid)) % 10**12}")
    yield made
    with suppress(NotFound):
        delete(client, made.project_id)


@pytest.fixture(scope="module")
def puppet(client, platform):
    """An application that answers what it is told to; see `tests.platform.puppet`."""
    from tests.platform.puppet import Puppet  # it needs what stands here

    made = make_site(client, f"puppet-{secrets.token_hex(4)}")
    yield Puppet.on(made, platform.pid)
    delete(client, made.project_id)


@pytest.fixture
def http_of():
    """Plain HTTP to the API at an address, with its key."""
    with ExitStack() as open_ones:

        def http_of(address: service.Address) -> httpx.Client:
            headers = {"X-Api-Key": address.api_key().reveal()}
            http = httpx.Client(base_url=address.api_url, headers=headers, trust_env=False, timeout=20)
            return open_ones.enter_context(http)

        yield http_of


@pytest.fixture
def http(platform, http_of):
    """Plain HTTP to the API, with the key."""
    return http_of(platform)


def gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether none of the processes runs any more; a zombie only waits to be noticed."""
    return not any(process.is_running() and status_of(process) != psutil.STATUS_ZOMBIE for process in processes)


def status_of(process: psutil.Process) -> str:
    """Its status; of one that is gone that of one that only waits to be noticed."""
    try:
        return process.status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def is_platforms(process: psutil.Process) -> bool:
    """Whether it is the platform's own gateway, or the keeper, which is there to outlive it for a moment."""
    with suppress(psutil.NoSuchProcess):
        return any("keeper.py" in word or "platform.gateway" in word for word in process.cmdline())
    return False


def applications(platform: psutil.Process) -> list[psutil.Process]:
    """The processes that a platform started for others."""
    return [process for process in platform.children() if not is_platforms(process)]


@dataclass
class Own:
    """A platform that a test may stop, kill and start again."""

    state: Path
    clients: list[Client] = field(default_factory=list)
    address: service.Address = field(init=False)

    def start(self, options: Options = Options()) -> Client:  # noqa: B008 - it is frozen
        """Start it, or attach, and return a client."""
        self.address = service.start(self.state, options=options)
        self.clients.append(Client(self.address.api_url, api_key=self.address.api_key()))
        return self.clients[-1]

    def kill(self) -> list[psutil.Process]:
        """Kill it, as a crash would, and return the processes it had."""
        platform = psutil.Process(self.address.pid)
        children = platform.children(recursive=True)
        os.kill(self.address.pid, signal.SIGKILL)
        platform.wait(10)
        return children

    def again(self, site: Site) -> Site:
        """Start it again and return what the site is on it."""
        return Site(self.start(), site.project_id, site.environment_id)


@pytest.fixture
def own(tmp_path):
    platform = Own(tmp_path / "state")
    yield platform
    for client in platform.clients:
        client.close()
    service.stop(platform.state)


@pytest.fixture
def small_disk(tmp_path, require):
    """A disk of its own that a test may fill; a platform on its ``state`` is stopped."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300m", "none", str(place)], check=False, capture_output=True
    )
    if mounted.returncode:
        require("mount", f"no small disk can be made on this machine: {mounted.stderr.decode().strip()}")
    yield place
    service.stop(place / "state")
    subprocess.run(["umount", "-l", str(place)], check=True)
