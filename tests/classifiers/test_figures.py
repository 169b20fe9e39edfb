from __future__ import annotations

import pytest

from classifiers.figures import figures, spread, wilson, worse


def test_precision_recall_and_f1_are_counted_per_class() -> None:
    found = figures(["a", "a", "a", "b"], ["a", "a", "b", "b"], [1.0] * 4)
    a, b = found.classes
    assert (a.precision, round(a.recall, 3), a.f1) == (1.0, 0.667, 0.8)
    assert (b.precision, b.recall) == (0.5, 1.0)
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.confusion["a", "b"] == 1


def test_a_label_that_never_occurs_does_not_count() -> None:
    assert figures(["a"], ["a"], [1.0]).macro_f1 == 1.0


def test_confidence_that_means_what_it_says_has_no_calibration_error() -> None:
    true, given = ["a"] * 10, ["a"] * 7 + ["b"] * 3
    assert figures(true, given, [0.7] * 10).calibration_error == pytest.approx(0.0, abs=1e-9)
    assert figures(true, given, [1.0] * 10).calibration_error == pytest.approx(0.3)


def test_nothing_judged_is_no_error() -> None:
    assert figures([], [], []).macro_f1 == 0.0


def test_an_interval_holds_the_share_and_is_never_empty() -> None:
    low, high = wilson(2, 176)
    assert low < 2 / 176 < high < 0.05
    assert wilson(0, 100)[1] > 0.0
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_spread_of_a_measure_holds_it_and_narrows_with_more_posts() -> None:
    def of(times: int) -> tuple[float, float, float]:
        found = figures(["a", "a", "a", "b"] * times, ["a", "a", "b", "b"] * times, [1.0] * 4 * times)
        return (found.macro_f1, *spread(found, lambda each: each.macro_f1))

    (few, low, high), (many, lower, higher) = of(5), of(500)
    assert low < few < high
    assert lower < many < higher
    assert higher - lower < (high - low) / 5
    assert spread(figures([], [], []), lambda each: each.macro_f1) == (0.0, 1.0)


def test_only_a_fall_beyond_noise_is_worse() -> None:
    assert worse({"anger en": 0.59}, {"anger en": 0.60}) == []
    assert worse({"anger en": 0.50}, {"anger en": 0.60}) == ["anger en: 0.500, installed 0.600"]
    assert worse({}, {"anger en": 0.60}) == ["anger en: 0.000, installed 0.600"]
