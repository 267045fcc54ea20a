"""Perceptual distances: never on weights that are not there, never by running what a file brings along."""

import pickle
from copy import deepcopy
from pathlib import Path

import pytest
import timm
import torch
from networks import Malice, make_network, make_vgg
from safetensors.torch import save_file
from tiny import make_clips
from torch import Tensor

from data.playroom.make import render_clip
from vqgan.metrics.features import WeightsMissingError
from vqgan.metrics.perceptual import LPIPS, FeatureDistance, build_perceptual, check_size, frame_distance

MODEL = "test_resnet"
FLATTENED = "test_convnext"
"""A model whose feature network has other names for its layers than the model itself."""


def weights_of(model: str, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return timm.create_model(model, pretrained=False).state_dict()


def images(seed: int = 0) -> Tensor:
    return make_clips(2, 1, 32, seed)[:, :, 0]


def distance_of(weights: Path, model: str = MODEL) -> FeatureDistance:
    distance = build_perceptual(f"timm:{model}:{weights}")
    assert isinstance(distance, FeatureDistance)
    return distance


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_network(tmp_path_factory.mktemp("weights") / "net.safetensors", MODEL)


@pytest.fixture(scope="module")
def torch_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    make_vgg(folder)
    return folder


@pytest.fixture(scope="module")
def lpips_distance(torch_home: Path) -> LPIPS:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TORCH_HOME", str(torch_home))
        distance = build_perceptual("lpips")
    assert isinstance(distance, LPIPS)
    return distance


def test_none_is_no_distance() -> None:
    assert build_perceptual("none") is None


@pytest.mark.parametrize(
    "spec", ["vgg", "timm", "timm:", "timm:resnet18", "timm:resnet18:", "lpips:x", "efficientnet-lite0:x", ""]
)
def test_an_unknown_distance_is_refused(spec: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not one of none, lpips, efficientnet-lite0, .*timm:<model>:<weights file>"
    ):
        build_perceptual(spec)


def test_lpips_without_weights_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=f"{tmp_path}/hub/checkpoints/vgg16-397923af.pth"):
        build_perceptual("lpips")


def test_lpips_runs_on_the_weights_of_the_file(torch_home: Path, lpips_distance: LPIPS) -> None:
    stored = torch.load(torch_home / "hub" / "checkpoints" / "vgg16-397923af.pth", weights_only=True)
    assert torch.equal(lpips_distance.distance.net.slice5[-2].weight, stored["features.28.weight"])
    assert (lpips_distance(images(), images(1)) > 0).all()
    assert lpips_distance(images(), images()).tolist() == [0, 0]


@pytest.mark.parametrize("size", [16, 40])
def test_lpips_is_the_squared_distance_of_its_vectors(lpips_distance: LPIPS, size: int) -> None:
    x, y = (make_clips(2, 1, size, seed)[:, :, 0] for seed in (0, 1))
    of_vectors = (lpips_distance.embed(x) - lpips_distance.embed(y)).square().sum(dim=1)
    torch.testing.assert_close(of_vectors, lpips_distance(x, y), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(of_vectors, lpips_distance.distance(x, y).flatten(), rtol=1e-5, atol=1e-7)


def test_images_too_small_for_lpips_are_refused_in_one_line(lpips_distance: LPIPS) -> None:
    with pytest.raises(ValueError, match=r"--perceptual lpips needs images of 16 pixels a side, and these have 15"):
        check_size(lpips_distance, 15)
    check_size(lpips_distance, 16)


@pytest.mark.parametrize("size", [8, 15])
def test_lpips_would_fail_on_such_images(lpips_distance: LPIPS, size: int) -> None:
    with pytest.raises(RuntimeError):
        lpips_distance(*(make_clips(1, 1, size, seed)[:, :, 0] for seed in (0, 1)))


def test_lpips_with_a_negative_weight_has_no_vectors(lpips_distance: LPIPS) -> None:
    changed = deepcopy(lpips_distance)
    changed.distance.lins[2].model[-1].weight[0, 3] = -0.25
    with pytest.raises(ValueError, match=r"hold a negative weight, -0\.25"):
        changed.embed(images())


def test_lpips_refuses_weights_of_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(weights_of(MODEL), tmp_path / "hub" / "checkpoints" / "vgg16-397923af.pth")
    with pytest.raises(ValueError, match="holds weights of another network"):
        build_perceptual("lpips")


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"there is no weights file .*net\.pth"):
        build_perceptual(f"timm:{MODEL}:{tmp_path / 'net.pth'}")


