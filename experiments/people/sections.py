"""What a report says of people: the tables, plots and sections of its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.cells import bracketed, number_range, p_value, share_range, whole_percent
from experiments.pages import Section, embed, percent, without_empty_columns
from experiments.people.accuracy import POOLED, PeopleAccuracy
from experiments.people.data_options import RESPONSES, PeopleOptions
from experiments.people.exclusions import Excluded
from experiments.people.figures import draw_lags, draw_people
from experiments.people.lags import FALSE_ALARM_RATE, LagRate
from experiments.people.reading import Participant, People
from experiments.people.table import Response, write_responses
from storage.tables import write_rows
from storage.terminal import visible
from training.progress import count

TABLES: Mapping[str, type] = {
    RESPONSES: Response,
    "people.csv": PeopleAccuracy,
    "participants.csv": Participant,
    "excluded.csv": Excluded,
    "people_lags.csv": LagRate,
}
"""The rows of the tables, for the codebook."""
SHOWN = 40
"""Rows of what was left out that stand on the page."""


def write_people(out: Path, people: People) -> None:
    """Write the tables of people into a folder."""
    write_responses(out / RESPONSES, people.rows)
    write_rows(out / "people.csv", people.accuracies, PeopleAccuracy)
    write_rows(out / "participants.csv", people.participants, Participant)
    write_rows(out / "excluded.csv", people.excluded, Excluded)
    write_rows(out / "people_lags.csv", people.rates, LagRate)


def found_people(people: People) -> dict[str, str]:
    """Return what is said of people before anything is computed."""
    counted = len({row.participant for row in people.rows})
    whole = [each for each in people.excluded if not each.item]
    single = [each for each in people.excluded if each.item]
    left_out = f"{count(len(whole), 'participant')} and {count(len(single), 'single response')}"
    found = {"people": f"{count(counted, 'participant')}, {count(len(people.rows), 'response')}; left out: {left_out}"}
    return {**found, **({"read as": "; ".join(people.notes)} if people.notes else {})}


def print_people(people: People) -> None:
    """Print the accuracy of people in each condition, of all lists together."""
    for result in people.accuracies:
        if result.list == POOLED:
            low, high = (result.low_images, result.high_images) if result.low is None else (result.low, result.high)
            over = "images" if result.low is None else "images and people"
            interval = f"[{share_range(low, high)} over {over}]"
            whose = count(result.participants, "participant")
            print(f"people, {visible(result.condition)}: {percent(result.accuracy)} {interval}, {whose}")


def people_sections(out: Path, people: People, options: PeopleOptions) -> Iterator[Section]:
    """Draw the plots of people into a folder, and yield the sections of its page."""
    if people.accuracies:
        draw_people(out / "people.png", people.accuracies, people.rows)
        yield _accuracy_section(out, people)
    if people.rates:
        yield _lag_section(out, people.rates)
    yield _exclusion_section(people, options)


def sensitivity_rows(people: People | None) -> list[tuple[str, ...]]:
    """Return the rows of people in the table of sensitivity: as wide as those of models, what they have not left empty.

    Columns: model, readout, condition, accuracy, p against chance, p against people, d', over images and over both.
    """
    if people is None or people.landmarks is None:
        return []
    return [
        (
            *("people", "", result.condition, percent(result.accuracy)),
            *(p_value(result.p_chance_images if result.p_chance is None else result.p_chance), ""),
            *(f"{result.d_prime:.2f}", "", number_range(result.d_prime_low, result.d_prime_high), "", "", "", ""),
        )
        for result in people.accuracies
        if result.list == POOLED and result.condition in people.landmarks
    ]


def people_methods(people: People, options: PeopleOptions) -> str:
    """Return a paragraph on the participants, the rules and the statistics."""
    counted = {row.participant for row in people.rows}
    lists = ", ".join(f"`{name}`" for name in sorted({row.list for row in people.rows}))
    left_out = [each for each in people.excluded if not each.item]
    return (
        f"{count(len(counted), 'participant')} took the test on {lists}. {_rules(options)} "
        f"{count(len(left_out), 'participant')} did not meet them. Participants stand for runs in the intervals: "
        "images and people are crossed. d' of detecting repeats is z(hits) - z(false alarms) with the log-linear "
        "correction of Hautus (1995)."
    )


def _accuracy_section(out: Path, people: People) -> Section:
    rows = [
        (
            *("list", "condition", "people", "images", "choices", "not made", "accuracy", "images and people"),
            *("images only", "d'", "remembered", "median time"),
        )
    ]
    several = len({line.list for line in people.accuracies}) > 2  # of one list alone its rows are the pooled ones
    for line in people.accuracies if several else [line for line in people.accuracies if line.list == POOLED]:
        time = "" if line.reaction_time is None else f"{line.reaction_time:.2f} s"
        remembered = percent(line.remembered) + bracketed(line.remembered_low, line.remembered_high)
        rows.append(
            (
                *(
                    line.list if several else "",
                    line.condition,
                    f"{line.participants:,}",
                    f"{line.images:,}",
                    f"{line.trials:,}",
                ),
                *(f"{line.unanswered:,}", percent(line.accuracy), share_range(line.low, line.high)),
                *(share_range(line.low_images, line.high_images), f"{line.d_prime:.2f}", remembered, time),
            )
        )
    return Section(
        "Your participants",
        "The share of pairs in which people chose the image that they had studied. `Images and people` is the 95 % "
        "interval for other images and other people, who are crossed as images and runs of models are; `remembered` is "
        "the share of images that people knew if they guessed the others, twice the accuracy less one. Choices that "
        "were not made in time are counted, and in no accuracy. people.csv and participants.csv have more.",
        (embed(out / "people.png", "Accuracy of participants, their mean, and published results where there are any"),),
        without_empty_columns(rows),
    )


def _lag_section(out: Path, rates: Sequence[LagRate]) -> Section:
    rows = [("who", "task", "lag", "called repeats", "images and people", "images only", "d'", "people", "pictures")]
    for rate in rates:
        place = "new pictures" if rate.measure == FALSE_ALARM_RATE else _lags(rate)
        intervals = (share_range(rate.low, rate.high), share_range(rate.low_images, rate.high_images))
        d_prime = "" if rate.d_prime is None else f"{rate.d_prime:.2f}"
        numbers = (f"{rate.participants:,}", f"{rate.trials:,}")
        rows.append((rate.who, rate.task, place, percent(rate.rate), *intervals, d_prime, *numbers))
    drawn = draw_lags(out / "people_lags.png", rates)
    return Section(
        "Repeats detected",
        "How often a picture that was shown again was called a repeat, by its lag (1: immediately after), and how "
        "often a new one was, the false alarms. Pictures without an answer are left out. Diamonds are hit rates of "
        "Brady et al. (2008), at 1 and 1,024 back, as digitised by others.",
        (embed(out / "people_lags.png", "Hit rate against lag, and false alarms"),) if drawn else (),
        without_empty_columns(rows),
    )


def _exclusion_section(people: People, options: PeopleOptions) -> Section:
    whole = [each for each in people.excluded if not each.item]
    single = [each for each in people.excluded if each.item]
    sentences = [
        _rules(options),
        f"Left out were {count(len(whole), 'participant')} and {count(len(single), 'single response')} of others.",
        *(f"{note}." for note in people.notes),
    ]
    if len(people.excluded) > SHOWN:
        sentences.append(f"The first {SHOWN} are below; all are in excluded.csv.")
    rows = [("participant", "list", "item", "responses", "reason")]
    for each in [*whole, *single][:SHOWN]:
        rows.append((each.participant, each.list, each.item, f"{each.responses:,}", each.reason))
    return Section("Who counts", " ".join(sentences), table=without_empty_columns(rows) if people.excluded else ())


def _rules(options: PeopleOptions) -> str:
    d_prime = "" if options.least_d_prime is None else f", whose d' there is less than {options.least_d_prime:g}"
    hits, false_alarms, fast, answered = (
        whole_percent(share)
        for share in (options.least_hits, options.most_false_alarms, options.most_fast, options.least_answered)
    )
    return (
        f"Left out is who, on a list, detects less than {hits} of the repeats of the vigilance task or calls more than "
        f"{false_alarms} of its new pictures repeats{d_prime}, who makes more than {fast} of the choices in less than "
        f"{options.fast_seconds:g} s, who answers less than {answered} of the trials, or who took both versions of the "
        "list."
    )


def _lags(rate: LagRate) -> str:
    if rate.least_lag is None:
        return "not known"
    return f"{rate.least_lag:,}" if rate.least_lag == rate.most_lag else f"{rate.least_lag:,} to {rate.most_lag:,}"
