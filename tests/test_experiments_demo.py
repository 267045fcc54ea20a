"""The demo from end to end, made small."""

import json
from pathlib import Path

import pytest

from experiments import demo
from experiments.options import DemoOptions
from storage.run_folder import RunFolderError

SMALL = {"CLIPS": 4, "OBJECTS": 2, "TOKENIZER_STEPS": 2, "GPT_STEPS": 2, "EXPOSURES": 1, "ITEMS": 1, "CONTINUATIONS": 2}
FIGURES = (
    "psnr_db", "codebook_usage", "gpt_nll", "unigram_entropy", "memory", "memory_ci", "prompt_tokens_changed",
    "diversity",
)  # fmt: skip


@pytest.fixture(scope="module")
def small() -> None:
    patch = pytest.MonkeyPatch()
    for name, value in SMALL.items():
        patch.setattr(demo, name, value)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def out(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "playroom"
    demo.run_demo(DemoOptions(folder))
    return folder


def figures(folder: Path) -> dict[str, object]:
    summary = json.loads((folder / "summary.json").read_text())
    return {name: summary[name] for name in FIGURES}


def test_summary_has_every_figure(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert {*FIGURES, "seconds", "peak_memory_gb", "seed"} <= summary.keys()


def test_summary_has_the_documented_shape(out: Path) -> None:
    summary = figures(out)
    assert set(summary["memory"]) == set(summary["memory_ci"]) == {"novel", "exemplar", "state"}
    assert summary["memory"]["novel"]["0"] == 0.5
    assert {"pairwise", "to_truth"} <= summary["diversity"]["clip"]["new"].keys()


def test_prompts_know_nothing_of_the_future(out: Path) -> None:
    assert figures(out)["prompt_tokens_changed"] == 0


def test_report_is_self_contained(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert "data:video/mp4;base64," in page
    assert "data:image/png;base64," in page
    assert 'src="http' not in page


def test_same_seed_gives_the_same_figures(out: Path, small: None, tmp_path: Path) -> None:
    demo.run_demo(DemoOptions(tmp_path / "again"))
    assert figures(tmp_path / "again") == figures(out)


def test_stopped_demo_continues(out: Path, small: None) -> None:
    before = figures(out)
    weights = out / "tokenizer" / "checkpoints" / "000002" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    (out / "summary.json").unlink()
    demo.run_demo(DemoOptions(out))
    assert figures(out) == before
    assert weights.stat().st_mtime_ns == written


def test_other_seed_into_the_same_folder_is_refused(out: Path) -> None:
    with pytest.raises(RunFolderError, match="seed: 0 -> 1"):
        demo.run_demo(DemoOptions(out, seed=1))


def test_own_videos_take_the_playrooms_place(out: Path, small: None, tmp_path: Path) -> None:
    demo.run_demo(DemoOptions(tmp_path / "own", videos=out / "playroom" / "clips"))
    assert figures(tmp_path / "own")["psnr_db"] == figures(out)["psnr_db"]
    assert "your videos" in (tmp_path / "own" / "report.html").read_text()
