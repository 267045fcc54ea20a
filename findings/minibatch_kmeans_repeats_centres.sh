#!/usr/bin/env bash
# scikit-learn 1.9.1: MiniBatchKMeans makes a palette in which many colours are one and the same.
#
# Guess: of data with far more distinct values than clusters, k-means makes as many distinct centres as it is asked for;
# a cluster that is empty, or that lies where another one does, is begun anew.
# Behaviour: where one value is common, as white is in pictures of objects on white ground, MiniBatchKMeans ends with
# many centres that are equal to each other in every bit: clusters with few points are begun anew at random points of a
# batch (reassignment_ratio, 0.01 by default), most of which are white; with reassignment_ratio=0 all centres differ.
# KMeans on the same data makes no two equal ones. No warning tells. Image GPT's palettes (512 colours) are made in this way in
# public code, so a part of the vocabulary never occurs, and which of the equal colours is nearest is up to rounding.
# Output seen, Python 3.11 on Linux:
#     40000 pixels, 15993 distinct colours
#     MiniBatchKMeans: 214 distinct centres of 512
#     MiniBatchKMeans, reassignment_ratio=0: 512 distinct centres of 512
#     KMeans: 512 distinct centres of 512
# A way round: KMeans, or reassignment_ratio=0; and count the distinct centres.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.3.5 scipy==1.17.1

cat >"$folder/look.py" <<'PYTHON'
import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans

generator = np.random.default_rng(0)
pixels = generator.integers(0, 256, (40_000, 3)) / 127.5 - 1
pixels[: len(pixels) * 6 // 10] = 1.0
generator.shuffle(pixels)
print(f"{len(pixels)} pixels, {len(np.unique(pixels, axis=0))} distinct colours")
distinct = {}
for name, kind in (
    ("MiniBatchKMeans", MiniBatchKMeans(512, random_state=0, n_init=1)),
    ("MiniBatchKMeans, reassignment_ratio=0", MiniBatchKMeans(512, random_state=0, n_init=1, reassignment_ratio=0)),
    ("KMeans", KMeans(512, random_state=0, n_init=1)),
):
    distinct[name] = len(np.unique(kind.fit(pixels).cluster_centers_, axis=0))
    print(f"{name}: {distinct[name]} distinct centres of 512")
assert distinct["MiniBatchKMeans"] < 512 and distinct["KMeans"] == 512, distinct
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
