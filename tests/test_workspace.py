"""The frames a person asks for, on the embedded platform."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta

import httpx
import pandas as pd
import pytest

import createos_nb as cos
from createos_nb import schema
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.api.projects import UploadSettings
from createos_nb.endpoints import reach
from createos_nb.errors import InvalidArgument, NotFound, PartialAnswer, PartialWarning
from createos_nb.platform import service
from createos_nb.timerange import TimeRange
from createos_nb.workspace import Workspace

FRAMES = {
    "projects": schema.PROJECTS,
    "apps": schema.APPS,
    "cronjobs": schema.CRONJOBS,
    "security_scans": schema.SECURITY_SCANS,
    "transfers": schema.TRANSFERS,
    "templates": schema.TEMPLATES,
    "github_accounts": schema.GITHUB_ACCOUNTS,
    "github_repositories": schema.GITHUB_REPOSITORIES,
    "environments": schema.ENVIRONMENTS,
    "deployments": schema.DEPLOYMENTS,
    "domains": schema.DOMAINS,
    "api_keys": schema.API_KEYS,
    "quotas": schema.QUOTAS,
    "user": schema.USER,
    "supported_types": schema.SUPPORTED_TYPES,
    "errors": schema.ERRORS,
    "journal": schema.JOURNAL,
}
OF_A_SELECTION = {
    "environments": schema.ENVIRONMENTS,
    "deployments": schema.LIVE_DEPLOYMENTS,
    "domains": schema.DOMAINS,
    "variables": schema.VARIABLES,
    "resources": schema.RESOURCES,
    "logs": schema.LOGS,
    "build_logs": schema.BUILD_LOGS,
    "security_scans": schema.SECURITY_SCANS,
}
ANALYTICS = {
    "overall_requests": schema.OVERALL_REQUESTS,
    "rpm": schema.RPM,
    "success_percentage": schema.SUCCESS_PERCENTAGE,
    "requests_over_time": schema.REQUESTS_OVER_TIME,
    "top_hit_paths": schema.TOP_HIT_PATHS,
    "top_error_paths": schema.TOP_ERROR_PATHS,
    "request_distribution": schema.REQUEST_DISTRIBUTION,
    "summary": schema.SUMMARY,
}


def visit(shop, paths, environment="production"):
    address, headers = reach(shop.environment(environment).extra.endpoint)
    with httpx.Client(base_url=address, headers=headers, trust_env=False) as visitor:
        return [visitor.get(path).status_code for path in paths]


@pytest.fixture
def prod(ws, shop):
    return ws[f"{shop.project}/production"]


# --- selecting ----------------------------------------------------------------------------------------


def test_a_selection_is_one_environment_or_many_in_any_spelling(ws, shop):
    def chosen(key):
        return {str(target) for target in ws[key].targets() if target.project.unique_name == shop.project}

    production, staging = f"{shop.project}/production", f"{shop.project}/staging"
    assert chosen(production) == chosen(production.upper()) == {production}
    assert chosen(f"{shop.project}/*") == chosen([production, staging]) == {production, staging}
    assert chosen("*/production") == chosen(f"{shop.project[:6]}*/prod*") == {production}
    assert chosen(slice(None)) == {production, staging}


def test_a_target_named_twice_is_selected_once(ws, shop):
    assert len(ws[[f"{shop.project}/production", f"{shop.project}/prod*"]]) == 1


def test_a_part_of_a_name_does_not_select(ws, shop):
    with pytest.raises(NotFound):
        ws[f"{shop.project[:-1]}/production"]


def test_a_miss_lists_what_there_is(ws, shop):
    with pytest.raises(NotFound, match=r"has no environment 'prod'\. There are: .*production"):
        ws[f"{shop.project}/prod"]
    with pytest.raises(NotFound, match=r"has no environment 'product'\. There are: .* Did you mean 'production'"):
        ws[f"{shop.project}/product"]
    with pytest.raises(
        NotFound, match=rf"no project '{shop.project}s' .* There are.* Did you mean '{shop.project}'"
    ):
        ws[f"{shop.project}s/production"]
    with pytest.raises(NotFound, match=r"(None of \d+ projects has an|has no) environment 'nope'.*There are"):
        ws["*/nope"]
    with pytest.raises(NotFound):
        ws[[f"{shop.project}/production", "nowhere/production"]]


@pytest.mark.parametrize(
    "key", ["shop", "", "/", "a/", "/b", "a/b/c", [], [7], slice(1, 2), ["a/b", "c"], 5, None, b"a/b"], ids=repr
)
def test_what_is_no_selection_is_refused_with_an_example(ws, key):
    with pytest.raises(InvalidArgument, match=r"shop/production|ws\[:\]"):
        ws[key]


def test_keys_complete_with_tab(ws, shop, monkeypatch):
    monkeypatch.setattr("createos_nb.names.PATIENCE_S", 60.0)  # however slow the machine
    assert f"{shop.project}/production" in ws._ipython_key_completions_()


def test_tab_offers_questions_of_a_selection_not_what_asks_them(prod):
    offered = dir(prod)
    assert {"logs", "analytics", "blame", "plan_rollback"} <= set(offered)
    assert not {"ask", "answers", "targets"} & set(offered)


# --- frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_of_a_workspace_has_the_columns_of_its_kind(ws, shop, name):
    FRAMES[name].check(getattr(ws, name)())


def test_every_frame_of_a_selection_has_the_columns_of_its_kind_also_when_empty(prod):
    for name, kind in OF_A_SELECTION.items():
        kind.check(getattr(prod, name)())
    for name, kind in ANALYTICS.items():
        kind.check(getattr(prod.analytics, name)())


def test_every_kind_of_frame_is_asked_for_here():
    kinds = {name: kind for name, kind in vars(schema).items() if isinstance(kind, schema.Kind)}
    asked = [*FRAMES.values(), *OF_A_SELECTION.values(), *ANALYTICS.values(), *schema.MEASURES]
    asked += [schema.GITHUB_BRANCHES, schema.EXPLANATION]  # of a repository, and of explain()
    asked += [
        schema.COLLECTED,
        schema.FOLLOWED,
        schema.FOLLOWERS,
        schema.PATTERNS,
    ]  # of an archive, of follow(), of a frame of logs
    assert {name for name, kind in kinds.items() if kind not in asked} == set()


def test_what_is_live_shows_in_both_frames(ws, shop, prod):
    shop.upload(1)
    second = shop.upload(2)

    frame = prod.deployments()
    assert list(frame["version"]) == ["v2", "v1"]
    assert list(frame["live"]) == [True, False]
    assert list(frame["environments"]) == ["production,staging", ""]
    assert frame["complete"].all()
    mine = ws.environments().query("project == @shop.project")
    assert set(mine["deployment_id"]) == {second.id}


def test_a_deployment_has_one_row_however_many_environments_are_selected(ws, shop):
    shop.upload(1)
    assert len(ws[f"{shop.project}/*"].deployments()) == 1


def test_figures_are_those_of_the_requests_sent(prod, shop):
    shop.upload(3)
    start = pd.Timestamp.now("UTC").floor("s")
    statuses = visit(shop, ["/"] * 6 + ["/checkout"] * 3 + ["/missing"])
    assert sorted(statuses) == [200] * 6 + [404] + [500] * 3
    end = pd.Timestamp.now("UTC").ceil("s")

    window = {"start": start, "end": end}
    overall = prod.analytics.overall_requests(**window).iloc[0]
    assert (overall.requests, overall.success, overall.client_errors, overall.server_errors) == (10, 6, 1, 3)
    assert (overall.start, overall.end) == (start, end)
    assert prod.analytics.success_percentage(**window)["success_percentage"].iloc[0] == 60.0
    assert prod.analytics.requests_over_time(**window)["requests"].sum() == 10
    assert dict(prod.analytics.top_hit_paths(**window)[["path", "requests"]].values)["/"] == 6
    errors = prod.analytics.top_error_paths(**window)
    assert {(row.path, int(row.status), row.requests) for row in errors.itertuples()} == {
        ("/checkout", 500, 3),
        ("/missing", 404, 1),
    }
    summary = prod.analytics.summary(**window).iloc[0]
    assert (summary.requests, summary.error_rate) == (10, pytest.approx(0.3))


def test_logs_of_the_application_are_parsed_into_columns(prod, shop):
    shop.upload(3)
    visit(shop, ["/products", "/checkout"])
    logs = prod.logs(since="5m")
    assert {"/products", "/checkout"} <= set(logs["path"].dropna())
    assert logs.loc[logs["status"] == 500, "trace"].notna().any()


def test_logs_of_a_window_end_where_it_does(prod, shop):
    shop.upload(1)
    visit(shop, ["/early"])
    end = prod.api.now()
    time.sleep(1.1)  # A window ends with a whole second.
    visit(shop, ["/late"])
    of_all, early = prod.logs("5m"), prod.logs(start=end - timedelta(minutes=5), end=end)
    assert {"/early", "/late"} <= set(of_all["path"].dropna())
    assert "/early" in set(early["path"])
    assert "/late" not in set(early["path"])
    assert prod.logs(TimeRange(end - timedelta(minutes=5), end))["raw"].tolist() == early["raw"].tolist()
    assert dict(early.dtypes) == dict(of_all.dtypes)
    with pytest.raises(InvalidArgument, match="not both"):
        prod.logs("5m", start=end)


def test_a_build_log_is_that_of_what_is_live_unless_another_is_named(ws, prod, shop):
    first, second = shop.upload(1), shop.upload(2)
    assert set(prod.build_logs()["deployment_id"]) == {second.id}
    assert set(prod.build_logs(deployment="v1")["deployment_id"]) == {first.id}
    assert len(ws[f"{shop.project}/*"].build_logs()) == len(prod.build_logs())  # live on both, and there once
    row = prod.deployments().set_index("version", drop=False).loc["v1"]
    assert set(prod.build_logs(deployment=row)["deployment_id"]) == {first.id}
    with pytest.raises(InvalidArgument, match="'v9' is no deployment"):
        prod.build_logs(deployment="v9")
    with pytest.raises(InvalidArgument, match="That row has no deployment_id"):
        prod.build_logs(deployment=prod.deployments().set_index("deployment_id").iloc[0])


def test_variables_are_masked_in_every_view(prod, shop, client):
    client.environments.update_variables(
        shop.project_id, shop.environment_ids["production"], run_envs={"TOKEN": "s3cret-value"}
    )
    frame = prod.variables()
    assert list(frame["name"]) == ["TOKEN"]
    assert "s3cret" not in f"{frame}{frame.to_csv()}{frame.to_html()}{frame.to_dict()}{prod.targets()}"


@pytest.mark.parametrize("since", ["-1h", "soon", ""])
def test_a_window_that_is_none_is_refused_before_anything_is_asked(prod, since):
    with pytest.raises(InvalidArgument, match="length of time"):
        prod.analytics.rpm(since)
    with pytest.raises(InvalidArgument, match="length of time"):
        prod.logs(since=since)


# --- when some fail -----------------------------------------------------------------------------------


@pytest.fixture
def half_gone(ws, shop):
    """A selection of two environments, of which one was deleted since."""
    selection = ws[f"{shop.project}/*"]
    staging = shop.environment_ids["staging"]
    shop.client.environments.delete(shop.project_id, staging)
    while any(item.id == staging for item in shop.client.environments.list(shop.project_id)):
        pass
    return selection


def test_what_failed_is_said_and_what_answered_is_there(ws, half_gone):
    with pytest.warns(PartialWarning, match=r"1 of 2 targets failed, such as [\w-]+/\w+: ") as caught:
        frame = half_gone.analytics.overall_requests()
    assert list(frame["environment"]) == ["production"]
    assert list(frame["complete"]) == [False]
    errors = ws.errors()
    assert list(errors["environment"]) == ["staging"]
    pd.testing.assert_frame_equal(caught[0].message.errors, errors)
    assert caught[0].filename == __file__


def test_strict_raises_with_the_frame_and_the_errors(half_gone):
    with pytest.raises(PartialAnswer) as raised:
        half_gone.analytics.overall_requests(strict=True)
    assert list(raised.value.frame["environment"]) == ["production"]
    assert len(raised.value.errors) == 1


def test_when_all_fail_the_error_of_the_first_is_raised(ws, shop):
    prod = ws[f"{shop.project}/production"]
    shop.client.environments.delete(shop.project_id, shop.environment_ids["production"])
    while len(shop.client.environments.list(shop.project_id)) > 1:
        pass
    with pytest.raises(NotFound):
        prod.analytics.rpm()


def test_errors_are_those_of_the_last_call(ws, half_gone):
    with pytest.warns(PartialWarning):
        half_gone.analytics.rpm()
    assert len(ws.errors()) == 1
    ws.environments()
    assert ws.errors().empty


# --- plans and the door -------------------------------------------------------------------------------


def test_a_plan_concerns_one_environment(ws, shop):
    for plan in ("plan_rollback", "plan_scale"):
        with pytest.raises(InvalidArgument, match="this selection has 2"):
            getattr(ws[f"{shop.project}/*"], plan)()


def test_plans_are_made_from_names(ws, prod, shop, tmp_path):
    shop.upload(1)
    shop.upload(2)
    (tmp_path / "main.py").write_text("print()")
    assert prod.plan_rollback().target == f"{shop.project}/production"
    assert prod.plan_assign(deployment="v1").deployment.version == "v1"
    assert prod.plan_scale(replicas=2).after["replicas"] == 2
    assert prod.plan_domain(f"{shop.project}.example.localhost").name == f"{shop.project}.example.localhost"
    assert ws.plan_deploy(shop.project, directory=tmp_path).project_id == shop.project_id
    for name in ("shop/production", "*", "nowhere"):
        with pytest.raises((InvalidArgument, NotFound)):
            ws.plan_deploy(name, directory=tmp_path)


def test_a_workspace_names_its_platform_and_never_its_key(ws, platform):
    key = platform.api_key().reveal()
    for shown in (repr(ws), ws._repr_html_(), ws.platform):
        assert platform.api_url in shown
        assert key not in shown


def test_connect_takes_the_settings_of_the_environment(platform, monkeypatch, shop):
    monkeypatch.setenv("CREATEOS_API_URL", platform.api_url)
    monkeypatch.setenv("CREATEOS_API_KEY_FILE", platform.key_file)
    ws = cos.connect()
    assert isinstance(ws, Workspace)
    assert shop.project in set(ws.projects()["project"])
    ws.api.close()


def test_connect_never_falls_back_to_an_embedded_platform(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(cos.errors.SettingsError, match=r"cos\.local\(\)"):
        cos.connect()


def test_local_finds_the_platform_that_runs(platform, shop):
    ws = cos.local(state=platform.state_dir)
    assert shop.project in set(ws.projects()["project"])
    ws.api.close()


def test_targets_are_facts_that_cannot_be_changed(prod):
    (target,) = prod.targets()
    with pytest.raises(dataclasses.FrozenInstanceError):
        target.project = None


def test_an_environment_that_several_keys_name_is_selected_once(ws, shop):
    one = f"{shop.project}/production"
    assert ws[[one, one.upper(), f"{shop.project}/prod*"]].name == one


def test_projects_whose_names_contain_each_other_are_told_apart(ws, client, shop):
    longer = f"{shop.project}-2"
    project_id = client.projects.create(
        unique_name=longer, display_name="Shop two", type="upload", settings=UploadSettings(port=8000)
    ).id
    client.environments.create(
        project_id,
        unique_name="production",
        display_name="Production",
        description=None,
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(),
    )
    keys = [f"{shop.project}/production", f"{longer}/production"]
    assert sorted(map(str, ws[keys].targets())) == sorted(keys)
    client.projects.delete(project_id)


def test_everything_of_a_new_account_is_nothing_and_no_mistake(tmp_path):
    with cos.local(state=tmp_path / "state", ephemeral=True).api as client:
        new = Workspace(client)
        assert len(new[:]) == 0
        assert new["*/*"].resources().empty
        assert list(new[:].analytics.summary()) == list(schema.SUMMARY.names)
        client.projects.create(
            unique_name="shop", display_name="Shop", type="upload", settings=UploadSettings(runtime="static")
        )
        assert len(new[:]) == 0
    service.stop(tmp_path / "state")
