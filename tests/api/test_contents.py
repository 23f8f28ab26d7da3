"""Nothing is uploaded that should not be, and nothing is left out silently (SAFETY U05)."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb.api.contents import MAX_FILES, Contents, contents
from createos_nb.errors import InvalidArgument


@pytest.fixture
def app(tmp_path):
    root = tmp_path / "app"
    (root / "templates").mkdir(parents=True)
    (root / "main.py").write_text("print('é')")
    (root / "templates" / "index.html").write_text("<p>")
    return root


def test_files_are_named_by_their_relative_path_in_order(app):
    found = contents(app)
    assert list(found.files) == ["main.py", "templates/index.html"]
    assert found.left_out == {}
    assert found.size == len("print('é')".encode()) + 3


def test_everything_on_disk_is_either_uploaded_or_named_with_a_reason(app, tmp_path):
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    for name in (".env", ".env.local", "server.pem", "tls.key", "id_rsa", ".netrc"):
        (app / name).write_text("secret")
    for name in (".git", "node_modules", "__pycache__", ".venv"):
        (app / "deep" / name).mkdir(parents=True)
        (app / "deep" / name / "file").write_text("x")
    (app / "link").symlink_to(tmp_path / "outside")
    (app / "linked").symlink_to(tmp_path / "elsewhere")
    (app / "dangling").symlink_to("nowhere")
    os.mkfifo(app / "pipe")

    found = contents(app)

    assert list(found.files) == ["main.py", "templates/index.html"]
    assert found.left_out == {
        **dict.fromkeys(
            [".env", ".env.local", "server.pem", "tls.key", "id_rsa", ".netrc"],
            "may hold secrets: use the environment's variables",
        ),
        "deep/.git/": "version control",
        "deep/node_modules/": "installed packages",
        "deep/__pycache__/": "compiled files",
        "deep/.venv/": "virtual environment",
        "link": "a link",
        "linked/": "a link",
        "dangling": "a link",
        "pipe": "not a regular file",
    }


def test_the_digest_is_of_paths_and_contents_and_of_nothing_else(app):
    before = contents(app).digest
    os.utime(app / "main.py", (0, 0))
    assert contents(app).digest == before
    (app / "main.py").write_text("print('e')")
    changed = contents(app).digest
    (app / "main.py").rename(app / "other.py")
    assert len({before, changed, contents(app).digest}) == 3


@given(st.dictionaries(st.sampled_from("ab"), st.binary(max_size=4), min_size=1))
def test_different_files_have_different_digests(files):
    one = Contents(None, files, {})
    moved = Contents(None, {**files, "c": b""}, {})
    assert one.digest != moved.digest
    assert one.digest == Contents(None, dict(reversed(files.items())), {}).digest


def test_equal_files_make_equal_archives(app, tmp_path):
    first = contents(app).zipped()
    os.utime(app / "main.py", (0, 0))
    assert contents(app).zipped() == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == contents(app).files


def test_texts_are_given_when_an_upload_of_texts_can_take_them(app):
    assert contents(app).texts() == {"main.py": "print('é')", "templates/index.html": "<p>"}
    (app / "logo.png").write_bytes(b"\x89PNG\xff")
    assert contents(app).texts() is None


@pytest.mark.parametrize(("count", "as_texts"), [(MAX_FILES, True), (MAX_FILES + 1, False)])
def test_more_files_than_an_upload_of_texts_takes_go_as_an_archive(tmp_path, count, as_texts):
    for number in range(count):
        (tmp_path / f"{number}.txt").write_text("")
    assert (contents(tmp_path).texts() is not None) == as_texts


def test_what_cannot_be_uploaded_is_refused_with_the_reason(tmp_path, app):
    with pytest.raises(InvalidArgument, match="is not a directory"):
        contents(tmp_path / "nowhere")
    with pytest.raises(InvalidArgument, match="is not a directory"):
        contents(app / "main.py")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".env").write_text("x")
    with pytest.raises(InvalidArgument, match="no file to upload \\(1 left out\\)"):
        contents(tmp_path / "empty")


def test_a_file_that_cannot_be_read_stops_the_upload(app):
    (app / "main.py").chmod(0)
    if os.access(app / "main.py", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InvalidArgument, match="Nothing was uploaded"):
        contents(app)


def test_too_large_a_directory_is_refused_before_all_of_it_is_in_memory(app, monkeypatch):
    monkeypatch.setattr("createos_nb.api.contents.MAX_ZIP_BYTES", 1000)
    for number in range(10):
        (app / f"{number}.bin").write_bytes(b"x" * 1000)
    with pytest.raises(InvalidArgument, match="Upload less"):
        contents(app)


def test_the_home_of_a_tilde_is_found(app, monkeypatch):
    monkeypatch.setenv("HOME", str(app))
    assert "main.py" in contents("~").files


# --- .gitignore and .createosignore ---------------------------------------------------------------------


def git_says(root, paths):
    """Which of these paths git itself ignores."""
    run = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(paths),
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return set(run.stdout.splitlines())


RULES = ["*.log", "!keep.log", "build/", "/top.txt", "docs/*.md", "**/cache", "a?c", "[0-9].txt", "!docs/in.md"]
NAMES = ["x.log", "keep.log", "top.txt", "abc", "1.txt", "in.md", "out.md", "main.py", "cache"]
FOLDERS = ["", "build/", "docs/", "deep/docs/", "deep/build/"]


@pytest.mark.parametrize("seed", range(40))
def test_what_git_ignores_is_left_out_and_nothing_else_is(tmp_path, require, seed):
    if shutil.which("git") is None:
        require("git", "git is not on PATH")
    dice = random.Random(seed)
    for folder in FOLDERS:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name in dice.sample(NAMES, 6):
            (tmp_path / folder / name).write_text("x")
    for folder in ("", "docs/", "deep/"):
        if dice.random() < 0.7:
            rules = dice.sample(RULES, dice.randint(1, 5))
            (tmp_path / folder / ".gitignore").write_text("\n".join(rules))
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    every = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    every = [path for path in every if not path.startswith(".git/")]
    try:
        sent = set(contents(tmp_path).files)
    except InvalidArgument:
        sent = set()
    assert sent == set(every) - git_says(tmp_path, every)


def test_ours_takes_back_and_leaves_out_beside_gits(app):
    (app / ".gitignore").write_text("*.csv\nsite/\n")
    (app / ".createosignore").write_text("!prices.csv\nnotes.md\n")
    (app / "site").mkdir()
    for name in ("prices.csv", "other.csv", "notes.md", "site/index.html"):
        (app / name).write_text("x")
    found = contents(app)
    assert {"prices.csv", "main.py"} <= set(found.files)
    assert found.left_out == {"other.csv": ".gitignore", "site/": ".gitignore", "notes.md": ".createosignore"}


# --- the upload itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "way"),
    [
        ({}, "files"),
        ({"logo.png": bytes(range(256))}, "base64"),
        ({f"data/{number}.txt": b"x" for number in range(100)}, "zip"),
    ],
    ids=["text", "some bytes", "many"],
)
def test_a_directory_is_sent_in_the_way_that_fits_and_runs(client, shop, tmp_path, more, way):
    files = {**{path: text.encode() for path, text in shop.files().items()}, **more, ".env": b"TOKEN=s3cret"}
    for path, content in files.items():
        (tmp_path / "app" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "app" / path).write_bytes(content)
    upload = client.deployments.upload(shop.project_id, tmp_path / "app")
    assert upload.way == way
    assert set(upload.sent) == set(files) - {".env"}
    assert upload.left_out == {".env": "may hold secrets: use the environment's variables"}
    assert ".env: may hold secrets" in str(upload)
    assert client.deployments.wait(shop.project_id, upload.id, timeout_s=60).status == "deployed"
