"""Apps, keys, users, and a project that goes from one user to another."""

from __future__ import annotations

import base64
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import psutil
import pytest

from createos_nb.api.client import Client
from createos_nb.api.deployments import EncodedFile
from createos_nb.errors import Conflict, NotFound, Unprocessable
from createos_nb.platform.users import ADD
from tests.platform.conftest import echo, eventually, visit

# --- apps ---------------------------------------------------------------------------------------------


def test_an_app_holds_projects_and_leaves_them_when_it_is_deleted(site):
    api = site.client
    app_id = api.apps.create(name="The shops", color="#1f77b4").id
    assert [app.name for app in api.apps.list() if app.id == app_id] == ["The shops"]
    api.apps.update(app_id, name="All shops", description="of ducks")
    (app,) = (app for app in api.apps.list() if app.id == app_id)
    assert (app.name, app.description, app.color) == ("All shops", "of ducks", "#1f77b4")

    api.apps.add_projects(app_id, project_ids=[site.project_id])
    assert [project.id for project in api.apps.list_projects(app_id)] == [site.project_id]
    assert site.project_id in [project.id for project in api.projects.list(app=app_id)]
    api.apps.remove_projects(app_id, project_ids=[site.project_id])
    assert len(api.apps.list_projects(app_id)) == 0

    api.apps.add_projects(app_id, project_ids=[site.project_id])
    api.apps.delete(app_id)
    assert api.projects.get(site.project_id).app_id is None
    with pytest.raises(NotFound):
        api.apps.list_projects(app_id)


def test_a_project_that_is_not_there_is_not_put_into_an_app_nor_any_beside_it(site):
    app_id = site.client.apps.create(name="The shops").id
    with pytest.raises(NotFound):
        site.client.apps.add_projects(app_id, project_ids=[site.project_id, "no-such-project"])
    assert len(site.client.apps.list_projects(app_id)) == 0
    assert len(site.client.apps.list_services(app_id)) == 0
    with pytest.raises(NotFound, match="no service"):
        site.client.apps.add_services(app_id, service_ids=["s"])
    site.client.apps.delete(app_id)


# --- keys ---------------------------------------------------------------------------------------------


def test_a_key_is_renamed_and_its_name_is_taken_until_it_is_revoked(client):
    key = client.api_keys.create(name="for-the-ci", expiry_at=datetime.now(UTC) + timedelta(days=1))
    client.api_keys.update(key.id, name="for-the-cd", description="of production")
    (renamed,) = (each for each in client.api_keys.list() if each.id == key.id)
    assert (renamed.name, renamed.description) == ("for-the-cd", "of production")
    assert not client.api_keys.check_unique_name(unique_name="for-the-cd").is_available
    assert client.api_keys.check_unique_name(unique_name="for-the-ci").is_available
    client.api_keys.revoke(key.id)
    assert client.api_keys.check_unique_name(unique_name="for-the-cd").is_available


# --- projects -----------------------------------------------------------------------------------------


def test_a_project_is_renamed(site):
    site.client.projects.update(site.project_id, display_name="Duck shop", description="It sells ducks")
    project = site.client.projects.get(site.project_id)
    assert (project.display_name, project.description) == ("Duck shop", "It sells ducks")
    site.client.projects.update(site.project_id, display_name="Duck shop 2")
    assert site.client.projects.get(site.project_id).description == "It sells ducks"


def test_a_suspended_project_serves_nothing_until_it_is_unsuspended(site):
    site.live(site.deploy(echo()).id)
    site.client.projects.suspend(site.project_id)
    eventually(lambda: site.visit().status_code == 503)
    assert site.visit().text.startswith("The project is suspended. Unsuspend it")
    assert site.client.projects.get(site.project_id).status == "suspended"
    with pytest.raises(Unprocessable, match="The project is suspended"):
        site.begin(echo())
    with pytest.raises(Unprocessable, match="The project is suspended"):
        site.client.projects.suspend(site.project_id)
    site.client.projects.unsuspend(site.project_id)
    eventually(lambda: site.visit().status_code == 200)
    assert site.client.projects.get(site.project_id).status == "active"


