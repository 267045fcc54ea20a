#!/usr/bin/env bash
# psignifit 4.3: a stimulus level at which nothing was asked changes the answer.
#
# Guess: a row of a level, its number of correct answers and its number of trials, with no trials, holds no observation:
# its likelihood is 1 whatever the parameters are, so the fit with it is the fit without it. Tables of planned levels have
# such rows, where an adaptive procedure never went or a session was cut short.
# Behaviour: the estimate hardly moves, but the intervals do. The priors (here: of threshold and width) are laid over the
# range of all levels in the table, those without trials as well; one row of no trials, far from the others, widens the
# 95 % interval of the threshold from 1.9 to 7.2 units, to values below the lowest level that was ever shown, and that of
# the width tenfold. Nothing is said of such rows.
# Output seen, Python 3.11 on Linux:
#     six levels, 120 trials:             threshold 3.51, 95 % [2.24, 4.13]; width 3.44, 95 % [1.55, 8.16]
#     and level 7, never shown:           threshold 3.51, 95 % [2.19, 4.13]; width 3.44, 95 % [1.52, 8.83]
#     and level 60, never shown, instead: threshold 3.51, 95 % [-3.31, 3.93]; width 3.44, 95 % [1.12, 78.07]
#     the same, stimulus_range=(1, 6):    threshold 3.51, 95 % [2.26, 4.13]; width 3.44, 95 % [0.67, 8.04]
#     warnings of rows without trials: 0
# A way round: leave out rows without trials before the fit; or say stimulus_range=(lowest, highest) of what was shown.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    psignifit==4.3 numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2

cat >"$folder/look.py" <<'PYTHON'
import warnings

import psignifit

levels = [(1, 10, 20), (2, 11, 20), (3, 13, 20), (4, 17, 20), (5, 19, 20), (6, 20, 20)]
"""Stimulus level, correct answers, trials: two-alternative forced choice."""
widths = []
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for name, data, more in (
        ("six levels, 120 trials:", levels, {}),
        ("and level 7, never shown:", [*levels, (7, 0, 0)], {}),
        ("and level 60, never shown, instead:", [*levels, (60, 0, 0)], {}),
        ("the same, stimulus_range=(1, 6):", [*levels, (60, 0, 0)], {"stimulus_range": (1, 6)}),
    ):
        fit = psignifit.psignifit(data, experiment_type="2AFC", **more)
        ends = {key: fit.confidence_intervals[key]["0.95"] for key in ("threshold", "width")}
        parts = [f"{key} {fit.parameter_estimate[key]:.2f}, 95 % [{low:.2f}, {high:.2f}]" for key, (low, high) in ends.items()]
        print(f"{name:36}", "; ".join(parts), sep="")
        widths.append(ends["threshold"][1] - ends["threshold"][0])
print("warnings of rows without trials:", sum("trial" in str(each.message) for each in said))
assert widths[2] > 2 * widths[0], widths
assert abs(widths[3] - widths[0]) < 0.1, widths
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
