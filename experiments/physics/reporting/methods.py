"""How the runs were made, in words that a paper can take over."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from experiments.methods import Facts, compose, further_options, listed, methods_section, software
from experiments.pages import Section, percent
from experiments.physics.reporting.runs import Merged, Run
from experiments.physics.tables import FilmRow
from storage.terminal import count

STATISTICS = (
    "Matched films were compared by their surprise, and a comparison was right where the impossible films had the "
    "larger one; a tie counted one half. Of the readouts (mean, or largest mean of a latent frame, of all tokens or of "
    "the object's, over the film or the event window) each model and control chose the best on every second scene, and"
    " is reported on the others. Scenes are the observations: shares have 95 % intervals by the jackknife over scenes "
    "(CR3 of Bell and McCaffrey 2002), Student's t, after two scenes that nobody saw, one all right and one all wrong, "
    "were added (Agresti and Coull 1998). Shares were tested against one half by exact sign-flip permutation tests "
    "over scenes, and against each control on the same comparisons likewise; being above every control takes the "
    "largest of these p-values (an intersection-union test, Berger 1982). p-values are two-sided and corrected by "
    "Holm's method (1979) for all concepts, visible and hidden, of the same model and measure. Areas under the ROC "
    "have intervals by the structural components of DeLong et al. (1988), over scenes (Obuchowski 1997). Surprise over "
    "time has Student's t over scenes with an allowance for skewness (Johnson 1978)."
)
"""How the numbers of the tables were computed, in a paragraph."""
WORDED = frozenset(("films", "tokenizer", "gpt", "kind", "overlap", "least_kept", "seed"))
"""Options that the sentences below are about; others are named where they have not their default."""


def physics_methods(out: Path, merged: Merged) -> Section:
    """Write `out/methods.txt` on the runs of a report, and return the section of its page."""
    facts = {str(run.folder): _facts(run) for run in merged.runs}
    return methods_section(out, [*compose(facts), STATISTICS])


def _facts(run: Run) -> Facts:
    facts = {
        "films": _films(run),
        "concepts": _concepts(run),
        "tokenizer": _tokenizer(run),
        "models": _models(run),
        "controls": _controls(run),
        "void": _void(run),
        "further": further_options(run.options, WORDED),
        "software": software(run.folder),
    }
    return {topic: sentence for topic, sentence in facts.items() if sentence}


def _films(run: Run) -> str:
    films = run.any_films
    matched = len({row.quadruple for row in films if row.quadruple})
    sizes = listed(sorted({f"{row.width} x {row.height}" for row in films}))
    rates = listed(sorted({f"{row.fps:.4g}" for row in films}))
    return (
        f"Measured were {count(len(films), 'film')} of {count(len({row.scene for row in films}), 'scene')} (`--films "
        f"{run.options.films} --kind {run.options.kind}`), {matched:,} quadruples or pairs of matched ones, of {sizes} "
        f"pixels at {rates} frames a second."
    )


def _concepts(run: Run) -> str:
    scenes = Counter((concept, hidden) for _, concept, hidden in {_kind(row) for row in run.any_films})
    said = [
        f"{concept} ({'hidden' if hidden else 'visible'}, {number:,})"
        for (concept, hidden), number in sorted(scenes.items())
    ]
    return f"Scenes per concept: {listed(said)}."


def _kind(row: FilmRow) -> tuple[str, str, bool]:
    return row.scene, row.concept, row.hidden


def _tokenizer(run: Run) -> str:
    grids = listed(sorted({f"{row.latent_frames}" for row in run.any_films}, key=int))
    return f"They became tokens of the tokenizer `{run.options.tokenizer}`, {grids} latent frames each, as a whole."


def _models(run: Run) -> str:
    if not run.options.gpt:
        return ""
    named = listed([f"`{gpt}`" for gpt in run.options.gpt])
    overlap = "half of the window" if run.options.overlap is None else count(run.options.overlap, "latent frame")
    return (
        f"Surprise is minus the logarithm to base 2 of the probability of each token given all before it, exactly, "
        f"under {named}; films longer than the window slid through it, with {overlap} of context that was not counted "
        "again."
    )


def _controls(run: Run) -> str:
    names = [f"`{row.model}`" for row in run.models if row.role == "control"]
    return f"Controls went through the same comparisons: {listed(names)} (seed {run.options.seed})." if names else ""


def _void(run: Run) -> str:
    if not run.options.least_kept:
        return "No films were left out for what the tokenizer loses of them."
    return (
        f"Matched films of whose difference the tokenizer kept less than {percent(run.options.least_kept)} were void "
        "and left out."
    )
