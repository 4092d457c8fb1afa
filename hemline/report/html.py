"""A text as a page that needs nothing else: `html(text)`, with pictures as `data_uri(svg)`.

    path.write_text(html(text, "Hemline: runs"))

No script, no font, no address to load from. It is light or dark as the reader's system is.
"""

import base64
from html import escape

from markdown_it import MarkdownIt

_SVG = "data:image/svg+xml;base64,"

STYLE = """
:root { color-scheme: light dark; --text: #222; --page: #fff; --line: #ddd; --faint: #f5f5f5; --link: #0b57d0 }
@media (prefers-color-scheme: dark) {
  :root { --text: #ddd; --page: #16181c; --line: #3a3d42; --faint: #22252a; --link: #8ab4f8 }
  img { filter: brightness(.9) }
}
body {
  font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: var(--text); background: var(--page)
}
h2 { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem }
a { color: var(--link) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }
th:first-child { white-space: nowrap }
img { max-width: 100%; border-radius: 4px }
pre { background: var(--faint); padding: 1rem; overflow-x: auto }
code { overflow-wrap: anywhere }
"""


def data_uri(svg: str) -> str:
    """A picture inside the text: Prefect's UI strips inline SVG and shows this."""
    return _SVG + base64.b64encode(svg.encode()).decode()


def html(text: str, title: str = "Hemline report") -> str:
    """Markdown as a page."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    links = parser.validateLink  # takes PNG and the like inside a text, but not SVG
    parser.validateLink = lambda url: url.startswith(_SVG) or links(url)  # type: ignore[method-assign]
    return page(parser.render(text), title)


def page(body: str, title: str) -> str:
    """body: HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{STYLE}</style></head><body>
{body}</body></html>
"""
