"""What is damaged, and which command meets it: the classes of attempts."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from safetensors import safe_open
from safetensors.torch import load_file, save_file

import secondsight
from damage import mutations, recipes
from damage.forks import SECONDS
from damage.mutations import Change, Mutation
from storage.options import Leaf, leaves

Words = tuple[str, ...]
UNTOUCHED = {".tmp", ".lock", ".png", ".pdf", ".svg", ".gif", ".mp4"}
"""Suffixes of what nobody reads again."""


class Place(NamedTuple):
    """Where an attempt is made."""

    folder: Path
    """Of the attempt."""
    root: Path
    """Of the whole things."""


Spoil = Callable[[Place, random.Random, Words], tuple[Change, Words]]
"""Damages what lies in the folder of an attempt, or the words of its command."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """A command, what it reads, and how that is spoiled."""

    words: Words
    inputs: Mapping[str, str]
    """What lies in its folder: name, and recipe."""
    spoil: Spoil
    results: Words = ()
    """Patterns of the files that count; `stdout` for what is printed."""
    copied: Words = ()
    """Inputs that may be damaged, of which the attempt gets a copy."""
    codes: tuple[int, ...] = (1,)
    """Exit codes of a refusal."""
    seconds: float = SECONDS
    patient: Words = ()
    """Options that ask for a long time, so that it is no fault to take it; `all` for every one."""
    name: str = ""
    """What tells it from others with the same words."""
    recipes: Words = field(default=())
    """Recipes that `spoil` needs besides."""


def files(*patterns: str, by: tuple[Mutation, ...] = (mutations.damage_file,)) -> Spoil:
    """Return what damages one of the files of some patterns."""

    def spoil(place: Place, chance: random.Random, words: Words) -> tuple[Change, Words]:
        path = chance.choice(_damageable(place.folder, patterns))
        change = chance.choice(by)(path, chance)
        return change._replace(what=f"{path.relative_to(place.folder)}: {change.what}"), words

    return spoil


def exchanged(name: str, recipe: str, otherwise: Spoil) -> Spoil:
    """Return what puts a file of another run in the place of one, or does something else as often as not."""

    def spoil(place: Place, chance: random.Random, words: Words) -> tuple[Change, Words]:
        if chance.random() < 0.6:
            return otherwise(place, chance, words)
        path = chance.choice(_damageable(place.folder / name, ("**/*",)))
        inside = str(path.relative_to(place.folder / name))
        # Runs of another seed keep what belongs to it under its number.
        other = place.root / recipe / inside.replace("swapped_0", "swapped_1").replace("as_given_0", "as_given_1")
        change = mutations.exchange(path, other)
        return change._replace(what=f"{name}/{inside}: {change.what}"), words

    return spoil


def _damageable(folder: Path, patterns: Words) -> list[Path]:
    found = {path for pattern in patterns for path in folder.glob(pattern)}
    return sorted(path for path in found if path.is_file() and path.suffix not in UNTOUCHED)


def _freely(mutation: Mutation) -> Mutation:
    """Return the same for files that nothing can tell from what they were, so that any result is right."""
    return lambda path, chance: mutation(path, chance)._replace(free=True)


def fresh(words: Words) -> Words:
    """Return the words without `--resume auto`."""
    return tuple(word for word in words if word not in ("--resume", "auto"))


# Models and foreign checkpoints


def damage_weights(path: Path, chance: random.Random) -> Change:
    """Put NaN, infinity or another type into a model's weights, or exchange two of one shape."""
    weights = load_file(path)
    name = chance.choice(sorted(name for name, weight in weights.items() if weight.is_floating_point()))
    kind = chance.choice(("nan", "inf", "exchanged", "int", "double"))
    twin = next(
        (other for other in sorted(weights) if other != name and weights[other].shape == weights[name].shape), ""
    )
    if kind == "exchanged" and twin:
        weights[name], weights[twin] = weights[twin], weights[name]
    elif kind == "int":
        weights[name] = weights[name].int()
    elif kind == "double":
        weights[name] = weights[name].double()
    else:
        kind = "inf" if kind == "inf" else "nan"
        weights[name].view(-1)[chance.randrange(weights[name].numel())] = float(kind)
    # Without their digest, as another program writes them; exchanged ones cannot be told then.
    save_file(weights, path, metadata=_metadata(path) if kind == "exchanged" else None)
    return Change(f"{name}: {kind}", free=kind == "double")  # the same numbers, written longer


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


