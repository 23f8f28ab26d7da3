"""Readings: the lists that can be long, from what the platform answers to frames; see `Records`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.api.deployments import Deployment
from createos_nb.api.environments import Environment
from createos_nb.schema.kinds import DEPLOYMENTS, ENVIRONMENTS, LIVE_DEPLOYMENTS, PROJECTS
from createos_nb.schema.records import Records, Table, Values, series
from createos_nb.schema.rows import Row, deployment_row, environment_row, live_on, project_row


def _project_columns(table: Table) -> Values:
    names = {
        "project": "uniqueName",
        "project_id": "id",
        "display_name": "displayName",
        "type": "type",
        "status": "status",
        "description": "description",
        "app_id": "appId",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    }
    return {column: series(table[name]) for column, name in names.items()}


PROJECT_RECORDS = Records(
    PROJECTS,
    {
        **dict.fromkeys(("id!", "uniqueName!", "displayName!", "type!", "status!", "description", "appId"), "text"),
        **dict.fromkeys(("createdAt!", "updatedAt"), "time"),
    },
    _project_columns,
    project_row,
)


def _environment_columns(table: Table, project: str) -> Values:
    branch = table["branch"]
    text = {
        "environment": "uniqueName",
        "project_id": "projectId",
        "environment_id": "id",
        "display_name": "displayName",
        "description": "description",
        "status": "status",
        "deployment_id": "projectDeploymentId",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    }
    resources = {"cpu_millicores": "cpu", "memory_mb": "memory", "replicas": "replicas"}
    return {
        "project": [project] * len(table),
        **{column: series(table[name]) for column, name in text.items()},
        "branch": series(pc.if_else(pc.equal(branch, ""), pa.scalar(None, pa.string()), branch)),
        "auto_promote": series(pc.fill_null(table["isAutoPromoteEnabled"], fill_value=False)),
        **{column: series(pc.struct_field(table["resources"], name)) for column, name in resources.items()},
        "endpoint": series(pc.struct_field(table["extra"], "endpoint")),
    }


def _environment_row(environment: Environment, project: str) -> Row:
    return environment_row(project, environment)


ENVIRONMENT_RECORDS = Records(
    ENVIRONMENTS,
    {
        **dict.fromkeys(("id!", "projectId!", "uniqueName!", "displayName!", "status!"), "text"),
        **dict.fromkeys(("description", "branch", "projectDeploymentId"), "text"),
        "isAutoPromoteEnabled": "flag",
        "resources": dict.fromkeys(("cpu", "memory", "replicas"), "number"),
        "extra": {"endpoint": "text"},
        **dict.fromkeys(("createdAt!", "updatedAt"), "time"),
    },
    _environment_columns,
    _environment_row,
)

_DEPLOYMENT = {
    **dict.fromkeys(("id!", "projectId!", "status!"), "text"),
    "versionNumber": "number",
    "source": dict.fromkeys(("branch", "commit", "commitMessage", "image"), "text"),
    "createdAt!": "time",
}


def _deployment_columns(table: Table, project: str, environments: Sequence[Environment]) -> Values:
    number, identity = table["versionNumber"], table["id"]
    said = {name: pc.struct_field(table["source"], name) for name in ("branch", "commit", "commitMessage", "image")}
    message = said["commitMessage"]
    live = live_on(environments)
    return {
        "project": [project] * len(table),
        "project_id": series(table["projectId"]),
        "deployment_id": series(identity),
        "version": series(
            pc.if_else(
                pc.is_valid(number),
                pc.binary_join_element_wise("v", number.cast(pa.string()), ""),
                pc.utf8_slice_codeunits(identity, 0, 8),
            )
        ),
        "status": series(table["status"]),
        "created_at": series(table["createdAt"]),
        "branch": series(said["branch"]),
        "commit": series(said["commit"]),
        "message": series(pc.if_else(pc.equal(pc.fill_null(message, ""), ""), said["image"], message)),
        "environments": [live.get(each, "") for each in identity.to_pylist()],
    }


def _deployment_row(deployment: Deployment, project: str, environments: Sequence[Environment]) -> Row:
    return deployment_row(project, deployment, environments)


DEPLOYMENT_RECORDS = Records(DEPLOYMENTS, _DEPLOYMENT, _deployment_columns, _deployment_row)


def _live_columns(
    table: Table, project: str, environments: Sequence[Environment], selected: Collection[str]
) -> Values:
    live = _live(environments, selected)
    flags = [each in live for each in table["id"].to_pylist()]
    return {**_deployment_columns(table, project, environments), "live": flags}


def _live_row(
    deployment: Deployment, project: str, environments: Sequence[Environment], selected: Collection[str]
) -> Row:
    live = deployment.id in _live(environments, selected)
    return {**deployment_row(project, deployment, environments), "live": live}


def _live(environments: Sequence[Environment], selected: Collection[str]) -> set[str | None]:
    return {each.project_deployment_id for each in environments if each.id in selected}


LIVE_DEPLOYMENT_RECORDS = Records(LIVE_DEPLOYMENTS, _DEPLOYMENT, _live_columns, _live_row)
