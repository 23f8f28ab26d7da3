from __future__ import annotations

import time
from itertools import pairwise

import pytest

from createos_nb.errors import NotFound
from createos_nb.platform.handlers.analytics import MAX_SERIES_S
from tests.platform.conftest import echo, visit

NAMES = (
    "analytics",
    "analytics/overall-requests",
    "analytics/rpm",
    "analytics/success-percentage",
    "analytics/requests-over-time",
    "analytics/top-hit-paths",
    "analytics/top-error-paths",
    "analytics/request-distribution",
)
TRAFFIC = ["/"] * 6 + ["/status/201"] * 2 + ["/status/301"] * 2 + ["/status/404"] * 3 + ["/status/500"] * 7


@pytest.fixture
def visited(site):
    """A site that has had `TRAFFIC`, and a window around it."""
    site.live(site.deploy(echo()).id)
    endpoint = site.environment.extra.endpoint
    start = int(time.time())
    for number, path in enumerate(TRAFFIC):
        visit(endpoint, f"{path}?number={number}")
    return site, {"start": start, "end": int(time.time()) + 1}


def test_every_number_is_that_of_the_traffic(visited):
    site, window = visited
    analytics = site.client.analytics
    overall = analytics.overall_requests(*site.target, **window)
    assert (overall.total, overall.success, overall.client, overall.server) == (20, 8, 3, 7)
    assert analytics.success_percentage(*site.target, **window).success_percentage == 50
    distribution = analytics.request_distribution(*site.target, **window)
    counts = {"200": 6, "201": 2, "301": 2, "404": 3, "500": 7}
    assert {row.status: row.count for row in distribution} == counts
    hits = [(row.path, row.count) for row in analytics.top_hit_paths(*site.target, **window)]
    assert hits[:2] == [("/status/500", 7), ("/", 6)]
    assert sum(count for _, count in hits) == 20
    errors = [(row.path, row.status, row.count) for row in analytics.top_error_paths(*site.target, **window)]
    assert errors == [("/status/500", "500", 7), ("/status/404", "404", 3)]
    rows = analytics.requests_over_time(*site.target, **window)
    sums = [sum(getattr(row, name) for row in rows) for name in ("count", "status2xx", "status3xx", "status4xx")]
    assert (*sums, sum(row.status5xx for row in rows)) == (20, 8, 2, 3, 7)
    rpm = analytics.rpm(*site.target, **window)
    assert rpm.average == pytest.approx(20 * 60 / (window["end"] - window["start"]))
    assert rpm.peak == max(row.count for row in rows)


def test_the_summary_says_the_same_as_the_seven(visited):
    site, window = visited
    analytics = site.client.analytics
    summary = analytics.summary(*site.target, **window)
    assert summary.overall_requests == analytics.overall_requests(*site.target, **window)
    assert summary.rpm == analytics.rpm(*site.target, **window)
    percentage = analytics.success_percentage(*site.target, **window).success_percentage
    assert summary.success_percentage == percentage
    assert summary.request_distribution == list(analytics.request_distribution(*site.target, **window))
    assert summary.top_hit_paths == list(analytics.top_hit_paths(*site.target, **window))
    assert summary.top_error_paths == list(analytics.top_error_paths(*site.target, **window))


def test_a_window_is_half_open(visited):
    site, window = visited
    before = site.client.analytics.overall_requests(*site.target, start=window["start"] - 60, end=window["start"])
    after = site.client.analytics.overall_requests(*site.target, start=window["end"], end=window["end"] + 60)
    assert (before.total, after.total) == (0, 0)


def test_without_a_window_it_is_the_last_hour_up_to_now(visited):
    site, _ = visited
    assert site.client.analytics.overall_requests(*site.target).total == 20
    rows = site.client.analytics.requests_over_time(*site.target)
    assert 60 <= len(rows) <= 61
    assert {later.timestamp - earlier.timestamp for earlier, later in pairwise(rows)} == {60}


def test_what_the_gateway_answers_by_itself_counts_as_well(site):
    visit(site.environment.extra.endpoint)
    assert site.client.analytics.overall_requests(*site.target).server == 1


def test_an_environment_without_traffic_has_zeros(site):
    analytics = site.client.analytics
    assert analytics.overall_requests(*site.target).total == 0
    assert analytics.rpm(*site.target).peak == 0
    assert not analytics.top_hit_paths(*site.target)
    assert {row.count for row in analytics.requests_over_time(*site.target)} == {0}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "window",
    [{"start": 20, "end": 10}, {"start": 10, "end": 10}, {"start": -1}, {"start": "yesterday"}, {"end": 10**12}],
    ids=str,
)
def test_a_window_that_is_none_is_refused(site, http, name, window):
    answer = http.get(f"/v1/projects/{site.project_id}/environments/{site.environment_id}/{name}", params=window)
    assert (answer.status_code, answer.json()["status"]) == (400, "fail")


def test_a_series_without_end_is_refused(site, http):
    path = f"/v1/projects/{site.project_id}/environments/{site.environment_id}/analytics"
    assert http.get(f"{path}/requests-over-time", params={"start": 0}).status_code == 400
    longest = {"start": 0, "end": MAX_SERIES_S}
    assert len(http.get(f"{path}/requests-over-time", params=longest).json()["data"]) == MAX_SERIES_S // 60
    assert http.get(f"{path}/overall-requests", params={"start": 0}).status_code == 200


def test_another_projects_environment_is_not_to_be_seen(site):
    with pytest.raises(NotFound):
        site.client.analytics.summary("no-such-project", site.environment_id)
    with pytest.raises(NotFound):
        site.client.analytics.summary(site.project_id, "no-such-environment")
