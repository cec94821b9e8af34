"""Generators as analyses: conformance, what models and synthetic images carry, what is refused; and in a lake."""

import signal
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr

import hven
import trial_followed as trial
from hven.compute import plan, run
from hven.errors import DataRefusedError, MissingColumnError, ParameterError, TooFewObjectsError
from hven.methods import models, nets
from hven.testing import AnalysisSuite
from hven_plugins.generative.diffusion import image_diffusion_sample, image_diffusion_train
from hven_plugins.generative.gan import image_gan_sample, image_gan_train
from hven_plugins.generative.generator_figures import draw_images
from hven_plugins.generative.toy_fields import toy_conditions, toy_fields
from hven_plugins.generative.training import theta_columns

QUICK = {
    "base": 4, "multipliers": (1,), "levels": 100, "steps": 30, "periodic": True, "learning_rate": 1e-2,
    "check_every": 10, "checkpoint_every": 10,
}  # fmt: skip
QUICK_GAN = {"base": 4, "n_latent": 4, "steps": 20, "batch": 16, "periodic": True, "check_every": 10}


class TestImageDiffusionTrain(AnalysisSuite):
    analysis = image_diffusion_train
    parameters: ClassVar = QUICK
    size = 64


class TestImageDiffusionSample(AnalysisSuite):
    analysis = image_diffusion_sample
    parameters: ClassVar = {"steps": 5, "guidance": 0.5, "batch": 16}
    size = 40


@pytest.mark.slow
class TestImageGanTrain(AnalysisSuite):
    analysis = image_gan_train
    parameters: ClassVar = QUICK_GAN
    size = 64


class TestImageGanSample(AnalysisSuite):
    analysis = image_gan_sample
    parameters: ClassVar = {"batch": 16}
    size = 40


HOW = {"steps": 3, "guidance": 0.5, "batch": 16}


@pytest.fixture(scope="module")
def made():
    return image_diffusion_sample.make_mock(20, 3).inputs


def test_a_model_tells_what_it_was_trained_on(made):
    model = models.from_dataset(made["model"])
    assert model.names["theta"] == ["amplitude"]
    assert (model.names["n_images"], model.names["n_left_out"]) == (128, 0)
    assert len(model.names["data"]) == 64
    assert model.settings["steps"] == 30
    assert 0.5 <= model.theta.low[0] < model.theta.high[0] <= 2
    assert made["model"].ema.shape == made["model"]["last"].shape
    assert not np.array_equal(made["model"].ema, made["model"]["last"])


def test_synthetic_images_say_so_and_carry_their_parameters(made):
    drawn = image_diffusion_sample(made["conditions"], made["model"], **HOW)
    assert drawn.attrs["synthetic"] is True
    assert drawn.attrs["model_data"] == models.from_dataset(made["model"]).names["data"]
    assert np.array_equal(drawn.theta_amplitude, made["conditions"].theta_amplitude)
    assert drawn.band.values.tolist() == ["map"]
    assert drawn.flux.dims == ("object", "band", "y", "x")
    other = made["model"].assign(ema=made["model"]["ema"] * 1.01)
    assert image_diffusion_sample(made["conditions"], other, **HOW).attrs["model"] != drawn.attrs["model"]


def test_conditions_out_of_the_range_of_training_are_marked_and_missing_ones_give_no_image(made):
    amplitude = np.array([1.0, 3.0, np.nan])
    table = toy_conditions(3, 0).assign(theta_amplitude=("object", amplitude))
    drawn = image_diffusion_sample(table, made["model"], **HOW)
    assert drawn.is_extrapolated.values.tolist() == [False, True, False]
    assert np.isfinite(drawn.flux[:2]).all()
    assert np.isnan(drawn.flux[2]).all()


def test_objects_without_a_whole_number_as_id_get_no_image(made):
    """A place would do for the whole table, and begin anew in each block of it."""
    table = made["conditions"]
    with pytest.raises(MissingColumnError, match=r"no column 'object_id' .*Number the rows"):
        image_diffusion_sample(table.drop_vars("object_id"), made["model"], **HOW)
    with pytest.raises(DataRefusedError, match="object_id is float64"):
        image_diffusion_sample(table.assign(object_id=table.object_id / 2), made["model"], **HOW)


