"""Intervals and p-values of items that come in groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from experiments.statistics.grouped import Grouping, mean_of, ratio_of, share_of
from experiments.statistics.outcomes import Floats

EACH = [str(index) for index in range(36)]
"""Names of the groups of items that are alone in them."""


def films(count: int, clips: int = 9) -> Grouping:
    """As many clips of each film."""
    return Grouping.of([f"film {index}" for index in range(count) for _ in range(clips)])


def clustered(films_count: int, correlation: float, runs: int, seed: int = 0, clips: int = 9) -> Floats:
    """Standard normal values (I, runs) of clips of films, with an intraclass correlation."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(films_count, runs)).repeat(clips, axis=0)
    own = generator.normal(size=(films_count * clips, runs))
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own


def coverage(ends: tuple[Floats, Floats], truth: float) -> float:
    """Share of intervals that hold the truth."""
    return float(((ends[0] <= truth) & (truth <= ends[1])).mean())


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("correlation", [0.1, 0.5])
def test_intervals_cover_though_clips_of_a_film_are_alike(count: int, correlation: float) -> None:
    clips = 36 // count
    values = clustered(count, correlation, 2000, clips=clips)
    assert coverage(mean_of(values, films(count, clips)).interval(), 0.0) > 0.93


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_intervals_of_eight_skewed_items_cover(scale: str) -> None:
    values = np.exp(np.random.default_rng(1).normal(size=(8, 4000)))
    found = mean_of(values, Grouping.of(EACH[:8]), "log" if scale == "log" else "linear")
    assert coverage(found.interval(), float(np.exp(0.5))) > 0.925


def test_intervals_of_ratios_cover() -> None:
    above, below = (np.exp(clustered(4, 0.5, 2000, seed)) for seed in (0, 1))
    assert coverage(ratio_of(above, films(4), below, films(4)).interval(), 1.0) > 0.93


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 1.0])
def test_intervals_of_shares_cover(share: float) -> None:
    generator = np.random.default_rng(2)
    of_film = generator.beta(share, 1 - share, (4, 2000)) if share < 1 else np.ones((4, 2000))
    values = generator.binomial(1, of_film.repeat(9, axis=0)).astype(np.float64)
    assert coverage(share_of(values, films(4)).interval(), share) > 0.93


def test_of_symmetric_values_of_many_groups_the_interval_is_that_of_the_t_test() -> None:
    half = np.random.default_rng(0).normal(1, 1, 200)
    values = np.concatenate([1 + half, 1 - half])
    low, high = mean_of(values[:, None], Grouping.of([str(index) for index in range(400)])).interval()
    assert (low[0], high[0]) == pytest.approx(tuple(ttest_1samp(values, 0).confidence_interval()))


def test_clips_of_a_film_that_are_all_the_same_are_one_observation() -> None:
    values = np.random.default_rng(0).normal(5, 1, (12, 3))
    one = mean_of(values, Grouping.of(EACH[:12])).interval()
    nine = mean_of(values.repeat(9, axis=0), films(12)).interval()
    np.testing.assert_allclose(one, nine)


def test_a_film_with_most_of_the_clips_leaves_few_degrees_of_freedom() -> None:
    names = ["long"] * 90 + EACH[:10]
    assert Grouping.of(names).freedom < 1.5
    assert films(10).freedom == pytest.approx(9)


def test_order_of_items_and_names_of_groups_do_not_matter() -> None:
    values = np.random.default_rng(0).normal(size=(36, 2))
    order = np.random.default_rng(1).permutation(36)
    names = [f"film {index % 5}" for index in range(36)]
    renamed = [names[index][::-1] for index in order]
    first, second = (
        found.interval()
        for found in (mean_of(values, Grouping.of(names)), mean_of(values[order], Grouping.of(renamed)))
    )
    np.testing.assert_allclose(first, second)


def test_one_group_has_no_interval_and_no_p_value() -> None:
    for found in (
        mean_of(np.ones((5, 2)), films(1, 5)),
        share_of(np.ones((5, 2)), films(1, 5)),
        ratio_of(np.ones((5, 2)), films(1, 5), np.ones((9, 2)), films(3, 3)),
    ):
        assert np.isnan(found.interval()).all()
        assert np.isnan(found.p_values(0.5)).all()


