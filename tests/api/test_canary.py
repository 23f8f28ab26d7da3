"""Keys and variables in no artefact of any operation, whatever the answer (SAFETY N01, for this layer)."""

from __future__ import annotations

import base64
import copy
import html
import io
import json
import logging
import pickle
import pprint
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest
from IPython.core.ultratb import VerboseTB
from pydantic import BaseModel
from rich.console import Console
from rich.pretty import pretty_repr

import createos_nb.api.client as clients
from createos_nb.api.message import Request
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.path import names
from createos_nb.api.secret import Secret
from createos_nb.errors import CreateOSError, SettingsError
from tests.api.played import Played, itself, nouns, success

KEY = "skp_canary-0123456789abcdef~0123456789"
VALUE = 'var_canary"<é>&/+\\ 0123456789'


def spellings(text):
    """The nine encodings in which a text may hide."""
    raw = text.encode()
    return {
        text,
        json.dumps(text)[1:-1],
        json.dumps(json.dumps(text))[3:-3],
        repr(text)[1:-1],
        quote(text, safe=""),
        html.escape(text),
        base64.b64encode(raw).decode().rstrip("=")[:-1],
        raw.hex(),
        raw.decode("latin-1"),
    }


HIDDEN = spellings(KEY) | spellings(VALUE)


def leaks(artefact):
    text = artefact.decode("utf-8", "surrogateescape") if isinstance(artefact, bytes) else str(artefact)
    return [spelling for spelling in HIDDEN if spelling in text]


