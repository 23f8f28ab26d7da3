"""What this platform has no machinery for: said in one way, from one table, and by nothing else."""

from __future__ import annotations

import json
import secrets
import uuid

import pytest

from createos_nb.api.cronjobs import HttpCall
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.projects import ImageSettings, VcsSettings, VcsSource
from createos_nb.api.secret import Secret
from createos_nb.errors import NotFound, Unprocessable
from createos_nb.platform.handlers.gaps import GAPS
from tests.platform.conftest import echo

PROSE = "a shop that sells ducks " * 10


@pytest.fixture(scope="module")
def project(client):
    """Make a project of a type that nothing can be deployed to."""
    made = []

    def project(type, settings, source=None):
        name = f"gap-{secrets.token_hex(4)}"
        made.append(
            client.projects.create(
                unique_name=name, display_name="A gap", type=type, settings=settings, source=source
            ).id
        )
        return made[-1]

    yield project
    for project_id in made:
        client.projects.delete(project_id)


def asked(operation, site, project):
    """Ask for what a gap leaves open, with arguments that are good."""
    api, deployment = site.client, site.deploy(echo()) if "Scan" in operation else None
    repository = VcsSource(vcs_installation_id="1", vcs_repo_id="2")
    call = {
        "CreateDeployment": lambda: api.deployments.create(
            project("image", ImageSettings(port=80)), image="nginx:1"
        ),
        "TriggerLatestDeployment": lambda: api.deployments.trigger_latest(
            project("vcs", VcsSettings(), repository)
        ),
        "InstallGithubApp": lambda: api.github.install(installation_id=1, code=Secret("x")),
        "TriggerSecurityScan": lambda: api.security_scans.trigger(site.project_id, deployment.id),
        "RetriggerSecurityScan": lambda: api.security_scans.retrigger(site.project_id, deployment.id),
        "CreateCronjob": lambda: api.cronjobs.create(
            site.project_id,
            name="nightly",
            schedule="0 3 * * *",
            type="http",
            environment_id=site.environment_id,
            settings=HttpCall(path="/", method="GET"),
        ),
        "CreateProjectTemplate": lambda: api.templates.create(
            name="A shop of ducks",
            description=PROSE,
            overview=PROSE,
            use_cases=PROSE,
            project_id=site.project_id,
            environment_id=site.environment_id,
            image_uri="https://shop.example/a.png",
            project_configuration={},
            environment_configuration={},
            deployment_resources={},
            build_resources={},
        ),
    }[operation]
    return call()


@pytest.mark.parametrize("operation", GAPS)
def test_what_is_missing_is_said_and_never_made_up(operation, site, project):
    assert operation in OPERATIONS
    with pytest.raises(Unprocessable) as raised:
        asked(operation, site, project)
    assert raised.value.detail == f"not available on this platform: {GAPS[operation]}."
    assert raised.value.status == 422


@pytest.mark.parametrize(
    ("query", "body", "branch"),
    [
        ({}, None, None),
        ({}, {"branch": "main"}, "main"),
        ({"branch": "main"}, None, "main"),
        ({"branch": "main"}, {"branch": "other"}, "main"),
    ],
)
def test_a_branch_comes_in_the_query_or_in_the_body(query, body, branch):
    received = OPERATIONS["TriggerLatestDeployment"].receive({"project_id": str(uuid.uuid4())}, query, body)
    assert received["branch"] == branch


def test_a_branch_in_the_body_is_read_over_rest_and_over_mcp(http, platform, project):
    project_id = project("vcs", VcsSettings(), VcsSource(vcs_installation_id="1", vcs_repo_id="2"))

    def over_rest(body):
        return http.post(f"/v1/projects/{project_id}/trigger-latest", json=body)

    def over_mcp(body):
        params = {"name": "TriggerLatestDeployment", "arguments": {"project_id": project_id, "body": body}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        answer = http.post(platform.mcp_url, json=message, headers={"Accept": "application/json"}).json()
        return json.loads(answer["result"]["content"][0]["text"])

    refused = {"status": "fail", "data": f"not available on this platform: {GAPS['TriggerLatestDeployment']}."}
    assert over_rest({"branch": "main"}).json() == over_mcp({"branch": "main"}) == refused
    assert "branch" in over_rest({"branch": 5}).json()["data"]
    assert over_rest({"branch": 5}).json() == over_mcp({"branch": 5})


def test_what_there_is_none_of_is_an_empty_list_or_not_found(site):
    api = site.client
    assert len(api.cronjobs.list(site.project_id)) == 0
    assert len(api.templates.list()) == len(api.templates.list_mine()) == len(api.templates.list_purchases()) == 0
    assert api.templates.counts().total == 0
    assert len(api.github.list_accounts()) == len(api.github.list_installations()) == 0
    for nothing in (
        lambda: api.cronjobs.get(site.project_id, "no-such-job"),
        lambda: api.templates.get("no-such-template"),
        lambda: api.templates.buy("no-such-template"),
        lambda: api.templates.download_uri("no-such-purchase"),
        lambda: api.github.list_repositories("7"),
        lambda: api.github.repository_content("7", repository="a/b", branch="main"),
    ):
        with pytest.raises(NotFound):
            nothing()


def test_what_was_never_scanned_has_no_report(site):
    deployment = site.deploy(echo())
    for report in (site.client.security_scans.get, site.client.security_scans.download_uri):
        with pytest.raises(NotFound, match="v1 was never scanned"):
            report(site.project_id, deployment.id)


def test_what_was_uploaded_has_no_repository_to_build_again(site):
    deployment = site.deploy(echo())
    with pytest.raises(Unprocessable, match=r"has no repository\. Upload its files again"):
        site.client.deployments.retrigger(site.project_id, deployment.id)
    with pytest.raises(Unprocessable, match="has no repository"):
        site.client.deployments.trigger_latest(site.project_id)


def test_a_dockerfile_is_not_built_from_and_that_is_said(site):
    site.client.projects.update_settings(site.project_id, has_dockerfile=True)
    deployment = site.deploy({"Dockerfile": "FROM scratch", **echo()})
    assert deployment.status == "build_error"
    assert "not available on this platform: it builds no container images" in site.log(deployment.id)
