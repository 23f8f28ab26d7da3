"""A fleet of 50 projects and 150 environments: what it costs to look at all of it."""

from __future__ import annotations

import time

import pytest

import createos_nb as cos
from createos_nb import schema
from tests.test_questions import counted

INVENTORY = ("projects", "environments", "deployments", "domains")
MOST_REQUESTS = 460


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREATEOS_NB_HOME", str(tmp_path_factory.mktemp("fleet")))
        ws = cos.local("fleet", ephemeral=True)
        yield ws
        ws.api.close()


def test_an_inventory_and_the_last_hour_of_a_fleet_cost_few_requests_and_say_so_before(fleet, figures):
    said = {name: getattr(fleet.explain(), name)().iloc[-1] for name in INVENTORY}
    began = time.perf_counter()
    with counted(fleet.api) as sent:
        frames = {name: getattr(fleet, name)() for name in INVENTORY}
        everything = fleet[:]
        summary = everything.analytics.summary(since="1h")
    seconds = time.perf_counter() - began
    requests = sum(sent.values())
    assert [len(frames[name]) for name in ("projects", "environments")] == [50, 150]
    assert (len(everything), len(summary)) == (150, 150)
    assert summary["complete"].all()
    assert summary["requests"].sum() > 1000
    assert requests <= MOST_REQUESTS
    least = sum(row.requests for row in said.values()) + len(everything)
    assert least <= requests <= least + 60  # selecting lists the projects and their environments once more
    waits = everything.explain().analytics.summary(since="1h")["documented_s"].iloc[-1]
    assert waits == 60
    with figures():
        print(
            f"\nfleet: {requests} requests in {seconds:.1f} s ({requests / seconds:.0f}/s); "
            f"the summary alone would take the documented budget {waits:.0f} s"
        )


def test_a_frame_of_a_fleet_is_one_frame_of_its_kind(fleet):
    over_time = fleet["*/production"].analytics.requests_over_time(since="1h")
    schema.REQUESTS_OVER_TIME.check(over_time)
    assert over_time["project"].nunique() == 50
    assert not over_time.duplicated(["project", "timestamp"]).any()
