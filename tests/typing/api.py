"""Never run: mypy reads it. What an editor and a type checker know about calls."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, assert_type

import pandas as pd

import createos_nb as cos
from createos_nb.api.analytics import OverallRequests
from createos_nb.api.apps import App
from createos_nb.api.cronjobs import CronjobActivity
from createos_nb.api.deployments import BuildLogLine, Deployment, Deployments
from createos_nb.api.environments import Environment
from createos_nb.api.github import GithubBranch
from createos_nb.api.listing import Listing
from createos_nb.api.operation import Operation
from createos_nb.api.projects import Created, Project
from createos_nb.api.secret import Secret
from createos_nb.api.security_scans import SecurityScan
from createos_nb.api.templates import ProjectTemplate
from createos_nb.plans import Result
from createos_nb.plans.rollback import Rollback
from createos_nb.plans.scale import Scale
from createos_nb.selection import Selection


def blocking(client: cos.Client) -> None:
    assert_type(client.projects.get("p"), Project)
    assert_type(client.projects.list(name="shop", page_size=5), Listing[Project])
    assert_type(client.deployments.list("p")[0], Deployment)
    assert_type(client.deployments.upload_zip("p", file=b""), Created)
    assert_type(client.deployments.build_logs("p", "d"), Listing[BuildLogLine])
    assert_type(client.deployments.wait("p", "d", timeout_s=1.0), Deployment)
    assert_type(client.environments.get("p", "e"), Environment)
    assert_type(client.environments.list("p")[0].settings.run_envs, dict[str, Secret])
    assert_type(client.analytics.overall_requests("p", "e", start=1, end=2), OverallRequests)
    assert_type(client.info(), dict[str, Any])
    assert_type(client.apps.list(), Listing[App])
    assert_type(client.apps.list_projects("a")[0], Project)
    assert_type(client.github.list_branches("1", repository="ada/shop"), Listing[GithubBranch])
    assert_type(client.security_scans.get("p", "d"), SecurityScan)
    assert_type(client.cronjobs.list_activities("p", "c"), Listing[CronjobActivity])
    assert_type(client.templates.list(name="shop"), Listing[ProjectTemplate])
    assert_type(client.projects.transfer_uri("p").token, Secret)
    assert_type(client.deployments.trigger_latest("p"), Created | str)
    assert_type(client.deployments.download_uri("p", "d").download_uri.reveal(), str)
    assert_type(client.paced(lane="background", patience_s=60), cos.Client)


async def awaiting(client: cos.AsyncClient) -> None:
    assert_type(client.projects.get("p"), Awaitable[Project])
    assert_type(await client.projects.list(), Listing[Project])
    assert_type(await client.deployments.wait("p", "d"), Deployment)
    assert_type(await client.apps.list(), Listing[App])
    assert_type(await client.templates.buy("t"), Created)
    assert_type(client.paced(), cos.AsyncClient)


def declared() -> None:
    assert_type(Deployments.get.request("p", "d").path, str)
    assert_type(Deployments.get.tool, str | None)
    known: Operation[[str, str], Deployment] = Deployments.get  # noqa: F841 - the annotation is the test


def front_door() -> None:
    ws = cos.connect()
    assert_type(ws, cos.Workspace)
    assert_type(ws.deployments(), pd.DataFrame)
    prod = ws["shop/production"]
    assert_type(prod, Selection)
    assert_type(prod.analytics.summary(since="1h"), pd.DataFrame)
    plan = prod.plan_rollback()
    assert_type(plan, Rollback)
    assert_type(plan.apply(reason="checkout 500s"), Result)
    assert_type(prod.plan_scale(replicas=2), Scale)
