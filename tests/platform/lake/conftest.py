import pytest

import hven
from simulated import make_spectra, make_stars


@pytest.fixture
def lake(tmp_path):
    return hven.create(tmp_path / "lake")


@pytest.fixture
def stars():
    return make_stars(0, 5_000)


@pytest.fixture
def spectra():
    return make_spectra(0, 3_000)