OWN_WEIGHTS = (damage_weights, damage_weights, mutations.damage_safetensors, mutations.damage_bytes)
IMPORTED = ("out/**/*.safetensors", "out/**/config.json")
GPT_EVAL = ("gpt", "eval", "--gpt", "gpt", "--tokens", "tokens")
COMPLETE_ONE = (*recipes.COMPLETED, "--n", "1", "--items", "1")
GPT_IMPORT = ("gpt", "import", "--out", "out", "--weights")
VQGAN_IMPORT = ("vqgan", "import", "--kind", "taming", "--out", "out", "--weights", "foreign/taming.ckpt")
TRAINED = {"gpt": "gpt", "tokenizer": "tokenizer", "tokens": "tokens", "videos": "videos"}
TOKENS = ("out/*.bin", "out/items.jsonl")
FINAL = ("out/final/model.safetensors",)
GPT_FRESH = (*fresh(recipes.GPT_TRAIN), "--steps", "2", "--save-every", "9")


def _foreign(kind: str, words: Words, file: str, by: tuple[Mutation, ...]) -> Scenario:
    inputs = {"foreign": "foreign"}
    return Scenario(words, inputs, files(f"foreign/{file}", by=by), IMPORTED, copied=("foreign",), name=kind)


PICKLES = (
    _foreign("igpt", (*GPT_IMPORT, "foreign/igpt.pt", "--kind", "igpt"), "igpt.pt", (mutations.damage_pickle,)),
    _foreign("taming", VQGAN_IMPORT, "taming.ckpt", (mutations.damage_pickle,)),
)
SAFETENSORS = (
    _foreign(
        "vqgan-gpt",
        (*GPT_IMPORT, "foreign/gpt.safetensors", "--kind", "vqgan-gpt"),
        "gpt.safetensors",
        (mutations.damage_safetensors,),
    ),
)
YAML = (_foreign("yaml", (*VQGAN_IMPORT, "--config", "foreign/taming.yaml"), "taming.yaml", (mutations.damage_yaml,)),)
MODELS = (
    Scenario(GPT_EVAL, TRAINED, files("gpt/*.safetensors", by=OWN_WEIGHTS), ("stdout",), ("gpt",)),
    Scenario(fresh(recipes.ENCODE), TRAINED, files("tokenizer/*.safetensors", by=OWN_WEIGHTS), TOKENS, ("tokenizer",)),
    Scenario(COMPLETE_ONE, TRAINED, files("gpt/*.safetensors", by=OWN_WEIGHTS), ("out/tokens.npy",), ("gpt",)),
    Scenario(
        ("publish", "--model", "gpt", "--out", "out"),
        TRAINED,
        files("gpt/*.safetensors", by=OWN_WEIGHTS),
        ("out/model.safetensors",),
        ("gpt",),
    ),
)
CONFIGS = (
    Scenario(GPT_EVAL, TRAINED, files("gpt/config.json", by=(mutations.damage_json,)), ("stdout",), ("gpt",)),
    Scenario(
        ("gpt", "eval", "--gpt", "legacy_gpt", "--tokens", "store"),
        {"legacy_gpt": "legacy_gpt", "store": "store"},
        files("legacy_gpt/config.json", by=(mutations.damage_json,)),
        ("stdout",),
        ("legacy_gpt",),
    ),
    Scenario(
        fresh(recipes.ENCODE),
        TRAINED,
        files("tokenizer/config.json", by=(mutations.damage_json,)),
        TOKENS,
        ("tokenizer",),
    ),
    Scenario(
        ("vqgan", "encode", "--tokenizer", "palette", "--data", "few_images", "--out", "out", "--workers", "0"),
        {"palette": "palette", "few_images": "few_images"},
        files("palette/config.json", by=(mutations.damage_json,)),
        TOKENS,
        ("palette",),
    ),
    Scenario(
        ("gpt", "train", "--config", "half_gpt/config.json", "--out", "out", "--steps", "1"),
        {"half_gpt": "half_gpt", "store": "store"},
        files("half_gpt/config.json", by=(_freely(mutations.damage_json),)),
        copied=("half_gpt",),
        codes=(1, 2),
        patient=("all",),
    ),
    Scenario(
        ("memory", "report", "memory_run", "--out", "out"),
        {"memory_run": "memory_run", "list": "list"},
        files("memory_run/config.json", by=(_freely(mutations.damage_json),)),
        copied=("memory_run",),
    ),
)

