"""Cards of models that come with the package: what people say of them, in the same form as all other cards."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starters import save_pair
from tiny import SHORT, make_gpt, make_tokenizer

from gpt.config import MismatchError
from gpt.model import GPT
from gpt.sampling_settings import SamplingSettings
from release.facts import CardFacts, read_facts
from release.starters import write_starter_card
from storage.model_paths import CheckpointError

FACTS = CardFacts(
    data=("Rooms that were drawn.", "Photographs, of which the weights hold none."),
    recipe=("The tokenizer first, then the GPT.",),
    limits=("Text cannot be read.",),
    license="mit",
    summary="Clips of 8 frames, and what may follow.",
    commands=("python -m starter.recipe --out runs/starter",),
    rights=("The photographs are their owners'.",),
    measures={"Rooms never seen": {"PSNR, dB": 25.125, "clips": 1200, "best on": "walls"}},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pair, with its card."""
    folder = tmp_path_factory.mktemp("starter") / "clips"
    save_pair(folder)
    write_starter_card(folder, "starter-clips", FACTS)
    return folder


@pytest.fixture(scope="module")
def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "said",
    [
        "# starter-clips\n",
        "license: mit\n",
        "Clips of 8 frames, and what may follow.",
        "## Data\n\n- Rooms that were drawn.\n- Photographs, of which the weights hold none.\n",
        "## Recipe\n\n- The tokenizer first, then the GPT.\n- `python -m starter.recipe --out runs/starter`\n",
        "### Rooms never seen\n\n| measure | |\n|---|---|\n| PSNR, dB | 25.1 |\n| clips | 1,200 |\n",
        "| best on | walls |\n",
        "## Limits\n\n- Text cannot be read.\n",
        "## Licence\n\nmit\n\nThe photographs are their owners'.",
        'GPT.from_pretrained("starter-clips")',
        "secondsight complete --gpt starter-clips --tokenizer starter-clips --input VIDEOS",
    ],
)
def test_a_card_says_it(card: str, said: str) -> None:
    assert said in card


def test_a_card_leaves_no_heading_empty(card: str) -> None:
    lines = [line for line in card.splitlines() if line]
    assert not [line for line, after in pairwise(lines) if line[:3] == after[:3] == "## "]
    assert "nothing is said here" not in card
    assert "is not recorded" not in card


def test_facts_mean_nothing_to_markdown(folder: Path, tmp_path: Path) -> None:
    save_pair(tmp_path)
    write_starter_card(tmp_path, "starter-clips", replace(FACTS, data=("<b>![x](http://x)</b>",)))
    assert "<b>" not in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_a_gpt_of_another_tokenizer_is_refused(tmp_path: Path) -> None:
    save_pair(tmp_path)
    make_tokenizer(SHORT, seed=1).save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(MismatchError, match="learned the tokens of tokenizer"):
        write_starter_card(tmp_path, "starter-clips", FACTS)


def test_a_gpt_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    make_gpt().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="brings no tokenizer along: save it into"):
        write_starter_card(tmp_path, "starter-clips", FACTS)


def test_what_is_recommended_stands_in_the_card(tmp_path: Path) -> None:
    save_pair(tmp_path)
    gpt = GPT.from_pretrained(tmp_path)
    gpt.sampling = SamplingSettings(top_p=0.75)
    gpt.save_pretrained(tmp_path)
    write_starter_card(tmp_path, "starter-clips", FACTS)
    assert "| top_p | 0.75 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


def of_file(path: Path, **changes: Any) -> CardFacts:
    content = {"data": ["a"], "recipe": ["b"], "limits": ["c"], "license": "mit", **changes}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}), encoding="utf-8")
    return read_facts(path)


def test_facts_are_read_from_a_file(tmp_path: Path) -> None:
    facts = of_file(tmp_path / "card.json", measures={"rooms": {"PSNR, dB": 25.0}})
    assert facts == CardFacts(("a",), ("b",), ("c",), "mit", measures={"rooms": {"PSNR, dB": 25.0}})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"limit": ["x"]}, r"no fact 'limit'; .*did you mean limits\?"),
        ({"limits": None}, "it does not say limits, as every card must"),
        ({"limits": []}, "limits says nothing: give a sentence at least"),
        ({"data": "rooms"}, "data cannot be 'rooms': a list, each of its values a text is needed"),
        ({"license": "my own"}, "license 'my own' is no name of a licence"),
        ({"measures": [1]}, "measures .* must be tables by their titles"),
        ({"measures": {"rooms": {"PSNR": [1]}}}, r"measures, rooms: PSNR .* must be a number or a text"),
    ],
)
def test_a_file_that_cannot_become_a_card_is_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(CheckpointError, match=f"card.json cannot become a model card: .*{reason}"):
        of_file(tmp_path / "card.json", **change)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"card\.json cannot become a model card"):
        read_facts(tmp_path / "card.json")
