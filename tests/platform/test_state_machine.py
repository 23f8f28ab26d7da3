"""SAFETY P07: whatever is asked of the platform in whatever order, killed or not, it is what a small model says.

One platform lives through all programs; each has a project of its own. What is acknowledged is readable after every
step. When the platform has come to rest, each environment answers with the deployment that the model allows, by as
many processes as it should, and by no other.
"""

from __future__ import annotations

import http.client
import itertools
import json
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from createos_nb.api.deployments import UNFINISHED
from createos_nb.platform.handlers.api_keys import MAX_KEYS
from tests.platform.conftest import eventually, is_platforms
from tests.platform.forks import Fork

PROGRAMS, STEPS = 200, 30
APP = """
import os, socket
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    connection, _ = server.accept()
    connection.recv(65536)
    head = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % len(TEXT)
    connection.sendall(head + TEXT)
    connection.close()
"""
NAMES = st.sampled_from(["production", "Production", "staging", "preview"])
ANY = st.integers(0, 10**6)


class World:
    """The platform, and what all programs share."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.numbers = itertools.count()
        self.start()
        self.seen: set[str] = set()
        self.done: Counter[str] = Counter()
        self.programs = 0
        (self.keys,) = ({key["id"] for key in self.call("GET", "/v1/api-keys")[1]},)
        while len(self.keys) < MAX_KEYS - 2:
            self.keys.add(self.new_key()[1]["id"])

    def start(self) -> None:
        self.fork = Fork(self.state)
        address = self.fork.address
        self.headers = {"X-Api-Key": address.api_key().reveal(), "Content-Type": "application/json"}
        port = int(address.api_url.rpartition(":")[2])
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.asked_at = time.monotonic()

    def new_key(self) -> tuple[int, Any]:
        expiry = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        return self.call("POST", "/v1/api-keys", {"name": f"key-{next(self.numbers)}", "expiryAt": expiry})

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        if time.monotonic() - self.asked_at > 2:  # The platform closes one that nobody uses for five seconds.
            self.connection.close()
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        status, said = answer.status, json.loads(answer.read())
        self.asked_at = time.monotonic()
        assert status < 500, said
        return status, said["data"]

    def new(self, thing_id: str) -> str:
        """Take note of a new id, which must never have been there before."""
        assert thing_id not in self.seen
        self.seen.add(thing_id)
        return thing_id

    def visit(self, host: str) -> bytes:
        port = int(self.fork.address.gateway_url.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/", headers={"Host": f"{host}:{port}"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return content if answer.status == 200 else b""

    def children(self) -> list[psutil.Process]:
        found = psutil.Process(self.fork.address.pid).children(recursive=True)
        return [process for process in found if _runs(process) and not is_platforms(process)]

    def begin_again(self, how: str) -> None:
        children = self.children()
        self.connection.close()
        getattr(self.fork, how)()
        self.start()
        eventually(lambda: not any(map(_runs, children)))


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


class Programs(RuleBasedStateMachine):
    """One program: a project, and what the model knows of it.

    A rule that has nothing to do does nothing. As a precondition, what the platform did in its own time would
    decide which rules there are, and Hypothesis refuses programs that are not the same again.
    """

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.programs += 1
        self.name = f"program-{self.world.programs}"
        run = f"exec {sys.executable} -I -S main.py"
        status, made = self.world.call(
            "POST",
            "/v1/projects",
            {
                "uniqueName": self.name,
                "displayName": "Program",
                "type": "upload",
                "settings": {"runtime": "python", "runCommand": run},
            },
        )
        assert status == 201, made
        self.path = f"/v1/projects/{self.world.new(made['id'])}"
        self.title = "Program"
        self.environments: dict[str, dict[str, Any]] = {}
        self.leaving: set[str] = set()
        self.deployments: dict[str, str] = {}
        self.pending: set[str] = set()
        self.domains: dict[str, str] = {}
        self.keys: list[str] = []
        self.has_begun_again = False  # once is enough: it takes as long as twenty other steps

    def call(self, method: str, path: str, body: Any = None, *, refused: int | None = None) -> Any:
        """Call, and see that it is done, or refused with this status."""
        status, data = self.world.call(method, path, body)
        assert status == refused if refused else status < 300, (method, path, status, data)
        return data

    def one(self, things: dict[str, Any], which: int) -> str:
        return sorted(things)[which % len(things)]

    # --- steps ------------------------------------------------------------------------------------------------

    @rule(number=ANY)
    def rename(self, number):
        self.title = f"Program {number}"
        self.call("PUT", self.path, {"displayName": self.title})

    @rule(name=NAMES, auto=st.booleans())
    def create_environment(self, name, auto):
        taken = any(name.lower() == each["name"].lower() for each in self.environments.values())
        if not taken and self.leaving:
            self.settle()  # the name of one that is being deleted is free when it is gone
        body = {"uniqueName": name, "displayName": "Some place", "description": "Some place", "settings": {}}
        body |= {"resources": {"cpu": 200, "memory": 500, "replicas": 1}, "isAutoPromoteEnabled": auto}
        made = self.call("POST", f"{self.path}/environments", body, refused=409 if taken else None)
        if not taken:
            may = {None, *self.deployments} if auto else {None}
            fresh = {"name": name, "auto": auto, "variables": {}, "replicas": 1, "may": may}
            self.environments[self.world.new(made["id"])] = fresh

    @rule(which=ANY)
    def delete_environment(self, which):
        if not self.environments:
            return
        chosen = self.one(self.environments, which)
        self.call("DELETE", f"{self.path}/environments/{chosen}")
        del self.environments[chosen]
        self.leaving.add(chosen)

    @rule(which=ANY, number=ANY)
    def set_variables(self, which, number):
        if not self.environments:
            return
        chosen = self.one(self.environments, which)
        variables = {"NUMBER": str(number)}
        self.call("PUT", f"{self.path}/environments/{chosen}/environment-variables", {"runEnvs": variables})
        self.environments[chosen]["variables"] = variables

    @rule(which=ANY, replicas=st.integers(1, 2))
    def resize(self, which, replicas):
        if not self.environments:
            return
        chosen = self.one(self.environments, which)
        body = {"cpu": 200, "memory": 500, "replicas": replicas}
        self.call("PUT", f"{self.path}/environments/{chosen}/resources", body)
        self.environments[chosen]["replicas"] = replicas

    @rule(wait=st.booleans())
    def upload(self, wait):
        text = f"{self.name} {len(self.deployments) + 1}"
        files = [{"path": "main.py", "content": f"TEXT = {text.encode()!r}\n{APP}"}]
        made = self.world.new(self.call("PUT", f"{self.path}/deployments/files", {"files": files})["id"])
        self.deployments[made] = text
        self.pending.add(made)
        for environment in self.environments.values():
            if environment["auto"]:
                environment["may"] |= {made}
        if wait:
            self.settle()

    @rule(path=st.sampled_from(["../main.py", "/main.py", "a\\b", "CON"]))
    def upload_what_is_refused(self, path):
        files = [{"path": path, "content": "x"}]
        self.call("PUT", f"{self.path}/deployments/files", {"files": files}, refused=400)

    @rule(which=ANY)
    def cancel(self, which):
        if not self.pending:
            return
        chosen = sorted(self.pending)[which % len(self.pending)]
        self.world.call("POST", f"{self.path}/deployments/{chosen}/cancel")  # or it is too late

    @rule(where=ANY, which=ANY)
    def assign(self, where, which):
        if not (self.environments and self.deployments):
            return
        environment, chosen = self.one(self.environments, where), self.one(self.deployments, which)
        body = {"deploymentId": chosen}
        status, data = self.world.call("POST", f"{self.path}/environments/{environment}/assign-deployment", body)
        assert status in {200, 422}, data
        if status == 200:
            facts = self.environments[environment]
            facts["may"] = {chosen} | (self.pending if facts["auto"] else set())

    @rule(which=ANY)
    def put_to_sleep(self, which):
        if not self.deployments:
            return
        chosen = self.one(self.deployments, which)
        status, data = self.world.call("DELETE", f"{self.path}/deployments/{chosen}")
        assert status in {200, 422}, data
        if status == 200:
            # Where it is live, it stays live: the visits at the end wake it.
            eventually(lambda: self.call("GET", f"{self.path}/deployments/{chosen}")["status"] == "sleeping")

    @rule(name=st.sampled_from(["one", "two"]))
    def add_domain(self, name):
        name = f"{name}.{self.name}.localhost"
        taken = any(name == each for each in self.domains.values())
        made = self.call("POST", f"{self.path}/domains", {"name": name}, refused=409 if taken else None)
        if not taken:
            self.domains[self.world.new(made["id"])] = name

    @rule()
    def add_key(self):
        full = len(self.world.keys) >= MAX_KEYS
        status, made = self.world.new_key()
        assert status == (403 if full else 201)
        if not full:
            self.world.keys.add(self.world.new(made["id"]))
            self.keys.append(made["id"])

    @rule()
    def revoke_key(self):
        if not self.keys:
            return
        chosen = self.keys.pop()
        self.call("DELETE", f"/v1/api-keys/{chosen}")
        self.call("DELETE", f"/v1/api-keys/{chosen}", refused=404)
        self.world.keys.remove(chosen)

    @rule(how=st.sampled_from(["kill", "kill", "kill", "stop"]), chance=st.integers(1, 8))
    def begin_again(self, how, chance):
        if self.has_begun_again or chance > 1:  # Each takes a second.
            return
        self.has_begun_again = True
        self.world.begin_again(how)
        self.world.done[how] += 1

    # --- what must be so --------------------------------------------------------------------------------------

    @invariant()
    def what_was_acknowledged_is_there(self):
        self.world.done["steps"] += 1
        rows = {row["id"]: row for row in self.call("GET", f"{self.path}/environments")}
        assert self.environments.keys() <= rows.keys() <= self.environments.keys() | self.leaving
        for environment_id, facts in self.environments.items():
            row = rows[environment_id]
            assert (row["uniqueName"], row["settings"]["runEnvs"]) == (facts["name"], facts["variables"])
            assert row["resources"]["replicas"] == facts["replicas"]
        found = self.call("GET", f"{self.path}/deployments?limit=20")
        assert found["pagination"]["total"] == len(self.deployments)
        assert {row["id"] for row in found["data"]} <= self.deployments.keys()
        versions = [row["versionNumber"] for row in found["data"]]
        assert versions == list(range(len(self.deployments), len(self.deployments) - len(versions), -1))
        assert self.call("GET", self.path)["displayName"] == self.title

    def settle(self) -> list[dict[str, Any]]:
        """Wait until nothing is under way, and compare what serves with what may."""
        until = time.monotonic() + 60
        while True:
            deployments = self.call("GET", f"{self.path}/deployments?limit=20")["data"]
            rows = self.call("GET", f"{self.path}/environments")
            unfinished = {row["id"] for row in deployments if row["status"] in UNFINISHED}
            if not unfinished and all(row["status"] == "active" for row in rows):
                break
            assert time.monotonic() < until, (deployments, rows)
            time.sleep(0.01)
        statuses = {row["id"]: row["status"] for row in deployments}
        assert set(statuses.values()) <= {"deployed", "sleeping", "cancelled"}
        self.pending.clear()
        self.leaving.clear()
        for row in rows:
            facts, live = self.environments[row["id"]], row.get("projectDeploymentId")
            assert live in facts["may"] or all(statuses.get(each) == "cancelled" for each in facts["may"])
            assert statuses.get(live) != "cancelled"
            facts["may"] = {live}
        return rows

    def teardown(self):
        rows = self.settle()
        self.what_was_acknowledged_is_there()
        wanted = 0
        for row in rows:
            if live := row.get("projectDeploymentId"):
                wanted += row["resources"]["replicas"]
                host = f"{row['uniqueName']}.{self.name}.localhost".lower()
                assert self.world.visit(host) == self.deployments[live].encode()
        eventually(lambda: len(self.world.children()) == wanted)
        found = {row["id"]: row["name"] for row in self.call("GET", f"{self.path}/domains")}
        assert found == self.domains
        for key in self.keys:
            self.call("DELETE", f"/v1/api-keys/{key}")
            self.world.keys.remove(key)
        self.call("DELETE", self.path)
        self.world.done["programs"] += 1
        eventually(lambda: not self.world.children())


@pytest.mark.timeout(900)
def test_the_platform_is_what_the_model_says(tmp_path, figures):
    Programs.world = world = World(tmp_path / "state")
    began = time.monotonic()
    try:
        run_state_machine_as_test(
            Programs,
            settings=settings(
                max_examples=PROGRAMS,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],  # a program that fails is shown as it was: it meets a platform with a past
                suppress_health_check=list(HealthCheck),
            ),
        )
        eventually(lambda: not list((world.state / "sources").iterdir()))
        eventually(lambda: not list((world.state / "archives").iterdir()))
    finally:
        world.connection.close()
        world.fork.stop()
    assert " failed (request " not in world.fork.log
    assert "failed." not in world.fork.log
    with figures():
        done = world.done
        print(
            f"\nState machine: {done['programs']} programs, {done['steps']:,} steps, {done['kill']} kills and "
            f"{done['stop']} stops in {time.monotonic() - began:.0f} s; violations 0"
        )
