"""From an answer to models and to a frame, beside pydantic alone and pandas' json_normalize."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from uuid import UUID

import pandas as pd
import pytest
from pydantic import TypeAdapter

from createos_nb import schema
from createos_nb.api.answer import Part, Parts
from createos_nb.api.deployments import Deployment, Deployments
from createos_nb.api.message import Request, Reserve, Response
from tests.benchmarks.size import size

ROWS = size(1_000, 100_000)
ROUNDS = size(1, 3)
DATA_AT = len(b'{"status": "success", "data": ')


def deployment(number):
    return {
        "id": str(UUID(int=number)),
        "projectId": f"p-{number % 50}",
        "versionNumber": number,
        "status": "deployed",
        "createdAt": f"2026-11-{1 + number % 28:02d}T12:00:00.123456Z",
        "updatedAt": f"2026-11-{1 + number % 28:02d}T12:10:00Z",
        "settings": {
            "runtime": "python:3.12",
            "port": 8000,
            "runEnvs": {f"NAME_{n}": "x" * 12 for n in range(8)},
            "buildVars": {"A": "b"},
        },
        "source": {"branch": "main", "commit": f"{number:040x}", "commitMessage": f"Mend {number}"},
        "extra": {"endpoint": f"https://d-{number}.example.app"},
    }


def listed(body):
    """Read one answer as the client does, without a network."""
    operation = Deployments.list
    request = Request("ListDeployments", "GET", "/v1", "/v1", "read")
    exchange = operation.calling(request)
    assert isinstance(next(exchange), Reserve)
    exchange.send(True)
    try:
        exchange.send(Response(200, {"content-type": "application/json"}, body))
    except StopIteration as end:
        return end.value
    raise AssertionError("it asked for more")


def framed(body):
    """Make the frame of one answer as the front door does, without a network."""
    read = schema.DEPLOYMENT_RECORDS.read(body, paged=False)
    found = Parts([Part(read, range(len(read.keys)))], complete=True)
    return schema.DEPLOYMENT_RECORDS.frame(found, "shop", ())


def by_models(body):
    return schema.DEPLOYMENTS.frame(schema.deployment_row("shop", model, ()) for model in listed(body))


def body_of(rows):
    return json.dumps({"status": "success", "data": [deployment(number) for number in range(rows)]}).encode()


PLAIN = TypeAdapter(list[Deployment])
WAYS = {
    "createos_nb, models": listed,
    "pydantic validate_json": lambda body: PLAIN.validate_json(body[DATA_AT:-1]),
    "createos_nb, frame": framed,
    "createos_nb, frame by way of models": by_models,
    "json_normalize": lambda body: pd.json_normalize(json.loads(body)["data"]),
    "models, model_dump, json_normalize": lambda body: pd.json_normalize(
        [model.model_dump() for model in PLAIN.validate_json(body[DATA_AT:-1])]
    ),
}


def memory_mb(name):
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def measure(name):
    """Print the seconds that a way takes, and the MB beyond what was there before; run in a process of its own."""
    way, body = WAYS[name], body_of(ROWS)
    way(body_of(20))  # whatever is loaded at first use
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = memory_mb("VmRSS"), time.perf_counter()
    value = way(body)
    seconds = time.perf_counter() - began
    assert len(value) == ROWS
    print(seconds, memory_mb("VmHWM") - before)


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")
def test_many_deployments_to_models_and_to_a_frame(figures):
    taken = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name in WAYS:
            program = f"from tests.benchmarks.test_parsing import measure; measure({name!r})"
            run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
            taken[name].append(tuple(map(float, run.stdout.split())))
    with figures():
        title = f"{ROWS:,} deployments, {len(body_of(ROWS)) / 1e6:.0f} MB"
        print(f"\n\n{title:40}{'s':>8}{'rows/s':>12}{'MB':>8}")
        for name, found in taken.items():
            seconds, megabytes = (median(each) for each in zip(*found, strict=True))
            print(f"{name:40}{seconds:8.2f}{ROWS / seconds:12,.0f}{megabytes:8.0f}")
