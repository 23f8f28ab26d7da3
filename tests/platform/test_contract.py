"""What the platform says of itself in ``/openapi.json`` is so, whatever is sent (SAFETY P06, and P01's own list).

Schemathesis makes the requests: each operation's bounds one by one, then whatever fits and does not fit the schema,
then calls that follow one another. The project that it knows cannot be built, so that nothing it sends is run.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from createos_nb.api.client import Client
from tests.platform.conftest import make_site
from tests.platform.forks import Fork

REQUESTS = 10_000
SEED = 20261125
# That all that fits the schema is accepted is not asked: a deployment that is live is not deleted, however well
# the request is spelled.
CHECKS = ("--checks=all", "--exclude-checks=positive_data_acceptance")


@pytest.fixture
def fork(tmp_path):
    fork = Fork(tmp_path / "state")
    yield fork
    fork.stop()


@pytest.fixture
def ids(fork):
    """A project with an environment and a deployment of which nothing can be built."""
    with Client(fork.address.api_url, api_key=fork.address.api_key()) as client:
        site = make_site(client, "fuzzed", directory_path="nowhere")
        deployment = site.deploy({"index.html": "x"})
        assert deployment.status == "build_error"
        yield {
            "project_id": site.project_id,
            "environment_id": site.environment_id,
            "deployment_id": deployment.id,
        }
        assert client.projects.get(site.project_id).status != "deleting", "it was there to the end"


@pytest.fixture
def fuzz(fork, ids, http_of, tmp_path):
    """Run schemathesis and return its report."""
    (tmp_path / "openapi.json").write_bytes(http_of(fork.address).get("/openapi.json").content)
    parameters = "\n".join(f'"path.{name}" = "{value}"' for name, value in ids.items())
    (tmp_path / "schemathesis.toml").write_text(f"""
[auth.openapi.apiKey]
api_key = "{fork.address.api_key().reveal()}"
[parameters]
{parameters}
[[operations]]
include-name = "DELETE /v1/projects/{{project_id}}"
parameters = {{ "path.project_id" = "another" }}
""")

    def fuzz(*options: str) -> dict:
        command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", fork.address.api_url]
        command += [*CHECKS, *options, f"--seed={SEED}", "--warnings=off", "--no-color"]
        command += ["--generation-database=none", "--report=json", "--report-json-path=report.json"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
        return json.loads((tmp_path / "report.json").read_text())

    return fuzz


def accepted(report):
    """How many requests did what they asked for."""
    return sum(phase["accepted"] for phases in report["valid_rates"].values() for phase in phases.values())


@pytest.mark.timeout(1200)  # Three minutes, and four times that on a slow machine.
def test_ten_thousand_requests_are_answered_as_the_description_says(fork, fuzz, figures):
    reports = [
        fuzz("--phases=coverage,fuzzing", "--max-examples=80"),
        fuzz("--phases=stateful", "--max-examples=10"),
    ]
    assert all(report["complete"] and not report["failures"] for report in reports)
    sent = [report["test_cases"]["generated"] for report in reports]
    done = sum(accepted(report) for report in reports)
    assert sum(sent) >= REQUESTS
    assert done > REQUESTS / 20, "most that could be done was refused: this proves little"
    assert " failed (request " not in fork.log
    with figures():
        seconds = sum(report["running_time"] for report in reports)
        print(
            f"\n/openapi.json: {sum(sent):,} requests ({sent[1]:,} of them in sequences) in {seconds:.0f} s, "
            f"{done:,} did what they asked; answers of 5xx 0, undocumented 0, keys ignored 0"
        )
