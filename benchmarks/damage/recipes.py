"""Small whole things to be damaged: videos, images, models, stores, runs finished and unfinished, foreign checkpoints.

Each recipe makes one file or folder of its name in the folder it is called in; all come from seeds.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from damage.forks import Job, run_one
from data.tokens import Split, StoreMetadata, TokenItem, write_shard, write_store
from data.video_writing import write_video
from experiments.physics.manifest import Film, write_manifest
from gpt.config import GPTConfig
from gpt.model import GPT
from storage.tables import write_table
from vqgan.config import VQGANConfig
from vqgan.model import VQGAN
from vqgan.palette import Palette

FPS = 8.0
CLIP = VQGANConfig(resolution=16, frames=8, fps=FPS, widths=(4, 8, 8), codes=32, code_width=4)
STILL = VQGANConfig(resolution=16, frames=1, fps=FPS, widths=(4, 8), strides=((1, 2),), codes=32, code_width=4)
GRID = GPTConfig(layers=2, heads=2, width=16, grid=(2, 4, 4), vocab_size=32)

Words = tuple[str, ...]
"""Words of a command line."""

GPT_SIZE = ("--layers", "1", "--heads", "1", "--width", "16", "--dropout", "0.1")
GPT_TRAIN: Words = ("gpt", "train", "--tokens", "store", "--out", "out", *GPT_SIZE, "--steps", "6", "--batch", "4")
GPT_TRAIN += ("--warmup", "2", "--save-every", "2", "--log-every", "1", "--keep", "9", "--resume", "auto")
CLIP_SIZE = ("--resolution", "16", "--frames", "8", "--widths", "4", "8", "8", "--codes", "32", "--code-width", "4")
VQGAN_TRAIN: Words = ("vqgan", "train", "--data", "videos", "--out", "out", *CLIP_SIZE, "--steps", "6", "--batch", "2")
VQGAN_TRAIN += ("--warmup", "2", "--save-every", "2", "--log-every", "1", "--keep", "9", "--resume", "auto")
VQGAN_TRAIN += ("--continuous-steps", "1", "--validation-items", "2")
ENCODE = ("vqgan", "encode", "--tokenizer", "tokenizer", "--data", "videos", "--out", "out", "--workers", "0")
ENCODE_STILLS: Words = ("vqgan", "encode", "--tokenizer", "still_tokenizer", "--data", "images", "--out", "out")
ENCODE_STILLS += ("--workers", "0", "--resume", "auto")
PREPARE = ("data", "prepare", "long_videos", "--out", "out", "--size", "16", "--workers", "0", "--resume", "auto")
MEMORY: Words = (
    "memory",
    "run",
    "--stimuli",
    "list",
    "--out",
    "out",
    *GPT_SIZE,
    "--exposures",
    "4",
    "--save-every",
    "1",
)
MEMORY += ("--colours", "8", "--size", "4", "--resume", "auto")
SAMPLED = ("--n", "2", "--items", "4", "--resume", "auto")
COMPLETED = ("complete", "--gpt", "gpt", "--tokenizer", "tokenizer", "--input", "videos", "--out", "out")
COMPLETE = (*COMPLETED, *SAMPLED, "--batch", "1")
DIVERSITY: Words = (
    "diversity",
    "run",
    "--gpt",
    "gpt",
    "--tokenizer",
    "tokenizer",
    "--tokens",
    "tokens",
    "--data",
    "videos",
)
DIVERSITY += ("--out", "out", *SAMPLED, "--perceptual", "none", "--features", "none", "--batch", "1")
PHYSICS: Words = ("physics", "run", "--films", "films", "--tokenizer", "tokenizer", "--gpt", "gpt", "--out", "out")
PHYSICS += ("--least-kept", "0")
EVALUATE = ("vqgan", "eval", "--tokenizer", "tokenizer", "--data", "videos", "--out", "out")

COMMANDS: set[Callable[[Path], object]] = set()
"""The recipes that start processes of their own."""

Recipe = tuple[tuple[str, ...], Callable[[Path], object]]
"""Names of the recipes that come before, and what makes the thing of this name in a folder."""


def make(root: Path, names: Iterable[str]) -> None:
    """Make things, and what they are made of, in `root`, each in a process of its own; what is there is kept.

    Raises:
        RuntimeError: a recipe fails, so that nothing can be said of damage to its product.
    """
    for name in names:
        if (root / name).exists():
            continue
        needs, recipe = RECIPES[name]
        make(root, needs)
        workplace = root / f".{name}"
        workplace.mkdir(parents=True)
        for need in needs:
            (workplace / need).symlink_to(root / need)
        # In the server only those recipes run that start processes themselves.
        if recipe in COMMANDS:
            recipe(workplace)
        else:
            ended = run_one(Job(workplace, lambda recipe=recipe, workplace=workplace: recipe(workplace), seconds=120))  # type: ignore[misc]
            if ended.code:
                raise RuntimeError(f"the recipe of {name} failed: {ended.err}")
        product = next(path for path in (workplace / name, workplace / "out") if path.exists())
        product.rename(root / name)
        shutil.rmtree(workplace)


def _videos(folder: Path, count: int = 6, frames: int = 16, size: int = 16) -> None:
    (folder / "videos").mkdir()
    for number in range(count):
        write_video(folder / "videos" / f"film_{number}.mp4", _noise(number, frames, size), FPS)


def _points(folder: Path) -> None:
    """Tables of a measure against hours, of a task against compute, and of losses against sizes and data."""
    runs = [
        {"parameters": size, "tokens": data, "loss": 1.8 + 480 / size**0.35 + 2100 / data**0.37}
        for size in (10**6, 10**7, 10**8)
        for data in (10**8, 10**9, 10**10)
    ]
    write_table(folder / "points" / "runs.csv", runs, list(runs[0]))
    curve = [{"hours": 10.0**x, "accuracy": 0.2 + 0.1 * x + 0.01 * run} for x in range(5) for run in range(2)]
    write_table(folder / "points" / "curve.csv", curve, list(curve[0]))
    task = [
        {"task": "counting", "flop": 10.0**x, "accuracy": 0.1 * x + 0.01 * run, "nll": 4 - 0.5 * x}
        for x in range(6)
        for run in range(2)
    ]
    write_table(folder / "points" / "tasks.csv", task, list(task[0]))


def _people(folder: Path) -> None:
    """A table of two participants' choices, and an export of jsPsych of one."""
    rows = [
        {
            **{"participant": f"p{number}", "list": "list", "version": "as_given", "task": "2afc", "trial": trial},
            **{"item": f"novel/{trial}", "condition": "novel", "response": "studied", "correct": 1.0},
            **{"reaction_time": 0.7 + 0.1 * trial, "lag": "", "side": "left"},
        }
        for number in range(2)
        for trial in range(6)
    ]
    write_table(folder / "people" / "responses.csv", rows, list(rows[0]))
    export = [
        {
            **{"trial_type": "html-button-response", "trial_index": trial, "rt": 700, "response": "studied"},
            **{"correct": "true", "subject": "p9", "item": f"novel/{trial}", "condition": "novel"},
        }
        for trial in range(6)
    ]
    write_table(folder / "people" / "export.csv", export, list(export[0]))


