"""Files that are not used: listed in `skipped.csv`, counted by reason, and too many of them refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from data.errors import MediaError
from data.sources import Skipped
from storage.tables import write_rows


def check_skipped(skipped: Iterable[Skipped], total: int, path: Path) -> None:
    """Stop when more than half of `total` videos and images are unreadable.

    Raises:
        MediaError: naming the count and the first reasons.
    """
    bad = [item for item in skipped if item.is_media]
    if 2 * len(bad) > total:
        reasons = "; ".join(f"{item.file}: {item.reason}" for item in bad[:3])
        raise MediaError(f"{len(bad)} of {total} files in {path} cannot be read ({reasons})")


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write the files that are not used and their reasons to the CSV file `path`."""
    write_rows(path, skipped, Skipped)


def describe_skipped(skipped: Sequence[Skipped]) -> str:
    """Return how many files are not used, and for which reasons, in words: `3 files: 2 is empty, 1 is damaged`."""
    if not skipped:
        return "none"
    media = [skip for skip in skipped if skip.is_media]
    parts = [_count_reasons(media, "file")] if media else []
    if len(media) < len(skipped):
        parts.append(_count_reasons([skip for skip in skipped if not skip.is_media], "other file"))
    return f"{'; '.join(parts)} (see skipped.csv)"


def _count_reasons(skipped: Sequence[Skipped], noun: str) -> str:
    reasons = Counter(_kind_of_reason(skip) for skip in skipped)
    counted = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common(5))
    more = f" and {len(reasons) - 5} other reasons" if len(reasons) > 5 else ""
    return f"{len(skipped):,} {noun}{'' if len(skipped) == 1 else 's'}: {counted}{more}"


def _kind_of_reason(skip: Skipped) -> str:
    """Return a reason without names of files, details and numbers, so that alike ones are counted together."""
    _, named, after = skip.reason.partition(skip.file)
    what = after.strip() if named else skip.reason
    general = re.sub(r"^(is the same file as|is a (hard )?link to|lies beside) .*", r"\1 another", what)
    return re.sub(r"\d[\d,]*(\.\d+)?", "#", re.split(r"[:;(]", general)[0]).strip()
