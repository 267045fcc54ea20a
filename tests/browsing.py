"""Pages in Debian's Chromium, driven by Playwright: a person's clicks and keys, and everything that a page asks for.

The fixtures `chromium` and `axe_script` of `conftest.py` give one browser to a module and axe-core to all; a test opens
pages with `Chromium.visit`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe import look_script
from browser import PATIENCE, find_browser, flags
from playwright.sync_api import Page, Playwright, sync_playwright

WIDE = (1200, 800)
TELEPHONE = (390, 844)
"""CSS pixels."""
INSIDE = ("data:", "blob:", "about:")
"""How addresses begin of what a page holds itself."""


@dataclass
class Visit:
    """A page that somebody has open."""

    page: Page
    requests: list[str] = field(default_factory=list)
    """Addresses that the page has asked for, its own first."""
    complaints: list[str] = field(default_factory=list)
    """What the browser complained of: errors of scripts, refusals of the page's policy, files that are not there."""

    def elsewhere(self, *own: str) -> list[str]:
        """Requests but those whose address begins with one of `own`: a folder (`file:///...`) or a server."""
        return [each for each in self.requests if not each.startswith((*INSIDE, *own))]

    def violations(self, axe_script: str) -> list[str]:
        """What axe-core finds wrong with what is on the screen."""
        return self.page.evaluate(f"async () => {{ {look_script(axe_script)} }}")

    def sideways(self) -> int:
        """CSS pixels by which the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


class Chromium:
    """A headless Chromium; every visit begins with nothing that an earlier one has left."""

    def __init__(self, playwright: Playwright) -> None:
        self.running = playwright.chromium.launch(
            executable_path=find_browser(), args=launch_flags(), timeout=1000 * PATIENCE
        )

    @contextmanager
    def visit(
        self,
        address: str | Path,
        size: tuple[int, int] = WIDE,
        *,
        touch: bool = False,
        colours: Literal["light", "dark"] = "light",
        still: bool = False,
        before: str = "",
        **more: Any,
    ) -> Iterator[Visit]:
        """Open a page, and close it at the end.

        Args:
            address: of the page, or its file.
            size: of the window, (width, height) in CSS pixels.
            touch: whether it is touched with a finger, on a telephone.
            colours: that the person prefers.
            still: whether the person prefers reduced motion.
            before: a script that runs before those of the page.
            more: options of Playwright's `new_context`.
        """
        context = self.running.new_context(
            viewport={"width": size[0], "height": size[1]},
            has_touch=touch,
            is_mobile=touch,
            color_scheme=colours,
            reduced_motion="reduce" if still else "no-preference",
            **more,
        )
        context.set_default_timeout(1000 * PATIENCE)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        visit = Visit(page)
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        page.on("console", lambda said: visit.complaints.append(said.text) if said.type == "error" else None)
        try:
            page.goto(address.resolve().as_uri() if isinstance(address, Path) else address)
            yield visit
        finally:
            context.close()


@contextmanager
def running_chromium() -> Iterator[Chromium]:
    """A browser, to the end of the `with`."""
    find_browser()
    with sync_playwright() as playwright:
        browser = Chromium(playwright)
        try:
            yield browser
        finally:
            browser.running.close()


def launch_flags() -> list[str]:
    """The flags of the other tests but those that Playwright gives itself; no name of a host is looked up."""
    ours = [flag for flag in flags(Path(os.devnull)) if not flag.startswith(("--headless", "--user-data-dir"))]
    return [*ours, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
