"""Demo: an incident from the first upload to the report, on an embedded platform, for real.

A small shop goes through three versions under traffic; the third fails at the checkout. The analytics
notebook shows it, the rollback runbook mends it, dry first, and the incident report tells it.
"""

from __future__ import annotations

import os
import time
import webbrowser
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from createos_nb.errors import CreateOSError, NotFound, RunbookError, WaitFailed
from createos_nb.traffic import Traffic

if TYPE_CHECKING:
    from createos_nb.runbooks import Run
    from createos_nb.workspace import Workspace

PROJECT = "shop"
ENVIRONMENTS = ("staging", "production")
TARGET = f"{PROJECT}/production"
PATHS = ("/", "/products", "/products/duck", "/cart", "/checkout", "/products/mug", "/checkout", "/missing")
REQUESTS_A_SECOND = 25.0
SECONDS_OF_TRAFFIC = {1: 6.0, 2: 6.0, 3: 6.0}
"""How long each version serves before the next step, so that there is something to see."""


@dataclass
class Demo:
    """One run of the demo.

    Attributes
    ----------
    output
        Directory for the platform's state, the notebooks and the report.
    keep
        Leave the platform and the application running.
    open_browser
        Open the report at the end.
    """

    output: Path
    keep: bool = False
    open_browser: bool = True
    _figures: list[tuple[str, str]] = field(default_factory=list, init=False, repr=False)

    def run(self) -> str:
        """Run it, print the table of what it did, and return the state that the rollback ended in."""
        started = time.monotonic()
        self.output = self.output.resolve()
        self.output.mkdir(parents=True, exist_ok=True)
        # Its journal and leases must not mix with those of real platforms.
        os.environ["CREATEOS_NB_HOME"] = str(self.output / "home")
        from createos_nb.platform import service
        from createos_nb.session import local

        state = self.output / "platform"
        with ExitStack() as cleanup:
            # Unless it is to be kept, it ends with this process, however that ends.
            ws = local(state=state, ephemeral=not self.keep)
            if not self.keep:
                cleanup.callback(service.stop, state)
            self._did("platform", f"{ws.platform}, started in {time.monotonic() - started:.1f} s")
            rollback = self._incident(ws, cleanup)
        self._did("in all", f"{time.monotonic() - started:.1f} s")
        self._print(rollback)
        if self.keep:
            click.echo(f"The platform is still running. Stop it with: createos-nb local down --state {state}")
        if self.open_browser:
            webbrowser.open((self.output / "incident.html").as_uri())
        return rollback.state

    def _incident(self, ws: Workspace, cleanup: ExitStack) -> Run:
        project_id = _ensure_shop(ws)
        began = datetime.now(UTC)
        self._release(ws, project_id, 1)
        production = ws[TARGET]
        endpoint = production.targets()[0].environment.extra.endpoint
        if endpoint is None:
            raise CreateOSError(f"The platform gives no address for {TARGET}. Run the demo again.")
        traffic = cleanup.enter_context(Traffic(endpoint, PATHS, per_second=REQUESTS_A_SECOND))
        time.sleep(SECONDS_OF_TRAFFIC[1])
        for version in (2, 3):
            self._release(ws, project_id, version)
            time.sleep(SECONDS_OF_TRAFFIC[version])
        self._look(ws)
        rollback = self._roll_back(ws)
        self._report(ws, began)
        traffic.stop()
        self._count(ws, traffic, began)
        return rollback

    def _release(self, ws: Workspace, project_id: str, version: int) -> None:
        from createos_nb.api.deployments import SourceFile
        from createos_nb.platform.applications import shop

        started = time.monotonic()
        files = [SourceFile(path=path, content=text) for path, text in shop(version).items()]
        created = ws.api.deployments.upload_files(project_id, files=files)
        try:
            deployment = ws.api.deployments.wait(project_id, created.id)
        except WaitFailed as error:
            lines = ws.api.deployments.build_logs(project_id, created.id)
            last = lines[-1].log if lines else "no build log"
            raise CreateOSError(f"Version {version} of the shop ended as {error.outcome}: {last}") from None
        for environment in ws.api.environments.list(project_id):
            ws.api.environments.wait(project_id, environment.id, deployment_id=created.id)
        self._did(f"version {version}", f"{deployment.version} built, healthy and live in {_since(started)}")

    def _look(self, ws: Workspace) -> None:
        started = time.monotonic()
        run = self._execute(ws, "explore/analytics", "analytics.ipynb", environment=TARGET, since="3m")
        summary = ws[TARGET].analytics.summary(since="1m").iloc[0]
        self._did("analytics", f"{run.output} in {_since(started)}")
        self._did("last minute", f"{summary.requests} requests, {summary.error_rate:.1%} answered 5xx")

    def _roll_back(self, ws: Workspace) -> Run:
        started = time.monotonic()
        before = _facts(ws)
        dry = self._execute(ws, "rollback", "rollback-dry-run.ipynb", environment=TARGET)
        if dry.state != "dry_run" or _facts(ws) != before:
            raise CreateOSError(f"The dry run ended as {dry.state} and must change nothing. See {dry.output}.")
        self._did("dry run", f"nothing changed, plan {dry.outcome['plan']}, in {_since(started)}")
        started = time.monotonic()
        run = self._execute(
            ws,
            "rollback",
            "rollback.ipynb",
            environment=TARGET,
            dry_run=False,
            confirm=TARGET,
            reason="checkout answers 500",
        )
        measured = run.outcome.get("measured", {})
        self._did("rollback", f"{run.state} in {_since(started)}: {run.outcome.get('detail', '')}")
        self._did(
            "error rate",
            f"{_percent(measured.get('error_rate_before'))} of {measured.get('requests_before')} requests before, "
            f"{_percent(measured.get('error_rate_after'))} of {measured.get('requests_after')} after",
        )
        return run

    def _report(self, ws: Workspace, began: datetime) -> None:
        started = time.monotonic()
        minutes = int((datetime.now(UTC) - began).total_seconds() // 60) + 2
        self._execute(
            ws,
            "incident_report",
            "incident-run.ipynb",
            identifier="DEMO-1",
            title="Checkout answers 500",
            environment=TARGET,
            since=f"{minutes}m",
            path=str(self.output / "incident.ipynb"),
        )
        for name in ("incident.ipynb", "incident.html"):
            if not (self.output / name).is_file():
                raise RunbookError(f"The report runbook wrote no {name}. See {self.output / 'incident-run.ipynb'}.")
        size_kb = (self.output / "incident.html").stat().st_size / 1024
        self._did("report", f"{self.output / 'incident.html'}, {size_kb:,.0f} kB, in {_since(started)}")
        self._did("report notebook", str(self.output / "incident.ipynb"))

    def _count(self, ws: Workspace, traffic: Traffic, began: datetime) -> None:
        recorded = ws[TARGET].analytics.overall_requests(start=began).iloc[0]
        failed = sum(count for status, count in traffic.statuses.items() if status >= 500 or status == 0)
        self._did("traffic", f"{traffic.requests} requests sent, {recorded.requests} recorded, {failed} failed")

    def _execute(self, ws: Workspace, name: str, output: str, **parameters: Any) -> Run:
        from createos_nb import runbooks

        return runbooks.run(name, ws=ws, output=self.output / output, **parameters)

    def _did(self, what: str, figure: str) -> None:
        self._figures.append((what, figure))
        click.echo(f"{datetime.now(UTC):%H:%M:%S}  {what}: {figure}")

    def _print(self, rollback: Run) -> None:
        width = max(len(what) for what, _ in self._figures)
        click.echo(f"\nThe demo: {rollback.state}")
        for what, figure in self._figures:
            click.echo(f"  {what:{width}}  {figure}")


def _ensure_shop(ws: Workspace) -> str:
    """Return the shop's project, made if need be, with both environments promoting by themselves."""
    from createos_nb.api.environments import EnvironmentSettings, Resources
    from createos_nb.api.projects import UploadSettings

    api = ws.api
    found = next((item for item in api.projects.list(name=PROJECT) if item.unique_name == PROJECT), None)
    project_id = (
        found.id
        if found
        else api.projects.create(
            unique_name=PROJECT,
            display_name="Shop",
            type="upload",
            settings=UploadSettings(runtime="python:3.12", port=8000, run_command="python main.py"),
        ).id
    )
    for name in ENVIRONMENTS:
        try:
            (target,) = ws[f"{PROJECT}/{name}"].targets()
        except NotFound:
            api.environments.create(
                project_id,
                unique_name=name,
                display_name=name.title(),
                description=f"The shop in {name}",
                resources=Resources(cpu=200, memory=500, replicas=1),
                settings=EnvironmentSettings(),
                is_auto_promote_enabled=True,
            )
        else:
            # An earlier demo's rollback has pinned it.
            environment = target.environment
            api.environments.update(
                project_id,
                environment.id,
                display_name=environment.display_name,
                description=environment.description or environment.display_name,
                is_auto_promote_enabled=True,
            )
    return project_id


def _facts(ws: Workspace) -> list[tuple[object, ...]]:
    frame = ws[TARGET].environments()
    return list(frame[["deployment_id", "auto_promote", "replicas", "status"]].itertuples(index=False, name=None))


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"


def _percent(rate: float | None) -> str:
    return "unknown" if rate is None else f"{rate:.1%}"
