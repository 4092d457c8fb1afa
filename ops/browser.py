"""A headless Chromium that is installed on the machine: for pictures, and for tests that look as a person does.

with browser() as chromium:
    page = open_page(chromium, Look(dark=True, width=800))
    page.goto(address)
    drop(page, "#place", "shirt.png", content)
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, sync_playwright

# Chromium's own background requests have no place in a picture, and --no-sandbox lets root take it.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass(frozen=True)
class Look:
    """How a person has her browser. width, height: of the page, in CSS pixels."""

    dark: bool = False
    width: int = 1280
    height: int = 900

    @property
    def scheme(self) -> str:
        """As CSS says it."""
        return "dark" if self.dark else "light"


def find_chromium() -> str | None:
    """Path of an installed Chromium."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Ends with the block."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit("A Chromium must be on the PATH. Received: none. Install it: apt-get install chromium.")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


def open_page(browser: Browser, look: Look) -> Page:
    """A page that shares nothing with others."""
    page = browser.new_page(
        viewport={"width": look.width, "height": look.height}, color_scheme="dark" if look.dark else "light"
    )
    # Prefect's UI does not ask the browser: it is dark until somebody has chosen, and remembers that here.
    page.add_init_script(f"""localStorage.setItem("color-scheme", '"{look.scheme}"')""")
    return page


def drop(page: Page, place: str, name: str, content: bytes) -> None:
    """A file, as a person does who drags it from a directory onto the page. place: a CSS selector."""
    page.locator(place).evaluate(
        """(place, [name, content]) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(content)], name));
            place.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, list(content)],
    )
