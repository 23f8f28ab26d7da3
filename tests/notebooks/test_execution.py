"""The notebooks, run from end to end against the embedded platform, in every way that people run them.

The last test rolls the shop back, so the order in the file matters.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import nbformat
import pytest

from createos_nb import runbooks
from createos_nb.errors import RunbookError
from createos_nb.runbooks.completion import record_in


def _state(client, project_id) -> list[tuple[object, ...]]:
    return [
        (each.unique_name, each.project_deployment_id, each.is_auto_promote_enabled, each.updated_at)
        for each in client.environments.list(project_id)
    ]


def test_nbval_runs_every_notebook_as_it_stands(shop_id, client, environ, tmp_path):
    before = _state(client, shop_id)
    for name in ("explore/analytics", "rollback", "incident_report"):
        shutil.copy(runbooks.find(name), tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-q", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert _state(client, shop_id) == before, "as they stand, notebooks change nothing"
    assert (tmp_path / "incident.html").is_file()


def test_plain_papermill_runs_a_runbook(shop_id, client, environ, tmp_path):
    before = _state(client, shop_id)
    output = tmp_path / "out.ipynb"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "papermill", str(runbooks.find("rollback")), str(output)),
            *("-p", "environment", "shop/production", "--no-progress-bar"),
        ],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    record = record_in(nbformat.read(output, as_version=4))
    assert record is not None
    assert record["state"] == "dry_run"
    assert _state(client, shop_id) == before


def test_analytics_shows_all_eight_answers_and_their_charts(shop_id, ws, tmp_path):
    run = runbooks.run("explore/analytics", ws=ws, output=tmp_path / "out.ipynb", since="5m")
    assert run.state == "done"
    notebook = nbformat.read(run.output, as_version=4)
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in data for data in outputs) == 6
    assert sum("text/html" in data and "dataframe" in data["text/html"] for data in outputs) == 10
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", []))


@pytest.mark.parametrize("confirm", ["", "shop/staging"], ids=["none", "another"])
def test_a_rollback_that_was_not_confirmed_changes_nothing_and_says_so(shop_id, client, ws, tmp_path, confirm):
    before = _state(client, shop_id)
    with pytest.raises(RunbookError, match="so nothing was changed") as caught:
        runbooks.run("rollback", ws=ws, output=tmp_path / "out.ipynb", dry_run=False, confirm=confirm)
    assert caught.value.notebook_path == tmp_path / "out.ipynb"
    assert _state(client, shop_id) == before


def test_a_rollback_is_planned_then_done_then_reported(shop_id, client, ws, tmp_path):
    """The main job: dry, confirmed by the hash that the dry run showed, reported; a second one says why not."""
    dry = runbooks.run("rollback", ws=ws, output=tmp_path / "dry.ipynb")
    assert dry.state == "dry_run"
    bad = client.environments.list(shop_id)[0].project_deployment_id

    done = runbooks.run(
        "rollback",
        ws=ws,
        output=tmp_path / "done.ipynb",
        dry_run=False,
        confirm=dry.outcome["plan"],
        reason="checkout answers 500",
        min_requests=100,
    )
    assert done.state == "done", done.outcome["detail"]
    assert done.outcome["plan"] == dry.outcome["plan"]
    assert done.outcome["measured"]["error_rate_after"] < done.outcome["measured"]["error_rate_before"]
    (environment,) = client.environments.list(shop_id)
    assert environment.project_deployment_id != bad
    assert not environment.is_auto_promote_enabled

    report = runbooks.run("incident_report", ws=ws, output=tmp_path / "run.ipynb", path=str(tmp_path / "inc.ipynb"))
    assert report.state == "done"
    page = (tmp_path / "inc.html").read_text(encoding="utf-8")
    assert "ended <strong>done</strong>" in page
    assert "checkout answers 500" in page
    assert "Turn automatic promotion of shop/production on again" in page

    before = _state(client, shop_id)
    with pytest.raises(RunbookError, match="was put live on shop/production by a rollback already"):
        runbooks.run("rollback", ws=ws, output=tmp_path / "twice.ipynb", dry_run=False, confirm="shop/production")
    assert _state(client, shop_id) == before
