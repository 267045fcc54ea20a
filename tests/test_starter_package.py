"""What an installation holds of the models that come along: their weights, and nothing of how they were found."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from gpt.model import GPT
from storage.model_paths import is_at_hand
from storage.starters import PACKAGE, STARTERS, starter_folder
from vqgan.model import load_tokenizer

ROOT = Path(__file__).parents[1]
FILES = ("config.json", "model.safetensors")
MEGABYTE = 2**20
SHIPPED = [name for name in STARTERS if is_at_hand(Path(name))]


def test_every_name_has_its_model() -> None:
    assert list(STARTERS) == SHIPPED


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    """What pyproject.toml says of how packages are built."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"])


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_packages_hold_the_models(build: dict[str, Any], target: str) -> None:
    chosen = build["targets"][target]
    assert PACKAGE in chosen["only-include"]
    assert not [each for each in chosen.get("exclude", []) if each.startswith(tuple(map(_inside, STARTERS.values())))]


def test_wheels_do_not_hold_the_tables_of_how_they_were_found(build: dict[str, Any]) -> None:
    assert f"{PACKAGE}/results" in build["targets"]["wheel"]["exclude"]


def test_the_package_itself_imports_nothing() -> None:
    lines = (ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line.startswith(("import ", "from "))]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_gpt_that_comes_along_knows_its_tokenizer(name: str) -> None:
    tokenizer = load_tokenizer(name)
    grid = tokenizer.grid(tokenizer.frames, tokenizer.size, tokenizer.size)
    GPT.from_pretrained(name).config.check_tokens(grid, tokenizer.vocab_size, tokenizer.fingerprint)


@pytest.mark.parametrize("name", SHIPPED)
def test_weights_that_come_along_are_stored_in_bf16(name: str) -> None:
    for folder in _folders(name):
        with safe_open(folder / "model.safetensors", "pt") as file:
            types = {key: file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
        assert torch.bfloat16 in types.values()
        assert {key for key, dtype in types.items() if dtype == torch.float32} <= {"quantizer.counts", "quantizer.sums"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_model_that_comes_along_has_its_card(name: str) -> None:
    card = (_folders(name)[0] / "README.md").read_text(encoding="utf-8")
    assert all(f"## {heading}" in card for heading in ("Data", "Recipe", "Evaluation", "Limits", "Licence"))


def test_all_together_they_are_small() -> None:
    files = [folder / file for name in SHIPPED for folder in _folders(name) for file in FILES]
    assert sum(file.stat().st_size for file in files) <= 12 * MEGABYTE


def _inside(folder: str) -> str:
    return f"{PACKAGE}/{folder}"


def _folders(name: str) -> tuple[Path, Path]:
    """The folder of a GPT, and that of the tokenizer that it brings along."""
    folder = starter_folder(name)
    assert folder is not None
    return folder, folder / "tokenizer"
