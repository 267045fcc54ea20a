"""Curves are drawn from the metrics alone, whatever of them is there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.metrics_log import log_metrics
from training.curves import draw_curves
from training.figures import ENDINGS

PANELS = {"nats per token": ("loss", "validation_nll"), "PSNR (dB)": ("psnr_db",)}


@pytest.fixture(autouse=True)
def _as_users_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDINGS, raising=False)


@pytest.mark.parametrize("steps", [1, 5, 50])
def test_an_image_is_drawn(tmp_path: Path, steps: int) -> None:
    for step in range(steps):
        log_metrics(tmp_path, step=step, loss=1 / (step + 1))
    log_metrics(tmp_path, step=steps, validation_nll=0.5)
    pixels = np.asarray(Image.open(draw_curves(tmp_path, PANELS)).convert("RGB"))
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        assert (pixels == colour).all(axis=-1).any()


def test_metrics_of_other_names_are_left_out(tmp_path: Path) -> None:
    log_metrics(tmp_path, step=0, learning_rate=1.0)
    assert draw_curves(tmp_path, PANELS) == tmp_path / "loss.png"
    assert (tmp_path / "loss.png").stat().st_size > 0


def test_curves_are_also_pdf_and_svg(tmp_path: Path) -> None:
    log_metrics(tmp_path, step=0, loss=1.0)
    drawn = draw_curves(tmp_path, PANELS)
    assert all(drawn.with_suffix(ending).stat().st_size > 0 for ending in (".pdf", ".svg"))


@pytest.mark.parametrize(
    ("asked", "endings"),
    [
        ("png", {"png"}),
        ("svg,png", {"png", "svg"}),
        ("none", set()),
        ("", {"png", "pdf", "svg"}),
        ("jpg", {"png", "pdf", "svg"}),
    ],
)
def test_the_environment_says_which_files_are_drawn(
    asked: str, endings: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_metrics(tmp_path, step=0, loss=1.0)
    draw_curves(tmp_path, PANELS)
    monkeypatch.setenv(ENDINGS, asked)
    draw_curves(tmp_path, PANELS)
    assert {path.name for path in tmp_path.glob("loss.*")} == {f"loss.{ending}" for ending in endings}
