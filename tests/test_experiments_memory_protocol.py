"""`--protocol igpt2022` beside the published experiment, written here once more with torch and torchvision alone.

What is written here follows the public code of Orhan (2022, arXiv 2204.13061) in what it does: images listed by
ImageFolder, scaled by Resize, coloured in float32; a minGPT under a seed; sixteen processes, each with its own share of
DistributedSampler's order, whose gradients are averaged; a fresh Adam, nothing clipped.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_lists import make_list
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DistributedSampler, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import Resize

import secondsight
from data.stimuli.lists import Stimulus, StimulusList, Trial
from experiments.memory.experiment import run_memory
from experiments.memory.learner import igpt2022_order
from experiments.memory.material import scale_image
from experiments.memory.options import MemoryOptions, SweepOptions, Ties
from experiments.memory.recognition import Session
from experiments.memory.sweep import sweep_cells
from experiments.statistics.trials import TrialRow, read_trials
from gpt.config import PRESETS, GPTConfig
from gpt.import_weights import import_weights
from gpt.model import GPT
from gpt.options import ImportOptions
from storage.command import arguments_of
from storage.run_folder import read_options
from vqgan.palette import Palette

PROCESSES = 16
TINY = {"layers": 2, "heads": 2, "width": 16}
SIDE = 6
COLOURS = 12
EXPOSURES = 10


class MinGPT(nn.Module):
    """The published architecture: layer norm, learned positions, GELU, biases, no BOS token."""

    def __init__(self, layers: int, heads: int, width: int, vocabulary: int, positions: int) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(vocabulary, width)
        self.pos_emb = nn.Parameter(torch.zeros(1, positions, width))
        self.blocks = nn.Sequential(*(MinBlock(width, heads) for _ in range(layers)))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.apply(self.begin)

    @staticmethod
    def begin(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.data.normal_(mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            module.bias.data.zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the NLL (B, L - 1) of tokens (B, L)."""
        read, wanted = tokens[:, :-1], tokens[:, 1:]
        x = self.blocks(self.tok_emb(read) + self.pos_emb[:, : read.shape[1]])
        return F.cross_entropy(self.head(self.ln_f(x)).permute(0, 2, 1), wanted, reduction="none")


class MinAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
        later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        seen = scores.masked_fill(later, -torch.inf).softmax(dim=-1) @ v
        return self.proj(seen.transpose(1, 2).flatten(2))


class MinBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        self.attn = MinAttention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


def published_tokens(folder: Path, clusters: Tensor) -> dict[str, Tensor]:
    """The tokens of the images that ImageFolder lists, in its order, by file name."""
    found: dict[str, Tensor] = {}
    images = ImageFolder(str(folder), Resize(SIDE))
    for (path, _), (image, _) in zip(images.samples, images, strict=True):
        pixels = torch.from_numpy(np.array(image)).view(-1, 3).float()
        found[Path(path).name] = ((pixels[:, None, :] - clusters[None]) ** 2).sum(-1).argmin(1)
    return found


def published_study(model: MinGPT, items: Tensor, seed: int, epochs: int, rate: float = 5e-4) -> Any:
    """Study (N, L) items, and yield after each epoch."""
    optimizer = torch.optim.Adam(model.parameters(), rate, weight_decay=0.0)
    samplers: list[DistributedSampler[Any]] = [
        DistributedSampler(TensorDataset(items), PROCESSES, rank, seed=seed) for rank in range(PROCESSES)
    ]
    for epoch in range(epochs):
        model.train()
        shares = []
        for sampler in samplers:
            sampler.set_epoch(epoch)
            shares.append(torch.tensor(list(sampler)).split(2))
        for of_processes in zip(*shares, strict=True):
            # All shares are equally long, so that the mean of their gradients is the gradient of their mean.
            model.zero_grad()
            model(items[torch.cat(of_processes)]).mean().backward()
            optimizer.step()
        model.eval()
        yield epoch + 1


def scores(model: MinGPT, tokens: dict[str, Tensor]) -> dict[str, float]:
    """The mean NLL of each sequence, by name."""
    with torch.no_grad():
        nll = model(torch.stack(list(tokens.values()))).mean(dim=1)
    return dict(zip(tokens, nll.tolist(), strict=True))


