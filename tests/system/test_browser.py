"""What a person sees: a real server's nights (ops/history.py) in a real browser, and what she does there.

One history for all tests, which leave it as it is; those that add a run to it, or answer one, come last.
"""

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Response, expect
from prefect.client.schemas.filters import TaskRunFilter
from scipy import ndimage

from hemline.data.dataset import DatasetRef, load_split
from hemline.registry.champion import Registry
from ops.browser import Look, browser, drop, find_chromium, open_page
from ops.chaos.lane import Lane, wait_until
from ops.history import NAME, NIGHTS, History, make, serving
from ops.screenshots import PICTURES, photograph
from tasks.production import key_of
from tests.system.conftest import PATIENCE

pytestmark = [pytest.mark.system, pytest.mark.slow]
DARK_AND_LIGHT = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
GREEN = (33, 157, 75)  # of what is completed, in Prefect's graph of a run
LOADED = "images => images.map(image => image.complete ? image.naturalWidth : 0)"


@pytest.fixture(scope="module")
def nights(fashion_mnist: DatasetRef, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with Lane(tmp_path_factory.mktemp("nights") / "root") as lane:
        yield make(lane, fashion_mnist)


@pytest.fixture(scope="module")
def chromium(nights: History) -> Iterator[Browser]:
    with browser() as chromium:
        yield chromium


@pytest.fixture
def show(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address, in a page of its own."""
    pages = []

    def show(address: str, **look: Any) -> Page:
        pages.append(page := open_page(chromium, Look(**look)))
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        return page

    yield show
    for page in pages:
        page.context.close()


def field(page: Page, name: str) -> Locator:
    """Of a form that Prefect makes of a schema."""
    label = page.get_by_text(f"{name} (Optional)", exact=True).first
    return label.locator("xpath=ancestor::*[.//textarea or .//input][1]").locator("textarea,input").last


def submit(page: Page) -> Response:
    """The server's answer to the form. A person presses again where the database was locked: 503."""
    while True:
        with page.expect_response("**/create_flow_run") as response:
            page.get_by_role("button", name="Submit").click()
        if response.value.status != 503:
            return response.value


def steps_of(nights: History, run: UUID) -> set[str]:
    of_run = TaskRunFilter.model_validate({"flow_run_id": {"any_": [str(run)]}})
    return {task.name for task in nights.lane.client.read_task_runs(task_run_filter=of_run)}


def test_the_runs_page_says_without_a_click_what_each_night_came_to(nights: History, show: Callable[..., Page]) -> None:
    page = show(f"{nights.ui}/runs", height=2000)  # the list has only what is in view
    rows = page.locator(".flow-run-list-item")
    expect(rows).to_have_count(len(NIGHTS))
    for row, (name, night) in zip(rows.all(), reversed(NIGHTS.items()), strict=True):
        assert row.locator(f"a[href$='/{nights.runs[name]}']").count() == 1
        assert row.get_by_text(night.ends, exact=True).count() == 1, (name, row.inner_text())


def test_the_page_of_a_run_has_its_steps_and_draws_them(nights: History, show: Callable[..., Page]) -> None:
    """The graph is drawn on a canvas: its steps are the areas of their colour, beside what it was asked to draw."""
    page = show("about:blank")
    with page.expect_response("**/graph-v2") as response:
        page.goto(nights.page("first"))
    nodes = [node for _, node in response.value.json()["nodes"]]
    assert {node["label"] for node in nodes} == steps_of(nights, nights.runs["first"])
    assert sum(len(node["parents"]) for node in nodes) >= len(nodes) - 1  # no step but the first stands alone

    def drawn() -> int:
        picture = np.asarray(Image.open(BytesIO(page.locator("canvas").screenshot())).convert("RGB")).astype(int)
        steps = (abs(picture - GREEN).sum(axis=-1) < 40)[:-20]  # below is the run's own bar
        areas, count = ndimage.label(steps)
        return sum(ndimage.sum(steps, areas, range(1, count + 1)) > 60)

    page.get_by_text("Finished in state").first.wait_for()
    wait_until(lambda: drawn() >= len(nodes), "drawing")
    page.get_by_text("Task Runs", exact=True).click()
    for node in nodes:
        page.locator(".state-list-item").get_by_text(node["label"], exact=True).wait_for()


def test_a_run_that_was_killed_says_so_and_how_it_went_on(nights: History, show: Callable[..., Page]) -> None:
    page = show(nights.page("better"), height=2000)
    page.get_by_text("after: killed by SIGKILL").first.wait_for()
    page.get_by_text(re.compile(r"resumed at epoch \d")).first.wait_for()
    of_run = TaskRunFilter.model_validate({"flow_run_id": {"any_": [str(nights.runs["better"])]}})
    left = [
        task for task in nights.lane.client.read_task_runs(task_run_filter=of_run) if task.state_name != "Completed"
    ]
    assert {(task.name.split("-")[0], task.state_name) for task in left} <= {
        ("train", "Crashed"),
        ("prepare", "Cached"),
    }


def test_a_refusal_is_a_sentence_on_the_runs_page(nights: History, show: Callable[..., Page]) -> None:
    page = show(nights.page("refused"))
    page.get_by_text("hidden_1/kernel is in no group and not frozen").first.wait_for()
    page.get_by_text("Change the patterns under groups or frozen").first.wait_for()


@DARK_AND_LIGHT
def test_every_picture_of_the_report_is_there(dark: bool, nights: History, show: Callable[..., Page]) -> None:
    (file,) = nights.lane.root.glob(f"artifacts/runs/*-{nights.runs['better'].hex[:8]}/report.html")
    for address in (nights.artifact("better", "report"), file.as_uri()):
        page = show(address, dark=dark)
        page.get_by_alt_text("loss and accuracy by epoch").wait_for()
        widths = page.locator("img").evaluate_all(LOADED)
        assert len(widths) >= 2
        assert all(widths), widths


@DARK_AND_LIGHT
def test_the_morning_page_answers_did_it_run_is_it_better_and_why(
    dark: bool, nights: History, show: Callable[..., Page]
) -> None:
    """In the UI and, without a server, in artifacts/index.html."""
    for address in (nights.artifact("waiting", key_of(NAME)), nights.index()):
        page = show(address, dark=dark)
        latest = re.compile(r"^Needs approval \(20\d\d-.*points better.*promotion is manual")
        page.get_by_text(latest).wait_for()
        page.get_by_text(re.compile("^Champion 1: test accuracy")).wait_for()  # after the rollback
        page.locator("pre", has_text="hemline promote 4").first.wait_for()
        lines = [
            text for text in page.locator("li").all_inner_texts() if re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d ", text)
        ]
        became = [line[17:].partition(",")[0] for line in lines]  # after the date and the time
        assert became == ["Needs approval", "Rolled back", "Refused", "Kept", "Unchanged", "Promoted"]
        assert ": every trainable variable must be in exactly one optimizer group or frozen" in lines[2]
        widths = page.locator("img").evaluate_all(LOADED)
        assert widths
        assert all(widths), widths


def test_one_click_on_says_where_the_model_is_what_it_gets_wrong_and_what_to_do(
    nights: History, show: Callable[..., Page]
) -> None:
    """From index.html and, since a person may have only the UI, from the report that it lists."""
    page = show(nights.index())
    page.locator("pre", has_text="hemline promote 4 --name fashion_mnist").first.wait_for()
    champion = page.get_by_text(re.compile("^Champion 1: .*Its files: ")).locator("code").inner_text()
    assert (Path(champion) / "model.keras").is_file()
    page.locator("li", has_text="Rolled back").get_by_role("link").first.click()
    page.get_by_role("heading", name="Most confident mistakes").wait_for()
    page.get_by_alt_text(re.compile("^matrix of true classes")).wait_for()
    page = show(nights.artifact("better", "report"))
    page.get_by_role("heading", name="Most confident mistakes").wait_for()


def test_a_photograph_is_small_and_shows_the_page(nights: History, chromium: Browser, tmp_path: Path) -> None:
    """As `make screenshots` takes it, and not before the page is there."""
    path = photograph(chromium, nights, PICTURES["artifacts"], Look(width=800), tmp_path / "artifacts.png")
    with Image.open(path) as image:
        assert image.size == (800, PICTURES["artifacts"].height)
        assert image.mode == "P"
        assert len(image.convert("RGB").getcolors() or []) > 10
    assert path.stat().st_size < 150_000


def test_a_picture_that_is_dropped_is_classified_by_the_champion(
    nights: History, fashion_mnist: DatasetRef, show: Callable[..., Page]
) -> None:
    images, labels = load_split(fashion_mnist, "test")
    file = BytesIO()
    Image.fromarray(images[0, ..., 0]).save(file, "PNG")
    with serving(nights) as served:
        page = show(served.served)
        for name, content in (("coat.png", file.getvalue()), ("coat.txt", b"not a picture")):
            drop(page, "#place", name, content)
            page.get_by_alt_text(name).wait_for()
            rows = [row.split("\t") for row in page.locator("#classes tr").all_inner_texts()]
            if name == "coat.png":
                assert {label for label, _, _ in rows} == set(fashion_mnist.class_names)
                assert rows[0][0] == fashion_mnist.class_names[labels[0]]
                assert sum(float(probability) for _, _, probability in rows) == pytest.approx(1, abs=1e-3)
                assert page.get_by_role("status").inner_text().strip() == "fashion_mnist 1"  # after the rollback
            else:
                assert rows == []
                assert "PNG" in page.get_by_role("status").inner_text()


def test_the_form_of_a_run_refuses_a_value_and_names_its_field(nights: History, show: Callable[..., Page]) -> None:
    page = show(nights.form())
    field(page, "Training: Epochs").fill("0")
    assert submit(page).status == 409
    page.get_by_text("field 'config.epochs'. Failure reason: 0 is less than the minimum of 1").first.wait_for()
    assert page.url == nights.form()  # with all that was filled in
    assert field(page, "Training: Epochs").input_value() == "0"


def test_the_form_of_a_run_starts_one_with_what_was_filled_in_and_nothing_else(
    nights: History, show: Callable[..., Page]
) -> None:
    """Regression: it sent every default and an untouched switch as false, which overrode the recipe."""
    page = show(nights.form())
    field(page, "Recipe").fill("chapter")
    field(page, "Training: Batch size (examples)").fill("128")  # the default, and asked for all the same
    field(page, "Model: Model arguments").fill('{"units": [128, 64]}')
    response = submit(page)
    assert response.status == 201, response.text()
    posted = response.request.post_data_json
    assert posted
    asked = {"recipe": "chapter", "batch_size": 128, "model_arguments": '{"units": [128, 64]}'}
    # the deployment's own, and these
    assert posted["parameters"]["config"] == {"epochs": 1, "device": "auto", "force": True} | asked
    page.goto(f"{nights.ui}/runs/flow-run/{response.json()['id']}")
    page.get_by_text(re.compile("^kept fashion_mnist 1: ")).first.wait_for()  # in its log, as it comes


def test_a_person_answers_a_run_that_waits_for_her(nights: History, show: Callable[..., Page]) -> None:
    page, run = show(nights.page("waiting")), nights.runs["waiting"]
    page.get_by_role("button", name="Resume").click()
    page.get_by_text("promotion is manual").first.wait_for()
    dialog = page.locator(".p-modal")
    dialog.get_by_text("of 10,000 test examples").wait_for()
    dialog.locator("[role=switch], input[type=checkbox]").first.click()
    field(page, "Comment").fill("looked at it")
    dialog.get_by_role("button", name="Submit").click()
    page.get_by_text("Promoted", exact=True).first.wait_for()
    state = nights.lane.state(run)
    assert state
    assert str(state.message).startswith("promoted fashion_mnist 4: approved (looked at it); ")
    assert Registry(nights.lane.root / "artifacts", NAME).entries()[-1].reason == state.message
