from __future__ import annotations

import io
import shutil
import socket
import zipfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from createos_nb.api.deployments import SourceFile
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.api.projects import UploadSettings
from createos_nb.errors import NotFound, Unprocessable
from createos_nb.platform.applications import shop
from tests.platform.conftest import echo, eventually, held, make_site, visit


def zipped(files):
    """A zip archive of files by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def sources(platform):
    """Names of the directories that the platform keeps of uploads."""
    return lambda: {path.name for path in (Path(platform.state_dir) / "sources").iterdir()}


# --- from an upload to something that runs ------------------------------------------------------------------


def test_an_upload_goes_through_its_states_to_deployed(site):
    seen = []
    site.client.deployments.wait(
        site.project_id, site.begin(echo()), on_change=lambda state: seen.append(state.status), timeout_s=60
    )
    order = ["queue", "building", "deploying", "deployed"]
    assert seen[-1] == "deployed"
    assert [order.index(status) for status in seen] == sorted({order.index(status) for status in seen})


def test_the_shop_of_the_demo_is_deployed_and_answers(site):
    deployment = site.deploy(shop(1))
    assert (deployment.status, deployment.version_number) == ("deployed", 1)
    site.live(deployment.id)
    assert site.visit("/products").status_code == 200


def test_a_zip_archive_is_deployed(site):
    created = site.client.deployments.upload_zip(site.project_id, file=zipped(echo(7)))
    assert site.client.deployments.wait(site.project_id, created.id, timeout_s=60).status == "deployed"
    site.live(created.id)
    assert site.visit().json()["version"] == 7


def test_a_build_log_has_numbered_lines_with_stage_and_time(site):
    deployment = site.deploy(echo())
    lines = site.client.deployments.build_logs(site.project_id, deployment.id)
    assert [line.line_number for line in lines] == list(range(1, len(lines) + 1))
    assert [line.ts for line in lines] == sorted(line.ts for line in lines)
    assert {line.stage for line in lines} >= {"prepare", "deploy"}
    assert any("It runs on python 3." in line.log for line in lines)
    assert any("as you, not in a sandbox" in line.log for line in lines)
    rest = site.client.deployments.build_logs(site.project_id, deployment.id, skip=2)
    assert [line.line_number for line in rest] == [line.line_number for line in lines][2:]
    assert not site.client.deployments.build_logs(site.project_id, deployment.id, skip=10**30)


def test_a_log_can_be_read_while_it_is_written(site):
    site.client.projects.update_settings(site.project_id, build_command="echo begun; sleep 600")
    deployment_id = site.begin(echo())
    eventually(lambda: "begun" in site.log(deployment_id).splitlines())
    assert site.client.deployments.get(site.project_id, deployment_id).status == "building"
    site.client.deployments.cancel(site.project_id, deployment_id)


def test_a_failed_build_says_which_command_and_changes_nothing_live(site):
    live = site.deploy(echo())
    site.live(live.id)
    site.client.projects.update_settings(site.project_id, build_command="echo no such thing >&2; exit 3")
    failed = site.deploy(echo(2))
    assert failed.status == "build_error"
    assert "no such thing" in site.log(failed.id)
    assert "exit code 3" in site.log(failed.id).splitlines()[-1]
    assert site.live().project_deployment_id == live.id


def test_who_asks_for_what_has_just_been_deployed_waits_until_it_is_live(site):
    id = site.begin(echo(before="import time; time.sleep(1)"))
    eventually(lambda: site.client.deployments.get(site.project_id, id).status == "deployed", within_s=60)
    assert site.visit().json()["version"] == 1
    assert site.client.analytics.overall_requests(*site.target).server == 0


@pytest.mark.parametrize(("address", "said"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_an_application_that_other_machines_may_reach_is_told_so(site, address, said):  # G07
    deployment = site.deploy({"main.py": echo()["main.py"].replace("127.0.0.1", address)})
    site.live(deployment.id)
    assert site.visit().status_code == 200
    log = site.log(deployment.id)
    assert ("It listens on 0.0.0.0: other machines may reach it past the gateway." in log) == said


def test_a_runtime_that_is_not_there_is_a_build_error_that_says_what_is(site):
    site.client.projects.update_settings(site.project_id, runtime="cobol:85")
    failed = site.deploy(echo())
    assert failed.status == "build_error"
    assert "Use one of python, node," in site.log(failed.id)


def test_build_variables_reach_the_build_and_not_the_application(site):
    site.client.projects.update_settings(
        site.project_id, build_vars={"FLAVOUR": "vanilla"}, build_command="echo made with $FLAVOUR"
    )
    deployment = site.deploy(echo())
    site.live(deployment.id)
    assert "made with vanilla" in site.log(deployment.id)
    assert "FLAVOUR" not in site.visit().json()["variables"]


def test_what_an_application_prints_is_in_its_deployments_log(site):
    deployment = site.deploy(echo())
    site.live(deployment.id)
    assert "It listens" in site.client.deployments.logs(site.project_id, deployment.id)
    site.client.projects.update_settings(site.project_id, build_command="sleep 600")
    other = site.begin(echo())
    assert site.client.deployments.logs(site.project_id, other) == "Listening for logs..."
    site.client.deployments.cancel(site.project_id, other)


# --- uploads that are refused -------------------------------------------------------------------------------


UNSAFE = ["../escape.py", "/etc/passwd", "a/../../b", "a\\..\\b", "C:/x", "./x", "a//b", ""]


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_path_refuses_the_whole_upload(site, sources, http, name):
    before = sources()
    files = [{"path": "main.py", "content": ""}, {"path": name, "content": ""}]
    path = f"/v1/projects/{site.project_id}/deployments"
    answer = http.put(f"{path}/files", json={"files": files})
    assert answer.status_code == 400
    if name:
        archive = http.put(f"{path}/upload-zip", files={"file": zipped({"main.py": "", name: ""})})
        assert archive.status_code == 400
        assert repr(name).strip("'") in archive.json()["data"]
    assert sources() <= before  # those of projects that earlier tests delete go meanwhile
    assert not site.client.deployments.list(site.project_id)


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ([], "files"),
        ([{"path": f"f{number}", "content": ""} for number in range(101)], "100"),
        ([{"path": "a", "content": "1"}, {"path": "a", "content": "2"}], "same path"),
        ([{"path": "a", "content": "1"}, {"path": "A", "content": "2"}], "A"),
        ([{"path": "a"}], "content"),
        ([{"content": "1"}], "path"),
        ("main.py", "files"),
    ],
    ids=["none", "101", "twice", "twice but for case", "no content", "no path", "text"],
)
def test_files_that_are_no_upload_are_refused(site, http, files, named):
    answer = http.put(f"/v1/projects/{site.project_id}/deployments/files", json={"files": files})
    assert answer.status_code == 400
    assert named in answer.json()["data"]


def test_what_is_no_archive_is_refused(site, http):
    answer = http.put(f"/v1/projects/{site.project_id}/deployments/upload-zip", files={"file": b"PK, it says"})
    assert (answer.status_code, answer.json()["status"]) == (400, "fail")


# --- the list -----------------------------------------------------------------------------------------------


def test_deployments_are_listed_newest_first_in_pages(site, http):
    site.client.projects.update_settings(site.project_id, runtime="none")
    ids = [site.begin(echo()) for _ in range(5)]
    listed = site.client.deployments.list(site.project_id, page_size=2)
    assert [deployment.id for deployment in listed] == ids[::-1]
    assert [deployment.version_number for deployment in listed] == [5, 4, 3, 2, 1]
    path = f"/v1/projects/{site.project_id}/deployments"
    page = http.get(path, params={"limit": 2, "offset": 4}).json()["data"]
    assert page["pagination"] == {"total": 5, "limit": 2, "offset": 4, "count": 1}
    assert http.get(path, params={"limit": 21}).status_code == 400


def test_a_deployment_belongs_to_its_project(site, http):
    deployment_id = site.begin(echo())
    with pytest.raises(NotFound):
        site.client.deployments.get(site.project_id, "no-such-deployment")
    assert http.get(f"/v1/projects/no-such-project/deployments/{deployment_id}").status_code == 404
    site.client.deployments.wait(site.project_id, deployment_id, timeout_s=60)


# --- cancel, sleep, wake ------------------------------------------------------------------------------------


def test_cancelling_ends_the_build_and_all_that_it_started(site, platform):
    site.client.projects.update_settings(site.project_id, build_command="sleep 612 & sleep 612")
    deployment_id = site.begin(echo())

    def sleeps(process):
        # One that has just ended, and was not waited for yet, has no command line any more.
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            return process.cmdline() == ["sleep", "612"]
        return False

    def sleepers():
        return list(filter(sleeps, psutil.Process(platform.pid).children(recursive=True)))

    eventually(lambda: len(sleepers()) == 2)
    site.client.deployments.cancel(site.project_id, deployment_id)
    cancelled = site.client.deployments.get(site.project_id, deployment_id)
    assert (cancelled.status, cancelled.cancelled_at is None) == ("cancelled", False)
    eventually(lambda: not sleepers())
    assert site.client.deployments.get(site.project_id, deployment_id).status == "cancelled"


def test_a_build_that_waits_for_its_turn_can_be_cancelled(site):
    site.client.projects.update_settings(site.project_id, build_command="sleep 600")
    ids = [site.begin(echo()) for _ in range(3)]
    states = site.client.deployments.get
    eventually(lambda: [states(site.project_id, each).status for each in ids] == ["building", "building", "queue"])
    for each in reversed(ids):
        site.client.deployments.cancel(site.project_id, each)
    assert {states(site.project_id, each).status for each in ids} == {"cancelled"}


def test_what_is_built_is_too_late_to_cancel(site):
    deployment = site.deploy(echo())
    with pytest.raises(Unprocessable, match="too late"):
        site.client.deployments.cancel(site.project_id, deployment.id)


def test_a_live_deployment_that_is_put_to_sleep_wakes_at_the_next_request(site):
    deployment = site.deploy(echo())
    site.live(deployment.id)
    pid = site.visit().json()["pid"]
    site.client.deployments.delete(site.project_id, deployment.id)
    assert site.client.deployments.get(site.project_id, deployment.id).status == "sleeping"
    answer = site.visit()
    assert answer.status_code == 200
    assert answer.json()["pid"] != pid


def test_a_sleeping_deployment_wakes_when_it_is_assigned(site):
    first, second = (site.deploy(echo(version)) for version in (1, 2))
    site.live(second.id)
    site.client.deployments.delete(site.project_id, first.id)
    assert site.client.deployments.get(site.project_id, first.id).status == "sleeping"
    site.client.environments.assign_deployment(*site.target, deployment_id=first.id)
    site.live(first.id)
    assert site.visit().json()["version"] == 1
    assert site.client.deployments.get(site.project_id, first.id).status == "deployed"


def test_a_deployment_that_is_being_promoted_is_not_put_to_sleep(site, tmp_path):
    hold = tmp_path / "hold"
    first, second = (site.deploy(echo(version, before=held(hold))) for version in (1, 2))
    site.live(second.id)
    hold.touch()
    site.client.environments.assign_deployment(*site.target, deployment_id=first.id)
    with pytest.raises(Unprocessable, match="going live on production"):
        site.client.deployments.delete(site.project_id, first.id)
    hold.unlink()
    assert site.live(first.id).project_deployment_id == first.id


# --- the documentation's own quick start ------------------------------------------------------------------


def node_on(version):
    """The quick start's files: they listen on port 3000, whatever PORT says."""
    answer = f"require('http').createServer((req,res)=>{{res.end('Hello!{version}')}}).listen(3000)"
    return {"package.json": '{"name":"app","scripts":{"start":"node index.js"}}', "index.js": answer}


