"""What Tab, Shift-Tab and ?? show of the client."""

from __future__ import annotations

import inspect

import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from createos_nb.api.client import AsyncClient, Client
from createos_nb.api.operation import Operation

NOUNS = [
    *("projects", "environments", "deployments", "domains", "apps", "github"),
    *("api_keys", "security_scans", "account", "analytics", "cronjobs", "templates"),
]


@pytest.fixture(params=[Client, AsyncClient], ids=["blocking", "awaiting"])
def shell(request):
    shell = InteractiveShell()
    shell.user_ns["client"] = request.param("http://127.0.0.1:9", api_key="skp_local_x")
    return shell


def operations(client, noun):
    return {name for name, item in inspect.getmembers(type(getattr(client, noun))) if isinstance(item, Operation)}


def completed(shell, text, *, jedi):
    completer = IPCompleter(shell=shell, namespace=shell.user_ns, global_namespace={}, use_jedi=jedi)
    with provisionalcompleter():
        return {found.text.removeprefix(text).removeprefix(".") for found in completer.completions(text, len(text))}


@pytest.mark.parametrize("jedi", [True, False], ids=["jedi", "no jedi"])
def test_tab_completes_every_noun_and_every_operation(shell, jedi):
    client = shell.user_ns["client"]
    assert set(NOUNS) <= completed(shell, "client.", jedi=jedi)
    for noun in NOUNS:
        assert noun not in vars(client), "it is completed also before it was loaded"
        found = completed(shell, f"client.{noun}.", jedi=jedi)
        assert operations(client, noun) <= found, noun
        public = {name for name in found if not name.startswith("_")}
        assert public <= {name for name in dir(getattr(client, noun)) if not name.startswith("_")}
    assert sum(len(operations(client, noun)) for noun in NOUNS) == 97


def test_shift_tab_and_the_question_marks_show_signature_documentation_and_declaration(shell):
    client = shell.user_ns["client"]
    for noun in NOUNS:
        for name in operations(client, noun):
            method = getattr(getattr(client, noun), name)
            about = shell.inspector.info(method, oname=f"client.{noun}.{name}", detail_level=1)
            assert about["definition"].startswith(f"client.{noun}.{name}("), (noun, name)
            assert "self" not in about["definition"]
            assert "REST: " in about["docstring"] or "REST: " in (about["source"] or ""), (noun, name)
            assert f"def {name}(" in about["source"], (noun, name)
            assert "@operation(" in about["source"], (noun, name)