def make_published(root: Path) -> tuple[Path, Path]:
    """Two lists in the layout of the published ones: the images seen in one are unseen in the other.

    Images are squares on white, of a size at which they are scaled.
    """
    generator = np.random.default_rng(0)

    def image() -> Image.Image:
        pixels = np.full((20, 20, 3), 255, dtype=np.uint8)
        pixels[4:15, 3:17] = generator.integers(0, 256, (11, 14, 3))
        return Image.fromarray(pixels)

    # Names of fillers that come between those of a pair: in the second list other images come first.
    images = {f"filler_{number}.png": image() for number in range(23)}
    images |= {f"state_{number}15.png": image() for number in range(3)}
    for condition in ("novel", "state"):
        for number in range(5):
            for side in (1, 2):
                images[f"{condition}_{number}{side}.png"] = image()
    lists = (root / "list_1", root / "list_2")
    for folder, seen in zip(lists, ("2", "1"), strict=True):
        for name, picture in images.items():
            condition = name.split("_")[0]
            paired = len(name) == len("state_01.png") and condition != "filler"
            places = ["study/study"] if not paired or name[-5] == seen else []
            if paired:
                places.append(f"test/{condition}_{'seen' if name[-5] == seen else 'unseen'}/{condition}_{name[-5]}")
            for place in places:
                (folder / place).mkdir(parents=True, exist_ok=True)
                picture.save(folder / place / name)
    return lists


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


def parsed(*words: str) -> MemoryOptions:
    options = secondsight.parse(["memory", "run", "--out", "o", *words])
    assert isinstance(options, MemoryOptions)
    return options


IGPT = ("--stimuli", "s", "--protocol", "igpt2022", "--tokenizer", "t")


def test_the_protocol_sets_what_was_published() -> None:
    options = parsed(*IGPT)
    assert options.model == GPTConfig(
        layers=24, heads=8, width=512, grid=options.model.grid, vocab_size=options.model.vocab_size,
        variant="legacy", bos=False,
    )  # fmt: skip
    learning = options.learning
    assert (options.batch, options.learning_rate, learning.grad_clip) == (32, 5e-4, 0)
    assert (learning.optimizer, learning.optimizer_state, learning.seed, learning.seeds) == ("adam", "fresh", 0, 2)
    assert (learning.order, learning.initial_weights, learning.exposures) == ("igpt2022", "mingpt", 100)
    material = options.material
    assert (material.colours, material.size, material.resize, material.fit_palette) == (512, 64, "pillow", False)
    assert options.test.ties == "wrong"


def test_without_the_protocol_all_is_as_before() -> None:
    assert parsed("--stimuli", "s") == MemoryOptions.of(stimuli=Path("s"), out=Path("o"))
    assert parsed("--stimuli", "s").test.ties == "half"


def test_a_gpt_that_is_there_studies_thirty_times_and_keeps_its_weights() -> None:
    options = parsed("--stimuli", "s", "--protocol", "igpt2022", "--gpt", "g")
    assert (options.learning.exposures, options.learning.initial_weights) == (30, "scaled")


def test_noise_has_sequences_of_one_seed_and_fifty_exposures() -> None:
    options = parsed("--noise", "2500", "--protocol", "igpt2022")
    material = options.material
    assert (material.noise_length, material.noise_codes) == (4096, 512)
    assert (options.learning.exposures, options.learning.seeds) == (50, 1)


def test_a_preset_gives_the_size_and_the_protocol_the_kind() -> None:
    model = parsed(*IGPT, "--preset", "igpt-mini").model
    assert (model.layers, model.heads, model.width, model.variant, model.bos) == (6, 2, 512, "legacy", False)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("--grad-clip", "1"), "grad_clip", 1.0),
        (("--exposures", "3"), "exposures", 3),
        (("--ties", "half"), "ties", "half"),
        (("--order", "own"), "order", "own"),
        (("--batch=16",), "batch", 16),
        (("--bos", "--initial-weights", "scaled"), "bos", True),
    ],
)
def test_what_is_named_is_taken(words: tuple[str, ...], name: str, value: Any) -> None:
    assert parsed(*IGPT, *words).flat()[name] == value


