"""Nothing is uploaded that should not be, and nothing is left out silently (SAFETY U05)."""

from __future__ import annotations

import asyncio
import io
import os
import random
import shutil
import subprocess
import threading
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb import AsyncClient
from createos_nb.api import contents as contents_module
from createos_nb.api.contents import MAX_FILES, MAX_ZIP_BYTES, Contents, contents
from createos_nb.api.ignore import Rules
from createos_nb.api.upload import Upload
from createos_nb.errors import InvalidArgument
from createos_nb.platform.archives import MAX_ARCHIVE_BYTES


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
    one = Contents(files)
    assert one.digest != Contents({**files, "c": b""}).digest
    assert one.digest != Contents(files, executable=frozenset("ab") & files.keys()).digest
    assert one.digest == Contents(dict(reversed(files.items()))).digest


def test_equal_files_make_equal_archives(app, tmp_path):
    (app / "start.sh").write_text("#!/bin/sh")
    (app / "start.sh").chmod(0o755)
    first = contents(app).arguments()["file"]
    os.utime(app / "main.py", (0, 0))
    assert contents(app).arguments()["file"] == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        modes = {item.filename: item.external_attr >> 16 & 0o777 for item in archive.infolist()}
        assert modes == {"main.py": 0o644, "start.sh": 0o755, "templates/index.html": 0o644}
        assert {name: archive.read(name) for name in archive.namelist()} == contents(app).files


def test_texts_go_as_texts_and_other_files_as_base64(app):
    assert contents(app).way == "files"
    assert contents(app).arguments()["files"][0] == {"path": "main.py", "content": "print('é')"}
    (app / "logo.png").write_bytes(b"\x89PNG\xff")
    assert contents(app).way == "base64"
    assert contents(app).arguments()["files"][0] == {"path": "logo.png", "content": "iVBOR/8="}


def test_a_file_that_may_be_executed_stays_so_which_only_an_archive_can_say(app):
    (app / "main.py").chmod(0o755)
    assert contents(app).way == "zip"


@pytest.mark.parametrize(("count", "way"), [(MAX_FILES, "files"), (MAX_FILES + 1, "zip")])
def test_more_files_than_an_upload_of_texts_takes_go_as_an_archive(tmp_path, count, way):
    (tmp_path / "app").mkdir()
    for number in range(count):
        (tmp_path / "app" / f"{number}.txt").write_text("")
    assert contents(tmp_path / "app").way == way


def test_what_cannot_be_uploaded_is_refused_with_the_reason(tmp_path, app):
    with pytest.raises(InvalidArgument, match="is not a directory"):
        contents(tmp_path / "nowhere")
    with pytest.raises(InvalidArgument, match="is not a directory"):
        contents(app / "main.py")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".env").write_text("x")
    with pytest.raises(InvalidArgument, match=r"no file to upload\. All were left out: '\.env': may hold secrets"):
        contents(tmp_path / "empty")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("dist/*")
    (tmp_path / "dist").mkdir()
    for number in range(7):
        (tmp_path / "dist" / f"{number}.html").touch()
    with pytest.raises(InvalidArgument, match=r"'0\.html': .*\.gitignore; .*; and 2 more\. Take back .* !\* in a"):
        contents(tmp_path / "dist")
    (tmp_path / "dist" / ".createosignore").write_text("!*")
    assert len(contents(tmp_path / "dist").files) >= 7, "as it was advised"


def test_a_file_that_cannot_be_read_stops_the_upload(app):
    (app / "main.py").chmod(0)
    if os.access(app / "main.py", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InvalidArgument, match="Nothing was uploaded"):
        contents(app)


def test_too_large_a_directory_is_refused_and_its_largest_files_are_named(app, monkeypatch):
    dice = random.Random(0)
    for number in range(10):
        (app / f"{number}.bin").write_bytes(dice.randbytes(1000 + number))
    monkeypatch.setattr("createos_nb.api.contents.MAX_TEXT_BYTES", 1000)
    monkeypatch.setattr("createos_nb.api.contents.MAX_ZIP_BYTES", 10_000)
    found = contents(app)
    with pytest.raises(InvalidArgument, match=r"at most 10,000 .* 9.bin \(1,009\), 8.bin .*createosignore"):
        found.arguments()
    # Before all of it is in memory, too.
    monkeypatch.setattr("createos_nb.api.contents._MAX_BYTES", 5_000)
    with pytest.raises(InvalidArgument, match="more than 5,000 bytes"):
        contents(app)


