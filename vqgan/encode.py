"""Turn a data set into a token store: `secondsight vqgan encode`, in one process or in many.

The items are planned once, in shards of consecutive items. Shard s is encoded by process s % processes and recorded
when it is complete, so that a continued encoding keeps it, and so that the store is the same however many processes
made it. The main process joins the shards when all are there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import torch
from accelerate import PartialState
from torch import Tensor

from data.clips import Reading, as_clip, batches_to_read, read_items, stack_levels
from data.errors import MediaError, TokenStoreError
from data.exclusion import OTHER_EXCLUSION, leave_out, read_exclusion
from data.items import LISTING, describe_items, find_items, split_items
from data.skipping import describe_skipped, write_skipped
from data.tokens import REPAIR, StoreMetadata, write_shard, write_store
from data.workers import Workers
from storage.fingerprints import same_fingerprint
from storage.lock import find_owner
from storage.run_folder import RunFolderError, check_run, open_run, refusal
from training.launching import say_if_alone
from training.loop import on_cpu
from training.precision import layers_in, read_precision, settle
from training.processes import best_device, describe_device, on_first_process, process_count
from training.progress import Progress, say_done, say_found
from training.run_lock import sole_writer
from training.transfer import to_device
from training.waiting import check_alike
from vqgan.augment import augmented_size, cut_crops
from vqgan.encoding_plan import (
    Plan,
    Record,
    discard_encoding,
    holds_encoding,
    problem_of,
    read_plan,
    read_shard_record,
    shard_size,
    write_plan,
    write_record,
)
from vqgan.grouping import describe_groups, group_by_of
from vqgan.model import load_tokenizer
from vqgan.options import EncodeOptions
from vqgan.tokenizer import Tokenizer

LONGEST_WAIT = timedelta(days=30)
"""How long a process that is done waits for the others, and all for the planning."""


def encode(options: EncodeOptions) -> Path:
    """Encode every clip of a data set once and return the folder of the token store.

    Items of held-out source files are the validation split; `skipped.csv` lists what could not be read.

    Raises:
        MediaError: nothing is usable, or more than half of the files or clips are not.
        FolderLockError: another process is encoding into `out`.
        RunFolderError: `out` holds another encoding, or this one and `resume` is not `auto`.
        TokenStoreError: `out` holds something else, or its plan is damaged.
        ValueError: bf16 is asked for on a processor that is slower in it.
    """
    state = processes()
    options, precision = _settle_precision(options, state.device)
    check_alike(options.precision, "precision", "give --precision fp32 or bf16 to all of them")
    tokenizer = load_tokenizer(options.tokenizer).to(state.device)
    with sole_writer(options.out, wait=options.resume == "auto"):
        on_first_process(lambda: prepare(options, tokenizer))
        plan = read_plan(options.out)
        check_alike(plan.digest, "plan of the encoding", "let all of them see the same --out")
        check_alike(tokenizer.fingerprint, "tokenizer", "give the same --tokenizer to all of them")
        _say_plan(plan, tokenizer, options, state, precision or options.precision)
        mine = range(state.process_index, plan.shards, state.num_processes)
        missing = [number for number in mine if _is_missing(plan, options.out, number)]
        encode_shards(plan, missing, tokenizer, options, state)
        state.wait_for_everyone()
        on_first_process(lambda: join_shards(plan, options.out))
    say_done(options.out, "secondsight gpt train --tokens", options.out, "--out GPT")
    return options.out


def processes() -> PartialState:
    """Return this process's index among those that were launched, and its device."""
    state = PartialState(cpu=on_cpu() or best_device().type == "cpu", timeout=LONGEST_WAIT)
    say_if_alone(process_count())
    return state


def _settle_precision(options: EncodeOptions, device: torch.device) -> tuple[EncodeOptions, str | None]:
    """Return options with what is encoded in, and what to say of it if that was left open; see `settle`.

    Raises:
        RunFolderError: `out` holds an encoding that is not to be continued.
    """
    continues = not options.overwrite and holds_encoding(options.out) and (options.out / "config.json").exists()
    if continues and options.resume == "no" and find_owner(options.out) is None:
        check_run(options.out, options, begun=True)
    # Encodings of before there was a choice, which did not record any, are in fp32.
    recorded = (read_precision(options.out) or "fp32") if continues else None
    return settle(options, "precision", device, recorded)


