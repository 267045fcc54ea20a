"""Lists of stimuli from images as their authors distribute them.

brady        folders whose names hold `objects`, `exemplar` and `state` (OBJECTSALL, Exemplar, Brady2008State, ...), as
             published with Brady et al. (2008): single objects, and pairs told apart by a final digit or letter
konkle       a folder of categories, as published with Konkle et al. (2010, JEP: General 139, 558): <category>/*.jpg,
             perhaps with <category>/TestItems; single objects may be given too, for the novel trials
scenes       a folder of categories, as published with Konkle et al. (2010, Psychological Science 21, 1551)

Which images are studied, which are foils and which only fill the list is drawn from a seed. In all lists studied
images and foils can be swapped. Images that cannot be read, or that show what another one shows, are left out.
"""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath

from data.errors import MediaError, StimulusError
from data.images import IMAGE_SUFFIXES, load_image, pixel_digest
from data.inputs import check_folder
from data.media import is_litter
from data.options import StimuliOptions
from data.sources import Skipped
from data.stimuli.lists import StimulusList, read_stimuli
from data.stimuli.pairs import thing
from storage.command import command_line
from storage.files import to_json, write_text
from storage.terminal import visible
from storage.unfinished import replacing
from training.progress import say_done, say_found

BRADY_TRIALS = 100
"""Trials of each condition of Brady et al. (2008)."""
KONKLE_TRIALS = 40
"""Categories tested at each number of exemplars, in the published lists of Orhan (2022)."""
EXEMPLARS = {"konkle": (1, 2, 4, 8, 16), "scenes": (1, 4, 16, 64)}
"""Studied images of a category."""
TEST_ITEMS = "TestItems"
DUPLICATE = "Z_Duplicate"


@dataclass(frozen=True)
class Original:
    """A distributed image."""

    path: Path
    name: PurePath
    """Path relative to the folder that was given."""
    sha256: str


@dataclass
class Draft:
    """A list in the making: where in it which image goes."""

    placed: dict[str, Original] = field(default_factory=dict)
    left_out: list[Skipped] = field(default_factory=list)

    def add_trial(self, condition: str, item: str, studied: Original, foil: Original) -> None:
        """Study one image and test it against the other; `item` is a path without suffix that names the trial."""
        self.placed[f"study/{condition}/{item}{studied.path.suffix}"] = studied
        self.placed[f"test/{condition}_seen/{item}{studied.path.suffix}"] = studied
        self.placed[f"test/{condition}_unseen/{item}{foil.path.suffix}"] = foil

    def add_study(self, folder: str, original: Original) -> None:
        """Study an image that is not tested, under its own name where that is free."""
        stem = original.path.stem
        while (path := f"study/{folder}/{stem}{original.path.suffix}") in self.placed:
            stem += "_"
        self.placed[path] = original


def make_stimuli(options: StimuliOptions) -> Path:
    """Make the list that `options` ask for in `options.out`, with `stimuli.json`, which says what came from where.

    Raises:
        StimulusError: a source is no folder or not of the kind, it cannot be told which images are pairs, there are
            too few images, or `out` holds something already.
    """
    with replacing(options.out, command_line(options)) as folder:
        if options.out.exists() and any(options.out.iterdir()):
            raise StimulusError(f"{options.out} is not empty: choose another --out")
        draft = _brady(options) if options.kind == "brady" else _categories(options)
        say_found(
            files=f"{len(draft.placed):,} for study and test",
            left_out=f"{len(draft.left_out):,} images, listed in stimuli.json",
        )
        stimuli = _write(draft, options, folder)
    trials = Counter(trial.condition for trial in stimuli.trials)
    said = (
        f"{len(stimuli.study)} studied images, trials: {', '.join(f'{n} {name}' for name, n in trials.items())}; "
        f"{len(draft.left_out)} images left out: see {options.out / 'stimuli.json'}"
    )
    print(visible(said))
    say_done(options.out, "secondsight memory run --stimuli", options.out, "--out RUN")
    return options.out


