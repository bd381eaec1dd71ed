from __future__ import annotations

import numpy as np
import pytest

from metricface.errors import EvaluationError
from metricface.functional.metrics import bootstrap
from metricface.functional.metrics.bootstrap import draws, existing, paired_difference, person_interval, resampled_sums

RNG = np.random.default_rng(0)
PERSONS = RNG.integers(0, 30, 400) * 7  # labels need not be dense
HITS = (RNG.random(400) < 0.3 + 0.6 * (PERSONS % 2)).astype(float)


def test_it_agrees_with_a_naive_resampling_of_people() -> None:
    rng = np.random.default_rng(5)
    people = np.unique(PERSONS)
    figures = []
    for _ in range(4000):
        drawn = rng.choice(people, len(people))
        probes = np.concatenate([np.flatnonzero(person == PERSONS) for person in drawn])
        figures.append(HITS[probes].mean())
    expected = np.quantile(figures, [0.025, 0.975])
    assert person_interval(HITS, PERSONS, samples=4000, seed=1) == pytest.approx(expected, abs=0.012)


def test_with_the_same_draws_it_is_the_naive_loop_exactly() -> None:
    people = np.unique(PERSONS)
    figures = []
    for drawn in np.random.default_rng(8).integers(len(people), size=(300, len(people))):
        hits = [hit for number in drawn for hit in HITS[people[number] == PERSONS]]
        figures.append(sum(hits) / len(hits))
    found = person_interval(HITS, PERSONS, samples=300, seed=8, confidence=0.9)
    assert found == pytest.approx(tuple(np.quantile(figures, [0.05, 0.95])), abs=1e-12)


def test_no_probe_is_an_error_and_not_a_number() -> None:
    with pytest.raises(EvaluationError, match=r"bootstrap: no probe \(got 0 outcomes\)\. Leave the interval out"):
        person_interval(np.empty(0), np.empty(0, np.int64))


def test_samples_drawn_in_blocks_are_all_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_BLOCK", 100)  # three samples of 30 people at once
    low, high = person_interval(HITS, PERSONS, samples=1000)
    assert (low, high) == pytest.approx(person_interval(HITS, PERSONS, samples=100_000), abs=0.02)


def test_it_is_wider_than_an_interval_over_probes_when_people_differ() -> None:
    low, high = person_interval(HITS, PERSONS)
    narrow = person_interval(HITS, np.arange(400))
    assert low < HITS.mean() < high
    assert high - low > 1.5 * (narrow[1] - narrow[0])


def test_it_is_seeded_and_degenerate_outcomes_have_no_width() -> None:
    assert person_interval(HITS, PERSONS, seed=3) == person_interval(HITS, PERSONS, seed=3)
    assert person_interval(HITS, PERSONS, seed=3) != person_interval(HITS, PERSONS, seed=4)
    assert person_interval(np.ones(5), np.zeros(5, np.int64)) == (1.0, 1.0)


def test_sums_are_those_of_the_drawn_people_one_sample_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_BLOCK", 100)  # three samples of 30 people at once
    people = np.unique(PERSONS)
    statistics = np.stack([HITS, np.ones(400), RNG.normal(size=400)], axis=1)
    rng = np.random.default_rng(2)
    expected = [
        sum(statistics[people[number] == PERSONS].sum(axis=0) for number in drawn)
        for drawn in (draw for start in range(0, 10, 3) for draw in rng.integers(30, size=(min(3, 10 - start), 30)))
    ]
    assert resampled_sums(statistics, PERSONS, samples=10, seed=2) == pytest.approx(np.array(expected))


def test_blocks_change_no_draw() -> None:
    (whole,) = draws(30, samples=10, seed=2)
    assert whole.sum(axis=1).tolist() == [30] * 10
    parts = list(draws(30, samples=10, seed=2, width=bootstrap._BLOCK // 3))
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_figure_exists_on_the_samples_that_have_it_unless_most_lack_it() -> None:
    assert existing(np.array([0.5, np.nan, 1.0, np.nan])).tolist() == [0.5, 1.0]
    assert existing(np.array([0.5, np.nan, np.nan])) is None
    assert existing(np.array([])) is None


def test_the_order_of_probes_changes_no_draw() -> None:
    order = np.random.default_rng(6).permutation(400)
    assert person_interval(HITS, PERSONS) == person_interval(HITS[order], PERSONS[order])


def test_p_counts_the_rarer_side_and_zero_itself_and_is_never_zero() -> None:
    assert paired_difference(np.array([1.0] * 95 + [-1.0] * 3 + [0.0]))[1] == 2 * (4 + 1) / 100
    assert paired_difference(np.full(99, -0.5))[1] == 2 / 100
    assert paired_difference(np.zeros(99)) == ((0.0, 0.0), 1.0)
    assert paired_difference(np.full(99, 0.1 + 0.2 - 0.3))[1] == 1.0  # 0 but for the rounding


def test_p_is_below_five_percent_where_the_interval_leaves_out_zero() -> None:
    rng = np.random.default_rng(3)
    seen = set()
    for shift in np.linspace(1.7, 2.2, 40):
        (low, _), p = paired_difference(rng.normal(shift, size=2000))
        assert (low > 0) == (p < 0.05) or abs(p - 0.05) < 0.003
        seen.add(low > 0)
    assert seen == {True, False}


def test_p_is_uniform_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(7)
    below = 0
    for _ in range(300):
        difference = rng.normal(size=60)
        sums = resampled_sums(np.stack([difference, np.ones(60)], 1), np.arange(60), samples=200, seed=0)
        below += paired_difference(sums[:, 0] / sums[:, 1])[1] < 0.1
    assert 0.05 < below / 300 < 0.17
