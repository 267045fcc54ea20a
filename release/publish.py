"""Model folders for other people: weights, config, images, and a model card that says what they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import ModelCardData
from safetensors import SafetensorError
from torch import Tensor

from gpt.model import GPT
from gpt.sampling_settings import SAMPLING, SamplingSettings, read_settings
from release.facts import CardFacts, rounded, shown_facts
from release.markdown import code, in_quotes, plain
from release.options import PublishOptions, check_evaluation
from release.origin import describe_origin
from storage.ancestry import ANCESTRY, Ancestor
from storage.command import command_line, shell_line
from storage.files import write_text
from storage.hub import MODEL_FILES, upload_model
from storage.hub_names import HUB, TOKENIZER
from storage.model_folder import load_model_folder, save_model_folder
from storage.model_paths import CheckpointError, brought_tokenizer, find_model
from storage.pretrained import Pretrained, model_class, read_ancestry
from storage.templates import render_template
from storage.unfinished import replacing
from training.progress import count, say_done, say_found
from vqgan.model import load_tokenizer
from vqgan.tokenizer import Tokenizer

LARGEST_IMAGE = 50_000_000
"""Bytes of an image that is published, at most."""


@dataclass(frozen=True)
class Evaluation:
    """How good a model is, as one evaluation tells."""

    title: str
    """What was evaluated."""
    metrics: dict[str, str]
    """Numbers by name, rounded."""
    images: dict[str, Path]
    """By the names under which they are published."""
    precision: str | None = None
    """What layers computed with; None is fp32."""


COMPLETE_IMAGE = """\
from pathlib import Path

from data.images import clip_to_image, image_to_clip, load_image
from gpt.model import GPT
from sampling.completion import complete_clips
from sampling.options import Prompt, Request{import_sampling}
from vqgan.model import load_tokenizer

gpt = GPT.from_pretrained("{name}")
tokenizer = load_tokenizer("{name}")  # the one that the GPT brings along
picture = image_to_clip(load_image(Path("picture.jpg")), tokenizer.size)  # yours: (3, 1, H, W) in [-1, 1]
request = Request(Prompt("half-image"), n=4{sampling})
(completion,) = complete_clips(gpt, tokenizer, picture[None], request)
for number, continuation in enumerate(completion.continuations):
    clip_to_image(continuation).save(f"completed_{{number}}.png")"""
COMPLETE_VIDEO = """\
from data.video import read_clip
from data.video_writing import write_video
from gpt.model import GPT
from sampling.completion import complete_clips
from sampling.options import Prompt, Request{import_sampling}
from vqgan.model import load_tokenizer

