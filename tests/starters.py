"""An installation whose models that come with the package are tiny ones, made by the tests."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from tiny import GPT_SHORT, SHORT, make_gpt, make_tokenizer

from gpt.model import GPT


def install_starters(folder: Path, *contents: str) -> Path:
    """Make a package `starter` in a folder, which then stands for where packages are installed; return its folder."""
    package = folder / "starter"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Models that come along."""\n', encoding="utf-8")
    for content in contents:
        save_pair(package / content)
    return package


def save_pair(folder: Path) -> GPT:
    """Save a tiny GPT with its tokenizer, whose codes are those of one that was trained; return the GPT."""
    tokenizer = make_tokenizer(SHORT)
    tokenizer.quantizer.initialised.fill_(True)
    tokenizer.quantizer.sums.copy_(tokenizer.quantizer.codebook)
    gpt = make_gpt(replace(GPT_SHORT, tokenizer=tokenizer.fingerprint), scale=2.0)
    gpt.save_pretrained(folder)
    tokenizer.save_pretrained(folder / "tokenizer")
    return gpt


@contextmanager
def found_in(installation: Path) -> Iterator[None]:
    """Look for the package `starter` in a folder first; what was imported of the other one is kept for afterwards."""
    before = _forget()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(installation)
            yield
    finally:
        _forget()
        sys.modules.update(before)


def _forget() -> dict[str, ModuleType]:
    """Return what was imported of the package, which is no longer known as imported then."""
    names = [name for name in sys.modules if name.partition(".")[0] == "starter"]
    return {name: sys.modules.pop(name) for name in names}
