"""From an answer to models and to a frame, beside pydantic alone and pandas' json_normalize."""

from __future__ import annotations

import json
import time
from uuid import UUID

import pandas as pd
from pydantic import TypeAdapter

from createos_nb import schema
from createos_nb.api.deployments import Deployment, Deployments
from createos_nb.api.message import Request, Reserve, Response

ROWS = 100_000


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


def timed(call):
    began = time.perf_counter()
    value = call()
    return time.perf_counter() - began, value


def test_many_deployments_to_models_and_to_a_frame(capsys):
    rows = [deployment(number) for number in range(ROWS)]
    body = json.dumps({"status": "success", "data": rows}).encode()
    bare = json.dumps(rows).encode()
    del rows
    plain = TypeAdapter(list[Deployment])
    ours_s, models = timed(lambda: listed(body))
    assert len(models) == ROWS
    frame_s, frame = timed(
        lambda: schema.DEPLOYMENTS.frame(schema.deployment_row("shop", model, ()) for model in models)
    )
    assert len(frame) == ROWS
    models = frame = None
    ways = {
        "createos_nb, models": ours_s,
        "pydantic validate_json": timed(lambda: plain.validate_json(bare))[0],
        "createos_nb, models and frame": ours_s + frame_s,
        "json_normalize": timed(lambda: pd.json_normalize(json.loads(body)["data"]))[0],
        "models, model_dump, json_normalize": timed(
            lambda: pd.json_normalize([model.model_dump() for model in plain.validate_json(bare)])
        )[0],
    }
    with capsys.disabled():
        print(f"\n\n{f'{ROWS:,} deployments, {len(body) / 1e6:.0f} MB':40}{'s':>8}{'rows/s':>12}")
        for name, seconds in ways.items():
            print(f"{name:40}{seconds:8.2f}{ROWS / seconds:12,.0f}")