# Runs and stores


def _resumed(words: Words, kind: str, results: Words, *inputs: str, seconds: float = SECONDS) -> Scenario:
    anything = files("out/**/*")
    other = f"other_half_{kind}"
    known = other in recipes.RECIPES
    return Scenario(
        words,
        {**{name: name for name in inputs}, "out": f"half_{kind}"},
        exchanged("out", other, anything) if known else anything,
        results,
        copied=("out",),
        seconds=seconds,
        recipes=(other,) if known else (),
    )


MODELS_AND_DATA = ("gpt", "tokenizer", "tokens", "videos")
RUNS = (
    _resumed(recipes.GPT_TRAIN, "gpt", FINAL, "store"),
    _resumed(recipes.VQGAN_TRAIN, "vqgan", FINAL, "videos"),
)
STATES = (
    _resumed(recipes.MEMORY, "memory", ("out/trials.csv", "out/accuracy.csv"), "list"),
    _resumed(recipes.COMPLETE, "complete", ("out/*.npy",), *MODELS_AND_DATA),
    _resumed(recipes.DIVERSITY, "diversity", ("out/run.csv", "out/items.csv", "out/positions.csv"), *MODELS_AND_DATA),
    _resumed(recipes.ENCODE_STILLS, "encoded", TOKENS, "still_tokenizer", "images"),
    _resumed(recipes.PREPARE, "prepared", ("out/*.tar", "out/videos.jsonl", "out/index.npy"), "long_videos"),
)


def damage_items(path: Path, chance: random.Random) -> Change:
    """Change what a list of items says, every line of it still a good one."""
    lines = path.read_text().splitlines()
    kind = chance.choice(("train", "validation", "source", "start", "crop", "group"))
    one = chance.randrange(len(lines))
    text = {
        "train": [line.replace('"validation"', '"train"') for line in lines],
        "validation": [line.replace('"train"', '"validation"') for line in lines[:12]] + lines[12:],
    }.get(kind, lines)
    if text == lines:
        text = list(lines)
        text[one] = text[one].replace("film_", "image_").replace("0.0", "1.5").replace('"centre"', '"mirror"')
    path.write_text("\n".join([*text, ""]))
    return Change(f"{kind} in line {one + 1}")


def exchange_shards(path: Path, chance: random.Random) -> Change:
    """Exchange a shard with the next one of its store."""
    others = sorted(each for each in path.parent.glob("tokens-*.bin") if each != path)
    other = chance.choice(others)
    mine = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)
    return Change(f"exchanged with {other.name}")


def _store(words: Words, results: Words) -> Scenario:
    lists = files("store/items.jsonl", by=(damage_items, mutations.damage_lines))
    shards = files("store/*.bin", by=(exchange_shards, mutations.damage_bytes, mutations.remove))
    metadata = files("store/metadata.json", by=(mutations.damage_json,))

    def spoil(place: Place, chance: random.Random, words: Words) -> tuple[Change, Words]:
        return chance.choice((lists, lists, shards, metadata))(place, chance, words)

    inputs = {"store": "store", "legacy_gpt": "legacy_gpt"}
    return Scenario(
        words, inputs, exchanged("store", "other_store", spoil), results, ("store",), recipes=("other_store",)
    )


