"""Frechet distances: of nothing to itself, of more to worse, under names that say what they are."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import timm
import torch
import torchvision
from networks import Malice, make_network
from tiny import make_clips
from torch import Tensor, nn

from data.images import clip_to_image
from data.playroom.make import render_clip
from vqgan.metrics.features import WeightsMissingError
from vqgan.metrics.frechet import FrechetDistance, build_frechet, build_fvd


class Channels(nn.Module):
    """The mean of each colour: features easy to compute by hand."""

    num_features = 3

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(dim=2)


class Reds(Channels):
    """The mean of the first colour."""

    num_features = 1

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :1]


def efficientnet() -> FrechetDistance:
    distance = build_frechet("efficientnet-lite0")
    assert distance is not None
    return distance


def distance_between(x: Tensor, y: Tensor) -> float:
    distance = efficientnet()
    distance.add(x, y)
    return distance.compute()


@pytest.fixture(scope="module")
def videos() -> Tensor:
    return torch.stack([render_clip(0, number, 32, 3, 2.0) for number in range(2)])


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under the names of Inception-v3 with the 1008 classes of FID's."""
    with torch.device("meta"):
        names = torchvision.models.inception_v3(aux_logits=False, init_weights=False, num_classes=1008).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, tensor in names.items():
        if name.endswith("num_batches_tracked"):
            continue  # older than such counters
        spread = (2 / tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.0
        middle = 1.0 if name.endswith(("running_var", "bn.weight")) else 0.0
        state[name] = torch.randn(tensor.shape, generator=generator) * spread + middle
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(state, path)
    return path


def test_none_is_no_distance() -> None:
    assert build_frechet("none") is None


@pytest.mark.parametrize("spec", ["inception", "inception:", "timm:resnet18", "lpips", ""])
def test_an_unknown_distance_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"is not one of none, inception:<weights file>, efficientnet-lite0, .*timm"):
        build_frechet(spec)


def test_it_is_the_distance_of_normal_distributions() -> None:
    distance = FrechetDistance("frechet", Reds(), "images")
    x, y = make_clips(8, 1, 4), 0.5 * make_clips(8, 1, 4, seed=1) + 0.2
    distance.add(x, y)
    a, b = (clips[:, 0].flatten(1).mean(dim=1) for clips in (x, y))
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert distance.compute() == pytest.approx(float(expected), rel=1e-3)


def test_batches_add_up() -> None:
    whole, parts = (FrechetDistance("frechet", Channels(), "clips") for _ in range(2))
    x, y = make_clips(8, 2, 4), make_clips(8, 2, 4, seed=1)
    whole.add(x, y)
    for part in (slice(5), slice(5, 8)):
        parts.add(x[part], y[part])
    assert parts.compute() == pytest.approx(whole.compute(), rel=1e-4)


def test_all_frames_count_as_images() -> None:
    distance = FrechetDistance("frechet", Channels(), "images")
    distance.add(make_clips(2, 3, 4), make_clips(2, 3, 4))
    assert int(distance.metric.real_features_num_samples) == int(distance.metric.fake_features_num_samples) == 6


def test_a_clip_counts_once() -> None:
    distance = FrechetDistance("rfvd", Channels(), "clips")
    distance.add(make_clips(2, 3, 4), make_clips(2, 3, 4))
    assert int(distance.metric.real_features_num_samples) == 2


def test_one_image_is_refused() -> None:
    distance = FrechetDistance("frechet_x", Channels(), "images")
    distance.add(make_clips(1, 1, 4), make_clips(1, 1, 4))
    with pytest.raises(ValueError, match="frechet_x compares spreads and needs at least 2 images, not 1"):
        distance.compute()


@pytest.mark.parametrize(("unit", "frames", "enough"), [("images", 1, False), ("images", 2, True), ("clips", 9, False)])
def test_too_few_are_refused_before_the_work(unit: Literal["images", "clips"], frames: int, enough: bool) -> None:
    distance = FrechetDistance("frechet_x", Channels(), unit)
    with nullcontext() if enough else pytest.raises(ValueError, match=f"frechet_x .* at least 2 {unit}, not 1"):
        distance.check(clips=1, frames=frames)


