import numpy as np
import pytest

from hven.errors import ParameterError
from hven.mocks import abundance_stars


def test_stars_have_the_correlations_scatters_and_errors_that_the_mock_tells():
    mock = abundance_stars(40_000, 1, sigma=[0.02, 0.03, 0.04, 0.02, 0.03, 0.05])
    stars = mock.inputs["stars"]
    names = ["o_h", "na_h", "mg_h", "si_h", "ca_h", "feh"]
    x = np.stack([stars[name].values for name in names])
    err = np.array([stars[f"{name}_err"].values[0] for name in names])
    scatter = mock.truth["sigma"]
    np.testing.assert_allclose(x.std(axis=1), np.hypot(scatter, err), rtol=0.02)
    naive = np.corrcoef(x) * np.sqrt(np.outer(1 + (err / scatter) ** 2, 1 + (err / scatter) ** 2))
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(naive[off], mock.truth["correlation"][off], atol=0.05)
    assert np.isnan(np.diag(mock.truth["correlation"])).all()
    assert err.min() == pytest.approx(0.003)
    assert err.max() == pytest.approx(0.04)


def test_the_same_seed_gives_the_same_stars_and_one_star_is_enough():
    one, again, other = (abundance_stars(20, seed).inputs["stars"] for seed in (3, 3, 4))
    assert one.identical(again)
    assert not one.identical(other)
    assert abundance_stars(1, 1, elements=["O"]).inputs["stars"].o_h.size == 1


@pytest.mark.parametrize("matrix", [[[1, 2], [2, 1]], [[1, 0.5], [0.5, 2]], [[1.0]]], ids=str)
def test_what_is_no_correlation_matrix_is_refused(matrix):
    with pytest.raises(ParameterError, match="correlation has shape"):
        abundance_stars(10, 1, elements=("O", "Mg"), correlation=matrix)
