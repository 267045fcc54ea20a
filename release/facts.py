"""What people say of a model in its card, beyond what its files tell: a small JSON file, `card.json` as a rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from release.markdown import code, plain
from storage.checked_files import DamageError, read_json, shortly
from storage.config_file import from_json
from storage.model_paths import CheckpointError
from storage.options import unknown_name

LICENCE = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
"""Names of licences on the hub, such as mit and cc-by-4.0."""

SENTENCES = ("data", "recipe", "limits", "rights")
"""Facts that are sentences."""


@dataclass(frozen=True)
class CardFacts:
    """What a card says under its headings; sentences become items of a list."""

    data: tuple[str, ...]
    """What it was trained on."""
    recipe: tuple[str, ...]
    """How it was trained."""
    limits: tuple[str, ...]
    """What it cannot do."""
    license: str
    """Licence of the weights as the hub names it."""
    summary: str = ""
    """What it is, in place of what is said of all models of its class."""
    commands: tuple[str, ...] = ()
    """The commands that train it."""
    rights: tuple[str, ...] = ()
    """What is to be said beside the licence, as of the rights in what it was trained on."""
    measures: Mapping[str, Mapping[str, float | str]] = field(default_factory=dict)
    """Tables by their titles, such as the name of held-out footage: numbers, or words, by what they are."""

    def __post_init__(self) -> None:
        """Check that nothing is left unsaid, and the form of what `from_json` knows no type for.

        Raises:
            ValueError: a heading would be empty, the licence has no name, or the measures are no tables.
        """
        for name in ("data", "recipe", "limits"):
            if not getattr(self, name):
                raise ValueError(f"{name} says nothing: give a sentence at least")
        if not re.fullmatch(LICENCE, self.license):
            raise ValueError(f"license {self.license!r} is no name of a licence on the hub, as mit or cc-by-4.0 are")
        tables: Any = self.measures  # of a file, and so of any form
        if not isinstance(tables, Mapping) or not all(isinstance(table, Mapping) for table in tables.values()):
            raise ValueError(f"measures {shortly(tables)} must be tables by their titles: numbers by what they are")
        for title, table in tables.items():
            for what, value in table.items():
                if isinstance(value, bool) or not isinstance(value, int | float | str):
                    raise ValueError(f"measures, {title}: {what} {shortly(value)} must be a number or a text")


def read_facts(path: Path) -> CardFacts:
    """Return the facts in a JSON file.

    Raises:
        CheckpointError: it cannot be read, lacks what a card must say, or says what none does (the nearest is named).
    """
    try:
        content = read_json(path, "facts of a model card")
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}, not facts by name")
        return _facts(content)
    except (DamageError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot become a model card: {error}") from error


def shown_facts(facts: CardFacts | None) -> dict[str, Any]:
    """Return facts as the template of a card shows them, as text without a meaning to Markdown; None has none."""
    if facts is None:
        return {**dict.fromkeys((*SENTENCES, "commands"), ()), "measures": {}}
    return {
        **{name: [plain(each) for each in getattr(facts, name)] for name in SENTENCES},
        "commands": [code(command) for command in facts.commands],
        "measures": {
            plain(title): {plain(what): rounded(value) for what, value in table.items()}
            for title, table in facts.measures.items()
        },
    }


def rounded(value: float | str) -> str:
    """Return a number with as many digits as people read, or a text as it is."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _facts(content: Mapping[str, Any]) -> CardFacts:
    known = get_type_hints(CardFacts)
    for name in content:
        if name not in known:
            raise ValueError(unknown_name("fact", name, known))
    missing = [each.name for each in fields(CardFacts)[:4] if each.name not in content]
    if missing:
        raise ValueError(f"it does not say {', '.join(missing)}, as every card must")
    measures = content.get("measures", {})
    others = {name: from_json(name, value, known[name]) for name, value in content.items() if name != "measures"}
    return CardFacts(**others, measures=measures)
