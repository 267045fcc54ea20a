"""Every family of timm's networks, each against a direct forward of timm's own model with the same random weights."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
import timm
import torch
from networks import save_network
from timm_families import FAMILIES, TOO_LARGE
from torch import Tensor, nn

from vqgan.metrics.features import FeatureNetwork, PooledNetwork, build_features, find_weights


class Family(NamedTuple):
    """A family's model, and what is made of a file of its weights."""

    model: nn.Module
    levels: FeatureNetwork
    pooled: PooledNetwork
    images: Tensor
    """(2, 3, H, W) of the model's own size, in [-1, 1]."""

    @property
    def normalized(self) -> Tensor:
        """The images as the model was trained to see them."""
        config = self.model.pretrained_cfg
        mean, std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))
        return ((self.images + 1) / 2 - mean) / std


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Family:
    torch.manual_seed(0)
    small = FAMILIES[request.param]
    name = small.register()
    # The classifier has other classes than the model's own, as that of fine-tuned weights may.
    model = timm.create_model(name, num_classes=7).eval()
    path = save_network(tmp_path_factory.mktemp("weights") / "net.safetensors", model)
    spec = f"timm:{name}:{path}"
    levels, weights = build_features(spec), find_weights(spec)
    path.unlink()
    assert levels is not None
    assert weights is not None
    return Family(model, levels, PooledNetwork(weights), torch.rand(2, 3, small.size, small.size) * 2 - 1)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    # The activations of random weights have any scale.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_no_family_is_left_out() -> None:
    assert set(timm.list_modules()) - {"timm_families"} == {*FAMILIES, *TOO_LARGE}


@torch.no_grad()
def test_levels_are_those_of_the_model_with_channels_first(family: Family) -> None:
    network = family.levels.network
    indices = getattr(network, "out_indices", None) or network.feature_info.out_indices
    intermediates = partial(family.model.forward_intermediates, intermediates_only=True, output_fmt="NCHW")
    expected = intermediates(family.normalized, indices=list(indices))
    for found, level in zip(family.levels(family.images), expected, strict=True):
        assert_equal(found, level)


@torch.no_grad()
def test_the_vector_is_what_the_classifier_sees(family: Family) -> None:
    features = family.model.forward_features(family.normalized)
    expected = family.model.forward_head(features, pre_logits=True)
    assert_equal(family.pooled(family.images), expected)
    assert expected.shape == (2, family.pooled.num_features)


@torch.no_grad()
def test_images_of_another_size_are_taken(family: Family) -> None:
    images = torch.rand(1, 3, 40, 24) * 2 - 1
    channels = [level.shape[1] for level in family.levels(family.images)]
    assert [level.shape[1] for level in family.levels(images)] == channels
    assert family.pooled(images).shape == (1, family.pooled.num_features)


def test_weights_are_read_from_the_file(tmp_path: Path) -> None:
    models = [timm.create_model("test_vit") for _ in range(2)]
    specs = [f"timm:test_vit:{save_network(tmp_path / f'{n}.safetensors', m)}" for n, m in enumerate(models)]
    weights = [find_weights(spec) for spec in specs]
    image = torch.rand(1, 3, 160, 160)
    one, other = (PooledNetwork(of_file)(image) for of_file in weights if of_file is not None)
    assert (one - other).abs().max() > 0.01
