"""A vcs project's environment follows a branch, an image project's has none: refused before anything is made."""

from __future__ import annotations

import pytest

from createos_nb.api.client import Client
from createos_nb.api.environments import EnvironmentSettings, Resources
from createos_nb.errors import InvalidArgument, NotFound
from tests.api.played import Played, response, success

PROJECT = {"id": "p", "uniqueName": "shop", "displayName": "Shop", "createdAt": "2026-11-24T12:00:00Z"}


@pytest.fixture
def create():
    def played(type, branch):
        project = {**PROJECT, "type": type, "status": "active", "settings": {}}
        exchange = type_of.create.exchange(
            "p",
            unique_name="production",
            display_name="Production",
            description=None,
            resources=Resources(cpu=200, memory=500, replicas=1),
            settings=EnvironmentSettings(),
            branch=branch,
        )
        return Played(exchange, lambda request: success(project if request.method == "GET" else {"id": "e"}))

    with Client("http://127.0.0.1:1", api_key="skp_x") as client:
        type_of = type(client.environments)
        yield played


@pytest.mark.parametrize(("type", "branch"), [("vcs", "main"), ("image", None), ("upload", None), ("new", "x")])
def test_what_fits_the_project_is_sent(create, type, branch):
    played = create(type, branch)
    assert played.value.id == "e"
    assert [request.operation for request in played.requests] == ["GetProject", "CreateProjectEnvironment"]


@pytest.mark.parametrize(
    ("type", "branch", "said"),
    [("vcs", None, "branch is required: shop is a vcs"), ("image", "main", "branch='main' is refused: shop is an")],
)
def test_what_does_not_is_refused_and_nothing_is_made(create, type, branch, said):
    played = create(type, branch)
    assert isinstance(played.error, InvalidArgument)
    assert said in str(played.error)
    assert [request.operation for request in played.requests] == ["GetProject"]


def test_a_project_that_is_not_there_is_said_to_be_so(create, monkeypatch):
    played = create("vcs", "main")
    assert played.error is None
    with Client("http://127.0.0.1:1", api_key="skp_x") as client:
        exchange = type(client.environments).create.exchange(
            "p",
            unique_name="production",
            display_name="Production",
            description=None,
            resources=Resources(cpu=200, memory=500, replicas=1),
            settings=EnvironmentSettings(),
        )
    missing = Played(exchange, lambda _request: response(404, {"status": "fail", "data": "no such project"}))
    assert isinstance(missing.error, NotFound)
    assert missing.error.operation == "GetProject"
