"""Exports of experiment programs, made into the table of people's responses."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from people_responses import make_choices, make_repeats

from experiments.people.converters.convert import convert_responses
from experiments.people.converters.exports import read_export
from experiments.people.data_options import ConvertOptions
from experiments.people.table import Response, read_responses, write_responses
from storage.tables import read_table, write_table

LIST = ("list=brady", "version=as_given")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as programs write them: all columns that any has, empty where a row has none."""
    write_table(path, rows, list(dict.fromkeys(name for row in rows for name in row)))
    return path


def convert(folder: Path, *files: Path, **options: Any) -> list[Response]:
    out = convert_responses(ConvertOptions(files=files, out=folder / "out", **options))
    return list(read_responses(out / "responses.csv").rows)


def left_out(folder: Path) -> list[tuple[str, str, str]]:
    return [(row["file"], row["row"], row["reason"]) for row in read_table(folder / "out" / "left_out.csv")]


def jspsych_trials(participant: str = "s1") -> list[dict[str, Any]]:
    """What jsPsych saves of two choices between images, after instructions and a fixation cross."""
    common = {"plugin_version": "2.0.0", "subject": participant, "time_elapsed": 1000}
    screens: list[dict[str, Any]] = [
        {"rt": 2301, "response": "Enter", "stimulus": "<p>Welcome</p>", "trial_type": "html-keyboard-response"},
        {"rt": None, "response": None, "stimulus": "<b>+</b>", "trial_type": "html-keyboard-response"},
        {
            **{"rt": 812.5, "response": 0, "item": "novel/cup", "condition": "novel", "side": "left"},
            **{"stimulus": ["cup.png", "tie.png"], "trial_type": "html-button-response", "correct": True},
        },
        {
            **{"rt": 1400, "response": 0, "item": "state/door", "condition": "state", "side": "right"},
            **{"stimulus": ["a.png", "b.png"], "trial_type": "html-button-response", "correct": False},
        },
        {
            **{"rt": None, "response": None, "item": "state/lid", "condition": "state", "side": "right"},
            **{"stimulus": ["c.png", "d.png"], "trial_type": "html-button-response", "correct": False},
        },
    ]
    return [{**screen, **common, "trial_index": index} for index, screen in enumerate(screens)]


JSPSYCH = [
    ("s1", 0, "novel/cup", "novel", "studied", 1.0, 0.8125, "left"),
    ("s1", 1, "state/door", "state", "foil", 0.0, 1.4, "right"),
    ("s1", 2, "state/lid", "state", "", None, None, "right"),
]


def shortly(rows: list[Response]) -> list[tuple[object, ...]]:
    return [
        (row.participant, row.trial, row.item, row.condition, row.response, row.correct, row.reaction_time, row.side)
        for row in rows
    ]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "jatos.txt"])
def test_jspsych_is_read(tmp_path: Path, ending: str) -> None:
    trials = jspsych_trials()
    path = tmp_path / f"data.{ending}"
    if ending == "csv":
        write_csv(path, [{name: _plain(value) for name, value in trial.items()} for trial in trials])
    elif ending == "jsonl":
        path.write_text("\n".join(json.dumps(trial) for trial in trials))
    else:
        path.write_text(json.dumps(trials) if ending == "json" else f"{json.dumps(trials)}\n\n")
    rows = convert(tmp_path, path, constants=LIST)
    assert shortly(rows) == JSPSYCH
    assert {(row.list, row.version, row.task) for row in rows} == {("brady", "as_given", "2afc")}
    assert left_out(tmp_path) == [(path.name, row, "no trial: it names no item") for row in ("1", "2")]


def _plain(value: object) -> object:
    """What jsPsych's CSV has of a value."""
    return {True: "true", False: "false", None: "null"}.get(value, value) if not isinstance(value, list) else str(value)


def test_buttons_are_answers_by_the_side_of_the_studied_image(tmp_path: Path) -> None:
    trials = [{name: value for name, value in trial.items() if name != "correct"} for trial in jspsych_trials()]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(trials))
    assert shortly(convert(tmp_path, path, constants=LIST, answers=("0=left", "1=right"))) == JSPSYCH


def test_answers_that_contradict_the_score_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(jspsych_trials()[2:]))
    convert(tmp_path, path, constants=LIST, answers=("0=right", "1=left"))
    assert left_out(tmp_path) == [
        ("data.json", "1", "the answer '0' means foil, but correct is 1"),
        ("data.json", "2", "the answer '0' means studied, but correct is 0"),
    ]


def test_answers_without_a_meaning_are_listed(tmp_path: Path) -> None:
    trials = [{name: value for name, value in trial.items() if name != "correct"} for trial in jspsych_trials()]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(trials))
    rows = convert(tmp_path, path, constants=LIST)
    assert [row.item for row in rows] == ["state/lid"]
    assert [reason for _, row, reason in left_out(tmp_path) if row in ("3", "4")] == [
        "nothing says what the answer '0' means: give --answers 0=ANSWER"
    ] * 2


