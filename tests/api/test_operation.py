from __future__ import annotations

import inspect
from datetime import UTC, datetime

import pytest
from pydantic import BaseModel

from createos_nb.api import operation as module
from createos_nb.api.account import Quotas
from createos_nb.api.api_keys import APIKeys, NewAPIKey
from createos_nb.api.client import AsyncClient, Client
from createos_nb.api.deployments import Deployment, Deployments, SourceFile
from createos_nb.api.domains import Domain, Domains
from createos_nb.api.environments import Environments, EnvironmentSettings, Resources
from createos_nb.api.listing import Listing
from createos_nb.api.operation import OPERATIONS, operation
from createos_nb.api.projects import ImageSettings, Project, Projects, UploadSettings, VcsSettings, VcsSource
from createos_nb.api.secret import Secret
from createos_nb.api.wire import wire
from createos_nb.errors import BadRequest, InvalidArgument
from tests.api.played import nouns

URL = "http://127.0.0.1:1"


@pytest.fixture
def client():
    with Client(URL, api_key="k") as client:
        yield client


# --- the request --------------------------------------------------------------------------------------


def test_of_a_get_what_is_not_in_the_path_is_the_query():
    request = Projects.list.request(name="shop", status="active")
    assert (request.method, request.path, request.body) == ("GET", "/v1/projects", None)
    assert request.query == {"name": "shop", "status": "active", "limit": "20", "offset": "0"}


def test_a_marked_parameter_is_spelled_as_the_wire_spells_it():
    assert Deployments.logs.request("p", "d", since_seconds=60).query == {"since-seconds": "60"}


def test_of_other_methods_the_rest_is_the_body_in_camel_case():
    request = Environments.create.request(
        "p",
        unique_name="production",
        display_name="Production",
        description=None,
        resources=Resources(cpu=200, memory=500, replicas=1),
        settings=EnvironmentSettings(run_envs={"TOKEN": Secret("s3cret")}),
    )
    assert request.body == {
        "uniqueName": "production",
        "displayName": "Production",
        "description": None,
        "resources": {"cpu": 200, "memory": 500, "replicas": 1},
        "settings": {"runEnvs": {"TOKEN": "s3cret"}},
        "isAutoPromoteEnabled": False,
    }
    assert request.query == {}


def test_a_required_argument_is_sent_also_when_it_is_none_and_an_optional_one_is_not():
    assert Domains.update_environment.request("p", "d", environment_id=None).body == {"environmentId": None}
    assert Domains.create.request("p", name="a.example").body == {"name": "a.example"}


def test_an_operation_without_body_parameters_sends_no_body():
    assert Deployments.cancel.request("p", "d").body is None


def test_a_multipart_operation_sends_its_file_alone():
    request = Deployments.upload_zip.request("p", file=b"PK")
    assert (request.file, request.body, request.query) == (b"PK", None, {})


def test_a_request_shows_neither_its_values_nor_its_secrets():
    request = Environments.update_variables.request("p", "e", run_envs={"TOKEN": Secret("s3cret")})
    assert "s3cret" not in f"{request!r} {request!s}"
    assert str(request).startswith("UpdateProjectEnvironmentEnvironmentVariables (PUT /v1/projects/{project_id}/")


def test_a_map_of_variables_travels_in_clear():
    request = Environments.update_variables.request("p", "e", run_envs={"TOKEN": Secret("s3cret"), "PLAIN": "x"})
    assert request.body == {"runEnvs": {"TOKEN": "s3cret", "PLAIN": "x"}}


REPOSITORY = VcsSource(vcs_installation_id="1", vcs_repo_id="2")


