"""The closed forms against the stochastic equation itself: the isotropic one holds, the published one does not."""

import numpy as np
import pytest

from hven.mocks import diffusion_field
from hven_plugins.abundances import Physics, field
from hven_plugins.abundances.diffusion import power_ratio

PAIRS = ([0, 0, 1], [1, 2, 2])
FRACTIONS, DELAYS = np.eye(3), np.array([[10.0, 1, 1], [1, 550.0, 1], [1, 1, 437.0]])


def simulated(weight_variance, **knobs):
    """Return covariances (8, 3, 3) of relative densities in eight boxes of 20 kpc with 512^2 pixels."""
    maps = diffusion_field(8, 5, pixels=512, logarithm=False, weight_variance=weight_variance, **knobs)
    return np.array([np.cov(one.reshape(3, -1).astype(float)) for one in maps.inputs["maps"].flux.values])


def predicted(weight_variance, drift):
    physics = Physics(sigma_agb=60.0, kappa=357.95, sigma_v=2.0454, weight_variance=weight_variance)
    told = field(FRACTIONS, DELAYS, physics, drift=drift)
    return told.correlation()[PAIRS], np.diag(told.covariance) / told.mean**2


@pytest.mark.t1
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("weight_variance", [0.0, 120.0])
def test_the_isotropic_form_is_that_of_the_simulation_and_the_published_one_is_not(weight_variance):
    """Three elements of one channel each, t = 10, 550, 437 Myr: correlations of (1, 2), (1, 3), (2, 3).

    Targets: within 3 standard errors and 0.05 of the isotropic form, variances within 5 %; the published form off by
    more than 4 standard errors on two pairs. Measured in 30 s each on one core (60 s on a busy one):

    =================  ===================  ===================  ===================  ====================
    .                  (1, 2)               (1, 3)               (2, 3)               variance / isotropic
    =================  ===================  ===================  ===================  ====================
    weights alike      .175 +- .007         .217 +- .008         .520 +- .004         .977 .958 .991 (.02)
    variance 120       .158 +- .009         .205 +- .012         .523 +- .010         .902 .985 .978 (.06)
    isotropic          .176                 .228                 .517
    published          .073 (14, 10 sigma)  .122 (11, 7 sigma)   .453 (16, 7 sigma)
    =================  ===================  ===================  ===================  ====================

    With weights of variance 120 few massive clusters make the variance, and eight boxes know it to 6 % only: it is held
    to three standard errors there. The prototype's .187, .234, .520 +- .019, .018, .010 agree.
    """
    covariance = simulated(weight_variance)
    spread = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    correlation = (covariance / (spread[:, :, None] * spread[:, None, :]))[:, *PAIRS]
    seen, err = correlation.mean(axis=0), correlation.std(axis=0, ddof=1) / np.sqrt(8)
    isotropic, variance = predicted(weight_variance, "isotropic")
    published, _ = predicted(weight_variance, "published")
    assert (np.abs(seen - isotropic) < 3 * err).all()
    assert (np.abs(seen - isotropic) < 0.05).all()
    assert (np.abs(seen - published) > 4 * err).sum() >= 2
    ratio = np.diagonal(covariance, axis1=1, axis2=2) / variance
    allowed = 0.05 if weight_variance == 0 else 3 * ratio.std(axis=0, ddof=1) / np.sqrt(8)
    assert (np.abs(ratio.mean(axis=0) - 1) < allowed).all()


def lacking(box):
    """Return the fraction of the variance at wavelengths that do not fit into a periodic box, for each element."""
    physics, n = Physics(sigma_agb=60.0, kappa=357.95, sigma_v=2.0454), 512
    k = 2 * np.pi * np.fft.fftfreq(n, box / n)
    k = np.sqrt(k[:, None] ** 2 + k**2).ravel()[1:]
    own = 2 * 60.0**2
    v_max = 4 * physics.l_corr**2 - 4 * physics.kappa * DELAYS.max(axis=1) + own
    summed = np.array([power_ratio(v, own, 0.0, k).sum() for v in v_max]) / box**2
    return 1 - summed / np.log(v_max / own)


def test_a_small_box_lacks_variance():
    """Boxes of 6, 8 and 20 l_corr lack 9 to 11 %, 5 to 6 % and 1 % (20 % at 6 in the prototype, of few boxes)."""
    assert lacking(6000.0) == pytest.approx([0.109, 0.091, 0.095], abs=0.002)
    assert lacking(20_000.0) == pytest.approx([0.0099, 0.0083, 0.0086], abs=0.0005)


@pytest.mark.t1
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_simulation_lacks_what_a_small_box_lacks():
    """Measured 5.4, -0.2, 3.1 % in eight boxes, where 10.9, 9.1, 9.5 % are expected, within 3 standard errors."""
    covariance = simulated(0.0, box=6000.0)
    _, variance = predicted(0.0, "isotropic")
    seen = np.diagonal(covariance, axis1=1, axis2=2) / variance
    off = 1 - seen.mean(axis=0) - lacking(6000.0)
    assert (np.abs(off) < 3 * seen.std(axis=0, ddof=1) / np.sqrt(8)).all()
