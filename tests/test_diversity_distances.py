"""Distances between continuations that are exact, symmetric, and what they are said to be."""

from pathlib import Path

import pytest
import torch
from networks import make_network
from tiny import make_clips, make_tokens
from torch import Tensor

from experiments.diversity.distances import (
    CachedFeatures,
    EmbeddingDistance,
    Generated,
    NetworkDistance,
    PixelDistance,
    TokenDistance,
    build_distances,
)
from experiments.diversity.tables import DISTANCES
from sampling.completion import pixel_distance
from vqgan.metrics.features import WeightsMissingError, build_features
from vqgan.metrics.perceptual import build_perceptual, frame_distance

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"timm:test_resnet:{make_network(tmp_path_factory.mktemp('weights') / 'net.safetensors')}"


@pytest.fixture(scope="module")
def distances(spec: str) -> dict[str, EmbeddingDistance]:
    return {distance.name: distance for distance in build_distances(spec, spec, CPU)}


def generated(count: int, seed: int = 0, frames: int = 2, height: int = 32, width: int = 32) -> Generated:
    clips = make_clips(count, frames, max(height, width), seed)[..., :height, :width]
    return Generated(clips, make_tokens(count, 12, seed))


def vectors(distances: dict[str, EmbeddingDistance], name: str, *several: Generated) -> list[Tensor]:
    return [distances[name].embed(one) for one in several]


def shapes_seen(of: Generated) -> list[torch.Size]:
    """The shapes of the images that a network is shown."""
    shapes: list[torch.Size] = []

    def embed_images(images: Tensor) -> list[Tensor]:
        shapes.append(images.shape)
        return [images.mean(dim=(2, 3))]

    NetworkDistance("feature", CachedFeatures(embed_images, CPU)).embed(of)
    return shapes


def test_there_are_distances_of_all_names(distances: dict[str, EmbeddingDistance]) -> None:
    assert sorted(distances) == sorted(DISTANCES)


def test_networks_that_are_not_asked_for_are_left_out() -> None:
    assert [distance.name for distance in build_distances("none", "none", CPU)] == ["pixel", "token"]


@pytest.mark.parametrize("features", ["lpips", "timm:test_resnet", "resnet18", ""])
def test_an_unknown_feature_network_is_refused(features: str) -> None:
    with pytest.raises(ValueError, match="is not one of none, efficientnet-lite0, timm:<model>:<weights file>"):
        build_distances("none", features, CPU)


def test_missing_weights_of_a_feature_network_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"there is no weights file .*net\.pth"):
        build_distances("none", f"timm:test_resnet:{tmp_path / 'net.pth'}", CPU)


def test_missing_weights_of_lpips_offer_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match="or pass --perceptual efficientnet-lite0"):
        build_distances("lpips", "none", CPU)


@pytest.mark.parametrize("name", DISTANCES)
def test_equal_ones_have_no_distance(distances: dict[str, EmbeddingDistance], name: str) -> None:
    (a,) = vectors(distances, name, generated(3))
    assert distances[name].between(a, a).diagonal().tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", DISTANCES)
def test_different_ones_have_a_distance_that_is_symmetric(distances: dict[str, EmbeddingDistance], name: str) -> None:
    a, b = vectors(distances, name, generated(3), generated(4, seed=1))
    found = distances[name].between(a, b)
    assert found.shape == (3, 4)
    assert (found > 0).all()
    assert torch.equal(found, distances[name].between(b, a).T)


@pytest.mark.parametrize("name", DISTANCES)
def test_vectors_do_not_depend_on_what_stands_beside_them(distances: dict[str, EmbeddingDistance], name: str) -> None:
    together = generated(40, frames=4)  # more pixels than go through a network at once
    alone = Generated(together.pixels[17:18], together.tokens[17:18])
    expected = distances[name].embed(together)[17:18]
    torch.testing.assert_close(distances[name].embed(alone), expected, rtol=1e-4, atol=1e-5)


def test_the_distance_of_pixels_is_that_of_sampling() -> None:
    a = generated(2)
    b = generated(2, seed=1)
    distances = PixelDistance().between(PixelDistance().embed(a), PixelDistance().embed(b))
    expected = [[pixel_distance(x, y) for y in b.pixels] for x in a.pixels]
    torch.testing.assert_close(distances, torch.tensor(expected))


def test_black_is_at_distance_one_from_white() -> None:
    clips = torch.stack([-torch.ones(3, 4, 40, 40), torch.ones(3, 4, 40, 40)])
    a = PixelDistance().embed(Generated(clips, torch.zeros(2, 1, dtype=torch.int64)))
    torch.testing.assert_close(PixelDistance().between(a, a), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))