@pytest.mark.parametrize(
    ("type", "settings", "source", "body"),
    [
        (
            *("upload", UploadSettings(runtime="python:3.12"), None),
            {"runtime": "python:3.12", "useBuildAI": False},
        ),
        ("image", ImageSettings(port=80), None, {"port": 80}),
        ("vcs", VcsSettings(ignore_branches=["x"]), REPOSITORY, {"ignoreBranches": ["x"]}),
        ("image", {"port": 80}, {}, {"port": 80}),
        ("vcs", {"ignoreBranches": ["x"]}, REPOSITORY, {"ignoreBranches": ["x"]}),
    ],
    ids=["upload", "image", "vcs", "image as a dict", "vcs as a dict"],
)
def test_each_kind_of_settings_keeps_its_own_fields(type, settings, source, body):
    request = Projects.create.request(
        unique_name="shop", display_name="Shop", type=type, settings=settings, source=source
    )
    assert request.body["settings"].items() >= body.items()
    assert ("source" in request.body) == (type == "vcs")


@pytest.mark.parametrize(
    ("type", "settings", "source", "said"),
    [
        ("upload", ImageSettings(port=80), None, "settings=ImageSettings is refused: .* takes UploadSettings"),
        ("upload", VcsSettings(), None, "settings=VcsSettings is refused"),
        ("vcs", UploadSettings(), REPOSITORY, "settings=UploadSettings is refused: .* takes VcsSettings"),
        ("vcs", VcsSettings(), None, "source is required for a project of type 'vcs'"),
        ("image", ImageSettings(port=80), REPOSITORY, "source is refused: only a project of type 'vcs' has one"),
        ("image", {"port": 0}, None, "port=0 is refused: it must be 1 to 65535"),
        ("image", {}, None, "port is required"),
    ],
    ids=["image for upload", "vcs for upload", "upload for vcs", "no source", "a source", "port", "no port"],
)
def test_settings_and_source_must_be_those_of_the_type(type, settings, source, said):
    with pytest.raises(InvalidArgument, match=f"CreateProject: {said}"):
        Projects.create.request(
            unique_name="shop", display_name="Shop", type=type, settings=settings, source=source
        )


@pytest.mark.parametrize(
    ("type", "read", "made"),
    [
        ("image", {"port": 80, "runtime": None, "hasDockerfile": False}, ImageSettings(port=80)),
        ("upload", {"runtime": "static", "buildFlags": None}, UploadSettings(runtime="static")),
        ("upload", {"runtime": None, "runEnvs": {}}, UploadSettings()),
    ],
)
def test_a_project_is_made_with_the_settings_that_another_was_read_with(type, read, made):
    settings = Project.model_validate(
        {
            **dict.fromkeys(("id", "uniqueName", "displayName"), "x"),
            "type": type,
            "status": "active",
            "createdAt": "2026-11-27T00:00:00Z",
            "settings": read,
        },
        context={"received": True},
    ).settings
    request = Projects.create.request(unique_name="copy", display_name="Copy", type=type, settings=settings)
    assert request.body["settings"] == wire(made, leave_out_none=True)


def test_what_is_said_of_a_repository_is_sent_also_when_it_is_empty():
    settings = VcsSettings(run_command="", ignore_branches=[])
    request = Projects.create.request(
        unique_name="shop", display_name="Shop", type="vcs", settings=settings, source=REPOSITORY
    )
    assert request.body["settings"].items() >= {"runCommand": "", "ignoreBranches": []}.items()


def test_what_another_type_has_no_place_for_is_not_left_out_in_silence():
    settings = VcsSettings(port=80, run_command="./serve")
    with pytest.raises(InvalidArgument, match="a project of type 'image' takes ImageSettings"):
        Projects.create.request(unique_name="copy", display_name="Copy", type="image", settings=settings)


