"""What the demo measures, and the short table that it prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.cells import whole_percent
from experiments.demo_adaptation import Adaptation
from experiments.statistics.accuracy import Accuracy, pooled
from experiments.statistics.chance import chance_sentences
from gpt.likelihood import floor_sentence
from storage.files import to_json, write_text
from storage.terminal import visible


@dataclass(frozen=True)
class DemoSummary:
    """The `summary.json` of the demo."""

    psnr_db: float
    """Peak signal-to-noise ratio of new clips after tokens and back, in dB."""
    ssim: float
    """Structural similarity of the same; 1 is equal."""
    codebook_usage: float
    """Share of the codes that new clips use."""
    gpt_nll: float
    """Nats per token of new clips."""
    unigram_entropy: float
    """Entropy of their histogram: the least that a model without context can reach on these very tokens."""
    unigram_nll: float
    """Nats per token of new clips under how frequent each code is in the clips that were studied."""
    bits_per_pixel: float
    """`gpt_nll` in bits per pixel of the clips before the tokenizer."""
    memory: dict[str, dict[int, float]]
    """Accuracy by condition and exposure."""
    memory_ci: dict[str, dict[int, list[float]]]
    """Both ends of its 95 % interval."""
    prompt_tokens_changed: float
    """Share of the prompt's tokens that change when the second half of a clip is replaced."""
    diversity: dict[str, dict[str, dict[str, float]]]
    """What `measure_completions` says, by kind (image, clip) and group (studied, new)."""
    seconds: dict[str, float]
    """By stage."""
    peak_memory_gb: float
    """The most memory that the process has held, in GB."""
    seed: int
    """Of everything drawn by chance."""
    adaptation: Adaptation | None = None
    """What adapting a model changed, before and after; left out where there was none to begin from."""

    @property
    def floor_sentence(self) -> str | None:
        """A sentence for people where the GPT is no better than counting tokens; None where it is better."""
        return floor_sentence(self.gpt_nll, self.unigram_nll)

    @property
    def minutes(self) -> float:
        """How long all stages took."""
        return sum(self.seconds.values()) / 60

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        content = {name: value for name, value in asdict(self).items() if name != "adaptation" or value is not None}
        write_text(path, to_json(content))


def print_summary(summary: DemoSummary, memory: Sequence[Accuracy]) -> None:
    """Print the summary as a short table."""
    table = Table(title="Secondsight demo")
    table.add_column("what")
    table.add_column("value", justify="right")
    if summary.adaptation is not None:
        before = summary.adaptation.tokenizer["before"]["psnr_db"]
        table.add_row(
            Text(visible(f"reconstruction by {summary.adaptation.begins_from} as it came")), f"{before:.1f} dB"
        )
    table.add_row("reconstruction of new clips", f"{summary.psnr_db:.1f} dB")
    table.add_row("codes in use", whole_percent(summary.codebook_usage))
    table.add_row("GPT, new clips", f"{summary.gpt_nll:.2f} nats per token")
    table.add_row("the same per pixel", f"{summary.bits_per_pixel:.3g} bits per pixel")
    table.add_row("counting codes alone", f"{summary.unigram_nll:.2f} nats per token")
    table.add_row("prompt tokens that know the future", whole_percent(summary.prompt_tokens_changed))
    for condition, curve in pooled(memory).items():
        what = Text(visible(f"memory, {condition}, {curve[-1].exposure} exposures"))
        table.add_row(what, f"{100 * curve[-1].accuracy:.1f} %")
    table.add_row("time", f"{summary.minutes:.1f} min")
    Console().print(table)
    adaptation = summary.adaptation.sentences if summary.adaptation is not None else ()
    for sentence in (*adaptation, summary.floor_sentence, *chance_sentences(memory)):
        if sentence:
            print(visible(sentence))
