"""Complete parts of images and clips several times each, and show the completions.

OUT/items/item_000.*      images and videos of an item, and item_000.npz, which is written last: the item is finished
OUT/tokens.npy            (items, n, L), with log_probabilities.npy and entropies.npy
OUT/items.csv             a row per item: distance to the truth, entropy
OUT/grid.png, index.html  to look at
OUT/sample.json           how to do it again
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from data.clip_format import ClipFormat
from data.items import describe_items
from data.skipping import check_skipped, describe_skipped, write_skipped
from data.sources import Skipped
from gpt.model import GPT
from sampling.completion import Completion, assemble, sample_layout
from sampling.counting import describe_counts, record_counts, sum_counts
from sampling.gallery import GalleryItem, show_grid, show_item, write_gallery
from sampling.items import (
    CompletionItem,
    FinishedItem,
    are_grey,
    choose_items,
    describe_grey,
    describe_resizing,
    finished_path,
    gallery_item,
    identity_of,
    is_finished,
    read_clips,
    read_finished,
    write_arrays,
    write_finished,
)
from sampling.options import STILL_KINDS, CompleteOptions, Request, SamplingPrecision, WindowOption
from sampling.pages import Fact, facts_of, with_fingerprint
from sampling.parallel import DecodingCounts, check_window
from sampling.prompts import Layout, Size, count_changed, count_frames, describe_rounding, lay_out
from sampling.recommended import describe_settings
from sampling.sampled import Sampled, Watch
from storage.checked_files import parse_json
from storage.checksums import fingerprint
from storage.command import command_line
from storage.environment import environment
from storage.files import to_json, unwritable, write_text
from storage.lock import FolderLock
from storage.records import digest_of
from storage.run_folder import has_begun, open_run
from storage.tables import write_rows
from training.precision import left_open, read_precision, settle
from training.processes import best_device, describe_device
from training.progress import Progress, count, say_done, say_found
from vqgan.grouping import group_by_of
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
    items: list[CompletionItem]
    skipped: list[Skipped]
    """Files of the input that cannot be used."""
    request: Request
    layout: Layout
    batch: int
    """Items that are completed side by side."""
    precision: SamplingPrecision = "fp32"
    """Of the GPT's blocks, settled."""
    window: WindowOption = "auto"
    """Tokens of a continuation that a pass of the GPT reads; it changes no token."""

    @cached_property
    def gpt_fingerprint(self) -> str:
        """Of the GPT's architecture and weights."""
        return fingerprint(self.gpt.description, self.gpt.state_dict())

    @cached_property
    def identity(self) -> str:
        """Digest of what decides the completions, items and names of folders aside."""
        models = {"gpt": self.gpt_fingerprint, "tokenizer": self.tokenizer.fingerprint}
        layout = {"grid": self.layout.grid, "given": self.layout.extent.tokens, "windows": self.layout.window_starts}
        request: dict[str, Any] = parse_json(to_json(self.request, indent=None))
        # Named where they are not those of all completions before there was a choice.
        if self.request.sampling.noise == "inverse":
            del request["sampling"]["noise"]
        precision = {} if self.precision == "fp32" else {"precision": self.precision}
        return digest_of({**models, **layout, "request": request, "batch": self.batch, **precision})

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
        FolderLockError: another process is writing into `options.out`.
        OSError: `options.out` cannot be written.
        RunFolderError: `options.out` holds other completions, or damaged ones.
        ValueError: prompt, length and window do not fit, or bf16 is asked for where it is slow.
    """
    with FolderLock(options.out, wait=options.resume == "auto"):
        begun = has_begun(options.out, CompleteOptions) and not options.overwrite
        options, precision = _settle_precision(options, begun)
        if begun:
            _open(options, options.out, begun=True)  # refused before anything takes long
        work = _prepare(options)
        _say_found(work, precision, options)
        if not begun:
            _open(options, options.out, begun=False)
        unread = _complete_items(work, options.out, options.batch)
        write_skipped(options.out / "skipped.csv", [*work.skipped, *unread])
        if unread:
            check_skipped(unread, len(work.items), options.input[0])
        _summarise(work, options, options.out)
    say_done(options.out / "index.html", "open it in a browser")
    return options.out


def read_completions(options: CompleteOptions) -> list[Completion]:
    """Return the finished completions in `options.out`, which `complete` made with the same options, item by item.

    Raises:
        MediaError: the input holds nothing usable any more.
        RunFolderError: a completion is damaged.
    """
    work = _prepare(_settle_precision(options, begun=True)[0])
    return _assemble(work, read_finished(options.out, work.items, work.identity))


def _settle_precision(options: CompleteOptions, begun: bool) -> tuple[CompleteOptions, str | None]:
    """Return options with what is sampled in, and what to say of it if that was left open; see `settle`."""
    recorded = read_precision(options.out, "sampling_precision") if begun else None
    return settle(options, "sampling_precision", best_device(), recorded)


def _prepare(options: CompleteOptions) -> Work:
    """Load, find and check everything, so that what cannot be done is refused before anything is sampled."""
    device = best_device()
    gpt = GPT.from_pretrained(options.gpt).to(device)
    tokenizer = load_tokenizer(options.tokenizer).to(device)
    request = options.request(None if options.seconds is None else count_frames(tokenizer, options.seconds))
    frames = 1 if options.prompt in STILL_KINDS else min(tokenizer.frames, request.frames or tokenizer.frames)
    form = ClipFormat(frames, tokenizer.fps, tokenizer.size)
    group_by = group_by_of(options.tokenizer, None, options.tokenizer)
    items, skipped = choose_items(options.input, form, options.items, options.split, group_by)
    layout = lay_out(gpt, tokenizer, _size(items, form), request)
    check_window(options.window, layout.tokens_to_sample, options.sampling)
    return Work(
        gpt=gpt,
        tokenizer=tokenizer,
        form=form,
        items=items,
        skipped=skipped,
        request=request,
        layout=layout,
        batch=options.batch,
        precision=options.sampling_precision,
        window=options.window,
    )


def _size(items: Sequence[CompletionItem], form: ClipFormat) -> Size | None:
    """Return frames, rows and columns (T, H, W) of the items' clips; None where nothing is given."""
    found = items[0].found
    if found is None:
        return None
    return 1 if found.source.kind == "image" else form.frames, form.size, form.size


