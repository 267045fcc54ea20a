"""The cards of the models that come with the package."""

from __future__ import annotations

from pathlib import Path

from gpt.model import GPT
from release.facts import CardFacts, read_facts
from release.publish import write_card
from storage.hub_names import TOKENIZER
from storage.model_paths import CheckpointError
from vqgan.model import load_tokenizer


def write_starter_card(folder: Path, name: str, facts: CardFacts | Path) -> None:
    """Write README.md, the model card, into the folder of a GPT that brings its tokenizer along.

    Args:
        folder: the model folder, its tokenizer in `tokenizer/`.
        name: what both are asked for by, such as `starter-clips`.
        facts: what is to be said of them, or a JSON file of it: see `release.facts`.

    Raises:
        CheckpointError: there is no GPT, it brings no tokenizer along, or the file cannot become a card.
        MismatchError: the GPT learned the tokens of another tokenizer, such as the same one before it was rounded.
    """
    config = GPT.from_pretrained(folder).config
    if not (folder / TOKENIZER).is_dir():
        raise CheckpointError(f"{folder} brings no tokenizer along: save it into {folder / TOKENIZER}")
    tokenizer = load_tokenizer(folder / TOKENIZER)
    grid = (config.grid[0], *tokenizer.grid(tokenizer.frames, tokenizer.size, tokenizer.size)[1:])
    config.check_tokens(grid, tokenizer.vocab_size, tokenizer.fingerprint)
    write_card(folder, name, facts=read_facts(facts) if isinstance(facts, Path) else facts)
