"""Two lanes of one budget: a person clicks while a fleet is read (SAFETY H05). Time is only counted."""

from __future__ import annotations

import heapq
import random

import pytest

from createos_nb.api.budget import Budget
from createos_nb.api.message import Request
from createos_nb.api.pace import Pace
from createos_nb.explanation import documented_s

READ = Request("GetProject", "GET", "/v1/things", "/v1/things", "read")
INVENTORY = 915
"""Requests of an inventory of 300 projects."""


@pytest.mark.parametrize("seed", range(3))
def test_a_click_does_not_wait_for_an_inventory_and_the_inventory_ends_when_it_was_said_to(seed, figures):
    now, dice = [0.0], random.Random(seed)
    budget = Budget(None, clock=lambda: now[0])
    background, click = Pace("background", 7200), Pace("interactive", 7200)
    # What happens next, by its time: a worker of the inventory that is free, or a person who clicks.
    events = [(0.0, number, "worker") for number in range(24)]
    events += [(float(at), 1000 + at, "click") for at in sorted(dice.sample(range(60, 3600), 60))]
    heapq.heapify(events)
    left, ended, waits = INVENTORY, 0.0, []
    while events:
        at, name, what = heapq.heappop(events)
        now[0] = max(now[0], at)
        if what == "click":
            waits += [budget.reserve(READ, click)[0] for _ in range(dice.randint(1, 3))]
        elif left:
            left -= 1
            wait, _ = budget.reserve(READ, background)
            ended = max(ended, now[0] + wait)
            heapq.heappush(events, (now[0] + wait + 0.2, name, "worker"))
    waits.sort()
    p95 = waits[int(0.95 * len(waits))]
    said = documented_s(INVENTORY, many=True)
    assert p95 <= 2
    assert abs(ended - said) <= 0.1 * said
    with figures():
        print(f"\nH05: {len(waits)} requests of clicks, p95 {p95:.1f} s; inventory {ended:.0f} s of {said:.0f}")