def _say_plan(plan: Plan, tokenizer: Tokenizer, options: EncodeOptions, state: PartialState, precision: str) -> None:
    """Say what there is to encode."""
    say_found(
        device=describe_device(state.device),
        tokenizer=tokenizer.describe(),
        data=describe_items(plan.items),
        split=f"{len(plan.kept.training):,} for training, {len(plan.kept.validation):,} for validation",
        **describe_groups(group_by_of(options.tokenizer, options.group_by, options.data)),
        **plan.kept.words,
        skipped=describe_skipped(plan.skipped),
        precision=precision,
    )


def _is_missing(plan: Plan, out: Path, number: int) -> bool:
    """Whether a shard is to be encoded; say so of one that was encoded and cannot be used."""
    try:
        problem = problem_of(out, plan, number)
    except FileNotFoundError:
        return True
    if problem is not None:
        print(f"shard {number} is encoded again: {problem}", file=sys.stderr)
    return problem is not None


def prepare(options: EncodeOptions, tokenizer: Tokenizer) -> None:
    """Make `out` the folder of this encoding, with a plan; what it holds is no store until all shards are joined."""
    out = options.out
    begun = (out / "config.json").exists()
    joined = (out / "metadata.json").exists()
    if begun and not holds_encoding(out):
        raise TokenStoreError(f"{out} holds a model or a run and no token store: choose another --out")
    if joined and not begun and not options.overwrite:
        raise TokenStoreError(f"{out} already holds a token store: replace it with --overwrite or choose another --out")
    if options.overwrite or not begun:
        plan = make_plan(options, tokenizer)
        discard_encoding(out)
        write_plan(out, plan)
    open_run(out, options, options.resume, begun=begun and not options.overwrite)
    plan = read_plan(out)
    if plan.excluded.digest != read_exclusion(options.exclusion, plan.metadata.frames, plan.metadata.fps).digest:
        raise RunFolderError(refusal(out, OTHER_EXCLUSION))
    before = plan.metadata.tokenizer
    if not same_fingerprint(before, tokenizer.fingerprint):
        raise RunFolderError(
            f"the encoding in {out} was begun with another tokenizer ({before} -> {tokenizer.fingerprint}): give that "
            "one, or begin anew with --overwrite"
        )
    (out / "metadata.json").unlink(missing_ok=True)


def make_plan(options: EncodeOptions, tokenizer: Tokenizer) -> Plan:
    """Look at the data and say what is to be encoded.

    Raises:
        MediaError: nothing is usable, more than half of the files are not, or there is only one.
    """
    form = tokenizer.clip_format
    hop = options.hop(form.seconds)
    group_by = group_by_of(options.tokenizer, options.group_by, options.data)
    items, skipped = find_items(options.data, form, hop, options.out / LISTING, group_by)
    frames = form.frames if items[0].source.kind == "video" else 1
    excluded = read_exclusion(options.exclusion, frames, form.fps)
    # Stops here where there is one source, which cannot be in both splits, and where nothing is left of one of them.
    leave_out(excluded, *split_items(items), (skip.file for skip in skipped))
    metadata = StoreMetadata(
        grid=tokenizer.grid(frames, form.size, form.size),
        vocab_size=tokenizer.vocab_size,
        tokenizer=tokenizer.fingerprint,
        fps=form.fps,
        frames=frames,
        size=form.size,
        augment=options.augment,
        augment_size=augmented_size(options.augment, form.size) if options.augment == "ten-crop" else 0,
        precision="bf16" if options.precision == "bf16" else "fp32",
    )
    sources = dict.fromkeys(item.source for item in items)
    return Plan(metadata, hop, shard_size(len(items)), tuple(sources), tuple(skipped), excluded)