STORES = (
    _store(("gpt", "eval", "--gpt", "legacy_gpt", "--tokens", "store"), ("stdout",)),
    _store(GPT_FRESH, FINAL),
    _store(("data", "subset", "--tokens", "store", "--items", "8", "--out", "out"), TOKENS),
)

# Tars and tables

ITEMS: Words = ("memory", "items", "memory_run", "--scores", "scores/scores.csv", "--resamples", "100", "--out", "out")
SCORED: Words = ("memory", "observe", "--stimuli", "list", "--scores", "scores/observed.csv", "--out", "out")
TAR_ENCODE: Words = ("vqgan", "encode", "--tokenizer", "still_tokenizer", "--data", "tar/images.tar", "--out", "out")
TAR_ENCODE += ("--workers", "0")
TARS = (
    Scenario(
        (
            "vqgan",
            "encode",
            "--tokenizer",
            "still_tokenizer",
            "--data",
            "tar/images.tar",
            "--out",
            "out",
            "--workers",
            "0",
        ),
        {"still_tokenizer": "still_tokenizer", "tar": "tar"},
        files("tar/images.tar", by=(mutations.damage_tar,)),
        TOKENS,
        ("tar",),
    ),
    Scenario(
        ("data", "inspect", "tar/images.tar", "--out", "out"),
        {"tar": "tar"},
        files("tar/images.tar", by=(mutations.damage_tar,)),
        ("out/files.csv",),
        ("tar",),
    ),
)
TABLES = (
    Scenario(
        (
            "vqgan",
            "encode",
            "--tokenizer",
            "tokenizer",
            "--data",
            "clip_csv/clips.csv",
            "--out",
            "out",
            "--workers",
            "0",
        ),
        {"tokenizer": "tokenizer", "videos": "videos", "clip_csv": "clip_csv"},
        files("clip_csv/clips.csv", by=(mutations.damage_table,)),
        TOKENS,
        ("clip_csv",),
    ),
    Scenario(
        ("data", "subset", "--tokens", "store", "--exclude", "tags/tags.csv", "--out", "out"),
        {"store": "store", "tags": "tags"},
        files("tags/tags.csv", by=(_freely(mutations.damage_table),)),
        copied=("tags",),
    ),
    Scenario(
        ("memory", "report", "memory_run", "--out", "out"),
        {"memory_run": "memory_run", "list": "list"},
        files("memory_run/*.csv", "memory_run/runs/*/*.csv", by=(mutations.damage_table,)),
        copied=("memory_run",),
    ),
    Scenario(
        ITEMS,
        {"memory_run": "memory_run", "list": "list", "scores": "scores"},
        files("scores/scores.csv", by=(_freely(mutations.damage_table),)),
        copied=("scores",),
    ),
    Scenario(
        SCORED,
        {"list": "list", "scores": "scores"},
        files("scores/observed.csv", by=(_freely(mutations.damage_table),)),
        copied=("scores",),
    ),
    Scenario(
        ("diversity", "report", "diversity_run", "--out", "out"),
        {"diversity_run": "diversity_run"},
        files("diversity_run/*.csv", by=(mutations.damage_table,)),
        copied=("diversity_run",),
    ),
    Scenario(
        ("physics", "report", "physics_run", "--out", "out"),
        {"physics_run": "physics_run", "films": "films"},
        files("physics_run/*.csv", by=(mutations.damage_table,)),
        copied=("physics_run",),
    ),
    Scenario(
        ("scaling", "fit", "points/runs.csv", "--draws", "200", "--out", "out"),
        {"points": "points"},
        files("points/runs.csv", by=(mutations.damage_table,)),
        copied=("points",),
    ),
    Scenario(
        ("scaling", "extrapolate", "points/curve.csv", "--target", ".9", "--draws", "200", "--out", "out"),
        {"points": "points"},
        files("points/curve.csv", by=(mutations.damage_table,)),
        copied=("points",),
    ),
    Scenario(
        ("scaling", "tasks", "points/tasks.csv", "--draws", "99", "--simulations", "0", "--out", "out"),
        {"points": "points"},
        files("points/tasks.csv", by=(mutations.damage_table,)),
        copied=("points",),
    ),
    Scenario(
        ("memory", "report", "--people", "people/responses.csv", "--out", "out"),
        {"people": "people"},
        files("people/responses.csv", by=(mutations.damage_table,)),
        copied=("people",),
    ),
    Scenario(
        ("memory", "people", "people/export.csv", "--out", "out", "--constants", "list=l", "version=as_given"),
        {"people": "people"},
        files("people/export.csv", by=(mutations.damage_table,)),
        copied=("people",),
    ),
    *(
        Scenario(
            ("scaling", "report", part, "--out", "out"),
            {part: part},
            files(f"{part}/*.csv", by=(mutations.damage_table,)),
            copied=(part,),
        )
        for part in ("law", "extrapolated")
    ),
)
PUBLISH = (
    Scenario(
        ("publish", "--model", "tokenizer", "--evaluation", "evaluation", "--out", "out"),
        {"tokenizer": "tokenizer", "evaluation": "evaluation"},
        files("evaluation/*.json", by=(_freely(mutations.damage_json),)),
        copied=("evaluation",),
    ),
    Scenario(
        ("publish", "--model", "tokenizer", "--evaluation", "evaluation", "--out", "out"),
        {"tokenizer": "tokenizer", "evaluation": "evaluation"},
        files("tokenizer/*"),
        ("out/model.safetensors", "out/config.json"),
        ("tokenizer",),
    ),
)

