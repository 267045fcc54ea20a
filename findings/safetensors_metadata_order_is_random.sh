#!/usr/bin/env bash
# safetensors 0.8.0: the same tensors with the same metadata are other bytes each time they are written.
#
# Guess: a file is a function of what is written into it, as the format promises for tensors, which are sorted by type and
# name; so equal weights have equal checksums, are stored once, and a repeated run can be compared by its files.
# Behaviour: with two or more entries in the metadata their order in the header changes from call to call, within one
# process, too: the entries pass through a hash map with a random seed. With one entry, or none, the bytes are always the
# same. Everything that is read is equal; only bytes, and whatever is computed of them, differ.
# Output seen, Python 3.11 on Linux (the first number is another each time, above 1):
#     6 entries: 40 files of 40 writes
#     1 entry: 1 files of 40 writes
#     no metadata: 1 files of 40 writes
# A way round: one entry, which holds all others as JSON.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check safetensors==0.8.0 numpy==2.3.5

cat >"$folder/look.py" <<'PYTHON'
import hashlib

import numpy as np
from safetensors.numpy import load, save

WRITES = 40
tensors = {"weight": np.arange(6, dtype=np.float32), "bias": np.ones(2, np.float32)}


def different(metadata):
    files = [save(tensors, metadata) for _ in range(WRITES)]
    for file in files:
        read = load(file)
        assert all(np.array_equal(read[name], tensors[name]) for name in tensors)
    return len({hashlib.sha256(file).hexdigest() for file in files})


several = different({"format": "pt", "run": "7", "step": "500", "seed": "0", "licence": "mit", "data": "toys"})
one = different({"format": "pt"})
none = different(None)
print(f"6 entries: {several} files of {WRITES} writes")
print(f"1 entry: {one} files of {WRITES} writes")
print(f"no metadata: {none} files of {WRITES} writes")
assert several > 1 and one == 1 and none == 1, (several, one, none)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
