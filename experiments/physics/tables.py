"""The tables of a physics run; each stands alone, and tables of several runs can be put below one another.

models.csv   a row for every model, controls included
films.csv    a row for every film and model
frames.csv   a row for every latent frame of every film and model
scores.csv   a row for every model, readout, measure, concept and half of the scenes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from experiments.physics.contrasts import Measure
from experiments.physics.manifest import Version
from experiments.physics.readouts import Frames, Statistic, Tokens

Role = Literal["gpt", "observer", "control"]
Visibility = Literal["visible", "hidden", "both"]
Half = Literal["choosing", "reporting", "all"]


@dataclass(frozen=True)
class ModelRow:
    """A model or a control: a row of models.csv."""

    model: str
    """Its name."""
    role: Role
    """`gpt` for the GPTs that were given, `control` for everything else."""
    unit: str
    """What surprise is in, per token."""
    parameters: int | None
    """Parameters of a GPT."""
    window: int | None
    """Latent frames that a GPT sees at once."""
    fingerprint: str
    """Of a GPT's architecture and weights."""
    film_hours: float | None = None
    """Hours of film that it was trained on, each counted once; empty where that is not known."""
    seen_hours: float | None = None
    """Hours of film that it saw in training, repeats counted."""
    step: int | None = None
    """Optimisation steps of its training."""


@dataclass(frozen=True)
class FilmColumns:
    """The columns that say which film a row is of, and under which model."""

    model: str
    """Name of the model or control."""
    film: str
    """Path of the film, as in the manifest."""
    scene: str
    """Scene that it is of, which counts as one observation."""
    quadruple: str
    """Name that it shares with the films that it is matched with."""
    concept: str
    """What is violated in the impossible films of the quadruple, or `control`."""
    hidden: bool
    """Whether the event happens behind an occluder."""
    possible: bool
    """Whether the film can happen."""
    beginning: Version
    """Which of the quadruple's beginnings it has; empty where the set does not say."""
    ending: Version
    """Which of the quadruple's endings it has; empty where the set does not say."""


@dataclass(frozen=True)
class FilmRow(FilmColumns):
    """The surprise of a film under a model: a row of films.csv. Surprise is in the unit of the model, per token.

    It is empty where no token counts: of an event whose time is not known, or of an object without boxes.
    """

    film_mean: float | None
    """Mean surprise of all tokens."""
    film_maximum: float | None
    """Largest mean surprise of a latent frame."""
    event_mean: float | None
    """Mean surprise of the tokens of the event window."""
    event_maximum: float | None
    """Largest mean surprise of a latent frame of the event window."""
    object_film_mean: float | None
    """Mean surprise of the tokens that stand for the object, in this film or one that it is matched with."""
    object_film_maximum: float | None
    """Largest mean surprise of the object's tokens in a latent frame."""
    object_event_mean: float | None
    """Mean surprise of the object's tokens of the event window."""
    object_event_maximum: float | None
    """Largest mean surprise of the object's tokens in a latent frame of the event window."""
    nats_per_token: float | None
    """Mean surprise of all tokens in nats; empty for controls without a likelihood."""
    sha256: str
    """Of the file of the film, by which it is known whatever its name."""
    fps: float
    """Frames a second of the film itself."""
    width: int
    """Of the film itself."""
    height: int
    """Of the film itself."""
    frames: int
    """Frames that were looked at, at the tokenizer's rate."""
    latent_frames: int
    """Latent frames that these are."""
    event_first: int | None
    """First latent frame of the event window."""
    event_end: int | None
    """One past its last latent frame."""
    object_tokens: int
    """Tokens that stand for the object."""
    object_error: float | None
    """Root mean squared error of the tokenizer's reconstruction of these, pixels in [0, 1]."""
    kept: float | None
    """Share of the difference between the matched films that is left between their reconstructions."""
    void: bool
    """Whether the film is left out of scores, as less of that is kept than was asked for."""
    arrays: str
    """File with the surprise of every token, `surprise` (latent frames, rows, columns)."""


@dataclass(frozen=True)
class FrameRow(FilmColumns):
    """A latent frame of a film under a model: a row of frames.csv."""

    latent_frame: int
    """Index of the latent frame."""
    start: float
    """Seconds into the film at which its first frame is shown."""
    event: bool
    """Whether it belongs to the event window."""
    surprise: float | None
    """Mean surprise of its tokens, in the unit of the model."""
    object_surprise: float | None
    """The same of the tokens that stand for the object; empty where none does."""
    object_tokens: int
    """Tokens that stand for the object."""


@dataclass(frozen=True)
class ScoreRow:
    """How often impossible films are the more surprising ones: a row of scores.csv."""

    model: str
    """Name of the model or control."""
    tokens: Tokens
    """Which tokens count: all, or those that stand for the object."""
    frames: Frames
    """Which latent frames count: all, or those of the event window."""
    statistic: Statistic
    """How they make one number: the mean over tokens, or the largest mean of a latent frame."""
    measure: Measure
    """`quadruple`: AB + BA against AA + BB; `pair`: the two films of a pair; `same_ending` and `same_beginning`: pairs
    of a quadruple; `auroc`: area under the ROC, every impossible film against every possible one."""
    concept: str
    """What is violated; `all` for all concepts but `control` together."""
    visibility: Visibility
    """Whether events are visible, hidden, or both."""
    half: Half
    """Scenes that count: those on which readouts are chosen, those on which they are reported, or all."""
    chosen: bool
    """Whether the readout is the model's best of this measure on the scenes for choosing."""
    value: float
    """Share of comparisons in which the impossible films have the larger surprise, a tie counting one half; of `auroc`
    the area."""
    low: float | None
    """Lower end of its 95 % interval over scenes; empty where scenes are fewer than two, or all alike."""
    high: float | None
    """Upper end of it."""
    p: float | None
    """Two-sided, that the share is one half: exact sign-flip test over scenes; empty for `auroc`."""
    p_holm: float | None
    """`p` corrected for all concepts, visible and hidden, of the same model, readout, measure and half (Holm 1979);
    empty where these are pooled, and of `control`."""
    comparisons: int
    """Comparisons; of `auroc`, films."""
    scenes: int
    """Scenes that they are of."""
