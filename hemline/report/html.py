"""A page that needs nothing else: `html(text)`, with pictures as `data_uri(svg)`. The report is one."""

import base64
from html import escape

from markdown_it import MarkdownIt

_SVG = "data:image/svg+xml;base64,"
_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #8886; padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }
td:first-child { white-space: nowrap }
img { max-width: 100% } pre { background: #8882; padding: 1rem; overflow-x: auto }
"""


def data_uri(svg: str) -> str:
    """A picture inside the text: Prefect's UI strips inline SVG and shows this."""
    return _SVG + base64.b64encode(svg.encode()).decode()


def html(text: str, title: str = "Hemline report") -> str:
    """A page of its own, legible in light and dark: no script, no font, no address to load from."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    links = parser.validateLink  # takes PNG and the like inside a text, but not SVG
    parser.validateLink = lambda url: url.startswith(_SVG) or links(url)  # type: ignore[method-assign]
    body = parser.render(text)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{_STYLE}</style></head><body>
{body}</body></html>
"""
