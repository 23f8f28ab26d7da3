from __future__ import annotations

import httpx
import pytest

from createos_nb.endpoints import reach
from createos_nb.errors import InvalidArgument, PlanStale
from createos_nb.plans import domain


@pytest.fixture
def name(shop):
    return f"{shop.project}.example.localhost"


def staging(shop):
    return {**shop.production, "environment": "staging", "environment_id": shop.environment_ids["staging"]}


def status_at(shop, name):
    port = shop.environment().extra.endpoint.rpartition(":")[2]
    address, headers = reach(f"http://{name}:{port}/")
    return httpx.get(address, headers=headers, trust_env=False).status_code


def test_a_new_domain_is_added_checked_and_led_here(on_wire, name):
    shop, wire = on_wire
    shop.upload(1)
    wire.sent.clear()
    plan = domain(shop.client, **shop.production, name=name)
    assert wire.changes == []

    result = plan.apply()

    assert result.state == "done", result
    assert wire.changes == ["CreateDomain", "RefreshDomain", "UpdateDomainEnvironment"]
    assert status_at(shop, name) == 200


def test_an_active_domain_is_only_switched(on_wire, name):
    shop, wire = on_wire
    domain(shop.client, **shop.production, name=name).apply()
    wire.sent.clear()
    plan = domain(shop.client, **staging(shop), name=name.upper())

    assert plan.before == {"leads_to": "production", "status": "active"}
    assert "at once" in plan.risk
    assert plan.apply().state == "done"
    assert wire.changes == ["UpdateDomainEnvironment"]


def test_a_domain_without_records_stays_pending_and_says_why(shop):
    plan = domain(shop.client, **shop.production, name=f"{shop.project}.example.com")
    result = plan.apply()
    assert result.state == "unclear"
    assert "is pending: " in result.detail
    assert len(result.detail) > 60
    (found,) = shop.client.domains.list(shop.project_id)
    assert (found.status, found.environment_id) == ("pending", None)


@pytest.mark.parametrize("name", ["", "x", "no-dot", "a..b", "-a.example", "a b.example", "a" * 64 + ".b"])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(on_wire, name):
    shop, wire = on_wire
    wire.sent.clear()
    with pytest.raises(InvalidArgument, match="name"):
        domain(shop.client, **shop.production, name=name)
    assert wire.sent == []


def test_a_domain_that_leads_here_already_needs_no_plan(shop, name):
    domain(shop.client, **shop.production, name=name).apply()
    with pytest.raises(InvalidArgument, match=r"leads to .* already"):
        domain(shop.client, **shop.production, name=name)


def test_a_domain_that_somebody_moved_since_is_left_alone(on_wire, name):
    shop, wire = on_wire
    plan = domain(shop.client, **shop.production, name=name)
    domain(shop.client, **staging(shop), name=name).apply()
    wire.sent.clear()
    with pytest.raises(PlanStale, match="leads_to was , is staging"):
        plan.apply()
    assert wire.changes == []
