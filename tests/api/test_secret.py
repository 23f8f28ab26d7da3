"""A secret shows itself to `reveal()` and to nothing else (SAFETY N01, for this layer)."""

from __future__ import annotations

import base64
import copy
import html
import json
import logging
import pickle
import pprint
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass, replace
from string import Template
from urllib.parse import quote

import pandas as pd
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from createos_nb.api.api_keys import NewAPIKey
from createos_nb.api.client import AsyncClient, Client
from createos_nb.api.environments import EnvironmentSettings
from createos_nb.api.message import Request
from createos_nb.api.projects import UploadSettings
from createos_nb.api.secret import Secret
from createos_nb.errors import CreateOSError
from createos_nb.settings import Settings, resolve

CANARY = 'skp_canary"<é>&/+\\ 0123456789'


def spellings(text: str) -> set[str]:
    """The ways in which a text may hide in an artefact."""
    return {
        text,
        repr(text)[1:-1],
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(text))[3:-3],
        quote(text),
        quote(text, safe=""),
        html.escape(text),
        base64.b64encode(text.encode()).decode(),
        text.encode("unicode_escape").decode(),
        text[:10],
        text[-10:],
    }


def assert_hidden(*artefacts: object) -> None:
    for artefact in artefacts:
        text = artefact.decode("utf-8", "replace") if isinstance(artefact, bytes) else str(artefact)
        found = [spelling for spelling in spellings(CANARY) if spelling in text]
        assert not found, text[:500]


@pytest.fixture
def secret():
    return Secret(CANARY)


@dataclass(frozen=True)
class Holder:
    key: Secret
    keys: tuple[Secret, ...]


def test_the_search_finds_the_canary_in_every_spelling():
    for spelling in spellings(CANARY):
        with pytest.raises(AssertionError):
            assert_hidden(f"x{spelling}x")


def test_only_reveal_shows_it(secret):
    assert secret.reveal() == CANARY


