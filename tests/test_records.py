"""Records: the same frames as by way of models, whatever the platform answers, and nothing else of it held."""

from __future__ import annotations

import json
import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb import schema
from createos_nb.api.answer import Answer
from createos_nb.api.deployments import STATUSES, Deployment, Deployments
from createos_nb.api.environments import Environment, Environments
from createos_nb.api.garbage import LARGE_BYTES
from createos_nb.api.listing import Listing
from createos_nb.api.message import Request, Response
from createos_nb.api.projects import Project, Projects
from createos_nb.errors import CreateOSError, FrameError, UnexpectedResponse
from tests.api.played import Played, success
from tests.api.test_drift import mutated

NOON = "2026-11-24T12:00:00Z"
HERE = {
    "id": "e1",
    "projectId": "p1",
    "uniqueName": "production",
    "displayName": "Production",
    "status": "active",
    "branch": "",
    "isAutoPromoteEnabled": True,
    "projectDeploymentId": "d2",
    "resources": {"cpu": 200, "memory": 500, "replicas": 2},
    "settings": {"runEnvs": {"TOKEN": "s3cret-canary"}},
    "extra": {"endpoint": "https://shop.example", "customDomains": []},
    "createdAt": "2026-11-24T12:00:00.123456789Z",
    "updatedAt": None,
}
ENVIRONMENTS = (Environment.model_validate(HERE),)
DEPLOYMENT = {
    "id": "d2",
    "projectId": "p1",
    "versionNumber": 2,
    "status": "deployed",
    "settings": {"runEnvs": {"TOKEN": "s3cret-canary"}},
    "source": {"branch": "main", "commit": "abc", "commitMessage": "Mend it"},
    "extra": {"endpoint": "https://d2.example"},
    "createdAt": NOON,
}
PROJECT = {
    "id": "p1",
    "uniqueName": "shop",
    "displayName": "Shop",
    "type": "vcs",
    "status": "active",
    "description": None,
    "settings": {"runEnvs": {"TOKEN": "s3cret-canary"}},
    "createdAt": NOON,
    "updatedAt": NOON,
}
SORTS = {
    "projects": (schema.PROJECT_RECORDS, Projects.list, PROJECT, ()),
    "environments": (schema.ENVIRONMENT_RECORDS, Environments.list, HERE, ("shop",)),
    "deployments": (schema.DEPLOYMENT_RECORDS, Deployments.list, DEPLOYMENT, ("shop", ENVIRONMENTS)),
    "live": (schema.LIVE_DEPLOYMENT_RECORDS, Deployments.list, DEPLOYMENT, ("shop", ENVIRONMENTS, {"e1"})),
}
EVERY = pytest.mark.parametrize("sort", SORTS.values(), ids=SORTS)


def answering(operation, rows):
    whole = {"data": rows, "pagination": {"total": len(rows)}} if operation.paged else rows
    return lambda _request: success(whole)


def framed(sort, answer, *, models=False):
    """The frame of an answer, or its error; by way of models when that is asked for."""
    records, operation, _, context = sort
    ids = ["p1"] * len([each for each in operation.parameters if each.place == "path"])

    def nothing(_body, *, paged):
        return None

    played = Played(operation.parts(nothing if models else records.read, *ids), answer)
    if played.error is not None:
        return played.error
    try:
        return records.frame(played.value, *context)
    except FrameError as error:  # a number that no column holds
        return error


@EVERY
def test_what_is_as_usual_is_read_without_models_and_is_the_same_frame(sort):
    records, operation, row, _ = sort
    body = answering(operation, [row])(None).body
    assert records.read(body, paged=operation.paged) is not None
    pd.testing.assert_frame_equal(
        framed(sort, answering(operation, [row])), framed(sort, answering(operation, [row]), models=True)
    )


@EVERY
def test_nothing_is_the_empty_frame(sort):
    pd.testing.assert_frame_equal(framed(sort, answering(sort[1], [])), sort[0].kind.empty())


@EVERY
def test_no_variable_is_held(sort):
    records, operation, row, _ = sort
    read = records.read(answering(operation, [row])(None).body, paged=operation.paged)
    assert "s3cret-canary" not in repr(read.table.to_pydict())
    assert "TOKEN" not in repr(read.table.schema)