def test_the_limit_is_that_of_the_platform():
    assert MAX_ZIP_BYTES == MAX_ARCHIVE_BYTES


def test_the_home_of_a_tilde_is_found(app, monkeypatch):
    monkeypatch.setenv("HOME", str(app))
    assert "main.py" in contents("~").files


@pytest.mark.parametrize(
    "name",
    [
        *(".env~", "..env.swp", ".env-prod", ".env_prod", "prod.env.bak", "key.pem~", ".secrets", "my-secrets.yml"),
        *(".bash_history", ".s3cfg", "kubeconfig", "rclone.conf"),
        *(".env", ".ENV", ".env.local", "prod.env", ".envrc", "server.pem", "TLS.PEM", "tls.key", "cert.p12"),
        *("id_rsa", "id_ecdsa", "id_dsa.old", ".netrc", ".git-credentials", ".pgpass", ".htpasswd", "a.jks"),
        *("credentials.json", "terraform.tfstate", "terraform.tfstate.backup", "secrets.toml"),
        *(".env/inner", ".Docker/config.json", ".aws/config", ".terraform/x", "deep/.ssh/config"),
        *(".tox/x", ".DS_Store", ".git", "other/bin/activate"),
    ],
)
def test_what_may_hold_secrets_and_what_is_of_no_use_stays_here(app, name):
    (app / "other").mkdir()
    (app / "other" / "pyvenv.cfg").write_text("home = /usr")
    (app / name).parent.mkdir(parents=True, exist_ok=True)
    (app / name).write_text("s3cret")
    found = contents(app)
    assert list(found.files) == ["main.py", "templates/index.html"]
    assert any(name.startswith(path) for path in found.left_out)


@pytest.mark.parametrize(
    ("name", "text", "sent"),
    [
        (".npmrc", "registry=https://registry.example/\n//registry.example/:_authToken=${NPM_TOKEN}\n", True),
        (".npmrc", "//registry.example/:_authToken=npm_s3cret\n", False),
        (".npmrc", "_auth = czNjcmV0\n", False),
        ("pip.conf", "[global]\nindex-url = https://pypi.example/simple\n", True),
        ("pip.conf", "[global]\nindex-url = https://me:s3cret@pypi.example/simple\n", False),
        ("pip.conf", "[global]\nindex-url = https://me:${TOKEN}@pypi.example/simple\n", True),
        ("notes.txt", "-----BEGIN OPENSSH PRIVATE KEY-----\n", False),
        ("notes.txt", "-----BEGIN CERTIFICATE-----\n", True),
        ("my-proj-0a1b2c3d.json", f'{{"private_key": "-----BEGIN PRIVATE KEY-----\\n{"MIIEvAIB" * 8}', False),
        (
            "server.crt",
            "Bag Attributes\n  friendlyName: x\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + "MIIEvAIB" * 8,
            False,
        ),
        ("a.txt", "\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" + "MIIEvAIB" * 8, False),
        ("a.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBF", False),
        ("server.js", 'const key = "-----BEGIN PRIVATE KEY-----\\n" + process.env.KEY + "\\n";', True),
        ("main.py", "KEY = f'''-----BEGIN PRIVATE KEY-----\n{os.environ['KEY']}'''", True),
        ("docs.md", "The file begins with -----BEGIN PRIVATE KEY-----, as PEM does.", True),
        ("check.py", "if '-----BEGIN RSA PRIVATE KEY-----' in text:\n    raise", True),
        ("config.json", '{"auths": {"registry.example": {"auth": "dXNlcjpzM2NyZXQ="}}}', False),
        ("config.json", '{"auths": "of the users"}', True),
    ],
)
def test_what_a_build_needs_is_sent_unless_a_secret_stands_in_it(app, name, text, sent):
    (app / name).write_text(text)
    found = contents(app)
    assert (name in found.files) == sent
    assert "s3cret" not in str(found.left_out)
    assert (name in found.left_out) != sent


