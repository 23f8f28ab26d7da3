from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb import schema
from createos_nb.api.account import Quotas, User
from createos_nb.api.analytics import Analytics, OverallRequests, RequestsOverTimeRow
from createos_nb.api.api_keys import APIKey
from createos_nb.api.deployments import STATUSES, BuildLogLine, Deployment
from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment
from createos_nb.api.projects import Project, SupportedType
from createos_nb.errors import FrameError, InvalidArgument
from createos_nb.timerange import TimeRange

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
A_VALUE = {
    "str": "text",
    "category": "brand-new",
    "datetime64[us, UTC]": NOON,
    "int64": 3,
    "Int64": 3,
    "float64": 0.5,
    "bool": True,
}
EVERY_KIND = pytest.mark.parametrize("kind", schema.KINDS.values(), ids=schema.KINDS.keys())


def a_row(kind, **changes):
    return {column.name: A_VALUE[column.dtype] for column in kind.columns} | changes


# --- kinds ----------------------------------------------------------------------------------------------------


@EVERY_KIND
def test_columns_and_dtypes_are_the_same_empty_and_full(kind):
    empty, full = kind.empty(), kind.frame([a_row(kind)])
    assert list(empty.columns) == list(full.columns) == [c.name for c in kind.columns] + ["complete"]
    for column in kind.columns:
        if column.dtype != "category":
            assert str(empty[column.name].dtype) == str(full[column.name].dtype) == column.dtype
        else:
            assert tuple(empty[column.name].cat.categories) == column.values
            assert full[column.name].cat.ordered
    assert len(empty) == 0
    assert kind.check(empty) is empty
    assert kind.check(full) is full


@EVERY_KIND
def test_what_may_be_missing_is_missing_and_never_a_word_for_it(kind):
    needed = {c.name: A_VALUE[c.dtype] for c in kind.columns if c.dtype in {"int64", "bool"}}
    frame = kind.check(kind.frame([needed]))
    for column in kind.columns:
        assert frame[column.name].isna().all() == (column.name not in needed)


@EVERY_KIND
def test_every_column_says_what_it_means(kind):
    table = kind.describe()
    assert list(table.columns) == ["column", "dtype", "unit", "meaning"]
    assert (table["meaning"].str.len() > 5).all()
    assert table["meaning"].str.endswith(".").all()
    assert not table["column"].duplicated().any()
    assert kind.name in repr(kind)


def test_the_contract_of_the_deployments_is_the_documented_one():
    assert schema.DEPLOYMENTS.names == [
        *("project", "project_id", "deployment_id", "version", "status", "created_at", "branch", "commit"),
        *("message", "environments", "complete"),
    ]


def test_a_status_nobody_documented_is_kept_behind_the_others():
    rows = [{"status": status} for status in ("vanished", "deployed", None, "queue", "ascended")]
    status = schema.DEPLOYMENTS.frame(rows)["status"]
    assert list(status.cat.categories) == [*STATUSES, "ascended", "vanished"]
    assert status.tolist()[:2] == ["vanished", "deployed"]
    assert status.isna().tolist() == [False, False, True, False, False]
    assert status.max() == "vanished"
    assert (status >= "building").tolist() == [True, True, False, False, True]


def test_levels_are_in_the_order_of_their_gravity():
    level = schema.sample("LOGS")["level"]
    assert (level >= "ERROR").sum() == 2


def test_half_a_surrogate_pair_is_shown_as_its_escape():
    assert schema.USER.frame([{"field": "name", "value": "a\ud800b"}])["value"].tolist() == ["a\\ud800b"]


@pytest.mark.parametrize(
    "moment",
    [NOON, pd.Timestamp(NOON), datetime(2026, 11, 23, 13, tzinfo=timezone(timedelta(hours=1)))],
    ids=["utc", "Timestamp", "offset"],
)
def test_any_aware_time_is_held_in_utc(moment):
    assert schema.PROJECTS.frame([{"created_at": moment}])["created_at"].tolist() == [pd.Timestamp(NOON)]