# Options

LONG: Words = ("--steps", "--exposures", "--then-exposures", "--steps-per-exposure", "--seeds", "--clips", "--objects")
LONG += ("--tokenizer-steps", "--fillers", "--recall", "--replay")
"""Options that ask for more work without asking for more memory: who asks for much, waits."""

NUMBERS: Words = (
    "-1",
    "0",
    "1",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "1e-308",
    "1e9",
    "1e30",
    "",
    " ",
    "0x10",
    "1_0",
    "1.5",
    "-0",
)
NUMBERS += ("2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551616")
NUMBERS += ("1000000", "1000000000", "1000000000000", "9" * 5000, "\u0663", "1e3", "true", "None", "--")
TEXTS: Words = (
    "",
    " ",
    "none",
    "-",
    "--",
    "a\nb",
    "\x1b[31mred",
    "\udcff",
    "$(touch canary)",
    "`touch canary`",
    "'",
    '"',
    "\\",
)
TEXTS += (
    "timm:",
    "timm::",
    "timm:a:b",
    "lpips",
    "inception:",
    "inception:x",
    "(",
    "(?P<a",
    "*",
    "%a",
    "{}",
    "{0}",
)
TEXTS += ("x" * 5000, "../..", "=1+1", "$x^", "\u202e", "None", "(.*)", "^")
INPUT_PATHS: Words = (
    "missing",
    "",
    ".",
    "..",
    "a/b",
    "a/b@c",
    "/dev/zero",
    "/dev/null",
    "pipe",
    "file",
    "empty",
    "loop",
    "x" * 300,
)
INPUT_PATHS += (
    "a\nb",
    "\udcff",
    "~",
    "missing.csv",
    "missing.tar",
    "{a",
    "s-{0000..9999}.tar",
    "s-{0..99999999999}.tar",
)
INPUT_PATHS += ("file.csv", "file.tar", "gpt", "tokenizer", "store", "videos", "tokens", "memory_run", "*")
OUT_PATHS = (
    "file",
    "file/below",
    "loop",
    "x" * 300,
    "a\nb",
    "\udcff",
    ".",
    "",
    "\x1b[31m",
    "%a",
    "$x_",
    "pipe",
    "dangling",
)

