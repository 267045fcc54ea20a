"""Turn a data set into a token store."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from data.media import write_skipped
from data.probe import probe_video
from data.tokens import Part, StoreMetadata, TokenItem, TokenWriter
from training.device import best_device
from training.progress import Progress
from vqgan.config import EncodeOptions
from vqgan.model import load_tokenizer
from vqgan.reading import clip_format, find_items, read_batches, split_items


def encode(options: EncodeOptions) -> Path:
    """Encode every clip of a data set once and return the folder of the token store.

    Items of held-out source files form the validation part; `skipped.csv` lists what could not be read.

    Raises:
        MediaError: nothing is usable, or more than half of the files are not.
    """
    device = best_device()
    tokenizer = load_tokenizer(options.tokenizer).to(device)
    form = clip_format(tokenizer)
    items, skipped = find_items(options.data, form, options.overlap)
    held_out = set(split_items(items)[1])
    frames = form.frames if items[0].source.kind == "film" else 1
    metadata = StoreMetadata(
        grid=tokenizer.grid(frames, form.size, form.size),
        vocab_size=tokenizer.vocab_size,
        tokenizer=tokenizer.fingerprint,
        fps=form.fps,
        frames=frames,
        size=form.size,
        decoder=", ".join(
            sorted({probe_video(item.source.path).decoder_version for item in items if item.source.kind == "film"})
        ),
    )
    writer = TokenWriter(options.out, metadata)
    with Progress("Encoding", len(items)) as progress:
        for batch, clips in read_batches(items, form, options.batch, skipped):
            parts = ["validation" if item in held_out else "train" for item in batch]
            writer.add(
                tokenizer.encode(clips.to(device)).cpu(),
                [
                    TokenItem(item.source.name, item.start, cast(Part, part))
                    for item, part in zip(batch, parts, strict=True)
                ],
            )
            progress.show(len(writer.items))
    write_skipped(options.out / "skipped.csv", skipped)
    writer.close()
    return options.out
