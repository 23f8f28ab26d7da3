"""Renderer: how a chart reaches a notebook, with no network and no HTML.

Altair's own renderers write the chart's JSON into a script element without escaping ``<``, so that a log
line can end the element and start its own; and they need a network, or show only the first chart of a page.
This one gives JupyterLab the specification under the media type it bundles, everything else a picture, and
a terminal one line of text.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import altair as alt
import vl_convert

from createos_nb import markup
from createos_nb.charts.labels import drawable

SPEC_TYPE = "application/vnd.vegalite.v5+json"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
# JupyterLab 4 bundles 5.6. Charts keep to what that version knows, and pictures are drawn with the nearest one.
VEGA_LITE = "5.8"
PICTURE_SCALE = 2
"""Pixels of a picture per pixel of the chart: sharp on screens with many, and in print."""


def createos_renderer(spec: dict[str, Any], **_options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a chart's MIME bundle and its metadata, as Altair asks its renderers to.

    Parameters
    ----------
    spec
        The chart, as ``chart.to_dict()`` gives it.

    Returns
    -------
    The bundle
        The specification for JupyterLab, a PNG for everything else, and a line of text. The PNG is left out
        when the chart asks for data from elsewhere, since drawing a chart never uses the network.
    Metadata
        The size at which the PNG is meant to be shown.
    """
    spec = without_options({**spec, "$schema": SCHEMA})
    bundle: dict[str, Any] = {SPEC_TYPE: spec, "text/plain": in_words(spec)}
    try:
        picture = _draw(spec, PICTURE_SCALE)
    except ValueError:
        return bundle, {}
    width, height = (size // PICTURE_SCALE for size in _pixels(picture))
    bundle["image/png"] = base64.b64encode(picture).decode()
    return bundle, {"image/png": {"width": width, "height": height}}


def without_options(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a specification without what vega-embed would take from it as its own options.

    They may name addresses to load and HTML to write, and none of it is the chart.
    """
    return {name: value for name, value in spec.items() if name != "usermeta"}


def enable() -> None:
    """Show charts through this renderer from now on; calling it again changes nothing."""
    if "createos" not in alt.renderers.names():
        alt.renderers.register("createos", createos_renderer)
    alt.renderers.enable("createos")


def to_png(chart: alt.TopLevelMixin, *, scale: float = PICTURE_SCALE) -> bytes:
    """Return a chart as a PNG, drawn without a browser and without the network.

    Parameters
    ----------
    chart
        Any Altair chart.
    scale
        Pixels of the picture per pixel of the chart.

    Raises
    ------
    ValueError
        The chart cannot be drawn, or asks for data from elsewhere.
    """
    return _draw({**chart.to_dict(), "$schema": SCHEMA}, scale)


def _draw(spec: dict[str, Any], scale: float) -> bytes:
    picture = vl_convert.vegalite_to_png(_drawable(spec), vl_version=VEGA_LITE, scale=scale, allowed_base_urls=[])
    return _packed(bytes(picture))


def _drawable(part: Any) -> Any:
    if isinstance(part, str):
        return drawable(part)
    if isinstance(part, dict):
        return {_drawable(name): _drawable(value) for name, value in part.items()}
    return [_drawable(value) for value in part] if isinstance(part, list | tuple) else part


def _packed(png: bytes) -> bytes:
    # vl-convert compresses for speed. At the usual level a chart is 2 to 13 times smaller, which is what a
    # notebook, its report and their diffs have to carry.
    before, data, after, at = png[:8], b"", b"", 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        chunk, name = png[at : at + size + 12], png[at + 4 : at + 8]
        if name == b"IDAT":
            data += chunk[8:-4]
        elif data:
            after += chunk
        else:
            before += chunk
        at += size + 12
    packed = b"IDAT" + zlib.compress(zlib.decompress(data), 6)
    return before + (len(packed) - 4).to_bytes(4) + packed + zlib.crc32(packed).to_bytes(4) + after


def _pixels(png: bytes) -> tuple[int, int]:
    # Width and height stand in the header chunk that every PNG starts with.
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def in_words(spec: dict[str, Any]) -> str:
    """Return a chart as a line of text."""
    title = spec.get("title") or "without a title"
    parts = [title.get("text"), title.get("subtitle")] if isinstance(title, dict) else [title]
    lines = [line for part in parts if part for line in ([part] if isinstance(part, str) else part)]
    rows = max((len(values) for values in spec.get("datasets", {}).values()), default=0)
    shows = spec.get("description") or f"{rows:,} rows"
    return f"[chart: {markup.one_line(', '.join(lines), limit=400)}; {markup.one_line(shows, limit=400)}]"
