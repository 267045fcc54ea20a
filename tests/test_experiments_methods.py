"""Methods in words: what runs have in common is said once, and nothing that was asked for is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diversity_runs import Trained, make_trained, run_options
from figure_files import drawn_as
from memory_lists import make_list, make_options
from memory_runs import make_run, make_trials

from experiments.diversity.experiment import run_diversity
from experiments.diversity.options import DiversityOptions, DiversityReportOptions
from experiments.diversity.reporting.methods import WORDED as DIVERSITY_WORDED
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.experiment import run_memory
from experiments.memory.merge import read_run_folders
from experiments.memory.methods import WORDED, memory_methods
from experiments.memory.options import MemoryOptions, ReportOptions
from experiments.memory.report import report_memory
from experiments.methods import compose, further_options, listed, methods_section
from gpt.config import PRESETS
from gpt.flops import parameter_count
from gpt.model import GPT
from gpt.options import TrainOptions
from storage.options import leaves
from storage.run_folder import open_run
from storage.tables import write_table


def words(path: Path) -> str:
    """A text file as one line."""
    return " ".join(path.read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two real runs, which differ in their learning rates."""
    folder = tmp_path_factory.mktemp("real")
    stimuli = make_list(folder / "list")
    runs = []
    for rate in (1e-3, 3e-3):
        run_memory(make_options(stimuli, folder / f"rate_{rate}", learning_rate=rate, seeds=2))
        runs.append(folder / f"rate_{rate}")
    return report_memory(ReportOptions(tuple(runs), folder / "out"))


@pytest.mark.parametrize(
    "said",
    [
        "Studied were 12 images of the list list; tested were 10 pairs of a studied one and a foil (5 novel and 5 "
        "state).",
        "The list was counterbalanced",
        "scaled to 4 x 4 pixels, and each pixel became the nearest of 8 colours",
        f"{parameter_count(PRESETS['demo'].for_tokens((1, 4, 4), 8)):,} parameters",
        "presented 2 times, each pass in a new random order, in batches of 2.",
        "without weight decay; gradients were clipped to a norm of 1.",
        "Seeds 0 to 1.",
        "a tie counted one half",
        "In what follows the runs differ.",
        "rate_0.001: The optimizer was Adam (Kingma and Ba 2015, with their defaults) that began afresh, with a "
        "constant learning rate of 0.001",
        "rate_0.003: The optimizer was Adam",
        "Software: Secondsight ",
        "PyTorch ",
        "Holm's method (1979)",
    ],
)
def test_methods_of_memory_say(real: Path, said: str) -> None:
    assert said in words(real / "methods.txt")


def test_methods_are_on_the_page_too(real: Path) -> None:
    page = (real / "report.html").read_text(encoding="utf-8")
    assert "<h2>Methods</h2>" in page
    assert "<code>rate_0.001</code>" not in page
    assert "the nearest of 8 colours" in page


