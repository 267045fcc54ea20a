"""What people see and do on a page of `data look` in a browser."""

import csv
import io
from pathlib import Path

from playwright.sync_api import Page

NAMES = "[...document.querySelectorAll('#cells .cell:not([hidden])')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
ITEMS = f"{NAMES}.map((each) => Number(each.dataset.item))"
"""Of the items in sight, in their order."""


def items(page: Page) -> list[int]:
    return page.evaluate(ITEMS)


def picture(page: Page, item: int) -> str:
    return f"#cells .cell:not([hidden])[data-item='{item}'] .picture"


def tags_of(page: Page) -> list[tuple[str, str, str, str]]:
    """Rows of the table that is downloaded."""
    page.evaluate("document.getElementById('tagging').open = true")
    with page.expect_download() as download:
        page.click("#download")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head == ["source", "start", "seconds", "tag"]
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def rises(values: list[float | None]) -> bool:
    """Whether numbers do not fall, and those that are missing come last."""
    known = [value for value in values if value is not None]
    return known == sorted(known) and values[: len(known)] == known
