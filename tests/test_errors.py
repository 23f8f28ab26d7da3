from __future__ import annotations

import inspect
import pickle
import re
from datetime import UTC, datetime

import pytest

from createos_nb import errors

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, Exception) and kind.__module__ == errors.__name__
}
ANSWERS = [kind for kind in CLASSES.values() if issubclass(kind, errors.OperationFailed)]


def test_the_tree_in_the_docstring_names_every_class():
    drawn = set(re.findall(r"\b[A-Z]\w+\b", errors.__doc__ or ""))
    assert set(CLASSES) <= drawn


def test_everything_but_the_warning_is_a_createos_error():
    assert {name for name, kind in CLASSES.items() if not issubclass(kind, errors.CreateOSError)} == {
        "PartialWarning"
    }
    assert issubclass(errors.PartialWarning, UserWarning)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.SettingsError, ValueError),
        (errors.InvalidArgument, ValueError),
        (errors.FrameError, ValueError),
        (errors.NotFound, LookupError),
        (errors.TimedOut, TimeoutError),
        (errors.TimedOut, errors.ConnectionFailed),
    ],
)
def test_an_error_is_caught_as_the_builtin_it_resembles(kind, builtin):
    assert issubclass(kind, builtin)


def test_each_status_belongs_to_one_class():
    assert {status: kind.__name__ for status, kind in errors.BY_STATUS.items()} == {
        400: "BadRequest",
        401: "Unauthorized",
        403: "Forbidden",
        404: "NotFound",
        409: "Conflict",
        422: "Unprocessable",
        429: "RateLimited",
    }


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_a_handler_answers_with_the_status_of_the_class(kind):
    error = kind.answer("No such project.")
    assert (error.status, error.detail, str(error)) == (kind.http_status, "No such project.", "No such project.")


def test_an_unexpected_response_keeps_only_the_beginning_of_the_body():
    assert errors.UnexpectedResponse("x", body="a" * 10_000).body == "a" * 2000


def test_an_error_that_crosses_a_process_keeps_its_message():
    error = errors.Conflict("UploadDeploymentZip was refused.", status=409, detail="busy", request_id="r-1")
    error = pickle.loads(pickle.dumps(error))
    assert (str(error), error.status, error.detail, error.request_id) == (
        "UploadDeploymentZip was refused.",
        409,
        "busy",
        "r-1",
    )


def test_a_rate_limited_answer_has_no_time_until_one_is_said():
    error = errors.RateLimited("wait")
    assert error.retry_at is None
    error.retry_at = datetime.now(UTC)
    assert errors.RateLimited("wait").retry_at is None
