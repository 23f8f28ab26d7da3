from __future__ import annotations

import subprocess
import sys

import pytest

from createos_nb.errors import BadRequest, Conflict, NotFound, Unprocessable
from tests.platform.conftest import echo, eventually, visit

UPLOAD = {"displayName": "Made", "type": "upload", "settings": {"runtime": "python"}}


@pytest.fixture
def create(http):
    """Create projects with raw bodies; deleted afterwards."""
    created = []

    def create(**body):
        answer = http.post("/v1/projects", json={**UPLOAD, **body})
        if answer.status_code == 201:
            created.append(answer.json()["data"]["id"])
        return answer

    yield create
    for project_id in created:
        http.delete(f"/v1/projects/{project_id}")


def test_a_new_project_is_as_it_was_asked_for(create, client):
    answer = create(
        uniqueName="as-asked-for", description="For a test.", settings={"runtime": "static", "port": 80}
    )
    project = client.projects.get(answer.json()["data"]["id"])
    assert (project.unique_name, project.display_name, project.type) == ("as-asked-for", "Made", "upload")
    assert (project.description, project.status, project.enabled_security_scan) == ("For a test.", "active", False)
    assert (project.settings.runtime, project.settings.port) == ("static", 80)
    assert project.user_id == client.account.user().id
    assert project.created_at.tzinfo is not None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"uniqueName": "abc"}, "uniqueName"),
        ({"uniqueName": "x" * 33}, "uniqueName"),
        ({"uniqueName": "with space"}, "uniqueName"),
        ({"uniqueName": "../../etc"}, "uniqueName"),
        ({"displayName": "Mäde"}, "displayName"),
        ({"type": "mainframe"}, "type"),
        ({"settings": None}, "settings is refused: it must be an object"),
        ({"settings": {"port": "3000"}}, "settings.port is refused: it must be a whole number"),
        ({"settings": {"nonsense": 1}}, "UploadSettings has no nonsense; it has framework"),
        ({"settings": {"ignoreBranches": []}}, "UploadSettings has no ignoreBranches"),
        ({"type": "image", "settings": {"port": 80, "runtime": "node:20"}}, "ImageSettings has no runtime"),
        ({"settings": {"runEnvs": {"A": 1}}}, "runEnvs.A is refused: it must be text"),
        ({"settings": {"port": 65536}}, "port"),
        ({"settings": {"port": "many"}}, "port"),
        ({"settings": {"runCommand": "x" * 256}}, "runCommand"),
        ({"settings": {"runCommand": "a\0b"}}, "NUL"),
        ({"settings": {"runEnvs": {"A B": "x"}}}, "'A B'"),
        ({"settings": {"buildVars": {"A": "x" * 200_000}}}, "bytes"),
        ({"description": "abc"}, "description"),
        ({"source": {"vcsName": "github", "vcsInstallationId": "1", "vcsRepoId": "1"}}, "source"),
        ({"type": "image", "settings": {}}, "port"),
        ({"type": "vcs"}, "source"),
    ],
    ids=str,
)
def test_what_is_out_of_bounds_is_refused_by_its_name(create, wrong, named):
    answer = create(**{"uniqueName": "out-of-bounds", **wrong})
    assert answer.status_code == 400
    assert named in answer.json()["data"]


def test_a_refused_value_of_a_variable_is_not_repeated(create):
    answer = create(uniqueName="with-a-secret", settings={"runEnvs": {"TOKEN": "open\0sesame"}})
    assert answer.status_code == 400
    assert "sesame" not in answer.text


def test_a_name_is_taken_in_any_case_and_free_when_its_project_is_gone(create, client, http):
    project_id = create(uniqueName="Taken-Name").json()["data"]["id"]
    assert create(uniqueName="taken-name").status_code == 409
    assert not client.projects.check_unique_name(unique_name="TAKEN-NAME").is_available
    client.projects.delete(project_id)
    eventually(lambda: client.projects.check_unique_name(unique_name="Taken-Name").is_available)
    assert create(uniqueName="taken-name").status_code == 201


