import numpy as np

from hven.methods.mixtures import Track
from hven.mocks import alpha_stars
from hven.mocks.alpha import HIGH, LOW, M_KNOTS


def test_stars_lie_on_their_sequences_with_the_scatter_that_is_asked_for():
    mock = alpha_stars(20_000, 1, f_low=0.3, m_h_err=0.0)
    stars, is_low = mock.inputs["stars"], mock.truth["stars.is_low"]
    assert abs(is_low.mean() - 0.3) < 0.01
    for values, chosen in ((LOW, is_low), (HIGH, ~is_low)):
        off = (stars.alpha_m.values - Track(M_KNOTS, values).at(stars.m_h.values)[0])[chosen]
        assert abs(off.mean()) < 0.002
        np.testing.assert_allclose(off.std(), np.hypot(0.03, 0.012), rtol=0.03)


def test_fields_have_their_own_fractions_and_seeds_repeat():
    mock = alpha_stars(4000, 2, f_low=[0.0, 0.5])
    field = mock.inputs["stars"].field.values
    assert not mock.truth["stars.is_low"][field == 0].any()
    assert abs(mock.truth["stars.is_low"][field == 1].mean() - 0.5) < 0.05
    assert mock.inputs["stars"].identical(alpha_stars(4000, 2, f_low=[0.0, 0.5]).inputs["stars"])
    assert alpha_stars(1, 1).inputs["stars"].sizes["object"] == 1
