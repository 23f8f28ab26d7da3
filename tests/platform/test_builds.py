from __future__ import annotations

import asyncio
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile

import pytest

from createos_nb.api.secret import Secret
from createos_nb.platform.applications import shop
from createos_nb.platform.builds import Artefact, build
from createos_nb.platform.children import OWNER
from createos_nb.platform.processes import Supervisor
from createos_nb.platform.runtimelogs import RuntimeLogs
from createos_nb.platform.runtimes import detected
from createos_nb.platform.workshop import BuildFailed, BuildSettings, Workshop
from tests.platform.test_processes import alive

pytestmark = pytest.mark.anyio

RUNNING = platform.python_version()
MINOR = RUNNING.rpartition(".")[0]


class Log:
    """The lines of one build."""

    def __init__(self):
        self.lines = []

    def __call__(self, stage, line):
        self.lines.append((stage, line))

    def __str__(self):
        return "\n".join(f"{stage}: {line}" for stage, line in self.lines)


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def source(tmp_path):
    def make(files):
        directory = tmp_path / "source"
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return directory

    return make


@pytest.fixture
async def supervisor(tmp_path):
    logs = RuntimeLogs(tmp_path / "logs")
    supervisor = Supervisor(logs, owner="test-builds")
    yield supervisor
    await supervisor.stop_all()
    assert supervisor.sweep() == 0, "a test left a process behind"
    logs.close()