def test_the_last_year_there_is_fits():
    last = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert schema.PROJECTS.frame([{"created_at": last}])["created_at"].tolist() == [pd.Timestamp(last)]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"created_at": NOON.replace(tzinfo=None)}, "created_at.*no time zone.*utc=True"),
        ({"created_at": "2026-11-23"}, "created_at.*is text"),
        ({"created": NOON}, "no column 'created'.*created_at"),
    ],
    ids=["naive", "text", "stranger"],
)
def test_a_wrong_row_is_refused_by_the_columns_name(row, named):
    with pytest.raises(FrameError, match=named):
        schema.PROJECTS.frame([row])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rank": None}, "rank"),
        ({"rank": 1.5}, "rank"),
        ({"rank": 2**70}, "rank"),
        ({"rank": "first"}, "rank"),
        ({"complete": "yes"}, "complete"),
    ],
    ids=["missing", "fraction", "too large", "text", "not a flag"],
)
def test_a_wrong_value_is_refused_by_the_columns_name(changes, named):
    with pytest.raises(FrameError, match=f"'{named}' of TOP_HIT_PATHS"):
        schema.TOP_HIT_PATHS.frame([a_row(schema.TOP_HIT_PATHS, **changes)])


def test_rows_may_say_themselves_whether_they_are_complete():
    frame = schema.ERRORS.frame([{"project": "a"}, {"project": "b", "complete": True}], complete=False)
    assert frame["complete"].tolist() == [False, True]


def test_a_column_that_was_left_out_is_named():
    with pytest.raises(FrameError, match="USER needs the column 'value'"):
        schema.USER.from_columns({"field": ["id"]})


def test_frames_are_put_below_each_other_with_the_statuses_only_one_of_them_knows():
    frames = [schema.DEPLOYMENTS.frame([{"status": status}]) for status in ("ascended", "deployed", "vanished")]
    together = schema.DEPLOYMENTS.check(schema.DEPLOYMENTS.concat(frames))
    assert together["status"].tolist() == ["ascended", "deployed", "vanished"]
    assert together.index.tolist() == [0, 1, 2]
    pd.testing.assert_frame_equal(schema.DEPLOYMENTS.concat([]), schema.DEPLOYMENTS.empty())
    with pytest.raises(FrameError, match="not of kind DEPLOYMENTS"):
        schema.DEPLOYMENTS.concat([schema.USER.empty()])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda frame: frame.drop(columns="path"), "lacks the column 'path'"),
        (lambda frame: frame.assign(more=1), "does not know the column 'more'"),
        (lambda frame: frame[frame.columns[::-1]], "another order"),
        (lambda frame: frame.astype({"requests": "float64"}), "'requests' of TOP_HIT_PATHS is float64, not int64"),
    ],
    ids=["missing", "extra", "order", "dtype"],
)
def test_a_frame_of_another_kind_is_refused_with_the_reason(wrong, named):
    with pytest.raises(FrameError, match=named):
        schema.TOP_HIT_PATHS.check(wrong(schema.sample("TOP_HIT_PATHS")))


def test_times_that_a_file_made_text_of_are_told_from_those_without_a_zone():
    text = schema.sample("REQUESTS_OVER_TIME").astype({"timestamp": "str"})
    with pytest.raises(FrameError, match=r"is text, make times of it with pd\.to_datetime"):
        schema.REQUESTS_OVER_TIME.take(text, ["timestamp"])


# --- taking columns of any frame ------------------------------------------------------------------------------

NEEDED = ["project", "timestamp", "requests", "partial"]


def over_time(**changes):
    return schema.sample("REQUESTS_OVER_TIME").assign(**changes)


