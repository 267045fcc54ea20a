"""What a GPT of the hub recommends is read from the cache where its settings are all given: the hub is not asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tiny import make_gpt

from gpt.sampling_settings import SamplingSettings

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# The hub's client reads its settings when it is imported. A hub that nobody answers for would be noticed.
ASK = """
import json, sys
from pathlib import Path
from sampling.options import CompleteOptions
from sampling.recommended import find_recommended
plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
given = {"gpt": Path("hf:me/gpt"), "tokenizer": Path("t"), "out": Path("o"), "prompt": "none"}
found = [find_recommended(Path(f"hf:me/{name}"), ask_hub=False) for name in ("gpt", "unknown", "no/name")]
print(json.dumps([each and each.flat() for each in found]))
print(CompleteOptions.of(**given, **plain).sampling.top_p)
print("torch" in sys.modules)
"""


def test_the_cache_has_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--me--gpt"
    gpt = make_gpt()
    gpt.sampling = SamplingSettings(top_p=0.75)
    gpt.save_pretrained(folder / "snapshots" / COMMIT)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    nobody = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", ASK], env=plain | nobody, capture_output=True, text=True, check=True)
    found, used, torch = done.stdout.splitlines()
    assert json.loads(found) == [gpt.sampling.flat(), None, None]
    assert (used, torch) == ("1.0", "False")
    assert done.stderr == ""
