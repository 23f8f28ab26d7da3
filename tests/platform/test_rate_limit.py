"""A key gets what was announced, and no more."""

from __future__ import annotations

import httpx
import pytest

from createos_nb.api.client import Client
from createos_nb.errors import RateLimited
from createos_nb.platform import service
from createos_nb.platform.admin import Admin
from createos_nb.platform.budget import RATE_LIMITS, Budget
from createos_nb.platform.options import Options

NOON = 1_800_000_000  # a whole hour


@pytest.fixture
def documented():
    """A budget as the real platform's, and the clock that it reads."""
    now = [float(NOON)]
    return Budget(RATE_LIMITS["documented"], clock=lambda: now[0]), now


def test_a_minute_has_a_hundred_requests_and_says_how_many_are_left(documented):
    budget, now = documented
    answers = [budget.take("ada") for _ in range(100)]
    assert {wait for wait, _ in answers} == {0}
    assert [int(headers["X-RateLimit-Remaining"]) for _, headers in answers] == list(range(99, -1, -1))
    now[0] += 15
    wait, headers = budget.take("ada")
    assert (wait, headers["Retry-After"]) == (45, "45")
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("100", "0")
    assert headers["X-RateLimit-Reset"] == str(NOON + 60)
    assert budget.take("bob")[0] == 0, "another key has its own"
    now[0] = NOON + 60
    assert budget.take("ada")[0] == 0


def test_an_hour_has_a_thousand_whatever_its_minutes_have(documented):
    budget, now = documented
    taken = 0
    for minute in range(60):
        now[0] = NOON + 60 * minute
        taken += sum(budget.take("ada")[0] == 0 for _ in range(100))
    assert taken == 1000
    assert budget.take("ada")[0] == 60
    now[0] = NOON + 600
    assert budget.take("bob")[0] == 0
    now[0] = NOON + 3600
    assert budget.take("ada")[0] == 0


def test_a_minute_has_ten_uploads_which_are_requests_too(documented):
    budget, now = documented
    assert [budget.take("ada", upload=True)[0] for _ in range(11)] == [0] * 10 + [60]
    wait, headers = budget.take("ada")
    assert (wait, headers["X-RateLimit-Remaining"]) == (0, "89")
    now[0] += 60
    assert budget.take("ada", upload=True)[0] == 0


def test_a_platform_is_started_with_the_documented_limits_when_asked(tmp_path):
    address = service.start(tmp_path / "state", options=Options(rate_limit="documented"))
    try:
        headers = {"X-Api-Key": address.api_key().reveal()}
        with httpx.Client(base_url=address.api_url, headers=headers, trust_env=False) as http:
            assert http.get("/v1/users/me").headers["x-ratelimit-limit"] == "100"
            body = {"files": [{"path": "main.py", "content": ""}]}
            answers = [http.put("/v1/projects/p/deployments/files", json=body) for _ in range(22)]
            # Of 22 in a row at least 2 fall beyond the ten of a minute, even when another minute begins.
            assert {answer.status_code for answer in answers} == {404, 429}
            assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
            refused = [answer.json()["data"] for answer in answers if answer.status_code == 429]
            assert all(each.startswith("All uploads that this key may make") for each in refused)
    finally:
        service.stop(tmp_path / "state")


def test_a_platform_that_is_started_again_with_fewer_requests_refuses_nobody_for_those_of_before(tmp_path):
    state = tmp_path / "state"
    with Client((before := service.start(state)).api_url, api_key=before.api_key()) as client:
        for _ in range(1010):
            client.account.user()
    service.stop(state)
    address = service.start(state, options=Options(rate_limit="documented"))
    try:
        assert address.api_url == before.api_url
        with Client(address.api_url, api_key=address.api_key()) as client:
            for _ in range(95):
                client.account.user()
            with pytest.raises(RateLimited, match="the minute of this key is used up"):
                client.account.user()
            # What it is asked about itself counts nowhere, so that it can say why.
            assert Admin(client).status().cpu_limit
    finally:
        service.stop(state)
