"""Pictures are small, opaque, and the same every time, so that a version's checksum is too."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from hemline.report.curves import learning_curves
from hemline.report.drawing import plain, to_svg
from tests.hemline.report.examples import EPOCHS, SVG, texts


def test_the_same_table_gives_the_same_bytes() -> None:
    assert learning_curves(EPOCHS) == learning_curves(EPOCHS.copy())
    assert learning_curves(EPOCHS) != learning_curves(EPOCHS + 1)


def test_another_process_gives_the_same_bytes() -> None:
    script = f"""
import sys, pandas as pd
from hemline.report.curves import learning_curves
sys.stdout.write(learning_curves(pd.DataFrame({EPOCHS.to_dict("list")!r})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == learning_curves(EPOCHS)


def test_it_is_svg_without_a_date_or_a_script() -> None:
    svg = learning_curves(EPOCHS)
    assert ET.fromstring(svg).tag == f"{SVG}svg"
    assert "date" not in svg
    assert "<script" not in svg


def test_its_background_is_opaque_and_light() -> None:
    svg = learning_curves(EPOCHS)
    page = ET.fromstring(svg)
    first = next(page.iter(f"{SVG}path"))
    width, height = page.attrib["viewBox"].split()[2:]
    assert first.attrib["d"].split() == f"M 0 {height} L {width} {height} L {width} 0 L 0 0 z".split()
    assert f".{first.attrib['class']}{{fill: #ffffff}}" in svg


def test_what_is_written_stays_as_it_is_whatever_it_looks_like() -> None:
    figure = Figure()
    words = ['style="a"', "<!-- 0.12345 -->", 'd="1.23456   7.98765"', "a  <  b", "x\n  y"]
    for row, text in enumerate(words):
        figure.text(0.1, row / 10, plain(text, 40))
    assert set(words[:4]) <= texts(to_svg(figure))


def test_every_style_and_every_reference_is_there() -> None:
    svg = learning_curves(EPOCHS)
    assert set(re.findall(r'class="(\w+)"', svg)) <= set(re.findall(r"\.(s\d+)\{", svg))
    assert set(re.findall(r"#([mp][0-9a-f]{10})", svg)) <= set(re.findall(r' id="([^"]+)"', svg))


@pytest.mark.parametrize(
    ("name", "shown"), [("coat", "coat"), ("$x_1", r"\$x_1"), ("a" * 24, "a" * 24), ("a" * 25, "a" * 23 + "…")]
)
def test_a_name_is_no_mathematics_and_no_longer_than_its_place(name: str, shown: str) -> None:
    assert plain(name) == shown
