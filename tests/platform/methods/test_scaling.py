import numpy as np
import pytest
from scipy.optimize import curve_fit

from hven.errors import DataRefusedError, ParameterError
from hven.methods import scaling

SIZE = np.geomspace(1e2, 1e6, 15)


def losses(floor, scatter, seed=0, exponent=0.35):
    return (floor + 2.0 * SIZE**-exponent) * np.exp(scatter * np.random.default_rng(seed).normal(size=len(SIZE)))


@pytest.mark.t0
def test_exact_laws_are_found_exactly():
    for floor in (0.0, 0.01, 0.3):
        law = scaling.fit(SIZE, losses(floor, 0.0), n_boot=10)
        assert (law.floor, law.amplitude, law.exponent) == pytest.approx((floor, 2.0, 0.35), abs=2e-5)
        assert law.predict(1e7) == pytest.approx(floor + 2 * 1e7**-0.35, rel=1e-4)


@pytest.mark.t1
def test_the_exponent_is_recovered_and_its_interval_is_honest():
    """Spec: b within 0.02 of the truth on synthetic losses; of 60 samples, 68 % intervals cover 55 to 82 %."""
    laws = [scaling.fit(SIZE, losses(0.05, 0.01, seed), n_boot=60, seed=seed) for seed in range(60)]
    found = np.array([law.exponent for law in laws])
    assert np.median(np.abs(found - 0.35)) < 0.02
    covered = [law.exponent_interval[0] < 0.35 < law.exponent_interval[1] for law in laws]
    assert 0.55 < np.mean(covered) < 0.82


@pytest.mark.t1
def test_a_floor_that_the_data_do_not_tell_has_an_interval_that_begins_at_zero():
    """Spec: floor unidentifiable is reported as an interval that includes 0."""
    law = scaling.fit(SIZE, losses(0.0, 0.03, seed=3))
    assert law.floor_interval[0] == pytest.approx(0.0, abs=1e-6)
    clear = scaling.fit(SIZE, losses(0.3, 0.01, seed=3))
    assert clear.floor_interval[0] > 0.2
    assert clear.floor_interval[0] < 0.3 < clear.floor_interval[1] + 0.02


def test_errors_weigh_and_the_fit_is_that_of_a_search():
    rng = np.random.default_rng(4)
    err = rng.uniform(0.002, 0.02, len(SIZE))
    loss = losses(0.2, 0.0) + err * rng.normal(size=len(SIZE))
    law = scaling.fit(SIZE, loss, loss_err=err)
    found, _ = curve_fit(lambda n, c, a, b: c + a * n**-b, SIZE, loss, p0=(0.2, 2, 0.35), sigma=err)
    assert (law.floor, law.amplitude, law.exponent) == pytest.approx(tuple(found), rel=0.03)
    assert law.floor_interval[0] < 0.2 < law.floor_interval[1] + 0.005


def test_a_fixed_floor_stays_and_missing_rows_are_left_out():
    loss = losses(0.1, 0.0)
    loss[4] = np.nan
    law = scaling.fit(SIZE, loss, floor=0.1, n_boot=20)
    assert law.floor == 0.1
    assert law.exponent == pytest.approx(0.35)
    low, high = law.interval([1e3, 1e7])
    assert low.shape == high.shape == (2,)
    assert np.all(low <= law.predict([1e3, 1e7]) * (1 + 1e-9))
    again = scaling.fit(SIZE, losses(0.1, 0.02), n_boot=20, seed=7)
    assert np.array_equal(again.replicates, scaling.fit(SIZE, losses(0.1, 0.02), n_boot=20, seed=7).replicates)


def test_what_is_no_scaling_law_is_refused():
    for size, loss in ((SIZE[:3], losses(0, 0)[:3]), (SIZE, -losses(0, 0)), (SIZE, losses(0, 0)[:4]), (0 * SIZE, SIZE)):
        with pytest.raises(DataRefusedError):
            scaling.fit(size, loss)
    with pytest.raises(ParameterError, match="floor"):
        scaling.fit(SIZE, losses(0.1, 0), floor=0.2)
    with pytest.raises(ParameterError, match="n_boot"):
        scaling.fit(SIZE, losses(0.1, 0), n_boot=2)
