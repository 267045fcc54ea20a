"""All tables of people's responses that a report is given, as one: checked, and without what the rules leave out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.human import Landmarks
from experiments.people.accuracy import POOLED, PeopleAccuracy, measured, people_accuracies
from experiments.people.data_options import PeopleOptions, response_tables
from experiments.people.exclusions import Excluded, exclude, off_list, tested_twice
from experiments.people.lags import LagRate, rates_by_lag
from experiments.people.sessions import Session
from experiments.people.table import TWO_ALTERNATIVES, Response, Responses, read_responses
from experiments.statistics.trials import TrialRow
from training.progress import count

NAMELIKE = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[A-Z][a-z]+[ ,]+[A-Z][a-z]+")
"""What is no code of a participant: an e-mail address, or two words with capitals."""


@dataclass(frozen=True, kw_only=True)
class Participant:
    """What a participant did on a list, and whether it counts: a row of `participants.csv`."""

    participant: str
    """Code of the participant."""
    list: str
    """Name of the study list."""
    version: str
    """`as_given`, `swapped`, or both with a space between them."""
    trials: int
    """Choices between two images that were to be made."""
    answered: int
    """Choices that were made."""
    accuracy: float | None
    """Share of correct choices; empty without any."""
    reaction_time: float | None
    """Median of the choices; empty where no time is known."""
    too_fast: float | None
    """Share of the choices that were faster than the options allow; empty where no time is known."""
    hits: float | None
    """Share of repeats of the vigilance task that were detected; empty without any."""
    false_alarms: float | None
    """Share of new pictures of the vigilance task that were called repeats; empty without any."""
    d_prime_vigilance: float | None
    """d' of the vigilance task, half a success and half a failure added to each rate; empty without one."""
    excluded: str
    """Why nothing of it counts; empty where it does."""


@dataclass(frozen=True)
class People:
    """What people answered, and what followed."""

    notes: tuple[str, ...]
    """How each file was read: a sentence each."""
    remarks: tuple[str, ...]
    """What a reader has to know before any result."""
    rows: tuple[Response, ...]
    """Without what was left out."""
    excluded: tuple[Excluded, ...]
    participants: tuple[Participant, ...]
    accuracies: tuple[PeopleAccuracy, ...]
    rates: tuple[LagRate, ...]
    beside: tuple[PeopleAccuracy, ...]
    """What stands beside models: of the lists that both took, all together; none where they share no list."""
    source: str
    """Names of the files."""

    @property
    def landmarks(self) -> Landmarks | None:
        """What stands beside models, by condition; None where people and models share no list."""
        return measured(self.beside, self.source) if self.beside else None


def read_people(options: PeopleOptions, trials: Sequence[TrialRow]) -> People | None:
    """Read the tables of `--people`; None if there are none.

    Responses to items that no model was tested on are left out, where models have studied the list at all.

    Args:
        options: the tables, and the rules by which participants are left out.
        trials: of the models.

    Raises:
        OSError: a table cannot be read.
        ValueError: one is damaged, two hold different answers to the same trial, or no participant is left.
    """
    if not options.people:
        return None
    tables = [read_responses(table) for path in options.people for table in response_tables(path)]
    rows, doubled = merge_responses(tables)
    known = _items_by_list(trials)
    rows, strangers = off_list(rows, known)
    rows, again = tested_twice(rows)
    kept, excluded = exclude(rows, options, {name: len(items) for name, items in known.items()})
    if not kept:
        raise ValueError(_nobody_left(options, strangers, excluded))
    shared = [row for row in kept if row.list in known]
    return People(
        notes=tuple(f"{table.path}: {note}" for table in tables for note in table.notes),
        remarks=tuple(_remarks(kept, rows, trials, known)),
        rows=tuple(kept),
        excluded=(*excluded, *doubled, *strangers, *again),
        participants=tuple(_participants(rows, excluded, options)),
        accuracies=tuple(people_accuracies(kept)),
        rates=tuple(rates_by_lag(kept)),
        beside=tuple(line for line in people_accuracies(shared) if line.list == POOLED),
        source=", ".join(path.name for path in options.people),
    )


