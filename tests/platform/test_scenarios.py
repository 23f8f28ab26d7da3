"""Scenarios: real applications with a made-up past."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import psutil
import pytest

import createos_nb as cos
from createos_nb.errors import Conflict, CreateOSError, InvalidArgument
from createos_nb.platform import service
from createos_nb.platform.accesslog import AccessLog
from createos_nb.platform.history import History, write
from createos_nb.platform.scenarios import DAY_S
from tests.platform.conftest import applications, eventually, make_site, visit

MIDNIGHT = 1_800_000_000 // DAY_S * DAY_S


@pytest.fixture
def log(tmp_path):
    log = AccessLog(tmp_path / "access.duckdb")
    yield log
    log.close()


@pytest.fixture
def local(tmp_path):
    opened = []

    def local(*scenario):
        opened.append(cos.local(*scenario, state=tmp_path / "state", ephemeral=True))
        return opened[-1]

    yield local
    for ws in opened:
        ws.api.close()
    service.stop(tmp_path / "state")


def of(**changes):
    return History(
        **{"environment_id": "e", "deployment_id": "d", "start_s": MIDNIGHT, "end_s": MIDNIGHT + DAY_S, **changes}
    )


def test_a_history_has_about_the_requests_it_says_and_more_at_noon(log):
    write(log, [])
    write(log, [of(per_minute=10, failing=0.02)])
    day = log.overall_requests("e", MIDNIGHT, MIDNIGHT + DAY_S)
    assert day.total == pytest.approx(10 * 24 * 60, rel=0.05)
    assert day.server == pytest.approx(0.02 * day.total, rel=0.3)
    noon = log.overall_requests("e", MIDNIGHT + DAY_S // 2 - 3600, MIDNIGHT + DAY_S // 2 + 3600).total
    night = log.overall_requests("e", MIDNIGHT, MIDNIGHT + 7200).total
    assert noon == pytest.approx(2 * night, rel=0.25)
    assert log.overall_requests("e", MIDNIGHT + DAY_S, MIDNIGHT + 2 * DAY_S).total == 0


def test_the_same_history_comes_out_every_time_and_another_for_another_environment(log, tmp_path):
    again = AccessLog(tmp_path / "again.duckdb")
    for each in (log, again):
        write(each, [of(per_minute=5)])
    write(log, [of(per_minute=5, environment_id="other")])
    window = (MIDNIGHT, MIDNIGHT + DAY_S)
    assert log.analytics("e", *window) == again.analytics("e", *window)
    assert log.top_hit_paths("e", *window) != log.top_hit_paths("other", *window)
    again.close()


def test_what_a_path_answers_is_what_the_history_says(log):
    write(log, [of(per_minute=20, statuses={"/checkout": 500, "/missing": 404})])
    errors = {(row.path, row.status) for row in log.top_error_paths("e", MIDNIGHT, MIDNIGHT + DAY_S)}
    assert errors == {("/checkout", "500"), ("/missing", "404")}


def test_a_bad_deploy_is_there_to_be_rolled_back(local):
    ws = local("bad-deploy")
    assert set(ws.environments()["environment"]) == {"staging", "production"}
    production = ws["shop/production"]
    assert list(production.deployments()["version"]) == ["v3", "v2", "v1"]
    # Since nearly as long as the third version has been live: of five minutes a random few may be fine.
    assert production.analytics.summary(since="9m").iloc[0].error_rate > 0.02
    assert production.analytics.summary(since="24h").iloc[0].requests > 5_000
    errors = production.analytics.top_error_paths(since="9m")
    assert "/checkout" in set(errors["path"])
    endpoint = production.targets()[0].environment.extra.endpoint
    assert visit(endpoint, "/").status_code == 200
    assert visit(endpoint, "/checkout").status_code == 500
    assert "v2" in repr(production.plan_rollback())


def test_a_scenario_that_is_there_is_not_loaded_twice(local):
    ws = local("quickstart")
    before = ws.deployments()
    assert list(local("quickstart").deployments()["deployment_id"]) == list(before["deployment_id"])
    made = ws.api.deployments.list(before["project_id"].iloc[0])[0]
    assert made.source["generated"] == "its time is made up, by a scenario"


def test_a_scenario_whose_loading_was_cut_off_is_loaded_as_a_whole(local, tmp_path):
    ws = local()
    loading = threading.Thread(target=lambda: suppress_all(local, "bad-deploy"))
    loading.start()
    eventually(lambda: len(ws.projects()) and len(ws.deployments()))
    os.kill(service.status(tmp_path / "state").pid, signal.SIGKILL)
    loading.join()
    production = local("bad-deploy")["shop/production"]
    assert list(production.deployments()["version"]) == ["v3", "v2", "v1"]
    assert production.analytics.summary(since="24h").iloc[0].requests > 5_000


def suppress_all(work, *arguments):
    with suppress(CreateOSError):
        work(*arguments)


def test_a_project_of_ones_own_is_not_taken_for_a_scenarios(local):
    ws = local()
    make_site(ws.api, "hello")
    with pytest.raises(Conflict, match=r"a project 'hello' that no scenario made.*Delete yours"):
        local("quickstart")
    assert list(ws.projects()["project"]) == ["hello"]


def test_a_scenario_that_is_not_known_starts_nothing(local, tmp_path):
    with pytest.raises(InvalidArgument, match="Choose one of quickstart, bad-deploy, fleet"):
        local("good-deploy")
    assert service.status(tmp_path / "state") is None


def test_a_fleet_is_loaded_at_once_and_answers_for_real(local, tmp_path, figures):
    ws = local()
    began = time.monotonic()
    local("fleet")
    with figures():
        print(f"\nfleet: loaded in {time.monotonic() - began:.1f} s")
    environments = ws.environments()
    assert len(environments) == 150
    assert environments["project"].nunique() == 50
    platform = psutil.Process(service.status(tmp_path / "state").pid)
    assert not applications(platform), "they sleep"

    fine, failing = ws["fleet-01/production"], ws["fleet-50/staging"]
    assert list(failing.deployments()["version"]) == ["v3", "v2", "v1"]
    assert visit(fine.targets()[0].environment.extra.endpoint, "/checkout").status_code == 200
    assert visit(failing.targets()[0].environment.extra.endpoint, "/checkout").status_code == 500
    assert len(applications(platform)) == 2
    week = ws["*/production"].analytics.summary(since="8d")
    assert len(week) == 50
    assert week["requests"].min() > 0.9 * 0.5 * 2 * 7 * 24 * 60
    assert fine.analytics.summary(since="10m").iloc[0].requests >= 1
    last_hour = failing.analytics.top_error_paths(since="2h")
    assert set(last_hour["path"]) <= {"/checkout", "/missing"}


def test_a_deployment_of_a_fleet_is_its_own_and_its_past_is_marked_as_generated(local):
    ws = local("fleet")
    ids = ws.projects().set_index("project")["project_id"]
    deployments = ws.api.deployments.list(ids["fleet-02"])
    assert [(each.version, each.status) for each in deployments] == [("v2", "sleeping"), ("v1", "deployed")]
    assert all("made up, by a scenario" in each.source["generated"] for each in deployments)
    ws.api.projects.delete(ids["fleet-02"])
    endpoint = ws["fleet-03/production"].targets()[0].environment.extra.endpoint
    assert visit(endpoint).status_code == 200
    environment = ws["fleet-03/production"].targets()[0].environment
    ws.api.environments.assign_deployment(
        ids["fleet-03"], environment.id, deployment_id=ws.api.deployments.list(ids["fleet-03"])[1].id
    )
    ws.api.environments.wait(ids["fleet-03"], environment.id, timeout_s=20)
    assert visit(endpoint).status_code == 200
