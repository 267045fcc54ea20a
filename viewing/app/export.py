"""`app --export space`: the app as a folder that runs as a Hugging Face Space on a CPU, or anywhere else.

OUT/app.py              what a Space starts
OUT/README.md           the Space's card
OUT/requirements.txt    what it needs, in the versions that are installed here
OUT/secondsight/        this program, as it is, since no registry need have it
OUT/models/NAME/        a GPT and its tokenizer/, each with its card and licence
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from storage.files import write_text
from storage.hub_names import TOKENIZER
from storage.model_paths import find_model
from storage.templates import render_template
from storage.unfinished import replacing
from training.progress import say_done
from viewing.app.models import Models, load_models
from viewing.app.options import AppOptions

PROGRAM = "secondsight"
"""Name of this program, of its distribution and of the folder that it lies in."""
ROOMS = ("storage", "training", "data", "vqgan", "gpt", "sampling", "experiments", "viewing")
"""The packages that the app imports."""
LEFT_OUT = ("__pycache__", "results", ".*")
"""Names of folders and files of them that it does not need."""
EXTRAS = ("app", "physics")
"""Optional dependencies that it needs."""
CARDS = ("README.md", "LICENSE*", "LICENCE*", "NOTICE*")
"""Files of a model folder that say what the model is and who may use it."""


def export_space(options: AppOptions) -> Path:
    """Write the folder of a Space into `options.out`, which is returned. No data and no setting of this machine go in.

    Raises:
        CheckpointError: there is no such model, or it is damaged.
        FileExistsError: the folder is there, and is not empty.
        MismatchError: a GPT did not learn the tokens of its tokenizer.
        ValueError: what is installed here is not known.
    """
    out = options.out
    assert out is not None, "the options ask for it"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is there and not empty: give a new folder as --out")
    models = load_models(options)
    program = _program()
    with replacing(out, options.command) as folder:
        names = _write_models(folder / "models", models)
        _write_program(folder / PROGRAM, program)
        write_text(folder / "requirements.txt", "".join(f"{line}\n" for line in requirements(program)))
        write_text(folder / "app.py", _render("space_app.py.j2", names=names))
        write_text(folder / "README.md", _card(names, folder / "models"))
    say_done(out, "python", out / "app.py")
    return out


def requirements(program: Distribution) -> Iterator[str]:
    """Yield what a program needs, a line each as pip reads them, in the versions that are installed here.

    What is for other systems, and not installed here, is left out.

    Raises:
        ValueError: something that it needs on every system is not installed.
    """
    for requirement in program.requires or ():
        wanted, _, marker = (part.strip() for part in requirement.partition(";"))
        name = re.split(r"[^A-Za-z0-9._-]", wanted, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([^'\"]+)", marker)
        if extra and extra[1] not in EXTRAS:
            continue
        try:
            installed = version(name).partition("+")[0]  # what stands behind a plus is a build of this machine's
        except PackageNotFoundError as error:
            if marker:
                continue
            raise ValueError(f"{name} is not installed here, so that its version cannot be exported") from error
        yield f"{name}=={installed}" + (f"; {marker}" if marker and not extra else "")


def _program() -> Distribution:
    """Return what is installed of this program.

    Raises:
        ValueError: it runs without being installed.
    """
    try:
        return distribution(PROGRAM)
    except PackageNotFoundError as error:
        raise ValueError(f"{PROGRAM} is not installed here, only its files are: install it, then export") from error


def _write_models(folder: Path, models: Models) -> list[str]:
    """Write all models, with what their folders say of them, and return the names of their folders."""
    names: list[str] = []
    for number, pair in enumerate(models.pairs, start=1):
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", pair.name).strip("._") or f"model_{number}"
        if name in names:
            name = f"{name}_{number}"
        names.append(name)
        pair.gpt.save_pretrained(folder / name)
        pair.tokenizer.save_pretrained(folder / name / TOKENIZER)
        _copy_cards(find_model(pair.gpt_path), folder / name)
        _copy_cards(_tokenizer_folder(pair.tokenizer_path), folder / name / TOKENIZER)
    return names


def _tokenizer_folder(path: Path) -> Path:
    """Return the folder of a tokenizer: of a GPT that brings one along, that one's."""
    found = find_model(path)
    return found / TOKENIZER if (found / TOKENIZER).is_dir() else found


def _copy_cards(model: Path, folder: Path) -> None:
    for pattern in CARDS:
        for file in sorted(model.glob(pattern)):
            if file.is_file():
                shutil.copyfile(file, folder / file.name)


def _write_program(folder: Path, program: Distribution) -> None:
    """Write the packages, and what tells which kinds of models they know, so that they need not be installed."""
    for room in ROOMS:
        spec = find_spec(room)
        assert spec is not None, "the app imports it"
        assert spec.submodule_search_locations, "it is a package"
        shutil.copytree(spec.submodule_search_locations[0], folder / room, ignore=shutil.ignore_patterns(*LEFT_OUT))
    about = folder / f"{PROGRAM}-{program.version}.dist-info"
    about.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        write_text(about / name, program.read_text(name) or "")
    licence = program.read_text("licenses/LICENSE")
    if licence:
        write_text(folder / "LICENSE", licence)


def _card(names: Sequence[str], models: Path) -> str:
    licences = {_licence(models / name / "README.md") for name in names}
    return _render(
        "space_card.md.j2",
        names=names,
        gradio=version("gradio"),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        licence=licences.pop() if len(licences) == 1 else "",
        out=PROGRAM,
    )


def _licence(card: Path) -> str:
    """Return the licence that a model's card names; empty if it names none."""
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"\A---\n.*?^license: *([A-Za-z0-9._-]+) *$.*?^---$", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


def _render(name: str, **values: Any) -> str:
    return render_template(Path(__file__), name, html=False, **values)