def test_a_source_travels_in_camel_case():
    request = Projects.create.request(
        unique_name="shop",
        display_name="Shop",
        type="vcs",
        settings=VcsSettings(),
        source=VcsSource(vcs_installation_id="1", vcs_repo_id="2"),
    )
    assert request.body["source"] == {"vcsName": "github", "vcsInstallationId": "1", "vcsRepoId": "2"}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: Domains.create.request("p", name="x"), "name"),
        (lambda: Domains.create.request("p", name="a..example"), "name"),
        (lambda: Domains.create.request("p", name="-a.example"), "name"),
        (lambda: Domains.create.request("p", name="1.2.3.4"), "name"),
        (lambda: Projects.list.request(page_size=21), "page_size"),
        (lambda: Projects.list.request(page_size=0), "page_size"),
        (lambda: Projects.list.request(max_rows=0), "max_rows"),
        (lambda: Projects.list.request(status="sleeping"), "status"),
        (lambda: Projects.check_unique_name.request(unique_name="a b c"), "unique_name"),
        (lambda: Projects.check_unique_name.request(unique_name="shop\n"), "unique_name"),
        (lambda: Environments.update_resources.request("p", "e", cpu=200, memory=500, replicas=4), "replicas"),
        (lambda: Environments.update_resources.request("p", "e", cpu=199, memory=500, replicas=1), "cpu"),
        (lambda: Deployments.upload_files.request("p", files=[]), "files"),
        (lambda: Deployments.upload_files.request("p", files=[SourceFile(path="a", content="")] * 101), "files"),
        (lambda: Deployments.logs.request("p", "d", since_seconds=0), "since_seconds"),
        (
            lambda: Environments.update.request("p", "e", display_name="Production", description="Live, EU."),
            "description",
        ),
        (lambda: APIKeys.create.request(name="ci-key", expiry_at=datetime(2027, 1, 1)), "expiry_at"),  # noqa: DTZ001
    ],
)
def test_a_value_out_of_bounds_is_refused_before_any_request_and_named(call, field):
    with pytest.raises(InvalidArgument, match=rf"\b{field}\b"):
        call()


def test_a_refusal_is_one_sentence_with_the_value_and_the_bound():
    with pytest.raises(InvalidArgument) as raised:
        Environments.update_resources.request("p", "e", cpu=200, memory=500, replicas=4)
    assert str(raised.value) == ("UpdateProjectEnvironmentResources: replicas=4 is refused: it must be 1 to 3.")


def test_a_refusal_never_shows_a_variables_value():
    with pytest.raises(InvalidArgument) as raised:
        Environments.update_variables.request("p", "e", run_envs={"TOKEN": 12345678})
    assert "12345678" not in str(raised.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Projects.get.request(),
        lambda: Projects.get.request("p", "q"),
        lambda: Projects.list.request(nmae="shop"),
        lambda: Domains.create.request("p", "a.example"),
    ],
)
def test_a_misspelt_missing_or_positional_argument_is_a_type_error(call):
    with pytest.raises(TypeError):
        call()


# --- the method ---------------------------------------------------------------------------------------


def test_the_class_holds_the_declaration_and_the_instance_one_method(client):
    assert Deployments.get is OPERATIONS["GetDeployment"]
    assert client.deployments.get is client.deployments.get
    assert client.deployments.get.__qualname__ == "Deployments.get"
    assert client.deployments.get.__module__ == "createos_nb.api.deployments"


def test_shift_tab_shows_types_and_names_without_bounds(client):
    text = str(inspect.signature(client.projects.list))
    assert "self" not in text
    assert "Annotated" not in text
    assert "page_size: int = 20" in text
    assert "-> createos_nb.api.listing.Listing[createos_nb.api.projects.Project]" in text


def test_the_documentation_ends_with_the_endpoint_and_the_tool(client):
    assert inspect.getdoc(client.deployments.get).endswith(
        "REST: GET /v1/projects/{project_id}/deployments/{deployment_id}. MCP tool: GetDeployment."
    )
    assert "raise NotImplementedError" in inspect.getsource(client.deployments.get)


@pytest.mark.anyio
async def test_both_colours_have_the_same_nouns_methods_and_signatures(client):
    async with AsyncClient(URL, api_key="k") as awaiting:
        assert nouns(client).keys() == nouns(awaiting).keys()
        for noun, blocking_noun in nouns(client).items():
            awaiting_noun = getattr(awaiting, noun)
            methods = {name for name in dir(blocking_noun) if not name.startswith("_")}
            assert methods == {name for name in dir(awaiting_noun) if not name.startswith("_")}
            for name in methods - {"run"}:
                one, other = getattr(blocking_noun, name), getattr(awaiting_noun, name)
                assert inspect.signature(one) == inspect.signature(other)
                assert inspect.getdoc(one) == inspect.getdoc(other)


