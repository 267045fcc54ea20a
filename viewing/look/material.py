"""What a page is made of: the items of data, of a token store or of a training, with their split and their films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.clip_format import ClipFormat
from data.errors import MediaError, TokenStoreError
from data.exclusion import clip_of_item, read_exclusion
from data.inputs import check_data
from data.items import Item, find_items, find_sources, list_items, split_items
from data.prepared import open_prepared
from data.prepared_paths import holds_prepared
from data.sources import Skipped, Source
from data.tokens import TokenItem, TokenStore
from gpt.options import TrainOptions as GPTOptions
from storage.fingerprints import same_fingerprint
from storage.model_paths import brought_tokenizer
from storage.run_folder import holds_training, recorded_command
from training.progress import count
from viewing.look.begun import find_tokens, read_tokenizer_options
from viewing.look.choosing import choose_evenly
from viewing.look.options import LookOptions, check_strip, is_store
from vqgan.encoding_plan import read_plan
from vqgan.grouping import group_by_of
from vqgan.model import load_tokenizer
from vqgan.options import TrainOptions as VQGANOptions
from vqgan.tokenizer import Tokenizer

FRAMES = 16
FPS = 8.0
"""Of clips where nothing else says."""


class LookError(ValueError):
    """What is asked for cannot be looked at; the message says what to do."""


@dataclass(frozen=True)
class Shown:
    """An item that is to be on the page."""

    name: str
    """Of its source."""
    start: float | None
    """Seconds into a video; None for an image."""
    group: str
    """What the split keeps together; empty for the source itself."""
    split: str
    """`train`, `validation`, or empty for neither."""
    item: Item | None
    """Where it is read from; None where its film is not at hand."""
    stored: int | None = None
    """Its index in the token store."""


@dataclass(frozen=True)
class Material:
    """What a page is made of."""

    shown: tuple[Shown, ...]
    form: ClipFormat
    """How films are read: as the tokenizer wants them, or at the size of the page."""
    data: Path
    """The films and images, or the token store."""
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    tokenizer: Tokenizer | None = None
    """What makes tokens of the items, or draws those of a store whose films are gone."""
    store: TokenStore | None = None
    run: Path | None = None
    """The training that is looked at."""


def find_material(options: LookOptions, cache: Path) -> Material:
    """Find out what the options name.

    Args:
        options: of the command.
        cache: folder in which what is found out about files is kept while the command runs.

    Raises:
        LookError, MediaError, TokenStoreError, RunFolderError: there is nothing to look at.
    """
    path = options.path
    command = recorded_command(path)
    if command == GPTOptions.command:
        return _of_store(options, _tokens_of(path), cache, run=path)
    if command == VQGANOptions.command:
        return _of_training(options, read_tokenizer_options(path), cache)
    if is_store(path):
        return _of_store(options, path, cache)
    return _of_data(options, path, cache, _tokenizer_of(options), options.group_by)


def _tokens_of(run: Path) -> Path:
    """Return the token store of the run of a GPT, also where it was named from the folder in which the run began.

    Raises:
        LookError: it is not there.
    """
    tokens = find_tokens(run)
    if not is_store(tokens):
        raise LookError(
            f"{run} was trained on the token store {tokens}, which is not there: put it back, or look at another store,"
            " with the surprise of this GPT at it by --gpt"
        )
    return tokens


def _tokenizer_of(options: LookOptions) -> Tokenizer | None:
    """Return the tokenizer that was given, or comes with the first GPT.

    Raises:
        LookError: a GPT was given that brings none.
    """
    path = options.tokenizer
    if path is None and options.gpt:
        path = brought_tokenizer(options.gpt[0])
        if path is None:
            raise LookError(
                f"--gpt {options.gpt[0]} is surprised by tokens, and {options.path} has none: give the --tokenizer that"
                " the GPT was trained with, or its token store in place of the data"
            )
    return None if path is None else load_tokenizer(path)


def _of_training(options: LookOptions, trained: VQGANOptions, cache: Path) -> Material:
    """Return what a tokenizer was trained on, with its tokens if there is a model by now.

    Raises:
        LookError: what it was trained on is not there.
    """
    data = options.data or trained.data
    try:
        check_data(data)
    except MediaError as error:
        raise LookError(
            f"{options.path} was trained on {data}, which cannot be looked at ({error}): put it back, or give it with "
            "--data"
        ) from error
    if options.tokenizer is None and holds_training(options.path):
        options = replace(options, tokenizer=options.path)
    tokenizer = _tokenizer_of(options)
    model = trained.model
    if tokenizer is None:
        options = replace(options, frames=options.frames or model.frames, fps=options.fps or model.fps)
    group_by = options.group_by if options.group_by is not None else trained.group_by
    found = _of_data(options, data, cache, tokenizer, group_by)
    return _without_excluded(replace(found, run=options.path), trained)


def _without_excluded(material: Material, trained: VQGANOptions) -> Material:
    """Return the same with what a training left out by its `--exclude` in no split, and a note of it."""
    try:
        exclusion = read_exclusion(trained.exclusion, trained.model.frames, trained.model.fps)
    except (OSError, ValueError):
        return material  # of the curve it is said that nobody knows what was trained on, and why
    gone = [one.item is not None and exclusion.covers(clip_of_item(one.item, exclusion)) for one in material.shown]
    if not any(gone):
        return material
    note = f"{count(sum(gone), 'item')} tagged in {exclusion.table} were left out of the training, and are in no split."
    shown = tuple(replace(one, split="") if out else one for one, out in zip(material.shown, gone, strict=True))
    return replace(material, shown=shown, notes=(*material.notes, note))


def _of_data(
    options: LookOptions, data: Path, cache: Path, tokenizer: Tokenizer | None, group_by: str | None
) -> Material:
    notes: list[str] = []
    if tokenizer is None:
        form = _form_of_data(options, data)
        items, skipped = _all_items(data, form, cache, group_by)
    else:
        form = tokenizer.clip_format
        _check_form(options, form, "the tokenizer")
        assert options.tokenizer is not None or options.gpt
        group_by = group_by_of(options.tokenizer or options.gpt[0], group_by, data)
        items, skipped = find_items(data, form, None, cache, group_by)
    check_strip(form.frames, options.size)
    splits = _splits(items, form, notes)
    shown = [
        Shown(
            name=item.source.name,
            start=None if item.source.kind == "image" else item.start,
            group=item.source.group,
            split=splits.get(_place(item), ""),
            item=item,
        )
        for item in items
    ]
    return Material(_choose(shown, options.items, notes), form, data, tuple(skipped), tuple(notes), tokenizer)


def _form_of_data(options: LookOptions, data: Path) -> ClipFormat:
    """Return how clips are cut where no tokenizer says."""
    frames = options.frames or FRAMES
    if not holds_prepared(data):
        return ClipFormat(frames, options.fps or FPS, options.size)
    prepared = open_prepared(data).metadata
    return ClipFormat(frames, options.fps or prepared.fps, min(options.size, prepared.size))


def _check_form(options: LookOptions, form: ClipFormat, whose: str) -> None:
    """Refuse clips that are others than those of a tokenizer or a store.

    Raises:
        LookError: they were asked for.
    """
    for name, asked, given in (("frames", options.frames, form.frames), ("fps", options.fps, form.fps)):
        if asked is not None and asked != given:
            raise LookError(f"--{name} {asked:g} is not that of {whose}, {given:g}: leave the option out")


def _all_items(data: Path, form: ClipFormat, cache: Path, group_by: str | None) -> tuple[list[Item], Sequence[Skipped]]:
    """Return all clips and all images, also those that a tokenizer of clips leaves alone beside videos.

    Raises:
        MediaError: there are none.
    """
    sources, skipped = find_sources(data, cache, group_by)
    items, short = list_items(sources, form)
    if not items:
        reasons = "; ".join(f"{skip.file}: {skip.reason}" for skip in [*short, *skipped][:3])
        raise MediaError(f"{data} holds nothing to look at ({reasons})")
    return items, [*skipped, *short]


def _splits(items: Sequence[Item], form: ClipFormat, notes: list[str]) -> dict[tuple[str, int, float], str]:
    """Return the split of items, by what tells them apart, as training would have it."""
    videos = [item for item in items if item.source.kind == "video"]
    used = videos if form.frames > 1 and videos else list(items)
    if len(used) < len(items):
        notes.append(
            f"{count(len(items) - len(used), 'image')} beside the videos are in no split: a tokenizer of clips leaves "
            "them out."
        )
    try:
        sides = split_items(used)
    except MediaError as error:
        notes.append(f"There is no split into training and validation: {error}.")
        return {}
    return {_place(item): side for side, listed in zip(("train", "validation"), sides, strict=True) for item in listed}


def _place(item: Item) -> tuple[str, int, float]:
    """Return what tells an item from all others of a data set."""
    return item.source.name, item.source.offset, item.start


def _of_store(options: LookOptions, folder: Path, cache: Path, run: Path | None = None) -> Material:
    """Return the items of a token store.

    Raises:
        LookError: no film is at hand, and no tokenizer to draw the items with.
        TokenStoreError: the tokenizer is another than the store's.
    """
    store = TokenStore(folder)
    metadata = store.metadata
    notes: list[str] = []
    sources = _sources_of(store, options, cache)
    there = {item.source for item in store.items} & sources.keys()
    tokenizer = _store_tokenizer(options, store)
    form = ClipFormat(metadata.frames, metadata.fps, options.size)
    if prepared := next((source.path for source in sources.values() if source.prepared is not None), None):
        form = replace(form, size=min(form.size, open_prepared(prepared).metadata.size))
    _check_form(options, form, "the token store")
    check_strip(form.frames, options.size)
    if not there and tokenizer is None:
        raise LookError(
            f"the films of {folder} are not where they were encoded: give them with --data, or the --tokenizer, which "
            "draws what it made of them"
        )
    shown = [
        Shown(
            name=item.source,
            start=None if _is_image(item, sources.get(item.source), metadata.frames) else item.start,
            group=item.group,
            split=item.split,
            item=_item_of(sources, item.source, item.start, form),
            stored=index,
        )
        for index, item in enumerate(store.items)
        if item.crop == metadata.crop
    ]
    if len(shown) < len(store):
        notes.append(f"{len(store) - len(shown):,} further crops of these items in the token store are not shown.")
    return Material(
        _choose(shown, options.items, notes), form, folder, (), tuple(notes), tokenizer, store=store, run=run
    )


def _store_tokenizer(options: LookOptions, store: TokenStore) -> Tokenizer | None:
    """Return the tokenizer that was given for a store.

    Raises:
        TokenStoreError: it is another.
    """
    if options.tokenizer is None:
        return None
    tokenizer = load_tokenizer(options.tokenizer)
    if not same_fingerprint(store.metadata.tokenizer, tokenizer.fingerprint):
        raise TokenStoreError(
            f"the tokens of {store.folder} were made by the tokenizer {store.metadata.tokenizer}, and --tokenizer "
            f"{options.tokenizer} is {tokenizer.fingerprint}: give the one that made them"
        )
    return tokenizer


def _sources_of(store: TokenStore, options: LookOptions, cache: Path) -> dict[str, Source]:
    """Return the films and images of a store that are at hand, by name."""
    if options.data is not None:
        return {source.name: source for source in find_sources(options.data, cache, options.group_by)[0]}
    if not (store.folder / "plan.json").exists():
        return {}
    return {source.name: source for source in read_plan(store.folder).sources if source.path.exists()}


def _is_image(item: TokenItem, source: Source | None, frames: int) -> bool:
    """Whether an item is an image, and no frame of a video; of one whose source is gone, as far as that shows."""
    return frames == 1 and item.start == 0 if source is None else source.kind == "image"


def _item_of(sources: dict[str, Source], name: str, start: float, form: ClipFormat) -> Item | None:
    source = sources.get(name)
    if source is None:
        return None
    return Item(source, start, form.seconds if source.kind == "video" else 0.0)


def _choose(shown: Sequence[Shown], most: int, notes: list[str]) -> tuple[Shown, ...]:
    """Return at most so many items, and note what is left out."""
    chosen = choose_evenly([item.name for item in shown], most)
    if len(chosen) < len(shown):
        notes.append(
            f"{len(chosen):,} of {len(shown):,} items are shown, of each source as many as there is room for, evenly "
            "spaced; defects and duplicates were looked for among these alone."
        )
    return tuple(shown[index] for index in chosen)
