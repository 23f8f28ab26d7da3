"""What goes out over the wire is what the OpenAPI file says: by our own description, and in real answers.

The client reads both spellings of much: only a comparison with the file tells what another client would see.
"""

from __future__ import annotations

import base64
import io
import json
import secrets
import time
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from createos_nb.api.operation import OPERATIONS
from createos_nb.platform.handlers import HANDLERS
from createos_nb.platform.openapi import document
from tests.platform.conftest import eventually, visit

FILE = json.loads((Path(__file__).parents[1] / "api" / "createos-openapi.json").read_text())
DOCUMENTED = {
    facts["operationId"]: {**facts, "method": method.upper(), "path": path}
    for path, methods in FILE["paths"].items()
    for method, facts in methods.items()
}
OURS = document([OPERATIONS[name] for name in HANDLERS])

DIFFERENT = {
    **dict.fromkeys(
        [("GetProject", "status"), ("ListProjects", "data[].status"), ("ListProjectsByApp", "data[].status")],
        "a suspended project is not called active; see ProjectStatus",
    ),
    ("GetDeployment", "source"): "the file's own note says that it is an object",
    ("ListDeployments", "data[].source"): "the file's own note says that it is an object",
    ("GetDeploymentLogs", ""): "one text, as that of an environment",
    ("RetriggerDeployment", ""): "a text or the deployment, by the file's own note",
    ("TriggerLatestDeployment", ""): "{id} or a text, by the file's own note",
    **{
        (name, f"{rows}{part}"): "the file's name for a half of the template, which we describe in one piece"
        for name, rows in (
            ("GetProjectTemplate", ""),
            ("ListMyProjectTemplates", "templates[]."),
            ("ListPublishedProjectTemplates", "templates[]."),
        )
        for part in ("Part 1", "Part 2")
    },
}
"""Members of answers that we describe otherwise than the file, and why."""

NEVER_ANSWERED = {
    *("CreateDeployment", "TriggerLatestDeployment", "RetriggerDeployment", "InstallGithubApp", "CreateCronjob"),
    *("CreateProjectTemplate", "TriggerSecurityScan", "RetriggerSecurityScan"),
    *("GetSecurityScan", "GetSecurityScanDownloadUri"),
    *("ListGithubRepositories", "ListGithubRepositoryBranches", "GetGithubRepositoryContent"),
    *("AddServicesToApp", "RemoveServicesFromApp"),
    *(
        "GetCronjob",
        "UpdateCronjob",
        "DeleteCronjob",
        "ListCronjobActivities",
        "SuspendCronjob",
        "UnsuspendCronjob",
    ),
    *("GetProjectTemplate", "UpdateProjectTemplate", "DeleteProjectTemplate", "UpdateProjectTemplateStatus"),
    *("BuyProjectTemplate", "ListProjectTemplateRejections", "DownloadProjectTemplate"),
    "DeployProjectTemplateViaGithub",
}
"""What this platform always refuses, since there is nothing that could be named, or a gap."""

NEVER_SEEN = {
    *("ListConnectedGithubAccounts", "ListGithubInstallations", "ListCronjobs"),
    *("ListPublishedProjectTemplates", "ListMyProjectTemplates", "ListProjectTemplatePurchases"),
    *("ListProjectTemplateCounts", "ListServicesByApp"),
}
"""What answers lists that are always empty."""

ONLY_OF_A_REPOSITORY = {"settings.buildFlags", "settings.ignoreBranches", "settings.ignoreBranches[]"}
"""Settings that no deployment here can have, since it was uploaded."""


LISTS_BY_A_NOTE = {"customDomains"}
"""Members of objects whose every value is a text by the file, and a list by its own note."""


# --- our own description ----------------------------------------------------------------------------------------


