"""HTML: a notebook as one page that opens anywhere: sanitised, self-contained, static, printable.

The page has no script and refers to nothing outside itself; its content security policy says so to the
browser. What the sanitiser does not know, it drops.
"""

from __future__ import annotations

import re
from importlib.resources import files

import bleach
import mistune
from bleach.css_sanitizer import CSSSanitizer
from markupsafe import Markup
from nbformat import NotebookNode

from createos_nb.errors import InvalidArgument
from createos_nb.markup import escape

MAX_BYTES = 5_000_000
"""Largest page that is written; mail and ticket systems take it."""

CONTENT_SECURITY_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_TAGS = frozenset(
    {
        *("a", "abbr", "b", "br", "code", "del", "em", "i", "img", "s", "small", "span", "strong", "sub", "sup"),
        *("blockquote", "details", "div", "dd", "dl", "dt", "figcaption", "figure", "hr", "p", "pre", "summary"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "li", "ol", "ul"),
        *("caption", "table", "tbody", "td", "tfoot", "th", "thead", "tr"),
    }
)
_ATTRIBUTES = {
    "*": ["class", "style", "title"],
    "a": ["href"],
    "img": ["src", "alt", "width", "height"],
    "td": ["colspan", "rowspan"],
    "th": ["colspan", "rowspan", "scope"],
}
# Alignment carries meaning; fonts and colours are the page's own.
_STYLES = CSSSanitizer(
    allowed_css_properties=["text-align", "white-space", "font-variant-numeric", "vertical-align"]
)
# bleach drops these tags but would keep their text on the page.
_INVISIBLE = re.compile(r"<(style|script|template|title)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

# HTML inside Markdown passes here as it does in Jupyter; the sanitiser comes after it.
_render_markdown = mistune.create_markdown(escape=False, plugins=["table", "strikethrough"])


def to_html(notebook: NotebookNode, *, title: str, show_code: bool = True) -> str:
    """Return a notebook as one HTML page that needs no kernel, no network and no script.

    Parameters
    ----------
    notebook
        Any notebook; what it shows is taken from its stored outputs.
    title
        Title of the page, as a browser's tab and a printed page show it.
    show_code
        Show the code of code cells above what they returned. A cell whose source is hidden in Jupyter is
        hidden here too.

    Raises
    ------
    InvalidArgument
        The page would be larger than 5 MB.
    """
    style = files("createos_nb.reports").joinpath("report.css").read_text(encoding="utf-8")
    page = _PAGE.format(
        policy=CONTENT_SECURITY_POLICY,
        title=escape(title),
        style=Markup(style),
        width="notebook" if show_code else "report",
        cells=Markup("\n").join(_cell(cell, show_code=show_code) for cell in notebook.cells),
    )
    size = len(page.encode())
    if size > MAX_BYTES:
        raise InvalidArgument(
            f"The page would be {size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:.0f} MB. "
            "Leave out pictures, or show fewer rows."
        )
    return str(page)


_PAGE = Markup(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main class="{width}">
{cells}
</main>
</body>
</html>
"""
)


def _cell(cell: NotebookNode, *, show_code: bool) -> Markup:
    if cell.cell_type == "markdown":
        return Markup('<section class="text">\n{}</section>').format(_markdown(_attached(cell)))
    if cell.cell_type != "code":
        return Markup("")
    parts = [_output(output) for output in cell.outputs]
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    if show_code and not hidden and cell.source.strip():
        parts.insert(0, Markup('<pre class="code"><code>{}</code></pre>').format(escape(cell.source)))
    parts = [part for part in parts if part]
    return (
        Markup('<section class="cell">\n{}\n</section>').format(Markup("\n").join(parts)) if parts else Markup("")
    )


def _attached(cell: NotebookNode) -> str:
    source: str = cell.source
    for name, forms in cell.get("attachments", {}).items():
        for kind, data in forms.items():
            source = source.replace(f"(attachment:{name})", f"(data:{kind};base64,{data})")
    return source


def _output(output: NotebookNode) -> Markup:
    if output.output_type == "stream":
        return _preformatted(output.text, output.name)
    if output.output_type == "error":
        return _preformatted("\n".join(output.traceback) or f"{output.ename}: {output.evalue}", "error")
    return _richest(output.data, output.metadata)


def _richest(data: NotebookNode, metadata: NotebookNode) -> Markup:
    text = data.get("text/plain", "")
    if "image/png" in data:
        source = re.sub(r"[^A-Za-z0-9+/=]", "", data["image/png"])
        width = int(metadata.get("image/png", {}).get("width") or 0)
        size = Markup(' width="{}"').format(width) if width else Markup("")
        return Markup('<figure><img alt="{}"{} src="data:image/png;base64,{}"></figure>').format(
            escape(text or "Picture"), size, source
        )
    if "text/html" in data:
        return Markup('<div class="table">{}</div>').format(_sanitised(data["text/html"]))
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    return _preformatted(text, "result") if text else Markup("")


def _preformatted(text: str, kind: str) -> Markup:
    return Markup('<pre class="{}">{}</pre>').format(kind, escape(_ANSI.sub("", text).rstrip()))


def _markdown(source: str) -> Markup:
    return _sanitised(str(_render_markdown(source)))


def _sanitised(html: str) -> Markup:
    cleaned = bleach.clean(
        _INVISIBLE.sub("", html),
        tags=_TAGS,
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
        strip=True,
        css_sanitizer=_STYLES,
    )
    return Markup(cleaned)


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "src":
        return value.startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
    if name == "href":
        return value.startswith(("https://", "http://", "mailto:", "#"))
    return name in _ATTRIBUTES["*"] or name in _ATTRIBUTES.get(tag, ())