VIEWS = {
    "repr": repr,
    "str": str,
    "format": lambda s: f"{s} {s!r} {s:>40} {s!a} {'%s' % s}",  # noqa: UP031 - every way to format
    "template": lambda s: Template("$key").substitute(key=s),
    "concatenation of reprs": lambda s: [s] and str([s, (s,), {"key": s}, {s}]),
    "pprint": lambda s: pprint.pformat({"key": [s]}),
    "dataclass": lambda s: repr(Holder(s, (s,))) + str(asdict(Holder(s, (s,)))) + repr(replace(Holder(s, ()))),
    "copies": lambda s: repr([copy.copy(s), copy.deepcopy({"key": [s]})]),
    "pickle": lambda s: b"".join(pickle.dumps([s, {"key": s}], protocol) for protocol in range(6)),
    "json with a default": lambda s: json.dumps({"key": s}, default=str),
    "a model": lambda s: repr(NewAPIKey(id="1", secret=s)) + NewAPIKey(id="1", secret=s).model_dump_json(),
    "a model's values": lambda s: (
        str(NewAPIKey(id="1", secret=s).model_dump()) + str(NewAPIKey(id="1", secret=s).model_dump(mode="json"))
    ),
    "a map in a model": lambda s: (
        repr(UploadSettings(run_envs={"KEY": s}))
        + UploadSettings(build_vars={"KEY": s}).model_dump_json()
        + repr(EnvironmentSettings(run_envs={"KEY": CANARY}))
    ),
    "settings": lambda s: repr(Settings("https://a", s, "X-Api-Key", "x")) + repr(resolve(api_key=s)),
    "a request": lambda _secret: (
        repr(Request("A", "PUT", "/a", "/a", "read", body={"key": CANARY}))
        + repr(Request("A", "PUT", "/a", "/a", "read", file=CANARY.encode(), query={"key": CANARY}))
    ),
    "dir and hash": lambda s: f"{dir(s)} {hash(s)} {len(s)}",
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_every_view_is_masked(secret, monkeypatch, view):
    monkeypatch.setattr("createos_nb.settings._checked_key", lambda key, _source: key)
    assert_hidden(view(secret))


def test_it_cannot_be_serialised_as_the_text_it_is_not(secret):
    with pytest.raises(TypeError):
        json.dumps(secret)
    assert not isinstance(secret, str)
    assert not hasattr(secret, "__dict__")


def test_a_pickle_gives_back_the_mask(secret):
    loaded = pickle.loads(pickle.dumps(secret))
    assert loaded.is_mask
    assert loaded.reveal() == str(loaded) == str(secret)


def test_no_export_of_a_frame_shows_it(secret, tmp_path):
    frame = pd.DataFrame({"name": ["TOKEN"], "value": [secret]})
    frame.to_pickle(tmp_path / "frame.pickle")
    assert_hidden(
        repr(frame),
        frame.to_html(),
        frame._repr_html_(),
        frame.to_csv(),
        frame.to_string(),
        frame.to_json(default_handler=str),
        frame.to_dict(),
        frame.astype("str").to_csv(),
        (tmp_path / "frame.pickle").read_bytes(),
    )


def test_no_log_record_shows_it(secret, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("createos_nb").debug("key %s %r", secret, secret)
    assert_hidden(caplog.text, [vars(record) for record in caplog.records])


def test_no_traceback_shows_it_even_with_local_values(secret):
    def fail(key):
        holder = Holder(key, (key,))
        raise CreateOSError(f"it failed with {holder} and {key}")

    with pytest.raises(CreateOSError) as raised:
        fail(secret)
    assert_hidden(
        *traceback.TracebackException.from_exception(raised.value, capture_locals=True).format(),
        raised.getrepr(showlocals=True, style="long"),
    )


def test_no_error_of_a_model_shows_it():
    class Strict(BaseModel):
        key: Secret

    with pytest.raises(ValidationError) as raised:
        UploadSettings.model_validate({"runEnvs": {"KEY": CANARY}, "port": CANARY})
    assert_hidden(raised.value)
    with pytest.raises(ValidationError) as raised:
        Strict.model_validate({"key": 7})
    assert_hidden(raised.value)


@pytest.mark.anyio
async def test_no_view_of_a_client_shows_it():
    key = "skp_" + "canary0123456789" * 2
    shown = []
    with Client("http://127.0.0.1:1", api_key=key) as client:
        shown += [client, vars(client), client.info(), client.settings, vars(client.settings)]
        shown += [
            vars(client.projects),
            vars(client._driver),
            vars(client._driver.transport),
            client.projects.list,
        ]
    async with AsyncClient("http://127.0.0.1:1", api_key=key) as client:
        shown += [client, vars(client), client.info(), vars(client._driver)]
        shown += [vars(client._driver.transport)]
    assert not [view for view in shown if "canary" in repr(view) + str(view)]


def test_equal_secrets_are_equal_and_no_text_equals_one(secret):
    assert secret == Secret(CANARY)
    assert hash(secret) == hash(Secret(CANARY))
    assert secret != Secret("other")
    assert secret != CANARY
    assert secret != str(secret)


def test_the_fingerprint_compares_values_here_and_means_nothing_elsewhere(secret):
    assert str(secret) == str(Secret(CANARY)) != str(Secret("other"))
    code = "from createos_nb.api.secret import Secret; print(ascii(str(Secret('a'))), str(Secret('b')) == 0)"
    seen = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(seen) > 1


def test_it_is_read_from_json_as_a_secret():
    assert TypeAdapter(dict[str, Secret]).validate_json('{"a": "b"}') == {"a": Secret("b")}
    assert TypeAdapter(Secret).json_schema() == {"type": "string"}


def test_only_the_wire_carries_it_in_clear(secret):
    assert NewAPIKey(id="1", secret=secret).wire() == {"id": "1", "secret": CANARY}
