from __future__ import annotations

import pytest

from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.errors import BadRequest, Conflict, NotFound, Unprocessable
from tests.platform.conftest import echo, eventually, make_site, visit

SMALL = Resources(cpu=200, memory=500, replicas=1)


@pytest.fixture
def another(site):
    """Create further environments in the site's project."""

    def create(name="staging", **options):
        values = {"description": "Another one", "resources": SMALL, "settings": EnvironmentSettings(), **options}
        return site.client.environments.create(
            site.project_id, unique_name=name, display_name=name.title(), **values
        ).id

    return create


def pin(site):
    """Turn auto-promotion off, as the rollback does."""
    now = site.environment
    site.client.environments.update(
        *site.target,
        display_name=now.display_name,
        description=now.description,
        is_auto_promote_enabled=False,
    )


# --- the two tests of the issue -----------------------------------------------------------------------------


def test_after_a_pinned_rollback_one_more_upload_does_not_go_live(site):
    good, bad = (site.deploy(echo(version)) for version in (1, 2))
    site.live(bad.id)
    pin(site)
    site.client.environments.assign_deployment(*site.target, deployment_id=good.id)
    site.live(good.id)

    again = site.deploy(echo(3))

    assert again.status == "deployed"
    environment = site.live()
    assert (environment.project_deployment_id, environment.is_auto_promote_enabled) == (good.id, False)
    assert site.visit().json()["version"] == 1


def test_after_a_rollback_without_the_pin_one_more_upload_goes_live(site):
    good, bad = (site.deploy(echo(version)) for version in (1, 2))
    site.live(bad.id)
    site.client.environments.assign_deployment(*site.target, deployment_id=good.id)
    site.live(good.id)
    assert site.visit().json()["version"] == 1

    again = site.deploy(echo(3))

    assert site.live(again.id).project_deployment_id == again.id
    assert site.visit().json()["version"] == 3


# --- promotion ----------------------------------------------------------------------------------------------


def test_a_pin_during_the_build_holds(site):
    first = site.deploy(echo(1))
    site.live(first.id)
    site.client.projects.update_settings(site.project_id, build_command="until test -e pinned; do sleep 0.05; done")
    second = site.begin(echo(2))
    eventually(lambda: site.client.deployments.get(site.project_id, second).status == "building")
    pin(site)
    site.client.deployments.cancel(site.project_id, second)
    site.client.projects.update_settings(site.project_id, build_command="true")
    assert site.deploy(echo(3)).status == "deployed"
    assert site.live().project_deployment_id == first.id


def test_a_slower_older_build_does_not_replace_a_newer_one(site):
    site.client.projects.update_settings(site.project_id, build_command="test ! -e slow || sleep 4")
    older = site.begin({**echo(1), "slow": ""})
    newer = site.deploy(echo(2))
    site.live(newer.id)
    assert site.client.deployments.wait(site.project_id, older, timeout_s=60).status == "deployed"
    assert site.live().project_deployment_id == newer.id
    assert site.visit().json()["version"] == 2


def test_an_environment_that_promotes_by_itself_begins_with_the_newest(site, another):
    site.deploy(echo(1))
    newest = site.deploy(echo(2))
    staging = another(is_auto_promote_enabled=True)
    found = site.client.environments.wait(site.project_id, staging, deployment_id=newest.id, timeout_s=60)
    assert found.project_deployment_id == newest.id


def test_environments_of_a_project_serve_what_each_was_assigned(site, another):
    staging = another()
    first, second = (site.deploy(echo(version)) for version in (1, 2))
    site.live(second.id)
    site.client.environments.assign_deployment(site.project_id, staging, deployment_id=first.id)
    found = site.client.environments.wait(site.project_id, staging, deployment_id=first.id, timeout_s=60)
    assert visit(found.extra.endpoint).json()["version"] == 1
    assert site.visit().json()["version"] == 2