def _say_found(work: Work, precision: str | None, options: CompleteOptions) -> None:
    """Say what there is to work with, in which precision if that was chosen, and what is not taken as it is."""
    recommended = work.gpt.sampling
    found = [item.found for item in work.items if item.found]
    given = describe_items(found) if found else "nothing given"
    grid = "x".join(map(str, work.layout.grid))
    say_found(
        device=describe_device(work.gpt.device),
        tokenizer=f"{work.tokenizer.describe()}, {_parameters(work.tokenizer)}",
        gpt=f"{work.gpt.config.describe()}, {_parameters(work.gpt)}, sampled in {precision or work.precision}",
        **({} if recommended is None else {"sampling": describe_settings(options.sampling, recommended, options.gpt)}),
        items=f"{given}; {count(work.request.n, 'continuation')} each, of {grid} tokens",
        skipped=describe_skipped(work.skipped),
    )
    size = _size(work.items, work.form)
    rounding = describe_rounding(work.tokenizer, work.request.prompt, size) if size else None
    for sentence in (rounding, describe_resizing(work.items, work.form.size)):
        if sentence:
            print(sentence)


def _parameters(model: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters"


def _open(options: CompleteOptions, out: Path, begun: bool) -> None:
    """Make `out` the folder of this run; nothing of what is replaced outlives its options."""
    try:
        if options.overwrite:
            (out / "sample.json").unlink(missing_ok=True)
            shutil.rmtree(out / "items", ignore_errors=True)
        same = left_open(out, "sampling_precision")
        open_run(out, options, options.resume, options.overwrite, begun=begun, same=same)
        (out / "items").mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error


def _complete_items(work: Work, out: Path, batch: int) -> list[Skipped]:
    """Complete what is not finished, group by group; return what could not be read."""
    unread: list[Skipped] = []
    grey: list[bool] = []
    with Progress("Completing", len(work.items)) as progress:
        for start in range(0, len(work.items), batch):
            group = work.items[start : start + batch]
            finished = [is_finished(out, item, work.identity) for item in group]
            if not all(finished):
                _complete_group(work, group, out, unread, grey)
            progress.show(group[-1].index + 1)
    said = describe_grey(sum(grey), len(grey))
    if said:
        print(said)
    return unread


def _complete_group(
    work: Work, group: Sequence[CompletionItem], out: Path, unread: list[Skipped], grey: list[bool]
) -> None:
    """Complete items side by side. A group is always sampled whole, so that an interruption changes no rounding.

    To `unread` is added what could not be read, to `grey` whether each item that could is grey.
    """
    items, clips = read_clips(group, work.form, unread)
    if not items:
        return
    if clips is not None:
        grey += are_grey(clips).tolist()
    counts = DecodingCounts()
    sampled = sample_items(work, items, clips, counts)
    _write_items(work, items, clips, sampled, counts, out)


def sample_items(
    work: Work,
    items: Sequence[CompletionItem],
    clips: Tensor | None,
    counts: DecodingCounts | None = None,
    watch: Watch | None = None,
) -> Sampled:
    """Return the continuations (B, n, t, h, w) of items whose clips (B, 3, T, H, W) are given: see `sample_layout`."""
    indices = [item.index for item in items]
    asked = (work.request, indices, work.precision, work.window, counts, watch)
    return sample_layout(work.gpt, work.tokenizer, clips, work.layout, *asked)


def write_completions(
    work: Work, options: CompleteOptions, out: Path, clips: Tensor | None, sampled: Sampled, counts: DecodingCounts
) -> None:
    """Write what `complete` does of items that were sampled by others.

    Args:
        work: models, the items, and what was asked.
        options: that ask for the same, wherever they write.
        out: new folder to write into.
        clips: (B, 3, T, H, W) in [-1, 1] of the items; None where nothing is given.
        sampled: (B, n, t, h, w), of `sample_items`.
        counts: of the passes it took.

    Raises:
        MediaError: an item cannot be read any more.
        OSError: the folder cannot be written.
    """
    _open(options, out, begun=False)
    _write_items(work, work.items, clips, sampled, counts, out)
    write_skipped(out / "skipped.csv", work.skipped)
    _summarise(work, options, out)


def _write_items(
    work: Work,
    items: Sequence[CompletionItem],
    clips: Tensor | None,
    sampled: Sampled,
    counts: DecodingCounts,
    out: Path,
) -> None:
    """Write what there is to see and to keep of items that were sampled side by side."""
    changed = _count_changed(work, clips)
    for row, (item, of_item) in enumerate(zip(items, sampled, strict=True)):
        path = finished_path(out, item)
        if not path.exists():
            completion = assemble(work.tokenizer, None if clips is None else clips[row], work.layout, of_item)
            show_item(completion, item.name, work.tokenizer.fps, path.parent, item.stem)
            identity = identity_of(work.identity, item)
            write_finished(path, completion, changed[row] if changed else None, identity, counts)


def _count_changed(work: Work, clips: Tensor | None) -> list[int]:
    """Return how many prompt tokens of each clip know what follows; nothing where none can."""
    if clips is None or not work.counts_changes:
        return []
    return [*count_changed(work.tokenizer, clips.to(work.gpt.device), work.request.prompt).tolist()]


def _summarise(work: Work, options: CompleteOptions, out: Path) -> None:
    """Write what is about all items, from what is kept of each."""
    finished = read_finished(out, work.items, work.identity)
    entries = [gallery_item(kept, video=work.layout.size[0] > 1) for kept in finished]
    write_arrays(out, finished)
    write_rows(out / "items.csv", entries, GalleryItem)
    shown = finished[:GRID_ITEMS]
    show_grid(_assemble(work, shown), [kept.item.name for kept in shown], out)
    title = f"{options.prompt}: {count(len(finished), 'item')}, {count(options.n, 'continuation')} each"
    write_gallery(out, entries, title, _facts(work, options))
    write_text(out / "sample.json", to_json(_how_to_redo(work, options, finished)))


def _facts(work: Work, options: CompleteOptions) -> tuple[Fact, ...]:
    """Return the header of the page."""
    given = f", {options.given:g} given" if options.given is not None else ""
    prompt = f"prompt {options.prompt}{given}, encoding {options.prompt_encoding}"
    length = f", {options.seconds:g} s long" if options.seconds is not None else ""
    return facts_of(
        options,
        left_out=("batch", "window"),
        model=with_fingerprint(options.gpt, work.gpt_fingerprint),
        tokenizer=with_fingerprint(options.tokenizer, work.tokenizer.fingerprint),
        settings=f"{prompt}{length}; {options.sampling.describe()}, noise {options.sampling.noise}; {work.precision}",
    )


def _how_to_redo(work: Work, options: CompleteOptions, finished: Sequence[FinishedItem]) -> dict[str, Any]:
    """Return what `sample.json` holds."""
    layout = work.layout
    items = [kept.item for kept in finished]
    return {
        "command": command_line(options),
        "options": asdict(options),
        "items": [
            {"stem": item.stem, "source": item.source, "start": item.found.start if item.found else None}
            for item in items
        ],
        "tokenizer": work.tokenizer.fingerprint,
        "gpt": work.gpt_fingerprint,
        "precision": work.precision,
        "condition": work.gpt.config.condition,
        **({"recommended_sampling": asdict(work.gpt.sampling)} if work.gpt.sampling is not None else {}),
        "frames": layout.size[0],
        "grid": layout.grid,
        "given": dict(zip(("latent_frames", "rows", "columns"), layout.extent.tokens, strict=True)),
        "prompt_tokens": prod(layout.extent.tokens),
        "prompt_tokens_changed": _report_changed(work, finished),
        "window_starts": layout.window_starts,
        "decoding": _report_decoding(work, finished),
        "environment": environment(),
    }


def _report_decoding(work: Work, finished: Sequence[FinishedItem]) -> dict[str, Any]:
    """Say and return how many passes of the model the tokens took, in all batches, whichever run finished them."""
    of_batches = {kept.item.index // work.batch: kept.counts for kept in finished if kept.counts is not None}
    how = {"noise": work.request.sampling.noise, "window": work.window, "batches_counted": len(of_batches)}
    if not of_batches:
        return how  # items of versions that did not count
    counts = sum_counts(of_batches.values())
    print(describe_counts(counts), file=sys.stderr)
    return {**how, **record_counts(counts)}


def _assemble(work: Work, finished: Sequence[FinishedItem]) -> list[Completion]:
    """Decode what is on disk, so that it is the same whether or not the run was interrupted."""
    completions = []
    for kept in finished:
        _, clips = read_clips([kept.item], work.form, [])
        clip = None if clips is None else clips[0]
        completions.append(assemble(work.tokenizer, clip, work.layout, kept.sampled))
    return completions


def _report_changed(work: Work, finished: Sequence[FinishedItem]) -> float | None:
    """Print and return the share of prompt tokens that depend on what follows; None where none can."""
    if not work.counts_changes:
        return None
    changed = sum(kept.prompt_tokens_changed or 0 for kept in finished)
    tokens = prod(work.layout.extent.tokens) * len(finished)
    print(f"{changed} of {tokens} prompt tokens differ between encoding what is given alone and encoding everything.")
    return changed / tokens
