"""The command `data look` as tests give it, and what is in its page."""

import csv
import json
from pathlib import Path
from typing import Any

from viewing.look.options import LookOptions


def asked(path: Path, out: Path, **options: Any) -> LookOptions:
    return LookOptions.of(**{"path": path, "out": out, "frames": 8, "size": 32, "workers": 0, **options})


def page_data(out: Path) -> dict[str, Any]:
    """What a page holds, as a browser would find it."""
    text = (out / "index.html").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text.split('id="data">')[1].split("</script>")[0])
    return found


def number(data: dict[str, Any], key: str) -> list[float | None]:
    return next(one["values"] for one in data["numbers"] if one["key"] == key)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
