"""What a person gets wrong is refused in one sentence before anything is sent, and what a platform does is read."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from createos_nb import errors
from createos_nb.api.analytics import AnalyticsOperations as Analytics
from createos_nb.api.apps import Apps
from createos_nb.api.client import AsyncClient, Client
from createos_nb.api.cronjobs import Cronjob, Cronjobs, HttpCall
from createos_nb.api.deployments import Deployments, EncodedFile, SourceFile
from createos_nb.api.environments import Environment, Environments, EnvironmentSettings, Resources
from createos_nb.api.model import RECEIVED
from createos_nb.api.projects import ImageSettings, Project, Projects, UploadSettings
from createos_nb.api.secret import Secret
from createos_nb.errors import BadRequest, InvalidArgument
from tests.api.played import Played, response, success

PROJECT = {"unique_name": "shop", "display_name": "Shop", "type": "upload"}
ENVIRONMENT = {
    "unique_name": "production",
    "display_name": "Production",
    "description": None,
    "resources": {"cpu": 200, "memory": 500, "replicas": 1},
}
JOB = {"name": "nightly", "type": "http", "environment_id": "e"}

REFUSED = {
    # a misspelt name
    "misspelt": (
        lambda: UploadSettings(runtme="python:3.12"),
        "UploadSettings has no runtme; did you mean runtime",
    ),
    "variables misspelt": (
        lambda: UploadSettings(run_env={"P": "s3cret"}),
        "has no run_env; did you mean run_envs",
    ),
    "in a dict": (
        lambda: Environments.create.request("p", **ENVIRONMENT, settings={"runEnv": {"P": "s3cret"}}),
        "CreateProjectEnvironment: EnvironmentSettings has no runEnv; did you mean runEnvs",
    ),
    "of another type": (
        lambda: Projects.create.request(**PROJECT, settings={"ignoreBranches": ["x"]}),
        "CreateProject: UploadSettings has no ignoreBranches",
    ),
    "of an image": (lambda: ImageSettings(port=80, prot=3), "has no prot; did you mean port"),
    "option": (lambda: Projects.list.request(limit=5), "ListProjects: .*'limit'.* It takes .*page_size"),
    # out of bounds
    "cpu": (
        lambda: Resources(cpu=501, memory=500, replicas=1),
        "Resources: cpu=501 is refused: it must be 200 to 500",
    ),
    "half a millicore": (
        lambda: Environments.update_resources.request("p", "e", cpu=250.5, memory=512, replicas=1),
        r"cpu=250\.5 is refused: it must be a whole number, 200 to 500",
    ),
    "a text for a number": (
        lambda: Environments.update_resources.request("p", "e", cpu="300", memory=512, replicas=1),
        "cpu='300' is refused: it must be a whole number, not a text, 200 to 500",
    ),
    "None for a number": (
        lambda: Environments.update_resources.request("p", "e", cpu=None, memory=512, replicas=1),
        "cpu=None is refused: it must be a whole number, 200 to 500",
    ),
    "parts of a second": (
        lambda: Analytics.summary.request("p", "e", start=1_795_810_784.49),
        r"start=1795810784\.49 is refused: it must be a whole number, .*unix seconds such as int\(time",
    ),
    "a datetime for a second": (
        lambda: Analytics.summary.request("p", "e", start=datetime(2026, 11, 27, tzinfo=UTC)),
        r"start=2026-11-27 00:00:00\+00:00 is refused: it must be a whole number, .*int\(t\.timestamp",
    ),
    "one file as a dict": (
        lambda: Deployments.upload_files.request("p", files={"main.py": "x"}),
        "files is refused: it must be a list, 1 to 100",
    ),
    "port": (lambda: UploadSettings(port="abc"), "UploadSettings: port='abc' is refused"),
    "bool": (
        lambda: Resources(cpu=200, memory=500, replicas=True),
        "replicas=True is refused",
    ),
    "101 files": (
        lambda: Deployments.upload_files.request("p", files=[SourceFile(path="a", content="")] * 101),
        "files of 101 is refused: there must be 1 to 100",
    ),
    "number as a variable": (
        lambda: Environments.update_variables.request("p", "e", run_envs={"PORT": 80}),
        r"run_envs\.PORT is refused: it must be text",
    ),
    "no image": (lambda: Deployments.create.request("p", image=""), "image='' is refused: it must be 1 to 1024"),
    "no deployment": (
        lambda: Environments.assign_deployment.request("p", "e", deployment_id=""),
        "deployment_id=''",
    ),
    "blank id": (lambda: Projects.get.request(" "), "project_id=' ' is not an id"),
    "no base64": (lambda: EncodedFile(path="a", content="not base64!"), "base64"),
    "path": (lambda: SourceFile(path="../../etc/passwd", content=""), "it must be relative"),
    "name of an archive": (lambda: Deployments.upload_zip.request("p", file="app.zip"), "read_bytes"),
    "large archive": (lambda: Deployments.upload_zip.request("p", file=bytes(50_000_001)), "50,000,001 bytes"),
    **{
        f"cron {schedule}": (
            lambda schedule=schedule: Cronjobs.create.request("p", **JOB, schedule=schedule),
            f"schedule=.* is refused: .*{said}",
        )
        for schedule, said in {
            "99 99 99 99 99": "bad minute",
            "61 * * * *": "bad minute",
            "0 25 * * *": "bad hour",
            "0 0 30 2 *": "bad day-of-month",
            "* * * *": "five fields",
            "* * * * * *": "five fields",
            "every minute": "five fields",
        }.items()
    },
}


@pytest.mark.parametrize(("call", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_is_refused_and_named_before_anything_is_sent(call, said):
    with pytest.raises((InvalidArgument, TypeError), match=said) as raised:
        call()
    assert "s3cret" not in str(raised.value)
    assert "pydantic" not in str(raised.value)


@pytest.mark.parametrize("schedule", ["0 3 * * 1-5", "*/5 * * * *", "0 0 L * *", "0 0 ? * MON", "0 0 15W * *"])
def test_what_runs_at_some_time_is_a_schedule(schedule):
    request = Cronjobs.create.request("p", **JOB, schedule=schedule, settings=HttpCall(path="/", method="GET"))
    assert request.body["schedule"] == schedule


def test_a_client_and_a_platform_refuse_a_misspelt_name_alike():
    body = {"uniqueName": "shop", "displayName": "Shop", "type": "upload", "settings": {"runtme": "x"}}
    with pytest.raises(BadRequest, match="UploadSettings has no runtme"):
        Projects.create.receive({}, {}, body)


# --- masks are not values -----------------------------------------------------------------------------

HELD = Environment(
    id="e",
    project_id="p",
    unique_name="production",
    display_name="Production",
    status="active",
    settings=EnvironmentSettings(run_envs={"DB_PASSWORD": Secret("s3cret"), "PLAIN": Secret("x")}),
    created_at="2026-11-23T12:00:00Z",
)


@pytest.mark.parametrize(
    "loaded",
    [
        lambda: pickle.loads(pickle.dumps(HELD)),
        lambda: Environment.model_validate_json(HELD.model_dump_json()),
        lambda: Environment.model_validate(HELD.model_dump(mode="json")),
    ],
    ids=["pickle", "json", "values"],
)
def test_what_is_shown_of_a_secret_is_never_sent_in_its_place(loaded):
    settings = loaded().settings
    with pytest.raises(InvalidArgument, match=r"run_envs\.DB_PASSWORD is refused: it is what is shown of a secret"):
        Environments.update_variables.request("p", "e", run_envs=settings.run_envs)
    with pytest.raises(InvalidArgument, match=r"settings\.run_envs\.DB_PASSWORD is refused"):
        Environments.create.request("p", **ENVIRONMENT, settings=settings)
    assert Environments.update_variables.request("p", "e", run_envs=HELD.settings.run_envs).body["runEnvs"] == {
        "DB_PASSWORD": "s3cret",
        "PLAIN": "x",
    }


def test_a_header_of_a_cron_job_is_in_no_refusal():
    with pytest.raises(InvalidArgument) as raised:
        HttpCall(path="/", method="GET", headers={"Authorization": "Bearer hunter2\ud800"})
    assert "hunter2" not in str(raised.value)
    assert "no UTF-8" in str(raised.value)


def test_what_a_cron_job_sends_is_masked_whatever_its_shape():
    settings = {"path": "/x", "headers": {"Authorization": "Bearer hunter2", "X": 1}, "more": [1]}
    row = {"id": "j", "projectId": "p", "environmentId": "e", "name": "n", "schedule": "0 3 * * *", "type": "http"}
    job = Cronjob.model_validate(
        {**row, "status": "active", "settings": settings, "createdAt": "2026-11-27T12:00:00Z"}
    )
    assert "hunter2" not in f"{job!r}{job.model_dump()}{job.model_dump_json()}"
    assert job.settings["path"] == "/x"
    assert job.wire()["settings"] == settings
    odd = Cronjob.model_validate({**job.wire(), "settings": {"headers": "none"}})
    assert odd.settings == {"headers": "none"}


# --- what a platform answers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        ({"hasDockerfile": None}, {"has_dockerfile": False}),
        ({"port": "", "runtime": "x"}, {"port": None, "runtime": "x"}),
        ({"buildFlags": [], "newField": 1}, {"build_flags": None, "newField": 1}),
        ({"runEnvs": {"A": None, "PORT": 8080}}, {"run_envs": {"A": Secret(""), "PORT": Secret("8080")}}),
        ([], {"run_envs": None}),
    ],
    ids=["null", "empty", "another kind", "variables", "no object"],
)
def test_an_odd_value_of_a_setting_leaves_its_list_readable(settings, read):
    data = {
        "id": "p",
        "uniqueName": "shop",
        "displayName": "Shop",
        "type": "upload",
        "status": "active",
        "settings": settings,
        "createdAt": "2026-11-23T12:00:00Z",
    }
    project = Project.model_validate(data, context=RECEIVED)
    assert {name: getattr(project.settings, name) for name in read} == read


def test_a_setting_that_cannot_be_read_is_not_taken_for_none():
    data = {
        "id": "e",
        "projectId": "p",
        "uniqueName": "live",
        "displayName": "Live",
        "status": "active",
        "settings": {"runEnvs": "A=B"},
        "createdAt": "2026-11-23T12:00:00Z",
    }
    with pytest.raises(ValueError, match="runEnvs"):
        Environment.model_validate(data, context=RECEIVED)


# --- what may have happened ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (response(500, {"status": "error", "message": "boom"}), errors.OutcomeUnknown),
        (response(503, b"busy"), errors.OutcomeUnknown),
        (response(500, {"status": "fail", "data": "the name is taken"}), errors.ServerError),
        (response(501, b""), errors.ServerError),
        (response(200, b'{"status": "success", "da'), errors.OutcomeUnknown),
        (response(200, {"status": "success", "data": {"app": "x"}}), errors.OutcomeUnknown),
        (response(302, b"", location="/login"), errors.UnexpectedResponse),
    ],
    ids=["error", "no envelope", "fail", "not implemented", "truncated", "another shape", "redirect"],
)
def test_a_change_whose_answer_does_not_say_that_it_was_refused_may_have_happened(answer, kind):
    played = Played(Apps.create.exchange(name="shop"), lambda _request: answer)
    assert type(played.error) is kind
    assert (played.error.operation, played.error.status) == ("CreateApp", answer.status)
    assert ("may have happened" in str(played.error)) == (kind is errors.OutcomeUnknown)


# --- the client's own options -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "options",
    [
        *({"timeout_s": value} for value in ("30", -1, 0, float("nan"), float("inf"), True, None)),
        *({"patience_s": value} for value in ("5", -1, float("nan"), None)),
    ],
    ids=str,
)
def test_a_time_that_is_none_is_refused_when_the_client_is_made(kind, options):
    (name,) = options
    with pytest.raises(InvalidArgument, match=f"{name}=.* is refused: it must be"):
        kind("http://127.0.0.1:1", api_key="skp_x", **options)


@pytest.mark.parametrize("branch", [None, "main"])
@pytest.mark.parametrize("type", ["image", "vcs"])
def test_the_branch_of_an_image_projects_environment_is_not_changed(type, branch):
    project = {"id": "p", "uniqueName": "shop", "displayName": "Shop", "type": type, "status": "active"}
    project["createdAt"] = "2026-11-24T12:00:00Z"
    exchange = Environments.update.exchange("p", "e", display_name="Live", description="Live EU", branch=branch)
    played = Played(exchange, lambda request: success(project if request.method == "GET" else "updated"))
    sent = [request.operation for request in played.requests]
    if type == "image" and branch:
        assert isinstance(played.error, InvalidArgument)
        assert "UpdateProjectEnvironment: branch='main' is refused: shop is an image project" in str(played.error)
        assert sent == ["GetProject"]
    else:
        assert played.value == "updated"
        assert sent == ["GetProject"] * (branch is not None) + ["UpdateProjectEnvironment"]
