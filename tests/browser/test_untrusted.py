"""Hostile text in frames and charts, in a real browser: it is shown, and nothing of it runs or is loaded."""

from __future__ import annotations

import re
from pathlib import Path

import altair as alt
import nbformat
import pandas as pd
import pytest

from createos_nb import charts, schema
from createos_nb.charts.renderer import createos_renderer
from createos_nb.markup import frame_table
from createos_nb.reports.html import to_html as report

pytestmark = pytest.mark.browser

PAYLOADS = (
    "</script><script>trip('ID')</script>",
    "<img src=x onerror=trip('ID')>",
    "</SCRIPT ><svg onload=trip('ID')>",
    "<!--<script>--><img src=x onerror=trip('ID')>",
    "\"><script>trip('ID')</script>",
    "'><body onload=trip('ID')>",
    "</title><script>trip('ID')</script>",
    "</style><script>trip('ID')</script>",
    "<iframe srcdoc=\"<script>parent.trip('ID')</script>\"></iframe>",
    "<a href=javascript:trip('ID')>x</a>",
    "<img src=http://tripwire.invalid/ID>",
    "<link rel=stylesheet href=http://tripwire.invalid/ID>",
    "<details open ontoggle=trip('ID')>",
    "<math><mtext></table><style><img src=x onerror=trip('ID')>",
)
SOURCES = (
    *("log line", "build log", "project", "environment", "domain", "branch", "commit message", "user", "file"),
    "API error",
)
POSITIONS = ("data", "title", "axis", "tooltip", "column", "usermeta")
PAIR = re.compile(rf"\d+-(?:{'|'.join((*SOURCES, 'any'))})-[a-z]+(?:-[a-z]+)?")
"""The name of a pair, wherever it stands in a page, as text or within a chart's JSON."""
NOON = pd.Timestamp("2026-11-23T12:00:00Z")
TRIP = "window.tripped = []; window.trip = (id) => { window.tripped.push(id); };"


def hostile(surface: str, source: str) -> list[str]:
    """Every payload, each with the name of the pair it stands for."""
    return [text.replace("ID", f"{number}-{source}-{surface}") for number, text in enumerate(PAYLOADS)]


def frames(surface: str) -> list[pd.DataFrame]:
    """For each source a frame of the kind that it ends up in, with a row for each payload."""
    made = []
    for source in SOURCES:
        texts = hostile(surface, source)
        target = {"project": "shop", "environment": "production"}
        match source:
            case "log line":
                rows = [
                    {**target, "timestamp": NOON, "level": text, "message": text, "raw": text} for text in texts
                ]
                made.append(schema.LOGS.frame(rows))
            case "build log":
                rows = [{"project": "shop", "stage": text, "line": 1, "message": text} for text in texts]
                made.append(schema.BUILD_LOGS.frame(rows))
            case "project" | "environment":
                rows = [{**target, source: text, "rank": 1, "path": "/", "requests": 1} for text in texts]
                made.append(schema.TOP_HIT_PATHS.frame(rows))
            case "domain":
                made.append(schema.DOMAINS.frame({"domain": text, "message": text} for text in texts))
            case "branch" | "commit message":
                name = "branch" if source == "branch" else "message"
                rows = [
                    {"project": "shop", "version": text, "created_at": NOON, "environments": text, name: text}
                    for text in texts
                ]
                made.append(schema.DEPLOYMENTS.frame(rows))
            case "user":
                made.append(schema.USER.frame({"field": "name", "value": text} for text in texts))
            case "file":
                rows = [{**target, "rank": 1, "path": text, "status": text, "requests": 1} for text in texts]
                made.append(schema.TOP_ERROR_PATHS.frame(rows))
            case "API error":
                made.append(schema.ERRORS.frame({**target, "operation": text, "error": text} for text in texts))
    return made


def drawn(surface: str) -> list[alt.TopLevelMixin]:
    """Our own charts of those frames that have one."""
    return [charts.chart(frame) for frame in frames(surface) if hasattr(frame, "createos")]


def of_users(surface: str) -> list[alt.Chart]:
    """Charts a person makes by hand, the text as it came, in every position a chart has for text."""
    made = []
    for position in POSITIONS:
        texts = hostile(f"{surface}-{position}", "any")
        field = "column " + " ".join(texts) if position == "column" else "text"
        frame = pd.DataFrame({field: texts, "n": range(len(texts))})
        # A shorthand cannot spell such a name.
        x = alt.X(field="n", type="quantitative", title=" ".join(texts) if position == "axis" else "n")
        tooltip = (
            [alt.Tooltip(field="n", type="quantitative", title=" ".join(texts))] if position == "tooltip" else []
        )
        chart = alt.Chart(frame, width=50, height=50).mark_text().encode(x=x, tooltip=tooltip or alt.Undefined)
        if position == "data":
            chart = chart.encode(text=alt.Text(field=field.replace(".", "\\."), type="nominal"))
        if position == "title":
            chart = chart.properties(title=texts)
        if position == "usermeta":
            chart = chart.properties(usermeta={"note": texts, "embedOptions": {"sourceHeader": texts[0]}})
        made.append(chart)
    return made


