"""Tokenizers as other programs publish them: layouts of their weights, and what they compute, in plain functions.

The functions read weights by the published names and share nothing with the models under test.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from storage.foreign.checkpoint import read_foreign

FIXTURES = Path(__file__).parent / "fixtures"
TAMING = FIXTURES / "taming_vqgan_tiny.ckpt"
TAMING_CONFIG = FIXTURES / "taming_vqgan_tiny.yaml"
TATS = FIXTURES / "tats_vqgan_tiny.ckpt"
Layout = dict[str, tuple[int, ...]]


def weights_of(path: Path) -> dict[str, Tensor]:
    """The weights of a checkpoint of the fixtures."""
    return read_foreign(path)["state_dict"]


def expected_of(path: Path) -> dict[str, Tensor]:
    """Input, tokens and reconstruction that the original program computed with a checkpoint of the fixtures."""
    return load_file(path.with_name(f"{path.stem}_expected.safetensors"))


def random_weights(layout: Layout, seed: int = 0) -> dict[str, Tensor]:
    """Weights of a layout that keep the size of what passes through them."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in layout.items():
        fan_in = torch.Size(shape[1:]).numel() if len(shape) > 1 else 10
        weights[name] = torch.randn(shape, generator=generator) * fan_in**-0.5
        if len(shape) == 1 and name.endswith("weight"):
            weights[name] += 1
        if name.endswith("running_var"):
            weights[name] = weights[name].abs() + 0.5
        if name == "model_ema.decay":
            weights[name] = torch.tensor(0.999)
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(7)
    return weights


class ImageNames:
    """How a program names the layers of its image VQGAN."""

    def __init__(self, llamagen: bool, levels: int) -> None:
        self.llamagen, self.levels = llamagen, levels

    def level(self, side: str, level: int) -> str:
        if not self.llamagen:
            return f"{side}.{'down' if side == 'encoder' else 'up'}.{level}"
        return f"{side}.conv_blocks.{level if side == 'encoder' else self.levels - 1 - level}"

    def block(self, side: str, level: int, place: int) -> str:
        return f"{self.level(side, level)}.{'res' if self.llamagen else 'block'}.{place}"

    def attention(self, side: str, level: int, place: int) -> str:
        return f"{self.level(side, level)}.attn.{place}"

    def middle(self, side: str) -> list[str]:
        return [f"{side}.mid.{name}" for name in ("012" if self.llamagen else ("block_1", "attn_1", "block_2"))]


def image_layout(
    kind: str = "taming",
    width: int = 32,
    multipliers: tuple[int, ...] = (1, 2),
    blocks: int = 1,
    latent: int = 32,
    code_width: int = 8,
    codes: int = 32,
) -> Layout:
    """Names and shapes of an image VQGAN (taming, gumbel, llamagen or ibq) with attention at its coarsest level."""
    names, widths = ImageNames(kind == "llamagen", len(multipliers)), [width * each for each in multipliers]
    layout: Layout = {}

    def layer(name: str, *shape: int) -> None:
        layout[f"{name}.weight"], layout[f"{name}.bias"] = shape, shape[:1]

    def block(name: str, before: int, after: int) -> None:
        layer(f"{name}.norm1", before)
        layer(f"{name}.conv1", after, before, 3, 3)
        layer(f"{name}.norm2", after)
        layer(f"{name}.conv2", after, after, 3, 3)
        if before != after:
            layer(f"{name}.nin_shortcut", after, before, 1, 1)

    def attention(name: str, size: int) -> None:
        layer(f"{name}.norm", size)
        for part in ("q", "k", "v", "proj_out"):
            layer(f"{name}.{part}", size, size, 1, 1)

    def side(name: str, order: list[int], count: int, current: int, resample: str) -> int:
        for level in order:
            for place in range(count):
                block(names.block(name, level, place), current, widths[level])
                current = widths[level]
                if level == len(widths) - 1:
                    attention(names.attention(name, level, place), current)
            if level != order[-1]:
                layer(f"{names.level(name, level)}.{resample}.conv", current, current, 3, 3)
        return current

    for name in ("encoder", "decoder"):
        first, middle, last = names.middle(name)
        block(first, widths[-1], widths[-1])
        attention(middle, widths[-1])
        block(last, widths[-1], widths[-1])
    levels = list(range(len(widths)))
    layer("encoder.conv_in", width, 3, 3, 3)
    side("encoder", levels, blocks, width, "downsample")
    layer("encoder.norm_out", widths[-1])
    layer("encoder.conv_out", latent, widths[-1], 3, 3)
    layer("decoder.conv_in", widths[-1], latent, 3, 3)
    side("decoder", levels[::-1], blocks + 1, widths[-1], "upsample")
    layer("decoder.norm_out", widths[0])
    layer("decoder.conv_out", 3, widths[0], 3, 3)
    layer("quant_conv", code_width, latent, 1, 1)
    layer("post_quant_conv", latent, code_width, 1, 1)
    if kind == "gumbel":
        layer("quantize.proj", codes, code_width, 1, 1)
        layout["quantize.embed.weight"] = (codes, code_width)
    else:
        layout["quantize.embedding.weight"] = (codes, code_width)
    if kind == "ibq":
        averages = {f"model_ema.{name.replace('.', '')}": shape for name, shape in layout.items()}
        layout |= averages | {"model_ema.decay": (), "loss.discriminator.main.0.bias": (4,)}
        layout["model_ema.lossdiscriminatormain0bias"] = (4,)
    if kind == "llamagen":
        layout["quantize.codebook_used"] = (65536,)
    return layout