def _films(folder: Path) -> None:
    """A set of films, in each of two scenes one that can happen and one that cannot."""
    films = [
        Film(f"{name}_{scene}.mp4", scene, scene, "shape", hidden=False, possible=name == "can", event_s=1.0)
        for scene in ("one", "two")
        for name in ("can", "cannot")
    ]
    write_manifest(folder / "films" / "manifest.csv", films)
    for number, film in enumerate(films):
        write_video(folder / "films" / film.film, _noise(number, 16, 16), FPS)


def _long_videos(folder: Path) -> None:
    (folder / "long_videos").mkdir()
    for number in range(12):
        write_video(folder / "long_videos" / f"film_{number}.mp4", _noise(number, 160, 16), FPS)


def _noise(seed: int, frames: int, size: int) -> Tensor:
    """(3, T, H, W) in [-1, 1]: coarse blocks that move."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.rand(3, 1, size // 4, size // 4, generator=generator) * 2 - 1
    still = blocks.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return torch.cat([still.roll(frame, dims=3) for frame in range(frames)], dim=1)


def _images(folder: Path, count: int = 150) -> None:
    (folder / "images").mkdir()
    for number in range(count):
        _image(folder / "images" / f"image_{number:03d}.png", number)


def _image(path: Path, seed: int, side: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(path)


def _few_images(folder: Path) -> None:
    for number in range(8):
        _image(folder / "few_images" / f"image_{number}.png", number)


def _tar(folder: Path) -> None:
    (folder / "tar").mkdir()
    with tarfile.open(folder / "tar" / "images.tar", "w") as archive:
        for path in sorted((folder / "few_images").iterdir()):
            archive.add(path.resolve(), path.name, filter=_nobody)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0
    member.uname = ""
    member.gname = ""
    return member


def _clip_csv(folder: Path) -> None:
    lines = ["path,start,end,group"]
    lines += [f"../videos/film_{number}.mp4,{start},{start + 1},g{number}" for number in range(6) for start in (0, 1)]
    (folder / "clip_csv").mkdir()
    (folder / "clip_csv" / "clips.csv").write_text("\n".join([*lines, ""]))


def _scores(folder: Path) -> None:
    """A table of scores of the pictures that are tested."""
    paths = sorted(path.relative_to(folder / "list") for path in (folder / "list").glob("test/**/*.png"))
    (folder / "scores").mkdir()
    lines = ["path,score", *(f"{path},{(number * 37 % 100) / 100}" for number, path in enumerate(paths))]
    (folder / "scores" / "scores.csv").write_text("\n".join([*lines, ""]))


def _tags(folder: Path) -> None:
    """A table of tags on items of the token store."""
    lines = ["source,start,seconds,tag", *(f"film_{number}.mp4,0,1,exclude" for number in range(1, 5))]
    (folder / "tags").mkdir()
    (folder / "tags" / "tags.csv").write_text("\n".join([*lines, ""]))


def _list(folder: Path) -> None:
    for number in range(3):
        _image(folder / "list" / "study" / f"filler_{number}.png", 100 + number)
        for condition in ("novel", "state"):
            name = f"{condition}_{number}"
            _image(folder / "list" / "study" / f"{name}1.png", 200 + number + 10 * (condition == "novel"))
            seen = folder / "list" / "test" / f"{condition}_seen" / name / f"{name}1.png"
            _image(seen, 200 + number + 10 * (condition == "novel"))
            unseen = folder / "list" / "test" / f"{condition}_unseen" / name / f"{name}2.png"
            _image(unseen, 300 + number + 10 * (condition == "novel"))


def _brady(folder: Path) -> None:
    for number in range(6):
        _image(folder / "brady" / "OBJECTSALL" / f"thing_{number}.jpg", number)
        for kind in ("Exemplar", "State"):
            for half in (1, 2):
                _image(folder / "brady" / kind / f"cup_{number}_{half}.jpg", 1000 + 10 * number + half + len(kind))


def _tokenizer(config: VQGANConfig, name: str) -> Callable[[Path], None]:
    def recipe(folder: Path) -> None:
        torch.manual_seed(0)
        model = VQGAN(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.5
                parameter.copy_(torch.randn(parameter.shape) * scale)
            latents = model.encoder(torch.rand(16, 3, config.temporal_factor, 16, 16) * 2 - 1).flatten(0, -2)
            model.quantizer.get_buffer("codebook").copy_(latents[torch.randperm(len(latents))[: config.codes]])
        model.save_pretrained(folder / name)

    return recipe


def _palette(folder: Path) -> None:
    Palette(torch.rand(16, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1, 4).save_pretrained(
        folder / "palette"
    )


def _gpt(folder: Path) -> None:
    fingerprint = VQGAN.from_pretrained(folder / "tokenizer").fingerprint
    _random_gpt(replace(GRID, tokenizer=fingerprint)).save_pretrained(folder / "gpt")


def _legacy_gpt(folder: Path) -> None:
    _random_gpt(replace(GRID, variant="legacy", bos=False)).save_pretrained(folder / "legacy_gpt")


def _random_gpt(config: GPTConfig) -> GPT:
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model


def _store(name: str, seed: int) -> Callable[[Path], None]:
    def recipe(folder: Path) -> None:
        metadata = StoreMetadata((2, 4, 4), 32, "", FPS, 8, 16)
        grids = torch.randint(32, (24, 2, 4, 4), generator=torch.Generator().manual_seed(seed))
        splits: list[Split] = ["validation" if number % 5 == 0 else "train" for number in range(24)]
        items = [TokenItem(f"film_{number}.mp4", 0.0, split) for number, split in enumerate(splits)]
        shards = [write_shard(folder / name, n, metadata, grids[8 * n : 8 * n + 8]) for n in range(3)]
        write_store(folder / name, metadata, shards, items)

    return recipe


def _command(*words: str, stop: tuple[str, int] | None = None) -> Callable[[Path], None]:
    """Return a recipe that runs a command, killed just before a file with such a path appears for that time."""

    def recipe(folder: Path) -> None:
        ended = run_one(Job(folder, words, seconds=120, kill_at=stop))
        if ended.code != (0 if stop is None else -9):
            raise RuntimeError(f"secondsight {' '.join(words)} ended with {ended.code}: {ended.err}")
        shutil.rmtree(folder / ".temporary", ignore_errors=True)

    COMMANDS.add(recipe)
    return recipe


def mingpt_state(vocabulary: int = 8, positions: int = 15, layers: int = 1, width: int = 16) -> dict[str, Tensor]:
    """Return the state dict of a minGPT of random weights, masks included, as it is saved."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return 0.5 * torch.randn(*shape, generator=generator)

    state = {"pos_emb": noise(1, positions, width), "tok_emb.weight": noise(vocabulary, width)}
    for block in range(layers):
        for norm in ("ln1", "ln2"):
            state[f"blocks.{block}.{norm}.weight"] = 1 + noise(width)
            state[f"blocks.{block}.{norm}.bias"] = noise(width)
        state[f"blocks.{block}.attn.mask"] = torch.ones(positions, positions).tril()[None, None]
        shapes = {f"attn.{part}": (width, width) for part in ("key", "query", "value", "proj")}
        for name, shape in {**shapes, "mlp.0": (4 * width, width), "mlp.2": (width, 4 * width)}.items():
            state[f"blocks.{block}.{name}.weight"] = noise(*shape)
            state[f"blocks.{block}.{name}.bias"] = noise(shape[0])
    state |= {"ln_f.weight": 1 + noise(width), "ln_f.bias": noise(width), "head.weight": noise(vocabulary, width)}
    return state


