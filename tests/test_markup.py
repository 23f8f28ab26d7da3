from __future__ import annotations

import html.parser
import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from createos_nb import markup

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></tr></table><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<a href=javascript:alert(1)>x</a>",
    "&lt;b&gt;",
    "{{7*7}} {x} {} %s",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link",
    "\u202egnp.exe",
    "a\u200bb\u2066c\ufeff",
    "a\rb\x00c\x08d\x85e\u2028f",
]


class Reader(html.parser.HTMLParser):
    """What a page really holds: its elements, their attributes' names, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.texts.append(data)


TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
OURS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "div"}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_is_only_text_in_every_place_of_a_table(text):
    page = Reader(markup.table([text, "b"], [[text, 1]], caption=text, note=text))

    assert set(page.elements) <= OURS
    assert page.attributes == {"style"}
    assert page.texts.count(markup.visible(text)) == 4


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_is_only_text_in_every_place_of_a_frame(text):
    frame = pd.DataFrame({text: [text], "kind": pd.Categorical([text])})
    page = Reader(markup.frame_table(frame, caption=text))

    assert set(page.elements) <= OURS
    assert page.texts.count(markup.visible(text)) == 4


@given(st.text())
def test_escaped_text_reads_as_itself_and_brings_no_element(text):
    page = Reader(f"<p>{markup.escape(text)}</p>")
    assert page.elements == ["p"]
    assert "".join(page.texts) == markup.visible(text)


@given(st.text())
def test_visible_text_has_no_character_that_hides_or_moves_anything(text):
    shown = markup.visible(text)
    moving = {ch for ch in shown if unicodedata.category(ch) in {"Cc", "Zl", "Zp"}}
    turning = {ch for ch in shown if unicodedata.bidirectional(ch) in TURNING}
    assert moving <= {"\t", "\n"}
    assert not turning
    assert markup.visible(shown) == shown


def test_visible_spells_the_hidden_and_keeps_the_rest():
    assert markup.visible("a\tb\nc\r\x1b\u202e\U0001f600é") == "a\tb\nc\\x0d\\x1b\\u202e\U0001f600é"
    assert markup.visible(12) == "12"


@given(st.text(), st.integers(2, 300))
def test_one_line_is_one_line_of_bounded_length(text, limit):
    line = markup.one_line(text, limit=limit)
    assert len(line.splitlines()) <= 1
    assert len(line) <= limit


def test_one_line_says_that_it_is_cut():
    assert markup.one_line("a" * 201) == "a" * 199 + "…"
    assert markup.one_line("a" * 200) == "a" * 200


@pytest.mark.parametrize(
    "text",
    [
        "# title",
        "- item",
        "1. item",
        "> quote",
        "**bold** _it_ ~~x~~ `code`",
        "[a](javascript:alert(1))",
        "![a](http://evil/x.png)",
        "<http://evil>",
        "<script>alert(1)</script>",
        "| a | b |",
        "a\n\n# title\n```\ncode",
        "$x$ \\(y\\)",
        "&lt;script&gt;",
        "http://evil.example",
        "www.evil.example user@evil.example",
        "[a]: http://evil",
    ],
)
def test_markdown_shows_the_text_and_nothing_else(text):
    """Rendered by the Markdown that nbconvert uses, with its extensions."""
    from nbconvert.filters import markdown2html

    page = Reader(markdown2html(markup.markdown(text)))

    assert set(page.elements) <= {"p"}
    assert "".join(page.texts).strip() == text.replace("\n", " ")


def test_numbers_are_set_to_the_right_and_truth_is_not_a_number():
    page = markup.table(["a", "b", "c"], [[1, 2.5, True]])
    assert page.count("text-align:right") == 4  # two cells and their headings


def test_a_cell_that_is_markup_is_trusted():
    assert "<b>x</b>" in markup.table(["a"], [[Markup("<b>x</b>")]])


def test_a_table_without_caption_and_note_has_none():
    page = Reader(markup.table(["a"], []))
    assert set(page.elements) == {"table", "thead", "tbody", "tr", "th"}


def test_a_long_frame_says_how_many_rows_it_leaves_out():
    page = markup.frame_table(pd.DataFrame({"a": range(2000)}), max_rows=10)
    assert page.count("<td") == 10
    assert "1,990 more rows are not shown (2,000 in all)." in page


def test_an_empty_frame_says_so_and_keeps_its_columns():
    page = Reader(markup.frame_table(pd.DataFrame({"path": pd.Series(dtype="str")})))
    assert {"path", "No rows."} <= set(page.texts)


def test_missing_values_are_empty_cells_and_times_are_utc_to_the_second():
    frame = pd.DataFrame(
        {
            "at": pd.to_datetime(["2026-11-23T12:00:00.5Z", None], format="ISO8601"),
            "text": pd.array(["nan", None], dtype="str"),
            "count": pd.array([1, None], dtype="Int64"),
            "share": [0.123456, float("nan")],
        }
    )
    page = markup.frame_table(frame)
    assert [cell.split("<")[0] for cell in page.split('">')][-8:] == [
        "2026-11-23 12:00:00",
        "nan",
        "1",
        "0.1235",
        "",
        "",
        "",
        "",
    ]


def test_a_time_of_another_zone_is_shown_in_utc():
    berlin = pd.DataFrame({"at": pd.to_datetime(["2026-11-23T13:00"]).tz_localize("Europe/Berlin")})
    assert ">2026-11-23 12:00:00<" in markup.frame_table(berlin)
