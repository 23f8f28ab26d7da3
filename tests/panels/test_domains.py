from __future__ import annotations

import pytest

from createos_nb.panels import DomainsModel, DomainsPanel


@pytest.fixture
def panel(ws, shop, at_once):
    return DomainsPanel(DomainsModel(ws[f"{shop.project}/production"], executor=at_once))


@pytest.fixture
def name(shop):
    return f"{shop.project}.example.localhost"


def domain(shop, name):
    (found,) = (item for item in shop.client.domains.list(shop.project_id) if item.name == name)
    return found


def click_twice(panel):
    panel.plan_button.click()
    panel.apply_button.click()


def test_the_model_adds_a_domain_and_leads_it_to_the_environment(ws, shop, name, at_once):
    model = DomainsModel(ws[f"{shop.project}/production"], executor=at_once)
    assert set(model.environments) == {"staging", "production"}
    assert model.environment == "production"
    model.name = name
    model.show_plan()
    assert len(shop.client.domains.list(shop.project_id)) == 0
    model.apply()
    assert model.error == ""
    assert model.result.state == "done"
    assert domain(shop, name).environment_id == shop.environment_ids["production"]
    assert [(row["domain"], row["status"], row["environment"]) for row in model.domains] == [
        (name, "active", "production")
    ]


def test_a_domain_is_switched_to_another_environment(panel, shop, name):
    panel.name.value = name
    click_twice(panel)
    panel.environment.value = "staging"
    panel.plan_button.click()
    assert "production" in panel.outcome.value
    panel.apply_button.click()
    assert f"{name} leads to {shop.project}/staging." in panel.outcome.value
    assert domain(shop, name).environment_id == shop.environment_ids["staging"]


def test_a_pending_domain_says_why_in_the_table(panel, shop):
    panel.name.value = f"{shop.project}.example.com"
    click_twice(panel)
    pending = domain(shop, f"{shop.project}.example.com")
    assert pending.status == "pending"
    assert panel.model.result.state == "unclear"
    assert "pending" in panel.state.value
    assert pending.message in panel.state.value
    assert panel.name.options == (pending.name,)


def test_a_project_without_domains_says_so(panel, shop):
    assert f"{shop.project} has no domain yet." in panel.state.value


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [("", "Type one, such as"), ("not a domain", "name")],
    ids=["nothing typed", "no domain name"],
)
def test_what_is_no_domain_is_refused_in_the_panel(panel, typed, sentence):
    panel.name.value = typed
    panel.plan_button.click()
    assert 'role="alert"' in panel.outcome.value
    assert sentence in panel.outcome.value
    assert panel.apply_button.disabled


def test_a_domain_that_somebody_else_switched_is_not_switched_again(panel, ws, shop, name):
    panel.name.value = name
    click_twice(panel)
    panel.environment.value = "staging"
    panel.plan_button.click()
    shop.client.domains.update_environment(shop.project_id, domain(shop, name).id, environment_id=None)
    panel.apply_button.click()
    assert "The world moved since this plan was made: leads_to was production" in panel.outcome.value
    assert domain(shop, name).environment_id is None


def test_the_record_holds_the_table_of_domains(panel, shop, name):
    panel.name.value = name
    click_twice(panel)
    record = panel._repr_html_()
    for part in (f"Domains of {shop.project}", name, "active", "production"):
        assert part in record


def test_the_line_of_python_makes_the_same_plan(panel, ws, name):
    panel.name.value = name
    panel.plan_button.click()
    same = eval(panel.model.line.removesuffix(".apply()"), {"ws": ws})
    assert same.hash == panel.model.plan.hash


def test_it_costs_the_requests_that_it_says(panel, requests, name):
    panel.name.value = name
    click_twice(panel)
    requests.clear()
    panel.reload_button.click()
    assert len(requests) == panel.model.reload_requests
    requests.clear()
    panel.environment.value = "staging"
    panel.plan_button.click()
    assert panel.model.plan is not None
    assert len(requests) == panel.model.plan_requests