@pytest.mark.parametrize("step", [1e-4, 1e-3, 1e-2])
def test_the_distance_of_near_equal_clips_keeps_its_digits(step: float) -> None:
    clips = make_clips(1, 4, 40)
    near = clips.clone()
    near[:, 0, 0, 0, 0] += step
    tokens = torch.zeros(1, 1, dtype=torch.int64)
    a, b = (PixelDistance().embed(Generated(one, tokens)) for one in (clips, near))
    assert PixelDistance().between(a, b).item() == pytest.approx(step / 2 / clips.numel() ** 0.5, rel=1e-2)


def test_the_distance_of_long_vectors_keeps_its_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 1, 2**20, generator=generator)
    expected = (a.double() - b.double()).square().sum()
    distance = NetworkDistance("feature", CachedFeatures(lambda images: [images], CPU)).between(a, b)
    assert distance.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_distance_of_tokens_is_the_share_that_differs() -> None:
    a = TokenDistance().embed(Generated(torch.empty(1, 0), torch.tensor([[5, 70000, 2**40, 1]])))
    b = torch.tensor([[5, 70000, 2**40, 1], [5, 70000, 2**40 + 1, 1], [1, 5, 70000, 2**40]])
    assert TokenDistance().between(a, b).tolist() == [[0, 0.25, 1]]


def test_the_perceptual_distance_is_that_of_the_network(distances: dict[str, EmbeddingDistance], spec: str) -> None:
    a = generated(2, frames=3)
    b = generated(2, seed=1, frames=3)
    found = distances["perceptual"].between(*vectors(distances, "perceptual", a, b))
    network = build_perceptual(spec)
    assert network is not None
    torch.testing.assert_close(found.diagonal(), frame_distance(network, a.pixels, b.pixels), rtol=1e-4, atol=1e-6)


def test_the_feature_distance_is_one_minus_the_cosine(distances: dict[str, EmbeddingDistance], spec: str) -> None:
    a = generated(2, frames=3)
    b = generated(2, seed=1, frames=3)
    found = distances["feature"].between(*vectors(distances, "feature", a, b))
    network = build_features(spec)
    assert network is not None
    pooled = [[network(clip.transpose(0, 1))[-1].mean(dim=(2, 3)) for clip in one.pixels] for one in (a, b)]
    expected = [1 - torch.cosine_similarity(x, y).mean() for x, y in zip(*pooled, strict=True)]
    torch.testing.assert_close(found.diagonal(), torch.stack(expected), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["perceptual", "feature"])
def test_a_row_of_tokens_is_seen_enlarged(distances: dict[str, EmbeddingDistance], name: str) -> None:
    low = generated(1, height=4, width=16)
    high = torch.nn.functional.interpolate(low.pixels[0].transpose(0, 1), (32, 128), mode="bilinear").transpose(0, 1)
    a, b = vectors(distances, name, low, Generated(high[None], low.tokens))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "seen"), [((32, 40), (32, 40)), ((4, 16), (32, 128)), ((20, 10), (64, 32)), ((64, 64), (64, 64))]
)
def test_images_are_enlarged_to_thirty_two_pixels(size: tuple[int, int], seen: tuple[int, int]) -> None:
    assert {(height, width) for _, _, height, width in shapes_seen(generated(1, 0, 2, *size))} == {seen}


def test_few_frames_go_through_a_network_at_once() -> None:
    shapes = shapes_seen(generated(10, frames=8, height=64, width=64))
    assert [shape[0] for shape in shapes] == [32, 32, 16]


@pytest.mark.parametrize("name", ["perceptual", "feature"])
def test_networks_keep_no_gradient(distances: dict[str, EmbeddingDistance], name: str) -> None:
    clips = generated(1)
    clips.pixels.requires_grad_()
    assert not distances[name].embed(clips).requires_grad


def test_an_image_goes_once_through_a_network_of_two_distances() -> None:
    passes: list[int] = []

    def embed_images(images: Tensor) -> list[Tensor]:
        passes.append(len(images))
        return [images.mean(dim=(2, 3)), images.amax(dim=(2, 3))]

    features = CachedFeatures(embed_images, CPU)
    distances = [NetworkDistance("perceptual", features, 0), NetworkDistance("feature", features, 1)]
    clips = generated(2)
    first, second = (distance.embed(clips) for distance in distances)
    assert len(passes) == 1
    assert not torch.equal(first, second)
    distances[0].embed(generated(2))
    assert len(passes) == 2


def test_a_network_of_two_distances_sees_what_it_sees_for_one(spec: str) -> None:
    clips = generated(2)
    *_, perceptual, feature = build_distances(spec, spec, CPU)
    torch.testing.assert_close(feature.embed(clips), build_distances("none", spec, CPU)[-1].embed(clips))
    torch.testing.assert_close(perceptual.embed(clips), build_distances(spec, "none", CPU)[-1].embed(clips))