def test_projects_are_listed_newest_first_and_by_what_was_asked_for(create, client):
    names = [f"listed-{letter}" for letter in "abc"]
    for name in names:
        create(uniqueName=name)
    create(uniqueName="pictured", type="image", settings={"port": 80})
    listed = [project.unique_name for project in client.projects.list(name="LISTED-")]
    assert listed == names[::-1]
    assert [project.unique_name for project in client.projects.list(type="image", name="pictured")] == ["pictured"]
    assert not client.projects.list(name="listed-%")
    assert not client.projects.list(app="11111111-1111-1111-1111-111111111111")
    assert len(client.projects.list(app="null", name="listed-")) == 3


def test_pages_are_as_large_as_asked_for(create, http):
    for letter in "abc":
        create(uniqueName=f"paged-{letter}")
    page = http.get("/v1/projects", params={"name": "paged-", "limit": 2, "offset": 1}).json()["data"]
    assert [project["uniqueName"] for project in page["data"]] == ["paged-b", "paged-a"]
    assert page["pagination"] == {"total": 3, "limit": 2, "offset": 1, "count": 2}
    assert http.get("/v1/projects").json()["data"]["pagination"]["limit"] == 10
    for wrong in ({"limit": 0}, {"limit": 21}, {"limit": "all"}, {"offset": -1}, {"offset": "x"}):
        assert http.get("/v1/projects", params=wrong).status_code == 400, wrong


def test_settings_that_are_not_given_keep_their_values(create, client):
    settings = {"runtime": "python", "port": 80, "runEnvs": {"A": "1", "B": "2"}}
    project_id = create(uniqueName="with-settings", settings=settings).json()["data"]["id"]
    client.projects.update_settings(project_id, port=81, run_envs={"A": "3"})
    changed = client.projects.get(project_id).settings
    assert (changed.runtime, changed.port) == ("python", 81)
    assert {name: value.reveal() for name, value in changed.run_envs.items()} == {"A": "3"}
    with pytest.raises(BadRequest, match="NUL"):
        client.projects.update_settings(project_id, run_command="a\0b")
    assert client.projects.get(project_id).settings.run_command is None


def test_settings_apply_from_the_next_deployment(site):
    first = site.deploy(echo())
    site.client.projects.update_settings(site.project_id, run_envs={"COLOUR": "green"})
    site.live(first.id)
    assert "COLOUR" not in site.visit().json()["variables"]
    second = site.deploy(echo())
    site.live(second.id)
    assert site.visit().json()["variables"]["COLOUR"] == "green"
    assert first.settings.run_envs is None
    assert second.settings.run_envs["COLOUR"].reveal() == "green"


def test_a_deleted_project_takes_all_that_is_in_it_along(site, platform):
    deployment = site.deploy(echo())
    site.live(deployment.id)
    endpoint = site.environment.extra.endpoint
    site.client.projects.delete(site.project_id)

    def deleted():
        try:
            return not site.client.projects.get(site.project_id)
        except NotFound:
            return True

    eventually(deleted)
    assert visit(endpoint).status_code == 421
    with pytest.raises(NotFound):
        site.client.deployments.list(site.project_id)
    assert [found.id for found in site.client.projects.list(status="deleted") if found.id == site.project_id]


def test_only_an_upload_project_takes_uploads(create, client):
    project_id = create(uniqueName="of-an-image", type="image", settings={"port": 80}).json()["data"]["id"]
    with pytest.raises(Unprocessable, match="takes no uploads"):
        client.deployments.upload_zip(project_id, file=b"PK")


@pytest.mark.usefixtures("all_deleted")
def test_quotas_count_what_there_is(create, client):
    before = client.account.quotas().projects
    create(uniqueName="counted")
    after = client.account.quotas().projects
    assert (after.current, after.remaining) == (before.current + 1, before.remaining - 1)
    assert after.current + after.remaining == after.max


def test_what_is_said_to_be_supported_is_on_this_machine(client):
    names = {supported.name for supported in client.projects.supported_types() if supported.type == "runtime"}
    assert "static" in names
    pythons = {name.partition(":")[2] for name in names if name.startswith("python:")}
    own = "{}.{}".format(*sys.version_info[:2])
    assert own in pythons
    for version in pythons - {own}:  # A version manager has programs that only say that they are not installed.
        assert subprocess.run([f"python{version}", "--version"], check=False).returncode == 0