@pytest.mark.parametrize(
    "words",
    [
        IGPT,
        (*IGPT, "--grad-clip", "1", "--batch", "2", "--resize", "exact", "--seeds", "1", "--learning-rate", "3e-4"),
        (*IGPT, "--preset", "tiny"),
        (*IGPT, "--preset", "tiny", "--dropout", "0.1"),
        ("--stimuli", "s", "--protocol", "igpt2022", "--gpt", "g", "--exposures", "20"),
        ("--noise", "50", "--protocol", "igpt2022", "--noise-length", "256"),
    ],
)
def test_the_command_that_is_written_down_means_the_same(words: tuple[str, ...]) -> None:
    options = parsed(*words)
    assert secondsight.parse(arguments_of(options)) == options


def test_a_config_file_with_the_protocol_needs_no_more(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"protocol": "igpt2022", "batch": 4}))
    options = parsed("--stimuli", "s", "--tokenizer", "t", "--config", str(tmp_path / "config.json"))
    assert (options.batch, options.learning_rate, options.learning.grad_clip) == (4, 5e-4, 0)


def test_cells_of_a_sweep_have_the_protocol() -> None:
    words = "memory sweep --out o --stimuli a b --presets igpt-s tiny --gpts g --tokenizer t --protocol igpt2022"
    options = secondsight.parse([*words.split(), "--seeds", "1"])
    assert isinstance(options, SweepOptions)
    cells = sweep_cells(options)
    assert len(cells) == 6
    assert {(cell.protocol, cell.batch, cell.learning_rate, cell.learning.seeds) for cell in cells} == {
        ("igpt2022", 32, 5e-4, 1)
    }
    new = [cell for cell in cells if cell.gpt is None]
    assert {(cell.model.variant, cell.model.bos, cell.learning.initial_weights) for cell in new} == {
        ("legacy", False, "mingpt")
    }
    alone = parsed("--stimuli", "a", *IGPT[2:], "--preset", "igpt-s", "--seeds", "1")
    assert cells[0].flat() == alone.changed(out=cells[0].out, resume="auto").flat()


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--stimuli s --protocol igpt2022",
            "--protocol igpt2022 makes no palette of the list: give --tokenizer, a --gpt that has one, or",
        ),
        ("--stimuli s --protocol igpt2022 --tokenizer t --fit-palette", "--tokenizer and --fit-palette exclude each"),
        ("--stimuli s --no-fit-palette", "--no-fit-palette makes no palette of the list"),
        (
            "--stimuli s --protocol igpt2022 --tokenizer t --variant rotary --bos",
            "--initial-weights mingpt needs --variant legacy --no-bos, not --variant rotary --bos",
        ),
        (
            "--stimuli s --protocol igpt2022 --gpt g --initial-weights mingpt",
            "--initial-weights mingpt is for a new GPT: leave it out with --gpt",
        ),
        ("--stimuli s --protocol igpt2022 --gpt g --preset igpt-s", "--gpt and --preset exclude each other"),
        ("--noise 9 --protocol igpt2022 --tokenizer t", "--tokenizer is for images: leave it out with --noise"),
        ("--stimuli s --protocol igpt2022 --gpt g --config CONFIG", "which has the protocol none, exclude each other"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_line(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"protocol": None, "batch": 4}))
    with pytest.raises(SystemExit) as stopped:
        parsed(*words.replace("CONFIG", str(config)).split())
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_gpt_without_a_tokenizer_beside_it_is_refused(lists: tuple[Path, Path], tmp_path: Path) -> None:
    GPT(PRESETS["demo"]).save_pretrained(tmp_path / "gpt")
    with pytest.raises(ValueError, match="has no tokenizer beside it: give --tokenizer, or --fit-palette"):
        run_memory(protocol(lists[0], tmp_path / "run", gpt=tmp_path / "gpt"))


def test_an_unknown_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--protocol 'brady2008' must be igpt2022"):
        MemoryOptions.of(stimuli=tmp_path, out=tmp_path, protocol="brady2008")


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
