from __future__ import annotations

import re
import shutil

import pytest
from nbformat import v4

from createos_nb.errors import InvalidArgument
from createos_nb.reports import to_html, to_notebook
from createos_nb.reports.html import MAX_BYTES

PAYLOADS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil/x.js></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil/pixel.png'>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<iframe src='https://evil'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt&colon;alert(1)'>x</a>",
    "<div style='background:url(https://evil/x)'>x</div>",
    "<style>@import 'https://evil/x.css';</style>",
    "<style>body{background:url(https://evil)}",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<form action='https://evil'><input name=a></form>",
    "<object data='https://evil'></object><embed src='https://evil'>",
    "<meta http-equiv=refresh content='0;url=https://evil'><base href='https://evil'>",
    "<link rel=stylesheet href='https://evil/x.css'>",
]

FOREIGN_TAG = re.compile(r"</?(script|style|svg|math|iframe|form|input|object|embed|meta|base|link)\b", re.I)
HANDLER = re.compile(r"\son\w+\s*=", re.I)
FOREIGN_ADDRESS = re.compile(r"(src|href)\s*=\s*[\"']?\s*(javascript|//|https?:)", re.I)


def _page(*cells) -> str:
    return to_html(v4.new_notebook(cells=list(cells)), title="t")


def _output(**data) -> object:
    return v4.new_code_cell("1", outputs=[v4.new_output("display_data", data=data)])


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("place", ["markdown", "html output", "markdown output", "text", "stream", "error"])
def test_nothing_foreign_lives_on_the_page(payload, place):
    cell = {
        "markdown": lambda: v4.new_markdown_cell(payload),
        "html output": lambda: _output(**{"text/html": payload}),
        "markdown output": lambda: _output(**{"text/markdown": payload}),
        "text": lambda: _output(**{"text/plain": payload}),
        "stream": lambda: v4.new_code_cell("1", outputs=[v4.new_output("stream", text=payload)]),
        "error": lambda: v4.new_code_cell(
            "1", outputs=[v4.new_output("error", ename="E", evalue=payload, traceback=[payload])]
        ),
    }[place]()
    body = _page(cell).split("<body>")[1]
    for tag in re.findall(r"<[^>]*>", body):
        assert not re.match(
            r"</?(script|style|svg|math|iframe|form|input|object|embed|meta|base|link)\b", tag, re.I
        )
        assert not re.search(r"\son\w+\s*=", tag, re.I), tag
        assert not re.search(r"(src|href)\s*=\s*[\"']?\s*(?!data:image/png)(javascript|//|https?:)", tag, re.I), tag
        assert "url(" not in tag


def test_the_page_states_a_policy_that_forbids_everything_it_does_not_use(evidence):
    page = to_html(to_notebook(evidence), title="x", show_code=False)
    assert (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
    ) in page.replace("&#39;", "'")
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_the_title_of_the_page_is_text(evidence):
    page = to_html(to_notebook(evidence), title="</title><script>alert(1)</script>")
    assert "<script" not in page
    assert "<title>&lt;/title&gt;" in page


def test_a_report_is_far_below_five_megabytes(evidence):
    assert len(to_html(to_notebook(evidence), title="x").encode()) < MAX_BYTES / 10


def test_a_page_that_would_be_too_large_is_refused_with_the_way_out():
    with pytest.raises(InvalidArgument, match=r"6\.0 MB, more than 5 MB. Leave out pictures, or show fewer rows"):
        _page(_output(**{"text/plain": "x" * 6_000_000}))


def test_code_is_shown_or_not_and_folded_code_never():
    shown = v4.new_code_cell("plan = 1 < 2")
    folded = v4.new_code_cell("folded_away", metadata={"jupyter": {"source_hidden": True}})
    notebook = v4.new_notebook(cells=[shown, folded])
    assert "plan = 1 &lt; 2" in to_html(notebook, title="t")
    assert "folded_away" not in to_html(notebook, title="t")
    assert "plan" not in to_html(notebook, title="t", show_code=False).split("<body>")[1]


def test_a_picture_is_preferred_to_a_specification_and_keeps_its_size():
    cell = v4.new_code_cell(
        "",
        outputs=[
            v4.new_output(
                "display_data",
                data={
                    "image/png": "iVBORw0KGgo=\n",
                    "application/vnd.vegalite.v5+json": {},
                    "text/plain": 'a "chart"',
                },
                metadata={"image/png": {"width": 720}},
            )
        ],
    )
    assert '<img alt="a &#34;chart&#34;" width="720" src="data:image/png;base64,iVBORw0KGgo=">' in _page(cell)


def test_alignment_survives_the_sanitiser_and_colours_do_not():
    page = _page(_output(**{"text/html": "<table><td style='text-align:right;color:red'>1</td></table>"}))
    assert "text-align:right" in page.replace("text-align: right", "text-align:right")
    assert "color:red" not in page.replace(" ", "").split("<body>")[1]


def test_colours_of_terminals_are_taken_out_and_other_controls_are_spelled_out():
    page = _page(v4.new_code_cell("1", outputs=[v4.new_output("stream", text="\x1b[31mred\x1b[0m \x1b]8;;x\x07")]))
    assert ">red \\x1b]8;;x\\x07</pre>" in page


def test_a_frames_style_sheet_leaves_no_text_on_the_page():
    page = _page(_output(**{"text/html": "<style scoped>.dataframe td {}</style><table><td>1</td></table>"}))
    assert ".dataframe td {}" not in page.split("<body>")[1]


def test_a_link_into_the_authors_folders_is_text():
    page = _page(v4.new_markdown_cell("[next](../runbooks/rollback.ipynb) [docs](https://example.com/a)"))
    assert "<a>next</a>" in page
    assert '<a href="https://example.com/a">docs</a>' in page


@pytest.mark.browser
def test_a_browser_opens_a_report_from_disk_and_asks_the_network_for_nothing(evidence, tmp_path, require):
    chromium = shutil.which("chromium") or require("browser", "Chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    path = tmp_path / "report.html"
    path.write_text(to_html(to_notebook(evidence), title="INC-42", show_code=False), encoding="utf-8")
    requests, complaints = [], []
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(
            executable_path=chromium, args=["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        )
        page = browser.new_page(viewport={"width": 900, "height": 1200})
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(path.as_uri())
        pictures = page.locator("img").count()
        wide = [box["width"] for box in (image.bounding_box() for image in page.locator("img").all())]
        heading = page.locator("h1").inner_text()
        browser.close()
    assert heading == "Checkout answers 500"
    assert pictures == 2
    assert all(400 < width <= 820 for width in wide), "the pictures are drawn, and fit the page"
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert complaints == []
