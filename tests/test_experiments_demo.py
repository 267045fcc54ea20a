"""The demo from end to end, made small."""

import json
import math
import re
from pathlib import Path

import pytest
from golden import SMALL_DEMO, check, summary_numbers

from experiments.demo import run_demo, sampling_for
from experiments.options import NO_MODEL, DemoOptions
from storage.run_folder import RunFolderError

METRICS = (
    "psnr_db",
    "codebook_usage",
    "gpt_nll",
    "unigram_entropy",
    "unigram_nll",
    "bits_per_pixel",
    "memory",
    "memory_ci",
    "prompt_tokens_changed",
    "diversity",
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demo."""
    folder = tmp_path_factory.mktemp("demo") / "playroom"
    run_demo(DemoOptions(folder), SMALL_DEMO)
    return folder


@pytest.fixture(scope="module")
def own(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demo of the same seed, to which the very clips of the first were given."""
    folder = tmp_path_factory.mktemp("own") / "demo"
    run_demo(DemoOptions(folder, videos=out / "playroom" / "clips", init=NO_MODEL), SMALL_DEMO)
    return folder


def metrics(folder: Path) -> dict[str, object]:
    summary = json.loads((folder / "summary.json").read_text())
    return {name: summary[name] for name in METRICS}


def test_figures_are_those_recorded(out: Path) -> None:
    check("demo_summary", summary_numbers(out))


def test_summary_has_every_metric(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert {*METRICS, "seconds", "peak_memory_gb", "seed"} <= summary.keys()


def test_summary_has_the_documented_shape(out: Path) -> None:
    summary = metrics(out)
    assert set(summary["memory"]) == set(summary["memory_ci"]) == {"novel", "exemplar", "state"}
    assert summary["memory"]["novel"]["0"] == 0.5
    assert {"pairwise", "to_truth"} <= summary["diversity"]["clip"]["new"].keys()


def test_nats_per_token_are_given_in_bits_per_pixel(out: Path) -> None:
    """4x16x16 tokens stand for 16 frames of 64 pixels a side."""
    summary = json.loads((out / "summary.json").read_text())
    bits = summary["gpt_nll"] / math.log(2) * 4 * 16 * 16
    assert summary["bits_per_pixel"] == pytest.approx(bits / (16 * 64 * 64))


def test_a_gpt_that_has_learned_nothing_is_said_to_have(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert summary["gpt_nll"] > summary["unigram_nll"]
    assert "is worse than the unigram floor" in (out / "report.html").read_text()


def test_prompts_know_nothing_of_the_future(out: Path) -> None:
    assert metrics(out)["prompt_tokens_changed"] == 0


def test_report_is_self_contained(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert "data:video/mp4;base64," in page
    assert "data:image/png;base64," in page
    assert 'src="http' not in page


def test_same_seed_gives_the_same_metrics(out: Path, own: Path) -> None:
    assert metrics(own) == metrics(out)


def test_stopped_demo_continues(out: Path) -> None:
    before = metrics(out)
    weights = out / "tokenizer" / "checkpoints" / "000002" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    (out / "summary.json").unlink()
    run_demo(DemoOptions(out), SMALL_DEMO)
    assert metrics(out) == before
    assert weights.stat().st_mtime_ns == written


def test_completions_of_before_there_was_a_choice_go_on_with_their_noise(out: Path, tmp_path: Path) -> None:
    config = json.loads((out / "completions" / "clip_new" / "config.json").read_text())
    assert sampling_for(out / "completions" / "clip_new").noise == config.pop("noise") == "gumbel"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert sampling_for(tmp_path).noise == "inverse"


def test_other_seed_into_the_same_folder_is_refused(out: Path) -> None:
    with pytest.raises(RunFolderError, match="--seed 0 -> 1"):
        run_demo(DemoOptions(out, seed=1), SMALL_DEMO)


def test_own_videos_take_the_playrooms_place(own: Path) -> None:
    assert not (own / "playroom" / "clips").exists()
    assert "your videos" in (own / "report.html").read_text()


def test_the_python_of_the_readme_runs_after_the_demo(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    (tmp_path / "demo").symlink_to(out)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert capsys.readouterr().out.startswith("tensor(")
    assert (tmp_path / "continued.mp4").stat().st_size > 0
