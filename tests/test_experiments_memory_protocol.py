"""`--protocol igpt2022` gives what the published loop gives, and says what it does otherwise."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_lists import make_list
from PIL import Image
from published_igpt import (
    COLOURS,
    EXPOSURES,
    PROCESSES,
    SIDE,
    TINY,
    MinGPT,
    make_published,
    published_study,
    published_tokens,
    scores,
)
from torch import Tensor
from torch.utils.data import DistributedSampler
from torchvision.transforms import Resize

from data.stimuli.lists import Stimulus, StimulusList, Trial
from experiments.memory.experiment import run_memory
from experiments.memory.learner import igpt2022_order
from experiments.memory.material import scale_image
from experiments.memory.options import MemoryOptions, Ties
from experiments.memory.recognition import Session
from experiments.statistics.trials import TrialRow, read_trials
from gpt.config import PRESETS, GPTConfig
from gpt.import_weights import import_weights
from gpt.model import GPT
from gpt.options import ImportOptions
from storage.run_folder import read_options
from vqgan.palette import Palette


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def clusters() -> Tensor:
    """Colours as k-means makes them of images on white ground: several whites, equal and nearly equal ones."""
    colours = torch.rand(COLOURS, 3, generator=torch.Generator().manual_seed(0)) * 255
    colours[2] = 255.0
    colours[5:7] = 255.0
    colours[7] = 255.0 - 2**-16
    return colours


@pytest.fixture(scope="module")
def palette(clusters: Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("palette") / "palette"
    Palette(clusters.double() / 127.5 - 1, SIDE).save_pretrained(folder)
    return folder


def protocol(stimuli: Path | None, out: Path, **others: Any) -> MemoryOptions:
    return MemoryOptions.of(stimuli=stimuli, out=out, protocol="igpt2022", **others)


@pytest.fixture(scope="module")
def run(lists: tuple[Path, Path], palette: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole protocol, both lists and two seeds, with a tiny new GPT."""
    options = protocol(lists[0], tmp_path_factory.mktemp("run") / "run", tokenizer=palette, **TINY, exposures=EXPOSURES)
    run_memory(options)
    return options.out


def nll_by_name(rows: list[TrialRow], exposure: int) -> dict[str, float]:
    """The NLL of every tested image after an exposure, by file name."""
    taken = [row for row in rows if row.exposure == exposure and row.readout == "weights"]
    found = {Path(row.studied).name: row.nll_studied for row in taken}
    return found | {Path(row.foil).name: row.nll_foil for row in taken}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("version", ["as_given", "swapped"])
def test_every_tested_image_has_the_nll_of_the_published_loop(
    lists: tuple[Path, Path], clusters: Tensor, run: Path, version: str, seed: int
) -> None:
    folder = lists[version == "swapped"]
    studied = published_tokens(folder / "study", clusters)
    tested: dict[str, Tensor] = {}
    for condition in sorted((folder / "test").iterdir()):
        tested |= published_tokens(condition, clusters)
    torch.manual_seed(seed)
    model = MinGPT(**TINY, vocabulary=COLOURS, positions=SIDE**2 - 1)
    rows = read_trials(run / "runs" / f"{version}_{seed}" / "trials.csv")
    compare_scores(rows, model, tested, torch.stack(list(studied.values())), seed, EXPOSURES, 1e-5)


def compare_scores(
    rows: list[TrialRow], model: MinGPT, tested: dict[str, Tensor], items: Tensor, seed: int, epochs: int, within: float
) -> None:
    """Hold the NLL of every tested item beside that of the published loop, before study and after each exposure."""
    assert nll_by_name(rows, 0) == pytest.approx(scores(model, tested), abs=within)
    before = scores(model, tested)
    for exposure in published_study(model, items, seed, epochs):
        assert nll_by_name(rows, exposure) == pytest.approx(scores(model, tested), abs=within)
    # What is compared has moved by far more than that.
    after = scores(model, tested)
    assert max(abs(after[name] - before[name]) for name in tested) > 1000 * within


def test_the_second_published_list_is_the_first_one_swapped(lists: tuple[Path, Path], run: Path) -> None:
    rows = [row for row in read_trials(run / "trials.csv") if row.version == "swapped"]
    seen = {path.name for path in (lists[1] / "test").glob("*_seen/*/*")}
    assert {Path(row.studied).name for row in rows} == seen
    assert {row.seed for row in rows} == {0, 1}


