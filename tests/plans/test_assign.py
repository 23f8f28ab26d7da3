from __future__ import annotations

import pytest

from createos_nb.errors import InvalidArgument, PlanStale
from createos_nb.plans import assign

FAILS_WITH_SWITCH = "import os\nif 'SWITCH' in os.environ: raise SystemExit('SWITCH must not be set')\n"


def test_a_deployment_is_put_live_by_its_version(on_wire, visit):
    shop, wire = on_wire
    first = shop.upload(3)
    shop.upload(1)
    assert visit(shop, ["/checkout"]) == [200]
    wire.sent.clear()

    result = assign(shop.client, **shop.production, deployment="v1").apply()

    assert result.state == "done", result
    assert wire.changes == ["AssignDeploymentToProjectEnvironment"]
    assert shop.environment().project_deployment_id == first.id
    assert visit(shop, ["/checkout"]) == [500]


def test_a_deployment_that_does_not_come_live_ends_undone(shop):
    shop.upload(1, main__py=FAILS_WITH_SWITCH + shop.files()["main.py"])
    live = shop.upload(2)
    shop.client.environments.update_variables(
        shop.project_id, shop.environment_ids["production"], run_envs={"SWITCH": "1"}
    )
    result = assign(shop.client, **shop.production, deployment="v1").apply()
    assert result.state == "undone"
    assert shop.environment().project_deployment_id == live.id


def test_what_cannot_be_put_live_is_refused_with_the_choice(shop):
    shop.upload(1)
    broken = shop.upload(1, main__py="raise SystemExit('no')")
    assert broken.status != "deployed"
    with pytest.raises(InvalidArgument, match="There are: v2, v1"):
        assign(shop.client, **shop.production, deployment="v9")
    with pytest.raises(InvalidArgument, match=f"v2 cannot serve: it is {broken.status}"):
        assign(shop.client, **shop.production, deployment=broken.id)


def test_promotion_by_itself_is_said_to_undo_it(shop):
    shop.upload(1)
    assert "plan_rollback() pins" in assign(shop.client, **shop.production, deployment="v1").notes[0]


def test_an_environment_that_serves_something_else_since_is_left_alone(on_wire):
    shop, wire = on_wire
    shop.upload(1)
    plan = assign(shop.client, **shop.production, deployment="v1")
    shop.upload(2)
    wire.sent.clear()
    with pytest.raises(PlanStale, match="live was v1, is v2"):
        plan.apply()
    assert wire.changes == []
