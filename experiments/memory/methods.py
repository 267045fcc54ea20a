"""How the runs of a report were made, in words that a paper can take over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data.stimuli.lists import Stimulus
from experiments.memory.learner import MOMENTUM
from experiments.memory.merge import RunFolder
from experiments.memory.observers.methods import observer_facts
from experiments.memory.options import MemoryOptions
from experiments.methods import Facts, compose, further_options, listed, methods_section, software
from experiments.pages import Section
from experiments.statistics.trials import TrialRow
from gpt.config import GPTConfig
from gpt.flops import parameter_count
from gpt.model import GPT
from storage.hub_names import TOKENIZER
from storage.model_paths import CheckpointError, is_at_hand, is_named
from training.progress import count
from vqgan.model import load_tokenizer

STATISTICS = (
    "Accuracy is the share of correct trials over all runs. Its 95 % intervals allow for other images and other runs,"
    " which are crossed: Student's t with degrees of freedom by Satterthwaite (1946), of two or three runs after "
    "Graybill and Wang (1980), after two images that nobody saw, one always right and one always wrong, were added "
    "(Agresti and Coull 1998). For one run there are intervals over images alone. Differences are taken on the same "
    "pairs of the same runs; their p-values are those of these intervals and, over images alone, of an exact "
    "sign-flip permutation test (of one run McNemar's), both two-sided and corrected by Holm's method (1979) for all "
    "comparisons in one respect after as many exposures. d' of the forced choice is sqrt(2) z(accuracy), with the "
    "log-linear correction of Hautus (1995). Exposures to the level of people are read from a Weibull function fitted"
    " by maximum likelihood (Wichmann and Hill 2001); their intervals hold the exposures at which that level lies "
    "inside the interval of the accuracy."
)
"""How the numbers of the tables were computed: what `experiments.statistics` does, in a paragraph."""

WORDED = frozenset(
    (
        *("stimuli", "gpt", "layers", "heads", "width", "dropout", "variant", "bos", "batch", "learning_rate"),
        *("noise", "noise_length", "noise_codes", "exclude_defects", "fillers", "half", "tokenizer", "colours", "size"),
        *("exposures", "steps_per_exposure", "replay", "optimizer", "optimizer_state", "grad_clip", "trained_blocks"),
        *("then", "then_exposures", "seeds", "seed", "changes", "store_layer", "recall", "ties", "protocol", "resize"),
        *("fit_palette", "order", "initial_weights", "store_key"),
    )
)
"""Options that the sentences below are about; others are named where they have not their default."""
RESIZING = {
    "exact": "",
    "pillow": " Images were scaled by Pillow's bilinear filter and rounded to 8 bits.",
}
ORDERS = {
    "own": "in a new random order",
    "igpt2022": "in the order of the published code (Orhan 2022)",
}
WEIGHTS = {"scaled": "", "mingpt": ", as the published code draws them"}
TIES = {"half": "a tie counted one half", "wrong": "a tie counted as wrong"}
VARIANTS = {
    "rotary": "RMS norm, rotary positions and SwiGLU, without biases",
    "legacy": "the parts of GPT-2: layer norm, learned absolute positions, GELU and biases",
    "imagegpt": "the parts of OpenAI's Image GPT: RMS norm, learned absolute positions, GELU by a sigmoid and biases",
}
READOUTS = {
    "familiarity": "by how near the features of an image lie to what an episodic store has kept of the studied images",
    "weights+store": "by the NLL of model and store mixed",
}
BY_KEY = (
    "by how near a picture lies to the nearest studied one, in features of the normalised picture, centred and "
    "whitened on pictures that were not tested"
)


def memory_methods(out: Path, folders: Sequence[RunFolder], people: Sequence[str] = ()) -> Section:
    """Write `out/methods.txt` on the runs of a report, and return the section of its page.

    Args:
        out: folder of the page.
        folders: the runs.
        people: paragraphs on people who took the same test.
    """
    return methods_section(out, [*run_paragraphs(folders), *people, STATISTICS])


def run_paragraphs(folders: Sequence[RunFolder]) -> list[str]:
    """Return how runs were made, in words."""
    names = [folder.path.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder.path) for folder in folders]
    return compose(dict(zip(names, map(_facts, folders), strict=True)))


def _facts(folder: RunFolder) -> Facts:
    facts = {"material": _material(folder), "versions": _versions(folder.trials)}
    options = folder.options
    if folder.observed is not None:
        test = _test(folder.trials, folder.observed.ties, score="score")
        return {**facts, **observer_facts(folder.observed, folder.path), "test": test}
    if options is None:
        return facts | {"test": _test(folder.trials, "half"), "unknown": "How it learned is not recorded."}
    facts |= {
        "tokenizer": _tokenizer(options),
        "model": _model(options),
        "learning": _learning(options),
        "optimizer": _optimizer(options),
        "seeds": _seeds(options),
        "test": _test(folder.trials, str(options.flat().get("ties", "half"))),
        "further": further_options(options, WORDED),
        "software": software(folder.path),
    }
    return {topic: sentence for topic, sentence in facts.items() if sentence}


def _material(folder: RunFolder) -> str:
    """Return what was studied, and in how many pairs it was tested."""
    trials = folder.trials
    options = folder.options
    half = folder.observed.half if folder.observed else options.material.half if options else "all"
    exclude = folder.observed.exclude_defects if folder.observed else bool(options and options.material.exclude_defects)
    known = folder.rows("study.csv", Stimulus)
    first = [trial for trial in trials if _test_of(trial) == _test_of(trials[0])]
    studied = len(known) or len({trial.studied for trial in first})
    by_condition = Counter(trial.condition for trial in first)
    tested = listed([f"{number:,} {condition}" for condition, number in sorted(by_condition.items())])
    pairs = f"tested were {count(len(first), 'pair')} of a studied one and a foil ({tested})"
    if options is not None and options.material.noise is not None:
        length = f"{options.material.noise_length:,} tokens"
        drawn = f"drawn uniformly from {options.material.noise_codes:,} codes"
        return f"Studied were {count(options.material.noise, 'random sequence')} of {length}, {drawn}; {pairs}."
    begin = "Studied were" if known else "Studied and tested were"
    sentence = f"{begin} {count(studied, 'image')} of the list `{trials[0].list}`; {pairs}."
    if half != "all":
        sentence += f" These are the {half} half of each condition, by the hash of their names."
    if exclude:
        sentence += " What was found defective in the list was left out."
    return sentence


def _test_of(trial: TrialRow) -> tuple[object, ...]:
    """Return what trials of one test have in common."""
    return trial.run, trial.readout, trial.change, trial.moment


def _judge(readout: str) -> str:
    """Return how a readout judges, in words."""
    return BY_KEY if readout.startswith("familiarity:") else READOUTS.get(readout, "by a score of its own")


def _versions(trials: Sequence[TrialRow]) -> str:
    if any(trial.version == "swapped" for trial in trials):
        return (
            "The list was counterbalanced: every run was made twice, with studied images and foils swapped in the "
            "second."
        )
    return "The list was run as given, without counterbalancing."


def _tokenizer(options: MemoryOptions) -> str:
    """Return how images became tokens."""
    if options.material.noise is not None:
        return ""
    return _encoding(options) + RESIZING[options.material.resize]


def _encoding(options: MemoryOptions) -> str:
    path = _tokenizer_path(options)
    if path is None:
        return (
            f"Images were scaled to {options.material.size} x {options.material.size} pixels, and each pixel became "
            f"the nearest of {options.material.colours} colours, a palette made by k-means of all images of the list."
        )
    if not is_at_hand(path):
        return f"Images became tokens of the tokenizer `{path}`."
    try:
        return f"Images became tokens of the tokenizer `{path}`, of {load_tokenizer(path).describe()}."
    except CheckpointError:
        return f"Images became tokens of the tokenizer `{path}`."


def _tokenizer_path(options: MemoryOptions) -> Path | None:
    if options.material.tokenizer is not None or options.gpt is None:
        return options.material.tokenizer
    if is_named(options.gpt):
        return options.gpt  # which brings its tokenizer along: no other is sure to be its own
    beside = options.gpt / TOKENIZER
    return beside if beside.exists() else None


def _model(options: MemoryOptions) -> str:
    """Return the architecture, its number of parameters and where it came from."""
    config = _config(options)
    origin = "A new GPT" if options.gpt is None else f"The GPT `{options.gpt}`"
    if config is None:
        return f"{origin} learned them; its architecture is not at hand."
    size = f"{count(config.layers, 'layer')}, {count(config.heads, 'head')}, width {config.width}"
    parameters = f", {parameter_count(config):,} parameters" if config.window > 1 else ""
    start = "" if config.bos else ", without a BOS token"
    dropout = f", dropout {config.dropout:g}" if config.dropout else ""
    drawn = f" Its weights were drawn anew for each seed{WEIGHTS[options.learning.initial_weights]}."
    weights = drawn if options.gpt is None else ""
    return f"{origin} learned them: {size}{parameters}; {VARIANTS[config.variant]}{start}{dropout}.{weights}"


def _config(options: MemoryOptions) -> GPTConfig | None:
    """Return the architecture of the learner; None where its folder is not there.

    Its grid is (1, 1, 1) where the tokenizer is not there.
    """
    try:
        if options.gpt is not None:
            return GPT.from_pretrained(options.gpt).config if is_at_hand(options.gpt) else None
        if options.material.noise is not None:
            side = round(options.material.noise_length**0.5)
            return options.model.for_tokens((1, side, side), options.material.noise_codes)
        path = _tokenizer_path(options)
        if path is None:
            return options.model.for_tokens((1, options.material.size, options.material.size), options.material.colours)
        if is_at_hand(path):
            tokenizer = load_tokenizer(path)
            grid = tokenizer.grid(1, tokenizer.size, tokenizer.size)
            return options.model.for_tokens(grid, tokenizer.vocab_size)
    except CheckpointError:
        return None
    return options.model.for_tokens((1, 1, 1), 2)


def _learning(options: MemoryOptions) -> str:
    """Return how the list was presented."""
    learning = options.learning
    if options.learning_rate == 0:
        return "The weights were not trained: only the episodic store learned."
    passes = f"{'each pass ' if learning.exposures > 1 else ''}{ORDERS[learning.order]}"
    protocol = "The protocol was that of Orhan (2022, arXiv 2204.13061), but for what is said. "
    sentence = protocol if options.protocol else ""
    sentence += f"The list was presented {count(learning.exposures, 'time')}, {passes}, in batches of {options.batch}"
    if learning.steps_per_exposure > 1:
        sentence += f", with {learning.steps_per_exposure} optimizer steps in a row on each"
    if learning.replay:
        sentence += f", each with up to {learning.replay} images studied earlier"
    sentence += "."
    if learning.then is not None:
        then = count(learning.then_exposures, "time")
        sentence += f" Afterwards another list, `{learning.then.name}`, was presented {then}."
    return sentence


def _optimizer(options: MemoryOptions) -> str:
    """Return how the weights changed."""
    learning = options.learning
    if options.learning_rate == 0:
        return ""
    adam = f"Adam (Kingma and Ba 2015, with their defaults) {_moments(options)}"
    optimizer = adam if learning.optimizer == "adam" else f"gradient descent with momentum {MOMENTUM}"
    clipping = f"clipped to a norm of {learning.grad_clip:g}" if learning.grad_clip else "not clipped"
    sentence = (
        f"The optimizer was {optimizer}, with a constant learning rate of {options.learning_rate:g} and without "
        f"weight decay; gradients were {clipping}."
    )
    if learning.trained_blocks is not None:
        sentence += f" Only the last {count(learning.trained_blocks, 'block')}, the norm and the head were trained."
    return sentence


def _moments(options: MemoryOptions) -> str:
    if options.learning.optimizer_state == "resume":
        return "that began with the moments in which the training of the GPT had ended"
    return "that began afresh"


def _seeds(options: MemoryOptions) -> str:
    first = options.learning.seed
    last = first + options.learning.seeds - 1
    return f"Seed {first}." if first == last else f"Seeds {first} to {last}."


def _test(trials: Sequence[TrialRow], ties: str, score: str = "mean negative log likelihood per token (NLL)") -> str:
    """Return what a correct trial is, and under which conditions trials were taken."""
    exposures = sorted({trial.exposure for trial in trials})
    before = "before the first and " if exposures[0] == 0 else ""
    sentence = (
        f"Recognition was tested {before}after each exposure. A trial was correct when the studied image had the lower "
        f"{score}; {TIES[ties]}."
    )
    readouts = sorted({trial.readout for trial in trials} - {"weights"})
    if readouts:
        judged = listed([f"{_judge(readout)} (`{readout}`)" for readout in readouts])
        sentence += f" Trials were also judged {judged}."
    changes = sorted({trial.change for trial in trials} - {"none"})
    if changes:
        sentence += f" Images were tested as they were studied, and changed: {listed(changes)}."
    return sentence