def success_of(responses: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return the status of a success and the schema of its data, None where the file has none."""
    for status, response in responses.items():
        if status < "300":
            whole = response["content"]["application/json"]["schema"]
            return status, whole["properties"]["data"]
    return None


def alternatives(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a schema chooses among, references followed."""
    if "$ref" in schema:
        named = OURS["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return alternatives({**named, **{key: value for key, value in schema.items() if key != "$ref"}})
    if "anyOf" in schema:
        return [each for alternative in schema["anyOf"] for each in alternatives(alternative)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def members(schema: dict[str, Any], at: str = "") -> dict[str, tuple[Any, ...]]:
    """Return every member of a schema: its types, its values where they are listed, and whether it is a time."""
    choices = alternatives(schema)
    found = {
        at: (
            {choice.get("type", "anything") for choice in choices},
            {value for choice in choices for value in choice.get("enum", ())},
            any(choice.get("format") == "date-time" for choice in choices),
        )
    }
    for choice in choices:
        for name, member in choice.get("properties", {}).items():
            found |= members(member, f"{at}.{name}".lstrip("."))
        if "items" in choice:
            found |= members(choice["items"], f"{at}[]")
    return found


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_success_is_described_as_in_the_file(name):
    """Each property with its type, whether it may be null, its values, and the HTTP status."""
    documented, declared = DOCUMENTED[name], OPERATIONS[name]
    ours = success_of(OURS["paths"][declared.path][declared.method.lower()]["responses"])
    theirs = success_of(documented["responses"])
    if theirs is None:
        assert name == "DeleteProjectTemplate", "the only one of which the file has no success"
        return
    assert ours[0] == theirs[0] == str(declared.status)
    described = members(ours[1])
    for member, (types, values, is_time) in members(theirs[1]).items():
        if (name, member) in DIFFERENT:
            assert described.get(member) != (types, values, is_time), (
                "no longer different: take it out of the table"
            )
        elif not any((name, above) in DIFFERENT and member.startswith(f"{above}.") for _, above in DIFFERENT):
            assert member in described, member
            assert described[member][0] == types, member
            assert described[member][1] == values or not values, member
            assert described[member][2] == is_time, member


# --- real answers -----------------------------------------------------------------------------------------------


class Asked:
    """Makes the file's calls, and holds each answer to what the file says of it."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.answered: set[str] = set()
        self.seen: dict[str, set[str]] = defaultdict(set)

    def __call__(self, name: str, *ids: str, http: httpx.Client | None = None, **options: Any) -> Any:
        facts = DOCUMENTED[name]
        path, ids = facts["path"], iter(ids)
        while "{" in path:
            before, _, rest = path.partition("{")
            path = before + next(ids) + rest.partition("}")[2]
        answer = (http or self.http).request(facts["method"], path, **options)
        body = answer.json()
        assert answer.is_success, (name, body)
        self.answered.add(name)
        status, _ = success_of(facts["responses"])
        assert str(answer.status_code) == status, name
        whole = facts["responses"][status]["content"]["application/json"]["schema"]
        self.seen[name] |= present(whole["properties"]["data"], body["data"])
        wrong = [
            f"{error.json_path}: {error.message}"
            for error in Draft202012Validator(whole).iter_errors(body)
            if error.instance != "suspended" and error.path[-1] not in LISTS_BY_A_NOTE
        ]
        assert not wrong, (name, wrong)
        return body["data"]


def present(schema: dict[str, Any], value: Any, at: str = "") -> set[str]:
    """Return which members of a schema a value has."""
    found = {at}
    for name, member in schema.get("properties", {}).items():
        if isinstance(value, dict) and name in value:
            found |= present(member, value[name], f"{at}.{name}".lstrip("."))
    for row in value if isinstance(value, list) and "items" in schema else ():
        found |= present(schema["items"], row, f"{at}[]")
    return found


def project(kind: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    name = f"wire-{secrets.token_hex(4)}"
    return {"uniqueName": name, "displayName": "Wire", "type": kind, "settings": settings, **more}


def environment(**more: Any) -> dict[str, Any]:
    return {
        "uniqueName": "production",
        "displayName": "Production",
        "description": "Live",
        "isAutoPromoteEnabled": True,
        "resources": {"cpu": 200, "memory": 500, "replicas": 1},
        "settings": {"runEnvs": {"A": "1"}},
        **more,
    }


def test_real_answers_have_what_the_file_says(platform, http, http_of):
    """Every operation that can succeed here does, on a platform that runs; all that is listed is seen somewhere."""
    ask = Asked(http)
    for name in (
        "GetCurrentUser",
        "GetQuotas",
        "GetSupportedProjectTypes",
        *NEVER_SEEN - {"ListCronjobs", "ListServicesByApp"},
    ):
        ask(name)
    key = ask("CreateAPIKey", json={"name": "wire", "expiryAt": "2099-01-01T00:00:00Z"})["id"]
    ask("UpdateAPIKey", key, json={"name": "wire-two", "description": "of a test"})
    ask("CheckAPIKeyUniqueName", json={"uniqueName": "wire-two"})
    ask("ListAPIKeys")
    ask("RevokeAPIKey", key)
    ask("ListAPIKeys")

    app = ask("CreateApp", json={"name": "wire", "color": "#123456"})["id"]
    ask("UpdateApp", app, json={"name": "wire", "description": "of a test"})
    ask("ListApps")
    ask("ListServicesByApp", app)
    static = {"runtime": "static", "port": 8000, "buildVars": {"B": "1"}, "runEnvs": {"C": "1"}}
    made = project("upload", static, appId=app)
    site = ask("CreateProject", json=made)["id"]
    image = ask("CreateProject", json=project("image", {"port": 8080}))["id"]
    source = {"vcsName": "github", "vcsInstallationId": "1", "vcsRepoId": "2"}
    vcs = ask("CreateProject", json=project("vcs", {"runtime": "node:20"}, source=source))["id"]
    ask("CheckProjectUniqueName", json={"uniqueName": made["uniqueName"]})
    ask("UpdateProject", site, json={"displayName": "Wire", "description": "of a test"})
    ask("ListCronjobs", site)
    ask("AddProjectsToApp", app, json={"projectIds": [image]})
    ask("ListProjectsByApp", app)
    ask("RemoveProjectsFromApp", app, json={"projectIds": [image]})
    for made_id in (site, image, vcs):
        ask("GetProject", made_id)
    ask("ListProjects", params={"limit": 20})

    live = ask("CreateProjectEnvironment", site, json=environment())["id"]
    ask("CreateProjectEnvironment", vcs, json=environment(branch="main", description=None))
    ask("CreateProjectEnvironment", image, json=environment())
    ask("CheckProjectEnvironmentUniqueName", site, json={"uniqueName": "production"})
    text = {"files": [{"path": "index.html", "content": "one"}]}
    coded = {"files": [{"path": "index.html", "content": base64.b64encode(b"two").decode()}]}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as whole:
        whole.writestr("index.html", "three")
    first = ask("UploadDeploymentFiles", site, json=text)["id"]
    second = ask("UploadDeploymentBase64Files", site, json=coded)["id"]

    def live_is(deployment: str) -> bool:
        (found,) = ask("ListProjectEnvironments", site)
        return found.get("projectDeploymentId") == deployment and found["status"] == "active"

    eventually(lambda: live_is(second))
    ask("UpdateProjectSettings", site, json={"buildCommand": "sleep 60"})
    third = ask("UploadDeploymentZip", site, files={"file": ("a.zip", archive.getvalue(), "application/zip")})["id"]
    ask("CancelDeployment", site, third)
    for deployment in (first, second, third):
        ask("GetDeployment", site, deployment)
    ask("ListDeployments", site)
    ask("ListProjectEnvironments", vcs)
    ask("GetBuildLogs", site, first)
    ask("GetDeploymentLogs", site, second)
    ask("DownloadDeployment", site, second)
    endpoint = ask("ListProjectEnvironments", site)[0]["extra"]["endpoint"]
    assert [visit(endpoint, path).status_code for path in ("/", "/missing")] == [200, 404]
    eventually(lambda: ask("GetProjectEnvironmentAnalyticsOverallRequests", site, live)["total"] == 2)
    for name in DOCUMENTED:
        if name.startswith("GetProjectEnvironmentAnalytics"):
            ask(name, site, live)
    ask("GetProjectEnvironmentLogs", site, live)
    ask("UpdateProjectEnvironment", site, live, json={"displayName": "Live", "description": "Live one"})
    ask("UpdateProjectEnvironmentEnvironmentVariables", site, live, json={"runEnvs": {"A": "2"}})
    ask("UpdateProjectEnvironmentResources", site, live, json={"cpu": 300, "memory": 500, "replicas": 1})
    ask("AssignDeploymentToProjectEnvironment", site, live, json={"deploymentId": first})
    eventually(lambda: live_is(first))
    ask("DeleteDeployment", site, second)
    ask("WakeupDeployment", site, second)

    domain = ask("CreateDomain", site, json={"name": f"{made['uniqueName']}-own.localhost", "environmentId": live})[
        "id"
    ]
    ask("RefreshDomain", site, domain)
    ask("ListDomains", site)
    ask("UpdateDomainEnvironment", site, domain, json={"environmentId": None})
    ask("DeleteDomain", site, domain)

    ask("SuspendProject", site)
    assert ask("GetProject", site)["status"] == "suspended"
    ask("UnsuspendProject", site)
    token = ask("GetProjectTransferUri", site)["token"]
    other = http.post("/local/users", json={"username": f"wire-{time.time_ns()}"}).json()["data"]["key"]
    with httpx.Client(base_url=platform.api_url, headers={"X-Api-Key": other}, trust_env=False) as theirs:
        ask("TransferProject", site, params={"token": token}, http=theirs)
        ask("ListProjectTransferHistory", site, http=theirs)
        ask("DeleteProjectEnvironment", site, live, http=theirs)
        ask("DeleteProject", site, http=theirs)
    for rest in (image, vcs):
        ask("DeleteProject", rest)
    ask("DeleteApp", app)

    assert ask.answered == set(DOCUMENTED) - NEVER_ANSWERED
    for name in ask.answered - NEVER_SEEN:
        _, schema = success_of(DOCUMENTED[name]["responses"])
        missing = set(members(schema)) - ask.seen[name]
        assert {member.removeprefix("data[].") for member in missing} <= ONLY_OF_A_REPOSITORY, (name, missing)
