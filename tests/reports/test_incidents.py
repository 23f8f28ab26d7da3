"""Incidents on the embedded platform: collected, written, and read back."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import nbformat
import pytest

from createos_nb import incident
from createos_nb.answers import Answers
from createos_nb.api.client import Client
from createos_nb.api.secret import Secret
from createos_nb.errors import InvalidArgument
from createos_nb.fanout import FanOut
from createos_nb.selection import Selection
from createos_nb.timerange import TimeRange
from createos_nb.traffic import Traffic

CANARY = "canary-value-1234567890"


@pytest.fixture
def production(ws, shop):
    """The shop's production with its broken third version live and a variable that is a secret."""
    shop.client.environments.update_variables(
        shop.project_id, shop.environment_ids["production"], run_envs={"TOKEN": Secret(CANARY)}
    )
    leak = "print('starting with', __import__('os').environ.get('TOKEN'), flush=True)\n"
    broken = {**shop.files(3)}
    broken["main.py"] = broken["main.py"].replace("from __future__ import annotations\n", "", 1)
    shop.upload(3, main__py=leak + broken["main.py"])
    return ws[f"{shop.project}/production"]


def _send(selection, *, requests: int) -> None:
    """Send real requests and return when the platform has counted them."""
    address = selection.targets()[0].environment.extra.endpoint
    with Traffic(address, ["/", "/checkout"], per_second=100) as traffic:
        deadline = time.monotonic() + 30
        while traffic.requests < requests and time.monotonic() < deadline:
            time.sleep(0.02)
    assert traffic.requests >= requests


def test_a_report_tells_the_incident_to_somebody_without_an_account(production, tmp_path):
    _send(production, requests=40)
    it = incident("INC-7", production, since="10m", title="Checkout <fails>")
    it.note("A customer called.")
    it.pin(production.deployments(), "all deployments")
    report = it.report(tmp_path / "out" / "inc-7.ipynb", html=True)
    assert [path.name for path in report.files] == ["inc-7.ipynb", "inc-7.html"]

    page = report.html.read_text(encoding="utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    failed = int(report.evidence.overall["server_errors"].iloc[0])
    assert failed > 0
    assert f"{failed:,} of " in text
    assert "Checkout <fails>" in text
    assert "A customer called." in text
    assert "/checkout" in text
    assert "Traceback" in text
    assert "v1" in text
    assert page.count('src="data:image/png;base64,') == 2
    assert not report.evidence.gaps
    nbformat.validate(nbformat.read(report.notebook, as_version=4))


def test_a_variable_of_the_project_is_masked_too(ws, shop, tmp_path):
    shop.client.projects.update_settings(shop.project_id, run_envs={"TOKEN": Secret(CANARY)})
    leak = "print('starting with', __import__('os').environ.get('TOKEN'), flush=True)\n"
    shop.upload(1, main__py=leak + shop.files(1)["main.py"].replace("from __future__ import annotations\n", "", 1))
    production = ws[f"{shop.project}/production"]
    assert CANARY in production.logs(since="10m")["raw"].str.cat(), "the application does print it"
    report = incident("INC-8", production, since="10m").report(tmp_path / "inc-8.ipynb", html=True)
    assert not report.evidence.gaps
    assert all(CANARY not in path.read_text(encoding="utf-8") for path in report.files)


def test_no_secret_reaches_the_files(production, tmp_path, platform):
    _send(production, requests=10)
    assert CANARY in production.logs(since="10m")["raw"].str.cat(), "the application does print it"
    report = incident("INC-7", production, since="10m").report(tmp_path / "inc-7.ipynb", html=True)
    for path in report.files:
        text = path.read_text(encoding="utf-8")
        assert CANARY not in text
        assert platform.api_key().reveal() not in text


def test_a_note_with_a_secret_in_it_stops_the_report(production, tmp_path, platform):
    it = incident("INC-7", production, since="10m")
    it.note(f"They used {platform.api_key().reveal()}")
    with pytest.raises(InvalidArgument, match="would contain the value of the API key"):
        it.report(tmp_path / "inc-7.ipynb", html=True)
    it = incident("INC-7", production, since="10m", title=f"Token {CANARY}")
    with pytest.raises(InvalidArgument, match="the value of the variable TOKEN"):
        it.report(tmp_path / "inc-7.ipynb")
    assert not list(tmp_path.glob("inc-7*"))


def test_the_reports_own_code_makes_the_report_again(production, tmp_path, platform):
    report = incident("INC-7", production, since="10m").report(tmp_path / "inc-7.ipynb")
    cells = nbformat.read(report.notebook, as_version=4).cells
    script = (
        "\n".join(cell.source for cell in cells if cell.cell_type == "code") + "\nprint(reports.facts(evidence))"
    )
    again = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            "CREATEOS_API_URL": platform.api_url,
            "CREATEOS_API_KEY_FILE": platform.key_file,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert production.name in again.stdout


def test_an_outage_of_the_platform_becomes_gaps_and_still_a_report(production, tmp_path):
    with Client("http://127.0.0.1:9", api_key="skp_0123456789", timeout_s=1) as nowhere:
        selection = Selection(production.targets(), FanOut(nowhere, Answers(None)))
        report = incident("INC-7", selection, since="10m").report(tmp_path / "inc-7.ipynb", html=True)
    missing = {gap.source for gap in report.evidence.gaps}
    assert {"the environment", "counts of requests", "requests over time", "the runtime log"} <= missing
    page = report.html.read_text(encoding="utf-8")
    assert "Missing: counts of requests." in page
    assert "gave no traffic figures" in page


def test_the_window_stays_open_until_the_report_is_written(production):
    it = incident("INC-7", production, since="10m")
    it.window = TimeRange(it.window.start, it.window.end - timedelta(minutes=1))  # as if begun a minute ago
    assert it.collect().window.end > it.window.end
    closed = incident("INC-7", production, start=datetime.now(UTC) - timedelta(minutes=5), end=datetime.now(UTC))
    assert closed.collect().window == closed.window


def test_an_incident_is_about_one_environment(ws, shop):
    with pytest.raises(InvalidArgument, match="An incident is about one environment"):
        incident("INC-7", ws[f"{shop.project}/*"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda it: it.note("  "), "The note is empty"),
        (lambda it: it.note("x", at="2026-11-23 12:00"), "has no time zone"),
        (lambda it: it.pin(42, "why"), "A int cannot be pinned. Pin a DataFrame or an Altair chart"),
        (lambda it: it.report("report.html"), r"report\.html does not end in \.ipynb"),
    ],
    ids=["empty note", "naive time", "number pinned", "wrong suffix"],
)
def test_bad_input_is_refused_with_what_to_do(ws, shop, call, message):
    with pytest.raises(InvalidArgument, match=message):
        call(incident("INC-7", ws[f"{shop.project}/production"]))


def test_an_incident_needs_an_identifier(ws, shop):
    with pytest.raises(InvalidArgument, match="needs an identifier"):
        incident(" ", ws[f"{shop.project}/production"])
