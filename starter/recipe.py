"""The recipe of the starters: material, tokenizers and GPTs, in stages that a stopped run goes on from.

    python -m starter.recipe --photographs 'caltech101-{0000..0003}.tar' --out runs/starter

Everything is rendered but the photographs, of which only the training side of the project's own split is used. The
results lie in OUT/starter/clips and OUT/starter/stills, as folders of GPTs that bring their tokenizers along; copied to
`starter/` they are what the package ships.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from data.clip_format import ClipFormat
from data.clips import read_batches
from data.drawing import image_of
from data.items import Item, find_items, split_items
from data.options import PlayroomOptions, PrepareOptions, SyntheticOptions
from data.playroom.make import make_playroom
from data.prepare import prepare
from data.skipping import describe_skipped
from data.sources import Skipped
from data.synthetic.make import make_synthetic
from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.options import TrainOptions as GPTTrainOptions
from sampling.watch import train_and_watch
from starter import first_person
from starter.command import run
from storage.files import atomic_write
from storage.hub_names import TOKENIZER
from training.progress import say_found
from vqgan.config import VQGANConfig
from vqgan.encode import encode
from vqgan.model import VQGAN
from vqgan.options import EncodeOptions
from vqgan.options import TrainOptions as TokenizerTrainOptions
from vqgan.train import train as train_tokenizer

RENDERED = 128
"""Pixels a side at which clips are rendered that are read at 64: films have half as many pixels of colour."""
SIZE = 64
BATCH = 64
"""Stills that are read at a time."""
FPS = 8.0
EVERY = 4
"""Frames of the engine for one of a film: more than 8 a second are not looked at."""
PLAYROOM_SEED = 1919
"""Of rooms that are not those of the demo, which are to be new to the starters."""
MAPS: dict[first_person.Game, tuple[str, ...]] = {
    "freedoom1": tuple(f"E{episode}M{number}" for episode in range(1, 5) for number in range(1, 10)),
    "freedoom2": tuple(f"MAP{number:02}" for number in range(1, 20)),
}
"""Maps of Freedoom that are learned from, by game; MAP20 of freedoom2 and those behind it are left for tests."""

CLIPS = VQGANConfig(decoder_blocks=2)
"""The tokenizer of clips."""
STILLS = VQGANConfig(frames=1, widths=(48, 96), strides=((1, 2),), blocks=2, decoder_blocks=3)
"""The tokenizer of stills."""
CLIPS_GPT = GPTConfig(layers=6, heads=4, width=128)
"""The GPT of clips."""
STILLS_GPT = GPTConfig(layers=6, heads=4, width=128)
"""The GPT of stills."""

DECAY = 350
"""Optimizer steps at the end of a training in which the learning rate falls."""
LOSS = {"chroma_weight": 1.0, "perceptual": "efficientnet-lite0", "perceptual_weight": 0.2}
"""What tokenizers lose beside the pixel error; `starter.colour_study` compares it with others."""


@dataclass(frozen=True)
class Options:
    """What to learn from, and for how long.

    The defaults are those of the first training of the starters that come with the package; the model card of
    `starter-clips` tells how its second went on from there.
    """

    out: Path
    """Folder of everything."""
    photographs: Path | None = None
    """Photographs: a folder, or a pattern of tar shards; without, all material is rendered."""
    films: int = 1
    """First-person films of each map."""
    seconds: float = 30.0
    """Length of each."""
    playroom: int = 250
    """Clips of the playroom."""
    synthetic: int = 1600
    """Synthetic clips; where there are photographs, half of them are films of a camera that moves over one."""
    stills: int = 4000
    """Synthetic stills."""
    clips_steps: int = 2600
    """Optimizer steps of the tokenizer of clips."""
    stills_steps: int = 1100
    """Of that of stills."""
    clips_gpt_steps: int = 700
    """Of the GPT of clips."""
    stills_gpt_steps: int = 900
    """Of that of stills."""
    go_on: bool = False
    """Begin from the starters that come with the package, in place of random weights."""
    seed: int = 0
    """Seed of everything."""


def make_starters(options: Options) -> None:
    """Make the material, train both pairs, and put them together."""
    films = make_films(options)
    shards = options.out / "shards"
    prepare(PrepareOptions(films, shards, size=SIZE, fps=FPS, format="png", workers=1, resume="auto"))
    stills = make_stills(options, shards)
    make_pair(options, "clips", shards)
    make_pair(options, "stills", stills)


def make_films(options: Options) -> Path:
    """Render all films that are learned from, and return their folder."""
    films = options.out / "films"
    walks = films / "first_person"
    for game, maps in MAPS.items():
        first_person.render_films(
            first_person.Options(walks, game, maps, options.films, options.seconds, EVERY, options.seed)
        )
    make_playroom(PlayroomOptions(films / "playroom", options.playroom, size=RENDERED, seed=PLAYROOM_SEED))
    photographs = keep_photographs(options)
    make_synthetic(
        SyntheticOptions(
            films / "synthetic", options.synthetic, size=RENDERED, seed=options.seed, photographs=photographs
        )
    )
    return films


def keep_photographs(options: Options) -> Path | None:
    """Write the photographs that may be learned from as PNGs of `RENDERED` pixels; a tenth is held out."""
    if options.photographs is None:
        return None
    form = ClipFormat(1, FPS, RENDERED)
    out = options.out / "photographs"
    write_stills(split_items(find_items(options.photographs, form)[0])[0], form, out)
    return out


def make_stills(options: Options, shards: Path) -> Path:
    """Write all stills that are learned from, and return their folder: photographs, synthetic ones and frames."""
    stills = options.out / "stills"
    form = ClipFormat(1, FPS, SIZE)
    items = find_items(shards, form, hop=1.0)[0]
    write_stills(items, form, stills / "frames")
    make_synthetic(SyntheticOptions(stills / "synthetic", stills=options.stills, size=SIZE, seed=options.seed + 1))
    photographs = options.out / "photographs"
    if options.photographs is not None:
        write_stills(find_items(photographs, form)[0], form, stills / "photographs")
    return stills


def write_stills(items: list[Item], form: ClipFormat, out: Path) -> None:
    """Write images of items as PNGs, those that are not there yet, and say which could not be read."""
    out.mkdir(parents=True, exist_ok=True)
    paths = {item: out / f"{number:06}.png" for number, item in enumerate(items)}
    missing = [item for item, path in paths.items() if not path.exists()]
    skipped: list[Skipped] = []
    for read, clips in read_batches(missing, form, BATCH, skipped):
        for item, clip in zip(read, clips, strict=True):
            atomic_write(paths[item], partial(image_of(clip, 1).save, format="png"))
    if skipped:
        say_found(not_read=describe_skipped(skipped).removesuffix(" (see skipped.csv)"))


def make_pair(options: Options, name: str, data: Path) -> None:
    """Train a tokenizer and a GPT of its tokens, and write both as the folder that is shipped."""
    run = options.out / "runs" / name
    shipped = options.out / "starter" / name
    train_tokenizer(tokenizer_options(options, name, data, run / "tokenizer"))
    # Rounded before it encodes: the GPT learns the tokens of what is shipped.
    VQGAN.from_pretrained(run / "tokenizer").save_pretrained(shipped / TOKENIZER, dtype=torch.bfloat16)
    encode(EncodeOptions(shipped / TOKENIZER, data, run / "tokens", resume="auto"))
    train_and_watch(gpt_options(options, name, run / "tokens", run / "gpt"))
    GPT.from_pretrained(run / "gpt").save_pretrained(shipped, dtype=torch.bfloat16)


def tokenizer_options(options: Options, name: str, data: Path, out: Path) -> TokenizerTrainOptions:
    """Return how a tokenizer is trained."""
    clips = name == "clips"
    config = CLIPS if clips else STILLS
    return TokenizerTrainOptions.of(
        data=data,
        out=out,
        **config.flat(),
        **LOSS,
        **_beginning(options, name),
        steps=options.clips_steps if clips else options.stills_steps,
        batch=8 if clips else 32,
        crop=32 if clips else 48,
        learning_rate=2e-3,
        warmup=100,
        schedule="wsd",
        decay_steps=DECAY,
        save_every=500,
        validation_items=64 if clips else 256,
        workers=1,
        seed=options.seed,
        resume="auto",
    )


def gpt_options(options: Options, name: str, tokens: Path, out: Path) -> GPTTrainOptions:
    """Return how a GPT is trained."""
    clips = name == "clips"
    return GPTTrainOptions.of(
        tokens=tokens,
        out=out,
        **(CLIPS_GPT if clips else STILLS_GPT).flat(),
        **_beginning(options, name, new_tokenizer="keep"),
        steps=options.clips_gpt_steps if clips else options.stills_gpt_steps,
        batch=4 if clips else 16,
        learning_rate=3e-3,
        warmup=100,
        schedule="wsd",
        decay_steps=DECAY,
        save_every=250,
        validation_items=64 if clips else 256,
        seed=options.seed,
        resume="auto",
    )


def _beginning(options: Options, name: str, **more: Any) -> dict[str, Any]:
    """Return options of a model to begin from, and more where there is one."""
    return {"init": Path(f"starter-{name}"), **more} if options.go_on else {}


if __name__ == "__main__":
    run("recipe", make_starters, Options, __doc__)
