from __future__ import annotations

import base64
import html
import json
import os
from urllib.parse import quote

import pytest

from createos_nb import schema
from createos_nb.api.secret import Secret
from createos_nb.errors import CreateOSError, InvalidArgument
from createos_nb.reports.files import write
from createos_nb.reports.masking import masked, worth_hiding

KEY = 'skp_canary"/+é 0123456789'
SECRETS = {"the API key": Secret(KEY)}


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        json.dumps(KEY),
        json.dumps(json.dumps(KEY)),
        json.dumps(KEY, ensure_ascii=False),
        repr(KEY),
        html.escape(KEY),
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
        KEY.encode("unicode_escape").decode(),
    ],
    ids=["plain", "json", "json twice", "json utf-8", "repr", "html", "url", "base64", "escape"],
)
def test_a_text_with_a_secret_in_it_is_not_written(tmp_path, form):
    clean, dirty = tmp_path / "out" / "a.ipynb", tmp_path / "out" / "a.html"
    with pytest.raises(InvalidArgument, match=r"a\.html would contain the value of the API key") as caught:
        write({clean: "fine", dirty: f"before {form} after"}, secrets=SECRETS)
    assert KEY not in str(caught.value)
    assert not (tmp_path / "out").exists(), "not even the clean one"


def test_files_are_replaced_whole_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "report.html"
    write({path: "first"}, secrets=SECRETS)
    write({path: "second é"}, secrets=SECRETS)
    assert path.read_text(encoding="utf-8") == "second é"
    assert os.listdir(path.parent) == ["report.html"]


def test_a_failed_write_leaves_the_old_file_and_no_leftovers(tmp_path):
    path = tmp_path / "out" / "report.html"
    write({path: "first"}, secrets={})
    with pytest.raises(UnicodeEncodeError):
        write({path: "half a surrogate \ud800"}, secrets={})
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == ["report.html"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CreateOSError, match=r"Cannot write .*Choose a directory you may write to"):
        write({tmp_path / "file" / "report.html": "x"}, secrets={})


def test_values_are_masked_in_every_text_column():
    logs = schema.LOGS.frame([{"message": "token=s3cr3t-value!", "raw": "x s3cr3t-value! y", "trace": None}])
    clean = masked(logs, {"the variable TOKEN": Secret("s3cr3t-value!")})
    assert "s3cr3t" not in clean.to_csv()
    assert clean["message"][0].startswith("token=••••")
    schema.LOGS.check(clean)
    assert "s3cr3t" in logs["raw"][0], "the frame itself is left alone"


def test_short_and_public_values_are_no_secrets():
    candidates = {
        name: Secret(value) for name, value in {"a": "true", "b": "production", "c": "hunter2hunter2"}.items()
    }
    assert worth_hiding(candidates, public=["shop/production"]).keys() == {"c"}