@pytest.fixture
def port_3000():
    """Nobody has it any more: what is deleted ends a moment later, and a test before this one had it."""

    def is_free():
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 3000)):
            return False
        return True

    eventually(is_free)


@pytest.mark.usefixtures("port_3000")
def test_the_quick_start_needs_no_environment_and_gives_way_to_what_comes_later(client, platform, require):
    """To the letter: upload, look, upload again, look; then an environment, and look there."""
    if shutil.which("node") is None:
        require("node", "node is not on PATH")
    settings = UploadSettings(runtime="node:20", port=3000, run_command=None)
    project = client.projects.create(
        unique_name="my-app", display_name="My app", type="upload", settings=settings
    ).id
    try:
        port = platform.gateway_url.rpartition(":")[2]
        for version in ("", " again"):
            files = [SourceFile(path=path, content=text) for path, text in node_on(version).items()]
            made = client.deployments.upload_files(project, files=files)
            client.deployments.wait(project, made.id, timeout_s=60)
            assert visit(f"http://my-app.localhost:{port}").text == f"Hello!{version}"
        first = client.deployments.list(project)[-1]
        assert visit(first.extra.endpoint).text == "Hello!", "it is started again, in place of the other"
        made = client.environments.create(
            project,
            unique_name="production",
            display_name="Production",
            description=None,
            resources=Resources(cpu=200, memory=500, replicas=1),
            settings=EnvironmentSettings(),
            is_auto_promote_enabled=True,
        )
        client.environments.wait(project, made.id, timeout_s=60)
        newest = client.deployments.list(project)[0].id
        client.environments.assign_deployment(project, made.id, deployment_id=newest)
        production = client.environments.wait(project, made.id, timeout_s=60)
        assert visit(production.extra.endpoint).text == "Hello! again"
    finally:
        client.projects.delete(project)


