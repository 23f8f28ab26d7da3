"""Uploads that are cut off at any stage: what served goes on, nothing serves by half or is left (SAFETY U04)."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from createos_nb.api.client import Client
from createos_nb.api.deployments import UNFINISHED
from createos_nb.errors import CreateOSError, ServerError
from createos_nb.platform import service
from createos_nb.platform.disk import FULL
from tests.platform.conftest import Site, echo, eventually, make_site
from tests.platform.forks import Fork

KILLS = 500 if os.environ.get("CREATEOS_NB_SOAK") else 6
PARTS = 40
WHOLE = """
import json, pathlib
parts = [json.loads(path.read_text()) for path in sorted(pathlib.Path("parts").iterdir())]
assert parts == [VERSION] * 40, f"it is not whole: {parts}"
"""


def whole(version):
    """An application of many files, which does not start unless all of them are there and of one version."""
    return {**echo(version, before=WHOLE), **{f"parts/{number}": str(version) for number in range(PARTS)}}


@contextmanager
def database_of(state):
    """Open a copy of the platform's database: a running one lets no other process open it."""
    for _ in range(20):  # One that was taken while the log was written back is none.
        with tempfile.TemporaryDirectory() as directory:
            for name in ("platform.sqlite", "platform.sqlite-wal"):
                with suppress(FileNotFoundError):
                    shutil.copy(state / name, directory)
            with closing(sqlite3.connect(Path(directory) / "platform.sqlite")) as database:
                whole = False
                with suppress(sqlite3.DatabaseError):  # Some damage is told so.
                    whole = database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                if whole:
                    yield database
                    return
    pytest.fail("The database could not be copied.")


def stage(state, before):
    """Return how far the newest upload had come, of those that were not there before."""
    with database_of(state) as database:
        new = dict(database.execute("SELECT id, status FROM deployments").fetchall())
        live, wanted = database.execute(
            "SELECT project_deployment_id, wanted_deployment_id FROM environments"
        ).fetchone()
    new = {each: status for each, status in new.items() if each not in before}
    for deployment_id, status in new.items():
        return "live" if live == deployment_id else "promoting" if wanted == deployment_id else status
    strays = [path.name for path in (state / "sources").iterdir() if path.name not in before]
    return "unpacking" if any(name.startswith(".") for name in strays) else "archiving" if strays else "sent"


def leaked(state):
    """Return what is on disk that no deployment has."""
    with database_of(state) as database:
        known = {row[0] for row in database.execute("SELECT id FROM deployments").fetchall()}
    kept = [*(state / "sources").iterdir(), *(state / "archives").iterdir()]
    return [path for path in kept if path.name.removesuffix(".zip") not in known]


def unfinished(state):
    """Return the deployments that are still on their way, without asking for the pages of all there ever were."""
    with database_of(state) as database:
        rows = database.execute("SELECT id, status FROM deployments").fetchall()
    return [deployment_id for deployment_id, status in rows if status in UNFINISHED]


def answers(site):
    """Return the version that answers; None while nothing does."""
    with suppress(httpx.TransportError):
        answer = site.visit()
        return answer.json()["version"] if answer.status_code == 200 else None
    return None


@pytest.mark.timeout(3600)
def test_a_kill_at_any_stage_of_an_upload_leaves_what_serves_or_the_next(tmp_path, figures):
    state, chance, began = tmp_path / "state", random.Random(4), time.monotonic()
    fork = Fork(state)
    with Client(fork.address.api_url, api_key=fork.address.api_key()) as client:
        target = make_site(client, "whole").target
        site = Site(client, *target)
        site.live(site.deploy(whole(0)).id)
        before = time.monotonic()
        site.live(site.deploy(whole(1)).id)
        takes_s = time.monotonic() - before
    seen: Counter[str] = Counter()
    serves = 1
    for version in range(2, KILLS + 2):
        before = {path.name for path in (state / "sources").iterdir()}
        with Client(fork.address.api_url, api_key=fork.address.api_key()) as client:
            site = Site(client, *target)

            def send(site=site, version=version):
                with suppress(CreateOSError):
                    site.begin(whole(version))

            sending = threading.Thread(target=send)
            sending.start()
            # Half of them early, since most stages are short.
            time.sleep(chance.uniform(0, takes_s * chance.choice((0.2, 1.1))))
            fork.kill()
            sending.join()
        seen[stage(state, before)] += 1
        fork = Fork(state)
        with Client(fork.address.api_url, api_key=fork.address.api_key()) as client:
            site = Site(client, *target)
            first = eventually(lambda site=site: answers(site), within_s=60)
            assert first in {serves, version}
            for deployment_id in unfinished(state):
                client.deployments.wait(site.project_id, deployment_id, timeout_s=60)
            site.live()
            serves = site.visit().json()["version"]
            assert serves in {first, version}
            assert leaked(state) == []
    fork.stop()
    assert len(seen) > min(KILLS, 20) / 10
    with figures():
        print(
            f"\nU04: {KILLS} kills in {time.monotonic() - began:.0f} s, half activated 0, leaked 0; "
            + ", ".join(f"{name} {count}" for name, count in seen.most_common())
        )


