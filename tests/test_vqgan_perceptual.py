"""Perceptual distances: never on weights that are not there, never by running what a file brings along."""

import os
import pickle
import warnings
from pathlib import Path

import lpips
import pytest
import timm
import torch
from safetensors.torch import save_file
from tiny import make_clips
from torch import Tensor

from vqgan.perceptual import FeatureDistance, WeightsMissingError, build_perceptual, frame_distance

MODEL = "test_resnet"
FLATTENED = "test_convnext"
"""A model whose feature network has other names for its layers than the model itself."""


class Malice:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def weights_of(model: str, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return timm.create_model(model, pretrained=False).state_dict()


def pictures(seed: int = 0) -> Tensor:
    return make_clips(2, 1, 32, seed)[:, :, 0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_file(weights_of(MODEL), path)
    return path


@pytest.fixture(scope="module")
def torch_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A torch home with a VGG-16 of seeded random weights, convolutions only."""
    folder = tmp_path_factory.mktemp("hub")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = lpips.pn.vgg16(pretrained=False, requires_grad=False).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        "features." + name.split(".", 1)[1]: torch.randn(tensor.shape, generator=generator) * tensor[0].numel() ** -0.5
        for name, tensor in names.items()
    }
    (folder / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(state, folder / "hub" / "checkpoints" / "vgg16-397923af.pth")
    return folder


def test_none_is_no_distance() -> None:
    assert build_perceptual("none") is None


@pytest.mark.parametrize("spec", ["vgg", "timm", "timm:", "timm:resnet18", "timm:resnet18:", "lpips:x", ""])
def test_an_unknown_distance_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="is not one of none, lpips, timm:<model>:<weights file>"):
        build_perceptual(spec)


def test_lpips_without_weights_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=f"{tmp_path}/hub/checkpoints/vgg16-397923af.pth"):
        build_perceptual("lpips")


def test_lpips_runs_on_the_weights_of_the_file(torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(torch_home))
    distance = build_perceptual("lpips")
    assert distance is not None
    stored = torch.load(torch_home / "hub" / "checkpoints" / "vgg16-397923af.pth", weights_only=True)
    assert torch.equal(distance.distance.net.slice5[-2].weight, stored["features.28.weight"])
    assert (distance(pictures(), pictures(1)) > 0).all()
    assert distance(pictures(), pictures()).tolist() == [0, 0]


def test_lpips_refuses_weights_of_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(weights_of(MODEL), tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth")
    with pytest.raises(ValueError, match="holds weights of another network"):
        build_perceptual("lpips")


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"there is no weights file .*net\.pth"):
        build_perceptual(f"timm:{MODEL}:{tmp_path / 'net.pth'}")


def test_equal_pictures_have_no_distance(weights: Path) -> None:
    assert FeatureDistance(MODEL, weights)(pictures(), pictures()).tolist() == [0, 0]


def test_different_pictures_have_a_distance(weights: Path) -> None:
    assert (FeatureDistance(MODEL, weights)(pictures(), pictures(1)) > 0).all()


def test_the_distance_is_the_difference_of_unit_features(weights: Path) -> None:
    distance, x, y = FeatureDistance(MODEL, weights), pictures(), pictures(1)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    levels = zip(*(distance.network(((clip + 1) / 2 - mean) / std) for clip in (x, y)), strict=True)
    # The squared distance of unit vectors is twice one minus their cosine.
    expected = [(2 - 2 * torch.cosine_similarity(a, b, dim=1)).mean(dim=(1, 2)) for a, b in levels]
    torch.testing.assert_close(distance(x, y), torch.stack(expected).mean(dim=0), rtol=1e-4, atol=1e-6)


def test_pth_and_safetensors_give_the_same_distance(weights: Path, tmp_path: Path) -> None:
    torch.save(weights_of(MODEL), tmp_path / "net.pth")
    x, y = pictures(), pictures(1)
    assert torch.equal(FeatureDistance(MODEL, weights)(x, y), FeatureDistance(MODEL, tmp_path / "net.pth")(x, y))


def test_a_model_whose_layers_are_renamed_is_loaded(tmp_path: Path) -> None:
    state = weights_of(FLATTENED)
    save_file(state, tmp_path / "net.safetensors")
    network = FeatureDistance(FLATTENED, tmp_path / "net.safetensors").network
    assert torch.equal(network.state_dict()["stem_0.weight"], state["stem.0.weight"])


def test_the_network_has_no_gradient_and_stays_in_evaluation_mode(weights: Path) -> None:
    distance = FeatureDistance(MODEL, weights)
    assert not any(parameter.requires_grad for parameter in distance.parameters())
    assert not any(module.training for module in distance.modules())


def test_the_gradient_reaches_the_pictures(weights: Path) -> None:
    x = pictures().requires_grad_()
    FeatureDistance(MODEL, weights)(x, pictures(1)).sum().backward()
    assert x.grad.abs().sum() > 0


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"holds weights of another network: .* missing"):
        build_perceptual(f"timm:{FLATTENED}:{weights}")


def test_a_malicious_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Malice(tmp_path / "harm")}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"net\.pth is refused: it holds more than tensors"):
        build_perceptual(f"timm:{MODEL}:{tmp_path / 'net.pth'}")


def test_a_malicious_pickle_does_nothing(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Malice(tmp_path / "harm")}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="refused"):
        build_perceptual(f"timm:{MODEL}:{tmp_path / 'net.pth'}")
    assert not (tmp_path / "harm").exists()


def test_the_malicious_pickle_of_these_tests_would_do_harm(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malice(tmp_path / "harm")))
    assert (tmp_path / "harm").exists()


def test_the_distance_of_clips_is_the_mean_over_frames(weights: Path) -> None:
    distance, x, y = FeatureDistance(MODEL, weights), make_clips(2, 3, 32), make_clips(2, 3, 32, seed=1)
    per_frame = torch.stack([distance(x[:, :, frame], y[:, :, frame]) for frame in range(3)])
    torch.testing.assert_close(frame_distance(distance, x, y), per_frame.mean(dim=0))