def test_only_what_was_built_in_the_same_project_can_be_assigned(site, client):
    broken = site.deploy({"notes.txt": "nothing to run"} | {"requirements.txt": "-r missing.txt"})
    assert broken.status == "build_error"
    with pytest.raises(Unprocessable, match="build_error"):
        client.environments.assign_deployment(*site.target, deployment_id=broken.id)
    other = make_site(client, "elsewhere", auto_promote=False)
    foreign = other.deploy(echo())
    with pytest.raises(NotFound):
        client.environments.assign_deployment(*site.target, deployment_id=foreign.id)
    with pytest.raises(NotFound):
        client.environments.assign_deployment(other.project_id, site.environment_id, deployment_id=foreign.id)
    client.projects.delete(other.project_id)
    assert site.environment.project_deployment_id is None


# --- resources and variables --------------------------------------------------------------------------------


def test_scaling_starts_that_many_processes_and_ends_the_others(site):
    site.live(site.deploy(echo()).id)
    pids = {}
    for replicas in (3, 1, 2):
        site.client.environments.update_resources(*site.target, cpu=300, memory=600, replicas=replicas)
        environment = site.live()
        assert environment.resources == Resources(cpu=300, memory=600, replicas=replicas)
        pids[replicas] = {site.visit().json()["pid"] for _ in range(4 * replicas)}
        assert len(pids[replicas]) == replicas
    assert pids[1] < pids[3], "those that stay are not started anew"


@pytest.mark.parametrize(
    ("resources", "named"),
    [
        ({"cpu": 199, "memory": 500, "replicas": 1}, "cpu"),
        ({"cpu": 501, "memory": 500, "replicas": 1}, "cpu"),
        ({"cpu": 200, "memory": 499, "replicas": 1}, "memory"),
        ({"cpu": 200, "memory": 1025, "replicas": 1}, "memory"),
        ({"cpu": 200, "memory": 500, "replicas": 0}, "replicas"),
        ({"cpu": 200, "memory": 500, "replicas": 4}, "replicas"),
        ({"cpu": 200, "memory": 500}, "replicas"),
    ],
    ids=str,
)
def test_resources_out_of_bounds_are_refused(site, http, resources, named):
    path = f"/v1/projects/{site.project_id}/environments/{site.environment_id}/resources"
    answer = http.put(path, json=resources)
    assert answer.status_code == 400
    assert named in answer.json()["data"]
    assert site.environment.resources == SMALL


def test_an_environment_that_serves_nothing_can_be_scaled(site):
    site.client.environments.update_resources(*site.target, cpu=200, memory=500, replicas=2)
    assert site.live().resources.replicas == 2
    site.live(site.deploy(echo()).id)
    assert len({site.visit().json()["pid"] for _ in range(6)}) == 2


def test_replicas_that_do_not_start_leave_those_there_are(site, tmp_path):
    once = f"import os; os.open({str(tmp_path / 'second')!r}, os.O_CREAT | os.O_EXCL)"
    allowed = f"import os; os.path.exists({str(tmp_path / 'first')!r}) or open({str(tmp_path / 'first')!r}, 'w')"
    # It is started for the check and for the environment, and never again.
    before = f"import os\nif os.path.exists({str(tmp_path / 'first')!r}):\n    {once}\n{allowed}"
    deployment = site.deploy(echo(before=before))
    site.live(deployment.id)
    site.client.environments.update_resources(*site.target, cpu=200, memory=500, replicas=3)
    assert site.live().resources.replicas == 1
    assert site.visit().status_code == 200


def test_variables_take_effect_with_the_next_assignment(site):
    deployment = site.deploy(echo())
    site.live(deployment.id)
    pid = site.visit().json()["pid"]
    site.client.environments.update_variables(*site.target, run_envs={"COLOUR": "green"})
    told = site.visit().json()
    assert (told["pid"], told["variables"].get("COLOUR")) == (pid, None)
    assert site.environment.settings.run_envs["COLOUR"].reveal() == "green"
    site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    eventually(lambda: site.visit().json()["variables"].get("COLOUR") == "green")


def test_an_environments_variables_win_over_the_projects(site):
    site.client.projects.update_settings(site.project_id, run_envs={"COLOUR": "red", "SHAPE": "round"})
    site.client.environments.update_variables(*site.target, run_envs={"COLOUR": "green"})
    site.live(site.deploy(echo()).id)
    variables = site.visit().json()["variables"]
    assert (variables["COLOUR"], variables["SHAPE"]) == ("green", "round")