def encode_shards(
    plan: Plan, shards: Sequence[int], tokenizer: Tokenizer, options: EncodeOptions, state: PartialState
) -> None:
    """Encode some shards of a plan, and record each when it is complete."""
    indices = [index for shard in shards for index in plan.indices(shard)]
    workers = Workers(read_items, options.workers, options.timeout)
    with workers, Progress("Encoding", len(indices), visible=state.is_main_process) as progress:
        readings = workers.map(batches_to_read(plan.request(index) for index in indices))
        clips = ClipStream(plan, zip(indices, readings, strict=True), progress)
        for number in shards:
            cut = clips.shard(number)
            with layers_in(options.precision, state.device):
                grids = [tokenizer.encode(to_clips(batch, state.device)).cpu() for batch in batches(cut, options.batch)]
            tokens = torch.cat(grids) if grids else torch.empty(0, *plan.metadata.grid, dtype=torch.int64)
            shard = write_shard(options.out, number, plan.metadata, tokens)
            write_record(options.out, Record(shard, clips.skipped, tuple(sorted(clips.decoders)), plan.digest))


class ClipStream:
    """The crops of what is read, shard by shard, with a note of what could not be read.

    Args:
        plan: of the encoding.
        readings: indices of items in the plan, in order, with what was read there.
        progress: shows how many items were read.
    """

    def __init__(self, plan: Plan, readings: Iterator[tuple[int, Reading | MediaError]], progress: Progress) -> None:
        self._plan = plan
        self._readings = readings
        self._progress = progress
        self._done = 0
        self.skipped: dict[int, str] = {}
        self.decoders: set[str] = set()

    def shard(self, number: int) -> Iterator[Tensor]:
        """Yield the crops (3, T, H, W) of a shard as they were read; `skipped` and `decoders` are of this shard."""
        self.skipped = {}
        self.decoders = set()
        for index, reading in islice(self._readings, len(self._plan.indices(number))):
            self._done += 1
            self._progress.show(self._done)
            if isinstance(reading, MediaError):
                self.skipped[index] = str(reading)
                continue
            self.decoders.update({reading.decoder} - {""})
            yield from cut_crops(torch.from_numpy(reading.levels), self._plan.augment(index), self._plan.metadata.size)


def to_clips(crops: Sequence[Tensor], device: torch.device) -> Tensor:
    """Return crops (3, T, H, W), bytes or in [-1, 1], as clips (B, 3, T, H, W) float32 in [-1, 1] on a device."""
    return as_clip(to_device(stack_levels(crops), device))


def batches(clips: Iterator[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Yield up to `size` clips (3, T, H, W) at a time."""
    while batch := list(islice(clips, size)):
        yield batch


def join_shards(plan: Plan, out: Path) -> None:
    """Make a store of the shards, and write down everything that could not be used.

    Raises:
        MediaError: more than half of the clips cannot be read.
        TokenStoreError: a shard has no record.
    """
    records = [_record(plan, out, number) for number in range(plan.shards)]
    reasons = {index: reason for record in records for index, reason in record.skipped.items()}
    unread = [plan.items[index].source.skip(reason) for index, reason in reasons.items()]
    write_skipped(out / "skipped.csv", [*plan.skipped, *plan.kept.skipped, *unread])
    if 2 * len(unread) > len(plan.items):
        raise MediaError(
            f"{len(unread)} of {len(plan.items)} clips cannot be read; the first: {unread[0].reason} "
            f"(all of them are in {out / 'skipped.csv'}; encode with --overwrite when they can be)"
        )
    items = (item for index in range(len(plan.items)) if index not in reasons for item in plan.token_items(index))
    decoders = sorted({decoder for record in records for decoder in record.decoders})
    write_store(out, replace(plan.metadata, decoder=", ".join(decoders)), [record.shard for record in records], items)


def _record(plan: Plan, out: Path, number: int) -> Record:
    try:
        return read_shard_record(out, plan, number)
    except FileNotFoundError as error:
        raise TokenStoreError(f"{out} lacks shard {number}: {REPAIR}") from error
