"""Evidence of one incident, the same every time: version 3 breaks the checkout, a rollback mends it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from createos_nb import schema
from createos_nb.reports import Evidence, Note
from createos_nb.schema.samples import NOON
from createos_nb.timerange import TimeRange

TRACE = """Traceback (most recent call last):
  File "/app/main.py", line 88, in do_POST
    order = checkout.place(basket, coupon)
AttributeError: 'NoneType' object has no attribute 'code'"""


def _at(minute: int, second: int = 0) -> datetime:
    return NOON + timedelta(minutes=minute, seconds=second)


def _journal_row(at: datetime, **values: object) -> dict[str, object]:
    target = {"project": "shop", "environment": "production", "user": "ada", "plan": "0123456789ab"}
    return {"at": at, "run": "r1", "kind": "rollback", **target, **values}


@pytest.fixture
def evidence() -> Evidence:
    deployments = schema.sample("DEPLOYMENTS")
    pin, assign = "UpdateProjectEnvironment", "AssignDeploymentToProjectEnvironment"
    return Evidence(
        identifier="INC-42",
        title="Checkout answers 500",
        project="shop",
        environment="production",
        platform="CreateOS at http://127.0.0.1:40123, key from a file",
        window=TimeRange(_at(0), _at(10)),
        collected_at=_at(10, 5),
        collected_by="ada",
        overall=schema.sample("OVERALL_REQUESTS"),
        over_time=schema.sample("REQUESTS_OVER_TIME"),
        error_paths=schema.sample("TOP_ERROR_PATHS"),
        deployments=deployments.assign(live=deployments["version"] == "v2"),
        live=schema.ENVIRONMENTS.frame(
            [
                {
                    "project": "shop",
                    "environment": "production",
                    "status": "active",
                    "auto_promote": False,
                    "deployment_id": deployments["deployment_id"][1],
                    "cpu_millicores": 300,
                    "memory_mb": 512,
                    "replicas": 2,
                    "endpoint": "http://production.shop.localhost:40124",
                    "created_at": _at(-60),
                }
            ]
        ),
        journal=schema.JOURNAL.frame(
            [
                _journal_row(_at(7, 50), state="begin", detail="checkout fails"),
                _journal_row(_at(7, 51), state="intent", step="pin", operation=pin),
                _journal_row(_at(7, 52), state="outcome", step="pin", operation=pin, outcome="ok", detail="ok"),
                _journal_row(_at(7, 53), state="outcome", step="put v2 live", operation=assign, outcome="ok"),
                _journal_row(_at(8, 30), state="done", detail="v2 is live and verified"),
            ]
        ),
        logs=schema.LOGS.frame(
            [
                *(
                    {
                        "project": "shop",
                        "environment": "production",
                        "timestamp": _at(4, second),
                        "level": "ERROR",
                        "message": f"order {second} failed",
                        "trace": TRACE,
                        "raw": "",
                    }
                    for second in range(30)
                ),
                {"timestamp": _at(5), "level": "WARNING", "message": "slow", "raw": "slow"},
            ]
        ),
        notes=(Note(_at(6), "A customer reports that the checkout fails."),),
    )