gpt = GPT.from_pretrained("{name}")
tokenizer = load_tokenizer("{name}")  # the one that the GPT brings along
clip = read_clip("video.mp4", 0, tokenizer.frames, tokenizer.fps, tokenizer.size)  # yours: (3, T, H, W) in [-1, 1]
request = Request(Prompt("half-clip"), n=4{sampling})
(completion,) = complete_clips(gpt, tokenizer, clip[None], request)
for number, continuation in enumerate(completion.continuations):
    write_video(f"completed_{{number}}.mp4", continuation, tokenizer.fps)"""
MEANINGS = {
    "psnr_db": "peak signal-to-noise ratio, dB",
    "ssim": "structural similarity",
    "lpips": "LPIPS",
    "perceptual": "perceptual distance",
    "chroma_error": "error of chroma, CIELAB",
    "saturation_kept": "share of the saturation that is kept",
    "sharpness_ratio": "share of the sharpness that is kept",
    "rfid": "rFID, Frechet inception distance of reconstructions",
    "rfvd": "rFVD, Frechet video distance of reconstructions",
    "rate_bits_per_pixel": "rate of the tokens, bits per pixel",
    "rate_bits_per_pixel_entropy": "rate of the tokens, bits per pixel, entropy-coded",
    "codebook_usage": "share of the codes in use",
    "perplexity": "perplexity of the codes",
    "items": "items",
    "gpt_nll": "mean negative log likelihood, nats per token",
    "bits_per_token": "the same, bits per token",
    "bits_per_pixel": "the same, bits per pixel",
    "unigram_entropy": "entropy of single tokens, nats per token",
    "unigram_nll": "negative log likelihood under the frequencies of training, nats per token",
    "tokens_per_item": "tokens of an item",
    "pixels_per_item": "pixels of an item",
    "precision": "precision of the layers, instead of fp32",
}
CAPTIONS = {
    "reconstructions.png": "Originals, reconstructions and absolute errors of some items, from the best to the worst.",
    "grid.png": "Original, prompt and continuations of some items.",
}


def publish(options: PublishOptions) -> None:
    """Assemble `options.out` from a model and its evaluation, and push it to the hub if a repository is named.

    The folder is made beside its place and moved there when it is whole.

    Raises:
        CheckpointError: there is no model, or an evaluation is none.
        FileExistsError: `options.out` is the model's own folder, or holds what no `publish` put there.
        FolderLockError: another process publishes there.
        HubError: the hub cannot be reached or refuses; the folder is there.
        MismatchError: the tokenizer is not that of the GPT.
    """
    source = find_model(options.model)
    config, tensors = load_model_folder(source)
    model_class(config["kind"]).from_content(config, tensors, source)  # refuses what nobody could load
    tokenizer = _find_tokenizer(options, config["kind"])
    evaluations = read_evaluations(options.evaluation)
    _check_out(options.out, source, evaluations)
    images = sum(len(evaluation.images) for evaluation in evaluations)
    say_found(
        model=f"{config['kind']} in {source}, {sum(tensor.numel() for tensor in tensors.values()):,} numbers",
        tokenizer="none beside it" if tokenizer is None else tokenizer.describe(),
        evaluation=f"{count(sum(len(each.metrics) for each in evaluations), 'metric')}, {count(images, 'image')}",
    )
    if options.half:
        tensors = {name: to_half(tensor) for name, tensor in tensors.items()}
    name = f"{HUB}{options.repo}" if options.repo else options.out.resolve().name
    with replacing(options.out, command_line(options)) as folder:
        try:
            save_model_folder(folder, config, tensors)
            if tokenizer is not None:
                tokenizer.save_pretrained(folder / TOKENIZER)
        except SafetensorError as error:
            raise OSError(f"--out {options.out} cannot be written: {error}") from error
        write_card(folder, name, evaluations, options.license, describe_origin(source))
    if options.repo is None:
        say_done(options.out / "README.md", "read it, then: hf upload owner/name", options.out)
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
        evaluation: a folder of `secondsight vqgan eval` or what `gpt eval` printed, for the card; images show the data.

    Raises:
        CheckpointError: the evaluation is none.
        HubError: the hub cannot be reached or refuses.
    """
    with TemporaryDirectory() as folder:
        model.save_pretrained(Path(folder))
        write_card(Path(folder), f"{HUB}{repo}", read_evaluations(() if evaluation is None else (evaluation,)))
        return upload_model(Path(folder), repo, private, token)


