"""Whether two fingerprints name the same tokenizer. Imports no torch, so that configs can use it.

A fingerprint has two halves of 16 hexadecimal digits, see `storage.checksums`. Versions before wrote the second half
alone, into the configs of GPTs and the metadata of token stores, and these are still accepted.
"""

from __future__ import annotations


def same_fingerprint(one: str, other: str) -> bool:
    """Whether two fingerprints are those of one tokenizer, as far as one of a version before can tell."""
    if "-" in one and "-" in other:
        return one == other
    return one.rpartition("-")[2] == other.rpartition("-")[2]