@pytest.mark.parametrize("name", ["", "A=B", "A B", "1A", "A\0B", "Ä"])
def test_a_name_that_no_variable_can_have_is_refused(site, name):
    with pytest.raises(BadRequest, match="no name of a variable"):
        site.client.environments.update_variables(*site.target, run_envs={name: "x"})
    assert site.environment.settings.run_envs == {}


def test_a_port_is_an_image_projects_to_change(site):
    with pytest.raises(BadRequest, match="image"):
        site.client.environments.update_variables(*site.target, run_envs={}, port=80)


# --- names and addresses ------------------------------------------------------------------------------------


def test_an_endpoint_is_answered_before_anything_is_live(site):
    endpoint = site.environment.extra.endpoint
    assert endpoint.startswith("http://production.site-")
    assert visit(endpoint).status_code == 503


def test_a_name_is_taken_in_any_case_within_its_project(site, another):
    with pytest.raises(Conflict, match="Choose another"):
        another("PRODUCTION")
    check = site.client.environments.check_unique_name
    assert not check(site.project_id, unique_name="Production").is_available
    assert check(site.project_id, unique_name="staging").is_available


def test_an_environment_does_not_take_a_domains_name(site, another):
    project = site.client.projects.get(site.project_id)
    site.client.domains.create(site.project_id, name=f"staging.{project.unique_name}.localhost")
    with pytest.raises(Conflict, match="domain"):
        another("staging")


def test_an_update_replaces_what_was_given(site):
    site.client.environments.update(*site.target, display_name="Renamed", description="Quite different")
    environment = site.environment
    assert (environment.display_name, environment.description) == ("Renamed", "Quite different")
    assert environment.is_auto_promote_enabled, "what was not given stays"


def test_an_update_is_bound_more_tightly_than_a_creation(another, site, http):
    staging = another(description="Live, EU.")
    path = f"/v1/projects/{site.project_id}/environments/{staging}"
    answer = http.put(path, json={"displayName": "Staging", "description": "Live, EU."})
    assert answer.status_code == 400
    assert "description" in answer.json()["data"]


def test_only_a_repositorys_environment_follows_a_branch(site, another):
    with pytest.raises(BadRequest, match="branch"):
        another(branch="main")
    with pytest.raises(BadRequest, match="branch"):
        site.client.environments.update(*site.target, display_name="Prod", description="Production", branch="main")


def test_a_deleted_environment_stops_and_its_name_is_free(site, another):
    site.live(site.deploy(echo()).id)
    endpoint = site.environment.extra.endpoint
    site.client.environments.delete(*site.target)
    eventually(lambda: visit(endpoint).status_code == 421)
    eventually(lambda: not site.client.environments.list(site.project_id))
    another("production")


# --- logs ---------------------------------------------------------------------------------------------------


def test_logs_are_the_environments_own(site, another):
    staging = another()
    site.live(site.deploy(echo()).id)
    assert "It listens" in site.client.environments.logs(*site.target, since_seconds=600)
    assert site.client.environments.logs(site.project_id, staging) == "Listening for logs..."


def test_looking_back_for_ever_is_looking_back_to_the_beginning(site, http):
    site.live(site.deploy(echo()).id)
    path = f"/v1/projects/{site.project_id}/environments/{site.environment_id}/logs"
    assert "It listens" in http.get(path, params={"since-seconds": "9" * 400}).json()["data"]
    assert http.get(path, params={"since-seconds": "0"}).status_code == 400


MORTAL = """
import http.server, os

class Mortal(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/die":
            os._exit(1)
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *values):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Mortal).serve_forever()
"""


def test_a_request_that_ends_its_replica_is_not_given_to_another(site):
    site.client.environments.update_resources(*site.target, cpu=200, memory=500, replicas=2)
    site.live(site.deploy({"main.py": MORTAL}).id)
    pids = {site.visit().text for _ in range(8)}
    assert len(pids) == 2
    assert site.visit("/die").status_code == 502
    assert {site.visit().text for _ in range(8)} & pids, "the other one lives"
