"""ResMem: its weights are read as data, and the package is never run."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from item_memory import learned, path_of, write_pictures

from experiments.memory.items.pictures import Pictures
from experiments.memory.items.resmem import ResMem, find_weights, load_resmem, predict, prepare
from experiments.memory.items.sources import SCORE
from storage.model_paths import CheckpointError

IS_INSTALLED = find_spec("resmem") is not None


class Command:
    """What a pickle can carry: something to run when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch ran",)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of that name that fails when it is imported, first on the path."""
    (tmp_path / "resmem").mkdir()
    (tmp_path / "resmem" / "__init__.py").write_text("raise SystemExit('it was run')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "resmem"


@pytest.mark.skipif(IS_INSTALLED, reason="resmem is installed")
def test_a_missing_package_is_said_with_its_licence() -> None:
    with pytest.raises(ValueError, match=r"pip install resmem.*non-commercial use only"):
        find_weights()


def test_weights_are_found_without_running_the_package(package: Path) -> None:
    assert find_weights() == package / "model.pt"


def test_weights_of_something_else_are_refused(package: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(48, 3, 11, 11)}, package / "model.pt")
    with pytest.raises(CheckpointError, match="does not hold the weights of ResMem"):
        load_resmem(find_weights())


def test_a_file_that_would_run_something_is_refused(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1.weight": Command()}, package / "model.pt")
    with pytest.raises(CheckpointError, match=r"is refused: it would run .*system"):
        load_resmem(find_weights())
    assert not (tmp_path / "ran").exists()


def test_network_has_the_names_and_the_size_of_the_published_one() -> None:
    """956 tensors, of 131.7 million numbers with the statistics of normalisation, as in resmem 1.1.6."""
    with torch.device("meta"):
        weights = ResMem().state_dict()
    assert len(weights) == 956
    assert weights["fc6.weight"].shape == (4096, 10_216)
    assert weights["features.fc.weight"].shape == (1000, 2048)


def test_an_image_is_scaled_and_its_middle_cut_out(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, 1)
    image = prepare(folder / path_of("state/0", "swapped"))
    assert image.shape == (3, 227, 227)
    assert 0 <= float(image.min()) < float(image.max()) <= 1


@pytest.mark.skipif(not IS_INSTALLED, reason="resmem is not installed: pip install resmem")
def test_predictions_are_memorabilities(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, 1)
    pictures = Pictures.of(learned([0.1] * 4, 1))
    source, unused = predict(pictures, {"list": folder})
    values = source.measures[SCORE].values
    assert not unused
    assert "not people" in source.name
    assert np.isfinite(values).all()
    assert ((values > 0.4) & (values < 1)).all()