@pytest.mark.parametrize("threshold", [0.0, 4.0])
def test_groups_that_agree_exactly_have_the_p_value_of_sign_flips(threshold: float) -> None:
    found = mean_of(np.full((36, 1), 2.1), films(4))
    assert np.isnan(found.interval()).all()
    assert found.p_values(threshold).tolist() == [2**-3]
    assert found.p_values(float(found.value[0])).tolist() == [1.0]


def width(wrong: float, groups: int = 16) -> float:
    """Of the interval of a share of ten items in each of some groups, where so many items are wrong."""
    values = np.ones((10 * groups, 1))
    values[: int(wrong)] = 0
    low, high = share_of(values, films(groups, 10)).interval()
    return float(high[0] - low[0])


def test_something_rare_that_is_seen_makes_no_share_surer() -> None:
    widths = [width(wrong) for wrong in range(9)]
    assert widths == sorted(widths)
    assert widths[0] > 0.05


@given(st.integers(2, 20), st.data())
def test_the_lower_end_falls_with_every_item_that_is_wrong(groups: int, data: st.DataObject) -> None:
    wrong = data.draw(st.integers(0, 4))
    lows = []
    for count in (wrong, wrong + 1):
        values = np.ones((10 * groups, 1))
        values[:count] = 0
        lows.append(float(share_of(values, films(groups, 10)).interval()[0][0]))
    assert lows[1] <= lows[0]


@given(
    arrays(np.float64, (12, 3), elements=st.floats(0, 1)),
    st.lists(st.integers(0, 4), min_size=12, max_size=12).filter(lambda names: len(set(names)) > 1),
)
def test_intervals_hold_their_estimates_and_lie_where_values_can(values: Floats, names: list[int]) -> None:
    found = share_of(values, Grouping.of([str(name) for name in names]))
    low, high = found.interval()
    assert ((low >= 0) & (low <= found.value + 1e-12) & (found.value - 1e-12 <= high) & (high <= 1)).all()


@given(st.floats(0.01, 0.99), st.integers(0, 100))
def test_p_value_is_that_of_the_interval_that_touches_the_threshold(confidence: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.lognormal(size=(12, 1))
    groups = Grouping.of([f"film {index // 2}" for index in range(12)])
    for found in (
        mean_of(values, groups),
        mean_of(values, groups, "log"),
        ratio_of(values, groups, values[::-1], groups),
    ):
        _, high = found.interval(confidence)
        assert found.p_values(float(high[0])) == pytest.approx(1 - confidence, abs=1e-6)


def test_ratio_of_nothing_to_nothing_is_one_and_has_no_interval() -> None:
    found = ratio_of(np.zeros((9, 1)), films(1, 9), np.zeros((9, 1)), films(1, 9))
    assert found.value.tolist() == [1.0]
    found = ratio_of(np.ones((18, 1)), films(2), np.zeros((18, 1)), films(2))
    assert found.value.tolist() == [np.inf]
    assert np.isnan(found.interval()).all()


def test_ratio_is_turned_over_with_its_sides() -> None:
    generator = np.random.default_rng(0)
    above, below = generator.lognormal(size=(2, 36, 1))
    low, high = ratio_of(above, films(4), below, films(4)).interval()
    low_turned, high_turned = ratio_of(below, films(4), above, films(4)).interval()
    assert (1 / high, 1 / low) == (pytest.approx(low_turned), pytest.approx(high_turned))


def test_a_ratio_to_a_known_number_is_as_sure_as_its_other_side() -> None:
    above = np.random.default_rng(0).lognormal(size=(36, 1))
    one = mean_of(above, films(4), "log")
    ratio = ratio_of(above, films(4), np.full((36, 1), 2.0), films(4))
    np.testing.assert_allclose(ratio.interval(), np.array(one.interval()) / 2)


def test_allowance_for_skewness_widens_both_sides() -> None:
    values = np.append(np.zeros(11), 1.0)[:, None]
    found = mean_of(values, Grouping.of(EACH[:12]))
    low, high = found.interval()
    plain = float(student.ppf(0.975, 11) * values.std(ddof=1) / np.sqrt(12))
    assert float(high[0] - found.value[0]) > 2 * plain
    assert float(high[0] - found.value[0]) == pytest.approx(float(found.value[0] - low[0]))