@pytest.mark.parametrize(
    "frame",
    [
        over_time(),
        over_time(timestamp=lambda f: f["timestamp"].dt.tz_convert("Asia/Kolkata")),
        over_time(timestamp=lambda f: f["timestamp"].dt.as_unit("ns")),
        over_time(timestamp=lambda f: f["timestamp"].astype(object)),
        over_time(requests=lambda f: f["requests"].astype("Int64")),
        over_time(requests=lambda f: f["requests"].astype("float64")),
        over_time(project=lambda f: f["project"].astype("category")),
        over_time().convert_dtypes(dtype_backend="pyarrow"),
        over_time().set_index("environment"),
        over_time().assign(requests_twice=1).rename(columns={"requests_twice": "extra"}),
    ],
    ids=["fresh", "zone", "ns", "objects", "Int64", "floats", "categories", "Arrow", "indexed", "extra"],
)
def test_columns_are_taken_in_the_contracts_dtypes_from_any_frame_that_has_them(frame):
    taken = schema.REQUESTS_OVER_TIME.take(frame, NEEDED)
    pd.testing.assert_frame_equal(taken, over_time()[NEEDED])


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (over_time().drop(columns="partial"), "no column 'partial'"),
        (pd.concat([over_time(), over_time()[["requests"]]], axis=1), "more than one column 'requests'"),
        (over_time().T, "no column 'project'"),
        (pd.concat({"a": over_time()}, axis=1), "no column 'project'"),
        (over_time(timestamp=lambda f: f["timestamp"].dt.tz_localize(None)), "'timestamp'.*no time zone"),
        (over_time(requests=[1.5] * 10), "'requests'"),
        (over_time(requests=[None] * 10), "'requests'"),
        (over_time(requests=[[1]] * 10), "'requests'.*more than one number"),
        (over_time(project=["shop", None] * 5), "no 'project'.*dropna"),
        (over_time(partial="no"), "'partial'"),
        (over_time()["requests"], "not Series"),
        ([1, 2], "not list"),
    ],
    ids=[
        "missing",
        "twice",
        "turned",
        "MultiIndex",
        "naive",
        "fractions",
        "nothing",
        "lists",
        "gaps",
        "words",
        "Series",
        "list",
    ],
)
def test_columns_that_do_not_fit_are_refused_in_one_line(frame, named):
    with pytest.raises(FrameError, match=named) as caught:
        schema.REQUESTS_OVER_TIME.take(frame, NEEDED)
    assert "\n" not in str(caught.value)


# --- rows of models -------------------------------------------------------------------------------------------


def an_environment(**changes):
    return Environment.model_validate(
        {
            "id": "e1",
            "projectId": "p1",
            "uniqueName": "production",
            "displayName": "Production",
            "status": "active",
            "branch": "",
            "isAutoPromoteEnabled": True,
            "projectDeploymentId": "d2",
            "resources": {"cpu": 200, "memory": 512, "replicas": 2},
            "settings": {"runEnvs": {"B_KEY": "hunter2", "A_KEY": "swordfish"}},
            "extra": {"endpoint": "http://production.shop.localhost:8080"},
            "createdAt": NOON,
            **changes,
        }
    )


def a_deployment(number, **changes):
    return Deployment.model_validate(
        {
            "id": f"d{number}",
            "projectId": "p1",
            "status": "deployed",
            "versionNumber": number,
            "createdAt": NOON,
            **changes,
        }
    )


def test_a_project_becomes_a_row():
    project = Project.model_validate(
        {
            "id": "p1",
            "uniqueName": "shop",
            "displayName": "Shop",
            "type": "upload",
            "status": "active",
            "createdAt": NOON,
        }
    )
    [row] = schema.PROJECTS.frame([schema.project_row(project)]).to_dict("records")
    assert (row["project"], row["project_id"], row["status"], row["created_at"]) == ("shop", "p1", "active", NOON)
    assert pd.isna(row["app_id"])
    assert pd.isna(row["updated_at"])


def test_an_environment_becomes_a_row():
    frame = schema.ENVIRONMENTS.frame([schema.environment_row("shop", an_environment())])
    [row] = schema.ENVIRONMENTS.check(frame).to_dict("records")
    assert (row["project"], row["environment"], row["deployment_id"]) == ("shop", "production", "d2")
    assert (row["cpu_millicores"], row["memory_mb"], row["replicas"]) == (200, 512, 2)
    assert row["auto_promote"] is True
    assert row["endpoint"] == "http://production.shop.localhost:8080"
    assert pd.isna(row["branch"])


def test_an_environment_without_resources_has_missing_ones():
    frame = schema.RESOURCES.frame([schema.resource_row("shop", an_environment(resources=None))])
    assert schema.RESOURCES.check(frame)[["cpu_millicores", "memory_mb", "replicas"]].isna().all(axis=None)


