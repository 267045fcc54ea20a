"""Recall of lower halves from upper ones."""

from itertools import combinations
from pathlib import Path
from statistics import fmean

import pytest
import torch
from tiny import IMAGE, make_clips, make_gpt, make_palette, make_tokenizer
from torch import Tensor

from experiments.memory import recall as recall_file
from experiments.memory.recall import Cue, RecallRow, nearer_of_two, recall, write_recall
from gpt.config import GPTConfig
from gpt.model import GPT
from storage.tables import read_rows
from vqgan.tokenizer import Tokenizer

CONFIG = GPTConfig(layers=2, heads=2, width=32, grid=(1, 4, 4), vocab_size=16)
STUDIED = 3


def make_cues(count: int) -> list[Cue]:
    return [
        Cue(item=f"item_{index}", condition="novel", image=f"study/{index}.png", studied=index < STUDIED)
        for index in range(count)
    ]


def make_material(count: int) -> tuple[Tokenizer, Tensor, Tensor]:
    palette = make_palette(size=4)
    clips = make_clips(count, frames=1, size=4)
    return palette, clips, palette.encode(clips).flatten(1)


@pytest.fixture(scope="module")
def learner() -> GPT:
    """A GPT that knows the first images by heart."""
    torch.manual_seed(0)
    gpt = GPT(CONFIG)
    studied = make_material(6)[2][:STUDIED]
    optimizer = torch.optim.Adam(gpt.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        gpt.nll(studied).mean().backward()
        optimizer.step()
    return gpt


def recall_all(gpt: GPT, seed: int = 0) -> list[RecallRow]:
    return recall(gpt, *swapped(make_material(7)), seed=seed)


def swapped(material: tuple[Tokenizer, Tensor, Tensor]) -> tuple[Tokenizer, list[Cue], Tensor, Tensor]:
    tokenizer, clips, tokens = material
    return tokenizer, make_cues(len(clips)), clips, tokens


def test_images_known_by_heart_are_recalled(learner: GPT) -> None:
    studied = recall_all(learner)[:STUDIED]
    assert {row.best_of_all_distance for row in studied} == {0}
    assert min(row.identified for row in studied) > 0.5


def test_foils_are_not_recalled(learner: GPT) -> None:
    rows = recall_all(learner)
    assert max(row.distance for row in rows[:STUDIED]) < min(row.distance for row in rows[STUDIED:])


def test_rows_name_their_images(learner: GPT) -> None:
    row = recall_all(learner)[STUDIED]
    assert (row.item, row.condition, row.image, row.studied) == ("item_3", "novel", "study/3.png", "no")


def test_the_prompt_does_not_know_the_lower_half() -> None:
    tokenizer, cues, clips, tokens = swapped(make_material(6))
    other = clips.clone()
    other[..., 2:, :] = make_clips(6, frames=1, size=4, seed=1)[..., 2:, :]
    gpt = make_gpt(CONFIG)
    assert recall(gpt, tokenizer, cues, other, tokens) == recall(gpt, tokenizer, cues, clips, tokens)


def recall_black(tokens: list[list[int]]) -> list[RecallRow]:
    """Recalls images of black (0) and white (1) pixels with a model that makes everything black."""
    palette = make_palette(colours=2, size=4)
    palette.colours.copy_(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    gpt = GPT(GPTConfig(layers=1, heads=1, width=16, grid=(1, 4, 4), vocab_size=2))
    with torch.no_grad():
        for parameter in gpt.blocks.parameters():
            parameter.zero_()
        gpt.embedding.weight.fill_(1)
        gpt.head.weight.copy_(torch.tensor([[10.0] * 16, [-10.0] * 16]))
    images = torch.tensor(tokens)
    return recall(gpt, palette, make_cues(len(tokens)), palette.decode(images.unflatten(1, (1, 4, 4))), images)


def test_distances_are_root_mean_squares_on_the_scale_of_one() -> None:
    rows = recall_black([[1] * 8 + [0] * 8, [1] * 16, [0] * 8 + [1] * 2 + [0] * 6])
    assert [row.distance for row in rows] == pytest.approx([0, 1, 0.5])
    assert [row.identified for row in rows] == [1, 0, 0]


def test_images_with_equal_lower_halves_are_not_identified() -> None:
    rows = recall_black([[1] * 8 + [0] * 8, [0] * 16])
    assert [row.identified for row in rows] == [0, 0]


def test_the_seed_decides(learner: GPT) -> None:
    assert recall_all(learner) == recall_all(learner)
    assert recall_all(learner) != recall_all(learner, seed=1)


def test_images_are_recalled_alike_in_any_batch(learner: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    together = recall_all(learner)
    monkeypatch.setattr(recall_file, "BATCH", 4)
    for a, b in zip(recall_all(learner), together, strict=True):
        assert (a.distance, a.identified) == (pytest.approx(b.distance), b.identified)


def test_the_upper_half_is_encoded_alone_by_networks_too() -> None:
    tokenizer = make_tokenizer(IMAGE)
    clips = make_clips(2, frames=1)
    gpt = make_gpt(GPTConfig(layers=1, heads=1, width=16, grid=(1, 4, 4), vocab_size=32))
    rows = recall(gpt, tokenizer, make_cues(2), clips, tokenizer.encode(clips).flatten(1), n=2)
    assert all(0 < row.best_of_all_distance <= row.best_of_2_distance <= row.distance for row in rows)


def test_one_image_is_too_few() -> None:
    tokenizer, cues, clips, tokens = swapped(make_material(1))
    with pytest.raises(ValueError, match="give at least 2, not 1"):
        recall(make_gpt(CONFIG), tokenizer, cues, clips, tokens)


def test_an_upper_half_must_divide_into_tokens() -> None:
    tokenizer = make_tokenizer(IMAGE)
    clips = make_clips(2, frames=1, size=4)
    gpt = make_gpt(GPTConfig(layers=1, heads=1, width=16, grid=(1, 1, 1), vocab_size=32))
    with pytest.raises(ValueError, match="do not divide"):
        recall(gpt, tokenizer, make_cues(2), clips, tokenizer.encode(clips).flatten(1))


def test_rows_are_written_as_they_are(learner: GPT, tmp_path: Path) -> None:
    rows = recall_all(learner)
    write_recall(tmp_path / "recall.csv", rows)
    assert read_rows(tmp_path / "recall.csv", RecallRow) == rows


def testnearer_of_two_is_the_mean_over_all_pairs() -> None:
    distances = torch.tensor([0.3, 0.1, 0.5, 0.2])
    pairs = [min(pair) for pair in combinations(distances.tolist(), 2)]
    assert nearer_of_two(distances) == pytest.approx(fmean(pairs))