SWEEP: Words = ("memory", "sweep", "--noise", "4", "--noise-length", "16", "--presets", "demo", "--exposures", "1")
SWEEP += ("--out", "out")
EXTRAPOLATE: Words = ("scaling", "extrapolate", "points/curve.csv", "--target", ".9", "--out", "out")
PEOPLE: Words = ("memory", "people", "people/export.csv", "--out", "out", "--constants", "list=l", "version=as_given")
SCALING_FIT: Words = ("scaling", "fit", "points/runs.csv", "--out", "out")
LADDER: Words = ("--tokens", "store", "--widths", "16", "--head-size", "16", "--layers", "1", "--warmup", "0")
LADDER += ("--batch", "2", "--budgets", "1e7", "--flops-per-second", "1e9", "--out", "out")
SCALING_TASKS: Words = ("scaling", "tasks", "points/tasks.csv", "--out", "out")
BASES: dict[str, Words] = {
    "app": ("app", "--gpt", "gpt", "--tokenizer", "tokenizer", "--export", "space", "--out", "out"),
    "complete": COMPLETE_ONE,
    "data inspect": ("data", "inspect", "few_images", "--out", "out"),
    "data look": ("data", "look", "few_images", "--out", "out", "--size", "16", "--workers", "0"),
    "data playroom": ("data", "playroom", "--out", "out", "--clips", "1", "--frames", "2", "--size", "16"),
    "data prepare": ("data", "prepare", "videos", "--out", "out", "--size", "16", "--workers", "0"),
    "data stimuli": ("data", "stimuli", "--kind", "brady", "--source", "brady", "--out", "out"),
    "data subset": ("data", "subset", "--tokens", "store", "--items", "8", "--out", "out"),
    "data synthetic": ("data", "synthetic", "--out", "out", "--clips", "1", "--frames", "2", "--size", "16"),
    "demo": ("demo", "--out", "out"),
    "diversity report": ("diversity", "report", "diversity_run", "--out", "out"),
    "diversity run": (*fresh(recipes.DIVERSITY), "--items", "1"),
    "diversity study": ("diversity", "study", "--out", "out", "--clips", "4", "--tokenizer-steps", "1", "--steps", "1"),
    "gpt eval": GPT_EVAL,
    "gpt import": (*GPT_IMPORT, "foreign/igpt.pt", "--kind", "igpt"),
    "gpt plan": ("gpt", "plan"),
    "gpt train": GPT_FRESH,
    "memory items": ITEMS,
    "memory people": PEOPLE,
    "memory continuous": ("memory", "continuous", "--stimuli", "list", "--observer", "chance", "--out", "out"),
    "memory observe": (
        *("memory", "observe", "--stimuli", "list", "--observer", "template", "--exposures", "1"),
        *("--size", "8", "--out", "out"),
    ),
    "memory keys": ("memory", "keys", "--stimuli", "list", "--key-data", "few_images", "--out", "out"),
    "memory report": ("memory", "report", "memory_run", "--out", "out"),
    "memory run": (*fresh(recipes.MEMORY), "--exposures", "1"),
    "memory sweep": SWEEP,
    "memory task": ("memory", "task", "--stimuli", "list", "--orders", "1", "--out", "out"),
    "physics report": ("physics", "report", "physics_run", "--out", "out"),
    "physics run": recipes.PHYSICS,
    "physics stimuli": (
        *("physics", "stimuli", "--out", "out", "--scenes", "1"),
        *("--concepts", "inertia", "--frames", "8", "--size", "16"),
    ),
    "scaling extrapolate": (*EXTRAPOLATE, "--draws", "200"),
    "scaling fit": (*SCALING_FIT, "--draws", "200"),
    "scaling plan": ("scaling", "plan", *LADDER),
    "scaling report": ("scaling", "report", "extrapolated", "--out", "out"),
    "scaling run": ("scaling", "run", *LADDER, "--tasks", "nll"),
    "scaling tasks": (*SCALING_TASKS, "--draws", "99", "--simulations", "0"),
    "publish": ("publish", "--model", "tokenizer", "--evaluation", "evaluation", "--out", "out"),
    "vqgan encode": fresh(recipes.ENCODE),
    "vqgan eval": recipes.EVALUATE,
    "vqgan import": VQGAN_IMPORT,
    "vqgan leakage": ("vqgan", "leakage", "--tokenizer", "tokenizer", "--data", "videos", "--out", "out"),
    "vqgan palette": ("vqgan", "palette", "--colours", "4", "--size", "8", "--data", "few_images", "--out", "out"),
    "vqgan train": (*fresh(recipes.VQGAN_TRAIN), "--steps", "1"),
}
"""A command line of every command that takes a second or two (`demo` and `diversity study`: as long as they may)."""
SLOW = ("demo", "diversity study", "memory sweep", "memory task", "scaling run")
THINGS = (
    "gpt",
    "tokenizer",
    "tokens",
    "videos",
    "films",
    "points",
    "people",
    "store",
    "few_images",
    "list",
    "scores",
    "brady",
    "foreign",
    "evaluation",
)
EVERYTHING = {name: name for name in (*THINGS, "memory_run", "diversity_run", "physics_run", "extrapolated")}