def test_variables_are_rows_with_masked_values():
    frame = schema.VARIABLES.frame(schema.variable_rows("shop", an_environment()))
    assert frame["name"].tolist() == ["A_KEY", "B_KEY"]
    assert frame["value"].str.startswith("••••").all()
    written = frame.to_csv() + frame.to_html() + repr(frame) + frame.to_json()
    assert "hunter2" not in written
    assert "swordfish" not in written


def test_a_deployment_lists_the_environments_it_is_live_on():
    environments = [
        an_environment(),
        an_environment(uniqueName="canary"),
        an_environment(uniqueName="staging", projectDeploymentId="d1"),
        an_environment(uniqueName="spare", projectDeploymentId=None),
    ]
    rows = [schema.deployment_row("shop", a_deployment(number), environments) for number in (1, 2, 3)]
    frame = schema.DEPLOYMENTS.check(schema.DEPLOYMENTS.frame(rows))
    assert frame["version"].tolist() == ["v1", "v2", "v3"]
    assert frame["environments"].tolist() == ["staging", "canary,production", ""]


def test_a_deployment_says_what_it_was_made_of():
    commit = {"branch": "main", "commit": "abc123", "commitMessage": "Fix the checkout"}
    made = [a_deployment(1, source=commit), a_deployment(2, source={"image": "shop:2"}), a_deployment(3)]
    frame = schema.DEPLOYMENTS.frame([schema.deployment_row("shop", deployment, []) for deployment in made])
    assert frame["message"].tolist()[:2] == ["Fix the checkout", "shop:2"]
    assert frame[["branch", "commit"]].iloc[0].tolist() == ["main", "abc123"]
    assert frame["message"].isna().tolist() == [False, False, True]


def test_a_domain_names_the_environment_it_leads_to():
    wire = {"id": "n1", "projectId": "p1", "status": "active", "createdAt": NOON, "name": "shop.example.com"}
    domains = [Domain.model_validate({**wire, "environmentId": to}) for to in ("e1", None, "gone")]
    rows = [schema.domain_row("shop", domain, [an_environment()]) for domain in domains]
    frame = schema.DOMAINS.check(schema.DOMAINS.frame(rows))
    assert frame["environment"].isna().tolist() == [False, True, True]
    assert frame["environment"].iloc[0] == "production"


def test_the_accounts_answers_become_rows():
    key = APIKey.model_validate({"id": "k1", "name": "ci-key", "createdAt": NOON, "expiredAt": NOON})
    assert schema.API_KEYS.frame([schema.api_key_row(key)])["expires_at"].tolist() == [pd.Timestamp(NOON)]
    quota = {"current": 2, "max": 5, "remaining": 3}
    quotas = Quotas.model_validate({"projects": quota, "apiKeys": {"used": 1, "limit": 10}})
    frame = schema.QUOTAS.frame(schema.quota_rows(quotas))
    assert frame["used"].tolist() == [2, 1]
    assert frame["remaining"].isna().tolist() == [False, True]
    user = schema.USER.frame(schema.user_rows(User(id="u1", email="a@example.com")))
    assert user.set_index("field")["value"]["email"] == "a@example.com"
    kinds = ("runtime", "framework")
    supported = [
        SupportedType(name=name, type=kind) for name, kind in zip(("node:20", "nextjs"), kinds, strict=True)
    ]
    frame = schema.SUPPORTED_TYPES.frame(map(schema.supported_type_row, supported))
    assert tuple(frame["kind"]) == kinds


def test_build_lines_become_rows():
    line = BuildLogLine.model_validate({"ts": NOON, "stage": "install", "lineNumber": 1, "log": "pip install"})
    [row] = schema.BUILD_LOGS.frame(schema.build_log_rows("shop", "d1", [line])).to_dict("records")
    assert (row["deployment_id"], row["stage"], row["line"], row["message"]) == ("d1", "install", 1, "pip install")


# --- rows of analytics ----------------------------------------------------------------------------------------

WINDOW = TimeRange(NOON, NOON + timedelta(minutes=5))


def intervals(*starts_s):
    return [
        RequestsOverTimeRow(timestamp=at, count=5, status2xx=4, status3xx=0, status4xx=0, status5xx=1)
        for at in starts_s
    ]


