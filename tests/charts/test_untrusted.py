"""Text of the platform is shown in a chart, and is nothing else, whichever way the chart leaves."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from createos_nb import charts, schema
from createos_nb.charts.renderer import in_words

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAYLOADS = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "</SCRIPT >\n<svg/onload=alert(1)>",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "a\u202egnp.exe\u2066\u200b",
    "line\nfeed\rand\ttab",
    "not a character \ufffe\uffff",
]
INTERVAL = {
    "timestamp": NOON,
    "requests": 3,
    "status_2xx": 1,
    "status_3xx": 1,
    "status_4xx": 0,
    "status_5xx": 1,
    "interval_s": 60,
    "partial": False,
}


def every_chart(text):
    target = {"project": text, "environment": text}
    other = {"project": "shop", "environment": text + "2"}
    over_time = schema.REQUESTS_OVER_TIME.frame([{**target, **INTERVAL}, {**other, **INTERVAL}])
    deployments = schema.DEPLOYMENTS.frame(
        [{"project": text, "version": text, "created_at": NOON, "message": text, "status": text}]
    )
    path = {**target, "rank": 1, "path": text, "requests": 1}
    lines = [{**target, "timestamp": NOON, "level": text, "message": text, "raw": text}]
    return [
        charts.requests_over_time(over_time, deployments),
        charts.error_rate(over_time, deployments),
        charts.rpm(over_time, deployments),
        charts.top_paths(schema.TOP_HIT_PATHS.frame([path])),
        charts.top_error_paths(schema.TOP_ERROR_PATHS.frame([{**path, "status": text}])),
        charts.request_distribution(
            schema.REQUEST_DISTRIBUTION.frame([{**target, "status": text, "requests": 1, "share": 1.0}])
        ),
        charts.log_volume(schema.LOGS.frame(lines), deployments),
        charts.log_volume(schema.LOGS.frame([{**lines[0], "timestamp": None}])),
        charts.requests_over_time(over_time.assign(requests=0, status_2xx=0, status_3xx=0, status_5xx=0)),
    ]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_markup_and_nothing_hidden_is_in_any_chart(payload):
    for chart in every_chart(payload):
        spec = chart.to_dict()
        text = json.dumps(spec, ensure_ascii=False)
        assert "<" not in text
        assert all(character.isprintable() for character in text)
        # Only where Altair's own words end up may line feeds be; in JSON they would be escaped as \n.
        assert "\\n" not in text.replace("\\\\n", "")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_words_of_a_chart_have_nothing_hidden_in_them(payload):
    for chart in every_chart(payload):
        assert in_words(chart.to_dict()).isprintable()


@pytest.mark.parametrize("payload", PAYLOADS[:4])
def test_even_the_stock_html_of_altair_has_only_its_own_scripts(payload):
    harmless = [chart.to_html() for chart in every_chart("production")]
    for plain, hostile in zip(harmless, (chart.to_html() for chart in every_chart(payload)), strict=True):
        for tag in ("<script", "</script", "<img", "<svg", "<!--"):
            assert hostile.lower().count(tag) == plain.lower().count(tag)
