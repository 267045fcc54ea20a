"""Complete parts of images and clips several times each, and show the completions.

OUT/items/item_000.*      images and videos of an item, and item_000.npz, which is written last: the item is finished
OUT/tokens.npy            (items, n, L), with log_probabilities.npy and entropies.npy
OUT/items.csv             a row per item: distance to the truth, entropy
OUT/grid.png, index.html  to look at
OUT/sample.json           how to do it again
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from data.clip_format import ClipFormat
from data.media import Skipped, check_skipped, write_skipped
from gpt.model import GPT
from sampling.completion import assemble, draw
from sampling.gallery import show_grid, show_item, write_gallery
from sampling.inputs import Job, choose_jobs, describe_resizing, read_jobs
from sampling.layout import Layout, count_frames, lay_out
from sampling.options import STILL_KINDS, CompleteOptions, Request
from sampling.prompts import count_changed, describe_rounding
from sampling.records import (
    Record,
    gallery_item,
    read_record,
    record_path,
    write_arrays,
    write_items,
    write_record,
)
from storage.checksums import fingerprint
from storage.command import command_line
from storage.files import to_json, write_text
from storage.run_folder import environment, open_run
from training.processes import best_device
from training.progress import Progress
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer

GRID_ITEMS = 8
"""Items in `grid.png`, at most."""


@dataclass(frozen=True)
class Work:
    """Everything that is needed to complete items, checked."""

    gpt: GPT
    tokenizer: Tokenizer
    form: ClipFormat
    """How the input is cut."""
    jobs: list[Job]
    skipped: list[Skipped]
    """Files of the input that cannot be used."""
    request: Request
    layout: Layout

    @property
    def counts_changes(self) -> bool:
        """Whether prompts could know what follows them, so that it is counted how many of their tokens do."""
        prompt = self.request.prompt
        return prompt.kind != "none" and (prompt.encoding == "full" or not self.tokenizer.causal)


def complete(options: CompleteOptions) -> Path:
    """Complete items of a data set; see the module for the files written into `options.out`, which is returned.

    Raises:
        MediaError: the input holds nothing usable.
        MismatchError: GPT, tokenizer and input do not belong together.
        OSError: `options.out` cannot be written.
        RunFolderError: `options.out` holds other completions.
        ValueError: prompt, length and window do not fit.
    """
    work = _prepare(options)
    _open(options)
    unread = _complete_jobs(work, options.out, options.batch)
    write_skipped(options.out / "skipped.csv", [*work.skipped, *unread])
    if unread:
        check_skipped(unread, len(work.jobs), options.input[0])
    _summarise(work, options)
    print(f"Open {options.out / 'index.html'}")
    return options.out


def _prepare(options: CompleteOptions) -> Work:
    """Load, find and check everything, so that what cannot be done is refused before anything is sampled."""
    device = best_device()
    gpt, tokenizer = GPT.from_pretrained(options.gpt).to(device), load_tokenizer(options.tokenizer).to(device)
    request = options.request(None if options.seconds is None else count_frames(tokenizer, options.seconds))
    frames = 1 if options.prompt in STILL_KINDS else min(tokenizer.frames, request.frames or tokenizer.frames)
    form = ClipFormat(frames, tokenizer.fps, tokenizer.size)
    jobs, skipped = choose_jobs(options.input, form, options.items)
    size = None
    if jobs[0].item:
        size = (1 if jobs[0].item.source.kind == "image" else form.frames, form.size, form.size)
    layout = lay_out(gpt, tokenizer, size, request)
    rounding = describe_rounding(tokenizer, request.prompt, size) if size else None
    for sentence in (rounding, describe_resizing(jobs, form.size)):
        if sentence:
            print(sentence)
    return Work(gpt, tokenizer, form, jobs, skipped, request, layout)


def _open(options: CompleteOptions) -> None:
    try:
        open_run(options.out, options, options.resume, options.overwrite)
        if options.overwrite:
            shutil.rmtree(options.out / "items", ignore_errors=True)
        (options.out / "items").mkdir(exist_ok=True)
    except OSError as error:
        raise OSError(f"--out {options.out} cannot be written: {error.strerror}") from error


def _complete_jobs(work: Work, out: Path, batch: int) -> list[Skipped]:
    """Complete what is not finished, item by item; return what could not be read."""
    unread: list[Skipped] = []
    with Progress("Completing", len(work.jobs)) as progress:
        for start in range(0, len(work.jobs), batch):
            group = work.jobs[start : start + batch]
            if not all(record_path(out, job).exists() for job in group):
                _complete_group(work, group, out, unread)
            progress.show(group[-1].number + 1)
    return unread


def _complete_group(work: Work, group: Sequence[Job], out: Path, unread: list[Skipped]) -> None:
    """Complete items side by side. A group is always sampled whole, so that an interruption changes no rounding."""
    jobs, clips = read_jobs(group, work.form, unread)
    if not jobs:
        return
    changed: list[int | None] = [None] * len(jobs)
    if clips is not None and work.counts_changes:
        clips_there = clips.to(work.gpt.device)
        changed = [*count_changed(work.tokenizer, clips_there, work.request.prompt).tolist()]
    numbers = [job.number for job in jobs]
    drawn = draw(work.gpt, work.tokenizer, clips, work.layout, work.request, numbers)
    for place, (job, one) in enumerate(zip(jobs, drawn, strict=True)):
        path = record_path(out, job)
        if not path.exists():
            completion = assemble(work.tokenizer, None if clips is None else clips[place], work.layout, one)
            show_item(completion, job.name, work.tokenizer.fps, path.parent, job.stem)
            write_record(path, completion, changed[place])


def _summarise(work: Work, options: CompleteOptions) -> None:
    """Write what is about all items, from the records of each."""
    out = options.out
    done = [job for job in work.jobs if record_path(out, job).exists()]
    records = [read_record(record_path(out, job)) for job in done]
    entries = [gallery_item(job, kept, work.layout.size[0] > 1) for job, kept in zip(done, records, strict=True)]
    write_arrays(out, records)
    write_items(out / "items.csv", entries)
    _show_first(work, done[:GRID_ITEMS], records, out)
    write_gallery(out, entries, f"{options.prompt}: {len(done)} items, {options.n} continuations each")
    write_text(out / "sample.json", to_json(_how_to_redo(work, options, done, records)))


def _how_to_redo(
    work: Work, options: CompleteOptions, jobs: Sequence[Job], records: Sequence[Record]
) -> dict[str, Any]:
    """Return what `sample.json` holds."""
    layout = work.layout
    return {
        "command": command_line("complete", options),
        "options": asdict(options),
        "items": [
            {"stem": job.stem, "source": job.source, "start": job.item.start if job.item else None} for job in jobs
        ],
        "tokenizer": work.tokenizer.fingerprint,
        "gpt": fingerprint(work.gpt.description, work.gpt.state_dict()),
        "frames": layout.size[0],
        "grid": layout.grid,
        "given": dict(zip(("latent_frames", "rows", "columns"), layout.part.tokens, strict=True)),
        "prompt_tokens": prod(layout.part.tokens),
        "prompt_tokens_changed": _report_changed(work, records),
        "seams": layout.seams,
        "environment": environment(),
    }


def _show_first(work: Work, jobs: Sequence[Job], records: Sequence[Record], out: Path) -> None:
    """Draw the grid of what is on disk, so that it is the same whether or not the run was interrupted."""
    completions = []
    for job, kept in zip(jobs, records, strict=False):
        _, clips = read_jobs([job], work.form, [])
        completions.append(assemble(work.tokenizer, None if clips is None else clips[0], work.layout, kept.drawn))
    show_grid(completions, [job.name for job in jobs], out)


def _report_changed(work: Work, records: Sequence[Record]) -> float | None:
    """Print and return the share of prompt tokens that depend on what follows; None where none can."""
    if not work.counts_changes:
        return None
    changed = sum(record.changed or 0 for record in records)
    tokens = prod(work.layout.part.tokens) * len(records)
    print(f"{changed} of {tokens} prompt tokens differ between encoding what is given alone and encoding everything.")
    return changed / tokens