def test_an_imported_gpt_studies_as_the_published_loop_does(
    lists: tuple[Path, Path], clusters: Tensor, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    model = MinGPT(**TINY, vocabulary=COLOURS, positions=SIDE**2 - 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    torch.save({"model_state_dict": model.state_dict(), "clusters": clusters}, tmp_path / "igpt.pt")
    import_weights(ImportOptions("igpt", tmp_path / "igpt.pt", tmp_path / "gpt", heads=2))
    options = protocol(lists[0], tmp_path / "run", gpt=tmp_path / "gpt", exposures=EXPOSURES, seeds=1, seed=3)
    run_memory(options)
    studied = published_tokens(lists[0] / "study", clusters)
    tested: dict[str, Tensor] = {}
    for condition in sorted((lists[0] / "test").iterdir()):
        tested |= published_tokens(condition, clusters)
    rows = read_trials(tmp_path / "run" / "runs" / "as_given_3" / "trials.csv")
    compare_scores(rows, model, tested, torch.stack(list(studied.values())), 3, EXPOSURES, 1e-5)


def test_noise_is_learned_as_the_published_loop_does(tmp_path: Path) -> None:
    noise = {"noise": 20, "noise_length": 16, "noise_codes": 8}
    options = protocol(None, tmp_path / "run", **noise, **TINY, seeds=1, seed=2)
    assert options.learning.exposures == 50
    run_memory(options)
    torch.manual_seed(2)
    train = torch.randint(0, 8, (20, 16))
    test = torch.randint(0, 8, (20, 16))
    torch.manual_seed(2)  # there the weights are drawn after the sequences
    model = MinGPT(**TINY, vocabulary=8, positions=15)
    tested = {f"noise_{number:05d}": row for number, row in enumerate(train)}
    rows = read_trials(tmp_path / "run" / "runs" / "as_given_2" / "trials.csv")
    seen = [row for row in rows if row.exposure == 0]
    assert len(seen) == 20
    foils = {f"foil_{number:05d}": row for number, row in enumerate(test)}
    named = [
        TrialRow(**{**vars(row), "foil": row.foil.replace("noise_0", "foil_0").replace("noise_unseen", "x")})
        for row in rows
    ]
    compare_scores(named, model, tested | foils, train, 2, 50, 1e-5)


@pytest.mark.parametrize(
    "other",
    [
        {"grad_clip": 0.1},
        {"resize": "exact"},
        {"order": "own"},
        {"initial_weights": "scaled"},
        {"batch": 16},
        {"bos": True, "initial_weights": "scaled"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_is_given_is_not_as_published(
    lists: tuple[Path, Path], palette: Path, run: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    options = protocol(lists[0], tmp_path, tokenizer=palette, **TINY, **other, exposures=2, seeds=1)
    run_memory(options)
    published = nll_by_name(read_trials(run / "runs" / "as_given_0" / "trials.csv"), 2)
    here = nll_by_name(read_trials(tmp_path / "runs" / "as_given_0" / "trials.csv"), 2)
    assert max(abs(here[name] - published[name]) for name in published) > 1e-4


def test_the_run_says_and_records_what_it_does_otherwise(
    lists: tuple[Path, Path], palette: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    run_memory(protocol(lists[0], out, tokenizer=palette, **TINY, exposures=1, seeds=1, grad_clip=1.0))
    said = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("protocol"))
    assert "igpt2022, but for" in said
    assert "--grad-clip 1 (there 0)" in said
    assert "--colours 12 (there 512)" in said
    assert "--ties" not in said
    with (out / "protocol.csv").open(newline="") as file:
        rows = {row["option"]: row for row in csv.DictReader(file)}
    assert rows["ties"] == {"option": "ties", "protocol": "wrong", "run": "wrong", "differs": "no"}
    assert rows["size"] == {"option": "size", "protocol": "64", "run": "6", "differs": "yes"}
    recorded = json.loads((out / "config.json").read_text())
    assert (recorded["protocol"], recorded["ties"], recorded["grad_clip"]) == ("igpt2022", "wrong", 1.0)
    assert read_options(out, MemoryOptions).protocol == "igpt2022"


def test_a_gpt_of_another_kind_is_said_to_be_one(
    lists: tuple[Path, Path], palette: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fingerprint = Palette.from_pretrained(palette).fingerprint
    GPT(PRESETS["demo"].for_tokens((1, SIDE, SIDE), COLOURS, fingerprint)).save_pretrained(tmp_path / "gpt")
    options = protocol(lists[0], tmp_path / "run", gpt=tmp_path / "gpt", tokenizer=palette, exposures=1, seeds=1)
    run_memory(options)
    said = capsys.readouterr().err
    assert "--variant rotary (there legacy), --bos yes (there no)" in said


def test_a_run_without_a_protocol_has_no_table_of_it(tmp_path: Path) -> None:
    run_memory(
        MemoryOptions.of(out=tmp_path, noise=5, noise_length=16, noise_codes=8, exposures=1, **PRESETS["demo"].flat())
    )
    assert not (tmp_path / "protocol.csv").exists()


def test_a_gpt_without_a_tokenizer_beside_it_is_refused(lists: tuple[Path, Path], tmp_path: Path) -> None:
    GPT(PRESETS["demo"]).save_pretrained(tmp_path / "gpt")
    with pytest.raises(ValueError, match="has no tokenizer beside it: give --tokenizer, or --fit-palette"):
        run_memory(protocol(lists[0], tmp_path / "run", gpt=tmp_path / "gpt"))


@pytest.mark.parametrize(("ties", "share"), [("half", 0.5), ("wrong", 0.0)])
def test_ties_are_wrong_or_count_half(ties: Ties, share: float, tmp_path: Path) -> None:
    # Sequences of two tokens that differ in the first alone, which is not modelled: all scores are equal.
    studied, foil = (Stimulus(name, name) for name in ("a", "b"))
    stimuli = StimulusList(tmp_path, (studied,), (Trial("item", "noise", studied, foil),))
    tokens = {"none": {"a": torch.tensor([0, 1]), "b": torch.tensor([1, 1])}}
    gpt = GPT(GPTConfig(layers=1, heads=1, width=8, grid=(1, 1, 2), vocab_size=2, variant="legacy", bos=False))
    torch.nn.init.zeros_(gpt.head.weight)
    session = Session.prepare(stimuli, tokens, "as_given", 0, torch.device("cpu"), ties=ties)
    (row,) = session.test(gpt, None, 0, 0)
    assert row.nll_studied == row.nll_foil
    assert row.correct == share


@settings(max_examples=40)
@given(items=st.integers(1, 70), seed=st.integers(0, 50), number=st.integers(1, 20))
def test_the_order_is_that_of_sixteen_processes(items: int, seed: int, number: int) -> None:
    shares = []
    for rank in range(PROCESSES):
        sampler: DistributedSampler[int] = DistributedSampler(range(items), PROCESSES, rank, seed=seed)  # type: ignore[arg-type]
        sampler.set_epoch(number - 1)
        shares.append(list(sampler))
    turns = [index for turn in zip(*shares, strict=True) for index in turn]
    assert igpt2022_order(items, seed, number).tolist() == turns


@settings(max_examples=30)
@given(side=st.integers(2, 90), size=st.integers(1, 40), seed=st.integers(0, 1000))
def test_pillow_scales_as_torchvision_does(side: int, size: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    levels = (scale_image(image, size, "pillow") + 1) * 127.5
    assert torch.equal(levels[:, 0].round().byte().permute(1, 2, 0), torch.from_numpy(np.array(Resize(size)(image))))
    assert (levels - levels.round()).abs().max() < 2e-5


def test_of_a_wide_image_the_middle_is_taken() -> None:
    image = Image.new("RGB", (30, 10))
    image.paste((255, 255, 255), (10, 0, 20, 10))
    assert scale_image(image, 10, "pillow").shape == (3, 1, 10, 10)
    assert scale_image(image, 10, "pillow").min() == 1


def test_a_palette_of_the_list_is_made_when_asked_for(lists: tuple[Path, Path], tmp_path: Path) -> None:
    options = protocol(lists[0], tmp_path, fit_palette=True, colours=8, size=4, **TINY, exposures=1, seeds=1)
    run_memory(options)
    assert Palette.from_pretrained(tmp_path / "tokenizer").vocab_size == 8


def test_recall_takes_images_as_they_were_studied(tmp_path: Path) -> None:
    stimuli = make_list(tmp_path / "list", items=2)
    options = protocol(stimuli, tmp_path / "run", fit_palette=True, colours=8, size=4, **TINY, exposures=1, recall=1)
    run_memory(options)
    assert (tmp_path / "run" / "recall.csv").exists()
