"""What is said of a change that got no answer, against the real platform, with the answer really lost."""

from __future__ import annotations

import base64
import io
import pickle
import secrets
import time
import zipfile
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from createos_nb.api.budget import UPLOADS
from createos_nb.api.client import AsyncClient, Client
from createos_nb.api.deployments import EncodedFile, SourceFile
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.api.message import Response, Unanswered
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.projects import UploadSettings
from createos_nb.api.reconciliation import READBACK, UNREADABLE, reconciled
from createos_nb.api.secret import Secret
from createos_nb.api.uploaded import kept
from createos_nb.errors import InvalidArgument, OutcomeUnknown
from tests.api.played import Played, response


class Losing:
    """Stands between a driver and its transport: one request gets lost before it arrives, or its answer after."""

    name = "rest"

    def __init__(self, transport):
        self._transport = transport
        self.lose = {}
        self.arrived = []

    def check(self, request):
        """Refuse nothing."""

    def send(self, request):
        when = self.lose.get(request.operation)
        if when == "before":
            raise Unanswered("ReadTimeout")
        response = self._transport.send(request)
        self.arrived.append(request.operation)
        if when == "after":
            raise Unanswered("ReadTimeout")
        return response

    def close(self):
        self._transport.close()


@pytest.fixture
def losing(platform, monkeypatch):
    """A client whose line fails, and the line."""
    monkeypatch.setattr("createos_nb.api.reconciliation.SETTLES_S", 0.0)
    with Client(platform.api_url, api_key=platform.api_key()) as client:
        line = client._driver.transport = Losing(client._driver.transport)
        yield client, line


def test_every_change_is_read_back_or_says_why_it_cannot_be():
    changes = {name for name, declared in OPERATIONS.items() if declared.safety != "read"}
    assert set(READBACK) | set(UNREADABLE) | UPLOADS == changes
    assert set(READBACK) & set(UNREADABLE) == set(READBACK) & UPLOADS == set()
    assert all(sentence.endswith(".") or "money" in sentence for sentence in UNREADABLE.values())


