"""The files that commands write, and what the columns of their tables are: of the dataclasses that are the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data.inspection import InspectedFile
from data.near_duplicates import NearDuplicate
from data.prepared import PreparedMetadata, PreparedVideo
from data.same import DataRecord
from data.sources import Skipped
from data.stimuli.lists import ListedDefect, ListedTrial, Stimulus
from data.tokens import StoreMetadata, TokenItem
from experiments.codebook import Column, columns
from experiments.demo_summary import DemoSummary
from experiments.diversity.reporting.estimates import MetricRow
from experiments.diversity.reporting.verdicts import ClaimRow
from experiments.diversity.tables import AuditRow, BestRow, ImageRow, ItemRow, PositionRow, RedundancyRow, RunRow
from experiments.memory.compute import ComputeRow
from experiments.memory.continuous import StreamRow
from experiments.memory.experiment import KnownImage
from experiments.memory.items.sources import Unused
from experiments.memory.items.tables import Correlation, CourseRow, MemorabilityRow, ReliabilityRow
from experiments.memory.key_choice import KeyRow
from experiments.memory.lags import LagRow
from experiments.memory.merge import LeftOut
from experiments.memory.observers.judged import ImageScore
from experiments.memory.protocol import ProtocolOption
from experiments.memory.recall import RecallRow
from experiments.people.accuracy import PeopleAccuracy
from experiments.people.converters.convert import LeftOutAnswer
from experiments.people.exclusions import Excluded
from experiments.people.lags import LagRate
from experiments.people.reading import Participant
from experiments.people.table import Response
from experiments.people.task.content import RepeatRow
from experiments.physics.manifest import Box, Film
from experiments.physics.reporting.accuracy import AccuracyRow
from experiments.physics.reporting.claims import ConceptClaim
from experiments.physics.reporting.curves import AccuracyCurveRow
from experiments.physics.reporting.extremes import ExtremeRow
from experiments.physics.reporting.kept import KeptRow
from experiments.physics.reporting.timecourse import TimecourseRow
from experiments.physics.tables import FilmRow, FrameRow, ModelRow, ScoreRow
from experiments.scaling.extrapolation_agreement import AgreementRow
from experiments.scaling.extrapolation_tables import FamilyRow, FanRow, PredictionRow, TargetRow
from experiments.scaling.fit_tables import (
    BudgetRow,
    ConvergenceRow,
    DrawRow,
    FitRow,
    GridBiasRow,
    HeldOutRow,
    LimitedRow,
    LineRow,
    NewcomerRow,
    OptimumRow,
    ResidualRow,
)
from experiments.scaling.measured_tables import MeasuredRow, TaskCurveRow, UnmeasuredRow
from experiments.scaling.plan_rows import PlanRow
from experiments.scaling.rate_table import PlannedTrialRow, TriedRow
from experiments.scaling.report_left_out import LeftOutRow
from experiments.scaling.run_table import LadderRow
from experiments.scaling.tables import CurveRow
from experiments.scaling.task_rows import ClassRow, CurveFitRow
from experiments.scaling.task_table import TaskRow
from experiments.statistics.accuracy import Accuracy
from experiments.statistics.comparison import Comparison
from experiments.statistics.items import Item
from experiments.statistics.signal_detection import Sensitivity
from experiments.statistics.thresholds import Threshold
from experiments.statistics.trials import TrialRow
from sampling.gallery import GalleryItem
from starter.colour_study import ColourRow
from starter.sampling_choice import ItemRow as StudiedItem
from starter.sampling_choice import SettingRow
from starter.tokenizer_study import TokenizerRow
from viewing.look.tables import DuplicateRow, LookRow
from vqgan.evaluate import ItemScore


@dataclass(frozen=True)
class WrittenFile:
    """A file, or a folder, of the output of a command."""

    name: str
    """Path in the output folder; angle brackets stand for what differs."""
    meaning: str
    """What is in it, as one clause."""
    fields: type | None = None
    """Dataclass whose fields are the columns of the table or the names in the JSON."""


CONFIG = WrittenFile("config.json", "the options and the `command` they belong to; written when all was checked")
ENVIRONMENT = WrittenFile("environment.json", "versions of Python and packages, device, threads, git commit")
SKIPPED = WrittenFile("skipped.csv", "files that are not used: `file`, `reason` and `is_media`")
LISTED = WrittenFile("listing", "what was found out about the data, kept so that a later call does not look again")
FIGURE_FILES = "the same plots, with letters that need no font where they are looked at"
METHODS = WrittenFile("methods.txt", "how the runs were made, in words, from their options and versions")
CODEBOOK = WrittenFile("codebook.csv", "what each column of the tables in this folder is", Column)
MODEL = (
    WrittenFile(
        "config.json",
        "class and architecture of a model, where its weights began (`ancestry`), and settings that a GPT recommends "
        "(`sampling`)",
    ),
    WrittenFile("model.safetensors", "its weights, with a digest of them and of `config.json`"),
)
RUN = (
    CONFIG,
    ENVIRONMENT,
    WrittenFile("data.json", "what the data were, by which a run that is resumed knows them again", DataRecord),
    WrittenFile(
        "metrics.jsonl",
        "a line of JSON per report: `step`, and the metrics that the page on what training looks like lists",
    ),
    WrittenFile("loss.png, loss.pdf, loss.svg", "the metrics over the steps"),
    WrittenFile("trackers", "with `--trackers`: what TensorBoard reads, or which run it is at Weights & Biases"),
    WrittenFile(
        "checkpoints/<step>",
        "a model folder and `training_state/`, with digests: the newest two, the best, and those kept for good",
    ),
    WrittenFile(
        "checkpoints/<step>/model.parts.json, checkpoints/<step>/model.<process>-of-<processes>.safetensors",
        "with `--checkpoints sharded` of a model that processes share, in place of `model.safetensors`: what each "
        "process held, and how it is joined; the same of `training_state/tensors.safetensors`",
    ),
    WrittenFile("final", "the model folder that is meant when a command is given the run folder"),
)

WRITTEN: dict[str, tuple[WrittenFile, ...]] = {
    "data inspect": (
        WrittenFile("files.csv", "what can be used", InspectedFile),
        WrittenFile("skipped.csv", "what is not used, and why", Skipped),
        WrittenFile("near_duplicates.csv", "files that look much the same", NearDuplicate),
        WrittenFile("contact_sheet.png", "frames of some of them"),
        LISTED,
    ),
    "data look": (
        WrittenFile("index.html", "the page; written last"),
        WrittenFile("sprites/<number>.jpg", "thumbnails, 256 in each"),
        WrittenFile("films/<item>.jpg", "the frames of a clip side by side"),
        WrittenFile("tokens/<number>.js, surprise/<number>.js", "tokens of 256 items each, and the surprise at them"),
        WrittenFile("items.csv", "all that the page sorts and filters by", LookRow),
        WrittenFile("duplicates.csv", "groups of items that show almost the same", DuplicateRow),
        WrittenFile("look.json", "what was looked at, by which it is known again, and how much was found"),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
    ),
    "data prepare": (
        WrittenFile("shard-<shard>.tar", "webdataset samples: a frame and its `source`, `time` and `group` as JSON"),
        WrittenFile("prepared.json", "what the shards hold; written last", PreparedMetadata),
        WrittenFile("videos.jsonl", "a line of JSON per video", PreparedVideo),
        WrittenFile("index.npy", "where each frame lies: video, frame, shard, offset and size in bytes, CRC-32"),
        WrittenFile("plan.json", "the videos, so that later calls agree"),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
        LISTED,
    ),
    "data playroom": (
        WrittenFile("clips/<clip>.mp4", "videos"),
        WrittenFile("study, test", "images of toys in the layout of a study and test list"),
        WrittenFile("playroom.json", "the options they were made with"),
    ),
    "data synthetic": (
        WrittenFile("clips/<clip>.mp4", "videos"),
        WrittenFile("stills/<still>.png", "still images"),
        WrittenFile("synthetic.json", "the options they were made with"),
    ),
    "data stimuli": (
        WrittenFile("study", "the images that are studied"),
        WrittenFile("test/<condition>_seen, test/<condition>_unseen", "those that are tested, in pairs"),
        WrittenFile("stimuli.json", "where the list comes from"),
    ),
    "vqgan train": (
        *RUN,
        SKIPPED,
        LISTED,
        WrittenFile("old_listing", "with `--old-data`: the same of these"),
        WrittenFile("samples/<step>.png", "held-out clips beside their reconstructions, at every checkpoint"),
        WrittenFile("training_images.csv", "source and SHA-256 of every image that the tokenizer is trained on"),
    ),
    "vqgan palette": (
        *MODEL,
        SKIPPED,
        LISTED,
        WrittenFile("training_images.csv", "source and SHA-256 of every image that it is made of"),
    ),
    "vqgan import": MODEL,
    "gpt import": (*MODEL, WrittenFile("tokenizer", "of Image GPT: the model folder of its palette")),
    "app": (
        WrittenFile("app.py, requirements.txt, README.md", "with `--export space`: a Space, as it starts"),
        WrittenFile("models, secondsight", "with `--export space`: the model folders, and this program"),
    ),
    "publish": (
        *MODEL,
        WrittenFile("README.md", "the model card, with the images of evaluations beside it"),
        WrittenFile("tokenizer", "with a GPT: the model folder of its tokenizer"),
    ),
    "vqgan eval": (
        WrittenFile("metrics.json", "means over the items, codes in use, distances between distributions"),
        WrittenFile("items.csv", "every item", ItemScore),
        WrittenFile("reconstructions.png", "originals, reconstructions and errors from the best to the worst"),
        SKIPPED,
        LISTED,
    ),
    "python -m starter.sampling_study": (
        CONFIG,
        ENVIRONMENT,
        WrittenFile("items.csv", "every setting and item; a setting that is there is finished", StudiedItem),
        WrittenFile("table.csv", "every setting, that which is recommended marked", SettingRow),
        WrittenFile("settings.json", "temperature, top-k, top-p and min-p that are recommended"),
        WrittenFile("settings.png", "diversity and identification against distance to the truth"),
        WrittenFile("settings.pdf, settings.svg", FIGURE_FILES),
        WrittenFile("study.json", "the models, the items and the perceptual network"),
    ),
    "vqgan encode, data subset": (
        WrittenFile("metadata.json", "what the tokens are, SHA-256 of shards, items and itself", StoreMetadata),
        WrittenFile("items.jsonl", "a line of JSON per item, in the order of the tokens", TokenItem),
        WrittenFile("tokens-<shard>.bin", "items x tokens in raster order, uint16 (uint32 for large vocabularies)"),
        WrittenFile("tokens-<shard>.json", "number of items, SHA-256 and plan of a shard, to continue from"),
        WrittenFile("plan.json", "what is to be encoded, so that processes and later calls agree"),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
        LISTED,
    ),
    "vqgan leakage": (
        WrittenFile("leakage.json", "`prompt_tokens_changed`, a share; the same per row or latent frame; `items`"),
        SKIPPED,
        LISTED,
    ),
    "gpt train": (*RUN, WrittenFile("samples", "with `--sample-every`: token grids, and images of them")),
    "complete": (
        WrittenFile("index.html", "a page of all items that needs no network"),
        WrittenFile("items.csv", "a row per item", GalleryItem),
        WrittenFile("grid.png", "original, prompt and continuations of the first items"),
        WrittenFile("items", "the same of every item, the entropy of its tokens, videos as .mp4, .gif and a poster"),
        WrittenFile("tokens.npy", "(items, n, tokens) int64"),
        WrittenFile("log_probabilities.npy, entropies.npy", "of the same shape, nats, NaN where a token was given"),
        WrittenFile(
            "sample.json",
            "how to do it again: command, options, fingerprints of the models, environment; and under `decoding` what "
            "it took: noise, window, passes of the model, tokens, drafts offered and accepted by how far ahead they "
            "lay; `recommended_sampling` where the GPT recommends settings",
        ),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
    ),
    "memory run": (
        WrittenFile("trials.csv", "a row per trial, readout and test", TrialRow),
        WrittenFile("accuracy.csv", "accuracies with intervals", Accuracy),
        WrittenFile("curve.png, curve.pdf, curve.svg", "accuracy against exposures"),
        WrittenFile("study.csv", "the images of the list", Stimulus),
        WrittenFile("manifest.csv", "its trials", ListedTrial),
        WrittenFile("defects.csv", "what is wrong with it", ListedDefect),
        WrittenFile("known_images.csv", "tested images that the tokenizer was trained on", KnownImage),
        WrittenFile("protocol.csv", "with `--protocol`: its options, and what they are in this run", ProtocolOption),
        WrittenFile("recall.csv", "with `--recall`; before these columns `version` and `seed` of the run", RecallRow),
        WrittenFile("runs/<run>/maps.npz", "NLL of every token of the images before and after study"),
        WrittenFile("runs/<run>/trials.csv, runs/<run>/recall.csv", "the rows of one version under one seed"),
        WrittenFile("runs/<run>/finished.json", "which run these are of, and their SHA-256"),
        WrittenFile("tokenizer", "without `--tokenizer`: the palette that was made for the list"),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
    ),
    "memory observe": (
        WrittenFile("trials.csv", "as in `memory run`"),
        WrittenFile("scores.csv", "a row per image, test and readout; `--scores` takes such a table", ImageScore),
        WrittenFile("accuracy.csv, curve.png, curve.pdf, curve.svg", "as in `memory run`"),
        WrittenFile("study.csv, manifest.csv, defects.csv", "as in `memory run`"),
        WrittenFile("observer.json", "what the observer is called, and at how many pixels a side it saw images"),
        WrittenFile("runs/<run>/scores/<exposure>.npz", "the scores of a test, written when it is finished"),
        WrittenFile("runs/<run>/state", "what an observer with a `state` had learned; until the run is finished"),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
    ),
    "memory continuous": (
        WrittenFile("report.html", "everything on one page that needs no network"),
        WrittenFile("lags.csv", "hit rates, false alarms, d' and areas under the ROC by lag", LagRow),
        WrittenFile("stream.csv", "a row per showing", StreamRow),
        WrittenFile("responses.csv", "the same as answers, in the form of people's responses", Response),
        WrittenFile("lags.png, lags.pdf, lags.svg", "hit rate, d' and area under the ROC against lag"),
        WrittenFile("streams/<seed>.npz", "the scores of a run, as far as they are finished"),
        CODEBOOK,
        CONFIG,
        ENVIRONMENT,
    ),
    "memory keys": (
        WrittenFile("keys.csv", "a row per key, half of the trials, change and condition", KeyRow),
        WrittenFile("keys.png, keys.pdf, keys.svg", "accuracy and false alarms on the second half"),
        WrittenFile("trials.csv", "a row per trial, key and change, for `memory report`", TrialRow),
        WrittenFile("study.csv", "the images of the list", Stimulus),
        WrittenFile("manifest.csv", "its trials", ListedTrial),
        WrittenFile("defects.csv", "what is wrong with it", ListedDefect),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
    ),
    "memory sweep": (
        WrittenFile("cells/<cell>", "a folder of `memory run` for each"),
        WrittenFile("sweep.csv", "where the cells ended: options in which they differ, then columns of `accuracy.csv`"),
        WrittenFile("compute.csv", "with `--sizes` and the like: accuracies against FLOPs of study", ComputeRow),
        WrittenFile("compute.png, compute.pdf, compute.svg", "the same as a plot"),
        WrittenFile("jobs", "with `--slurm`: submit.sh, the scripts of its steps, their commands and their logs"),
        WrittenFile("report", "of these jobs: the folder of `memory report`"),
    ),
    "memory task": (
        WrittenFile("index.html", "the page; its words stand in it, one template for each screen"),
        WrittenFile("consent.html, debriefing.html", "what people agree to, and read at the end: to be filled in"),
        WrittenFile("list.js", "names of pictures and trials, and the settings"),
        WrittenFile("orders/<number>.js", "what a participant with this order sees"),
        WrittenFile("images", "the pictures, named by the digest of their pixels"),
        WrittenFile("collector.js", "where answers go"),
        WrittenFile("records.js, trials.js, task.js, task.css", "the page's own scripts and its style"),
        WrittenFile("lib", "without `--cdn`: jsPsych and its plugins, and whose they are"),
        WrittenFile("package.json, package-lock.json", "npm's own, which say what it installed"),
        WrittenFile("study.csv", "the images of the list", Stimulus),
        WrittenFile("manifest.csv", "its trials", ListedTrial),
        WrittenFile("defects.csv", "what is wrong with it", ListedDefect),
        WrittenFile("repeats.csv", "how often pictures come again at each lag", RepeatRow),
        WrittenFile("task.json", "command, settings, versions of libraries, size of all scripts"),
        SKIPPED,
    ),
    "memory serve": (
        WrittenFile("responses/<participant>.csv", "the answers", Response),
        WrittenFile("responses/<participant>.json", "order, screen, and when and how long each picture was shown"),
    ),
    "memory report": (
        WrittenFile("report.html", "everything on one page that needs no network"),
        WrittenFile("trials.csv", "the trials of all runs, as in `memory run`"),
        WrittenFile("accuracy.csv", "as in `memory run`, with the model"),
        WrittenFile("comparisons.csv", "models and readouts beside one another on the same trials", Comparison),
        WrittenFile("thresholds.csv", "exposures to a level of accuracy", Threshold),
        WrittenFile("sensitivity.csv", "signal detection", Sensitivity),
        WrittenFile("items.csv", "the images one by one", Item),
        WrittenFile("defects.csv", "trials that were left out", LeftOut),
        WrittenFile("responses.csv", "with `--people`: the answers that count", Response),
        WrittenFile("people.csv", "with `--people`: accuracy by condition, pooled and of each list", PeopleAccuracy),
        WrittenFile("participants.csv", "with `--people`: every participant on every list", Participant),
        WrittenFile("excluded.csv", "with `--people`: who and what was left out, and why", Excluded),
        WrittenFile("people_lags.csv", "with `--people`: repeats that were detected, by lag", LagRate),
        METHODS,
        CODEBOOK,
        WrittenFile("people.png, people_lags.png", "with `--people`: people alone"),
        WrittenFile("curve.png, roc.png, readouts.png, changes.png, forgetting.png", "plots, where there is data"),
        WrittenFile("remembered.png, maps_<number>.png", "images of the lists, as far as they are still there"),
        WrittenFile("*.pdf, *.svg", FIGURE_FILES),
    ),
    "memory items": (
        WrittenFile("report.html", "everything on one page that needs no network"),
        WrittenFile("correlations.csv", "every correlation, with intervals, ceiling and p-values", Correlation),
        WrittenFile("reliability.csv", "how far halves of the participants, and of the runs, agree", ReliabilityRow),
        WrittenFile("course.csv", "correlations in the course of study", CourseRow),
        WrittenFile("memorability.csv", "every measure of every picture", MemorabilityRow),
        WrittenFile("skipped.csv", "what was read and is not used", Unused),
        WrittenFile(
            "responses.csv, people.csv, participants.csv, people_lags.csv, excluded.csv",
            "with `--people`: as in `memory report`",
        ),
        METHODS,
        CODEBOOK,
        WrittenFile("correlations.png, course.png, scatter_<number>.png", "plots, without images of the lists"),
        WrittenFile("extremes_<number>.png", "thumbnails of the extremes, as far as the lists are still there"),
        WrittenFile("*.pdf, *.svg", FIGURE_FILES),
    ),
    "memory people": (
        WrittenFile("responses.csv", "the answers, as `memory report --people` reads them", Response),
        WrittenFile("left_out.csv", "rows of the exports that could not be used", LeftOutAnswer),
    ),
    "diversity run": (
        WrittenFile("items.csv", "a row per item and condition", ItemRow),
        WrittenFile("best.csv", "the best of 1, 2, 4 ... continuations of an item", BestRow),
        WrittenFile("positions.csv", "a row per position of the grid and condition", PositionRow),
        WrittenFile("audit.csv", "every continuation beside the training item that is most like it", AuditRow),
        WrittenFile("redundancy.csv", "what a compressor knows of the rest from the prompt", RedundancyRow),
        WrittenFile("images.csv", "the images of extremes", ImageRow),
        WrittenFile("run.csv", "one row: models, data and training", RunRow),
        WrittenFile("images", "extremes, drawn"),
        WrittenFile("continuations", "tokens that were sampled, for `--resume auto`"),
        CONFIG,
        ENVIRONMENT,
        SKIPPED,
    ),
    "diversity study": (
        WrittenFile("clip, image", "tokenizer, token stores and GPTs of each kind"),
        WrittenFile("runs", "folders of `diversity run`"),
        WrittenFile("report", "the folder of `diversity report`"),
        WrittenFile("playroom", "videos, unless `--videos` names others"),
        WrittenFile("seconds.json", "how long each stage took"),
        WrittenFile("jobs", "with `--slurm`: submit.sh, the scripts of its steps, their commands and their logs"),
        CONFIG,
        ENVIRONMENT,
    ),
    "diversity report": (
        WrittenFile("report.html", "everything on one page that needs no network"),
        WrittenFile("metrics.csv", "means with intervals", MetricRow),
        WrittenFile("claims.csv", "claims, and whether they hold", ClaimRow),
        WrittenFile("sizes.csv", "the same claims for every size of training set", ClaimRow),
        WrittenFile("runs.csv", "the rows of all runs' `run.csv`"),
        WrittenFile(
            "items.csv, best.csv, positions.csv, audit.csv, redundancy.csv, images.csv", "the rows of all runs"
        ),
        METHODS,
        CODEBOOK,
        WrittenFile("*.png", "plots"),
        WrittenFile("*.pdf, *.svg", FIGURE_FILES),
    ),
    "physics stimuli": (
        WrittenFile("films/<quadruple>/<beginning><ending>.mp4", "four films, without loss"),
        WrittenFile("films/<quadruple>/manifest.csv, films/<quadruple>/boxes.csv", "of these four"),
        WrittenFile("manifest.csv", "a row per film; written last", Film),
        WrittenFile("boxes.csv", "a row per frame in which the object is in view", Box),
        WrittenFile("sheets/<concept>.png", "films of the first scenes as rows of frames, the event marked"),
        WrittenFile("look/<concept>.mp4", "the same films side by side, for browsers and players"),
        WrittenFile("stimuli.json", "the options they were made with"),
    ),
    "a set of films": (
        WrittenFile("manifest.csv", "a row per film", Film),
        WrittenFile("boxes.csv", "where objects are, if that is known", Box),
    ),
    "physics run": (
        WrittenFile("scores.csv", "how often what cannot happen is the more surprising, written last", ScoreRow),
        WrittenFile("films.csv", "a row per film and model", FilmRow),
        WrittenFile("frames.csv", "a row per latent frame, film and model", FrameRow),
        WrittenFile("models.csv", "the GPTs, observers and controls", ModelRow),
        WrittenFile("defects.csv", "films that were left out", ListedDefect),
        WrittenFile(
            "surprise/<model>/<film>.npz",
            "the surprise of every token, `surprise` (latent frames, rows, columns) float32 in the unit of the model",
        ),
        WrittenFile("encoded", "films as tokens and what controls say of them, for all models and `--resume auto`"),
        CONFIG,
        ENVIRONMENT,
    ),
    "physics report": (
        WrittenFile("report.html", "everything on one page that needs no network"),
        WrittenFile("accuracy.csv", "accuracies by concept, of models, controls and people", AccuracyRow),
        WrittenFile("claims.csv", "what each model knows, held against controls", ConceptClaim),
        WrittenFile("curve.csv", "accuracy against training and size, where there are several", AccuracyCurveRow),
        WrittenFile("timecourse.csv", "surprise over time, aligned at the event", TimecourseRow),
        WrittenFile("extremes.csv", "the films that are drawn", ExtremeRow),
        WrittenFile("kept.csv", "how much of what matched films differ in the tokenizer keeps", KeptRow),
        METHODS,
        CODEBOOK,
        WrittenFile("accuracy.png, measures.png, timecourse_<tokens>.png, curve_<axis>_<measure>.png", "plots"),
        WrittenFile("*.pdf, *.svg", FIGURE_FILES),
        WrittenFile(
            "extremes/<films>.mp4, extremes/<films>.png, extremes/<films>_strip.png",
            "films at the extremes with their surprise: videos, the image before each plays, the event's latent frames",
        ),
    ),
    "scaling plan": (
        WrittenFile("plan.csv", "a row per training", PlanRow),
        WrittenFile("rates.csv", "with `--learning-rates`: a row per short training that tries one", PlannedTrialRow),
        CODEBOOK,
        CONFIG,
        ENVIRONMENT,
    ),
    "scaling run": (
        WrittenFile("runs.csv", "a row per training that is done, which `scaling fit` reads", LadderRow),
        WrittenFile(
            "tasks.csv", "with `--tasks`: a row per cell, task and group of items, for `scaling tasks`", MeasuredRow
        ),
        WrittenFile("curves/<task>.csv", "of these the values of a task, for `scaling extrapolate`", TaskCurveRow),
        WrittenFile("unmeasured.csv", "what is not measured, such as tasks of cells that diverged", UnmeasuredRow),
        WrittenFile("tasks/<task>/<cell>", "the folder of the command that measures the task"),
        WrittenFile("tasks/nll/<cell>/metrics.json", "what `gpt eval` prints"),
        WrittenFile("tasks/reconstruction", "the folder of `vqgan eval`, once for all cells"),
        WrittenFile("tasks/encoded", "the films of `physics` as tokens, once for all cells"),
        WrittenFile("rates.csv", "with `--learning-rates`: how each rate did, and which was chosen", TriedRow),
        WrittenFile("rates/<trial>", "a run folder of `gpt train` each, in which a size tries a rate"),
        WrittenFile("trunks/<trunk>", "a run folder of `gpt train` each, at a constant rate"),
        WrittenFile("cells/<cell>", "a run folder of `gpt train` each: the decay from a trunk to one budget"),
        WrittenFile("cells/<cell>/diverged.json", "of a training that diverged before its end: `why`, and the `kind`"),
        WrittenFile("tokens/<amount>", "with `--hours` or `--unique-tokens`: parts of the token store"),
        WrittenFile("seconds.json", "how long each training and each measurement took"),
        WrittenFile("index.html", "how far it has come, which a browser follows while it runs; losses.png is on it"),
        WrittenFile("trunks/<trunk>/clock.json, cells/<cell>/clock.json", "`seconds` of a training, over all attempts"),
        METHODS,
        WrittenFile("jobs", "with `--slurm`: submit.sh, the scripts of its steps, their commands and their logs"),
        CODEBOOK,
        CONFIG,
        ENVIRONMENT,
    ),
    "scaling fit": (
        WrittenFile("page.html", "everything on one page that needs no network"),
        WrittenFile("fit.csv", "parameters of the law, and exponents by every method, with intervals", FitRow),
        WrittenFile("optimum.csv", "the best size and data of the budgets that are asked for", OptimumRow),
        WrittenFile("limited.csv", "the same where different items run out; no rows where none repeat", LimitedRow),
        WrittenFile("heldout.csv", "the runs of the largest budget, predicted from the smaller ones", HeldOutRow),
        WrittenFile("isoflop.csv", "the best size of each budget, read off its runs", BudgetRow),
        WrittenFile("grid_bias.csv", "by how much such readings of exact losses are off", GridBiasRow),
        WrittenFile("newcomer.csv", "the fit beside fits as they might have been made", NewcomerRow),
        WrittenFile("residuals.csv", "every row of the table, and why it was left out if it was", ResidualRow),
        WrittenFile("convergence.csv", "how the searches went", ConvergenceRow),
        WrittenFile("bootstrap.csv", "the laws fitted to runs drawn anew", DrawRow),
        WrittenFile("lines.csv", "the lines that are drawn", LineRow),
        WrittenFile("loss.png", "loss against compute: runs, the law for some sizes, and its envelope"),
        WrittenFile("isoflop.png", "loss against size for each budget, where there are budgets of several sizes"),
        WrittenFile("grid_bias.png", "what the width and the middle of a grid of sizes do to the best size"),
        WrittenFile("optimum.png", "the best size and data against compute"),
        WrittenFile("residuals.png", "residuals against size, data and compute"),
        WrittenFile("newcomer.png", "the best size against compute, for each way of fitting"),
        WrittenFile("*.pdf, *.svg", FIGURE_FILES),
        METHODS,
        CODEBOOK,
        CONFIG,
        ENVIRONMENT,
    ),
    "scaling extrapolate": (
        WrittenFile("page.html", "everything on one page that needs no network"),
        WrittenFile("targets.csv", "the amount at which each family reaches the target, with intervals", TargetRow),
        WrittenFile("predictions.csv", "what each family says at marked amounts", PredictionRow),
        WrittenFile("agreement.csv", "spread between families and within them, and the verdict", AgreementRow),
        WrittenFile("families.csv", "how well each family foretold the largest amount, and its weight", FamilyRow),
        WrittenFile("points.csv", "the points, as they were read", CurveRow),
        WrittenFile("fan.csv", "the curves that are drawn", FanRow),
        WrittenFile("extrapolation.png", "the measure against the amount, all families with their intervals"),
        WrittenFile("extrapolation.pdf, extrapolation.svg", FIGURE_FILES),
        METHODS,
        CODEBOOK,
        CONFIG,
        ENVIRONMENT,
    ),
    "scaling tasks": (
        WrittenFile("page.html", "everything on one page that needs no network"),
        WrittenFile("classes.csv", "what kind of curve each task makes, why, and simulated error rates", ClassRow),
        WrittenFile("points.csv", "the points, as they were read", TaskRow),
        WrittenFile("fits.csv", "the curves that are drawn", CurveFitRow),
        WrittenFile("tasks_<number>.png", "the tasks, up to 12 in a figure"),
        WrittenFile("*.pdf, *.svg", FIGURE_FILES),
        METHODS,
        CODEBOOK,
        CONFIG,
        ENVIRONMENT,
    ),
    "scaling report": (
        WrittenFile("index.html", "everything on one page that needs no network"),
        WrittenFile("ladder/runs.csv", "the trainings that have ended, as `scaling run` wrote them"),
        WrittenFile("ladder/rates.csv", "where learning rates were tried: how each did", TriedRow),
        WrittenFile("ladder/losses.png", "losses against compute, a colour for each size"),
        WrittenFile(
            "law, extrapolation, tasks", "tables and figures as `scaling fit`, `extrapolate`, `tasks` write them"
        ),
        WrittenFile("left_out.csv", "what diverged, has not ended, was not measured or left out, and why", LeftOutRow),
        WrittenFile("*.pdf, *.svg", FIGURE_FILES),
        METHODS,
        CODEBOOK,
    ),
    "demo": (
        WrittenFile("report.html", "what was made, each image with a sentence on how to read it"),
        WrittenFile("summary.json", "the metrics", DemoSummary),
        WrittenFile("completions/diversity.json", "how varied the completions are"),
        WrittenFile("playroom, tokenizer, tokens, gpt, reconstructions, leakage, completions, memory", "of each stage"),
        WrittenFile("shards", "with a model to begin from: the videos, decoded once"),
        WrittenFile("adaptation.png", "new clips, and what the tokenizer made of them before and after it was adapted"),
        WrittenFile("reconstructions_before, gpt_before", "the tokenizer's metrics, and the GPT, as they came"),
        WrittenFile("from_scratch, reconstructions_from_scratch", "with `--compare`: a tokenizer trained for as long"),
        WrittenFile("seconds.json", "how long each stage took"),
        CONFIG,
        ENVIRONMENT,
    ),
    "python -m starter.colour_study": (
        WrittenFile("table.csv", "a row for each loss; `table.md` is the same for people", ColourRow),
        WrittenFile("sheet.png", "held-out clips beside what is made of them under each loss"),
        WrittenFile("<loss>/tokenizer, <loss>/evaluation", "of each loss"),
        WrittenFile("<loss>/tokenizer.json", "optimizer steps that were planned, and processor time in seconds"),
    ),
    "python -m starter.tokenizer_study": (
        WrittenFile("table.csv", "a row for each tokenizer; `table.md` is the same for people", TokenizerRow),
        WrittenFile("rates.png, rates.pdf, rates.svg", "bits per pixel against PSNR and the perceptual distance"),
        WrittenFile("sheet.png", "held-out clips beside what each tokenizer makes of them"),
        WrittenFile("<tokenizer>/tokenizer, <tokenizer>/half_size, <tokenizer>/gpt", "the runs"),
        WrittenFile("<tokenizer>/tokens_train, <tokenizer>/tokens_held_out", "token stores"),
        WrittenFile("<tokenizer>/tokenizer.json, <tokenizer>/half_size.json, <tokenizer>/gpt.json", "of their time"),
        WrittenFile("<tokenizer>/evaluation", "the folder of `vqgan eval`"),
    ),
}


def files_page() -> str:
    """Return the page of all files, with the columns of the tables."""
    lines = [
        "# Files and columns",
        "",
        "Tables are CSV (RFC 4180, UTF-8); an empty cell stands for a value that there is none of. Floats have as many",
        "digits as it takes to read them back equal. Tables and JSON appear complete or not at all. Numbers whose unit",
        "is `none` have none; in a column of text the unit is empty.",
        "",
    ]
    for command, files in WRITTEN.items():
        lines += [f"## {command}", "", "| file | what is in it |", "|---|---|"]
        lines += [f"| `{file.name}` | {file.meaning} |" for file in files]
        lines += ["", *(line for file in files if file.fields is not None for line in _columns(file, file.fields))]
    return "\n".join(lines)


def _columns(file: WrittenFile, kind: type) -> Iterator[str]:
    yield from (f"### `{file.name}`", "", "| name | type | unit | values | meaning |", "|---|---|---|---|---|")
    for column in columns(file.name, kind):
        cells = map(_cell, (column.type, column.unit, column.range, column.meaning))
        yield f"| `{column.column}` | {' | '.join(cells)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")