def output(bundle, metadata=None):
    return nbformat.v4.new_output("display_data", data=bundle, metadata=metadata or {})


def notebook(surface: str) -> nbformat.NotebookNode:
    """A notebook whose saved outputs are everything that this package shows of frames and charts."""
    bundles = [createos_renderer(chart.to_dict()) for chart in [*drawn(surface), *of_users(surface)]]
    tables = [{"text/html": frame.to_html(), "text/plain": "frame"} for frame in frames(f"{surface}-frame")]
    ours = [{"text/html": frame_table(frame), "text/plain": "table"} for frame in frames(f"{surface}-table")]
    outputs = [*(output(*bundle) for bundle in bundles), *(output(table) for table in [*tables, *ours])]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("shown", outputs=outputs)])


class Watched:
    """A page with the tripwire, and what it asked for."""

    def __init__(self, page, own: str = "http://127.0.0.1") -> None:
        self.page, self.own, self.asked, self.pairs = page, own, [], 0
        page.add_init_script(TRIP)
        page.context.route("**/*", self._ask)

    def _ask(self, route) -> None:
        url = route.request.url
        if url.startswith(("data:", "blob:", "about:", "file:", f"{self.own}:")):
            route.continue_()
        else:
            self.asked.append(url)
            route.abort()

    def open(self, html: str, path: Path) -> None:
        self.pairs += len(set(PAIR.findall(html)))
        path.write_text(html)
        self.page.goto(path.as_uri(), wait_until="domcontentloaded")

    def tripped(self) -> list[str]:
        self.page.wait_for_timeout(300)  # what an event handler would do, it does now
        return self.page.evaluate("window.tripped") + [url for url in self.asked if "tripwire" in url]


@pytest.fixture
def watched(page):
    return Watched(page)


def test_the_tripwire_sees_what_stock_altair_lets_through(watched, tmp_path, figures):
    """The baseline: were the page blind, the other tests could not fail."""
    executed = {}
    for chart, position in zip(of_users("stock"), POSITIONS, strict=True):
        watched.asked.clear()
        watched.open(chart.to_html(), tmp_path / "stock.html")
        executed[position] = len(set(watched.tripped()))
    with figures():
        print(f"\nStock Altair, tripwires of {len(PAYLOADS)} in each position: {executed}")
    assert all(executed.values())


def test_on_a_page_no_hostile_text_of_a_frame_or_a_chart_runs(watched, tmp_path, figures):
    from nbconvert import HTMLExporter

    # Our charts as they are, beside each other, and over each other, by Altair's own page as well.
    own = drawn("own")
    joined = [own[0] | own[1], own[0] & own[2], own[3].properties(title="renamed")]
    for chart in [own[0], *joined]:
        watched.open(chart.to_html(), tmp_path / "stock.html")
        assert watched.tripped() == []
    watched.asked.clear()  # its scripts, which Altair asks of a network

    held = notebook("notebook")
    exporter = HTMLExporter(template_name="basic", sanitize_html=True)
    exported, _ = exporter.from_notebook_node(held)
    plain = "".join(frame.to_html() + frame_table(frame) for frame in frames("page"))
    watched.open(f"<body>{plain}{exported}{report(held, title='Report')}", tmp_path / "page.html")
    assert watched.tripped() == []
    assert watched.page.locator("table").count() >= 40
    assert "tripwire.invalid" in watched.page.inner_text("body")

    # Vega-Lite itself refuses a quote in the title of an axis or a tooltip: no page is made of those two.
    data, heading, _, _, column, last = of_users("html")
    users = [data, heading, column]
    watched.open(charts.to_html(alt.vconcat(*users).properties(usermeta=last.usermeta)), tmp_path / "ours.html")
    watched.page.locator("#chart svg").wait_for()  # no function of text: the policy holds for the test too
    assert watched.tripped() == []
    assert watched.page.locator("#chart svg").count() == 1
    with figures():
        asked = len(watched.asked)
        print(f"\n{watched.pairs:,} pairs of hostile text and surface: executed 0, asked of a network {asked}")
    assert watched.asked == []
