from __future__ import annotations

import base64
import json
import subprocess
import sys
import zlib
from urllib.error import HTTPError
from urllib.request import urlopen

import altair as alt
import nbformat
import pandas as pd
import pytest

from createos_nb import charts, schema
from createos_nb.charts.renderer import SCHEMA, SPEC_TYPE


@pytest.fixture
def chart():
    return charts.requests_over_time(schema.sample("REQUESTS_OVER_TIME"), schema.sample("DEPLOYMENTS"))


@pytest.fixture
def renderers():
    """Leave Altair's renderer as it was."""
    before = alt.renderers.active
    yield alt.renderers
    alt.renderers.enable(before)


def test_the_bundle_is_a_specification_a_picture_and_words_and_never_html(chart):
    bundle, metadata = charts.createos_renderer(chart.to_dict())
    assert set(bundle) == {SPEC_TYPE, "image/png", "text/plain"}
    assert bundle[SPEC_TYPE]["$schema"] == SCHEMA == "https://vega.github.io/schema/vega-lite/v5.json"
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG\r\n\x1a\n")
    assert metadata["image/png"]["width"] > 720


def test_a_notebook_with_the_bundle_is_valid(chart):
    bundle, metadata = charts.createos_renderer(chart.to_dict())
    output = nbformat.v4.new_output("display_data", data=bundle, metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("chart", outputs=[output])])
    nbformat.validate(nbformat.reads(nbformat.writes(notebook), as_version=4))


def test_the_words_say_what_of_when_and_how_much(chart):
    words = charts.createos_renderer(chart.to_dict())[0]["text/plain"]
    assert words.startswith("[chart: Requests by status class, shop/production · 2026-11-23 12:00 to 12:10 UTC")
    assert words.endswith("rows]")


def test_the_words_of_any_chart_stay_on_one_line_and_show_what_is_hidden():
    chart = alt.Chart(pd.DataFrame({"a": [1, 2]}), title=["a\x1b[31m", "b\u202e"]).mark_point()
    assert charts.createos_renderer(chart.to_dict())[0]["text/plain"] == r"[chart: a\x1b[31m, b\u202e; 2 rows]"
    untitled = alt.Chart(pd.DataFrame({"a": [1]})).mark_point()
    assert charts.createos_renderer(untitled.to_dict())[0]["text/plain"] == "[chart: without a title; 1 rows]"


UNDRAWABLE = """
import sys
import altair as alt, pandas as pd
from createos_nb import charts

frame = pd.DataFrame({"a": ["a" + chr(code) for code in (0, 8, 11, 12, 27, 31, 127, 133, 0xFFFE, 0xFFFF)]})
chart = alt.Chart(frame, title=list(frame["a"])).mark_text().encode(text="a:N", y="a:N")
assert charts.to_png(chart)
# A column of that name cannot be drawn, and that is all.
chart = alt.Chart(frame.rename(columns={"a": "\x1b"})).mark_text().encode(text="\x1b:N")
bundle, _ = charts.createos_renderer(chart.to_dict())
print("alive")
"""


def test_no_character_ends_the_process():
    """vl-convert aborts the process, a user's kernel, on a character that XML forbids."""
    run = subprocess.run([sys.executable, "-c", UNDRAWABLE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "alive\n"), run.stderr[-500:]


def test_enabling_makes_altair_use_it_and_twice_is_once(chart, renderers):
    charts.enable()
    charts.enable()
    assert renderers.active == "createos"
    bundle, _ = chart._repr_mimebundle_()
    assert set(bundle) == {SPEC_TYPE, "image/png", "text/plain"}


def test_the_picture_is_drawn_at_the_scale_that_was_asked_for(chart):
    once, twice = charts.to_png(chart, scale=1), charts.to_png(chart, scale=2)
    assert abs(int.from_bytes(twice[16:20]) - 2 * int.from_bytes(once[16:20])) <= 1


def test_the_picture_is_packed_and_whole(chart):
    """Every chunk's checksum is right, and the pixels are as many as the header says."""
    png, at, data = charts.to_png(chart), 8, b""
    names = []
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert zlib.crc32(name + body) == int.from_bytes(png[at + 8 + size : at + 12 + size])
        names.append(name)
        data += body if name == b"IDAT" else b""
        at += size + 12
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    assert len(zlib.decompress(data)) == height * (width * 4 + 1)
    assert (names[0], names[-1], names.count(b"IDAT")) == (b"IHDR", b"IEND", 1)
    assert len(png) < 60_000


@pytest.fixture
def tripwire(tmp_path):
    """A web server in a process of its own, since drawing keeps this one's threads from answering."""
    (tmp_path / "data.json").write_text('[{"a": 1}]')
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        port = server.stdout.readline().split(" port ")[1].split()[0]
        yield server, f"http://127.0.0.1:{port}/"
        server.terminate()


def test_drawing_never_uses_the_network(tripwire):
    server, url = tripwire
    remote = alt.Chart(f"{url}data.json").mark_point().encode(x="a:Q")
    bundle, _ = charts.createos_renderer(remote.to_dict())
    assert set(bundle) == {SPEC_TYPE, "text/plain"}
    with pytest.raises(ValueError, match="not allowed"):
        charts.to_png(remote)
    # The first thing the server was ever asked for is this.
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{url}afterwards")
    refused.value.close()
    first = next(line for line in server.stdout if "code 404" not in line)
    assert "GET /afterwards" in first


def test_a_chart_is_the_same_every_time(chart):
    again = charts.requests_over_time(schema.sample("REQUESTS_OVER_TIME"), schema.sample("DEPLOYMENTS"))
    assert json.dumps(again.to_dict()) == json.dumps(chart.to_dict())
    assert charts.to_png(again) == charts.to_png(chart)