def test_equal_images_have_no_distance(weights: Path) -> None:
    assert distance_of(weights)(images(), images()).tolist() == [0, 0]


def test_different_images_have_a_distance(weights: Path) -> None:
    assert (distance_of(weights)(images(), images(1)) > 0).all()


def test_the_distance_is_the_difference_of_unit_features(weights: Path) -> None:
    distance, x, y = distance_of(weights), images(), images(1)
    levels = zip(distance.network(x), distance.network(y), strict=True)
    # The squared distance of unit vectors is twice one minus their cosine.
    expected = [(2 - 2 * torch.cosine_similarity(a, b, dim=1)).mean(dim=(1, 2)) for a, b in levels]
    torch.testing.assert_close(distance(x, y), torch.stack(expected).mean(dim=0), rtol=1e-4, atol=1e-6)


def test_the_distance_is_the_squared_distance_of_vectors(weights: Path) -> None:
    distance, x, y = distance_of(weights), images(), images(1)
    vectors = distance.embed(torch.cat([x, y]))
    assert vectors.ndim == 2
    of_vectors = (vectors[:2] - vectors[2:]).square().sum(dim=1)
    torch.testing.assert_close(of_vectors, distance(x, y), rtol=1e-5, atol=1e-7)


def test_pth_and_safetensors_give_the_same_distance(weights: Path, tmp_path: Path) -> None:
    torch.save(weights_of(MODEL), tmp_path / "net.pth")
    x, y = images(), images(1)
    assert torch.equal(distance_of(weights)(x, y), distance_of(tmp_path / "net.pth")(x, y))


def test_a_model_whose_layers_are_renamed_is_loaded(tmp_path: Path) -> None:
    state = weights_of(FLATTENED)
    save_file(state, tmp_path / "net.safetensors")
    loaded = distance_of(tmp_path / "net.safetensors", FLATTENED).state_dict()
    assert torch.equal(loaded["network.network.stem_0.weight"], state["stem.0.weight"])


def test_the_network_has_no_gradient_and_stays_in_evaluation_mode(weights: Path) -> None:
    distance = distance_of(weights)
    assert not any(parameter.requires_grad for parameter in distance.parameters())
    assert not any(module.training for module in distance.modules())


def test_the_gradient_reaches_the_images(weights: Path) -> None:
    x = images().requires_grad_()
    distance_of(weights)(x, images(1)).sum().backward()
    assert x.grad.abs().sum() > 0


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"holds weights of another network: .* missing"):
        build_perceptual(f"timm:{FLATTENED}:{weights}")


@pytest.mark.parametrize("number", range(4))
def test_efficientnet_finds_a_shifted_image_nearer_than_a_noisy_one(number: int) -> None:
    distance = build_perceptual("efficientnet-lite0")
    assert distance is not None
    video = render_clip(0, number, 72, 1).transpose(0, 1)
    image, shifted = video[..., 4:-4, 4:-4], video[..., 4:-4, 5:-3]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(number))
    noisy = image + noise * (image - shifted).square().mean().sqrt()
    assert distance(image, shifted) < 0.5 * distance(image, noisy)


def test_the_gradient_of_efficientnet_reaches_the_images() -> None:
    distance, x = build_perceptual("efficientnet-lite0"), images().requires_grad_()
    assert distance is not None
    distance(x, images(1)).sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_malicious_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": Malice(tmp_path / "harm")}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"net\.pth is refused: it would run posix.mkdir"):
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
    distance, x, y = distance_of(weights), make_clips(2, 3, 32), make_clips(2, 3, 32, seed=1)
    per_frame = torch.stack([distance(x[:, :, frame], y[:, :, frame]) for frame in range(3)])
    torch.testing.assert_close(frame_distance(distance, x, y), per_frame.mean(dim=0))