def test_a_client_that_goes_away_in_the_middle_of_an_upload_leaves_nothing(site, platform):
    site.live(site.deploy(whole(1)).id)
    state = Path(platform.state_dir)
    body = json.dumps({"files": [{"path": path, "content": text} for path, text in whole(2).items()]}).encode()
    key = platform.api_key().reveal()
    before = len((state / "platform.log").read_text())
    for part in (0, 1, len(body) // 2, len(body) - 1):
        connection = http.client.HTTPConnection("127.0.0.1", int(platform.api_url.rpartition(":")[2]), timeout=20)
        with closing(connection):
            connection.putrequest("PUT", f"/v1/projects/{site.project_id}/deployments/files")
            for name, value in {"X-Api-Key": key, "Content-Type": "application/json"}.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            connection.send(body[:part])
    assert len(site.client.deployments.list(site.project_id)) == 1
    eventually(lambda: leaked(state) == [])  # What other tests' projects leave is being deleted.
    assert site.visit().json()["version"] == 1
    assert "Traceback" not in (state / "platform.log").read_text()[before:]


FREE = [0, 150_000, 500_000, 2_000_000]


def test_a_disk_that_is_full_at_any_stage_is_told_and_once_there_is_room_all_is_well(small_disk):
    state, filler = small_disk / "state", small_disk / "filler"
    address = service.start(state)
    with Client(address.api_url, api_key=address.api_key()) as client:
        site = make_site(client, "whole")
        # What a build leaves when the disk is full must not keep it so.
        client.projects.update_settings(site.project_id, build_command="cat /dev/zero > big; rm big")
        site.live(site.deploy(whole(1)).id)
        serves, refusals = 1, []
        for version, free in enumerate(FREE, start=2):
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while shutil.disk_usage(small_disk).free > free:
                    file.write(bytes(4096))
            created = None
            try:
                created = site.begin(whole(version))
            except ServerError as error:
                refusals.append(str(error))
            assert site.visit().json()["version"] in {serves, version}
            filler.unlink()
            if created is not None:
                with suppress(CreateOSError):
                    client.deployments.wait(site.project_id, created, timeout_s=60)
            site.live()
            serves = site.visit().json()["version"]
            assert leaked(state) == []
        assert 1 <= len(refusals) < len(FREE)
        assert all("HTTP 507" in refusal and FULL in refusal for refusal in refusals)
        site.live(site.deploy(whole(9)).id)
        assert site.visit().json()["version"] == 9
        # Also what was not built is over, and said to be.
        statuses = {deployment.status for deployment in client.deployments.list(site.project_id)}
        assert statuses <= {"deployed", "build_error", "error", "crashing"}


def test_of_what_could_not_be_built_nothing_stays_but_what_was_sent(site, platform):
    site.client.projects.update_settings(site.project_id, build_command="head -c 1000000 /dev/zero > big; exit 1")
    deployment = site.deploy(echo())
    assert deployment.status == "build_error"
    state = Path(platform.state_dir)
    eventually(lambda: not (state / "sources" / deployment.id).exists())
    download = site.client.deployments.download_uri(site.project_id, deployment.id)
    assert httpx.get(download.download_uri.reveal(), trust_env=False).status_code == 200