def test_methods_txt_has_no_markup_and_short_lines(real: Path) -> None:
    text = (real / "methods.txt").read_text(encoding="utf-8")
    assert "`" not in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("png", "the same text. codebook.csv says"),
        ("svg", "Every plot of this page lies beside it as .svg, and codebook.csv says"),
        ("png,pdf,svg", "Every plot of this page lies beside it as .pdf and .svg, and codebook.csv says"),
    ],
)
def test_the_page_names_the_files_of_its_plots_that_there_are(tmp_path: Path, asked: str, said: str) -> None:
    with drawn_as(asked):
        assert said in methods_section(tmp_path, ["Done."]).text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"grad_clip": 0.0}, "gradients were not clipped"),
        ({"optimizer": "sgd"}, "gradient descent with momentum 0.9"),
        ({"learning_rate": 0.0, "store_layer": 1}, "The weights were not trained"),
        ({"steps_per_exposure": 3, "replay": 2}, "with 3 optimizer steps in a row on each, each with up to 2 images"),
        ({"trained_blocks": 2}, "Only the last 2 blocks, the norm and the head were trained."),
        ({"then": Path("other"), "then_exposures": 4}, "Afterwards another list, other, was presented 4 times."),
        (
            {"stimuli": None, "noise": 12, "noise_length": 16},
            "12 random sequences of 16 tokens, drawn uniformly from 512",
        ),
        ({"half": "first"}, "the first half of each condition"),
        ({"resize": "pillow"}, "scaled by Pillow's bilinear filter and rounded to 8 bits."),
        ({"order": "igpt2022"}, "each pass in the order of the published code"),
        ({"variant": "legacy", "bos": False, "initial_weights": "mingpt"}, "as the published code draws them"),
        (
            {"stimuli": None, "noise": 12, "noise_length": 16, "protocol": "igpt2022"},
            "The protocol was that of Orhan (2022, arXiv 2204.13061)",
        ),
        ({"exclude_defects": True}, "What was found defective in the list was left out."),
        ({"tokenizer": Path("gone")}, "tokens of the tokenizer gone."),
        ({"gpt": Path("gone")}, "The GPT gone learned them; its architecture is not at hand."),
        ({"variant": "legacy", "bos": False, "dropout": 0.1}, "GELU and biases, without a BOS token, dropout 0.1."),
    ],
)
def test_options_become_sentences(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    run = make_run(tmp_path / "run", make_trials(exposures=1, versions=("as_given",)), **options)
    memory_methods(tmp_path, read_run_folders([run]))
    assert said in words(tmp_path / "methods.txt")


def test_trials_alone_have_methods(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", make_trials(exposures=1, versions=("as_given",)))
    (run / "config.json").unlink()
    memory_methods(tmp_path, read_run_folders([run]))
    text = words(tmp_path / "methods.txt")
    assert "How it learned is not recorded." in text
    assert "without counterbalancing" in text


def test_options_that_no_sentence_is_about_are_named() -> None:
    options = MemoryOptions.of(stimuli=Path("list"), out=Path("run"), replay=3, batch=7, save_every=2)
    assert further_options(options, WORDED - {"replay"}) == "Further options were `--replay 3`."
    assert further_options(options, WORDED) == ""


@pytest.mark.parametrize(("kind", "worded"), [(MemoryOptions, WORDED - {"ties"}), (DiversityOptions, DIVERSITY_WORDED)])
def test_sentences_are_about_options_that_there_are(kind: Any, worded: frozenset[str]) -> None:
    assert worded - set(leaves(kind)) == set()


def test_runs_with_the_same_sentence_are_named_together() -> None:
    facts = {"a": {"x": "X.", "y": "Y."}, "b": {"x": "X.", "y": "Z."}, "c": {"x": "X.", "y": "Y."}, "d": {"x": "X."}}
    assert compose(facts) == ["X.", "In what follows the runs differ.", "a and c: Y. b: Z."]


def test_words_are_listed() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def diversity(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The methods of a real diversity run, of a GPT in a run folder."""
    folder = tmp_path_factory.mktemp("diversity")
    options = TrainOptions.of(tokens=trained.tokens, out=folder / "gpt", steps=9, learning_rate=2e-3, precision="bf16")
    open_run(folder / "gpt", options)
    GPT.from_pretrained(trained.gpt).save_pretrained(folder / "gpt" / "final")
    run_diversity(run_options(trained._replace(gpt=folder / "gpt"), folder / "run"))
    report_diversity(DiversityReportOptions((folder / "run",), folder / "out"))
    return words(folder / "out" / "methods.txt")


@pytest.mark.parametrize(
    "said",
    [
        "Continued were 4 clips of the training split (studied) and 4 of the validation split (new).",
        "tokens (latent frames, rows, columns) of ",
        "planned for 9 steps in batches of 8 with AdamW (betas 0.9 and 0.95, weight decay 0.05 on matrices) at a peak "
        "learning rate of 0.002, reached in 50 steps followed by a cosine down to a tenth of it",
        "precision bf16, seed 0.",
        "Given were 1 (50.0 %) latent frames from the beginning",
        "Each prompt was continued 3 times, at temperature 1, drawn by taking the largest sum of log-probability and "
        "Gumbel noise; seed 0.",
        "are root mean square differences of pixels and shares of tokens that differ.",
        "Software: Secondsight ",
        "Holm's method (1979)",
    ],
)
def test_methods_of_diversity_say(diversity: str, said: str) -> None:
    assert said in diversity


def test_study_csv_counts_what_was_studied_beside_the_trials(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", make_trials(exposures=1))
    write_table(run / "study.csv", [{"path": str(index), "sha256": ""} for index in range(1000)], ["path", "sha256"])
    memory_methods(tmp_path, read_run_folders([run]))
    assert "Studied were 1,000 images of the list list" in words(tmp_path / "methods.txt")