@pytest.mark.usefixtures("port_3000")
def test_what_wants_the_port_of_another_project_says_so(client, require):
    if shutil.which("node") is None:
        require("node", "node is not on PATH")
    sites = [
        make_site(client, name, runtime="node:20", port=3000, run_command=None) for name in ("one-app", "two-app")
    ]
    try:
        sites[0].live(sites[0].deploy(node_on(1)).id)
        second = sites[1].deploy(node_on(2))
        assert second.status == "crashing"
        assert "PORT" in sites[1].log(second.id)
        assert sites[0].visit().text == "Hello!1"
    finally:
        for site in sites:
            client.projects.delete(site.project_id)


@pytest.mark.usefixtures("port_3000")
def test_the_quick_start_is_served_and_deployed_again_though_it_ignores_port(client, require):
    if shutil.which("node") is None:
        require("node", "node is not on PATH")
    site = make_site(client, "my-app", runtime="node:20", port=3000, run_command=None)
    try:
        for version in ("", " again"):
            deployment = site.deploy(node_on(version))
            assert deployment.status == "deployed"
            site.live(deployment.id)
            assert site.visit().text == f"Hello!{version}"
        assert "It does not read PORT: the version before had to end first" in site.log(deployment.id)
    finally:
        client.projects.delete(site.project_id)
