"""The morning page's words and picture: of no night, of one, of thirty of all kinds, and of words that break things."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hemline.records.status import ChampionStatus, Later, Need, Night, State, Status
from hemline.report.blocks import table
from hemline.report.escaping import escaped
from hemline.report.figures import accuracy, duration
from hemline.report.html import html
from hemline.report.morning import morning_markdown
from hemline.report.nights import FEWEST, HIGH, LEFT, MARKS, RIGHT, WIDE, nights_in_words, nights_picture

AT = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def night(number: int = 0, state: State = "Kept", share: float | None = 0.87, **more: Any) -> Night:
    fields: dict[str, Any] = {
        "run": f"2026-11-24-nightly-{number:08}",
        "flow_run": f"{number:08}-0000",
        "started": AT - timedelta(hours=5),
        "state": state,
        "sentence": f"{state.lower()} tiny 7",
        "version": str(number),
        "accuracy": share,
        "interval": share and (share - 0.006, share + 0.006),
        "seconds": 11.2,
        "examples": {"train": 60_000, "test": 10_000},
        "doubts": [],
        "report": True,
    }
    return Night(**(fields | more))


def status(*nights: Night, needs: tuple[Need, ...] = (), champion: ChampionStatus | None = None) -> Status:
    return Status(name="fashion_mnist", at=AT, champion=champion, nights=list(nights), needs=list(needs))


CHAMPION = ChampionStatus(
    version="7",
    path="/a/models/fashion_mnist/7",
    since=AT,
    decision="promoted",
    by="nightly (0b1c2d3e)",
    sentence="better",
    accuracy=0.8786,
    interval=(0.872, 0.8849),
)


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "-"), (0.4, "0 s"), (11.2, "11 s"), (180, "3 min"), (9000, "2.5 h")]
)
def test_a_duration_in_its_unit(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_an_accuracy_with_its_interval() -> None:
    assert accuracy(0.8786, (0.872, 0.8849)) == "87.86 % (87.20 to 88.49)"
    assert (accuracy(0.8786, None), accuracy(None, None)) == ("87.86 %", "-")


@given(st.text())
def test_text_is_what_it_was_in_a_page_and_in_a_table(text: str) -> None:
    """Whatever an error says: a twin that takes the words out of the page again."""
    cell = html(table(("what",), [(escaped(text),)]), title="x").partition("<tbody>")[2]
    shown = re.search("<td>(.*?)</td>", cell, re.DOTALL)
    words = " ".join(text.replace("\0", "\ufffd").split())
    if shown and "&" not in words:
        assert shown[1].replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"') == words


def test_the_first_lines_answer_without_a_click() -> None:
    need = Need(sentence="version 8 waits for your word: *a*", command="hemline promote 8 --reason WHY")
    text = morning_markdown(status(night(8), needs=(need,), champion=CHAMPION), "data:x", lambda each: f"/{each.run}")
    lines = text.splitlines()
    assert lines[:3] == [
        "# fashion_mnist",
        "",
        "**Kept** (2026-11-24 02:00 UTC, 11 s): kept tiny 7 ([more](/2026-11-24-nightly-00000008))",
    ]
    assert lines[4:9] == [
        "**What needs you now:**",
        "",
        r"- version 8 waits for your word: \*a\*",
        "",
        f"      {need.command}",
    ]
    assert "**Champion 7**: test accuracy 87.86 % (87.20 to 88.49), 95 % interval in brackets; promoted" in text
    assert "by nightly: better. Its files: `/a/models/fashion_mnist/7`" in text
    assert "![Test accuracy of the last 1 nights: 87.00% to 87.00%, latest 87.00%; 1 kept](data:x)" in text
    (code,) = [token for token in MarkdownIt("commonmark").parse(text) if token.type == "code_block"]
    assert code.content == f"{need.command}\n"


def test_a_page_without_a_night_or_a_champion_says_so() -> None:
    text = morning_markdown(status(), "data:x", lambda _: None)
    assert "**No run yet.**" in text
    assert "**Nothing needs you.**" in text
    assert "There is no champion yet." in text
    assert "data:x" not in text


def test_a_long_sentence_is_whole_on_top_and_cut_in_the_list() -> None:
    refusal = "every variable must be in a group. Received: " + "hidden_1 is in none; " * 40
    text = morning_markdown(status(night(8, "Refused", sentence=refusal)), "data:x", lambda _: None)
    top, line = (each for each in text.splitlines() if "every variable must" in each)
    assert top.count("in none;") == 40
    assert line.endswith("is in none; ...")
    assert 270 < len(line.partition("every variable")[2]) < 310


def test_where_no_address_is_known_the_run_is_named() -> None:
    text = morning_markdown(status(night(8)), "data:x", lambda _: None)
    assert "(more, `2026-11-24-nightly-00000008`)" in text


def test_a_night_that_was_rolled_back_says_by_whom() -> None:
    later = Later(decision="rolled back", at=AT, by="ada@laptop", reason="shirts | coats")
    text = morning_markdown(status(night(8, "Promoted", later=later)), "data:x", lambda _: None)
    assert ": promoted tiny 7 (rolled back 2026-11-24 by ada@laptop: shirts " in text
    assert "**Rolled back**, version 8" in text


# --- the picture


def test_every_fate_has_a_mark_of_its_own() -> None:
    assert set(get_args(State)) | {"Rolled back"} == set(MARKS)
    assert len(set(MARKS.values())) == len(MARKS)


def words(svg: str) -> list[str]:
    """The picture's text."""
    return [str(element.text) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_the_picture_has_a_legend_of_what_occurs_and_a_white_ground() -> None:
    rolled_back = Later(decision="rolled back", at=AT, by="ada", reason="worse")
    nights = [night(1, "Promoted", later=rolled_back), night(2), night(3, "Failed", None), night(4, "Unchanged")]
    svg = nights_picture(nights)
    legend = [text for text in words(svg) if text in MARKS]
    assert legend == ["Kept", "Rolled back", "Unchanged", "Failed"]  # in their order, and no other
    assert f'<rect width="{WIDE}" height="{HIGH}" fill="white"/>' in svg  # below all else
    assert svg == nights_picture(nights)
    assert len(svg) < 60_000


@pytest.mark.parametrize(
    "nights",
    [
        [],
        [night()],
        [night(1), night(2)],
        [night(1, "Failed", None, seconds=None, examples={})],
        [night(number, seconds=0.0) for number in range(30)],
        [night(1, examples={"train": 0})],
    ],
    ids=["none", "one", "equal", "nothing known", "no time", "no examples"],
)
def test_axes_fit_few_and_equal_nights(nights: list[Night]) -> None:
    svg = nights_picture(nights)
    assert ("no run yet" in words(svg)) == (not nights)
    ticks = [float(text) for text in words(svg) if re.fullmatch(r"\d\d\.?\d*", text) and 80 < float(text) < 95]
    assert len(set(ticks)) == len(ticks)
    if len(nights) == 2:
        assert max(ticks) - min(ticks) < 3


def test_marks_stand_side_by_side_at_their_accuracy_and_without_one_at_the_bottom() -> None:
    nights = [night(1, "Kept", 0.86), night(2, "Failed", None), night(3, "Promoted", 0.88), night(4, "Kept", 0.87)]
    marks = {colour: found for _, colour, _ in MARKS.values() if (found := at(nights_picture(nights), colour)[1:])}
    (kept, last), (failed,), (promoted,) = (marks[MARKS[fate][1]] for fate in ("Kept", "Failed", "Promoted"))
    widths = [kept[0], failed[0], promoted[0], last[0]]
    assert np.diff(widths) == pytest.approx([(RIGHT - LEFT) / FEWEST] * 3, abs=0.2)
    assert last[1] == pytest.approx((kept[1] + promoted[1]) / 2, abs=0.2)  # 87 % is between 86 % and 88 %
    assert promoted[1] < kept[1] < failed[1]  # from the top


def at(svg: str, colour: str) -> list[tuple[float, float]]:
    """Where marks of this colour are, that of the legend first."""
    found = re.findall(rf'translate\(([\d.]+) ([\d.]+)\)" d="[^"]+" stroke="{colour}"', svg)
    return [(float(x), float(y)) for x, y in found]


def test_the_page_and_its_picture_take_neither_pandas_nor_matplotlib() -> None:
    """A night without a change makes them, and would wait half a second for it."""
    heavy = "[name for name in ('matplotlib', 'pandas', 'tensorflow', 'scipy') if name in sys.modules]"
    code = f"import sys, hemline.registry.index; print({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_the_picture_in_words() -> None:
    nights = [night(1, "Promoted", 0.86), night(2, "Failed", None), night(3, "Kept", 0.88)]
    expected = "Test accuracy of the last 3 nights: 86.00% to 88.00%, latest 88.00%; 1 promoted, 1 failed, 1 kept"
    assert nights_in_words(nights) == expected
    assert nights_in_words(nights[1:2]) == "No test accuracy of the last 1 nights is known; 1 failed"
