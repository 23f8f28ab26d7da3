"""Nothing is uploaded that should not be, and nothing is left out silently (SAFETY U05)."""

from __future__ import annotations

import io
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb.errors import InvalidArgument
from createos_nb.plans.directory import MAX_FILES, Contents, contents


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
    monkeypatch.setattr("createos_nb.plans.directory.MAX_ZIP_BYTES", 1000)
    for number in range(10):
        (app / f"{number}.bin").write_bytes(b"x" * 1000)
    with pytest.raises(InvalidArgument, match="Upload less"):
        contents(app)


def test_the_home_of_a_tilde_is_found(app, monkeypatch):
    monkeypatch.setenv("HOME", str(app))
    assert "main.py" in contents("~").files
