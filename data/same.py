"""Whether a run that is resumed has the data that it began with, also where they lie elsewhere now.

data.json   in a run folder: how many items the data have, and a digest of what they are
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from data.exclusion import OTHER_EXCLUSION
from data.items import Item
from data.tokens import TokenStore
from storage.files import to_json, write_text
from storage.run_folder import Change, RunCheck, RunFolderError, refusal

DATA = "data.json"


@dataclass(frozen=True)
class DataRecord:
    """What a run was given to learn from."""

    items: int
    """Clips, images or token grids, those for validation among them."""
    sha256: str
    """Of what they are called, where they begin and what they hold, as far as that is known without decoding videos; of
    a token store, of its items and of the digests of its shards."""
    excluded: str = ""
    """SHA-256 of what `--exclude` left out; empty where nothing was."""


def record_items(*splits: Iterable[Item], excluded: str = "") -> DataRecord:
    """Return the record of the clips and images of some splits; where on the disk they lie does not count.

    Args:
        splits: what is left of them.
        excluded: `data.exclusion.Exclusion.digest` of what was left out.
    """
    digest = hashlib.sha256()
    items = 0
    for split in splits:
        for item in split:
            source = item.source
            size = source.size or (source.stamp.size if source.stamp else 0)
            known = (source.name, source.kind, size, source.seconds, source.sha256, source.group, item.start)
            digest.update(f"{json.dumps(known)}\n".encode())
            items += 1
        digest.update(b"\n")
    digest.update(excluded.encode())
    return DataRecord(items, digest.hexdigest(), excluded)


def record_tokens(store: TokenStore) -> DataRecord:
    """Return the record of a token store."""
    raw = json.loads((store.folder / "metadata.json").read_text(encoding="utf-8"))
    shards = [(shard["name"], shard["items"], shard["sha256"]) for shard in raw["shards"]]
    grid = (raw["grid"], raw["vocab_size"], raw["tokenizer"])
    digest = hashlib.sha256(json.dumps((grid, shards)).encode())
    digest.update((store.folder / "items.jsonl").read_bytes())
    return DataRecord(len(store), digest.hexdigest())


def write_record(run: Path, record: DataRecord) -> None:
    """Write down what a run learns from."""
    known = asdict(record)
    if not record.excluded:
        del known["excluded"]  # as before there was a choice
    write_text(run / DATA, to_json(known))


def read_record(run: Path) -> DataRecord | None:
    """Return what a run learned from, None if that was not written down.

    Raises:
        RunFolderError: the record is damaged.
    """
    path = run / DATA
    try:
        return DataRecord(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise RunFolderError(
            f"{path} is damaged ({error}): remove it, and the data count as those of before"
        ) from error


def check_same_data(run: Path, check: RunCheck, name: str, path: Path, found: DataRecord) -> None:
    """Check that a run which goes on has the data that it began with.

    Args:
        run: its folder.
        check: what its options tell.
        name: of the option that names the data.
        path: where they are now.
        found: what is there.

    Raises:
        RunFolderError: they are others; or they lie elsewhere, and what they were was not written down.
    """
    if not check.continues:
        return
    before = read_record(run)
    if before == found or (before is None and name not in check.moved):
        return
    change = check.moved.get(name, Change(path, path))
    if before is not None and before.excluded != found.excluded:
        told = OTHER_EXCLUSION
    elif before is None:
        told = f"--{name} {change.before} -> {change.now}, and what the first held was not written down"
    elif before.items != found.items:
        told = f"--{name} {change.before}, then {before.items:,} items -> {change.now}, {found.items:,} items"
    else:
        told = f"--{name} {change.before} -> {change.now}, which holds other items"
    raise RunFolderError(refusal(run, told))


def check_same_trunk(trunk: Path | None, check: RunCheck, name: str, path: Path, found: DataRecord) -> None:
    """Check that a run which begins with the trunk of another learns from the same data.

    Args:
        trunk: the run folder of that one; None if there is none.
        check: what was found in the folder of the run that begins.
        name: of the option that names the data.
        path: where they are.
        found: what is there.

    Raises:
        RunFolderError: they are others, or what the trunk's were was not written down.
    """
    if trunk is None or check.continues or read_record(trunk) == found:
        return
    raise RunFolderError(f"--trunk {trunk} did not learn from --{name} {path}, or wrote no record of it: give the same")