@pytest.fixture
def run(supervisor):
    """Run what was built; returns a function that asks it for a path."""

    def fetch(process, path, headers):
        request = urllib.request.Request(f"http://{process.host}:{process.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.headers.get_content_type(), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get_content_type(), error.read().decode()

    async def run(artefact):
        process = await supervisor.start(
            artefact, environment_id="env", deployment_id="dep", replica=0, variables={}, memory_mb=None
        )
        return lambda path, **headers: asyncio.to_thread(fetch, process, path, headers)

    return run


# --- python -----------------------------------------------------------------------------------------------


async def test_a_python_application_is_built_in_its_own_environment_and_runs(source, log, run):
    artefact = await build(source(shop(1)), BuildSettings(runtime=f"python:{MINOR}", port=8000), log)
    assert ("prepare", f"It runs on python {RUNNING}.") in log.lines
    status, _, content = await (await run(artefact))("/healthz")
    assert status == 200
    assert json.loads(content)["version"] == "v1"
    assert artefact.environment["VIRTUAL_ENV"] != sys.prefix
    assert artefact.port == 8000


async def test_another_python_than_asked_for_is_a_note_not_a_failure(source, log):
    await build(source({"main.py": ""}), BuildSettings(runtime="python:3.99"), log)
    assert f"It runs on python {RUNNING} (this machine has no python 3.99" in str(log)


def wheel(path):
    """Write the smallest package that pip installs without asking an index."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("greeter.py", "WORD = 'hello'")
        archive.writestr("greeter-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
        archive.writestr("greeter-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("greeter-1.0.dist-info/RECORD", "")


async def test_requirements_are_installed_for_the_application_alone(source, log, run):
    main = """
import greeter, http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(greeter.WORD.encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
    files = source({"requirements.txt": "./greeter-1.0-py3-none-any.whl\n", "main.py": main})
    wheel(files / "greeter-1.0-py3-none-any.whl")
    artefact = await build(files, BuildSettings(runtime="python"), log)
    assert "install: Successfully installed greeter-1.0" in str(log)
    assert (await (await run(artefact))("/"))[2] == "hello"
    with pytest.raises(ImportError):
        importlib.import_module("greeter")


@pytest.mark.parametrize("requirements", ["", "# later: requests\n\n"])
async def test_without_requirements_nothing_is_installed(source, log, requirements):
    files = {"main.py": "", "requirements.txt": requirements, "pyproject.toml": "[tool.ruff]\n"}
    artefact = await build(source(files), BuildSettings(runtime="python"), log)
    assert not [line for stage, line in log.lines if stage == "install"]
    assert not os.path.exists(f"{artefact.environment['VIRTUAL_ENV']}/bin/pip")


async def test_of_an_application_that_is_no_package_what_it_needs_is_installed(source, log):
    files = {
        "main.py": "",
        "one/a.py": "",
        "two/b.py": "",
        "pyproject.toml": '[project]\nname = "x"\nversion = "1"\n',
    }
    await build(source(files), BuildSettings(runtime="python"), log)
    assert not [line for stage, line in log.lines if stage == "install"]
    files["pyproject.toml"] += "dependencies = [\"no-such-package>=1; python_version > '3'\"]\n"
    settings = BuildSettings(runtime="python", build_vars={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""})
    with pytest.raises(BuildFailed, match="install command ended with exit code 1"):
        await build(source(files), settings, log)
    assert "No matching distribution found for no-such-package>=1" in str(log)


@pytest.mark.parametrize(
    "described",
    [
        '[project]\nname = "x"\ndependencies = "flask"\n',
        'project = "x"\n',
        '[project]\n[project.scripts]\nx = "x:y"\n',
    ],
    ids=["a text", "no table", "a program"],
)
async def test_what_pip_is_to_read_is_left_to_pip(source, log, described):
    settings = BuildSettings(runtime="python", build_vars={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""})
    with pytest.raises(BuildFailed, match="install command ended with exit code 1"):
        await build(source({"main.py": "", "pyproject.toml": described}), settings, log)
    assert "install: $ python -m pip install ." in str(log)


async def test_a_failing_install_fails_the_build_and_its_lines_are_kept(source, log):
    files = {
        "main.py": "",
        "pyproject.toml": '[project]\nname = "x"\n[build-system]\nrequires = ["no-such-package"]\n',
    }
    settings = BuildSettings(runtime="python", build_vars={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""})
    with pytest.raises(BuildFailed, match="install command ended with exit code 1"):
        await build(source(files), settings, log)
    assert "install: $ python -m pip install ." in str(log)
    assert "ERROR: No matching distribution found for no-such-package" in str(log)


async def test_the_run_command_is_the_users_with_flags_and_variables(source, log, run):
    files = {"serve.py": "import sys, http.server as h\nh.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"}
    settings = BuildSettings(runtime="python", run_command="python serve.py", run_flag="$PORT")
    status, _, content = await (await run(await build(source(files), settings, log)))("/")
    assert status == 200
    assert "serve.py" in content


async def test_without_anything_to_start_the_build_fails_and_says_so(source, log):
    with pytest.raises(BuildFailed, match=r"Set runCommand: 'python main\.py'"):
        await build(source({"lib.py": ""}), BuildSettings(runtime="python"), log)


# --- other runtimes ---------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
async def test_a_node_application_is_built_and_runs(source, log, run):
    server = (
        "require('http').createServer((q, r) => r.end(require('fs').readFileSync('built.txt')))"
        ".listen(process.env.PORT, '127.0.0.1')"
    )
    scripts = {"build": "node -e \"require('fs').writeFileSync('built.txt', 'made')\"", "start": "node server.js"}
    files = {"server.js": server, "package.json": json.dumps({"scripts": scripts})}
    artefact = await build(source(files), BuildSettings(runtime="node:20"), log)
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip("v\n")
    assert f"It runs on node {version}" in str(log)
    assert (await (await run(artefact))("/"))[2] == "made"


async def test_a_run_command_of_a_static_site_is_said_to_be_unused(source, log):
    await build(source({"index.html": ""}), BuildSettings(runtime="static", run_command="npm start"), log)
    assert "runCommand is not used" in str(log)


async def test_a_static_site_is_served_with_its_types_and_nothing_hidden(source, log, run):
    files = {"dist/index.html": "<h1>hi", "dist/a/style.css": "p{}", "dist/.env": "secret", "main.py": "secret"}
    files["dist/.well-known/security.txt"] = "mailto:"
    files["dist/site.js.gz"] = "packed"
    files["dist/.well-known/.env"] = files["dist/a/.well-known/x"] = "secret"
    ask = await run(await build(source(files), BuildSettings(runtime="static", build_dir="dist"), log))
    assert await ask("/") == (200, "text/html", "<h1>hi")
    assert (await ask("/site.js.gz"))[:2] == (200, "application/gzip"), "it is no text that a browser could run"
    assert await ask("/a/style.css") == (200, "text/css", "p{}")
    assert (await ask("/", Range="bytes=0-3"))[0] == 206
    assert await ask("/.well-known/security.txt") == (200, "text/plain", "mailto:")
    for path in (
        "/a/",
        "/.well-known/.env",
        "/a/.well-known/x",
        "/.env",
        "/%2eenv",
        "/../main.py",
        "/a/../../main.py",
        "/..%2fmain.py",
        "/none",
    ):
        assert (await ask(path))[0] == 404, path


@pytest.mark.parametrize(
    ("files", "found"),
    [({"app.py": ""}, "python"), ({"index.html": ""}, "static"), ({"pyproject.toml": "", "main.py": ""}, "python")],
    ids=["python", "static", "pyproject"],
)
async def test_without_a_runtime_the_files_show_which(source, log, files, found):
    await build(source(files), BuildSettings(), log)
    assert f"prepare: Runtime {found}, because there is" in str(log)


@pytest.mark.parametrize(
    ("files", "runtime", "framework"),
    [
        ({"package.json": '{"dependencies": {"next": "15"}}'}, "node", "nextjs"),
        ({"package.json": '{"dependencies": {"express": "5"}, "scripts": {"start": "x"}}'}, "node", "express"),
        (
            {"package.json": '{"dependencies": {"react": "19"}, "devDependencies": {"vite": "7"}}'},
            "node",
            "reactjs-spa",
        ),
        ({"package.json": '{"dependencies": {"vue": "3"}, "devDependencies": {"vite": "7"}}'}, "node", "vuejs-spa"),
        (
            {"package.json": '{"dependencies": {"vue": "3", "vite": "7"}, "scripts": {"start": "x"}}'},
            "node",
            "vuejs-ssr",
        ),
        ({"package.json": '{"dependencies": {"@react-router/node": "7"}}'}, "node", "remix"),
        ({"package.json": '{"devDependencies": {"@vue/cli-service": "5"}}'}, "node", "vuejs-spa"),
        ({"package.json": "{}", "bun.lock": ""}, "bun", None),
        ({"package.json": "{}", "requirements.txt": ""}, "node", None),
        ({"requirements.txt": "django", "manage.py": ""}, "python", "django"),
        ({"main.py": "import fastapi\napi: fastapi.FastAPI = fastapi.FastAPI()"}, "python", "fastapi"),
        ({"app.py": "from flask import Flask\napp = Flask(__name__)"}, "python", "flask"),
        ({"wsgi.py": "application = Flask(__name__)"}, "python", "flask"),
        ({"requirements.txt": "", "app/main.py": "app = FastAPI()"}, "python", "fastapi"),
        ({"app.py": "def create_app(test=None):\n    app = Flask(__name__)\n    return app"}, "python", "flask"),
        # What is started as it is, whatever else there is; what nothing can call; what a test makes.
        ({"main.py": "import shop", "test/__init__.py": "app = FastAPI()"}, "python", None),
        ({"main.py": "shop.migrate()", "shop/__init__.py": "app = FastAPI()"}, "python", None),
        ({"app.py": "def create_app(config):\n    return Flask(__name__)"}, "python", None),
        ({"app.py": "async def create_app():\n    return Flask(__name__)"}, "python", None),
        ({"app.py": "def create_app():\n    return 1\nclass T:\n    app = Flask('t')"}, "python", None),
        ({"app.py": "def create_app(:\n    return Flask(__name__)"}, "python", None),
        ({"app.py": "def create_app(config=None, *, test=False):\n    return Flask(__name__)"}, "python", "flask"),
        ({"app.py": "app = Flask(__name__)\nif __name__ == '__main__':\n    app.run()"}, "python", None),
        ({"go.mod": "module shop", "index.html": ""}, "golang", None),
        ({"go.mod": "module shop\nrequire github.com/gin-gonic/gin v1.10.0"}, "golang", "gin"),
        ({"go.mod": "module shop\nrequire (\n\tgithub.com/gofiber/fiber/v2 v2.52.0\n)"}, "golang", "fiber"),
        ({"Cargo.toml": "[package]"}, "rust", None),
        ({"Cargo.toml": '[dependencies]\nactix-web = "4"'}, "rust", "actix"),
        ({"index.html": ""}, "static", None),
    ],
    ids=str,
)
def test_the_files_show_runtime_and_framework(source, log, files, runtime, framework):
    made = source(files)
    assert detected(Workshop(made / ".createos", made, BuildSettings(), log, "")) == (runtime, framework)


async def test_a_framework_of_the_settings_decides_where_the_files_say_nothing(source, log):
    artefact = await build(source({"app.py": "site = Flask(__name__)"}), BuildSettings(framework="flask"), log)
    assert artefact.command[-1] == 'python -m flask --app app:site run --host 127.0.0.1 --port "$PORT"'


@pytest.mark.parametrize(
    ("framework", "files", "app"),
    [
        ("flask", {"wsgi.py": "application = Flask(__name__)"}, "flask --app wsgi:application run"),
        ("flask", {"app.py": "def create_app():\n\tapp = Flask(__name__)\n"}, "flask --app app:create_app run"),
        (
            "flask",
            {"shop/__init__.py": "def create_app():\n  x = flask.Flask(__name__)"},
            "--app shop:create_app run",
        ),
        ("flask", {"main.py": "from shop import app"}, "flask --app main:app run"),
        ("fastapi", {"app/main.py": "app = FastAPI()", "app/__init__.py": ""}, "uvicorn app.main:app --host"),
        ("fastapi", {"asgi.py": "def make_app():\n    api = FastAPI()"}, "uvicorn asgi:make_app --factory --host"),
    ],
    ids=str,
)
async def test_an_application_object_is_found_where_its_framework_puts_it(source, log, framework, files, app):
    artefact = await build(source(files), BuildSettings(runtime="python", framework=framework), log)
    assert app in artefact.command[-1]


async def test_a_framework_of_which_nothing_is_there_says_where_it_was_looked_for(source, log):
    with pytest.raises(BuildFailed, match=r"No Flask object was found in main\.py, .*wsgi\.py.*Set runCommand"):
        await build(source({"shop.txt": "x"}), BuildSettings(framework="flask"), log)


async def test_what_only_poetry_would_install_is_said_not_to_be(source, log):
    files = {"main.py": "", "pyproject.toml": '[tool.poetry.dependencies]\nflask = "*"\n'}
    await build(source(files), BuildSettings(runtime="python", run_command="python main.py"), log)
    assert "pyproject.toml has no [project] and no [build-system]: nothing is installed from it." in str(log)


async def test_the_run_command_of_the_settings_wins_over_the_framework(source, log):
    settings = BuildSettings(framework="fastapi", run_command="python app.py")
    artefact = await build(source({"app.py": "app = FastAPI()"}), settings, log)
    assert artefact.command[-1] == "python app.py"


async def test_a_single_page_site_is_built_and_answers_at_every_page(source, log, run):
    build_script = "mkdir -p dist && echo '<h1>shop</h1>' > dist/index.html && echo x > dist/app.js"
    package = {"devDependencies": {}, "scripts": {"build": build_script}}
    made = source({"package.json": json.dumps(package)})
    ask = await run(await build(made, BuildSettings(runtime="node:20", framework="reactjs-spa"), log))
    assert await ask("/") == (200, "text/html", "<h1>shop</h1>\n")
    assert await ask("/cart/7") == (200, "text/html", "<h1>shop</h1>\n")
    assert (await ask("/app.js"))[0] == 200
    assert (await ask("/gone.png"))[0] == 404


async def test_a_single_page_site_that_was_not_built_says_where_it_was_looked_for(source, log):
    with pytest.raises(BuildFailed, match=r"no site in dist or build\. Set buildDir"):
        await build(source({"package.json": "{}"}), BuildSettings(runtime="node", framework="reactjs-spa"), log)


GO = """package main
import ("fmt"; "net/http"; "os")
func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "go") })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil); err != nil { panic(err) }
}
"""

RUST = """use std::{env, io::{Read, Write}, net::TcpListener};
fn main() {
    let listener = TcpListener::bind(format!("127.0.0.1:{}", env::var("PORT").unwrap())).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n");
        let _ = stream.write_all(b"Content-Length: 4\\r\\n\\r\\nrust");
    }
}
"""


@pytest.mark.parametrize(
    ("program", "runtime", "files", "said"),
    [
        ("go", "golang:1.22", {"go.mod": "module shop\n\ngo 1.21\n", "main.go": GO}, "go"),
        (
            "cargo",
            "rust:1.75",
            {"Cargo.toml": '[package]\nname = "shop"\nversion = "1.0.0"\nedition = "2021"\n', "src/main.rs": RUST},
            "rust",
        ),
    ],
    ids=["golang", "rust"],
)
async def test_a_compiled_application_is_built_and_runs(source, log, run, require, program, runtime, files, said):
    if shutil.which(program) is None:
        require(program, f"{program} is not on PATH")
    artefact = await build(source(files), BuildSettings(runtime=runtime), log)
    status, _, content = await (await run(artefact))("/")
    assert (status, content) == (200, said)
    assert f"prepare: It runs on {program} " in str(log)


@pytest.mark.parametrize("runtime", ["cobol:85", "../../bin/sh", ""])
async def test_a_runtime_that_is_not_there_fails_with_what_to_do(source, log, runtime):
    with pytest.raises(BuildFailed, match=r"runtime.*(Use|Set)"):
        await build(source({"notes.txt": ""}), BuildSettings(runtime=runtime), log)


async def test_a_framework_that_is_not_known_fails_with_those_that_are(source, log):
    with pytest.raises(BuildFailed, match=r"framework 'rails' is not .*fastapi"):
        await build(source({"notes.txt": ""}), BuildSettings(framework="rails"), log)


@pytest.mark.parametrize(
    ("runtime", "program"), [("bun:1.3", "bun"), ("golang:1.22", "go"), ("rust:1.75", "cargo")]
)
async def test_a_toolchain_that_is_not_installed_says_to_install_it(
    source, log, monkeypatch, tmp_path, runtime, program
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match=rf"no {program} on this machine\. Install it"):
        await build(source({"package.json": "{}"}), BuildSettings(runtime=runtime), log)


async def test_a_runtime_that_is_not_installed_says_to_install_it(source, log, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match=r"no node on this machine\. Install it"):
        await build(source({"server.js": ""}), BuildSettings(runtime="node:20"), log)


# --- commands ---------------------------------------------------------------------------------------------


async def test_commands_get_the_build_variables_and_nothing_of_the_platforms(source, log, monkeypatch):
    monkeypatch.setenv("CREATEOS_API_KEY", "planted")
    monkeypatch.setenv("JPY_API_TOKEN", "planted")
    settings = BuildSettings(
        runtime="python",
        build_command='env; test -z "$(cat)"',
        build_vars={"TOKEN": Secret("hunter2"), OWNER: "forged"},
        run_command="true",
    )
    artefact = await build(source({"main.py": ""}), settings, log, owner="me")
    assert "build: TOKEN=hunter2" in str(log)
    assert f"build: {OWNER}=me" in str(log)
    assert "planted" not in str(log)
    assert "hunter2" not in artefact.to_json() + repr(settings)


async def test_a_build_that_takes_too_long_ends_with_everything_it_started(source, log, tmp_path):
    pid = tmp_path / "pid"
    settings = BuildSettings(runtime="static", build_command=f"sleep 600 & echo $! > {pid}; wait")
    for timeout_s in (0.6, 6, 60):  # A slow machine has not even begun the command after the shortest.
        with pytest.raises(BuildFailed, match="took longer than"):
            await build(source({"index.html": ""}), settings, log, timeout_s=timeout_s)
        if pid.exists() and pid.read_text():
            break
    assert not alive(int(pid.read_text()))


async def test_a_cancelled_build_ends_with_everything_it_started(source, tmp_path):
    started = asyncio.Event()
    pids = []

    def log(stage, line):
        if stage == "build" and line.isdigit():
            pids.append(int(line))
            started.set()

    settings = BuildSettings(runtime="static", build_command="sleep 600 & echo $!; wait")
    building = asyncio.create_task(build(source({"index.html": ""}), settings, log))
    await asyncio.wait_for(started.wait(), 60)
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert not alive(pids[0])


async def test_a_failing_command_fails_the_build_with_its_code(source, log):
    settings = BuildSettings(runtime="static", build_command="echo broken >&2; exit 7")
    with pytest.raises(BuildFailed, match="build command ended with exit code 7"):
        await build(source({"index.html": ""}), settings, log)
    assert ("build", "broken") in log.lines


async def test_an_error_of_the_log_is_not_swallowed(source):
    def log(stage, line):
        if line == "break":
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await build(source({"index.html": ""}), BuildSettings(runtime="static", build_command="echo break"), log)


@pytest.mark.parametrize("directory", ["..", "a/../../b", "link", "nowhere", "main.py"])
async def test_a_directory_outside_the_upload_is_refused(source, log, directory, tmp_path):
    made = source({"main.py": ""})
    (made / "link").symlink_to(tmp_path)
    with pytest.raises(BuildFailed, match="directoryPath"):
        await build(made, BuildSettings(runtime="python", directory_path=directory), log)


async def test_an_application_in_a_directory_of_the_upload_is_built_there(source, log):
    made = source({"services/api/main.py": "", "main.js": ""})
    artefact = await build(made, BuildSettings(directory_path="/services/api"), log)
    assert artefact.directory == made / "services" / "api"


@pytest.mark.parametrize(
    ("name", "text"), [("package.json", "{"), ("package.json", "[1]"), ("pyproject.toml", "[")], ids=str
)
async def test_a_file_that_cannot_be_read_is_named(source, log, name, text):
    with pytest.raises(BuildFailed, match=name):
        await build(source({name: text, "main.py": ""}), BuildSettings(), log)


async def test_settings_of_package_managers_are_found_beside_the_application_and_for_the_whole_upload(source, log):
    shown = BuildSettings(
        runtime="static", directory_path="web", build_command="echo $PIP_CONFIG_FILE $NPM_CONFIG_USERCONFIG"
    )
    made = source({"pip.conf": "", ".npmrc": "", "web/index.html": "", "web/.npmrc": ""})
    await build(made, shown, log)
    assert ("build", f"{made / 'pip.conf'} {made / 'web' / '.npmrc'}") in log.lines


async def test_what_npm_is_told_in_an_upload_holds_in_its_directories(source, log, require):
    if shutil.which("npm") is None:
        require("npm", "npm is not on PATH")
    made = source({".npmrc": "tag=whole", "web/package.json": "{}", "web/index.html": ""})
    settings = BuildSettings(runtime="static", directory_path="web", build_command="npm config get tag")
    await build(made, settings, log)
    assert ("build", "whole") in log.lines


async def test_a_program_that_is_not_there_is_to_be_installed(source, log):
    with pytest.raises(BuildFailed, match="not on this machine: install it"):
        await build(
            source({"index.html": ""}), BuildSettings(runtime="static", build_command="no-such-tool build"), log
        )


async def test_what_a_build_leaves_in_its_directory_is_served_when_nothing_is_to_be_started(source, log, run):
    package = {"scripts": {"build": "mkdir -p out && echo '<h1>docs</h1>' > out/index.html"}}
    made = source({"package.json": json.dumps(package)})
    ask = await run(await build(made, BuildSettings(runtime="node:20", build_dir="out"), log))
    assert await ask("/") == (200, "text/html", "<h1>docs</h1>\n")


async def test_a_second_build_of_the_same_files_works(source, log):
    made = source({"main.py": ""})
    first = await build(made, BuildSettings(), log)
    assert await build(made, BuildSettings(), log) == first


def test_an_artefact_survives_its_description(tmp_path):
    artefact = Artefact(tmp_path, ("python", "ünï.py"), {"PATH": "/bin"}, 8000)
    assert Artefact.from_json(artefact.to_json()) == artefact


async def test_a_build_commands_pip_is_the_applications_own(source, log):
    files = {"main.py": "", "where.py": "import sys; print('prefix', sys.prefix)"}
    command = "pip --version && python where.py"
    await build(source(files), BuildSettings(runtime="python", build_command=command), log)
    prefix = next(line.partition("prefix ")[2] for _, line in log.lines if line.startswith("prefix "))
    assert any(line.startswith("pip ") and prefix in line for _, line in log.lines)
