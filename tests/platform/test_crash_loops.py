"""Applications that keep ending: restarted with pauses, given up, well again after a deployment (SAFETY C06)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from createos_nb.api.client import Client
from createos_nb.platform import service
from createos_nb.platform.admin import Admin
from createos_nb.platform.options import Options
from createos_nb.platform.processes import LAST_LINES
from createos_nb.platform.serving import BACKOFF_S, MAX_RESTARTS, RESTARTS_WITHIN_S
from tests.platform.conftest import echo, eventually, make_site

WHEN = {
    "at-once": "if number > 2: end()",
    "after-1-s": "if number > 2: time.sleep(1); end()",
    "after-ready": "if number > 2: threading.Timer(0.3, end).start()",
    "on-request": "",
}
ENDS = """
import http.server, os, pathlib, threading, time

def end():
    print("\\n".join(f"line {number}" for number in range(60)), flush=True)
    os._exit(7)

with open("starts", "a") as starts:
    starts.write("x")
number = len(pathlib.Path("starts").read_text())
WHEN

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        end()

http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def address(tmp_path):
    state = tmp_path / "state"
    yield service.start(state, ephemeral=True, options=Options(admin=True))
    service.stop(state)


def test_a_crash_loop_of_any_kind_is_given_up_says_why_and_ends_with_the_next_deployment(address, figures):
    with Client(address.api_url, api_key=address.api_key()) as client:
        admin = Admin(client)
        sites = {name: make_site(client, f"ends-{name}") for name in WHEN}
        ids = {name: site.begin({"main.py": ENDS.replace("WHEN", WHEN[name])}) for name, site in sites.items()}
        for name, site in sites.items():
            client.deployments.wait(site.project_id, ids[name], timeout_s=60)
            site.live(ids[name])

        def status(name):
            return client.deployments.get(sites[name].project_id, ids[name]).status

        moved = 0.0
        while any(status(name) != "crashing" for name in sites):
            for site in sites.values():
                assert site.visit().status_code in {502, 503}
            time.sleep(0.05)  # so that little of its time passes while an application runs, which it would forgive
            admin.move_clock(seconds=2)
            moved += 2
            assert moved < RESTARTS_WITHIN_S, {name: status(name) for name in sites}

        restarts = {}
        for name, site in sites.items():
            started = (Path(address.state_dir) / "sources" / ids[name] / "starts").read_text()
            restarts[name] = len(started) - 2  # The check of the deployment, and the first that went live.
            assert restarts[name] == len(BACKOFF_S) <= MAX_RESTARTS
            told = client.deployments.build_logs(site.project_id, ids[name])
            told = [line.log for line in told if line.stage == "run"]
            assert told[:-1] == [f"line {number}" for number in range(60 - LAST_LINES, 60)]
            assert "It ended with exit code 7." in told[-1]
            answer = site.visit()
            assert (answer.status_code, answer.text.partition(":")[0]) == (503, "The application keeps ending")
            assert "v1 is crashing. Its build log ends with" in answer.text
        with figures():
            print(f"\nC06: restarts in {moved:.0f} s before it was given up: {restarts}")

        for name, site in sites.items():
            ids[name] = site.begin(echo(2))
        for name, site in sites.items():
            client.deployments.wait(site.project_id, ids[name], timeout_s=60)
            site.live(ids[name])
            assert eventually(lambda site=site: site.visit().json()["version"]) == 2
            assert status(name) == "deployed"