def merge_responses(tables: Iterable[Responses]) -> tuple[list[Response], list[Excluded]]:
    """Return the responses of several tables, each once, and those that were there again.

    Raises:
        ValueError: two tables hold different answers of a participant to the same trial.
    """
    seen: dict[tuple[object, ...], tuple[Responses, Response]] = {}
    doubled: list[Response] = []
    for table in tables:
        doubled += table.doubled
        for row in table.rows:
            holder, first = seen.setdefault(row.key, (table, row))
            if first is row:
                continue
            if first != row:
                raise ValueError(
                    f"{holder.path} and {table.path} hold different answers of {row.participant} to trial {row.trial} "
                    f"of the task {row.task}: give one of them, or two participants two codes"
                )
            doubled.append(row)
    left_out = [
        Excluded(row.participant, row.list, row.item, 1, "there twice, word for word: counted once") for row in doubled
    ]
    return [row for _, row in seen.values()], left_out


def _items_by_list(trials: Iterable[TrialRow]) -> dict[str, dict[str, str]]:
    """Return the condition of each item that models were tested on, by list."""
    known: dict[str, dict[str, str]] = defaultdict(dict)
    for trial in trials:
        known[trial.list][trial.item] = trial.condition
    return dict(known)


def _participants(
    rows: Iterable[Response], excluded: Iterable[Excluded], options: PeopleOptions
) -> Iterator[Participant]:
    reasons = {(each.list, each.participant): each.reason for each in excluded}
    sessions: dict[tuple[str, str], list[Response]] = defaultdict(list)
    for row in rows:
        sessions[row.list, row.participant].append(row)
    for (name, participant), responses in sorted(sessions.items()):
        session = Session.of(responses)
        yield Participant(
            participant=participant,
            list=name,
            version=" ".join(session.versions),
            trials=session.trials,
            answered=session.answered,
            accuracy=session.accuracy,
            reaction_time=session.reaction_time,
            too_fast=session.fast_share(options.fast_seconds),
            hits=session.hit_rate,
            false_alarms=session.false_alarm_rate,
            d_prime_vigilance=session.vigilance_d_prime,
            excluded=reasons.get((name, participant), ""),
        )


def _remarks(
    kept: Sequence[Response], rows: Sequence[Response], trials: Sequence[TrialRow], known: Mapping[str, object]
) -> Iterator[str]:
    lists = sorted({row.list for row in kept})
    strange = [name for name in lists if known and name not in known]
    if strange:
        yield (
            f"People answered the list {', '.join(strange)}, which no model here has studied ({', '.join(known)}): "
            "they are in the tables of people, and not beside the models."
        )
    taken = {row.condition for row in kept if row.task == TWO_ALTERNATIVES and row.list in known}
    untaken = sorted({trial.condition for trial in trials} - taken)
    if untaken and taken:
        yield f"Nobody was tested in the condition {', '.join(untaken)}: there the models stand alone."
    yield from _rules_without_grounds(rows)
    people = sorted({row.participant for row in rows})
    names = [participant for participant in people if NAMELIKE.fullmatch(participant)]
    if names:
        yield (
            f"{count(len(names), 'code')} of participants look like names or addresses: number them with "
            "`secondsight memory people --codes number` before you pass anything on."
        )
    if len({row.participant for row in kept}) == 1:
        yield "There is one participant, from whom nothing follows for other people: intervals are over images alone."


def _rules_without_grounds(rows: Iterable[Response]) -> Iterator[str]:
    """Say of how many participants the rules cannot be applied."""
    sessions: dict[tuple[str, str], list[Response]] = defaultdict(list)
    for row in rows:
        sessions[row.list, row.participant].append(row)
    found = [Session.of(responses) for responses in sessions.values()]
    unwatched = sum(session.hit_rate is None and session.false_alarm_rate is None for session in found)
    if unwatched:
        yield f"The rules on the vigilance task are not applied to {count(unwatched, 'participant')} who had none."
    untimed = sum(bool(session.choices) and session.reaction_time is None for session in found)
    if untimed:
        yield f"The rule on speed is not applied to {count(untimed, 'participant')} without reaction times."


def _nobody_left(options: PeopleOptions, strangers: Sequence[Excluded], excluded: Sequence[Excluded]) -> str:
    files = ", ".join(str(path) for path in options.people)
    first = excluded[0] if excluded else strangers[0]
    left_out = f"{count(len(excluded), 'participant')} and {count(len(strangers), 'response')}"
    return (
        f"no response of {files} is left: {left_out} are left out, the first, {first.participant} on {first.list}, "
        f"because: {first.reason}; change the rules, or leave --people out"
    )
