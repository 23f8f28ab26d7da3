"""Page: any chart as one HTML page that needs no network and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache

import altair as alt
import vl_convert
from markupsafe import Markup

from createos_nb.charts.renderer import SCHEMA, VEGA_LITE, in_words, to_png, without_options
from createos_nb.markup import escape

# The interpreter evaluates Vega's expressions without making functions of text, which the policy forbids.
_SNIPPET = """
const spec = JSON.parse(document.getElementById("chart-spec").textContent);
const options = {ast: true, actions: false, renderer: "svg"};
vegaEmbed("#chart", spec, options).then(
    (drawn) => { document.getElementById("chart-picture").remove(); window.chartView = drawn.view; },
    () => { document.getElementById("chart").remove(); },
);
"""

_PAGE = Markup("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
</head>
<body>
<div id="chart"></div>
<img id="chart-picture" alt="{title}" src="data:image/png;base64,{picture}">
<script type="application/json" id="chart-spec">{spec}</script>
<script type="module">{script}</script>
</body>
</html>
""")


def to_html(chart: alt.TopLevelMixin) -> str:
    """Return a chart as one HTML page: selections and tooltips work, and nothing is asked of a network.

    Parameters
    ----------
    chart
        Any Altair chart, whoever made it and whatever its text holds.

    Returns
    -------
    The page, about 1 MB, since it carries Vega. Its content security policy lets nothing run but its own
    script, known by its hash, and lets nothing be loaded; without scripts it shows a picture.

    Raises
    ------
    ValueError
        The chart cannot be drawn, or asks for data from elsewhere.

    Examples
    --------
    >>> from createos_nb import charts, schema
    >>> "https://" in to_html(charts.top_paths(schema.sample("TOP_HIT_PATHS"))).split("<script")[0]
    False
    """
    spec = without_options({**chart.to_dict(), "$schema": SCHEMA})
    script, digest = _script()
    # In a JSON string these are the same characters; in HTML they would end the element or begin a comment.
    text = json.dumps(spec).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return str(
        _PAGE.format(
            policy=policy,
            title=escape(in_words(spec)),
            picture=base64.b64encode(to_png(chart)).decode(),
            spec=Markup(text),  # escaped above
            script=Markup(script),
        )
    )


@cache
def _script() -> tuple[str, str]:
    bundle: str = vl_convert.javascript_bundle(_SNIPPET, vl_version=VEGA_LITE)
    # The bundle is a library's, not data; written like this it cannot end the element that it stands in.
    bundle = (
        bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r\n", "\n").replace("\r", "\n")
    )
    return bundle, base64.b64encode(hashlib.sha256(bundle.encode()).digest()).decode()