class ImageReference:
    """What a program computes with weights of an `image_layout`."""

    def __init__(self, weights: dict[str, Tensor], kind: str, levels: int = 2, blocks: int = 1) -> None:
        self.weights, self.kind, self.levels, self.blocks = weights, kind, levels, blocks
        self.names = ImageNames(kind == "llamagen", levels)

    def conv(self, name: str, x: Tensor, **options: int) -> Tensor:
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], **options)

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], eps=1e-6)

    def swish(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)

    def block(self, name: str, x: Tensor) -> Tensor:
        h = self.conv(f"{name}.conv1", self.swish(self.norm(f"{name}.norm1", x)), padding=1)
        h = self.conv(f"{name}.conv2", self.swish(self.norm(f"{name}.norm2", h)), padding=1)
        return (self.conv(f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in self.weights else x) + h

    def attention(self, name: str, x: Tensor) -> Tensor:
        normed = self.norm(f"{name}.norm", x)
        q, k, v = (self.conv(f"{name}.{part}", normed).flatten(2) for part in "qkv")
        scores = torch.einsum("bci,bcj->bij", q, k) / q.shape[1] ** 0.5
        seen = torch.einsum("bij,bcj->bci", scores.softmax(dim=2), v).view_as(x)
        return x + self.conv(f"{name}.proj_out", seen)

    def level(self, side: str, level: int, count: int, x: Tensor) -> Tensor:
        for place in range(count):
            x = self.block(self.names.block(side, level, place), x)
            if level == self.levels - 1:
                x = self.attention(self.names.attention(side, level, place), x)
        return x

    def middle(self, side: str, x: Tensor) -> Tensor:
        first, attention, last = self.names.middle(side)
        return self.block(last, self.attention(attention, self.block(first, x)))

    def latents(self, images: Tensor) -> Tensor:
        x = self.conv("encoder.conv_in", images, padding=1)
        for level in range(self.levels):
            x = self.level("encoder", level, self.blocks, x)
            if level < self.levels - 1:
                padded = F.pad(x, (0, 1, 0, 1))
                x = self.conv(f"{self.names.level('encoder', level)}.downsample.conv", padded, stride=2)
        x = self.swish(self.norm("encoder.norm_out", self.middle("encoder", x)))
        return self.conv("quant_conv", self.conv("encoder.conv_out", x, padding=1))

    def codes(self) -> Tensor:
        if self.kind == "gumbel":
            return self.weights["quantize.embed.weight"]
        codes = self.weights["quantize.embedding.weight"]
        return codes / codes.norm(dim=1, keepdim=True) if self.kind == "llamagen" else codes

    def encode(self, images: Tensor) -> Tensor:
        latents = self.latents(images)
        if self.kind == "gumbel":
            return self.conv("quantize.proj", latents).argmax(dim=1)
        if self.kind == "llamagen":
            latents = latents / latents.norm(dim=1, keepdim=True)
        rows = latents.permute(0, 2, 3, 1)
        if self.kind == "ibq":
            return torch.einsum("bhwd,kd->bhwk", rows, self.codes()).argmax(dim=3)
        return torch.cdist(rows.flatten(0, 2).double(), self.codes().double()).argmin(dim=1).view(rows.shape[:3])

    def decode(self, tokens: Tensor) -> Tensor:
        x = self.conv("post_quant_conv", self.codes()[tokens].permute(0, 3, 1, 2))
        x = self.middle("decoder", self.conv("decoder.conv_in", x, padding=1))
        for level in reversed(range(self.levels)):
            x = self.level("decoder", level, self.blocks + 1, x)
            if level:
                doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
                x = self.conv(f"{self.names.level('decoder', level)}.upsample.conv", doubled, padding=1)
        return self.conv("decoder.conv_out", self.swish(self.norm("decoder.norm_out", x)), padding=1)


def video_layout(width: int = 32, levels: int = 2, norm: str = "group", code_width: int = 8, codes: int = 32) -> Layout:
    """Names and shapes of a TATS VQGAN."""
    layout: Layout = {}

    def conv(name: str, after: int, before: int, kernel: int) -> None:
        layout[f"{name}.weight"], layout[f"{name}.bias"] = (after, before, kernel, kernel, kernel), (after,)

    def norms(name: str, size: int) -> None:
        for part in ("weight", "bias", *(("running_mean", "running_var") if norm == "batch" else ())):
            layout[f"{name}.{part}"] = (size,)
        if norm == "batch":
            layout[f"{name}.num_batches_tracked"] = ()

    def block(name: str, size: int) -> None:
        for number in "12":
            norms(f"{name}.norm{number}", size)
            conv(f"{name}.conv{number}.conv", size, size, 3)

    features = width * 2**levels
    conv("encoder.conv_first.conv", width, 3, 3)
    current = features
    for level in range(levels):
        before, after = width * 2**level, width * 2 ** (level + 1)
        conv(f"encoder.conv_blocks.{level}.down.conv", after, before, 4)
        block(f"encoder.conv_blocks.{level}.res", after)
        after = width * 2 ** (levels - level)
        layout[f"decoder.conv_blocks.{level}.up.convt.weight"] = (current, after, 4, 4, 4)
        layout[f"decoder.conv_blocks.{level}.up.convt.bias"] = (after,)
        for part in ("res1", "res2"):
            block(f"decoder.conv_blocks.{level}.{part}", after)
        current = after
    for side in ("encoder", "decoder"):
        norms(f"{side}.final_block.0", features)
    conv("decoder.conv_last.conv", 3, current, 3)
    conv("pre_vq_conv.conv", code_width, features, 1)
    conv("post_vq_conv.conv", features, code_width, 1)
    layout |= {
        "codebook.embeddings": (codes, code_width),
        "codebook.N": (codes,),
        "codebook.z_avg": (codes, code_width),
    }
    return layout


class VideoReference:
    """What TATS computes with group-norm weights of a `video_layout` of two levels that stride (2, 2, 2), (1, 2, 2)."""

    STRIDES = ((2, 2, 2), (1, 2, 2))

    def __init__(self, weights: dict[str, Tensor], padding: str) -> None:
        self.weights, self.padding = weights, padding

    def conv(self, name: str, x: Tensor, padding: str = "replicate", stride: tuple[int, ...] = (1, 1, 1)) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return F.conv3d(_padded(x, weight.shape[-1], stride, padding), weight, self.weights[f"{name}.bias"], stride)

    def activated(self, name: str, x: Tensor) -> Tensor:
        x = F.group_norm(x, 32, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], eps=1e-6)
        return x * torch.sigmoid(x)

    def block(self, name: str, x: Tensor) -> Tensor:
        h = self.conv(f"{name}.conv1.conv", self.activated(f"{name}.norm1", x))
        return x + self.conv(f"{name}.conv2.conv", self.activated(f"{name}.norm2", h))

    def encode(self, video: Tensor) -> Tensor:
        x = self.conv("encoder.conv_first.conv", video, self.padding)
        for level, stride in enumerate(self.STRIDES):
            x = self.conv(f"encoder.conv_blocks.{level}.down.conv", x, self.padding, stride)
            x = self.block(f"encoder.conv_blocks.{level}.res", x)
        rows = self.conv("pre_vq_conv.conv", self.activated("encoder.final_block.0", x)).permute(0, 2, 3, 4, 1)
        codes = self.weights["codebook.embeddings"].double()
        return torch.cdist(rows.flatten(0, 3).double(), codes).argmin(dim=1).view(rows.shape[:4])

    def decode(self, tokens: Tensor) -> Tensor:
        latents = self.weights["codebook.embeddings"][tokens].permute(0, 4, 1, 2, 3)
        x = self.activated("decoder.final_block.0", self.conv("post_vq_conv.conv", latents))
        for level, stride in enumerate(self.STRIDES):
            name = f"decoder.conv_blocks.{level}"
            weight, bias = self.weights[f"{name}.up.convt.weight"], self.weights[f"{name}.up.convt.bias"]
            x = F.conv_transpose3d(_padded(x, 4, stride, "replicate"), weight, bias, stride, padding=3)
            x = self.block(f"{name}.res2", self.block(f"{name}.res1", x))
        return self.conv("decoder.conv_last.conv", x)


def _padded(x: Tensor, kernel: int, stride: tuple[int, ...], mode: str) -> Tensor:
    edges: list[int] = []
    for step in stride[::-1]:
        edges += [(kernel - step + 1) // 2, (kernel - step) // 2]
    return F.pad(x, edges, mode=mode)