def _spoil_option(command: str) -> Spoil:
    def spoil(place: Place, chance: random.Random, words: Words) -> tuple[Change, Words]:
        _hostile_paths(place.folder)
        leaf = chance.choice(list(leaves(secondsight.COMMANDS[command][0]).values()))
        values = _values(leaf, chance)
        # Of words that stand twice, the last counts.
        asked = values if leaf.metadata.get("positional") else (leaf.flag, *values)
        rest = words[len(command.split()) :]
        if leaf.metadata.get("positional"):
            rest = rest[1:]
        return Change(f"{' '.join(asked)[:80]!a}", free=True), (*command.split(), *asked, *_without(leaf.flag, rest))

    return spoil


def _without(flag: str, words: Words) -> Words:
    """Return words without an option and its values."""
    if flag not in words:
        return words
    start = words.index(flag)
    end = start + 1
    while end < len(words) and not words[end].startswith("--"):
        end += 1
    return _without(flag, (*words[:start], *words[end:]))


def _values(leaf: Leaf, chance: random.Random) -> Words:
    kind = leaf.annotation
    plain = {kind, *get_args(kind)}
    if get_origin(kind) is tuple:
        return tuple(chance.choice(_hostile(set(get_args(kind)), leaf)) for _ in range(chance.choice((0, 1, 2, 3))))
    if kind is bool:
        return () if chance.random() < 0.7 else (chance.choice(TEXTS),)
    return (chance.choice(_hostile(plain, leaf)),)


def _hostile(kinds: set[Any], leaf: Leaf) -> Words:
    if kinds & {int, float}:
        return NUMBERS
    if Path in kinds:
        return OUT_PATHS if leaf.name == "out" else INPUT_PATHS
    return TEXTS


def _hostile_paths(folder: Path) -> None:
    (folder / "file").write_text("nothing")
    (folder / "file.csv").write_text("path,start,end\n")
    (folder / "file.tar").write_bytes(bytes(1024))
    (folder / "empty").mkdir()
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere/at/all")
    os.mkfifo(folder / "pipe")


OPTIONS = tuple(
    Scenario(
        words,
        EVERYTHING,
        _spoil_option(command),
        codes=(1, 2),
        seconds=4.0 if command in SLOW else SECONDS,
        patient=("all",) if command in SLOW else LONG,
    )
    for command, words in BASES.items()
)

# Names

