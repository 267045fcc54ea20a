"""What people reach is kept with its source, for concepts as the readers name them."""

from typing import get_args

import pytest

from experiments.physics.contrasts import Measure
from experiments.physics.options import SetKind
from experiments.physics.people import all_people, people_of
from experiments.physics.readers.intphys import CONCEPTS


def test_every_figure_is_a_share_with_a_source() -> None:
    rows = all_people()
    assert len({(row.kind, row.concept, row.visibility, row.measure) for row in rows}) == len(rows)
    for row in rows:
        assert row.kind in get_args(SetKind)
        assert row.measure in (*get_args(Measure), "film")
        assert 0.5 < row.value <= 1
        assert row.status in ("confirmed", "digitised", "second-hand")
        assert "arXiv" in row.source


def test_concepts_are_named_as_the_reader_names_them() -> None:
    assert {row.concept for row in people_of("intphys")} == set(CONCEPTS.values())


@pytest.mark.parametrize("kind", ["manifest", "inflevel", "adept", "likephys", "nothing"])
def test_of_what_is_not_known_there_is_nothing(kind: str) -> None:
    assert people_of(kind) == []


def test_a_figure_is_read_as_published() -> None:
    (row,) = [
        row
        for row in people_of("intphys")
        if (row.concept, row.visibility, row.measure) == (CONCEPTS["O3"], "hidden", "quadruple")
    ]
    assert (row.value, row.low, row.people, row.status) == (0.6, None, None, "second-hand")