@EVERY
def test_what_drifted_is_the_same_frame_too_or_one_of_our_errors(sort):
    records, operation, row, _ = sort
    dice, quick, equal = random.Random(17), 0, 0
    for _ in range(120):
        rows = [mutated({**row, "id": f"d{number}"}, dice) for number in range(2)]
        found, expected = (framed(sort, answering(operation, rows), models=way) for way in (False, True))
        quick += records.read(answering(operation, rows)(None).body, paged=operation.paged) is not None
        if isinstance(expected, CreateOSError):
            # A field that no column is made of may be anything.
            assert isinstance(found, CreateOSError | pd.DataFrame)
        else:
            pd.testing.assert_frame_equal(found, expected)
            equal += 1
    assert min(quick, equal) > 3, "both happen"


TEXT = st.none() | st.text(max_size=9)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "status": st.sampled_from([*STATUSES, "ascended", ""]),
                "versionNumber": st.none() | st.integers(-(2**40), 2**40),
                "source": st.none()
                | st.dictionaries(st.sampled_from(["branch", "commit", "commitMessage", "image"]), TEXT),
                "createdAt": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
                | st.sampled_from(
                    ["2026-11-24T12:00:00.123456789Z", "2026-11-24 12:00:00Z", "2026-11-24T13:00:00+01:00"]
                ),
            }
        ),
        max_size=6,
    )
)
def test_any_rows_are_the_same_frame_either_way(rows):
    whole = [{**DEPLOYMENT, **row, "id": f"d{number}é"} for number, row in enumerate(rows)]
    sort = SORTS["deployments"]
    pd.testing.assert_frame_equal(
        framed(sort, answering(Deployments.list, whole)),
        framed(sort, answering(Deployments.list, whole), models=True),
    )


def test_a_list_of_many_pages_some_of_them_odd_is_whole_and_in_order():
    rows = [{**DEPLOYMENT, "id": f"d{number}", "versionNumber": number} for number in range(90)]
    rows[45]["versionNumber"] = "45"  # which models read as a number

    def answer(request):
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        if offset == 36:
            rows.insert(0, {**DEPLOYMENT, "id": "new", "versionNumber": 90})
        return success({"data": rows[offset : offset + limit], "pagination": {"total": len(rows)}})

    frame = framed(SORTS["deployments"], answer)
    assert frame["version"].tolist() == [f"v{number}" for number in range(90)]
    assert frame["complete"].unique().tolist() == [False], "one came while it was read, before the first page"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b" null", b"[]", b"x", b'{"status":"success","data":[]}null{}'),
        b'{"status":"fail","data":"no"}',
        b'{"status":"fail","status":"success","data":[]}',
        b'{"status":"success","success":false,"data":[]}',
        b'{"status":"success"}',
        b'{"status":"success","data":null}',
        b'{"status":"success","data":[null]}',
        b'{"status":"success","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"status":"success","data":[{"id":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}]}",
    ],
    ids=lambda body: repr(body[:50]),
)
def test_what_is_no_list_is_left_to_those_who_tell_what_it_is(body):
    assert schema.ENVIRONMENT_RECORDS.read(body, paged=False) is None
    error = framed(SORTS["environments"], lambda _request: Response(200, {}, body))
    assert isinstance(error, CreateOSError)


# --- large answers, by way of models ------------------------------------------------------------------

REQUEST = Request("ListThings", "GET", "/v1/things", "/v1/things", "read")
LARGE = json.dumps([{**DEPLOYMENT, "id": f"d{number}"} for number in range(LARGE_BYTES // 200)]).encode()


def large(head=b'"status": "success", ', tail=b""):
    return Response(200, {}, b"{" + head + b'"data": ' + LARGE + tail + b"}")


def test_a_large_answer_is_read_in_one_pass_to_the_same_models():
    answer = Answer(Listing[Deployment])
    at_once = answer._large(large(tail=b', "more": {"a": 1}'))
    assert at_once is not None
    small = Listing([Deployment.model_validate(row) for row in json.loads(LARGE)])
    assert at_once.value == answer.of(REQUEST, large()) == small
    assert "s3cret" not in repr(at_once.value[0])


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (b'"status": "fail", ', b""),
        (b'"status": "success", "success": false, ', b""),
        (b'"status": "fail", "status": "success", ', b""),
        (b'"status": "success", ', b', "status": "success"'),
        (b'"status": "success", "data": [], ', b""),
        (b"", b""),
    ],
)
def test_a_large_answer_that_is_no_plain_success_is_the_error_that_it_always_was(head, tail):
    with pytest.raises(CreateOSError):
        Answer(Listing[Deployment]).of(REQUEST, large(head, tail))


def test_a_large_answer_that_does_not_fit_names_the_field():
    with pytest.raises(UnexpectedResponse, match="uniqueName"):
        Answer(Listing[Project]).of(REQUEST, large())