def secret_arguments(value):
    """The same arguments with the canary wherever a secret stands."""
    if isinstance(value, Secret):
        return Secret(VALUE)
    if isinstance(value, BaseModel):
        return value.model_copy(update={name: secret_arguments(inner) for name, inner in value})
    if isinstance(value, dict):
        return {name: secret_arguments(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(secret_arguments(inner) for inner in value)
    return value


HELD = {"id": "d", "projectId": "p", "createdAt": "2026-01-01T00:00:00Z", "settings": {"runEnvs": {"P": VALUE}}}
OBJECTS = {
    "fails with what it holds": (500, {"status": "error", "message": "boom", "data": [HELD]}),
    "fails with data alone": (200, {"status": "fail", "data": HELD}),
    "fails in a shape of its own": (400, {"deployment": HELD}),
    "succeeds in a shape of its own": (200, {"deployment": HELD}),
    "has one malformed row": (200, {"status": "success", "data": {"data": [HELD, {}], "pagination": {"total": 2}}}),
    "has one malformed row in a whole list": (200, {"status": "success", "data": [HELD, {}]}),
    "names no rows": (200, {"status": "success", "data": {"rows": [HELD]}}),
}
"""Answers that hold the variables of other things than those that were sent."""


class Echo(BaseHTTPRequestHandler):
    """Answers as it is told, and repeats what it was sent: the worst that a debugging proxy does."""

    protocol_version = "HTTP/1.1"
    way = "refuses"

    def _answer(self):
        sent = self.rfile.read(int(self.headers.get("content-length") or 0)).decode("utf-8", "replace")
        said = f"bad key {self.headers.get('X-Api-Key')} in {self.headers} with {sent} at {self.path}"
        if self.way == "is cut":
            self.close_connection = True
            self.connection.close()
            return
        status, body = {
            "refuses": (400, json.dumps({"status": "fail", "data": said})),
            "fails": (500, said),
            "fails within a success": (200, json.dumps({"status": "fail", "data": {"why": said}})),
            **{name: (status, json.dumps(body)) for name, (status, body) in OBJECTS.items()},
            "is no answer": (200, f"<html>{html.escape(said)}{said}</html>"),
            "does not fit": (200, json.dumps({"status": "success", "data": [[said]]})),
            "redirects": (302, said),
        }[self.way]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Location", f"https://{KEY}@elsewhere.example/{KEY}")
        self.send_header("X-Request-Id", f"id-{KEY}")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

    def log_message(self, *_ignored):
        pass


@pytest.fixture
def echo():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def verbose(error):
    """What ``%xmode Verbose`` shows: every frame of ours with the values it holds."""
    frames = VerboseTB(theme_name="nocolor").structured_traceback(type(error), error, error.__traceback__)
    return "\n".join(frame for frame in frames if "/createos_nb/" in frame.split(", in ", 1)[0])


def frames(error):
    """What ``pytest --showlocals`` and trackers of errors keep: every value of every frame of ours."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [(frame.name, frame.locals) for frame in whole.stack if "createos_nb" in frame.filename]


def views(value):
    """Every way to look at something."""
    yield from (repr(value), str(value), pprint.pformat(value), pretty_repr(value), repr(copy.deepcopy(value)))
    if not isinstance(value, Request):
        yield pickle.dumps(value)
    held = getattr(value, "__dict__", {})
    yield from (repr(held), pprint.pformat(held))
    console = Console(record=True, width=200, file=io.StringIO())
    console.print(value)
    yield console.export_text()


def method_of(client, declared):
    for noun in nouns(client).values():
        held = getattr(type(noun), declared.attribute, None)
        if held is declared:
            return getattr(noun, declared.attribute)
    raise AssertionError(declared)


WAYS = [
    "refuses",
    "fails",
    "fails within a success",
    "is no answer",
    "does not fit",
    "redirects",
    "is cut",
    *OBJECTS,
]
READ_IN_EVERY_WAY = {"ListDeployments", "ListProjectEnvironments", "GetDeployment", "CreateAPIKey", "DeleteProject"}
"""Operations whose answers are read in different ways: pages, a whole list, a model, one of a change, a text."""


def test_the_search_finds_what_is_hidden():
    for text in HIDDEN:
        assert leaks(f"a{text}b")


@pytest.mark.parametrize("way", WAYS)
def test_no_failure_of_any_operation_shows_the_key_or_a_variable(way, echo, arguments, caplog, capsys, monkeypatch):
    monkeypatch.setattr(Echo, "way", way)
    monkeypatch.setattr("createos_nb.api.driver.time.sleep", lambda _s: None)
    monkeypatch.setattr("createos_nb.api.budget.Budget.reserve", lambda *_: (0.0, None))
    artefacts = []
    with clients.Client(echo, api_key=KEY) as client, caplog.at_level(logging.DEBUG):
        for declared in OPERATIONS.values():
            if way in OBJECTS and declared.name not in READ_IN_EVERY_WAY:
                continue
            sent = {name: secret_arguments(value) for name, value in arguments(declared).items()}
            artefacts += views(declared.request(**sent))
            with pytest.raises(CreateOSError) as raised:
                method_of(client, declared)(**sent)
            error = raised.value
            artefacts += [*views(error), verbose(error), "".join(traceback.format_exception(error))]
            artefacts += [frames(error)]
            artefacts += [str(value) for value in vars(error).values()]
        artefacts += [repr(vars(client)), repr(client.info()), repr(client)]
    seen = capsys.readouterr()
    # httpcore, when told to debug, shows the headers that a server sends, whatever it sends.
    records = [record for record in caplog.records if not record.name.startswith("httpcore")]
    artefacts += [seen.out, seen.err, *(str(vars(record)) for record in records)]
    artefacts += [record.getMessage() for record in records]
    assert len(artefacts) > 10 * (len(READ_IN_EVERY_WAY) if way in OBJECTS else len(OPERATIONS))
    found = [(leaks(artefact), str(artefact)[:300]) for artefact in artefacts if leaks(artefact)]
    assert not found, (len(found), found[:3])


def plain(value):
    """The same arguments as a person types them: text in place of secrets and dicts in place of models."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, BaseModel):
        return {name: plain(inner) for name, inner in value}
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def spoilt(declared, sent):
    """Arguments that are refused before anything is sent, each in another way."""
    if names(declared.path):
        yield {**sent, names(declared.path)[0]: "a/b"}
    yield {**sent, "nmae": 1}
    for name, value in sent.items():
        yield {**sent, name: object()}
        if isinstance(value, dict):
            yield {**sent, name: {**value, "run_env": {"P": VALUE}}}


def test_no_refused_argument_of_any_operation_shows_what_was_typed_beside_it(arguments):
    # What a person types is in the frames of who types it, which are not ours.
    tried = 0
    with clients.Client("http://127.0.0.1:1", api_key=KEY) as client:
        for declared in OPERATIONS.values():
            typed = plain({name: secret_arguments(value) for name, value in arguments(declared).items()})
            for sent in spoilt(declared, typed):
                with pytest.raises((CreateOSError, TypeError)) as raised:
                    method_of(client, declared)(**sent)
                tried += 1
                error = raised.value
                seen = [repr(error), str(vars(error)), str(frames(error))]
                assert not [leaks(artefact) for artefact in seen if leaks(artefact)], (declared, sent)
    assert tried > 2 * len(OPERATIONS)


MISPLACED = {
    "as the URL": {"api_url": KEY},
    "in the URL's path": {"api_url": f"https://api.example/{KEY}", "api_key": "k"},
    "in the URL's query": {"api_url": f"https://api.example/?key={KEY}", "api_key": "k"},
    "in the URL's query over http": {"api_url": f"http://api.example/?key={KEY}", "api_key": "k"},
    "as the URL's user": {"api_url": f"https://{KEY}@api.example", "api_key": "k"},
    "as the URL's password": {"api_url": f"https://u:{KEY}@api.example/a", "api_key": "k"},
    "as the URL's password with a slash": {"api_url": f"https://u:p/{VALUE}@api.example", "api_key": "k"},
    "as the URL's host": {"api_url": f"https://{KEY}", "api_key": "k"},
    "in the URL's query without a name": {"api_url": f"https://api.example/?{VALUE}", "api_key": "k"},
    "as a path": {"api_key": Path(KEY)},
    "as the name of a file": {"api_key": Path("/nowhere", KEY)},
    "in quotes": {"api_key": f'"{KEY}"'},
    "as bytes": {"api_key": KEY.encode()},
    "twice": {"api_key": KEY, "access_token": KEY},
    "beside a bad URL": {"api_url": "ftp://api.example", "api_key": KEY},
    "beside a bad option": {"api_key": KEY, "transport": "grpc"},
    "beside an option that is none": {"api_key": KEY, "carrier": "rest"},
}


@pytest.mark.parametrize("given", MISPLACED.values(), ids=MISPLACED)
@pytest.mark.parametrize("kind", [clients.Client, clients.AsyncClient])
def test_a_key_in_the_wrong_place_is_refused_and_not_shown(given, kind):
    with pytest.raises((SettingsError, CreateOSError, TypeError)) as raised:
        kind(**given)
    error = raised.value
    seen = [*views(error), verbose(error), str(frames(error)), "".join(traceback.format_exception(error))]
    assert not [leaks(artefact) for artefact in seen if leaks(artefact)]


@pytest.mark.parametrize("variable", ["CREATEOS_API_URL", "CREATEOS_API_KEY_FILE"])
def test_a_key_in_the_wrong_variable_is_refused_and_not_shown(variable, monkeypatch):
    monkeypatch.delenv("CREATEOS_API_KEY", raising=False)
    monkeypatch.setenv(variable, KEY)
    with pytest.raises(SettingsError, match="CREATEOS_API_KEY") as raised:
        clients.Client()
    assert not leaks(str(raised.value))


def planted(value, path=""):
    """An answer with the canary wherever a secret stands in it."""
    if isinstance(value, dict):
        return {
            name: {"TOKEN": VALUE}
            if name in {"runEnvs", "buildVars"} and isinstance(inner, dict)
            else VALUE
            if name in {"secret", "token", "downloadUri"} and isinstance(inner, str)
            else planted(inner, name)
            for name, inner in value.items()
        }
    return [planted(inner) for inner in value] if isinstance(value, list) else value


def test_no_answer_of_any_operation_shows_a_secret(documented_answer, arguments):
    held = 0
    for declared in OPERATIONS.values():
        data = planted(documented_answer(declared))
        held += VALUE in json.dumps(data, ensure_ascii=False) or json.dumps(VALUE)[1:-1] in json.dumps(data)
        played = Played(itself(declared, arguments(declared)), lambda _request, data=data: success(data))
        assert played.error is None, played.error
        for view in views(played.value):
            assert not leaks(view), (declared, str(view)[:300])
        for row in played.value if isinstance(played.value, list | tuple) else [played.value]:
            if isinstance(row, BaseModel):
                assert not leaks(row.model_dump_json())
    assert held >= 7, "secrets stand in answers of several operations"