@pytest.mark.parametrize(("count", "warned"), [(3, True), (4, False)])
def test_too_few_images_for_the_features_are_reported(
    count: int, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    distance = FrechetDistance("frechet_x", Channels(), "images")
    distance.add(make_clips(count, 1, 4), make_clips(count, 1, 4))
    distance.compute()
    warning = "warning: frechet_x of 3 images is biased: features of 3 dimensions need more than 3 images\n"
    assert capsys.readouterr().err == (warning if warned else "")


def test_equal_sets_have_no_distance(videos: Tensor) -> None:
    assert 0 <= distance_between(videos, videos) < 0.01


def test_noise_is_farther_than_a_slight_blur(videos: Tensor) -> None:
    frames = videos.transpose(1, 2)
    blurred = torchvision.transforms.functional.gaussian_blur(frames.flatten(0, 1), [5, 5], [0.5, 0.5])
    noise = torch.randn(videos.shape, generator=torch.Generator().manual_seed(0))
    blur_distance = distance_between(blurred.view_as(frames).transpose(1, 2), videos)
    assert 0.01 < blur_distance < 0.5 * distance_between((videos + 0.3 * noise).clamp(-1, 1), videos)


def test_the_distance_of_efficientnet_is_called_so() -> None:
    assert efficientnet().key == "frechet_efficientnet-lite0"


def test_the_distance_of_a_timm_model_bears_its_name(tmp_path: Path) -> None:
    distance = build_frechet(f"timm:test_resnet:{make_network(tmp_path / 'net.safetensors')}")
    assert distance is not None
    assert distance.key == "frechet_test_resnet"


def test_the_features_of_a_timm_model_are_what_its_classifier_sees(tmp_path: Path) -> None:
    distance = build_frechet(f"timm:test_vit:{make_network(tmp_path / 'net.safetensors', 'test_vit')}")
    assert distance is not None
    features, image = distance.metric.inception, make_clips(2, 1, 160)[:, :, 0]
    torch.manual_seed(0)
    model = timm.create_model("test_vit").eval()
    expected = model.forward_head(model.forward_features(features.images.normalize(image)), pre_logits=True)
    torch.testing.assert_close(features(image), expected)


def test_images_of_other_sizes_are_brought_to_that_of_the_model() -> None:
    features = efficientnet().metric.inception
    image = make_clips(1, 1, 16)[:, :, 0]
    large = nn.functional.interpolate(image, (224, 224), mode="bicubic", antialias=True).clamp(-1, 1)
    torch.testing.assert_close(features(image), features(large), rtol=1e-3, atol=1e-3)


def test_only_the_distance_of_inception_is_called_rfid(inception_weights: Path) -> None:
    distance = build_frechet(f"inception:{inception_weights}")
    assert distance is not None
    assert distance.key == "rfid"
    assert len(distance.metric.real_features_sum) == 2048


def test_inception_sees_the_bytes_of_the_image(inception_weights: Path) -> None:
    distance = build_frechet(f"inception:{inception_weights}")
    assert distance is not None
    image, features = make_clips(1, 1, 32)[:, :, 0], distance.metric.inception
    pixels = torch.from_numpy(np.array(clip_to_image(image[0]))).permute(2, 0, 1)[None]
    assert torch.equal(features(image), features.network(pixels)[0])


def test_a_missing_inception_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"there is no weights file .*inception\.pth"):
        build_frechet(f"inception:{tmp_path / 'inception.pth'}")


def test_without_torch_fidelity_its_installation_is_told(
    inception_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(WeightsMissingError, match="pip install torch-fidelity"):
        build_frechet(f"inception:{inception_weights}")


def test_an_inception_file_of_another_network_is_refused(tmp_path: Path) -> None:
    weights = make_network(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"net\.safetensors does not hold the inception network of FID"):
        build_frechet(f"inception:{weights}")


def test_a_malicious_inception_is_refused_and_does_nothing(tmp_path: Path) -> None:
    torch.save({"fc.bias": Malice(tmp_path / "harm")}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="is refused: it would run"):
        build_frechet(f"inception:{tmp_path / 'net.pth'}")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(("frames", "clips"), [(1, "stills"), (8, "clips of 8 frames")])
def test_what_is_too_short_for_a_video_distance_is_refused(frames: int, clips: str) -> None:
    with pytest.raises(ValueError, match=f"--fvd compares clips of at least 9 frames, and these are {clips}"):
        build_fvd(Path("i3d.pt"), frames)


def test_missing_weights_of_the_video_distance_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"there is no weights file .*i3d\.pt"):
        build_fvd(tmp_path / "i3d.pt", 9)