def test_every_declared_operation_is_a_method_of_the_client(client):
    reachable = {
        declared.name
        for noun in nouns(client).values()
        for kind in type(noun).__mro__
        for declared in vars(kind).values()
        if isinstance(declared, module.Operation)
    }
    assert reachable == set(OPERATIONS)


# --- the declaration ----------------------------------------------------------------------------------


def test_an_operation_is_declared_once():
    with pytest.raises(TypeError, match="declared twice"):

        @operation("GetProject", "GET", "/v1/projects/{project_id}")
        def get(self, project_id: str) -> str:
            raise NotImplementedError


def test_only_a_get_may_leave_its_safety_to_the_method():
    with pytest.raises(TypeError, match="safety="):
        operation("PurchaseSomething", "POST", "/v1/purchases")


def test_what_a_put_creates_is_never_called_idempotent():
    creating = {name for name, declared in OPERATIONS.items() if declared.safety == "creates"}
    assert creating == {
        "CreateProject",
        "CreateProjectEnvironment",
        "UploadDeploymentFiles",
        "UploadDeploymentZip",
        "CreateAPIKey",
        "CreateDomain",
        "UploadDeploymentBase64Files",
        "CreateDeployment",
        "TriggerLatestDeployment",
        "RetriggerDeployment",
        "GetProjectTransferUri",
        "CreateApp",
        "InstallGithubApp",
        "TriggerSecurityScan",
        "RetriggerSecurityScan",
        "CreateCronjob",
        "CreateProjectTemplate",
        "BuyProjectTemplate",
        "DeployProjectTemplateViaGithub",
    }
    changing = {name for name, d in OPERATIONS.items() if d.method == "GET" and d.safety != "read"}
    assert changing == {"GetProjectTransferUri", "TransferProject"}
    assert [name for name, declared in OPERATIONS.items() if declared.costs] == ["BuyProjectTemplate"]
    assert {d.safety for d in OPERATIONS.values() if d.method == "DELETE"} == {"destroys"}


# --- the platform's side ------------------------------------------------------------------------------

PATH = {"project_id": "p", "environment_id": "e"}
RESOURCES = OPERATIONS["UpdateProjectEnvironmentResources"]


def test_what_a_request_sends_is_received_as_the_same_arguments():
    given = {
        "unique_name": "production",
        "display_name": "Production",
        "description": "Live EU",
        "resources": Resources(cpu=200, memory=500, replicas=1),
        "settings": EnvironmentSettings(run_envs={"TOKEN": Secret("s3cret")}),
        "branch": None,
        "is_auto_promote_enabled": True,
    }
    sent = Environments.create.request("p", **given)
    assert Environments.create.receive({"project_id": "p"}, sent.query, sent.body) == {"project_id": "p", **given}


def test_a_file_is_received_as_its_bytes():
    assert Deployments.upload_zip.receive({"project_id": "p"}, {}, b"PK") == {"project_id": "p", "file": b"PK"}


@pytest.mark.parametrize(
    ("query", "limit", "offset"), [({}, 10, 0), ({"limit": "20", "offset": "40"}, 20, 40), ({"offset": "3"}, 10, 3)]
)
def test_a_page_is_received_as_limit_and_offset(query, limit, offset):
    received = Deployments.list.receive({"project_id": "p"}, query, None)
    assert received == {"project_id": "p", "limit": limit, "offset": offset}


