"""Fixtures: a clean home for every test, and one embedded platform for all tests that need it."""

from __future__ import annotations

import io
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from createos_nb.api.client import Client
from createos_nb.errors import WaitFailed

OF_THE_TESTS = ("CREATEOS_NB_REQUIRE", "CREATEOS_NB_SOAK", "CREATEOS_NB_BENCHMARK")
"""Variables that say how tests are to be run, and nothing to what is tested."""

# The same examples in each run, but new ones where a test may take its time; however slow the machine is just then.
settings.register_profile(
    "tests",
    derandomize="CREATEOS_NB_SOAK" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No test sees this machine's settings, or leaves anything in its home."""
    for name in list(os.environ):
        if name.startswith("CREATEOS_") and not name.startswith(OF_THE_TESTS):
            monkeypatch.delenv(name)
    home = tmp_path / "createos-nb-home"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("CREATEOS_NB_HOME", str(home))
    return home


@pytest.fixture
def figures(request):
    """Takes what is printed within it for people; it stands at the end of the run, whoever ran the test."""

    @contextmanager
    def figures() -> Iterator[None]:
        printed = io.StringIO()
        with redirect_stdout(printed):
            yield
        request.node.user_properties.append(("figures", printed.getvalue().strip("\n")))

    return figures


def pytest_terminal_summary(terminalreporter):
    told = [
        (report.nodeid, text)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if report.when == "call"
        for name, text in report.user_properties
        if name == "figures"
    ]
    if told:
        terminalreporter.section("figures")
        for test, text in told:
            terminalreporter.write_line(f"{test}\n{text}\n")


@pytest.fixture(scope="session")
def require() -> Callable[[str, str], NoReturn]:
    """Skip what this machine cannot do, or fail where ``CREATEOS_NB_REQUIRE`` says that it must."""

    def missing(what: str, reason: str) -> NoReturn:
        if what in os.environ.get("CREATEOS_NB_REQUIRE", "").split(","):
            pytest.fail(f"CREATEOS_NB_REQUIRE asks for {what}: {reason}")
        pytest.skip(f"{what}: {reason}")

    return missing


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    """One embedded platform, a process of its own with temporary files of its own, for the whole run."""
    from createos_nb.platform import service

    state = tmp_path_factory.mktemp("platform")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        address = service.start(state, ephemeral=True)
    yield address
    service.stop(state)


@pytest.fixture(scope="session")
def client(platform):
    with Client(platform.api_url, api_key=platform.api_key()) as client:
        yield client


@pytest.fixture
def ws(client):
    from createos_nb.workspace import Workspace

    return Workspace(client)


@dataclass(frozen=True)
class Shop:
    """A fresh project with ``staging`` and ``production``, which the test alone uses."""

    client: Client
    project: str
    project_id: str
    environment_ids: dict[str, str]

    @property
    def production(self) -> dict[str, str]:
        """What the functions in `createos_nb.plans` take to mean its production."""
        return {
            "project": self.project,
            "project_id": self.project_id,
            "environment": "production",
            "environment_id": self.environment_ids["production"],
        }

    def environment(self, name: str = "production") -> Any:
        return self.client.environments.get(self.project_id, self.environment_ids[name])

    def files(self, version: int = 1) -> dict[str, str]:
        from createos_nb.platform.applications import shop

        return shop(version)

    def upload(self, version: int = 1, **changed: str) -> Any:
        """Upload a version, wait until it is built and has gone where it goes, and return the deployment."""
        from createos_nb.api.deployments import SourceFile

        files = {**self.files(version), **{name.replace("__", "."): text for name, text in changed.items()}}
        created = self.client.deployments.upload_files(
            self.project_id, files=[SourceFile(path=path, content=text) for path, text in files.items()]
        )
        try:
            deployment = self.client.deployments.wait(self.project_id, created.id, timeout_s=60)
        except WaitFailed as error:
            return error.last
        if deployment.status == "deployed":
            for environment in self.client.environments.list(self.project_id):
                if environment.is_auto_promote_enabled:
                    self.client.environments.wait(
                        self.project_id, environment.id, deployment_id=created.id, timeout_s=60
                    )
        return deployment


def delete(client: Client, project_id: str) -> None:
    """Delete a project, and wait until it is gone: the platform answers first and does it then."""
    client.projects.delete(project_id)
    deadline = time.monotonic() + 60
    while any(project.id == project_id for project in client.projects.list()):
        assert time.monotonic() < deadline, "A deleted project stays."
        time.sleep(0.01)


@pytest.fixture
def shop(client):
    """A fresh project under a name of its own, deleted afterwards; both environments promote by themselves."""
    from createos_nb.api.environments import EnvironmentSettings, Resources
    from createos_nb.api.projects import UploadSettings

    name = f"shop-{secrets.token_hex(4)}"
    project_id = client.projects.create(
        unique_name=name,
        display_name="Shop",
        type="upload",
        settings=UploadSettings(runtime="python:3.12", port=8000, run_command="python main.py"),
    ).id
    environment_ids = {
        environment: client.environments.create(
            project_id,
            unique_name=environment,
            display_name=environment.title(),
            description=f"The shop in {environment}",
            resources=Resources(cpu=200, memory=500, replicas=1),
            settings=EnvironmentSettings(),
            is_auto_promote_enabled=True,
        ).id
        for environment in ("staging", "production")
    }
    yield Shop(client, name, project_id, environment_ids)
    delete(client, project_id)