def test_what_is_unsuspended_has_the_variables_it_was_deployed_with(site):
    deployment = site.deploy(echo())
    site.live(deployment.id)
    site.client.environments.update_variables(*site.target, run_envs={"WORD": "later"})
    site.client.projects.suspend(site.project_id)
    site.live()
    with pytest.raises(Unprocessable, match="The project is suspended"):
        site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    site.client.projects.unsuspend(site.project_id)
    site.live(deployment.id)
    assert "WORD" not in site.visit().json()["variables"]
    assert site.client.deployments.get(site.project_id, deployment.id).status == "deployed"


def test_what_was_built_while_the_project_was_suspended_goes_live_afterwards(site):
    first = site.deploy(echo(1))
    site.live(first.id)
    site.client.projects.update_settings(site.project_id, build_command="sleep 1.5")
    second = site.begin(echo(2))
    site.client.projects.suspend(site.project_id)
    assert site.client.deployments.wait(site.project_id, second, timeout_s=60).status == "deployed"
    site.live()
    assert site.visit().status_code == 503
    site.client.projects.unsuspend(site.project_id)
    site.live(second)
    assert site.visit().json()["version"] == 2


def test_what_has_nothing_to_serve_says_that_it_is_suspended_too(site):
    site.client.projects.suspend(site.project_id)
    site.live()
    answer = site.visit()
    assert (answer.status_code, answer.text.partition(".")[0]) == (503, "The project is suspended")
    site.client.projects.unsuspend(site.project_id)
    assert site.visit().text.startswith("Nothing runs in this environment now")


def test_a_project_that_is_suspended_again_at_once_crashes_nothing(site):
    deployment = site.deploy(echo())
    site.live(deployment.id)
    for change in ("suspend", "unsuspend", "suspend"):
        getattr(site.client.projects, change)(site.project_id)
    site.live()
    assert site.client.deployments.get(site.project_id, deployment.id).status == "deployed"
    site.client.projects.unsuspend(site.project_id)
    site.live(deployment.id)
    assert site.visit().json()["version"] == 1


def test_what_is_being_woken_when_its_project_is_suspended_serves_when_it_is_unsuspended(site):
    deployment = site.deploy(echo(before="import time; time.sleep(1)"))
    site.live(deployment.id)

    def status():
        return site.client.deployments.get(site.project_id, deployment.id).status

    site.client.deployments.delete(site.project_id, deployment.id)
    eventually(lambda: status() == "sleeping")
    site.client.deployments.wake(site.project_id, deployment.id)
    site.client.projects.suspend(site.project_id)
    site.live()
    assert site.visit().status_code == 503
    assert status() in {"sleeping", "deployed"}, "whichever came first, it neither crashed nor is on its way"
    site.client.projects.unsuspend(site.project_id)
    site.live(deployment.id)
    assert (site.visit().status_code, status()) == (200, "deployed")


def slow():
    """Return an application that answers ``/slow`` half a minute later."""
    waits = "if self.path == '/slow': print('It was asked.', flush=True), time.sleep(30)"
    files = echo(before="import time")
    return {name: text.replace("told = ", f"{waits}\n        told = ") for name, text in files.items()}


@pytest.mark.parametrize("change", ["suspend", "delete"])
def test_what_waits_for_an_answer_of_a_project_that_goes_is_told_and_its_processes_end(site, change):
    site.live(site.deploy(slow()).id)
    pid, endpoint = site.visit().json()["pid"], site.environment.extra.endpoint
    with ThreadPoolExecutor() as threads:
        last = threads.submit(visit, endpoint, "/slow")
        eventually(lambda: "It was asked." in site.client.environments.logs(*site.target))
        getattr(site.client.projects, change)(site.project_id)
        assert last.result(timeout=10).status_code == 502
    eventually(lambda: not psutil.pid_exists(pid))


@pytest.fixture
def other(platform, client):
    """Another user of the same platform."""
    made = client.projects.run(ADD.exchange(username=f"user-{datetime.now(UTC):%H%M%S%f}"))
    with Client(platform.api_url, api_key=made.key) as other:
        yield other