NAMES: Words = (
    "=1+1",
    "+1",
    "@x",
    "-rf",
    "--help",
    "a\nb",
    "\x1b[31mred",
    "a\tb",
    "$x_1$",
    "$(touch canary)",
    "`touch canary`",
)
NAMES += (
    "'",
    '"',
    "%a",
    "%s{}",
    "{0..9}",
    "a,b",
    " ",
    ".",
    "\u202egpj",
    "\udcff",
    "\u00e4" * 100,
    "<img src=x onerror=alert(1)>",
)
NAMES += ("x" * 200, "]](x)", "|", "*", "[a]", "~", "#1", "\\", "a;b", "&amp;", "NUL")


def _spoil_names(*patterns: str) -> Spoil:
    """Return what renames a file or a folder."""

    def spoil(place: Place, chance: random.Random, words: Words) -> tuple[Change, Words]:
        found = sorted(path for pattern in patterns for path in place.folder.glob(pattern))
        path = chance.choice(found)
        stem = chance.choice(NAMES)
        name = f"{stem}{path.suffix}" if path.is_file() else f"{stem} "
        target = path.with_name(name)
        shutil.move(path, target)
        return Change(f"{path.relative_to(place.folder)} is now {name!a}"[:120], free=True), words

    return spoil


def _spoil_word(*names: str) -> Spoil:
    """Return what renames a folder that the words name, or gives one that they make another name."""

    def spoil(place: Place, chance: random.Random, words: Words) -> tuple[Change, Words]:
        name = chance.choice(names)
        other = f"./{chance.choice(NAMES)}"
        if (place.folder / name).exists() and not other.endswith(("/.", "/ ")):
            (place.folder / name).rename(place.folder / other)
        changed = tuple(other if word == name else word for word in words)
        return Change(f"{name} is now {other!a}"[:120], free=True), changed

    return spoil


NAMED = (
    *(
        Scenario(BASES[command], EVERYTHING, _spoil_names(*patterns), copied=copied, seconds=SECONDS)
        for command, patterns, copied in (
            ("data inspect", ("few_images/*",), ("few_images",)),
            ("data look", ("few_images/*",), ("few_images",)),
            ("data prepare", ("videos/*",), ("videos",)),
            ("data stimuli", ("brady/*/*",), ("brady",)),
            ("vqgan encode", ("videos/*",), ("videos",)),
            ("vqgan eval", ("videos/*",), ("videos",)),
            ("complete", ("videos/*",), ("videos",)),
            ("memory run", ("list/study/*", "list/test/*", "list/test/*/*"), ("list",)),
        )
    ),
    *(
        Scenario(BASES[command], EVERYTHING, _spoil_word(*names), copied=names, codes=(1, 2), name="word")
        for command, names in (
            ("gpt eval", ("gpt", "tokens")),
            ("complete", ("videos", "gpt", "out")),
            ("memory report", ("memory_run", "out")),
            ("diversity report", ("diversity_run", "out")),
            ("physics report", ("physics_run", "out")),
            ("scaling report", ("extrapolated", "out")),
            ("publish", ("tokenizer", "evaluation", "out")),
            ("vqgan encode", ("tokenizer", "videos", "out")),
            ("gpt train", ("store", "out")),
        )
    ),
    Scenario(
        (*BASES["memory sweep"], "--slurm"), EVERYTHING, _spoil_word("out"), copied=(), codes=(1, 2), name="slurm"
    ),
)

CLASSES: dict[str, tuple[Scenario, ...]] = {
    "pickles": PICKLES,
    "safetensors": SAFETENSORS,
    "models": MODELS,
    "configs": CONFIGS,
    "yaml": YAML,
    "runs": RUNS,
    "states": STATES,
    "stores": STORES,
    "tars": TARS,
    "tables": TABLES,
    "options": OPTIONS,
    "names": NAMED,
    "publish": PUBLISH,
}
# `unlock` does nothing but to remove a lock, and needs one that is there; `memory serve` ends when it is stopped.
NEVER = ("unlock", "memory serve")
assert {*BASES, *NEVER} == set(secondsight.COMMANDS), "every command has a line, and every line a command"
