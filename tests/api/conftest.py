"""Fixtures for the API layer: arguments and documented answers of every declared operation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import createos_nb.api.declarations  # noqa: F401 - of every operation
from createos_nb.api.cronjobs import HttpCall
from createos_nb.api.deployments import EncodedFile, SourceFile
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.api.path import names
from createos_nb.api.projects import UploadSettings
from createos_nb.api.retries import Retries
from createos_nb.api.secret import Secret

_TEMPLATE = {
    "name": "A small shop",
    **dict.fromkeys(("description", "overview", "use_cases"), "a shop " * 20),
    "image_uri": "https://shop.example/picture",
}

BODIES: dict[str, dict[str, Any]] = {
    "CreateProject": {
        "unique_name": "shop",
        "display_name": "Shop",
        "type": "upload",
        "settings": UploadSettings(run_envs={"TOKEN": Secret("s3cret")}),
    },
    "CheckProjectUniqueName": {"unique_name": "shop"},
    "CreateProjectEnvironment": {
        "unique_name": "production",
        "display_name": "Production",
        "description": None,
        "resources": Resources(cpu=200, memory=500, replicas=1),
        "settings": EnvironmentSettings(run_envs={"TOKEN": Secret("s3cret")}),
    },
    "CheckProjectEnvironmentUniqueName": {"unique_name": "production"},
    "UpdateProjectEnvironment": {"display_name": "Production", "description": "Live EU"},
    "AssignDeploymentToProjectEnvironment": {"deployment_id": "d"},
    "UpdateProjectEnvironmentResources": {"cpu": 200, "memory": 500, "replicas": 1},
    "UpdateProjectEnvironmentEnvironmentVariables": {"run_envs": {"TOKEN": Secret("s3cret")}},
    "UploadDeploymentFiles": {"files": [SourceFile(path="main.py", content="print()")]},
    "UploadDeploymentZip": {"file": b"PK"},
    "CreateDomain": {"name": "shop.example"},
    "UpdateDomainEnvironment": {"environment_id": "e"},
    "CreateAPIKey": {"name": "ci-key", "expiry_at": datetime(2027, 1, 31, tzinfo=UTC)},
    "UpdateAPIKey": {"name": "ci-key"},
    "CheckAPIKeyUniqueName": {"unique_name": "ci-key"},
    "UpdateProject": {"display_name": "Shop"},
    "TransferProject": {"token": Secret("s3cret")},
    "CreateDeployment": {"image": "nginx:1.27"},
    "UploadDeploymentBase64Files": {"files": [EncodedFile(path="main.py", content="cHJpbnQoKQ==")]},
    "CreateApp": {"name": "shop"},
    "UpdateApp": {"name": "shop"},
    "AddProjectsToApp": {"project_ids": ["p"]},
    "RemoveProjectsFromApp": {"project_ids": ["p"]},
    "AddServicesToApp": {"service_ids": ["s"]},
    "RemoveServicesFromApp": {"service_ids": ["s"]},
    "InstallGithubApp": {"installation_id": 7, "code": Secret("s3cret")},
    "ListGithubRepositoryBranches": {"repository": "ada/shop"},
    "GetGithubRepositoryContent": {"repository": "ada/shop", "branch": "main"},
    "CreateCronjob": {
        "name": "nightly",
        "schedule": "0 3 * * 1-5",
        "type": "http",
        "environment_id": "e",
        "settings": HttpCall(path="/", method="GET", headers={"Authorization": Secret("s3cret")}),
    },
    "UpdateCronjob": {"name": "nightly", "schedule": "*/5 * * * *"},
    "CreateProjectTemplate": {
        **_TEMPLATE,
        "project_id": "p",
        "environment_id": "e",
        "project_configuration": {},
        "environment_configuration": {},
        "deployment_resources": {},
        "build_resources": {},
    },
    "UpdateProjectTemplate": {**_TEMPLATE, "video_url": "https://shop.example/video"},
    "DeployProjectTemplateViaGithub": {"installation_id": 7},
}
"""Required arguments beside the ids, by operation."""


@pytest.fixture(autouse=True)
def _retries():
    """Further attempts are of a key in a process; each test begins as a new process does."""
    Retries.of.cache_clear()


@pytest.fixture
def arguments():
    """Return arguments that an operation accepts."""

    def of(declared: Any) -> dict[str, Any]:
        return {**{name: name[0] for name in names(declared.path)}, **BODIES.get(declared.name, {})}

    return of


@pytest.fixture(scope="session")
def openapi() -> dict[str, dict[str, Any]]:
    """The documented operations by their id, each with its ``method`` and ``path``."""
    document = json.loads((Path(__file__).parent / "createos-openapi.json").read_text())
    return {
        facts["operationId"]: {"method": method.upper(), "path": path, **facts}
        for path, methods in document["paths"].items()
        for method, facts in methods.items()
    }


@pytest.fixture
def documented_answer(openapi):
    """Return the data of an answer of the documented shape."""

    def of(declared: Any) -> Any:
        success = next((code for code in openapi[declared.name]["responses"] if code.startswith("2")), None)
        if success is None:
            return "deleted"  # The file says nothing of what DeleteProjectTemplate answers.
        envelope = openapi[declared.name]["responses"][success]["content"]["application/json"]["schema"]
        return USER if declared.name == "GetCurrentUser" else _example(envelope["properties"]["data"])

    return of


NOTED: dict[str, Any] = {
    "source": {"branch": "main", "commit": "0" * 40, "commitMessage": "text"},
    "resources": {"cpu": 200, "memory": 500, "replicas": 1},
    "extra": {"endpoint": "https://production.shop.example", "customDomains": ["shop.example"]},
}
"""Fields whose shape only the file's ``x-note`` tells."""

USER = {"id": "u", "displayName": "Ada", "username": "ada", "email": "ada@example.com", "suspendedAt": None}


def _example(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return _example(schema[choice][0])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {
            name: NOTED[name] if name in NOTED else _example(value)
            for name, value in schema.get("properties", {}).items()
        }
    if kind == "array":
        return [_example(schema.get("items", {}))]
    texts = {"date-time": "2026-11-23T12:00:00.123456789Z", "uuid": "0b9c5a0e-0000-4000-8000-000000000001"}
    return {"integer": 1, "number": 1.0, "boolean": True}.get(kind, texts.get(schema.get("format", ""), "text"))