def test_files_can_be_given_one_by_one_or_as_contents(app, monkeypatch):
    (app / ".env").write_text("s3cret")
    monkeypatch.chdir(app)
    found = contents(["main.py", app / "templates" / "index.html", ".env"])
    assert found.files == contents(app).files
    assert list(found.left_out) == [".env"]
    given = contents({"main.py": "print('é')", "templates/index.html": b"<p>", ".aws/config": "s3cret"})
    assert given.files == found.files
    assert given.left_out == {".aws/config": "may hold secrets: use the environment's variables"}
    assert given.digest == found.digest


@pytest.mark.parametrize("path", ["/etc/passwd", "../up.py", "a/../../b", "a//b", "./a", "", "a\\b", "a\nb"])
def test_contents_have_plain_relative_paths(path):
    with pytest.raises(InvalidArgument):
        contents({path: "x"})


@pytest.mark.parametrize("path", ["/etc/passwd", "../up.py", "templates", "nowhere.py"])
def test_listed_files_lie_below_the_working_directory(app, monkeypatch, path):
    (app.parent / "up.py").write_text("x")
    monkeypatch.chdir(app)
    with pytest.raises(InvalidArgument, match="is not a file below"):
        contents([path])


def test_a_name_no_upload_may_have_stops_the_upload_unless_it_is_left_out(app):
    (app / "a\nb.log").write_text("x")
    with pytest.raises(InvalidArgument, match=r"a\\nb.log"):
        contents(app)
    (app / ".gitignore").write_text("*.log")
    assert "main.py" in contents(app).files


def test_a_file_that_becomes_a_link_while_it_is_read_is_not_followed(app, monkeypatch):
    (app.parent / "outside").write_text("s3cret")
    looked_at = contents_module._reason

    def swapped(path):
        reason = looked_at(path)
        if path.name == "main.py":
            path.unlink()
            path.symlink_to(app.parent / "outside")
        return reason

    monkeypatch.setattr(contents_module, "_reason", swapped)
    with pytest.raises(InvalidArgument, match=r"Cannot read .*main\.py"):
        contents(app)


def test_a_file_that_is_being_written_stops_the_upload(app):
    stop = threading.Event()

    def write():
        with (app / "growing.log").open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x" * 1000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(InvalidArgument, match="changes while it is read"):  # noqa: PT012 - a try may be lucky
            for _ in range(200):
                contents(app)
    finally:
        stop.set()
        writer.join()


# --- .gitignore and .createosignore ---------------------------------------------------------------------


PARTS = [
    *("a", "b", "ab", "a.x", "*.x", "*", "?", "a*", "[ab]", "[!a]", "**", "a?", "b.x"),
    *("[[:alpha:]]", "***", "a**", "[]a]", "[a-", "\\a", "[b-a]", "*a*b*", "é", "a\\"),
]
NAMES = ["a", "b", "ab", "a.x", "b.x", "é"]
FOLDERS = ["", "a/", "b/", "ab/", "a/b/", "b/a/", "ab/ab/"]


def plant(root, dice):
    """Make random files and random rules, in ``root`` and in the repository around it."""
    for folder in FOLDERS:
        for name in NAMES:
            if f"{folder}{name}/" not in FOLDERS and dice.random() < 0.6:
                (root / folder).mkdir(parents=True, exist_ok=True)
                (root / folder / name).write_text("x")
    for folder in [".", *(folder for folder in FOLDERS[1:5] if (root / folder).is_dir()), "..", "../.git/info"]:
        if dice.random() < 0.5:
            rules = []
            for _ in range(dice.randint(1, 4)):
                rule = "/".join(dice.choice(PARTS) for _ in range(dice.randint(1, 3)))
                rules.append(
                    f"{dice.choice(['', '', '!', '#'])}{dice.choice(['', '', '/'])}{rule}"
                    f"{dice.choice(['', '', '/', ' ', chr(9)])}"
                )
            text = dice.choice(["", "", "\ufeff"]) + dice.choice(["\n", "\n", "\r\n"]).join([*rules, "!", ""])
            file = "exclude" if folder.endswith("info") else ".gitignore"
            (root / folder / file).write_bytes(text.encode())


