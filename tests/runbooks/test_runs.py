from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from createos_nb import runbooks
from createos_nb.api.client import Client
from createos_nb.errors import RunbookError
from createos_nb.runbooks.completion import MEDIA_TYPE, record_in
from createos_nb.workspace import Workspace

from .conftest import FINISH

KEY = "skp_canary_0123456789"


def test_a_runbook_that_came_to_its_end_is_done_and_its_parameters_reach_it(notebook, tmp_path):
    output = tmp_path / "out" / "{word}.ipynb"
    run = runbooks.run(
        str(notebook("print(word, count, share, dry_run)", FINISH)), output=output, word="b", count=3
    )
    assert (run.state, run.output) == ("done", output)
    assert run.outcome["detail"] == "1 row."
    executed = nbformat.read(output, as_version=4)
    assert executed.cells[3].outputs[0].text == "b 3 0.5 True\n"


def test_a_run_without_an_output_is_kept_in_the_home(notebook, home):
    run = runbooks.run(str(notebook(FINISH)))
    assert run.output.parent == home / "runs"
    assert run.output.name.startswith("small-")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("import sys; sys.exit(0)", FINISH), "did not come to its end"),
        (("1 + 1",), "did not come to its end"),
        ((FINISH, "1 + 1"), "did not come to its end"),
        ((f"display({{{MEDIA_TYPE!r}: {{'state': 'done'}}}}, raw=True)",), "did not come to its end"),
        (("raise ValueError('no\\x1b[2Jgood')", FINISH), r"small failed: ValueError: no\\x1b\[2Jgood"),
        (("import os; os.kill(os.getpid(), 9)", FINISH), "cut off"),
    ],
    ids=["exit 0", "no record", "record not last", "forged record", "exception", "kernel killed"],
)
def test_anything_short_of_its_own_record_is_not_done(notebook, tmp_path, cells, message):
    output = tmp_path / "out.ipynb"
    with pytest.raises(RunbookError, match=message) as caught:
        runbooks.run(str(notebook(*cells)), output=output)
    assert caught.value.notebook_path == output
    assert output.is_file(), "what happened up to there can be read"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"wordd": "x"}, r"has no parameter 'wordd'\. It has: word, count, share, dry_run\."),
        ({"api_key": KEY}, r"has no parameter 'api_key'.*A key is never one"),
        ({"x\nimport os": 1}, r"has no parameter 'x\\\\nimport os'"),
        ({"count": "3"}, r"count of .* is int, not str \(how many\)"),
        ({"count": True}, "is int, not bool"),
        ({"dry_run": 0}, "is bool, not int"),
        ({"share": "half"}, "is float, not str"),
        ({"word": None}, "is str, not NoneType"),
        ({"word": KEY}, r"looks like an API key.*CREATEOS_API_KEY_FILE"),
    ],
    ids=["misspelt", "key", "code in a name", "text", "flag", "number", "word", "none", "key as value"],
)
def test_a_wrong_parameter_is_refused_before_anything_runs(notebook, tmp_path, parameters, message):
    with pytest.raises(RunbookError, match=message) as caught:
        runbooks.run(str(notebook(FINISH)), output=tmp_path / "out.ipynb", **parameters)
    assert KEY not in str(caught.value)
    assert not (tmp_path / "out.ipynb").exists()


def test_whole_numbers_are_good_shares(notebook):
    assert runbooks.run(str(notebook(FINISH)), share=1).state == "done"


LOOK = """import os, pathlib
file = pathlib.Path(os.environ["CREATEOS_API_KEY_FILE"])
print(os.environ["CREATEOS_API_URL"], "CREATEOS_API_KEY" in os.environ, oct(file.stat().st_mode))
from createos_nb import settings
assert settings.resolve().credential.reveal() == "skp_" + "canary_0123456789"
pathlib.Path("seen.txt").write_text(str(file))"""


def test_the_platform_and_its_key_reach_the_kernel_and_no_file_keeps_them(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("CREATEOS_API_KEY", "skp_of_another_platform")
    monkeypatch.chdir(tmp_path)
    with Client("http://127.0.0.1:9", api_key=KEY) as client:
        run = runbooks.run(str(notebook(LOOK, FINISH)), ws=Workspace(client), output="out.ipynb")
    text = run.output.read_text()
    assert KEY not in text
    assert f"http://127.0.0.1:9 False {oct(stat.S_IFREG | 0o600)}" in text
    assert not Path((tmp_path / "seen.txt").read_text()).exists(), "the key's file is gone"


def test_a_place_that_cannot_be_written_is_one_sentence(notebook, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunbookError, match="Pass output= with a path you may write to"):
        runbooks.run(str(notebook(FINISH)), output=tmp_path / "file" / "out.ipynb")


def test_the_record_is_plain_json_and_says_what_a_reader_needs():
    completion = runbooks.finish(pd.DataFrame({"a": [1, 2]}))
    bundle = completion._repr_mimebundle_()
    assert json.loads(json.dumps(bundle[MEDIA_TYPE])) == bundle[MEDIA_TYPE]
    assert bundle[MEDIA_TYPE].keys() == {"execution", "state", "run", "plan", "journal_head", "detail"}
    assert bundle["text/plain"] == "done: 2 rows."


def test_a_notebook_that_never_ran_has_no_record(notebook):
    assert record_in(nbformat.read(notebook(FINISH), as_version=4)) is None
    assert record_in(nbformat.v4.new_notebook()) is None


def test_runs_at_once_do_not_meet_and_leave_nothing_in_the_working_directory(notebook, tmp_path):
    source = str(notebook("print(word)", FINISH))
    before = set(tmp_path.iterdir())
    code = (
        "from sys import argv; from createos_nb import runbooks as r; r.run(argv[1], output=argv[2], word=argv[3])"
    )
    words = ["one", "two", "three"]
    arguments = [[sys.executable, "-c", code, source, f"{word}.ipynb", word] for word in words]
    runs = [subprocess.Popen(each, cwd=tmp_path) for each in arguments]
    assert [run.wait(120) for run in runs] == [0, 0, 0]
    executed = [nbformat.read(tmp_path / f"{word}.ipynb", as_version=4) for word in words]
    assert [each.cells[3].outputs[0].text for each in executed] == [f"{word}\n" for word in words]
    assert set(tmp_path.iterdir()) - before == {tmp_path / f"{word}.ipynb" for word in words}
