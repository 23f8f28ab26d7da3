"""Charts where people look at them, JupyterLab and Voila, on a machine whose network is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import nbformat
import pytest

from tests.browser.conftest import free_port

pytestmark = pytest.mark.browser

CHARTS = (
    "charts.chart(schema.sample('REQUESTS_OVER_TIME'), schema.sample('DEPLOYMENTS'))",
    "schema.sample('REQUESTS_OVER_TIME').createos.error_rate_chart(objective=0.99)",
    "schema.sample('REQUESTS_OVER_TIME').createos.drilldown_chart(schema.sample('LOGS'))",
    "schema.sample('TOP_ERROR_PATHS').createos.chart()",
)


def write(path):
    """A notebook that draws a chart in each of its cells."""
    cells = [nbformat.v4.new_code_cell("import createos_nb.accessor\nfrom createos_nb import charts, schema")]
    cells += [nbformat.v4.new_code_cell(source) for source in CHARTS]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture
def cut_off(page):
    """A page that reaches this machine alone, and what it asked of others."""
    asked = []

    def answer(route):
        if urlsplit(route.request.url).hostname in {"127.0.0.1", "localhost"}:
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    page.route("**/*", answer)
    return page, asked


def drawn(page):
    """Wait until every chart is there, drawn by Vega and not only as a picture."""
    page.wait_for_function(f"document.querySelectorAll('.vega-embed :is(canvas, svg)').length >= {len(CHARTS)}")
    return page.locator(".vega-embed").count()


def test_jupyterlab_draws_every_chart_without_a_network(lab, cut_off):
    page, asked = cut_off
    write(lab.root / "charts.ipynb")
    lab.run_all(page, "charts.ipynb")
    assert drawn(page) == len(CHARTS)
    assert asked == []


@contextmanager
def voila(directory):
    """Voila, serving a notebook."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "voila",
        "charts.ipynb",
        f"--port={port}",
        "--no-browser",
        "--Voila.ip=127.0.0.1",
    ]
    isolated = {"JUPYTER_CONFIG_DIR": str(directory / "config"), "JUPYTER_RUNTIME_DIR": str(directory / "runtime")}
    with (directory / "voila.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log, env={**os.environ, **isolated})
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and server.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(60)


def test_voila_shows_every_chart_without_a_network(cut_off, tmp_path):
    page, asked = cut_off
    write(tmp_path / "charts.ipynb")
    with voila(tmp_path) as url:
        page.goto(url)
        assert drawn(page) == len(CHARTS)
    # Voila's own page asks for its icons, charts or not, and does without them.
    assert [url for url in asked if "fontawesome" not in url] == []