def to_half(tensor: Tensor) -> Tensor:
    """Return a floating-point tensor as float16, and others, or one beyond the range of float16, as they are."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if half.isfinite().all() else tensor


def read_evaluations(paths: Sequence[Path]) -> list[Evaluation]:
    """Return what evaluations tell; what is no single number is left out.

    Args:
        paths: folders of `vqgan eval` or `complete`, and files into which `gpt eval` printed.

    Raises:
        CheckpointError: one holds no metrics, is damaged, or has an image that lies elsewhere or is too large.
    """
    evaluations: list[Evaluation] = []
    taken = {"README.md", *MODEL_FILES, TOKENIZER}
    for path in paths:
        is_completion = (path / "sample.json").is_file() and not (path / "metrics.json").exists()
        content = {} if is_completion else _read_metrics(path)
        metrics = {key: rounded(value) for key, value in content.items() if isinstance(value, int | float)}
        images = [path / "grid.png"] if is_completion else sorted(path.glob("*.png"))
        named: dict[str, Path] = {}
        for image in images:
            _check_image(image, path)
            name = image.name if image.name not in taken else f"{len(evaluations) + 1}_{image.name}"
            taken.add(name)
            named[name] = image
        title = "Completions" if is_completion else "Prediction" if "gpt_nll" in metrics else "Reconstruction"
        evaluations.append(Evaluation(title, metrics, named, content.get("precision")))
    return evaluations


def write_card(
    folder: Path,
    name: str,
    evaluations: Sequence[Evaluation] = (),
    license: str | None = None,
    origin: Mapping[str, str] | None = None,
    facts: CardFacts | None = None,
) -> None:
    """Write README.md, the model card, into a model folder, and copy the images of evaluations beside it.

    Args:
        folder: the model folder, with that of a GPT's tokenizer in it or not.
        name: what the model is loaded by: `hf:owner/name` or a folder.
        evaluations: how good the model is.
        license: the licence as the hub names it.
        origin: facts about its training, by what they are.
        facts: what people say of it; their licence stands where none is given.

    Raises:
        CheckpointError: there is no model.
    """
    config, tensors = load_model_folder(folder)
    about = model_class(config["kind"])
    for evaluation in evaluations:
        for image, path in evaluation.images.items():
            shutil.copyfile(path, folder / image)
    is_pair = (folder / TOKENIZER).is_dir()
    sampling = read_settings(config, folder) if config["kind"] == GPT.kind else None
    license = license or (facts.license if facts else None)
    header = ModelCardData(
        library_name="secondsight", license=license, tags=[*about.tags, *(["tokenizer"] if is_pair else [])]
    )
    card = render_template(
        Path(__file__),
        "model_card.md.j2",
        html=False,
        header=header,
        name=plain(name.rpartition("/")[2].removeprefix(HUB)),
        description=plain(facts.summary) if facts and facts.summary else about.summary,
        numbers=sum(tensor.numel() for tensor in tensors.values()),
        precision=_precision(tensors),
        is_pair=is_pair,
        fingerprint=code(config["tokenizer"]) if config.get("tokenizer") else "",
        snippet=_snippet(about, config, is_pair).format(name=in_quotes(name), **_sampling_words(sampling)),
        sampling={} if sampling is None else sampling.flat(),
        facts=shown_facts(facts),
        command=_complete_command(name, config) if is_pair else "",
        config={code(key): plain(value) for key, value in config.items() if key not in ("kind", ANCESTRY, SAMPLING)},
        ancestry=[_shown_ancestor(each) for each in read_ancestry(config, folder)],
        origin={plain(key): plain(value) for key, value in (origin or {}).items()},
        evaluations=[_shown(evaluation) for evaluation in evaluations],
        license=license and plain(license),
    )
    write_text(folder / "README.md", card)


def _find_tokenizer(options: PublishOptions, kind: str) -> Tokenizer | None:
    """Return the tokenizer that is published with a model; None for a tokenizer itself, or where a GPT brings none.

    Raises:
        CheckpointError: what was named is no tokenizer.
        MismatchError: it is not that of the GPT.
        ValueError: the model is no GPT.
    """
    if kind != GPT.kind:
        if options.tokenizer is not None:
            raise ValueError(f"--tokenizer goes with a GPT, and {options.model} holds a {kind!r}: leave it out")
        return None
    path = options.tokenizer or brought_tokenizer(options.model)
    if path is None:
        return None
    tokenizer = load_tokenizer(path)
    config = GPT.from_pretrained(options.model).config
    grid = (config.grid[0], *tokenizer.grid(tokenizer.frames, tokenizer.size, tokenizer.size)[1:])
    config.check_tokens(grid, tokenizer.vocab_size, tokenizer.fingerprint)
    return tokenizer


def _read_metrics(path: Path) -> dict[str, Any]:
    check_evaluation(path)
    table = path / "metrics.json" if path.is_dir() or not path.exists() else path
    try:
        metrics = json.loads(table.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{table} is damaged: {error}") from error
    if not isinstance(metrics, dict):
        raise CheckpointError(f"{table} is damaged: it holds a {type(metrics).__name__}, not metrics by name")
    return metrics


def _check_image(image: Path, folder: Path) -> None:
    """Refuse an image that is no file of its folder, or a very large one.

    Raises:
        CheckpointError: it is.
    """
    if not image.is_file():
        raise CheckpointError(f"{image} is not there, or is no file")
    if not image.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(f"{image} is a link to a file outside of {folder}: put the image itself there")
    if image.stat().st_size > LARGEST_IMAGE:
        raise CheckpointError(f"{image} has {image.stat().st_size:,} bytes, {LARGEST_IMAGE:,} at most are published")


def _snippet(about: type[Pretrained], config: Mapping[str, Any], is_pair: bool) -> str:
    if not is_pair:
        return about.usage
    return COMPLETE_IMAGE if config["grid"][0] == 1 else COMPLETE_VIDEO


def _sampling_words(sampling: SamplingSettings | None) -> dict[str, str]:
    """Return what the snippet that completes says of the settings that a GPT recommends; nothing where it does not."""
    if sampling is None:
        return {"import_sampling": "", "sampling": ""}
    settings = ", ".join(f"{name}={value:g}" for name, value in sampling.flat().items())
    return {"import_sampling": ", SamplingOptions", "sampling": f", sampling=SamplingOptions({settings})"}


def _complete_command(name: str, config: Mapping[str, Any]) -> str:
    """Return the command that completes pictures or videos with a GPT and the tokenizer beside it."""
    still = config["grid"][0] == 1
    word = f"./{name}" if name.startswith("-") else name
    given = ["--input", "IMAGES" if still else "VIDEOS", "--prompt", "half-image" if still else "half-clip"]
    return shell_line(["secondsight", "complete", "--gpt", word, "--tokenizer", word, *given, "--out", "completed"])


def _shown(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation as the template shows it."""
    lower = {} if evaluation.precision is None else {"precision": plain(evaluation.precision)}
    return {
        "title": evaluation.title,
        "metrics": {MEANINGS.get(key) or code(key): value for key, value in {**evaluation.metrics, **lower}.items()},
        "images": {
            name: (plain(CAPTIONS.get(path.name, name)), CAPTIONS.get(path.name) or code(name))
            for name, path in evaluation.images.items()
        },
    }


