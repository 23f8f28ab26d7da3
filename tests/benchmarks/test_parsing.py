"""From an answer to models and to a frame, beside pydantic alone and pandas' json_normalize."""

from __future__ import annotations

import gc
import json
import os
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

ROWS = 100_000
ROUNDS = 3


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


def measured(call):
    """Return seconds, and MB beyond what was there before, of a call in a process of its own."""
    receiving, sending = os.pipe()
    if (child := os.fork()) == 0:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before, began = memory_mb("VmRSS"), time.perf_counter()
        value = call()
        seconds = time.perf_counter() - began
        assert len(value) == ROWS
        os.write(sending, f"{seconds} {memory_mb('VmHWM') - before}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    seconds, megabytes = map(float, os.read(receiving, 100).split())
    os.close(receiving)
    os.close(sending)
    return seconds, megabytes


def memory_mb(name):
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it")
def test_many_deployments_to_models_and_to_a_frame(capsys):
    rows = [deployment(number) for number in range(ROWS)]
    body = json.dumps({"status": "success", "data": rows}).encode()
    bare = json.dumps(rows).encode()
    del rows
    plain = TypeAdapter(list[Deployment])
    few = json.dumps({"status": "success", "data": [deployment(number) for number in range(20)]}).encode()
    framed(few), by_models(few), plain.validate_python([deployment(1)])  # whatever is loaded at first use
    pd.json_normalize([deployment(1)])
    ways = {
        "createos_nb, models": lambda: listed(body),
        "pydantic validate_json": lambda: plain.validate_json(bare),
        "createos_nb, frame": lambda: framed(body),
        "createos_nb, frame by way of models": lambda: by_models(body),
        "json_normalize": lambda: pd.json_normalize(json.loads(body)["data"]),
        "models, model_dump, json_normalize": lambda: pd.json_normalize(
            [model.model_dump() for model in plain.validate_json(bare)]
        ),
    }
    taken = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(measured(way))
    with capsys.disabled():
        title = f"{ROWS:,} deployments, {len(body) / 1e6:.0f} MB"
        print(f"\n\n{title:40}{'s':>8}{'rows/s':>12}{'MB':>8}")
        for name, found in taken.items():
            seconds, megabytes = (median(each) for each in zip(*found, strict=True))
            print(f"{name:40}{seconds:8.2f}{ROWS / seconds:12,.0f}{megabytes:8.0f}")
