from __future__ import annotations

import random
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import createos_nb.api.declarations  # noqa: F401 - of every operation
from createos_nb.api import path
from createos_nb.api.operation import OPERATIONS
from createos_nb.errors import InvalidArgument

WITH_IDS = [operation for operation in OPERATIONS.values() if path.names(operation.path)]
HOSTILE = [
    "..",
    ".",
    "",
    " ",
    "\x00",
    "a\nb",
    "a\r\nX-Header: 1",
    "a\tb",
    "\x7f",
    "a\x85b",
    "a\x9b31m",
    "a\u2028b",
    "\ud800",
    None,
    7,
    b"p",
    ["p"],
    "%2e%2e",
    "%2E",
    "%00",
    "a/b",
    "a/../b",
    "../admin",
    "/",
    "//evil.example",
    "a\\b",
    "..\\..",
    "\u202e../x",
    "http://evil.example/",
]
STRANGE = [
    "a?x=1",
    "a#f",
    "a;b",
    "...",
    "\uff0e\uff0e",
    "a b",
    " a",
    "é",
    "\U0001f600",
    "a" * 10_000,
    "@evil.example",
]


def filled(operation, value):
    return path.fill(operation.path, dict.fromkeys(path.names(operation.path), value))


def as_sent(address: str) -> str:
    """What httpx makes of a path: it normalises dot segments, quoted or not."""
    return httpx.Request("GET", httpx.URL("https://api.example").join(address)).url.raw_path.decode()


@pytest.mark.parametrize("operation", WITH_IDS, ids=lambda operation: operation.name)
@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_a_value_that_is_no_id_is_refused_by_every_operation(operation, value):
    with pytest.raises(InvalidArgument, match=r"as the API lists it|as listed"):
        filled(operation, value)


@pytest.mark.parametrize("operation", WITH_IDS, ids=lambda operation: operation.name)
def test_a_strange_id_is_sent_as_exactly_one_segment_by_every_operation(operation):
    for value in STRANGE:
        sent = as_sent(filled(operation, value))
        assert sent.count("/") == operation.path.count("/")
        assert "?" not in sent
        assert "#" not in sent
        for template, segment in zip(operation.path.split("/"), sent.split("/"), strict=True):
            assert unquote(segment) == (value if template.startswith("{") else template)


@settings(max_examples=2_000)
@given(st.text(), st.text(st.sampled_from("./\\%2eE?#;:@ \x00ab")))
def test_any_two_texts_are_refused_or_reach_their_own_two_segments(project, deployment):
    values = {"project_id": project, "deployment_id": deployment}
    try:
        address = path.fill("/v1/projects/{project_id}/deployments/{deployment_id}", values)
    except InvalidArgument:
        return
    segments = as_sent(address).split("/")
    assert [unquote(segment) for segment in segments] == ["", "v1", "projects", project, "deployments", deployment]


def test_a_hundred_thousand_texts_never_reach_another_place():
    """Pure and quick, of the characters that could lead astray; SAFETY H11."""
    dice, alphabet = random.Random(11), "./\\%2eE?#;:@ \x00\n\u202eab"
    refused = 0
    for _ in range(100_000):
        value = "".join(dice.choices(alphabet, k=dice.randint(0, 6)))
        try:
            address = path.fill("/v1/projects/{project_id}/deployments", {"project_id": value})
        except InvalidArgument:
            refused += 1
            continue
        before, segment, after = "/v1/projects/", address[13:-12], "/deployments"
        assert address == before + segment + after
        assert unquote(segment) == value
        # What httpx and everybody else leaves as it is: no dot segment, no separator, nothing unquoted.
        assert not {"/", "?", "#", "\\"} & set(segment)
        assert segment not in {".", ".."}
    assert 10_000 < refused < 95_000


def test_a_refusal_names_the_argument_and_shows_the_value_harmless():
    with pytest.raises(InvalidArgument) as raised:
        path.fill("/{project_id}", {"project_id": "\x1b[31m"})
    assert "project_id=" in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_names_are_those_of_the_template_in_order():
    assert path.names("/v1/{a}/b/{c_d}") == ("a", "c_d")
