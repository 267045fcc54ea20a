"""Model folders for other people: weights, config, images, and a model card that says what they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from huggingface_hub import ModelCardData
from torch import Tensor

from release.options import PublishOptions
from storage.files import write_text
from storage.hub import MODEL_FILES, upload_model
from storage.model_folder import CheckpointError, find_model, load_model_folder, save_model_folder
from storage.pretrained import Pretrained, model_class
from storage.templates import render_template
from training.progress import count, say_done, say_found


@dataclass(frozen=True)
class Evaluation:
    """How good a model is; empty if nothing is known."""

    metrics: dict[str, str]
    """Numbers by name, rounded."""
    images: list[Path]


MEANINGS = {
    "psnr_db": "peak signal-to-noise ratio, dB",
    "ssim": "structural similarity",
    "lpips": "LPIPS",
    "perceptual": "perceptual distance",
    "rfid": "rFID, Frechet inception distance of reconstructions",
    "rfvd": "rFVD, Frechet video distance of reconstructions",
    "rate_bits_per_pixel": "rate of the tokens, bits per pixel",
    "rate_bits_per_pixel_entropy": "rate of the tokens, bits per pixel, entropy-coded",
    "codebook_usage": "share of the codes in use",
    "perplexity": "perplexity of the codes",
    "items": "items",
}
CAPTIONS = {
    "reconstructions.png": "Originals, reconstructions and absolute errors of some items, from the best to the worst.",
}


def publish(options: PublishOptions) -> None:
    """Assemble `options.out` from a model and its evaluation, and push it to the hub if a repository is named.

    Raises:
        CheckpointError: there is no model, or the evaluation is none.
        FileExistsError: `options.out` is the model's own folder, or holds what no `publish` put there.
        HubError: the hub cannot be reached or refuses; the folder is there.
    """
    source = find_model(options.model)
    config, tensors = load_model_folder(source)
    evaluation = read_evaluation(options.evaluation)
    _check_out(options.out, source, evaluation)
    say_found(
        model=f"{config['kind']} in {source}, {sum(tensor.numel() for tensor in tensors.values()):,} numbers",
        evaluation=f"{count(len(evaluation.metrics), 'metric')}, {count(len(evaluation.images), 'image')}",
    )
    if options.half:
        tensors = {name: to_half(tensor) for name, tensor in tensors.items()}
    save_model_folder(options.out, config, tensors)
    write_card(options.out, options.repo or options.out.resolve().name, evaluation, options.license)
    if options.repo is None:
        say_done(options.out / "README.md", f"read it, then: hf upload owner/name {options.out}")
    else:
        print(upload_model(options.out, options.repo, options.private))


def push(
    model: Pretrained, repo: str, *, private: bool = False, token: str | None = None, evaluation: Path | None = None
) -> str:
    """Push a model with a model card to the Hugging Face hub; return its address.

    Args:
        model: of any class.
        repo: owner/name, which is made if need be.
        private: make a private repository; a public one that is already there is refused.
        token: an access token, instead of the one that `hf auth login` or HF_TOKEN gives.
        evaluation: a folder of `secondsight vqgan eval` for the card; its images show the data.

    Raises:
        CheckpointError: the evaluation is none.
        HubError: the hub cannot be reached or refuses.
    """
    with TemporaryDirectory() as folder:
        model.save_pretrained(Path(folder))
        write_card(Path(folder), repo, read_evaluation(evaluation))
        return upload_model(Path(folder), repo, private, token)


def to_half(tensor: Tensor) -> Tensor:
    """Return a floating-point tensor as float16, and others, or one beyond the range of float16, as they are."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if half.isfinite().all() else tensor


def read_evaluation(folder: Path | None) -> Evaluation:
    """Return what an evaluation's folder tells; what is no single number is left out.

    Raises:
        CheckpointError: the folder holds no metrics.json, or it is damaged.
    """
    if folder is None:
        return Evaluation({}, [])
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} holds no metrics.json: --evaluation is a folder of vqgan eval") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(metrics, dict):
        raise CheckpointError(f"{path} is damaged: it holds a {type(metrics).__name__}, not metrics by name")
    numbers = {key: _round(value) for key, value in metrics.items() if isinstance(value, int | float)}
    return Evaluation(numbers, sorted(folder.glob("*.png")))


def write_card(folder: Path, name: str, evaluation: Evaluation, license: str | None = None) -> None:
    """Write README.md, the model card, into a model folder, and copy the images of the evaluation beside it.

    Args:
        folder: the model folder.
        name: what the model is loaded by: a hub id or a folder.
        evaluation: how good the model is.
        license: the licence as the hub names it.

    Raises:
        CheckpointError: there is no model.
    """
    config, tensors = load_model_folder(folder)
    about = model_class(config["kind"])
    for image in evaluation.images:
        shutil.copyfile(image, folder / image.name)
    header = ModelCardData(library_name="secondsight", license=license, tags=list(about.tags))
    card = render_template(
        Path(__file__),
        "model_card.md.j2",
        html=False,
        header=header,
        name=name.rpartition("/")[2],
        description=about.summary,
        numbers=sum(tensor.numel() for tensor in tensors.values()),
        precision=_precision(tensors),
        snippet=about.usage.format(name=name),
        config={key: value for key, value in config.items() if key != "kind"},
        metrics=evaluation.metrics,
        meanings=MEANINGS,
        images=[image.name for image in evaluation.images],
        captions=CAPTIONS,
        license=license,
    )
    write_text(folder / "README.md", card)


def _check_out(out: Path, source: Path, evaluation: Evaluation) -> None:
    """Refuse to overwrite anything but an earlier `publish`, and to push what happens to lie in a folder."""
    if out.resolve() == source.resolve():
        raise FileExistsError(f"--out {out} is the model's own folder: choose a new one")
    present = {path.name for path in out.glob("*")}
    own = {*MODEL_FILES, "README.md", *(image.name for image in evaluation.images)}
    others = present - own if "README.md" in present else present
    if others:
        names = ", ".join(sorted(others)[:5])
        raise FileExistsError(f"--out {out} holds {names}, which would be lost or pushed: choose a new folder")


def _round(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _precision(tensors: Mapping[str, Tensor]) -> str:
    floating = {str(tensor.dtype) for tensor in tensors.values() if tensor.is_floating_point()}
    return " and ".join(sorted(name.removeprefix("torch.") for name in floating))
