"""What happens behind the calls: crashes, restarts, failures, changes that meet."""

from __future__ import annotations

import psutil
import pytest

from createos_nb.errors import NotFound, WaitFailed
from createos_nb.platform import service
from tests.platform.conftest import ECHO, applications, echo, eventually, gone, held, make_site, visit

SLOW_START = "import time; time.sleep(1.5)"
FAMILY = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"], start_new_session=True)
"""


# --- kill -9 ------------------------------------------------------------------------------------------------


def test_a_killed_platform_serves_again_what_was_live_and_leaves_no_orphan(own):
    site = make_site(own.start(), "survivor")
    first = site.deploy(echo(1))
    live = site.live(first.id)
    site.client.environments.update_resources(*site.target, cpu=200, memory=500, replicas=2)
    site.live()
    site.deploy({"main.py": f"VERSION = 2\n{FAMILY}\n{ECHO}"})
    site.live()
    endpoint = live.extra.endpoint
    children = own.kill()
    assert len(children) >= 4, "two replicas, each with a descendant in a session of its own"

    site = own.again(site)
    eventually(lambda: gone(children))
    environment = site.live()
    assert environment.resources.replicas == 2
    assert environment.extra.endpoint == endpoint
    told = [site.visit().json() for _ in range(6)]
    assert {answer["version"] for answer in told} == {2}
    assert len({answer["pid"] for answer in told}) == 2
    assert [row.version_number for row in site.client.deployments.list(site.project_id)] == [2, 1]


def test_an_acknowledged_assignment_survives_a_crash(own):
    site = make_site(own.start(), "assigned")
    first, second = (site.deploy(echo(version)) for version in (1, 2))
    site.live(second.id)
    site.client.environments.assign_deployment(*site.target, deployment_id=first.id)
    own.kill()
    site = own.again(site)
    assert site.live(first.id).project_deployment_id == first.id
    assert site.visit().json()["version"] == 1


def test_of_assignments_in_a_row_the_last_one_survives_a_crash_in_the_middle(own):
    site = make_site(own.start(), "overtaken")
    hold = own.state.with_name("hold")
    first, second, third = (
        site.deploy(files) for files in (echo(1), echo(2, before=held(hold)), echo(3, before=held(hold)))
    )
    site.live(third.id)
    hold.touch()
    for deployment in (first, second, first, second):
        site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    eventually(lambda: site.environment.project_deployment_id == first.id)
    own.kill()
    hold.unlink()
    site = own.again(site)
    assert site.live(second.id).project_deployment_id == second.id


def test_an_interrupted_build_is_taken_up_again(own):
    again = own.state.with_name("again")
    # What the first one left is not there for the second.
    command = f"mkdir left && {{ test -e {again} || {{ touch {again}; rm main.py; echo asleep; sleep 600; }}; }}"
    site = make_site(own.start(), "interrupted", build_command=command)
    deployment_id = site.begin(echo())
    eventually(lambda: "asleep" in site.log(deployment_id).splitlines())
    children = own.kill()
    site = own.again(site)
    eventually(lambda: gone(children))
    assert site.client.deployments.wait(site.project_id, deployment_id, timeout_s=60).status == "deployed"
    assert site.live(deployment_id).project_deployment_id == deployment_id
    assert "restarted" in site.log(deployment_id)


def test_what_an_upload_left_half_done_is_removed(own):
    own.start()
    own.kill()
    stray = own.state / "sources" / "half-unpacked"
    stray.mkdir()
    (stray / "main.py").touch()
    own.start()
    assert not stray.exists()


def test_a_crash_while_an_upload_is_unpacked_costs_no_other_its_files(own):
    """SAFETY U04: what is being unpacked has a name of its own, which must not be taken for everything's."""
    site = make_site(own.start(), "unpacking", runtime="static", run_command=None)
    live = site.live(site.deploy({"index.html": "safe"}).id)
    own.kill()
    for directory, stray in (("sources", ".half.unpacking"), ("archives", "half.zip"), ("archives", ".zip")):
        (own.state / directory / stray).mkdir() if directory == "sources" else (
            own.state / directory / stray
        ).touch()
    site = own.again(site)
    site.live()
    assert site.visit().text == "safe"
    kept = {
        path.name.removesuffix(".zip") for name in ("sources", "archives") for path in (own.state / name).iterdir()
    }
    assert kept == {live.project_deployment_id}


def test_a_deletion_goes_on_after_a_crash(own):
    site = make_site(own.start(), "deleted")
    site.live(site.deploy(echo()).id)
    site.client.projects.delete(site.project_id)
    own.kill()
    site = own.again(site)
    eventually(lambda: not list((own.state / "sources").iterdir()))
    eventually(lambda: not applications(psutil.Process(own.address.pid)))
    with pytest.raises(NotFound):
        site.client.projects.get(site.project_id)


