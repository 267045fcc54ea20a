"""Observers that sit the memory test: those that come along, one's own, and tables of scores."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from memory_lists import make_list, make_options
from tiny import make_gpt, make_palette
from torch import Tensor

import secondsight
from data.stimuli.lists import StimulusList, read_stimuli
from experiments.memory.experiment import run_memory
from experiments.memory.material import Clips, read_scaled
from experiments.memory.merge import read_run_folders
from experiments.memory.observers.autoencoder import Autoencoder
from experiments.memory.observers.examinee import Examinee
from experiments.memory.observers.experiment import run_observe
from experiments.memory.observers.given import ScoresError
from experiments.memory.observers.options import ObserveOptions, ObserverOptions
from experiments.memory.observers.own_gpt import OwnGPT, OwnGPTStore
from experiments.memory.observers.run import ObserverRun
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.observers import ObserverError
from experiments.statistics.accuracy import Accuracy, pooled
from experiments.statistics.trials import read_trials
from gpt.config import GPTConfig
from storage.run_folder import RunFolderError
from storage.tables import read_table, write_table

PAGE = Path(__file__).parents[1] / "docs" / "how_to" / "observers.md"
NUMBERS = itertools.count()
GPT = ("preset=demo", "colours=8", "size=4", "learning_rate=0.003")
FAST = ("size=8", "width=8", "learning_rate=0.01")

RECORDING = """
import torch

class Recording:
    size = 4
    calls = []

    def study(self, images):
        self.calls.append(("study", images.clone()))

    def score(self, images):
        self.calls.append(("score", images.clone()))
        return images.flatten(1).mean(dim=1)
"""
"""An observer that keeps what it is given."""

FAILING = """
from pathlib import Path
import torch

class Failing:
    size = 4
    passes = 0

    def study(self, images):
        self.passes += 1
        if self.passes > {fails_after} and not Path("corrected").exists():
            raise RuntimeError("out of ideas")
        torch.manual_seed(torch.randint(1000, ()).item())

    def score(self, images):
        with Path("tests").open("a") as tests:
            tests.write("x")
        return images.flatten(1).mean(dim=1) * self.passes
"""
"""An observer that fails while it studies, until it is corrected."""


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("stimuli") / "list")


@pytest.fixture(scope="module")
def listed(stimuli: Path) -> StimulusList:
    return read_stimuli(stimuli)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, which is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    return tmp_path


def write_module(here: Path, text: str) -> str:
    """Write a module of a name that no test had before, and return it."""
    name = f"own_observer_{next(NUMBERS)}"
    (here / f"{name}.py").write_text(text)
    return name


def observe(stimuli: Path, out: Path, **others: Any) -> list[Accuracy]:
    return run_observe(ObserveOptions.of(stimuli=stimuli, out=out, **{"exposures": 2, **others}))


def last(results: list[Accuracy]) -> dict[str, float]:
    return {condition: curve[-1].accuracy for condition, curve in pooled(results).items()}


def scores_of(text: str) -> str:
    """A module whose `Own` scores images (N, 3, H, W) by an expression of them."""
    return f"""
import numpy as np
import torch

class Own:
    size = 4

    def study(self, images):
        pass

    def score(self, images):
        return {text}
