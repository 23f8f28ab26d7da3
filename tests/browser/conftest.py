"""JupyterLab on a port of its own, and Chromium to look at it with."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NEWS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
# JupyterLab runs nothing, and says nothing, when it is told to run all cells before the kernel is connected.
KERNEL_IS_READY = """() => {
    const widget = window.jupyterapp && window.jupyterapp.shell.currentWidget;
    const context = widget && widget.sessionContext;
    const kernel = context && context.isReady && context.session && context.session.kernel;
    return !!(kernel && kernel.status === 'idle' && kernel.connectionStatus === 'connected');
}"""

failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.stash[failed] = item.stash.get(failed, False) or report.failed
    return report


@pytest.fixture(scope="session")
def chromium(require) -> str:
    """Path of the browser."""
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None:
        require("browser", "Chromium is not installed. On Debian or Ubuntu: apt-get install chromium")
    return found


def free_port() -> int:
    """A port that stays free until a server of its own process takes it, some seconds later.

    Not one that the system chooses: any connection of any process may be given that again meanwhile.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


class Lab:
    """A running JupyterLab, and the directory that it shows."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.url = f"http://127.0.0.1:{port}"

    def run_all(self, page, notebook: str) -> None:
        """Open a notebook and run all its cells."""
        page.goto(f"{self.url}/lab/tree/{notebook}?reset")
        page.wait_for_function(KERNEL_IS_READY, timeout=60_000)
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")


@pytest.fixture
def lab(chromium, platform, tmp_path):
    """JupyterLab over an empty directory; its kernels find the embedded platform."""
    root = tmp_path / "lab"
    root.mkdir()
    settings = tmp_path / "settings"
    (settings / NEWS).parent.mkdir(parents=True)
    (settings / NEWS).write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True})
    )
    port = free_port()
    lab = Lab(root, port)
    log = tmp_path / "jupyterlab.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1"),
                *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
                *("--ServerApp.password=", "--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={root}"),
                *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
            ],
            env={
                **os.environ,
                "CREATEOS_API_URL": platform.api_url,
                "CREATEOS_API_KEY_FILE": platform.key_file,
                "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
                "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
                "JUPYTERLAB_SETTINGS_DIR": str(settings),
                "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _answers(f"{lab.url}/api/status", server, log)
        yield lab
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if server.poll() is not None:
            break
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not come up. Its log ends:\n{log.read_text()[-2000:]}")


@pytest.fixture
def page(chromium, request, tmp_path):
    """A page of a fresh browser; a screenshot is kept when the test fails."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_OPTIONS))
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(60_000)
        yield page
        if request.node.stash.get(failed, False):
            picture = tmp_path / "failed.png"
            page.screenshot(path=picture)
            print(f"What the browser showed: {picture}")
        browser.close()
