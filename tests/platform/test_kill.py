"""SAFETY S01: killed at any moment, again and again, the platform loses nothing that it acknowledged.

Three writers change things over HTTP, each its own, and note what was acknowledged. What was under way when the
kill came may be there or not; all else must be there, and nothing that nobody asked for.
"""

from __future__ import annotations

import http.client
import json
import random
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from createos_nb.api.client import Client
from createos_nb.platform.service import Address
from tests.platform.conftest import make_site
from tests.platform.forks import Fork

CYCLES = 300
WRITERS = 3
SEED = 20261125


@dataclass
class Writer:
    """Somebody who changes one project, and apps, and keeps a list of what was acknowledged."""

    number: int
    project_id: str
    environment_id: str
    chance: random.Random
    name: str = "Site"
    variable: str | None = None
    apps: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    deployments: set[str] = field(default_factory=set)
    under_way: tuple[str, str] = ("", "")
    acknowledged: int = 0
    ambiguous: int = 0
    refused: list[str] = field(default_factory=list)

    def write(self, address: Address) -> None:
        """Change things until the platform is gone."""
        headers = {"X-Api-Key": address.api_key().reveal(), "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", int(address.api_url.rpartition(":")[2]), timeout=20)
        with closing(connection):
            while self._change(connection, headers):
                pass

    def _change(self, connection: http.client.HTTPConnection, headers: dict[str, str]) -> bool:
        what = self.chance.choices(("name", "variable", "app", "forget", "upload"), (4, 4, 3, 2, 1))[0]
        if what == "forget" and not self.apps:
            what = "app"
        value = f"{what} {self.number} {self.acknowledged} {self.chance.randrange(10**6)}"
        project = f"/v1/projects/{self.project_id}"
        if what == "forget":
            value = self.chance.choice(list(self.apps))
        method, path, body = {
            "name": ("PUT", project, {"displayName": value}),
            "variable": (
                "PUT",
                f"{project}/environments/{self.environment_id}/environment-variables",
                {"runEnvs": {"VALUE": value}},
            ),
            "app": ("POST", "/v1/apps", {"name": value}),
            "forget": ("DELETE", f"/v1/apps/{value}", None),
            "upload": ("PUT", f"{project}/deployments/files", {"files": [{"path": "a", "content": value}]}),
        }[what]
        self.under_way = (what, value)
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        if said["status"] != "success":
            self.refused.append(f"{method} {path}: {said}")
            return False
        self.under_way = ("", "")
        self.acknowledged += 1
        self._acknowledge(what, value, said["data"])
        return True

    def _acknowledge(self, what: str, value: str, data: Any) -> None:
        match what:
            case "name":
                self.name = value
            case "variable":
                self.variable = value
            case "app":
                self.apps[data["id"]] = value
            case "forget":
                del self.apps[value]
                self.deleted.add(value)
            case "upload":
                self.deployments.add(data["id"])

    def reconcile(self, database: sqlite3.Connection) -> None:
        """Compare what is there with what was acknowledged; take over what became of the one under way."""
        what, value = self.under_way
        self.under_way = ("", "")
        (name,) = database.execute("SELECT display_name FROM projects WHERE id = ?", [self.project_id]).fetchone()
        assert name == self.name or (what, value) == ("name", name)
        self.ambiguous += name != self.name
        self.name = name

        (settings,) = database.execute(
            "SELECT settings_json FROM environments WHERE id = ?", [self.environment_id]
        ).fetchone()
        variable = json.loads(settings)["runEnvs"].get("VALUE")
        assert variable == self.variable or (what, value) == ("variable", variable)
        self.ambiguous += variable != self.variable
        self.variable = variable

        mine = database.execute("SELECT id, name FROM apps WHERE name LIKE ?", [f"app {self.number} %"])
        apps = dict(mine.fetchall())
        lost, made = self.apps.keys() - apps.keys(), apps.keys() - self.apps.keys()
        assert lost <= ({value} if what == "forget" else set())
        assert {apps[each] for each in made} <= ({value} if what == "app" else set())
        assert not made & self.deleted, "what was deleted is there again"
        self.ambiguous += len(lost) + len(made)
        self.apps = apps

        rows = database.execute("SELECT id FROM deployments WHERE project_id = ?", [self.project_id]).fetchall()
        deployments = {row[0] for row in rows}
        assert self.deployments <= deployments
        new = deployments - self.deployments
        assert len(new) <= (what == "upload")
        self.ambiguous += len(new)
        self.deployments = deployments


def test_nothing_acknowledged_is_lost_in_three_hundred_kills(tmp_path, figures):
    chance = random.Random(SEED)
    state = tmp_path / "state"
    fork = Fork(state)
    writers = []
    with Client(fork.address.api_url, api_key=fork.address.api_key()) as client:
        for number in range(WRITERS):
            # Nothing of it can be built, so that no processes are started for it.
            site = make_site(client, f"site-{number}", directory_path="nowhere")
            writers.append(Writer(number, *site.target, random.Random(chance.random())))
    began = time.monotonic()
    for number in range(CYCLES):
        acknowledged = sum(writer.acknowledged for writer in writers)
        threads = [threading.Thread(target=writer.write, args=[fork.address]) for writer in writers]
        for thread in threads:
            thread.start()
        # Every other kill comes after an answer, however slow the machine is; the rest may come before one.
        until = time.monotonic() + 20 * (number % 2)
        while sum(writer.acknowledged for writer in writers) == acknowledged and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.1))  # the moment of the kill is what the test varies
        fork.kill()
        for thread in threads:
            thread.join()
        with closing(sqlite3.connect(state / "platform.sqlite")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            for writer in writers:
                assert not writer.refused
                writer.reconcile(database)
        fork = Fork(state)
        known = set().union(*(writer.deployments for writer in writers))
        assert {path.stem for path in (state / "archives").iterdir()} == known, (
            "files without a row, or the reverse"
        )
        # Of what could not be built nothing is kept but what was sent; a build that was cut off begins again.
        sources = {path.name for path in (state / "sources").iterdir()}
        built = {name.removeprefix(".").removesuffix(".unpacking") for name in sources}
        assert built <= known, "files without a row"
    fork.stop()
    acknowledged = sum(writer.acknowledged for writer in writers)
    assert acknowledged > CYCLES / 4  # thousands on a quiet machine, one of two cycles on a busy one
    assert " failed (request " not in fork.log
    with figures():
        ambiguous = sum(writer.ambiguous for writer in writers)
        print(
            f"\nkill -9: {CYCLES} cycles in {time.monotonic() - began:.0f} s, {acknowledged:,} acknowledged, "
            f"0 lost, 0 corrupt, {ambiguous} there without having been acknowledged"
        )
