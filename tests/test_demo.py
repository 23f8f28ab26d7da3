"""The main job, end to end, as README says it: twice, since a second run finds what the first one left."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys

import nbformat
import psutil
import pytest

ARTEFACTS = [
    "analytics.ipynb",
    "rollback-dry-run.ipynb",
    "rollback.ipynb",
    "incident-run.ipynb",
    "incident.ipynb",
    "incident.html",
]


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module", params=["first run", "second run"])
def run(request, output):
    """One run of the demo, in order, on the same directory."""
    command = [sys.executable, "-c", "from createos_nb.cli import main; main()", "demo", "--no-browser"]
    return subprocess.run(
        [*command, "--output", str(output)], capture_output=True, text=True, check=False, timeout=500
    )


def processes_about(directory):
    """Every process that still has to do with a directory, by its command, its directory or its environment."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            facts = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(directory) in fact for fact in facts):
            found.append(process)
    return found


def test_the_rollback_ends_done_with_code_0(run):
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "The demo: done" in run.stdout


def test_every_artefact_is_there_and_reads(run, output):
    for name in ARTEFACTS:
        assert (output / name).stat().st_size > 1000
    for name in ARTEFACTS:
        if name.endswith(".ipynb"):
            nbformat.validate(nbformat.read(output / name, as_version=4))


def test_the_report_stands_alone(run, output):
    page = (output / "incident.html").read_text()
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page)
    assert "default-src 'none'" in html.unescape(page)
    assert len(page) < 5_000_000


def test_it_says_how_long_it_took(run, figures):
    took = re.search(r"in all\s+([\d.]+) s", run.stdout)
    assert took
    with figures():
        print(f"createos-nb demo, beside another test: {took[1]} s (goal: 90)")


def test_errors_fell_to_none_and_the_figures_are_of_requests_really_sent(run):
    rates = re.search(r"error rate\s+([\d.]+)% of (\d+) requests before, ([\d.]+)% of (\d+) after", run.stdout)
    assert rates, run.stdout
    assert float(rates[1]) > 5
    assert float(rates[3]) == 0
    assert int(rates[4]) >= 100
    sent, recorded = re.search(r"traffic\s+(\d+) requests sent, (\d+) recorded", run.stdout).groups()
    assert 0 < int(recorded) <= int(sent)
    assert int(recorded) >= 0.9 * int(sent)


def test_no_process_is_left(run, output):
    assert processes_about(output) == []


def test_the_key_is_in_none_of_the_artefacts(run, output):
    key = (output / "platform" / "key").read_text().strip()
    assert len(key) > 20
    for name in ARTEFACTS:
        assert key not in (output / name).read_text()
    assert key not in run.stdout + run.stderr


def test_the_journal_tells_of_one_confirmed_rollback_a_run(run, output, request):
    lines = (output / "home" / "journal.jsonl").read_text().splitlines()
    ends = [record for record in map(json.loads, lines) if record["event"] == "end"]
    assert {record["state"] for record in ends} == {"done"}
    assert len(ends) == (1 if "first" in request.node.name else 2)