def taming_state(width: int = 32, latent: int = 32, codes: int = 32, code_width: int = 8) -> dict[str, Tensor]:
    """Return the state dict of a VQGAN of taming-transformers with two levels and attention at the coarser one."""
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}

    def layer(name: str, *shape: int) -> None:
        fan_in = torch.Size(shape[1:]).numel() if len(shape) > 1 else 10
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * fan_in**-0.5 + (len(shape) == 1)
        state[f"{name}.bias"] = torch.randn(shape[:1], generator=generator) * 0.1

    def block(name: str) -> None:
        for number in "12":
            layer(f"{name}.norm{number}", width)
            layer(f"{name}.conv{number}", width, width, 3, 3)

    def attention(name: str) -> None:
        layer(f"{name}.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            layer(f"{name}.{part}", width, width, 1, 1)

    for side, direction, resample in (("encoder", "down", "downsample"), ("decoder", "up", "upsample")):
        for name in ("block_1", "block_2"):
            block(f"{side}.mid.{name}")
        attention(f"{side}.mid.attn_1")
        for level in range(2):
            for place in range(1 + (side == "decoder")):
                block(f"{side}.{direction}.{level}.block.{place}")
                if level == 1:
                    attention(f"{side}.{direction}.{level}.attn.{place}")
        layer(f"{side}.{direction}.{0 if side == 'encoder' else 1}.{resample}.conv", width, width, 3, 3)
        layer(f"{side}.norm_out", width)
    layer("encoder.conv_in", width, 3, 3, 3)
    layer("encoder.conv_out", latent, width, 3, 3)
    layer("decoder.conv_in", width, latent, 3, 3)
    layer("decoder.conv_out", 3, width, 3, 3)
    layer("quant_conv", code_width, latent, 1, 1)
    layer("post_quant_conv", latent, code_width, 1, 1)
    state["quantize.embedding.weight"] = torch.randn(codes, code_width, generator=generator)
    return state


TAMING_CONFIG: dict[str, Any] = {
    "model": {
        "target": "taming.models.vqgan.VQModel",
        "params": {
            "embed_dim": 8,
            "n_embed": 32,
            "ddconfig": {
                "double_z": False,
                "z_channels": 32,
                "resolution": 16,
                "in_channels": 3,
                "out_ch": 3,
                "ch": 32,
                "ch_mult": [1, 1],
                "num_res_blocks": 1,
                "attn_resolutions": [8],
                "dropout": 0.0,
            },
            "lossconfig": {"target": "taming.modules.losses.DummyLoss"},
        },
    }
}


def _foreign(folder: Path) -> None:
    out = folder / "foreign"
    out.mkdir()
    clusters = torch.rand(8, 3, generator=torch.Generator().manual_seed(0)) * 255
    torch.save({"model_state_dict": mingpt_state(), "clusters": clusters, "epoch": 3}, out / "igpt.pt")
    torch.save({"state_dict": taming_state(), "epoch": 1, "callbacks": {"best": 0.5}}, out / "taming.ckpt")
    import yaml
    from safetensors.torch import save_file

    save_file(mingpt_state(), out / "gpt.safetensors")
    (out / "taming.yaml").write_text(yaml.safe_dump(TAMING_CONFIG))


RECIPES: dict[str, Recipe] = {
    "videos": ((), _videos),
    "films": ((), _films),
    "points": ((), _points),
    "people": ((), _people),
    "law": (("points",), _command("scaling", "fit", "points/runs.csv", "--draws", "200", "--out", "out")),
    "extrapolated": (
        ("points",),
        _command("scaling", "extrapolate", "points/curve.csv", "--target", ".9", "--draws", "200", "--out", "out"),
    ),
    "long_videos": ((), _long_videos),
    "images": ((), _images),
    "few_images": ((), _few_images),
    "tar": (("few_images",), _tar),
    "clip_csv": ((), _clip_csv),
    "list": ((), _list),
    "scores": (("list",), _scores),
    "tags": ((), _tags),
    "brady": ((), _brady),
    "tokenizer": ((), _tokenizer(CLIP, "tokenizer")),
    "still_tokenizer": ((), _tokenizer(STILL, "still_tokenizer")),
    "palette": ((), _palette),
    "gpt": (("tokenizer",), _gpt),
    "legacy_gpt": ((), _legacy_gpt),
    "store": ((), _store("store", 1)),
    "other_store": ((), _store("other_store", 2)),
    "foreign": ((), _foreign),
    "tokens": (("tokenizer", "videos"), _command(*ENCODE)),
    "prepared": (("videos",), _command("data", "prepare", "videos", "--out", "out", "--size", "16", "--workers", "0")),
    "evaluation": (("tokenizer", "videos"), _command(*EVALUATE)),
    "memory_run": (("list",), _command(*MEMORY)),
    "diversity_run": (("gpt", "tokenizer", "tokens", "videos"), _command(*DIVERSITY)),
    "physics_run": (("films", "tokenizer", "gpt"), _command(*PHYSICS)),
    # Runs that were killed on the way, and others like them but for the seed.
    "half_gpt": (("store",), _command(*GPT_TRAIN, stop=("checkpoints/000006", 1))),
    "other_half_gpt": (("store",), _command(*GPT_TRAIN, "--seed", "1", stop=("checkpoints/000006", 1))),
    "half_vqgan": (("videos",), _command(*VQGAN_TRAIN, stop=("checkpoints/000006", 1))),
    "other_half_vqgan": (("videos",), _command(*VQGAN_TRAIN, "--seed", "1", stop=("checkpoints/000006", 1))),
    "half_memory": (("list",), _command(*MEMORY, stop=("swapped_0/state/checkpoints/000003", 1))),
    "other_half_memory": (("list",), _command(*MEMORY, "--seed", "1", stop=("swapped_1/state/checkpoints/000003", 1))),
    "half_complete": (("gpt", "tokenizer", "videos"), _command(*COMPLETE, stop=(".npz", 4))),
    "other_half_complete": (("gpt", "tokenizer", "videos"), _command(*COMPLETE, "--seed", "1", stop=(".npz", 4))),
    "half_diversity": (("gpt", "tokenizer", "tokens", "videos"), _command(*DIVERSITY, stop=(".npz", 10))),
    "other_half_diversity": (
        ("gpt", "tokenizer", "tokens", "videos"),
        _command(*DIVERSITY, "--seed", "1", stop=(".npz", 10)),
    ),
    "half_encoded": (("still_tokenizer", "images"), _command(*ENCODE_STILLS, stop=("tokens-00002.bin", 1))),
    "half_prepared": (("long_videos",), _command(*PREPARE, stop=("-00002", 1))),
}
