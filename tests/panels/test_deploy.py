from __future__ import annotations

import threading

import pytest

from createos_nb.panels import DeployModel, DeployPanel


@pytest.fixture
def panel(ws, shop, at_once):
    panel = DeployPanel(DeployModel(ws, executor=at_once))
    panel.project.value = shop.project
    return panel


def test_the_model_deploys_a_directory(ws, shop, application, at_once):
    model = DeployModel(ws, executor=at_once)
    model.project, model.directory = shop.project, str(application)
    model.show_plan()
    assert set(model.plan.after["live_on"].split(", ")) == {"staging", "production"}
    assert len(shop.client.deployments.list(shop.project_id)) == 0
    model.apply()
    assert model.error == ""
    assert model.result.state == "done"
    (deployment,) = shop.client.deployments.list(shop.project_id)
    assert deployment.id == model.result.measured["deployment_id"]
    assert shop.environment().project_deployment_id == deployment.id


def test_two_clicks_deploy_and_show_each_step_on_the_way(panel, application, shop):
    shown = []
    panel.outcome.observe(lambda change: shown.append(change.new), "value")
    panel.directory.value = str(application)
    panel.plan_button.click()
    panel.apply_button.click()
    assert any("v1 building" in html or "v1 queue" in html or "v1 deployed" in html for html in shown)
    assert "v1 is deployed and live on" in panel.outcome.value


def test_a_double_click_deploys_once(ws, shop, application):
    panel = DeployPanel(DeployModel(ws))
    idle = threading.Event()
    panel.model.observe(lambda change: None if change.new else idle.set(), "busy")
    panel.project.value, panel.directory.value = shop.project, str(application)
    panel.plan_button.click()
    assert idle.wait(30)
    idle.clear()
    panel.apply_button.click()
    panel.apply_button.click()
    assert idle.wait(120)
    panel.apply_button.click()
    assert panel.model.error == ""
    assert len(shop.client.deployments.list(shop.project_id)) == 1


def test_a_directory_that_changed_after_the_plan_is_not_uploaded(panel, application, shop):
    panel.directory.value = str(application)
    panel.plan_button.click()
    (application / "late.py").write_text("# written after the plan was shown\n")
    panel.apply_button.click()
    assert "The world moved since this plan was made: content was" in panel.outcome.value
    assert len(shop.client.deployments.list(shop.project_id)) == 0


@pytest.mark.parametrize(
    ("directory", "sentence"),
    [("", "Type the one that holds the application"), ("no/such/place", "is not a directory")],
    ids=["nothing typed", "no directory"],
)
def test_what_cannot_be_uploaded_is_refused_with_what_to_do(panel, directory, sentence):
    panel.directory.value = directory
    panel.plan_button.click()
    assert sentence in panel.outcome.value
    assert panel.apply_button.disabled


def test_a_build_that_fails_is_shown_with_its_last_line(panel, application):
    (application / "main.py").write_text("raise SystemExit('no main today')\n")
    panel.directory.value = str(application)
    panel.plan_button.click()
    panel.apply_button.click()
    assert panel.model.result.state == "undone"
    assert "ended as" in panel.outcome.value


def test_directories_are_suggested_as_one_types(panel, tmp_path):
    below = tmp_path / "below"
    for name in ("app", "app-two", ".hidden"):
        (below / name).mkdir(parents=True)
    (below / "file").touch()
    suggested = (str(below / "app"), str(below / "app-two"))
    panel.directory.value = str(below)
    assert panel.directory.options == suggested
    panel.directory.value = str(below / "ap")
    assert panel.directory.options == suggested


@pytest.mark.parametrize("typed", ["~nobody-here/app", "/no/such/place/app"])
def test_where_nothing_can_be_suggested_nothing_is(panel, typed):
    panel.directory.value = typed
    assert panel.directory.options == ()


def test_reload_keeps_the_project_that_was_chosen(panel, shop):
    panel.reload_button.click()
    assert panel.model.project == shop.project
    assert panel.project.value == shop.project


def test_the_line_of_python_makes_the_same_plan(panel, application, ws):
    panel.directory.value = str(application)
    panel.plan_button.click()
    same = eval(panel.model.line.removesuffix(".apply()"), {"ws": ws})
    assert same.hash == panel.model.plan.hash


def test_it_costs_the_requests_that_it_says(panel, requests, application):
    panel.reload_button.click()
    assert len(requests) == panel.model.reload_requests
    requests.clear()
    panel.directory.value = str(application)
    panel.plan_button.click()
    assert panel.model.plan is not None
    assert len(requests) == panel.model.plan_requests