def test_a_project_goes_to_another_user_once_and_takes_everything_along(site, other):
    site.live(site.deploy(echo()).id)
    with pytest.raises(NotFound):
        other.projects.get(site.project_id)
    uri = site.client.projects.transfer_uri(site.project_id)
    assert timedelta(hours=5, minutes=59) < uri.expires_at - datetime.now(UTC) <= timedelta(hours=6)
    assert uri.token.reveal() in uri.frontend_uri.reveal()
    assert uri.token.reveal() not in repr(uri)

    with pytest.raises(Unprocessable, match="yours already"):
        site.client.projects.transfer(site.project_id, token=uri.token)
    with pytest.raises(NotFound, match="not known"):
        other.projects.transfer(site.project_id, token="guessed")
    other.projects.transfer(site.project_id, token=uri.token)
    assert other.projects.get(site.project_id).id == site.project_id
    with pytest.raises(NotFound):
        site.client.projects.get(site.project_id)
    with pytest.raises(NotFound, match="was used"):
        other.projects.transfer(site.project_id, token=uri.token)
    (transfer,) = other.projects.list_transfers(site.project_id)
    assert (transfer.from_user_id, transfer.to_user_id) == (
        site.client.account.user().id,
        other.account.user().id,
    )
    assert len(other.deployments.list(site.project_id)) == 1
    other.projects.delete(site.project_id)


def test_there_is_one_user_of_a_name(client):
    name = f"twice-{datetime.now(UTC):%H%M%S%f}"
    client.projects.run(ADD.exchange(username=name))
    with pytest.raises(Conflict, match="already"):
        client.projects.run(ADD.exchange(username=name))


# --- deployments --------------------------------------------------------------------------------------


def test_files_of_any_bytes_are_deployed_and_what_was_uploaded_can_be_had_again(site):
    picture = bytes(range(256))
    files = {**{name: text.encode() for name, text in echo(3).items()}, "static/a.png": picture}
    encoded = [EncodedFile(path=path, content=base64.b64encode(data).decode()) for path, data in files.items()]
    created = site.client.deployments.upload_base64_files(site.project_id, files=encoded)
    site.client.deployments.wait(site.project_id, created.id, timeout_s=60)
    site.live(created.id)
    assert site.visit().json()["version"] == 3

    download = site.client.deployments.download_uri(site.project_id, created.id)
    assert "downloads" not in repr(download)
    answer = httpx.get(download.download_uri.reveal(), trust_env=False)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        assert {name: archive.read(name) for name in names} == files


def test_content_that_is_not_base64_is_refused_and_leaves_nothing(site, http):
    file = {"path": "main.py", "content": "not base64!"}  # which our own client would not send
    answer = http.put(f"/v1/projects/{site.project_id}/deployments/files/base64", json={"files": [file]})
    assert (answer.status_code, answer.json()["status"]) == (400, "fail")
    assert "files.0.content is refused: it must be base64" in answer.text
    assert len(site.client.deployments.list(site.project_id)) == 0


def test_a_download_address_that_was_not_given_leads_nowhere(platform):
    answer = httpx.get(f"{platform.api_url}/local/downloads/guessed", trust_env=False)
    assert answer.status_code == 404


def test_a_sleeping_deployment_wakes_up_and_can_serve_again(site):
    first, second = site.deploy(echo(1)), site.deploy(echo(2))
    site.live(second.id)
    with pytest.raises(Unprocessable, match="does not sleep"):
        site.client.deployments.wake(site.project_id, first.id)
    site.client.deployments.delete(site.project_id, first.id)
    assert site.client.deployments.get(site.project_id, first.id).status == "sleeping"
    site.client.deployments.wake(site.project_id, first.id)
    eventually(lambda: site.client.deployments.get(site.project_id, first.id).status == "deployed")
    site.client.environments.assign_deployment(*site.target, deployment_id=first.id)
    site.live(first.id)
    assert site.visit().json()["version"] == 1
