from __future__ import annotations

import pytest
from traitlets import TraitError

from createos_nb.errors import InvalidArgument
from createos_nb.panels import ScaleModel, ScalePanel, scale


@pytest.fixture
def production(ws, shop):
    return ws[f"{shop.project}/production"]


@pytest.fixture
def panel(production, at_once):
    return ScalePanel(ScaleModel(production, executor=at_once))


def test_the_model_starts_from_what_is_and_changes_it(production, shop, at_once):
    model = ScaleModel(production, executor=at_once)
    assert (model.replicas, model.cpu_millicores, model.memory_mb) == (1, 200, 500)
    model.replicas, model.memory_mb = 2, 512
    model.show_plan()
    assert model.plan.after == {"replicas": 2, "cpu_millicores": 200, "memory_mb": 512}
    assert shop.environment().resources.replicas == 1
    model.apply()
    assert model.error == ""
    assert model.result.state == "done"
    resources = shop.environment().resources
    assert (resources.replicas, resources.cpu, resources.memory) == (2, 200, 512)


def test_two_clicks_scale_the_environment(panel, shop):
    panel.replicas.value = 2
    panel.plan_button.click()
    assert "2 replicas" in panel.outcome.value
    panel.apply_button.click()
    assert "runs 2 replicas" in panel.outcome.value
    assert shop.environment().resources.replicas == 2


def test_the_controls_keep_to_the_platforms_bounds(panel):
    bounds = {
        name: (getattr(panel, name).min, getattr(panel, name).max)
        for name in ("replicas", "cpu_millicores", "memory_mb")
    }
    assert bounds == {"replicas": (1, 3), "cpu_millicores": (200, 500), "memory_mb": (500, 1024)}
    panel.replicas.value = 7
    assert panel.model.replicas == 3
    with pytest.raises(TraitError, match="replicas"):
        panel.model.replicas = 7


def test_a_plan_that_changes_nothing_is_refused_in_the_panel(panel):
    panel.plan_button.click()
    assert "has 1 replica of 200 millicores and 500 MB already." in panel.outcome.value
    assert panel.apply_button.disabled


def test_reload_shows_what_somebody_else_changed(panel, shop):
    shop.client.environments.update_resources(
        shop.project_id, shop.environment_ids["production"], cpu=250, memory=500, replicas=1
    )
    shop.client.environments.wait(shop.project_id, shop.environment_ids["production"])
    panel.reload_button.click()
    assert panel.cpu_millicores.value == 250


def test_of_two_panels_on_one_environment_the_second_is_refused_and_told_why(panel, production, shop, at_once):
    other = ScalePanel(ScaleModel(production, executor=at_once))
    panel.replicas.value = 2
    panel.plan_button.click()
    other.replicas.value = 3
    other.plan_button.click()
    panel.apply_button.click()
    other.apply_button.click()
    assert "The world moved since this plan was made: replicas was 1, is 2." in other.outcome.value
    assert shop.environment().resources.replicas == 2


def test_the_line_of_python_makes_the_same_plan(panel, ws):
    panel.replicas.value = 2
    panel.plan_button.click()
    same = eval(panel.model.line.removesuffix(".apply()"), {"ws": ws})
    assert same.hash == panel.model.plan.hash


def test_a_panel_for_many_environments_says_to_choose_one(ws, shop):
    with pytest.raises(InvalidArgument, match=f"this selection has 2. Choose one, such as .*{shop.project}/"):
        scale(ws[f"{shop.project}/*"])


def test_it_costs_the_requests_that_it_says(panel, requests):
    panel.reload_button.click()
    assert len(requests) == panel.model.reload_requests
    requests.clear()
    panel.replicas.value = 2
    panel.plan_button.click()
    assert panel.model.plan is not None
    assert len(requests) == panel.model.plan_requests