def psychopy(path: Path, participant: str = "017") -> Path:
    """What PsychoPy saves: a row for each turn of a loop, with an empty column at the end and a byte order mark."""
    header = (
        "pair,kind,corrAns,trials.thisRepN,trials.thisN,key_resp.keys,key_resp.corr,key_resp.rt,key_start.keys,"
        "key_start.rt,participant,date,expName,psychopyVersion,frameRate,"
    )
    rows = [
        ["", "", "", "", "", "", "", "", "space", "2.1"],
        ["novel/cup", "novel", "f", "0", "0", "f", "1", "0.71", "", ""],
        ["novel/tie", "novel", "j", "0", "1", "f", "0", "1.05", "", ""],
        ["state/lid", "state", "j", "0", "2", "None", "0", "", "", ""],
    ]
    tail = [participant, "2026-01-31", "memory", "2024.2.4", "60.0", ""]
    lines = [header, *(",".join([*row, *tail]) for row in rows)]
    path.write_bytes(("\ufeff" + "\r\n".join(lines) + "\r\n").encode())
    return path


def test_psychopy_is_read(tmp_path: Path) -> None:
    path = psychopy(tmp_path / "017_memory.csv")
    rows = convert(tmp_path, path, constants=LIST, columns=("item=pair", "condition=kind"))
    assert shortly(rows) == [
        ("017", 0, "novel/cup", "novel", "studied", 1.0, 0.71, ""),
        ("017", 1, "novel/tie", "novel", "foil", 0.0, 1.05, ""),
        ("017", 2, "state/lid", "state", "", None, None, ""),
    ]


LABJS = [
    {"sender": "Welcome", "code": "c7", "duration": "5000.0", "ended_on": "response", "response": "start"},
    {
        **{"sender": "Trial", "item": "novel/cup", "condition": "novel", "response": "studied", "correct": "true"},
        **{"duration": "650.4", "ended_on": "response", "side": "left"},
    },
    {
        **{"sender": "Trial", "item": "novel/tie", "condition": "novel", "response": "foil", "correct": "false"},
        **{"duration": "900", "ended_on": "response", "side": "right"},
    },
]


def test_labjs_is_read(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "labjs.csv", LABJS)
    assert shortly(convert(tmp_path, path, constants=LIST)) == [
        ("c7", 0, "novel/cup", "novel", "studied", 1.0, 0.6504, "left"),
        ("c7", 1, "novel/tie", "novel", "foil", 0.0, 0.9, "right"),
    ]


def test_repeats_are_read(tmp_path: Path) -> None:
    trials = [
        {"trial_type": "image-keyboard-response", "trial_index": 0, "task": "study", "image": "a.png"},
        {"trial_type": "image-keyboard-response", "trial_index": 1, "task": "study", "image": "a.png", "lag": 1},
        {"trial_type": "preload", "trial_index": 2, "task": "preload", "image": "x.png"},
    ]
    for trial, condition, response, time in zip(
        trials, ("new", "old", ""), (None, " ", None), (None, 430), strict=False
    ):
        trial.update(condition=condition, response=response, rt=time, subject="s")
    trials[1]["response"] = "space"
    path = tmp_path / "data.json"
    path.write_text(json.dumps(trials))
    rows = convert(tmp_path, path, constants=LIST, answers=("space=repeat",), no_answer="new")
    assert [(row.task, row.item, row.condition, row.response, row.correct, row.lag) for row in rows] == [
        ("vigilance", "a.png", "new", "new", 1.0, None),
        ("vigilance", "a.png", "repeat", "repeat", 1.0, 1),
    ]
    assert left_out(tmp_path) == [("data.json", "3", "no trial: its task is 'preload'")]


def test_table_of_our_own_stays_as_it_is(tmp_path: Path) -> None:
    made = make_choices(participants=2, items=2) + make_repeats(participants=1, per_lag=1)
    write_responses(tmp_path / "own.csv", made)
    assert convert(tmp_path, tmp_path / "own.csv") == made


def test_several_files_are_one_table(tmp_path: Path) -> None:
    files = [psychopy(tmp_path / f"{name}.csv", name) for name in ("a", "b")]
    rows = convert(tmp_path, *files, constants=LIST, columns=("item=pair", "condition=kind"))
    assert [(row.participant, row.trial) for row in rows] == [(name, trial) for name in "ab" for trial in range(3)]


def test_file_without_participants_is_called_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{name: value for name, value in row.items() if name != "code"} for row in LABJS]
    path = write_csv(tmp_path / "p9.csv", rows)
    assert {row.participant for row in convert(tmp_path, path, constants=LIST)} == {"p9"}
    assert "1 file names no participants: the code is the name of the file" in capsys.readouterr().err


def test_rows_without_their_participant_are_listed(tmp_path: Path) -> None:
    rows = [{**row, "code": code} for row, code in zip(LABJS, ("a", "", "b"), strict=True)]
    assert [row.participant for row in convert(tmp_path, write_csv(tmp_path / "all.csv", rows), constants=LIST)] == [
        "b"
    ]
    assert [reason for _, _, reason in left_out(tmp_path)][1].startswith("it says no participant: give --columns")