def test_what_git_ignores_is_left_out_and_nothing_else_is(tmp_path, require):
    if shutil.which("git") is None:
        require("git", "git is not on PATH")
    differ, compared = [], 0
    for seed in range(300):
        repository = tmp_path / str(seed)
        root = repository / "app"
        root.mkdir(parents=True)
        subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
        plant(root, random.Random(seed))
        every = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        answer = subprocess.run(
            ["git", "check-ignore", "--no-index", "--stdin", "-z"],
            input="\0".join(f"app/{path}" for path in every).encode(),
            cwd=repository,
            capture_output=True,
            check=False,
        )
        # The directory itself was named, so that rules about it do not count, as they do for git.
        ignored = {path.removeprefix("app/") for path in answer.stdout.decode().split("\0")}
        command = ["git", "check-ignore", "-q", "--no-index", "app"]
        if subprocess.run(command, cwd=repository, check=False).returncode:
            compared += 1
            try:
                sent = set(contents(root).files)
            except InvalidArgument:
                sent = set()
            if sent != set(every) - ignored:
                differ.append((seed, sent ^ (set(every) - ignored)))
    assert compared > 150
    assert differ == []


@pytest.mark.parametrize(
    "rule", [b"a*a*a*a*a*a*a*a*a*b", b"**/a/**/a/**/a/**/a/**/a/**/b", b"*[!b]*[!b]*[!b]*[!b]*[!b]*[!b]*[!b]*[!b]c"]
)
def test_no_pattern_takes_long(rule):
    # With ordinary backtracking each of these takes hours.
    rules = Rules(rule)
    assert rules.ignored("a" * 200, directory=False) is None
    assert rules.ignored("/".join("a" * 100), directory=False) is None


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


def test_an_awaited_upload_sends_the_same_and_lets_others_work_meanwhile(platform, shop, monkeypatch):
    files = {**shop.files(), "data.bin": random.Random(0).randbytes(6_000_000)}
    begun, others_worked, packed = threading.Event(), threading.Event(), Contents.arguments

    def waiting(self):
        begun.set()
        assert others_worked.wait(30), "packing is done elsewhere"
        return packed(self)

    monkeypatch.setattr(Contents, "arguments", waiting)

    async def uploaded():
        async with AsyncClient(platform.api_url, api_key=platform.api_key()) as awaiting:
            task = asyncio.create_task(awaiting.deployments.upload(shop.project_id, files))
            while not (begun.is_set() or task.done()):
                await asyncio.sleep(0.005)
            others_worked.set()
            return await task

    upload = asyncio.run(uploaded())
    assert (upload.way, upload.bytes, upload.digest) == ("zip", contents(files).size, contents(files).digest)
    assert begun.is_set()


def test_what_is_sent_is_shown_as_it_goes_out(client, shop, monkeypatch, capsys):
    files = {**shop.files(), "data.bin": random.Random(0).randbytes(6_000_000)}
    client.deployments.upload(shop.project_id, files)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("createos_nb.api.progress.watched", lambda: True)
    client.deployments.upload(shop.project_id, files)
    assert "6.0" in capsys.readouterr().err
    client.deployments.upload(shop.project_id, files, progress=False)
    assert capsys.readouterr().err == ""


def test_no_name_of_a_file_left_out_becomes_another_line_or_markup():
    upload = Upload("d", ("a",), {"<b>\n\x1b[31mx/": "a link"}, "files", 1, "0")
    assert len(str(upload).splitlines()) == 2
    assert "\x1b" not in str(upload) + upload._repr_html_()
    assert "<b>" not in upload._repr_html_()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": 3}, "The content of 'a' must be text or bytes, not int"),
        ({"a": "\ud800"}, "'a' has a character that no UTF-8 can hold"),
    ],
)
def test_what_is_no_content_is_refused(files, said):
    with pytest.raises(InvalidArgument, match=said):
        contents(files)
