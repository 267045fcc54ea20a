"""Whose responses are left out, by rules stated before; everyone who is left out is listed with the reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.cells import whole_percent
from experiments.people.data_options import PeopleOptions
from experiments.people.sessions import Session
from experiments.people.table import TWO_ALTERNATIVES, Response


@dataclass(frozen=True)
class Excluded:
    """A participant, or single responses of one, left out of the results: a row of `excluded.csv`."""

    participant: str
    """Code of the participant."""
    list: str
    """Name of the stimulus list."""
    item: str
    """Name of the trial or path of the image; empty where all responses of the participant are left out."""
    responses: int
    """Number of responses that are left out."""
    reason: str
    """Why: the rule, and what was found."""


def exclude(
    rows: Sequence[Response], options: PeopleOptions, expected: Mapping[str, int]
) -> tuple[list[Response], list[Excluded]]:
    """Return the responses of participants who meet all rules, and who does not.

    Rules are applied to each participant on each list; one who does not meet several is listed with all of them.

    Args:
        rows: of any participants and lists.
        options: the rules.
        expected: number of trials of lists that are known, by name.
    """
    sessions: dict[tuple[str, str], list[Response]] = defaultdict(list)
    for row in rows:
        sessions[row.list, row.participant].append(row)
    of_sessions = {key: Session.of(responses) for key, responses in sessions.items()}
    most = _most_trials(of_sessions, expected)
    kept: list[Response] = []
    excluded = []
    for (name, participant), responses in sessions.items():
        reasons = "; ".join(_reasons(of_sessions[name, participant], options, most[name]))
        if reasons:
            excluded.append(Excluded(participant, name, "", len(responses), reasons))
        else:
            kept += responses
    return kept, excluded


def _most_trials(sessions: Mapping[tuple[str, str], Session], expected: Mapping[str, int]) -> dict[str, int]:
    """Return the number of forced choices that a complete participant makes, by list."""
    most: dict[str, int] = {}
    for (name, _), session in sessions.items():
        most[name] = max(most.get(name, 0), session.trials)
    return {name: expected.get(name, number) for name, number in most.items()}


def _reasons(session: Session, rules: PeopleOptions, trials: int) -> Iterator[str]:
    if session.both_versions:
        yield "took both versions of the list, and so has seen studied images and foils"
    hits, false_alarms = session.hit_rate, session.false_alarm_rate
    if hits is not None and hits < rules.least_hits:
        detected, least = whole_percent(hits), whole_percent(rules.least_hits)
        yield f"detected {detected} of the repeats of the vigilance task, less than {least}"
    if false_alarms is not None and false_alarms > rules.most_false_alarms:
        called, most = whole_percent(false_alarms), whole_percent(rules.most_false_alarms)
        yield f"called {called} of the new pictures of the vigilance task repeats, more than {most}"
    d_prime = session.vigilance_d_prime
    if d_prime is not None and rules.least_d_prime is not None and d_prime < rules.least_d_prime:
        yield f"d' of the vigilance task is {d_prime:.2f}, less than {rules.least_d_prime:g}"
    fast = session.fast_share(rules.fast_seconds)
    if fast is not None and fast > rules.most_fast:
        most = whole_percent(rules.most_fast)
        yield f"{whole_percent(fast)} of the choices took less than {rules.fast_seconds:g} s, more than {most}"
    if trials and session.answered < rules.least_answered * trials:
        yield f"answered {session.answered:,} of {trials:,} trials, less than {whole_percent(rules.least_answered)}"


def off_list(rows: Sequence[Response], known: Mapping[str, Mapping[str, str]]) -> tuple[list[Response], list[Excluded]]:
    """Return the responses without those to items that are not of the list, and what these are.

    Args:
        rows: of any participants and lists.
        known: condition by item, of the lists that are known, by name; responses on other lists are all kept.
    """
    kept = []
    excluded = []
    for row in rows:
        reason = _off_list(row, known.get(row.list))
        if reason:
            excluded.append(Excluded(row.participant, row.list, row.item, 1, reason))
        else:
            kept.append(row)
    return kept, excluded


def tested_twice(rows: Sequence[Response]) -> tuple[list[Response], list[Excluded]]:
    """Return the responses with the first choice of a participant about an item alone, and the later ones."""
    seen: set[tuple[str, str, str]] = set()
    kept = []
    excluded = []
    for row in sorted(rows, key=lambda row: row.trial):
        key = (row.participant, row.list, row.item)
        if row.task == TWO_ALTERNATIVES and key in seen:
            excluded.append(Excluded(row.participant, row.list, row.item, 1, "tested before: the first answer counts"))
            continue
        if row.task == TWO_ALTERNATIVES:
            seen.add(key)
        kept.append(row)
    return kept, excluded


def _off_list(row: Response, items: Mapping[str, str] | None) -> str:
    if items is None or row.task != TWO_ALTERNATIVES:
        return ""
    if row.item not in items:
        return f"the list {row.list} of the models has no trial {row.item}"
    if row.condition != items[row.item]:
        return f"the trial is one of the condition {items[row.item]}, not {row.condition}"
    return ""