@pytest.mark.parametrize("project_id", ["no-such-project", "%2e%2e", "a%2Fb"])
def test_an_unknown_project_is_said_to_be_unknown(http, project_id):
    answer = http.get(f"/v1/projects/{project_id}")
    assert (answer.status_code, answer.json()["status"]) == (404, "fail")


def test_a_taken_name_says_what_to_do(create, client):
    create(uniqueName="twice-made")
    with pytest.raises(Conflict, match="Choose another"):
        client.projects.create(unique_name="twice-made", display_name="Made", type="upload", settings={"port": 80})


def test_an_app_that_is_not_the_users_own_holds_no_project(create, client):
    for app in ("no-uuid", "00000000-0000-0000-0000-000000000000"):
        answer = create(uniqueName="in-an-app", appId=app)
        assert (answer.status_code, answer.json()["status"]) == (404, "fail")
    app = client.apps.create(name="mine").id
    assert create(uniqueName="in-an-app", appId=app).status_code == 201
    client.apps.delete(app)


def test_what_is_sent_as_null_is_no_more_and_what_is_not_sent_stays(create, client, http):
    settings = {"runtime": "static", "runCommand": "./x", "port": 80, "runEnvs": {"A": "1"}}
    project_id = create(uniqueName="with-nulls", description="Of a test", settings=settings).json()["data"]["id"]
    path = f"/v1/projects/{project_id}"
    app = f"/v1/apps/{client.apps.create(name='null', description='Of a test', color='#123456').id}"

    def put(where, method="PUT", **body):
        return http.request(method, where, json=body).status_code

    assert put(f"{path}/settings", runCommand=None, port=None) == 200
    assert put(path, displayName="Kept") == 200
    assert put(app, "PATCH", name="null") == 200
    kept = client.projects.get(project_id)
    assert (kept.description, kept.settings.run_command, kept.settings.port) == ("Of a test", None, None)
    assert kept.settings.runtime == "static"
    assert put(path, displayName="Kept", description=None) == 200
    assert put(app, "PATCH", name="null", description=None) == 200
    assert client.projects.get(project_id).description is None
    (mine,) = (each for each in client.apps.list() if app.endswith(each.id))
    assert (mine.description, mine.color) == (None, "#123456")
    # The documents do not let these be null, and nobody says what it would mean.
    assert put(f"{path}/settings", runEnvs=None) == put(app, "PATCH", name="null", color=None) == 400
    assert put(f"{path}/settings", ignoreBranches=["x"]) == 400, "an upload has no branches"
    assert set(client.projects.get(project_id).settings.run_envs) == {"A"}
    http.delete(app)


def test_a_port_for_an_image_projects_environment_is_kept(create, http):
    project = create(uniqueName="with-a-port", type="image", settings={"port": 80}).json()["data"]["id"]
    environments = f"/v1/projects/{project}/environments"
    body = {"uniqueName": "production", "displayName": "Production", "description": None, "settings": {}}
    body |= {"resources": {"cpu": 200, "memory": 500, "replicas": 1}}
    made = http.post(environments, json=body).json()["data"]["id"]
    variables = f"{environments}/{made}/environment-variables"
    for sent in ({"runEnvs": {"A": "1"}, "port": 9999}, {"runEnvs": {"A": "2"}}):
        assert http.put(variables, json=sent).status_code == 200
    (found,) = http.get(environments).json()["data"]
    assert found["settings"] == {"runEnvs": {"A": "2"}, "port": 9999}


def test_a_project_that_is_gone_is_not_transferred(create, platform, http):
    project = create(uniqueName="gone-by-then").json()["data"]["id"]
    token = http.get(f"/v1/projects/{project}/transfer-uri").json()["data"]["token"]
    key = http.post("/local/users", json={"username": "too-late"}).json()["data"]["key"]
    http.delete(f"/v1/projects/{project}")
    eventually(lambda: http.get(f"/v1/projects/{project}").status_code == 404)
    answer = http.get(f"/v1/projects/{project}/transfer", params={"token": token}, headers={"X-Api-Key": key})
    assert (answer.status_code, answer.json()["status"]) == (404, "fail")