def test_parameters_are_read_from_the_columns_that_the_model_was_trained_on():
    """The Einstein radius theta_E of a lens is a parameter theta_theta_E, and another column may be called theta_E."""
    fields = toy_fields(64, 1).inputs["images"]
    lenses = fields.drop_vars("theta_amplitude").assign(
        theta_theta_E=fields.theta_amplitude, theta_E=fields.theta_amplitude + 10
    )
    assert theta_columns(lenses, (), "here") == ["theta_E", "theta_theta_E"]
    assert theta_columns(lenses, ("E", "theta_theta_E"), "here") == ["theta_E", "theta_theta_E"]
    with pytest.raises(ParameterError, match=r"'theta_E' may be 'theta_theta_E' or 'theta_E' .*Say .* or 'E'"):
        image_diffusion_train(lenses, theta=("theta_E",), **QUICK)
    one, other = (image_diffusion_train(lenses, theta=(name,), **QUICK) for name in ("theta_theta_E", "E"))
    assert [models.from_dataset(m).names["theta"] for m in (one, other)] == [["theta_E"], ["E"]]
    drawn = image_diffusion_sample(lenses, one, steps=3, batch=16)
    assert np.array_equal(drawn.theta_theta_E, lenses.theta_theta_E)
    assert not drawn.is_extrapolated.any()
    with pytest.raises(MissingColumnError, match="no column 'theta_theta_E'"):
        image_diffusion_sample(lenses.drop_vars("theta_theta_E"), one, steps=3, batch=16)


def test_images_follow_what_they_are_asked_to_show():
    """The mock's amplitude is the spread of its pixels: larger amplitudes get more varied images."""
    how = {**QUICK, "base": 8, "steps": 300, "target": "velocity", "check_every": 100, "batch": 32}
    model = image_diffusion_train(toy_fields(256, 1).inputs["images"], **how)
    asked = toy_conditions(128, 2).assign(theta_amplitude=("object", np.repeat([0.6, 1.8], 64)))
    drawn = image_diffusion_sample(asked, model, steps=10, batch=128).flux.values
    assert drawn[64:].std() > 1.2 * drawn[:64].std()  # measured 1.43


def test_a_figure_of_images_shows_those_whose_parameter_is_known_beside_which_nulls_stand():
    theta = {"theta_n": ("object", np.where(np.arange(9) < 5, np.arange(9), np.nan))}
    figure = draw_images(xr.Dataset({"flux": (("object", "band", "y", "x"), np.ones((9, 1, 2, 2))), **theta}))
    assert figure.get_suptitle() == "synthetic images by n"
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["0 to\n2", "3 to\n4"]


def test_images_without_all_pixels_and_parameters_are_left_out_and_counted():
    fields = toy_fields(64, 1).inputs["images"]
    holed = fields.copy(deep=True)
    holed["flux"][3, 0, 1, 1] = np.nan
    holed["theta_amplitude"][7] = np.nan
    kept = np.delete(np.arange(64), [3, 7])
    one, other = (image_diffusion_train(f, **QUICK) for f in (holed, fields.isel(object=kept)))
    assert np.array_equal(one.ema, other.ema)
    assert models.from_dataset(one).names["n_left_out"] == 2


def test_without_parameters_a_model_is_unconditional():
    fields = toy_fields(64, 1).inputs["images"].drop_vars("theta_amplitude")
    model = image_diffusion_train(fields, **QUICK)
    drawn = image_diffusion_sample(toy_conditions(5, 1), model, steps=3, batch=16)
    assert drawn.flux.shape == (5, 1, 4, 4)
    assert "theta_amplitude" not in drawn.variables
    with pytest.raises(ParameterError, match="without parameters"):
        image_diffusion_sample(toy_conditions(5, 1), model, steps=3, guidance=1.0)


def test_a_training_that_diverges_ends_without_a_model_and_such_a_model_draws_nothing(made):
    fields = toy_fields(64, 1).inputs["images"]
    with pytest.raises(ParameterError, match=r"stopped being finite .*learning_rate=1e\+30.*Lower learning_rate"):
        image_diffusion_train(fields, **{**QUICK, "learning_rate": 1e30})
    spec = made["model"].attrs["spec"].replace('"diverged": false', '"diverged": true')
    with pytest.raises(DataRefusedError, match="training of the model diverged"):
        image_diffusion_sample(made["conditions"], made["model"].assign_attrs(spec=spec), **HOW)


def test_a_model_that_always_saw_its_parameters_takes_no_guidance(made):
    spec = made["model"].attrs["spec"].replace('"drop": 0.28', '"drop": 0.0')
    with pytest.raises(ParameterError, match="model trained with drop=0"):
        image_diffusion_sample(made["conditions"], made["model"].assign_attrs(spec=spec), **HOW)


def test_what_cannot_be_learned_or_drawn_is_refused_by_name(made):
    fields = toy_fields(64, 1).inputs["images"]
    with pytest.raises(MissingColumnError, match="theta_amplitud'"):
        image_diffusion_train(fields, theta=("amplitud",), **QUICK)
    with pytest.raises(TooFewObjectsError, match="64 of 64 images have all"):
        image_diffusion_train(fields, n_min=100, **QUICK)
    with pytest.raises(TooFewObjectsError, match="0 of 64 images have all"):
        image_gan_train(fields.assign(flux=fields.flux * np.nan), **QUICK_GAN)
    with pytest.raises(ParameterError, match="4 x 4 pixels cannot be halved 3 times"):
        image_diffusion_train(fields, **{**QUICK, "multipliers": (1, 1, 1, 1)})
    with pytest.raises(ParameterError, match="base=1 "):
        image_diffusion_train(fields, **{**QUICK, "base": 1})
    with pytest.raises(DataRefusedError, match="one value only"):
        image_gan_train(fields.assign(flux=fields.flux * 0), **QUICK_GAN)
    with pytest.raises(MissingColumnError, match="theta_amplitude"):
        image_diffusion_sample(made["conditions"].drop_vars("theta_amplitude"), made["model"])
    with pytest.raises(DataRefusedError, match="no model"):
        image_diffusion_sample(made["conditions"], xr.Dataset())
    with pytest.raises(DataRefusedError, match="given as the model is a MLP"):
        image_gan_sample(made["conditions"], models.to_dataset(nets.MLP(2, 1, width=2, depth=1)))


