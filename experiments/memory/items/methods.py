"""How pictures were compared, in words that a paper can take over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.memory.items.resampling import Sampling
from experiments.memory.items.sources import Kind, Source
from experiments.memory.merge import RunFolder
from experiments.memory.methods import run_paragraphs
from experiments.methods import listed, methods_section
from experiments.pages import Section
from training.progress import count

MEASURES = (
    "Of each picture that was studied and tested, three measures of a run's memory were taken: the first exposure "
    "from which on the margin between the score of the foil and its own stayed above that before study (one more "
    "than the last where there was none), how much that margin had grown, and the likelihood ratio, by how much "
    "study had lowered its score; they were averaged over runs. Margins that were not compared with those before "
    "study are reported as a warning only."
)
INTERVALS = (
    "Measures were ranked (Spearman) or standardised (Pearson) within conditions and correlated; complexity was "
    "partialled out linearly. Standard errors are those of a Bayesian pigeonhole bootstrap (Owen and Eckles 2012), in "
    "which trials, runs and participants are weighted at random and independently, {resamples:,} times (seed {seed}); "
    "intervals are Student's on Fisher's scale, with Satterthwaite's degrees of freedom. p-values were corrected by "
    "Holm's method (1979). The noise ceiling is the root of the reliability, from {splits:,} random halves of the "
    "participants (Spearman and Brown; of unequal halves Horst 1951)."
)
WHO: dict[Kind, str] = {
    "people": "{name}, {participants}",
    "scores": "{name}, published scores of people",
    "predictor": "{name}",
    "complexity": "{name}",
}


def items_methods(
    out: Path, folders: Sequence[RunFolder], sources: Sequence[Source], sampling: Sampling, people: Sequence[str]
) -> Section:
    """Write `out/methods.txt`, and return the section of the page.

    Args:
        out: folder of the page.
        folders: the runs.
        sources: what they were compared with.
        sampling: how intervals were computed.
        people: paragraphs on people.
    """
    named = [
        WHO[source.kind].format(name=source.name, participants=count(source.participants, "participant"))
        for source in sources
    ]
    compared = f"They were compared with {listed(named)}."
    intervals = INTERVALS.format(resamples=sampling.resamples, splits=sampling.splits, seed=sampling.seed)
    return methods_section(out, [*run_paragraphs(folders), f"{MEASURES} {compared}", *people, intervals])