@pytest.mark.parametrize(
    ("declared", "path", "query", "body"),
    [
        (RESOURCES, PATH, {}, None),
        (RESOURCES, PATH, {}, []),
        (RESOURCES, PATH, {}, {}),
        (RESOURCES, PATH, {}, {"cpu": 200, "memory": 500}),
        (RESOURCES, PATH, {}, {"cpu": 200, "memory": 500, "replicas": 9}),
        (RESOURCES, PATH, {}, {"cpu": "x", "memory": 500, "replicas": 1}),
        (Projects.list, {}, {"limit": "21"}, None),
        (Projects.list, {}, {"limit": "x"}, None),
        (Projects.list, {}, {"offset": "-1"}, None),
        (Projects.list, {}, {"offset": "9" * 13}, None),
        (Projects.list, {}, {"offset": "²"}, None),
        (Projects.list, {}, {"name": "a" * 101}, None),
        (Deployments.upload_zip, {"project_id": "p"}, {}, None),
        (Deployments.upload_files, {"project_id": "p"}, {}, {"files": [{"path": "a"}]}),
        (Environments.logs, PATH, {"since-seconds": "0"}, None),
    ],
)
def test_what_does_not_fit_the_declaration_is_a_bad_request_of_one_sentence(declared, path, query, body):
    with pytest.raises(BadRequest) as raised:
        declared.receive(path, query, body)
    assert raised.value.status == 400
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_unknown_fields_are_ignored_as_newer_clients_may_send_them():
    received = RESOURCES.receive(PATH, {"x": "1"}, {"cpu": 200, "memory": 500, "replicas": 1, "gpu": 1})
    assert set(received) == {"project_id", "environment_id", "cpu", "memory", "replicas"}


def test_an_answer_travels_in_camel_case_with_secrets_in_clear():
    assert wire(NewAPIKey(id="1", secret=Secret("skp_1"))) == {"id": "1", "secret": "skp_1"}
    assert wire([Domain(id="1", project_id="p", name="a.example", status="x", created_at=AT)]) == [
        {
            "id": "1",
            "projectId": "p",
            "name": "a.example",
            "status": "x",
            "environmentId": None,
            "message": None,
            "failedVerificationCount": 0,
            "lastFailedVerifiedAt": None,
            "createdAt": "2026-11-23T12:00:00.000000Z",
            "deletingAt": None,
            "domainCertificateId": None,
        }
    ]


AT = datetime(2026, 11, 23, 12, tzinfo=UTC)

# --- the models ---------------------------------------------------------------------------------------


def test_an_unknown_status_and_an_unknown_field_are_kept():
    wire = {"id": "1", "projectId": "p", "status": "dreaming", "createdAt": "2026-11-23T12:00:00Z", "newField": 1}
    deployment = Deployment.model_validate(wire)
    assert deployment.status == "dreaming"
    assert deployment.wire()["newField"] == 1


@pytest.mark.parametrize(
    "text",
    ["2026-11-23T12:00:00Z", "2026-11-23T13:00:00+01:00", "2026-11-23T12:00:00", "2026-11-23T12:00:00.000000999Z"],
)
def test_times_are_aware_utc_whatever_the_server_is_written_in(text):
    deployment = Deployment(id="1", project_id="p", status="queue", created_at=text)
    assert deployment.created_at == AT
    assert deployment.created_at.utcoffset().total_seconds() == 0


def test_both_spellings_of_the_documentation_are_read():
    assert Quotas.model_validate(
        {"projects": {"used": 1, "limit": 2}, "apiKeys": {"current": 3, "max": 4, "remaining": 1}}
    ).projects.model_dump() == {"current": 1, "max": 2}
    assert NewAPIKey.model_validate({"id": "1", "key": "skp_1"}).secret == Secret("skp_1")


def test_a_listing_is_a_sequence_that_says_when_it_is_short():
    listing = Listing(range(12), complete=False, total=30)
    assert (len(listing), listing[0], listing[-1], list(listing[:2]), 11 in listing) == (12, 0, 11, [0, 1], True)
    assert repr(listing).splitlines()[0] == "Listing of 12 of 30, incomplete, the first 10 shown"
    assert repr(listing).splitlines()[1:4] == ["value", "0", "1"]


def test_every_arguments_model_hides_its_input_in_its_errors():
    for declared in OPERATIONS.values():
        assert issubclass(declared.arguments_model, BaseModel)
        assert declared.arguments_model.model_config["hide_input_in_errors"]
