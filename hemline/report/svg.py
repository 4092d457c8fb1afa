"""A figure as SVG text: the same figure gives the same bytes, without a date and without ids of the process."""

import io

import matplotlib
from matplotlib.figure import Figure


def svg_of(figure: Figure, text: str = "path") -> str:
    """text: 'path' draws letters as outlines; 'none' keeps them letters, which is smaller."""
    with matplotlib.rc_context({"svg.hashsalt": "hemline", "svg.fonttype": text}):
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