def requests_over_time(answer, *, window=WINDOW, now=NOON + timedelta(hours=1)):
    rows = schema.requests_over_time_rows("shop", "production", window, answer, now=now)
    return schema.REQUESTS_OVER_TIME.check(schema.REQUESTS_OVER_TIME.frame(rows))


@pytest.mark.parametrize("interval_s", [1, 60, 300])
def test_the_length_of_an_interval_is_inferred(interval_s):
    start = WINDOW.start_s
    # One interval is missing and the rows are not in order.
    frame = requests_over_time(intervals(start + 3 * interval_s, start, start + interval_s))
    assert frame["interval_s"].tolist() == [interval_s] * 3
    assert frame["timestamp"].is_monotonic_increasing
    assert len(frame) == 3


def test_one_interval_alone_is_taken_for_a_minute():
    assert requests_over_time(intervals(WINDOW.start_s))["interval_s"].tolist() == [60]


def test_intervals_that_the_window_cuts_are_partial():
    window = TimeRange(NOON + timedelta(seconds=30), NOON + timedelta(seconds=210))
    frame = requests_over_time(intervals(*range(window.start_s // 60 * 60, window.end_s, 60)), window=window)
    assert frame["partial"].tolist() == [True, False, False, True]


def test_an_interval_that_is_not_over_is_partial():
    now = NOON + timedelta(seconds=90)
    answer = intervals(WINDOW.start_s, WINDOW.start_s + 60, WINDOW.start_s + 120)
    assert requests_over_time(answer, now=now)["partial"].tolist() == [False, True, True]
    empty = [row.model_copy(update={"count": 0}) for row in answer]
    assert requests_over_time(empty, now=now)["partial"].tolist() == [False, True], "the third has not begun"


def test_a_summary_is_one_row_of_one_answer():
    answer = Analytics.model_validate(
        {
            "overallRequests": {"total": 10.0, "success": 6.0, "client": 1.0, "server": 2.0},
            "requestDistribution": [{"status": "500", "count": 2.0}, {"status": "200", "count": 6.0}],
            "rpm": {"peak": 4.0, "average": 2.0},
            "successPercentage": 70.0,
            "topErrorPaths": [
                {"path": "/rare", "status": "404", "count": 1.0},
                {"path": "/checkout", "status": "500", "count": 2.0},
            ],
            "topHitPaths": [{"path": "/", "count": 4.0}, {"path": "/busy", "count": 6.0}],
        }
    )
    [row] = schema.SUMMARY.frame([schema.summary_row("shop", "production", WINDOW, answer)]).to_dict("records")
    assert (row["requests"], row["success"], row["client_errors"], row["server_errors"]) == (10, 6, 1, 2)
    assert row["error_rate"] == 0.2
    assert (row["rpm_peak"], row["rpm_average"], row["success_percentage"]) == (4, 2, 70)
    assert (row["top_path"], row["top_error_path"]) == ("/busy", "/checkout")
    assert (row["start"], row["end"]) == (WINDOW.start, WINDOW.end)

    paths = schema.TOP_ERROR_PATHS.frame(
        schema.top_error_path_rows("shop", "production", WINDOW, answer.top_error_paths)
    )
    assert paths[["rank", "path", "status"]].values.tolist() == [[1, "/checkout", "500"], [2, "/rare", "404"]]
    shares = schema.REQUEST_DISTRIBUTION.frame(
        schema.request_distribution_rows("shop", "production", WINDOW, answer.request_distribution)
    )
    for frame in (paths, shares):
        assert set(frame["start"]) | set(frame["end"]) == {WINDOW.start, WINDOW.end}
    assert shares["status"].tolist() == ["200", "500"]
    assert shares["share"].tolist() == [0.75, 0.25]


def test_a_window_without_requests_has_no_error_rate():
    nothing = {"total": 0, "success": 0, "client": 0, "server": 0}
    answer = Analytics.model_validate(
        {
            "overallRequests": nothing,
            "requestDistribution": [],
            "rpm": {"peak": 0, "average": 0},
            "successPercentage": 0,
            "topErrorPaths": [],
            "topHitPaths": [],
        }
    )
    frame = schema.SUMMARY.frame([schema.summary_row("shop", "production", WINDOW, answer)])
    assert frame[["error_rate", "top_path", "top_error_path"]].isna().all(axis=None)
    overall = schema.overall_requests_row("shop", "production", WINDOW, OverallRequests.model_validate(nothing))
    assert schema.OVERALL_REQUESTS.frame([overall])["requests"].tolist() == [0]
    share = schema.success_percentage_row("s", "p", WINDOW, 99.5)
    assert schema.SUCCESS_PERCENTAGE.frame([share])["success_percentage"].tolist() == [99.5]


# --- samples --------------------------------------------------------------------------------------------------

SAMPLES = ("DEPLOYMENTS", "REQUESTS_OVER_TIME", "OVERALL_REQUESTS", "TOP_HIT_PATHS", "TOP_ERROR_PATHS")


@pytest.mark.parametrize("name", [*SAMPLES, "REQUEST_DISTRIBUTION", "LOGS"])
def test_samples_keep_the_contract_and_are_the_same_every_time(name):
    sample = schema.KINDS[name].check(schema.sample(name))
    assert len(sample)
    pd.testing.assert_frame_equal(sample, schema.sample(name))


def test_samples_tell_one_story():
    over_time, overall = schema.sample("REQUESTS_OVER_TIME"), schema.sample("OVERALL_REQUESTS")
    distribution = schema.sample("REQUEST_DISTRIBUTION").set_index("status")["requests"]
    assert overall["requests"].tolist() == [over_time["requests"].sum()] == [distribution.sum()]
    assert overall["server_errors"].tolist() == [over_time["status_5xx"].sum()] == [distribution["500"]]
    assert over_time["status_3xx"].sum() == distribution["303"]


def test_a_sample_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(FrameError, match=r"no sample frame 'TRAFFIC'.*REQUESTS_OVER_TIME"):
        schema.sample("TRAFFIC")


IN_EVERY_ZONE = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001 - hypothesis adds the zone
"""Between which there is every moment in UTC too; those beyond are refused, as the API's models refuse them."""


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.none() | st.text(),
                "api_key_id": st.none() | st.text(),
                "created_at": st.none() | st.datetimes(*IN_EVERY_ZONE, timezones=st.timezones()),
                "complete": st.booleans(),
            },
        ),
        max_size=8,
    )
)
def test_whatever_the_platform_answers_the_columns_stay(rows):
    frame = schema.API_KEYS.check(schema.API_KEYS.frame(rows))
    assert len(frame) == len(rows)
    for row, made in zip(rows, frame.to_dict("records"), strict=True):
        if row.get("created_at") is not None:
            assert made["created_at"] == pd.Timestamp(row["created_at"])
        if row.get("name") is not None:
            assert made["name"] == row["name"]