def _shown_ancestor(ancestor: Ancestor) -> dict[str, Any]:
    """Return a model that the weights began from as the template shows it."""
    steps = "" if ancestor.steps is None else f", trained for {count(ancestor.steps, 'step')}"
    return {
        "model": f"{code(ancestor.model)}{steps}, weights {code(ancestor.weights)}",
        "changes": plain(ancestor.describe_changes()),
        "notes": [plain(note) for note in ancestor.notes],
    }


def _check_out(out: Path, source: Path, evaluations: Sequence[Evaluation]) -> None:
    """Refuse to overwrite anything but an earlier `publish`, and to push what happens to lie in a folder."""
    if out.resolve() == source.resolve():
        raise FileExistsError(f"--out {out} is the model's own folder: choose a new one")
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"--out {out} is a file: choose a new folder")
    present = {path.name for path in out.glob("*")}
    own = {*MODEL_FILES, "README.md", TOKENIZER, *(name for each in evaluations for name in each.images)}
    others = present - own if _is_card(out / "README.md") else present
    others |= {path.name for path in (out / TOKENIZER).glob("*")} - {*MODEL_FILES}
    if others:
        names = ", ".join(sorted(others)[:5])
        raise FileExistsError(f"--out {out} holds {names}, which would be lost or pushed: choose a new folder")


def _is_card(path: Path) -> bool:
    """Whether a file is a card that `publish` wrote, edited since or not."""
    return path.is_file() and "library_name: secondsight" in path.read_text(encoding="utf-8", errors="replace")


def _precision(tensors: Mapping[str, Tensor]) -> str:
    floating = {str(tensor.dtype) for tensor in tensors.values() if tensor.is_floating_point()}
    return " and ".join(sorted(name.removeprefix("torch.") for name in floating))
