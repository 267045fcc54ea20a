"""Parallel decoding: several tokens of a continuation in one pass of the model, and exactly those of one at a time.

With noise fixed for every position and code, the token that is drawn at a position is a function of those before it. So
a window of tokens is drafted, the model reads all of it in one pass, and every draft that equals the token drawn there
is right, as are all up to the first that is not; what was drawn behind that becomes the next draft (predictive
sampling, Wiggers and Hoogeboom 2020, arXiv 2002.09928, section 2; it is a fixed-point iteration after Jacobi).

A pass over a window rounds otherwise than one over a single token. Where that could change what is drawn, the position
is drawn from a pass of its own, after what the cache holds before it was made one token at a time as well.

Axes: R rows, W tokens of a window, V vocabulary, L tokens of the sequences. Slot s of the cache is that of the s-th
token behind the prompt, and is where the logits of token s + 1 come from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from sampling.drafts import Drafts
from sampling.engine import CachedEngine, Engine
from sampling.noise import GumbelNoise
from sampling.options import SamplingOptions, WindowOption
from sampling.sampled import FREE, SampleBuffer

WIDTHS = (64, 32, 16, 8, 4)
"""Windows that `auto` chooses from."""
MOST_CPU_ROWS = 64
"""Tokens that a pass on a CPU reads at most, over all continuations: beyond, a token costs more."""
TRIAL = 16
"""Passes after which it is seen whether a window pays."""
WORTHWHILE = 1.2
"""How many times as fast a window must be expected to be."""


@dataclass
class DecodingCounts:
    """How many passes of the model sampling took, and what became of drafts."""

    passes: int = 0
    """Passes of the model over all rows side by side; reading the prompts is one."""
    tokens: int = 0
    """Tokens drawn, of all rows."""
    recomputed: int = 0
    """Tokens, among these, that rounding could have changed: they were drawn from passes of single tokens."""
    offered: list[int] = field(default_factory=list)
    """Drafts that were read 1, 2 ... positions ahead of the last known token."""
    accepted: list[int] = field(default_factory=list)
    """Drafts, among these, that were right and had only right ones before them."""

    def add_pass(self, tokens: int) -> None:
        """Count a pass from which so many tokens were drawn."""
        self.passes += 1
        self.tokens += tokens

    def add_drafts(self, offered: Tensor, accepted: Tensor) -> None:
        """Count drafts, (W,) int64 each, by how far ahead they lay."""
        missing = [0] * (len(offered) - len(self.offered))
        self.offered += missing
        self.accepted += missing
        for ahead, (more, right) in enumerate(zip(offered.tolist(), accepted.tolist(), strict=True)):
            self.offered[ahead] += more
            self.accepted[ahead] += right


def choose_window(asked: WindowOption, engine: Engine, rows: int, tokens: int, options: SamplingOptions) -> int:
    """Return how many tokens of a continuation a pass reads.

    Args:
        asked: by the options.
        engine: that reads.
        rows: continuations side by side.
        tokens: that are sampled of each.
        options: how they are drawn.

    Raises:
        ValueError: the window is longer than what is sampled, or noise or engine go one token at a time.
    """
    check_window(asked, tokens, options)
    if not isinstance(engine, CachedEngine):
        if asked not in ("auto", 1):
            raise ValueError(f"window {asked} needs an engine with a cache, and {type(engine).__name__} has none")
        return 1
    if asked == "auto":
        return widest_worthwhile(engine.gpt, rows, tokens) if options.noise == "gumbel" else 1
    return asked


def check_window(asked: WindowOption, tokens: int, options: SamplingOptions) -> None:
    """Refuse a window that is longer than what is sampled, or that the noise forbids; see `choose_window`.

    Raises:
        ValueError: it is.
    """
    if asked == "auto":
        return
    if not 1 <= asked <= max(1, tokens):
        raise ValueError(f"--window {asked} must lie in 1 to the {tokens} tokens that are sampled, or be auto")
    if asked > 1 and options.noise != "gumbel":
        raise ValueError(f"--window {asked} needs --noise gumbel, not inverse: with that, tokens cannot be drafted")


def widest_worthwhile(gpt: GPT, rows: int, tokens: int) -> int:
    """Return the window that is expected to be fastest, 1 if none is worthwhile.

    It is a function of model, device and task, never of a measured time, so that scores do not depend on what else the
    machine does. The expectation is that of `benchmarks/parallel_decoding.py`: W tokens of a window save passes as
    0.9 W^0.63.

    Args:
        gpt: the model.
        rows: continuations side by side.
        tokens: that are sampled of each.
    """
    widest = min(tokens, MOST_CPU_ROWS // rows) if gpt.device.type == "cpu" else tokens
    gains = {width: 0.9 * width**0.63 / pass_cost(gpt, rows, width) for width in WIDTHS if width <= widest}
    best = max(gains, key=lambda width: gains[width], default=1)
    return best if gains.get(best, 0.0) >= WORTHWHILE else 1


def pass_cost(gpt: GPT, rows: int, width: int) -> float:
    """Return how much longer a pass over windows takes than one over single tokens.

    Reading the weights takes a time that does not depend on how many tokens are read; a token takes a share of it, more
    on processors, where wide layers compute for longer, than on GPUs.

    Args:
        gpt: the model.
        rows: continuations side by side.
        width: tokens of a window.
    """
    share = gpt.config.width / 8192 if gpt.device.type == "cpu" else 1 / 512
    return (1 + share * (rows * width - 1)) / (1 + share * (rows - 1))


class ParallelDecoder:
    """Draws the tokens of a stretch window by window; the engine has read the prompt and the first token is drawn.

    Args:
        engine: with a cache.
        buffer: of the rows.
        noise: that decides.
        options: how tokens are drawn.
        width: tokens of a window, W.
        start: position of the first token behind the prompt.
        stop: one past the last position that is drawn.
        counts: where passes are counted.
        adapts: whether windows become narrower where drafts are too often wrong for them to pay.
    """

    def __init__(
        self,
        engine: CachedEngine,
        buffer: SampleBuffer,
        noise: GumbelNoise,
        options: SamplingOptions,
        width: int,
        start: int,
        stop: int,
        counts: DecodingCounts,
        adapts: bool = False,
    ) -> None:
        self.engine = engine
        self.noise = noise
        self.options = options
        self.counts = counts
        self.buffer = buffer
        self.start = start
        self.slots = stop - start - 1
        self.adapts = adapts
        self.tokens = buffer.rows.tokens[:, start:stop]
        self._set_width(min(width, self.slots))
        self.known = torch.ones(len(self.tokens), dtype=torch.int64, device=self.tokens.device)
        """(R,) tokens of the stretch that are drawn."""
        self.exact = torch.zeros_like(self.known)
        """(R,) slots of the cache whose content was made one token at a time."""
        self.drafts = Drafts(engine.gpt.config, buffer.rows.tokens, start, stop)

    def decode(self) -> None:
        """Draw all tokens of the stretch."""
        while self.slots and int(self.known.min()) <= self.slots:
            unsure = self._read_window()
            if bool(unsure.any()):
                self._read_single_tokens(unsure)
            if self.adapts and self.tried == TRIAL and self.width > 1:
                self._narrow_if_slow()

    def _set_width(self, width: int) -> None:
        self.width = width
        self.within = torch.arange(width, device=self.tokens.device)
        self.tried = 0
        self.gained = self.spent = 0.0

    def _narrow_if_slow(self) -> None:
        """Halve the window if a pass over it draws fewer tokens than passes over single ones would in its time."""
        narrower = self.width // 2 if self.width // 2 >= WIDTHS[-1] else 1
        self._set_width(narrower if self.gained < self.spent else self.width)

    def _read_window(self) -> Tensor:
        """Draw as many tokens as drafts allow; return the rows (R,) bool whose next token needs a pass of its own."""
        begin = (self.known - 1).clamp(max=self.slots - self.width)
        self.exact = torch.minimum(self.exact, begin)  # what lies behind is overwritten
        slots = begin[:, None] + self.within
        read = self.drafts.fill(slots)
        logits = self.engine.step_window(read, slots, int(begin.max()))
        drawn, sure = self._draw(slots + 1, logits)
        new = slots >= self.known[:, None] - 1
        right = torch.cat([drawn[:, :-1] == read[:, 1:], torch.zeros_like(new[:, :1])], dim=1)
        # A place is reached if all new ones before it were sure, and the drafts behind them right.
        passed = ~new | (sure & right)
        reached = torch.cat([torch.ones_like(new[:, :1]), passed[:, :-1].cumprod(dim=1).bool()], dim=1) & new
        taken = reached & sure
        self._count(taken, new, self.tokens.gather(1, slots + 1) == FREE)
        self.tried += 1
        self.spent += pass_cost(self.engine.gpt, len(self.tokens), self.width)
        self.gained += float(taken.sum() / new.any(dim=1).sum())
        self.buffer.fill_some(self.start + 1 + slots, drawn, logits, taken)
        self.drafts.learn(slots + 1, drawn, logits)
        self.known += taken.sum(dim=1)
        return (reached & ~sure).any(dim=1)

    def _draw(self, offsets: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return what stands or is drawn at offsets (R, W) in the stretch, and whether rounding cannot change it."""
        tolerance = logit_tolerance(logits, self.engine.gpt.config, self.engine.half)
        drawn, sure = self.noise.draw_at(self.start + offsets, logits, self.options, tolerance)
        there = self.tokens.gather(1, offsets)
        return torch.where(there == FREE, drawn, there), sure | (there != FREE)

    def _count(self, taken: Tensor, new: Tensor, free: Tensor) -> None:
        """Count a pass; places (R, W) bool are taken, new, and free if nothing was given there."""
        self.counts.add_pass(int((taken & free).sum()))
        # The first new place is that of the last known token; places behind it are those of drafts.
        first = (~new).sum(dim=1, keepdim=True)
        ahead = (self.within - first).clamp(min=0)
        zeros = torch.zeros(self.width, dtype=torch.int64, device=new.device)
        offered = zeros.scatter_add(0, ahead.flatten(), (new & free).flatten().long())
        accepted = zeros.scatter_add(0, ahead.flatten(), (taken & free).flatten().long())
        self.counts.add_drafts(offered[1:], accepted[1:])

    def _read_single_tokens(self, unsure: Tensor) -> None:
        """Draw the next token of rows (R,) bool as if everything had been read one token at a time."""
        known = self.known.clone()
        if not self.engine.repeats:
            self.spent += 1  # so many are doubtful in bf16 that it matters; in fp32 one would weigh too much
        begin = int((self.exact if self.engine.repeats else known - 1)[unsure].min())
        end = int(known[unsure].max())
        self.engine.rewind(begin)
        for slot in range(begin, end):
            logits = self.engine.step(self.drafts.fill(self.known.new_full((len(known), 1), slot))[:, 0])
            here = unsure & (known == slot + 1)
            self.counts.add_pass(int(here.sum()))
            if bool(here.any()):
                drawn = self.noise.draw(self.start + slot + 1, logits, self.options)
                offsets = known.new_full((len(known), 1), slot + 1)
                self.buffer.fill_some(self.start + offsets, drawn[:, None], logits[:, None], here[:, None])
                self.known += here
        self.counts.recomputed += int(unsure.sum())
        repeated = torch.minimum(known, torch.full_like(known, end))
        self.exact = torch.where(self.exact >= begin, torch.maximum(self.exact, repeated), self.exact)


def logit_tolerance(logits: Tensor, config: GPTConfig, half: bool) -> Tensor:
    """Return how far logits are off, by estimate, if sums were taken in another order: of (..., V) logits (...).

    A logit is what 2 x layers + 1 products of matrices behind one another make. In fp32 each rounds as often as its
    sums have terms, which are as many as the model is wide; in bf16, where sums are kept in fp32, once. As rounding
    errors are independent, they add up as their squares do (Higham 2002, section 2.8); twice that is taken.

    Args:
        logits: (..., V), those of one token in the last axis.
        config: of the model.
        half: whether products are rounded to bf16.
    """
    unit = torch.finfo(torch.bfloat16 if half else torch.float32).eps / 2
    roundings = (2 * config.layers + 1) * (1 if half else config.width)
    return 2 * unit * roundings**0.5 * logits.abs().amax(dim=-1).float()