# --- of what the client answers --------------------------------------------------------------------------------


def test_what_the_client_lists_is_a_frame_of_its_kind_also_when_there_is_nothing(client, shop):
    api, project = client, shop.project
    listings = {
        "PROJECTS": api.projects.list(name=project),
        "ENVIRONMENTS": api.environments.list(shop.project_id),
        "DEPLOYMENTS": api.deployments.list(shop.project_id, max_rows=1),
        "DOMAINS": api.domains.list(shop.project_id),
        "API_KEYS": api.api_keys.list(),
        "APPS": api.apps.list(),
        "CRONJOBS": api.cronjobs.list(shop.project_id),
        "GITHUB_ACCOUNTS": api.github.list_accounts(),
        "TEMPLATES": api.templates.list(),
        "SUPPORTED_TYPES": api.projects.supported_types(),
    }
    for name, listing in listings.items():
        frame = getattr(schema, name).check(schema.frame(listing, project=project))
        assert len(frame) == len(listing), name
        assert list(frame["complete"].unique()) == [listing.complete][: len(frame)], name
    assert schema.frame(listings["ENVIRONMENTS"], project=project)["project"].unique().tolist() == [project]
    assert schema.frame(listings["DEPLOYMENTS"])["environments"].isna().all(), "where it is live is not known"
    with pytest.raises(InvalidArgument, match=r"There is no frame of .* rows\. Give a Listing of Project"):
        schema.frame([1, 2])