HERE = {"cluster": "synchronous", "progress": False}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    made = hven.create(str(tmp_path_factory.mktemp("generators") / "lake"))
    with made.transaction() as tx:
        tx.write("fields", toy_fields(64, 1).inputs["images"])
        tx.write("wanted", toy_conditions(23, 2))
    return made


@pytest.fixture(scope="module")
def trained(lake):
    return run(lake, image_diffusion_train, {"images": "fields"}, QUICK, output="emulator", **HERE)


def test_a_model_rests_in_the_lake_as_a_dataset_of_its_kind(lake, trained):
    stored = trained.result.dataset().compute()
    fresh = image_diffusion_train(toy_fields(64, 1).inputs["images"], **QUICK)
    for name, values in fresh.data_vars.items():
        assert np.array_equal(values, stored[name], equal_nan=True), name
    assert models.from_dataset(stored).names == models.from_dataset(fresh).names
    assert trained.result.kind == "model"


def test_images_drawn_block_by_block_are_those_drawn_at_once(lake, trained):
    how = {"steps": 3, "guidance": 0.5, "batch": 16}
    inputs = {"conditions": "wanted", "model": "emulator"}
    drawn = run(lake, image_diffusion_sample, inputs, how, output="synthetic", block_rows=5, **HERE)
    assert drawn.blocks["total"] > 1
    stored = drawn.result.dataset().compute()
    at_once = image_diffusion_sample(toy_conditions(23, 2), trained.result.dataset().compute(), **how)
    order = np.argsort(stored.object_id.values)
    assert np.array_equal(stored.flux.values[order], at_once.flux.values)
    assert np.array_equal(stored.theta_amplitude.values[order], at_once.theta_amplitude.values)
    assert stored.attrs["synthetic"]
    assert (stored.attrs["model"], stored.attrs["model_data"]) == (at_once.attrs["model"], at_once.attrs["model_data"])
    assert drawn.result.kind == "images"
    assert plan(hven.open(lake.url), image_diffusion_train, {"images": "synthetic"}).blocks


def test_every_object_of_a_lake_gets_an_image_of_its_own_whatever_the_blocks(lake, trained):
    with lake.transaction() as tx:
        tx.write("alike", toy_conditions(20, 2).assign(theta_amplitude=("object", np.ones(20))))
        tx.write("unnamed", toy_conditions(20, 2).drop_vars("object_id"))
    inputs, how = {"conditions": "alike", "model": "emulator"}, {"steps": 3, "batch": 16}
    drawn = []
    for rows in (5, 8):
        ran = run(lake, image_diffusion_sample, inputs, how, block_rows=rows, **HERE)
        assert ran.blocks["total"] > 2
        drawn.append(ran.result.dataset().compute().sortby("object_id").flux.values)
    assert len(np.unique(drawn[0], axis=0)) == 20
    assert np.array_equal(*drawn)
    for sample in (image_diffusion_sample, image_gan_sample):
        with pytest.raises(MissingColumnError, match=r"'object_id' .*'unnamed'"):
            run(lake, sample, inputs | {"conditions": "unnamed"}, **HERE)


@pytest.mark.slow
def test_a_training_killed_goes_on_to_the_same_bits(lake, trained, tmp_path):
    """A process of its own, killed with -9 after step 20 of 30; the next attempt takes 10 steps, and the bits agree."""
    other = hven.create(str(tmp_path / "lake"))
    with other.transaction() as tx:
        tx.write("fields", toy_fields(64, 1).inputs["images"])
    what = (image_diffusion_train, {"images": "fields"}, QUICK)
    assert trial.killed(other.url, *what, 20) == -signal.SIGKILL
    heard = []

    class Ear:
        @hven.hookimpl
        def hven_run_told(self, done):
            heard.append(done)

    hven.plugins.plugins().register(Ear(), "ear-of-training")
    try:
        again = run(hven.open(other.url), *what, **HERE)
    finally:
        hven.plugins.plugins().unregister("ear-of-training")
    assert heard == [30]
    assert again.record["attempts"] == 2
    one, two = (r.result.dataset().compute() for r in (trained, again))
    for name, values in one.data_vars.items():
        assert np.array_equal(values, two[name], equal_nan=True), name
