"""Simulated maps as a survey: reproducible, at the parameters asked for, ingested without a file."""

import numpy as np
import pytest

import hven
from hven.errors import ParameterError
from hven.ingest import ingest_files
from hven_plugins.generative import simulated_images

SIMULATORS = {"bubbles": ["bubbles", "radius"], "reionisation": ["log_t_vir", "log_zeta"], "gaussian": ["amplitude"]}


def simulated(**options):
    parts = [batch.parts[""] for batch in simulated_images(None, pixels=16, **options)]
    return {
        name: np.concatenate([part[name].values for part in parts]) for name in map(str, parts[0].data_vars)
    }  # fmt: skip


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_every_simulator_gives_images_with_its_parameters_in_their_ranges(simulator):
    (batch,) = simulated_images(None, simulator=simulator, size=20, pixels=16)
    images = batch.parts[""]
    assert images.flux.shape == (20, 1, 16, 16)
    assert np.isfinite(images.flux).all()
    names = [str(n) for n in images.data_vars if str(n).startswith("theta_")]
    assert names == [f"theta_{name}" for name in SIMULATORS[simulator]]
    assert all(images[name].values.std() > 0 for name in names)
    assert images.simulation.values.tolist() == list(range(20))


def test_a_map_follows_from_the_seed_and_its_number_whatever_the_size():
    many, few, other = simulated(size=300), simulated(size=257), simulated(size=257, seed=1)
    assert all(np.array_equal(many[name][:257], few[name]) for name in few)
    assert not np.array_equal(few["flux"][0], other["flux"][0])
    assert len(np.unique(many["flux"].reshape(300, -1), axis=0)) == 300


def test_maps_show_their_parameters():
    maps = simulated(size=256, ranges={"bubbles": (1, 12), "radius": (2, 2)})
    dark = maps["flux"].mean(axis=(1, 2, 3))
    assert np.corrcoef(dark, maps["theta_bubbles"])[0, 1] < -0.5
    assert set(maps["theta_radius"]) == {2.0}


def test_ranges_that_do_not_fit_are_refused():
    with pytest.raises(ParameterError, match=r"no parameter .bubble.*Did you mean .bubbles"):
        next(simulated_images(None, ranges={"bubble": (1, 2)}))
    with pytest.raises(ParameterError, match=r"from 3\.0 to 2\.0"):
        next(simulated_images(None, ranges={"radius": (3, 2)}))


def test_a_lake_ingests_simulated_maps_and_takes_some_by_their_number(tmp_path):
    lake = hven.create(tmp_path / "lake")
    options = {"size": 30, "pixels": 8, "ranges": {"radius": [1, 2], "bubbles": [1, 3]}}
    report = ingest_files(lake, (), name="maps", reader="simulated_images", options=options, progress=False)
    assert report.rows == 30
    assert lake["maps"].kind == "images"
    chosen = lake["maps"].dataset()
    assert set(chosen.simulation.values) == set(range(30))