def _write(draft: Draft, options: StimuliOptions, folder: Path) -> StimulusList:
    """Write a list into a new folder, and return it as it is read again."""
    for path, original in draft.placed.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original.path, folder / path)
    write_text(folder / "stimuli.json", to_json(_provenance(options, draft)))
    return read_stimuli(folder)


def _provenance(options: StimuliOptions, draft: Draft) -> dict[str, object]:
    return {
        "options": asdict(options),
        "images": [
            {"path": path, "source": str(original.path), "sha256": original.sha256}
            for path, original in sorted(draft.placed.items())
        ],
        "left_out": [asdict(skip) for skip in draft.left_out],
    }


def _brady(options: StimuliOptions) -> Draft:
    """Trials between single objects (novel) and within pairs (exemplar, state); other single objects are fillers."""
    draft = Draft()
    draw = random.Random(options.seed)
    folders = _folders_by_role(options.source)
    known: set[str] = set()
    wanted = options.trials or BRADY_TRIALS
    for condition in ("exemplar", "state"):
        if condition in folders:
            pairs = _pairs(_originals(folders[condition], draft, known), folders[condition], draft)
            chosen = draw.sample(sorted(pairs), _enough(wanted, len(pairs), "pairs", str(folders[condition]), options))
            for name in sorted(chosen):
                draft.add_trial(condition, name, *draw.sample(pairs[name], 2))
    if "objects" in folders:
        objects = _originals(folders["objects"], draft, known)
        draw.shuffle(objects)
        trials = _enough(wanted, len(objects) // 2, "pairs of single objects", str(folders["objects"]), options)
        _add_novel(draft, objects[: 2 * trials])
        for filler in sorted(objects[2 * trials :], key=lambda original: original.name):
            draft.add_study("filler", filler)
    return draft


def _categories(options: StimuliOptions) -> Draft:
    """Trials within categories of which n images are studied, and trials between categories or single objects."""
    draft = Draft()
    draw = random.Random(options.seed)
    known: set[str] = set()
    categories: dict[str, list[Original]] = {}
    singles: list[Original] = []
    for folder in map(_unwrapped, options.source):
        for original in _originals(folder, draft, known):
            if len(original.name.parts) == 1:
                singles.append(original)
            else:
                categories.setdefault(original.name.parts[0], []).append(original)
    sizes = EXEMPLARS[options.kind]
    each = _categories_each(options, [len(images) for images in categories.values()], sizes, len(singles))
    left = sorted(categories)
    for count in sorted(sizes, reverse=True):  # the choice is smallest for the largest
        able = [name for name in left if len(categories[name]) > count]
        for name in sorted(draw.sample(able, each)):
            left.remove(name)
            studied, foil, *others = _shuffled(categories[name], draw)
            condition = f"{count}_exemplar"
            draft.add_trial(condition, f"{name}/{studied.path.stem}", studied, foil)
            for other in others[: count - 1]:
                draft.add_study(f"{condition}/{name}", other)
    if singles:
        _add_novel(draft, draw.sample(singles, 2 * each))
    else:
        _add_novel(draft, [draw.choice(categories[name]) for name in draw.sample(left, 2 * each)])
    return draft


def _add_novel(draft: Draft, images: Sequence[Original]) -> None:
    for number, (studied, foil) in enumerate(zip(images[::2], images[1::2], strict=True)):
        draft.add_trial("novel", f"{number:04d}", studied, foil)


def _shuffled(images: Sequence[Original], draw: random.Random) -> list[Original]:
    """Images in random order, those among the category's test items first."""
    shuffled = draw.sample(images, len(images))
    return sorted(shuffled, key=lambda original: TEST_ITEMS not in original.name.parts)


def _categories_each(options: StimuliOptions, held: Sequence[int], sizes: Sequence[int], singles: int) -> int:
    """How many categories each condition can have, given how many images the categories hold."""
    source = ", ".join(str(folder) for folder in options.source)
    ordered = sorted(sizes, reverse=True)
    possible = {
        f"categories of {size + 1} or more images": sum(count > size for count in held) // (rank + 1)
        for rank, size in enumerate(ordered)
    }
    if singles:
        possible["single objects"] = singles // 2
    else:
        possible["categories, two of them for each novel trial"] = len(held) // (len(sizes) + 2)
    scarce = min(possible, key=lambda name: possible[name])
    return _enough(options.trials or KONKLE_TRIALS, possible[scarce], scarce, source, options)


def _enough(wanted: int, possible: int, what: str, source: str, options: StimuliOptions) -> int:
    """The trials that can be made: all that are wanted, or as many as there are where no number was asked for."""
    if possible == 0 or (options.trials and possible < wanted):
        raise StimulusError(f"{source} has enough {what} for {possible} trials of each condition, not for {wanted}")
    return min(wanted, possible)


def _pairs(originals: Sequence[Original], folder: Path, draft: Draft) -> dict[str, list[Original]]:
    """Images of two exemplars or two states of an object, by name.

    They have the same name but for a final digit (`cup1`, `cup2`), or a final letter (`cupA`, `cupB`), or a folder of
    their own.
    """
    best: dict[str, list[Original]] = {}
    for key in (_number_key, _letter_key, _folder_key):
        groups = defaultdict(list)
        for original in originals:
            groups[key(original)].append(original)
        pairs = {name: pair for name, pair in groups.items() if name and len(pair) == 2}
        best = max(best, pairs, key=len)
    in_pairs = {original.path for pair in best.values() for original in pair}
    alone = [original for original in originals if original.path not in in_pairs]
    if len(alone) > len(in_pairs):
        raise StimulusError(
            f"in {folder}, {len(alone)} of {len(originals)} images have no partner (such as {alone[0].name}): the "
            "two images of a pair must be called alike but for a final digit or letter, as cup1.jpg and cup2.jpg"
        )
    draft.left_out += [Skipped(str(original.path), "has no partner, or more than one") for original in alone]
    return best


def _number_key(original: Original) -> str:
    return thing(original.path.stem)


def _letter_key(original: Original) -> str:
    return re.sub(r"[\s_-]*[ab]$", "", original.path.stem.lower())


def _folder_key(original: Original) -> str:
    return "_".join(original.name.parts[:-1])


def _folders_by_role(sources: Sequence[Path]) -> dict[str, Path]:
    """The folders of single objects, exemplar pairs and state pairs, which are the sources or directly in them."""
    found: dict[str, Path] = {}
    for source in sources:
        folders = [folder for folder in _subfolders(source) if _role(folder)] or [source]
        for folder in folders:
            role = _role(folder)
            if not role:
                raise StimulusError(
                    f"neither {folder} nor a folder in it has `objects`, `exemplar` or `state` in its name, which says "
                    "what its images are"
                )
            if found.setdefault(role, folder) != folder:
                raise StimulusError(f"by their names, both {found[role]} and {folder} hold images of {role}")
    return found


def _role(folder: Path) -> str | None:
    return next((role for role in ("exemplar", "state", "objects") if role in folder.name.lower()), None)


def _subfolders(folder: Path) -> list[Path]:
    check_folder(folder)
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not is_litter(Path(path.name))]


def _unwrapped(folder: Path) -> Path:
    """The folder that an archive was unpacked into: where a folder holds nothing but one other, that one."""
    inner = _subfolders(folder)
    images = any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())
    return _unwrapped(inner[0]) if len(inner) == 1 and not images else folder


def _originals(folder: Path, draft: Draft, known: set[str]) -> list[Original]:
    """The images below a folder, in order, each but once: `known` are the digests of those found so far."""
    found = []
    # Test items first: of copies, they are the ones to keep.
    for path in sorted(folder.rglob("*"), key=lambda path: (TEST_ITEMS not in path.parts, path)):
        name = path.relative_to(folder)
        if path.suffix.lower() not in IMAGE_SUFFIXES or is_litter(name) or path.is_dir():
            continue
        try:
            digest = pixel_digest(load_image(path))
        except MediaError as error:
            draft.left_out.append(Skipped(str(path), str(error)))
            continue
        if digest in known or path.name.startswith(DUPLICATE):
            draft.left_out.append(Skipped(str(path), "shows what another image shows"))
            continue
        known.add(digest)
        found.append(Original(path, name, digest))
    return found
