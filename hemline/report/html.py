"""The report as a page that needs nothing else: `html(text)`, with pictures as `data_uri(svg)`."""

import base64

from markdown_it import MarkdownIt

_SVG = "data:image/svg+xml;base64,"


def data_uri(svg: str) -> str:
    """A picture inside the text: Prefect's UI strips inline SVG and shows this."""
    return _SVG + base64.b64encode(svg.encode()).decode()


def html(text: str) -> str:
    """A page of its own: no script, no font, no address to load from."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    links = parser.validateLink  # takes PNG and the like inside a text, but not SVG
    parser.validateLink = lambda url: url.startswith(_SVG) or links(url)  # type: ignore[method-assign]
    body = parser.render(text)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Hemline report</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ border-bottom: 1px solid #ddd; padding: .3rem .8rem .3rem 0; text-align: left }}
img {{ max-width: 100% }} pre {{ background: #f5f5f5; padding: 1rem; overflow-x: auto }}
</style></head><body>
{body}</body></html>
"""