"""


# Observers that come along


def test_our_gpt_writes_the_trials_of_a_memory_run_byte_for_byte(stimuli: Path, tmp_path: Path) -> None:
    both = {"changes": ("brightness",), "seeds": 2, "exposures": 1}
    run_memory(make_options(stimuli, tmp_path / "run", **both))
    observe(stimuli, tmp_path / "observed", observer="gpt", settings=GPT, **both)
    assert (tmp_path / "observed" / "trials.csv").read_bytes() == (tmp_path / "run" / "trials.csv").read_bytes()


def test_our_gpt_takes_the_tokenizer_and_the_weights_of_a_folder(stimuli: Path, tmp_path: Path) -> None:
    run_memory(make_options(stimuli, tmp_path / "run", half="first"))
    tokenizer = tmp_path / "run" / "tokenizer"
    settings = (*GPT[:1], f"tokenizer={tokenizer}", GPT[3])
    observe(stimuli, tmp_path / "observed", observer="gpt", settings=settings, half="first")
    assert (tmp_path / "observed" / "trials.csv").read_bytes() == (tmp_path / "run" / "trials.csv").read_bytes()


def test_what_others_have_trained_is_known_by_its_weights(tmp_path: Path) -> None:
    tokenizer = make_palette()
    config = GPTConfig(
        layers=1, heads=1, width=8, grid=(1, 8, 8), vocab_size=tokenizer.vocab_size, tokenizer=tokenizer.fingerprint
    )
    known = set()
    for seed in (0, 1):
        make_gpt(config, seed).save_pretrained(tmp_path / "gpt")
        tokenizer.save_pretrained(tmp_path / "gpt" / "tokenizer")
        for observer in ("gpt", "gpt-store"):
            options = ObserverOptions.of(observer=observer, settings=(f"gpt={tmp_path / 'gpt'}",))
            known.add((observer, Examinee(options, 0).fingerprint))
        options = ObserverOptions.of(observer="timm", settings=("network=random:test_resnet", f"seed={seed}"))
        known.add(("timm", Examinee(options, 0).fingerprint))
    assert len(known) == 6
    assert all(fingerprint for _, fingerprint in known)


SAT: dict[str, tuple[tuple[str, ...], int]] = {
    "autoencoder": (FAST, 12),
    "chance": ((), 12),
    "gpt-ratio": (GPT, 8),
    "gpt-store": (GPT[:3], 1),
    "template": ((), 1),
    "timm": (("network=random:test_resnet",), 1),
}
"""Settings and exposures of those that come along."""


@pytest.fixture(scope="module", params=list(SAT))
def sat(
    request: pytest.FixtureRequest, stimuli: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Accuracy]]:
    """An observer that comes along, and its accuracies."""
    settings, exposures = SAT[request.param]
    out = tmp_path_factory.mktemp("sat")
    return request.param, observe(stimuli, out, observer=request.param, settings=settings, exposures=exposures)


def test_before_study_everybody_is_at_exactly_one_half(sat: tuple[str, list[Accuracy]]) -> None:
    assert {curve[0].accuracy for curve in pooled(sat[1]).values()} == {0.5}


def test_after_study_all_but_chance_know_what_they_have_seen(sat: tuple[str, list[Accuracy]]) -> None:
    observer, results = sat
    if observer == "chance":
        shares = [point.accuracy for curve in pooled(results).values() for point in curve[1:]]
        assert 0.35 < sum(shares) / len(shares) < 0.65
        assert len(set(shares)) > 3
    elif observer in ("autoencoder", "gpt-ratio"):
        assert min(last(results).values()) >= 0.9
    else:
        assert last(results) == {"novel": 1.0, "state": 1.0}


def test_random_weights_are_said_to_be_random(tmp_path: Path) -> None:
    options = ObserverOptions.of(observer="timm", settings=("network=random:test_resnet",))
    assert Examinee(options, 0).name == "timm test_resnet, random weights"


def test_a_network_that_nobody_has_is_refused() -> None:
    with pytest.raises(ObserverError, match=r"network=resnet is none of efficientnet-lite0, .*timm:<model>:<file>"):
        Examinee(ObserverOptions.of(observer="timm", settings=("network=resnet",)), 0)


def test_an_observer_without_what_it_needs_is_refused_with_how_to_give_it() -> None:
    with pytest.raises(ObserverError, match=r"without arguments .*'model'.*: give them with --settings NAME=VALUE, or"):
        Examinee(ObserverOptions.of(observer="imagegpt"), 0)


def test_an_autoencoder_redraws_what_it_studies_better() -> None:
    torch.manual_seed(0)
    autoencoder = Autoencoder(size=8, width=8)
    images = (torch.rand(4, 3, 1, 1) * 2 - 1).expand(4, 3, 8, 8)
    before = autoencoder.score(images).mean()
    for _ in range(50):
        autoencoder.study(images)
    assert autoencoder.score(images).mean() < 0.5 * before


@pytest.mark.parametrize("name", ["autoencoder", "gpt"])
def test_an_observer_is_made_for_the_size_of_the_command(name: str) -> None:
    settings = ("width=8",) if name == "autoencoder" else ("preset=demo", "colours=4")
    examinee = Examinee(ObserverOptions.of(observer=name, settings=settings, size=12), 0)
    images = torch.rand(2, 3, 12, 12) * 2 - 1
    examinee.prepare(images)
    assert examinee.score(images, ("a", "b"), 0)["weights"].shape == (2,)


# One's own


def test_the_example_of_the_page_sits_the_test(stimuli: Path, here: Path) -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len([line for line in text.splitlines() if line.strip()]) <= 20
    name = write_module(here, text)
    results = observe(stimuli, here / "out", observer=f"{name}:MeanColour", settings=("keep=500",), size=32)
    assert last(results) == {"novel": 1.0, "state": 1.0}
    assert {row.model for row in read_trials(here / "out" / "trials.csv")} == {"MeanColour, keep 500"}


def test_an_exposure_is_a_pass_over_the_list_in_an_order_of_its_own(stimuli: Path, here: Path) -> None:
    name = write_module(here, RECORDING)
    observe(stimuli, here / "out", observer=f"{name}:Recording", batch=5)
    calls = __import__(name).Recording.calls
    kinds = [kind for kind, _ in calls[: len(calls) // 2]]
    assert kinds == ["score", "study", "study", "study", "score", "study", "study", "study", "score"]
    first, second = (torch.cat([images for _, images in calls[start : start + 3]]) for start in (1, 5))
    assert not torch.equal(first, second)
    assert torch.equal(first.flatten(1).sum(1).sort().values, second.flatten(1).sum(1).sort().values)


def test_images_are_float32_between_minus_1_and_1(stimuli: Path, here: Path) -> None:
    name = write_module(here, RECORDING)
    observe(stimuli, here / "out", observer=f"{name}:Recording", size=6)
    for _, images in __import__(name).Recording.calls:
        assert images.shape[1:] == (3, 6, 6)
        assert images.dtype == torch.float32
        assert -1 <= images.min() < 0 < images.max() <= 1


def test_what_an_observer_does_with_its_images_has_no_effect(stimuli: Path, here: Path) -> None:
    spoiling = RECORDING.replace("return images.flatten(1).mean(dim=1)", "return images.zero_().flatten(1).mean(dim=1)")
    name = write_module(here, spoiling)
    observe(stimuli, here / "out", observer=f"{name}:Recording")
    assert all(images.abs().max() > 0 for _, images in __import__(name).Recording.calls)


def test_several_readouts_are_told_apart(stimuli: Path, here: Path) -> None:
    name = write_module(here, scores_of("{'weights': images[:, 0, 0, 0], 'last': images[:, -1, -1, -1]}"))
    observe(stimuli, here / "out", observer=f"{name}:Own")
    assert {row.readout for row in read_trials(here / "out" / "trials.csv")} == {"weights", "last"}


@pytest.mark.parametrize("text", ["images.numpy().mean((1, 2, 3))", "(100 * images.mean((1, 2, 3))).long()"])
def test_numpy_and_whole_numbers_are_scores(here: Path, text: str) -> None:
    name = write_module(here, scores_of(text))
    examinee = Examinee(ObserverOptions.of(observer=f"{name}:Own"), 0)
    scores = examinee.score(torch.ones(3, 3, 4, 4), ["a", "b", "c"], 0)["weights"]
    assert scores.dtype == torch.float64
    assert scores.shape == (3,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images.mean((1, 2, 3))[:-1]", r"returned scores of shape \(19,\) for 20 images"),
        ("images.mean((1, 2))", r"returned scores of shape \(20, 4\) for 20 images"),
        ("images.mean((1, 2, 3)) / 0 * 0", "returned nan for study/novel_0.png, and no finite number for 20 of 20"),
        ("images.mean((1, 2, 3)) / 0", "returned (-?)inf for "),
        ("images.mean((1, 2, 3)) > 0", "returned torch.bool: scores are real numbers, lower for more familiar"),
        ("images.mean((1, 2, 3)) + 1j", "returned torch.complex64: scores are real numbers"),
        ("None", "returned a NoneType, no tensor"),
        ("{}", "returned scores of no readout"),
        ("[object()] * len(images)", "returned a list, no tensor"),
        ("images.nonsense()", "failed at the test after exposure 0 .AttributeError: .*own_observer_.*, line 12"),
        ("exit('usage')", "failed at the test after exposure 0 .SystemExit: usage"),
    ],
)
def test_what_is_no_score_is_refused(stimuli: Path, here: Path, text: str, message: str) -> None:
    name = write_module(here, scores_of(text))
    with pytest.raises(ObserverError, match=message):
        observe(stimuli, here / "out", observer=f"{name}:Own")


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"settings": ("keep",)}, "--settings keep must be NAME=VALUE"),
        ({"settings": ("keep=1", "keep=2")}, "--settings names keep twice"),
        ({"settings": ("kep=1",)}, "--settings kep=1: there is no setting 'kep'; .* did you mean keep?"),
        ({"settings": ("keep=many",)}, "--settings keep=many must be a whole number"),
        ({"observer": None, "settings": ()}, "give one that sits the test"),
        ({"scores": Path("scores.csv")}, "give one that sits the test"),
        ({"observer": None, "settings": ("keep=1",)}, "need an --observer"),
        ({"observer": "tempalte", "settings": ()}, "--observer tempalte must name a module and a class"),
    ],
)
def test_who_sits_the_test_must_be_said(stimuli: Path, here: Path, others: dict[str, Any], message: str) -> None:
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    name = write_module(here, text)
    with pytest.raises(ValueError, match=message):
        observe(stimuli, here / "out", **{"observer": f"{name}:MeanColour", **others})


def test_options_that_a_table_of_scores_decides_are_refused(
    stimuli: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["memory", "observe", "--stimuli", str(stimuli), "--scores", "a.csv", "--exposures", "3", "--out", "out"]
    with pytest.raises(SystemExit):
        secondsight.main(words)
    assert "--exposures is for an --observer: the table of --scores says it, leave it out" in capsys.readouterr().err


# Going on


def test_what_was_finished_before_an_observer_failed_is_kept(stimuli: Path, here: Path) -> None:
    name = write_module(here, FAILING.format(fails_after=15))
    asked = {"observer": f"{name}:Failing", "exposures": 4, "resume": "auto"}
    with pytest.raises(ObserverError, match=r"failed while it studied, in exposure 3 \(RuntimeError: out of ideas"):
        observe(stimuli, here / "out", **asked)
    assert len(list((here / "out" / "runs" / "as_given_0" / "scores").iterdir())) == 3
    (here / "corrected").touch()
    (here / "tests").unlink()
    observe(stimuli, here / "out", **asked)
    assert len((here / "tests").read_text()) == 2 + 5, "only what was not finished is tested"


def sit(listed: StimulusList, folder: Path, observer: str, settings: tuple[str, ...], exposures: int) -> ObserverRun:
    """Carry out what is not finished of a run, and return it."""
    options = ObserveOptions.of(
        stimuli=listed.root, out=folder, observer=observer, settings=settings, exposures=exposures, batch=2
    )
    examinee = Examinee(options.sitting, 0)
    clips: Clips = {}
    for batch in read_scaled(listed, examinee.size, "exact"):
        clips |= batch
    run = ObserverRun(folder, clips, listed, "as_given", 0, options, "")
    run.carry_out(examinee, run.finished())
    return run


def same(one: ObserverRun, other: ObserverRun) -> bool:
    """Whether the scores of two runs are the same, bit for bit."""
    scores = [run.judged() for run in (one, other)]
    return scores[0].keys() == scores[1].keys() and all(
        torch.equal(scores[0][key], scores[1][key]) for key in scores[0]
    )


@pytest.mark.parametrize(
    ("observer", "settings"),
    [("autoencoder", FAST), ("gpt", GPT), ("gpt-store", GPT[:3]), ("template", ()), ("chance", ())],
)
def test_a_run_that_is_made_longer_ends_as_one_that_was_that_long(
    listed: StimulusList, tmp_path: Path, observer: str, settings: tuple[str, ...]
) -> None:
    sit(listed, tmp_path / "short", observer, settings, exposures=1)
    longer = sit(listed, tmp_path / "short", observer, settings, exposures=2)
    assert same(longer, sit(listed, tmp_path / "long", observer, settings, exposures=2))


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize(
    ("observer", "settings", "kind"),
    [("autoencoder", FAST, Autoencoder), ("gpt", GPT, OwnGPT), ("gpt-store", GPT[:3], OwnGPTStore)],
)
def test_a_run_that_fails_goes_on_from_its_state(
    listed: StimulusList,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    observer: str,
    settings: tuple[str, ...],
    kind: type,
    damaged: bool,
) -> None:
    """It fails in the last of three passes of six batches, with a state of the pass before."""
    studied: list[int] = []
    study = kind.study  # type: ignore[attr-defined]

    def fail(self: Any, images: Tensor) -> None:
        studied.append(len(images))
        if len(studied) == 18:
            raise RuntimeError("killed")
        study(self, images)

    with monkeypatch.context() as context:
        context.setattr(kind, "study", fail)
        with pytest.raises(ObserverError, match="killed"):
            sit(listed, tmp_path / "out", observer, settings, exposures=3)
    state = tmp_path / "out" / "state"
    assert json.loads((state / "config.json").read_text())["exposure"] == 2
    if damaged:
        (state / "model.safetensors").write_bytes(b"nothing")
    gone_on = sit(listed, tmp_path / "out", observer, settings, exposures=3)
    assert ("cannot be gone on from" in capsys.readouterr().err) == damaged
    assert same(gone_on, sit(listed, tmp_path / "whole", observer, settings, exposures=3))
    assert not state.exists()


def test_scores_that_were_damaged_are_made_again(
    stimuli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    observe(stimuli, tmp_path / "out", observer="template")
    before = (tmp_path / "out" / "trials.csv").read_bytes()
    (tmp_path / "out" / "runs" / "swapped_0" / "scores" / "000001.npz").write_bytes(b"nothing")
    observe(stimuli, tmp_path / "out", observer="template", resume="auto")
    assert "000001.npz cannot be used" in capsys.readouterr().err
    assert (tmp_path / "out" / "trials.csv").read_bytes() == before


def test_results_of_another_fingerprint_are_not_gone_on_with(stimuli: Path, here: Path) -> None:
    name = write_module(here, RECORDING + "    fingerprint = 'one'\n")
    asked = {"observer": f"{name}:Recording", "resume": "auto"}
    observe(stimuli, here / "out", **asked)
    recording = __import__(name).Recording
    recording.calls.clear()
    observe(stimuli, here / "out", **asked)
    assert not recording.calls
    recording.fingerprint = "two"
    observe(stimuli, here / "out", **asked)
    assert recording.calls


def test_runs_whose_fingerprints_differ_are_gone_on_with(stimuli: Path, here: Path) -> None:
    made = "    def __init__(self, seed):\n        self.fingerprint = str(seed)\n"
    name = write_module(here, RECORDING + made)
    asked = {"observer": f"{name}:Recording", "resume": "auto", "seeds": 2}
    observe(stimuli, here / "out", **asked)
    recording = __import__(name).Recording
    recording.calls.clear()
    observe(stimuli, here / "out", **asked)
    assert not recording.calls


def test_another_observer_does_not_go_on_in_a_folder(stimuli: Path, tmp_path: Path) -> None:
    observe(stimuli, tmp_path / "out", observer="chance")
    with pytest.raises(RunFolderError, match="--observer chance -> template"):
        observe(stimuli, tmp_path / "out", observer="template", resume="auto")
    observe(stimuli, tmp_path / "out", observer="template", overwrite=True)
    assert {row.model for row in read_trials(tmp_path / "out" / "trials.csv")} == {"template"}


# Scores from elsewhere


@pytest.fixture(scope="module")
def observed(stimuli: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("observed") / "out"
    observe(stimuli, out, observer="autoencoder", settings=FAST, changes=("mirror",), seeds=2)
    return out


def change_scores(observed: Path, path: Path, change: Any) -> Path:
    """Write the table of a run anew, its rows changed by a function."""
    rows = read_table(observed / "scores.csv")
    change(rows)
    write_table(path, rows, list(rows[0]) if rows else ["path", "exposure", "score"])
    return path


def test_the_scores_of_a_run_make_its_trials(stimuli: Path, observed: Path, tmp_path: Path) -> None:
    observe(stimuli, tmp_path / "out", scores=observed / "scores.csv")
    given, before = (read_trials(out / "trials.csv") for out in (tmp_path / "out", observed))
    assert [row.correct for row in given] == [row.correct for row in before]
    assert [row.nll_studied for row in given] == [row.nll_studied for row in before]


def test_a_table_needs_no_more_than_paths_exposures_and_scores(stimuli: Path, observed: Path, tmp_path: Path) -> None:
    def shorten(rows: list[dict[str, str]]) -> None:
        rows[:] = [row for row in rows if (row["version"], row["seed"], row["change"]) == ("as_given", "0", "none")]
        for row in rows:
            for name in ("version", "seed", "change", "readout"):
                del row[name]

    scores = change_scores(observed, tmp_path / "mine.csv", shorten)
    observe(stimuli, tmp_path / "out", scores=scores)
    trials = read_trials(tmp_path / "out" / "trials.csv")
    assert {(row.version, row.seed, row.model) for row in trials} == {("as_given", 0, "mine")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.pop(3), r"has no score after 0 exposures .* for study/novel_3.png$"),
        (lambda rows: rows.append(rows[0]), "study/novel_0.png has a score there already: remove one of them"),
        (lambda rows: rows[0].update(path="study/none.png"), "row 1: study/none.png is not an image of the list"),
        (lambda rows: rows[1].update(score="nan"), "row 2: the score of study/novel_1.png is nan, no finite number"),
        (lambda rows: rows[1].update(score=""), "row 2: score '' is no float"),
        (lambda rows: rows[1].update(exposure="-1"), "row 2: exposure -1 and seed 0 must not be negative"),
        (
            lambda rows: rows[1].update(version="other"),
            "there is no version 'other' of the list, but as_given, swapped",
        ),
        (lambda rows: rows[1].update(readout=""), "change and readout must not be empty"),
        (lambda rows: rows[1].update(exposure="7"), "has no score"),
        (lambda rows: rows.clear(), "has no rows"),
        (lambda rows: [row.pop("score") for row in rows], "has no column score; columns of a table of scores"),
        (
            lambda rows: rows.__setitem__(slice(None), [r for r in rows if (r["seed"], r["exposure"]) != ("1", "2")]),
            "seed 1 has no scores after 2 exposures .* which others have",
        ),
    ],
)
def test_a_table_that_lacks_something_is_refused(
    stimuli: Path, observed: Path, tmp_path: Path, change: Any, message: str
) -> None:
    scores = change_scores(observed, tmp_path / "scores.csv", change)
    with pytest.raises(ScoresError, match=message):
        observe(stimuli, tmp_path / "out", scores=scores)
    assert not (tmp_path / "out").exists()


def test_a_table_with_semicolons_is_refused_with_the_columns_that_it_needs(stimuli: Path, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_bytes("\ufeffpath;exposure;score\r\na.png;0;1,5\r\n".encode())
    with pytest.raises(ScoresError, match="columns of a table of scores, with commas between them, are `path`"):
        observe(stimuli, tmp_path / "out", scores=tmp_path / "scores.csv")


# Beside others


def test_observers_are_reported_beside_a_memory_run(stimuli: Path, tmp_path: Path) -> None:
    run_memory(make_options(stimuli, tmp_path / "scratch", exposures=1, half="first"))
    observe(stimuli, tmp_path / "mine", observer="template", size=8, exposures=1, half="first")
    out = report_memory(ReportOptions.of(runs=(tmp_path / "scratch", tmp_path / "mine"), out=tmp_path / "report"))
    assert {row.model for row in read_trials(out / "trials.csv")} == {"scratch", "template"}
    methods = " ".join((out / "methods.txt").read_text().split())
    assert "The observer was a store of pixels" in methods
    assert "It saw images of 8 x 8 pixels." in methods


def test_a_report_knows_where_the_images_of_an_observer_lie(stimuli: Path, observed: Path) -> None:
    (folder,) = read_run_folders([observed])
    assert folder.stimuli == stimuli
