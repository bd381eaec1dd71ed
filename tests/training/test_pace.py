"""The speed of a training and what is left of it, against sums done by hand."""

from __future__ import annotations

import pytest

from metricface.training.pace import Course, Pace, about, announce, duration


def test_the_time_left_counts_steps_and_the_evaluations_that_come() -> None:
    pace = Pace(Course(epochs=4, steps=10, batch_size=32, evaluate_every=2))
    assert (pace.seconds_left, pace.photos_per_second) == (None, None)
    pace.add(1, 9.0)  # workers start
    assert pace.seconds_left == pytest.approx(39 * 9.0)
    for step in range(2, 21):
        pace.add(step, 9.0 + 0.5 * (step - 1))
    assert pace.photos_per_second == pytest.approx(64.0)
    assert not pace.has_evaluations
    assert pace.seconds_left == pytest.approx(20 * 0.5)
    pace.add(20, 9.0 + 9.5 + 7.0, evaluated=True)  # of the two that are planned, one is done
    assert pace.seconds_left == pytest.approx(20 * 0.5 + 7.0)
    pace.add(21, 9.0 + 9.5 + 7.0 + 0.5)
    assert pace.seconds_left == pytest.approx(19 * 0.5 + 7.0)


def test_the_last_epoch_is_evaluated_whatever_the_interval() -> None:
    course = Course(epochs=5, steps=10, batch_size=1, evaluate_every=2)
    assert [course.evaluations_from(step) for step in (1, 20, 21, 40, 41, 50, 51)] == [3, 3, 2, 2, 1, 1, 0]
    assert course.position(1) == "epoch 1 of 5, step 1 of 10"
    assert course.position(10) == "epoch 1 of 5, step 10 of 10"
    assert course.position(11) == "epoch 2 of 5, step 1 of 10"


def test_a_process_that_goes_on_begins_its_seconds_anew() -> None:
    pace = Pace(Course(epochs=1, steps=10, batch_size=8))
    for step, seconds in ((1, 5.0), (2, 6.0), (3, 7.0), (4, 3.0), (5, 4.0)):
        pace.add(step, seconds)
    assert pace.seconds_per_step == pytest.approx(1.0)  # the first step of either process is left out
    assert pace.seconds_left == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("seconds", "exactly", "roughly"),
    [
        (0.2, "0 s", "about 5 s"),
        (44.6, "45 s", "about 45 s"),
        (59.7, "1 min 0 s", "about 1 min"),
        (100, "1 min 40 s", "about 2 min"),
        (7500, "2 h 5 min", "about 2.1 h"),
    ],
)
def test_times_to_read(seconds: float, exactly: str, roughly: str) -> None:
    assert (duration(seconds), about(seconds)) == (exactly, roughly)


def test_only_observers_that_want_it_are_told() -> None:
    class Wants:
        def begin(self, course: Course) -> None:
            self.course = course

    wants, course = Wants(), Course(1, 1, 1)
    announce(course, [print, wants])
    assert wants.course is course