def test_a_restart_does_not_apply_variables_that_wait_for_the_next_assignment(own):
    site = make_site(own.start(), "variables")
    deployment = site.deploy(echo())
    site.live(deployment.id)
    site.client.environments.update_variables(*site.target, run_envs={"COLOUR": "green"})
    service.stop(own.state)
    site = own.again(site)
    site.live()
    assert "COLOUR" not in site.visit().json()["variables"]
    site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    eventually(lambda: site.visit().json()["variables"].get("COLOUR") == "green")


def test_a_stopped_platform_takes_its_applications_with_it(own):
    site = make_site(own.start(), "stopped")
    site.live(site.deploy({"main.py": f"VERSION = 1\n{FAMILY}\n{ECHO}"}).id)
    children = psutil.Process(own.address.pid).children(recursive=True)
    assert children
    service.stop(own.state)
    eventually(lambda: gone(children))


# --- failures -----------------------------------------------------------------------------------------------


def test_what_does_not_start_leaves_what_serves_and_says_why(site):
    first = site.deploy(echo(1))
    site.live(first.id)
    second = site.deploy(echo(2))
    site.live(second.id)
    site.client.environments.update_variables(*site.target, run_envs={"REFUSES_TO_START": "1"})
    site.client.environments.assign_deployment(*site.target, deployment_id=first.id)
    with pytest.raises(WaitFailed) as caught:
        site.live(first.id)
    environment = caught.value.last
    assert (environment.status, environment.project_deployment_id) == ("active", second.id)
    assert site.visit().json()["version"] == 2
    for log in (site.log(first.id), site.client.environments.logs(*site.target)):
        assert "It refuses to start." in log
        assert "ended before it listened" in log
    assert site.client.environments.logs(*site.target).count("It refuses to start.") == 1


def test_an_upload_that_does_not_start_never_goes_live(site):
    good = site.deploy(echo(1))
    site.live(good.id)
    bad = site.deploy({"main.py": "raise SystemExit('No configuration.')"})
    assert bad.status == "crashing"
    assert "No configuration." in site.log(bad.id)
    assert site.live().project_deployment_id == good.id


def test_one_that_crashed_may_serve_once_the_environment_lets_it(site):
    site.client.environments.update_variables(*site.target, run_envs={"REFUSES_TO_START": "1"})
    deployment = site.deploy(echo())
    assert deployment.status == "crashing"
    site.client.environments.update_variables(*site.target, run_envs={})
    site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    assert site.live(deployment.id).project_deployment_id == deployment.id
    assert site.client.deployments.get(site.project_id, deployment.id).status == "deployed"


def test_the_first_start_has_the_variables_of_the_environment_it_is_for(site):
    """An application that cannot start without them would never be deployed otherwise."""
    site.client.environments.update_variables(*site.target, run_envs={"NEEDED": "1"})
    assert site.deploy(echo(before="import os; os.environ['NEEDED']")).status == "deployed"


# --- changes that meet --------------------------------------------------------------------------------------


def test_of_assignments_in_a_row_the_last_one_stays_and_no_other_is_started_in_vain(site, tmp_path):
    hold = tmp_path / "hold"
    first, second = (site.deploy(echo(version, before=held(hold))) for version in (1, 2))
    site.live(second.id)
    hold.touch()
    for deployment in (first, second, first, second):
        site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    hold.unlink()
    assert site.live(second.id).project_deployment_id == second.id
    assert site.visit().json()["version"] == 2
    # Once by itself when it was new, once for the first assignment; the other one was overtaken.
    assert site.client.environments.logs(*site.target, since_seconds=600).count("It listens, version 1.") == 2


def test_an_environment_is_active_only_when_all_that_was_asked_for_is_done(site):
    deployment = site.deploy(echo(before=SLOW_START))
    site.live(deployment.id)
    site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    site.client.environments.update_resources(*site.target, cpu=200, memory=500, replicas=3)
    seen = []
    eventually(lambda: seen.append(site.environment.status) or seen[-1] == "active")
    assert len({site.visit().json()["pid"] for _ in range(9)}) == 3


def test_an_environment_may_be_deleted_while_it_is_being_promoted(site):
    deployment = site.deploy(echo(before=SLOW_START))
    site.live(deployment.id)
    endpoint = site.environment.extra.endpoint
    site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
    site.client.environments.delete(*site.target)
    seen = set()

    def deleted():
        states = [environment.status for environment in site.client.environments.list(site.project_id)]
        seen.update(states)
        return not states

    eventually(deleted)
    assert seen <= {"deleting"}
    assert visit(endpoint).status_code == 421


def test_requests_are_answered_while_deployments_change(site):
    deployments = [site.deploy(echo(version)) for version in (1, 2)]
    site.live(deployments[1].id)
    endpoint = site.environment.extra.endpoint
    versions = []
    for deployment in (deployments[0], deployments[1]):
        site.client.environments.assign_deployment(*site.target, deployment_id=deployment.id)
        while site.environment.status != "active":
            answer = visit(endpoint)
            assert answer.status_code == 200
            versions.append(answer.json()["version"])
    assert set(versions) <= {1, 2}
    assert visit(endpoint).json()["version"] == 2