def test_names_can_become_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [psychopy(tmp_path / f"{name}.csv", name) for name in ("ada@example.org", "bob@example.org")]
    options = {"constants": LIST, "columns": ("item=pair", "condition=kind")}
    convert(tmp_path, *files, **options)
    assert "2 codes of participants look like names or addresses" in capsys.readouterr().err
    assert {row.participant for row in convert(tmp_path, *files, codes="number", **options)} == {"p001", "p002"}


def test_numbered_participants_are_named_nowhere(tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "code"} for row in LABJS]
    doubled = [*rows, {**rows[-1], "trial": "0"}, {**rows[-1], "trial": "0"}]
    files = [write_csv(tmp_path / f"{name}.csv", doubled[:end]) for name, end in (("Ada", 5), ("Bob", 4))]
    convert(tmp_path, *files, constants=LIST, codes="number")
    assert {file for file, _, _ in left_out(tmp_path)} == {"export 1", "export 2"}
    written = "".join(path.read_text() for path in (tmp_path / "out").rglob("*.*"))
    assert not any(path.stem in written for path in files)


def test_unit_that_cannot_be_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path / "labjs.csv", LABJS)
    convert(tmp_path, path, constants=LIST, unit="s")
    assert "The median reaction time is 775.2 s" in capsys.readouterr().err


def test_what_is_left_out_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(jspsych_trials()))
    convert(tmp_path, path, constants=LIST)
    said = capsys.readouterr().err
    assert "left out     2 rows" in said
    assert "left out: 2 rows, no trial: it names no item" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"correct": "maybe"}, "correct is 'maybe', not 1, 0, true or false"),
        ({"rt": "fast"}, "reaction time is 'fast', no number"),
        ({"rt": "nan"}, ""),
        ({"side": "top"}, "side 'top' must be left, right or empty"),
        ({"version": "third"}, "version 'third' must be as_given or swapped"),
        ({"condition": ""}, "it says no condition: give --columns condition=NAME or --constants condition=VALUE"),
        ({"condition": "repeat"}, "it says no task, vigilance or continuous: give --constants task=VALUE"),
        ({"task": "rating"}, "no trial: its task is 'rating'"),
        ({"lag": "1.5", "task": "vigilance", "condition": "old"}, "lag is '1.5', no whole number"),
    ],
)
def test_rows_that_cannot_be_used_are_listed(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    trials = [{**trial, "version": "as_given"} for trial in jspsych_trials()[2:4]]
    trials[0].update(change)
    path = tmp_path / "data.json"
    path.write_text(json.dumps(trials))
    convert(tmp_path, path, constants=("list=brady",))
    assert [reason for _, _, reason in left_out(tmp_path)] == [said] * bool(said)


def test_trial_that_is_there_already_is_listed(tmp_path: Path) -> None:
    trials = [{**trial, "trial": 0} for trial in jspsych_trials()[2:4]]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(trials))
    convert(tmp_path, path, constants=LIST)
    assert left_out(tmp_path) == [("data.json", "2", "trial 0 of its participant is there already")]


def test_nothing_that_is_a_response_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(jspsych_trials()))
    with pytest.raises(ValueError, match=r"none of 5 rows is a response; of most, 3, because: it says no list"):
        convert(tmp_path, path)


def test_same_file_twice_is_refused(tmp_path: Path) -> None:
    files = [psychopy(tmp_path / f"{name}.csv") for name in ("a", "b")]
    with pytest.raises(ValueError, match=r"a\.csv and .*b\.csv are the same: give one of them"):
        convert(tmp_path, *files, constants=LIST)


def test_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"017\.csv has no column cup \(its columns: pair, kind"):
        convert(tmp_path, psychopy(tmp_path / "017.csv"), columns=("item=cup",))


def test_program_that_is_not_known_is_refused(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "some.csv", [{"a": 1}])
    with pytest.raises(
        ValueError, match=r"some\.csv is from none of jsPsych, PsychoPy and lab\.js by its columns \(a\)"
    ):
        read_export(path, "auto")


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "[1, 2]"])
def test_json_without_trials_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"data\.json holds no trials"):
        read_export(path, "auto")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ("item",)}, "--columns 'item' must be two names with = between them"),
        ({"constants": ("age=3",)}, "--constants 'age=3': age is no column; there are participant"),
        ({"answers": ("f=yes",)}, "--answers 'f=yes': yes is no answer; there are studied"),
    ],
)
def test_pairs_that_mean_nothing_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ConvertOptions(files=(tmp_path / "a.csv",), out=tmp_path, **options)


def test_formulas_stay_text(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "labjs.csv", [{**row, "code": "=1+1"} for row in LABJS])
    assert {row.participant for row in convert(tmp_path, path, constants=LIST)} == {"=1+1"}
    with (tmp_path / "out" / "responses.csv").open(newline="") as file:
        assert {row["participant"] for row in csv.DictReader(file)} == {"'=1+1"}
