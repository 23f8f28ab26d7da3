from __future__ import annotations

import pytest

from createos_nb.errors import InvalidArgument, LeaseHeld, PlanStale
from createos_nb.plans import scale
from createos_nb.plans.lease import lease


def test_an_environment_is_scaled_and_answers_from_every_replica(on_wire, visit):
    shop, wire = on_wire
    shop.upload(1)
    wire.sent.clear()
    plan = scale(shop.client, **shop.production, replicas=2)
    assert wire.changes == []
    assert (plan.before["replicas"], plan.after["replicas"]) == (1, 2)

    result = plan.apply()

    assert result.state == "done", result
    assert wire.changes == ["UpdateProjectEnvironmentResources"]
    assert shop.environment().resources.model_dump() == {"cpu": 200, "memory": 500, "replicas": 2}
    assert set(visit(shop, ["/"] * 10)) == {200}


def test_what_is_not_given_stays(shop):
    plan = scale(shop.client, **shop.production, memory_mb=1024)
    assert dict(plan.calls[0].arguments) == {"replicas": 1, "cpu": 200, "memory": 1024}
    assert plan.apply().state == "done"
    assert shop.environment().resources.memory == 1024


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"replicas": 0}, "replicas"),
        ({"replicas": 4}, "replicas"),
        ({"cpu_millicores": 501}, "cpu"),
        ({"memory_mb": 499}, "memory"),
        ({"replicas": 1}, "already"),
        ({}, "already"),
    ],
    ids=str,
)
def test_a_size_that_cannot_be_is_refused(shop, wanted, field):
    with pytest.raises(InvalidArgument, match=field):
        scale(shop.client, **shop.production, **wanted)


def test_fewer_replicas_are_a_risk_that_is_said(shop):
    scale(shop.client, **shop.production, replicas=3).apply()
    assert "may not carry the traffic" in scale(shop.client, **shop.production, replicas=2).risk
    assert "may not carry" not in scale(shop.client, **shop.production, memory_mb=600).risk


def test_an_environment_that_somebody_scaled_since_is_left_alone(on_wire):
    shop, wire = on_wire
    plan = scale(shop.client, **shop.production, replicas=2)
    scale(shop.client, **shop.production, replicas=3).apply()
    wire.sent.clear()
    with pytest.raises(PlanStale, match="replicas was 1, is 3"):
        plan.apply()
    assert wire.changes == []


def test_a_change_under_way_holds_it_off(on_wire):
    shop, wire = on_wire
    plan = scale(shop.client, **shop.production, replicas=2)
    held = lease(plan.platform, plan.project_id, plan.environment_id, "rollback")
    with held, pytest.raises(LeaseHeld, match="rollback"):
        plan.apply()
    assert wire.changes == []


def test_equal_plans_have_equal_hashes(shop):
    first, second = (scale(shop.client, **shop.production, replicas=2) for _ in range(2))
    assert first.hash == second.hash != scale(shop.client, **shop.production, replicas=3).hash