def zipped(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return data.getvalue()


def another(client):
    """A project that is there to be deleted."""
    name = f"gone-{secrets.token_hex(4)}"
    return client.projects.create(
        unique_name=name, display_name="Gone", type="upload", settings=UploadSettings()
    ).id


def changes(client, shop):
    """Changes of every kind that a line can lose, by the operation."""
    name = secrets.token_hex(4)
    environment = shop.environment_ids["staging"]
    return {
        "CreateProject": lambda: client.projects.create(
            unique_name=f"lost-{name}", display_name="Lost", type="upload", settings=UploadSettings()
        ),
        "CreateProjectEnvironment": lambda: client.environments.create(
            shop.project_id,
            unique_name=f"lost-{name}",
            display_name="Lost",
            description="It got lost",
            resources=Resources(cpu=200, memory=500, replicas=1),
            settings=EnvironmentSettings(),
        ),
        "CreateDomain": lambda: client.domains.create(shop.project_id, name=f"{name}.localhost"),
        "CreateApp": lambda: client.apps.create(name=f"lost-{name}"),
        "UploadDeploymentFiles": lambda: client.deployments.upload_files(
            shop.project_id, files=[SourceFile(path=path, content=text) for path, text in shop.files().items()]
        ),
        "UploadDeploymentBase64Files": lambda: client.deployments.upload_base64_files(
            shop.project_id,
            files=[
                EncodedFile(path=path, content=base64.b64encode(text.encode()).decode())
                for path, text in shop.files().items()
            ],
        ),
        "UploadDeploymentZip": lambda: client.deployments.upload_zip(shop.project_id, file=zipped(shop.files())),
        "UpdateProjectEnvironmentEnvironmentVariables": lambda: client.environments.update_variables(
            shop.project_id, environment, run_envs={"NAME": name}
        ),
        "UpdateProjectEnvironmentResources": lambda: client.environments.update_resources(
            shop.project_id, environment, cpu=300, memory=600, replicas=1
        ),
        "DeleteProjectEnvironment": lambda: client.environments.delete(shop.project_id, environment),
        "DeleteProject": lambda: client.projects.delete(another(client)),
    }


NAMES = list(changes(None, type("Shop", (), {"environment_ids": {"staging": ""}})()))


@pytest.mark.parametrize("operation", NAMES)
@pytest.mark.parametrize(("lost", "outcome"), [("before", "not applied"), ("after", "applied")])
def test_a_lost_change_is_told_from_a_lost_answer(losing, shop, operation, lost, outcome, monkeypatch):
    client, line = losing
    monkeypatch.setattr("createos_nb.api.driver.time.sleep", lambda _seconds: None)
    line.lose = {operation: lost}
    with pytest.raises(OutcomeUnknown, match=r"error\.reconcile\(\)") as raised:
        changes(client, shop)[operation]()
    sent = list(line.arrived)
    line.lose = {}
    verdict = raised.value.reconcile()
    assert verdict.outcome == outcome, verdict
    assert verdict.evidence.endswith(".")
    read_back = line.arrived[len(sent) :]
    assert {OPERATIONS[name].safety for name in read_back} == {"read"}
    if lost == "after" and operation in UPLOADS:
        assert verdict.found == client.deployments.list(shop.project_id)[0].id
    if (lost, operation) == ("after", "CreateProject"):
        client.projects.delete(verdict.found)


@pytest.mark.parametrize("operation", sorted(UPLOADS))
@pytest.mark.parametrize(("lost", "outcome"), [("before", "not applied"), ("after", "applied")])
def test_an_upload_is_told_from_another_of_the_same_size_at_the_same_time(losing, shop, operation, lost, outcome):
    client, line = losing
    others = [SourceFile(path=path, content=text[::-1]) for path, text in shop.files().items()]
    client.deployments.upload_files(shop.project_id, files=others)
    line.lose = {operation: lost}
    with pytest.raises(OutcomeUnknown) as raised:
        changes(client, shop)[operation]()
    line.lose = {}
    verdict = raised.value.reconcile()
    assert verdict.outcome == outcome, verdict
    assert verdict.found == (client.deployments.list(shop.project_id)[0].id if lost == "after" else None)


def test_an_upload_whose_content_cannot_be_read_stays_unknown(losing, shop):
    client, line = losing
    line.lose = {"UploadDeploymentZip": "after"}
    with pytest.raises(OutcomeUnknown) as raised:
        changes(client, shop)["UploadDeploymentZip"]()
    send, line.lose = line.send, {}

    def refused(request):
        if request.operation == "DownloadDeployment":
            return Response(404, {}, b'{"status": "fail", "data": "gone"}')
        return send(request)

    line.send = refused
    verdict = raised.value.reconcile()
    assert verdict.outcome == "unknown"
    assert "cannot be read" in verdict.evidence


def test_what_an_upload_became_is_never_fetched_over_plain_http_from_another_host(monkeypatch):
    monkeypatch.setattr(httpx, "Client", None)
    assert kept(Secret("http://files.example/archive.zip")) is None


def test_two_uploads_of_the_same_content_cannot_be_told_apart(losing, shop):
    client, line = losing
    files = [SourceFile(path=path, content=text) for path, text in shop.files().items()]
    client.deployments.upload_files(shop.project_id, files=files)
    line.lose = {"UploadDeploymentFiles": "after"}
    with pytest.raises(OutcomeUnknown) as raised:
        client.deployments.upload_files(shop.project_id, files=files)
    line.lose = {}
    verdict = raised.value.reconcile()
    assert (verdict.outcome, verdict.found) == ("unknown", None)
    assert "2 deployments of this content are new" in verdict.evidence


NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
REPEATED = {
    "id": "d-old",
    "projectId": "p",
    "status": "deployed",
    "versionNumber": 7,
    "createdAt": "2026-11-20T12:00:00Z",
}


def read_back(operation, arguments, new):
    """The verdict on a call that was begun 10 s before noon, when somebody looks at noon."""
    asked = OPERATIONS[operation].request(*arguments[0], **arguments[1])
    commit = {"branch": "main", "commit": "aaa"}
    rows = [{**REPEATED, "source": commit}]
    for number, (before_s, source) in enumerate(new, 8):
        created_at = (NOON - timedelta(seconds=before_s)).isoformat()
        rows.insert(
            0, {**REPEATED, "id": f"d-{number}", "versionNumber": number, "createdAt": created_at, "source": source}
        )
    user = {"id": "u", "username": "ada", "createdAt": "2026-11-20T12:00:00Z"}
    listed = {"data": rows, "pagination": {"total": len(rows)}}
    said = {"GetCurrentUser": user, "GetDeployment": rows[-1], "ListDeployments": listed}

    def answer(request):
        data = {"status": "success", "data": said[request.operation]}
        return response(200, data, date=format_datetime(NOON, usegmt=True))

    played = Played(reconciled(asked, 990.0, 995.0), answer)
    assert played.error is None, played.error
    return played.value


AGAIN = ("RetriggerDeployment", (("p", "d-old"), {}))
LATEST = ("TriggerLatestDeployment", (("p",), {}))
OF_MAIN = ("TriggerLatestDeployment", (("p",), {"branch": "main"}))


@pytest.mark.parametrize(
    ("call", "new", "outcome"),
    [
        (AGAIN, [], "not applied"),
        (AGAIN, [(5, {"branch": "main", "commit": "aaa"})], "applied"),
        (AGAIN, [(60, {"branch": "main", "commit": "aaa"})], "not applied"),
        (AGAIN, [(5, {"branch": "feature", "commit": "bbb"})], "not applied"),
        (LATEST, [], "not applied"),
        (LATEST, [(5, {"branch": "feature", "commit": "bbb"})], "unknown"),
        (LATEST, [(60, {"branch": "main", "commit": "bbb"})], "not applied"),
        (OF_MAIN, [(5, {"branch": "main", "commit": "bbb"})], "applied"),
        (OF_MAIN, [(5, {"branch": "feature", "commit": "bbb"})], "not applied"),
    ],
)
def test_a_colleagues_push_is_not_taken_for_a_call_that_never_arrived(call, new, outcome):
    assert read_back(*call, new).outcome == outcome


def test_what_was_made_before_the_call_was_begun_is_not_its(losing, shop):
    client, line = losing
    name = f"twice-{secrets.token_hex(4)}"
    client.api_keys.create(name=name, description="of somebody else", expiry_at=NOON + timedelta(days=900))
    time.sleep(2.1)  # The platform tells whole seconds.
    line.lose = {"CreateAPIKey": "before"}
    with pytest.raises(OutcomeUnknown) as raised:
        client.api_keys.create(name=name, description="mine", expiry_at=NOON + timedelta(days=900))
    line.lose = {}
    verdict = raised.value.reconcile()
    assert (verdict.outcome, verdict.found) == ("unknown", None), verdict


def test_what_cannot_be_read_back_says_what_to_do(losing, shop):
    client, line = losing
    line.lose = {"GetProjectTransferUri": "after"}
    with pytest.raises(OutcomeUnknown) as raised:
        client.projects.transfer_uri(shop.project_id)
    verdict = raised.value.reconcile()
    assert verdict.outcome == "unknown"
    assert "Make another one" in verdict.evidence


@pytest.mark.anyio
async def test_the_awaiting_colour_awaits_it(platform, client, monkeypatch):
    monkeypatch.setattr("createos_nb.api.reconciliation.SETTLES_S", 0.0)
    project_id = another(client)
    async with AsyncClient(platform.api_url, api_key=platform.api_key()) as client:
        send = client._driver.transport.send

        async def losing(request):
            await send(request)
            raise Unanswered("ReadTimeout")

        client._driver.transport.send = losing
        with pytest.raises(OutcomeUnknown) as raised:
            await client.projects.delete(project_id)
        client._driver.transport.send = send
        verdict = await raised.value.reconcile()
        assert verdict.outcome == "applied"


def test_an_error_that_went_to_another_process_says_that_it_lost_its_client():
    error = pickle.loads(pickle.dumps(OutcomeUnknown("It may have happened.", operation="CreateApp")))
    assert (str(error), error.operation) == ("It may have happened.", "CreateApp")
    with pytest.raises(InvalidArgument, match="has lost its client"):
        error.reconcile()
