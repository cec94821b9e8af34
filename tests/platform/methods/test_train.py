import numpy as np
import pytest

from hven.errors import DataRefusedError, MissingDependencyError, ParameterError, TooFewObjectsError
from hven.methods import models, nets, train


def curve(n=600, seed=0):
    """Return x (n, 1) and y (n, 1) = sin x + noise that grows with |x|, and its true standard deviation."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, (n, 1))
    std = 0.05 + 0.1 * np.abs(x)
    return x, np.sin(x) + std * rng.normal(size=(n, 1)), std


def weights(trained):
    return models.leaves(trained.net)


def same_bits(a, b):
    return all(
        np.array_equal(left, right) for left, right in zip(weights(a).values(), weights(b).values(), strict=True)
    )


@pytest.fixture(scope="module")
def short():
    x, y, _ = curve()
    return {"data": {"x": x, "y": y}, "steps": 60, "batch": 64, "check_every": 20}


@pytest.mark.t0
def test_a_linear_network_reaches_the_least_squares_solution():
    """Target 1e-3 of the spread of y; measured 2e-5."""
    rng = np.random.default_rng(1)
    x = rng.normal([3, -100], [1, 40], (500, 2))
    y = x @ [[2.0], [0.05]] - 7 + rng.normal(scale=0.3, size=(500, 1))
    fit = train.fit(
        nets.MLP(2, 1, depth=0), train.squared_error, {"x": x, "y": y},
        steps=1500, batch=500, learning_rate=0.03, weight_decay=0.0, val=0.0,
    )  # fmt: skip
    design = np.column_stack([x, np.ones(500)])
    best = design @ np.linalg.lstsq(design, y)[0]
    assert np.abs(fit.predict(x) - best).max() < 1e-3 * y.std()


@pytest.mark.t0
def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(short):
    first, again, other = (
        train.fit(nets.MLP(1, 1, width=8), train.squared_error, seed=seed, **short) for seed in (0, 0, 1)
    )
    assert same_bits(first, again)
    assert not same_bits(first, other)


@pytest.mark.t0
def test_what_goes_on_from_a_checkpoint_is_bit_for_bit_what_was_not_interrupted(short, tmp_path):
    net, seen = nets.MLP(1, 1, width=8), []
    options = {"ema": 0.9, "patience": 5, **short}
    whole = train.fit(net, train.squared_error, on_check=seen.append, **options)
    assert [one.step for one in seen] == [20, 40, 60]
    seen[0].write(tmp_path / "checkpoint.npz")
    stored = train.Checkpoint.read(tmp_path / "checkpoint.npz")
    resumed = train.fit(net, train.squared_error, resume=stored, **options)
    assert same_bits(whole, resumed)
    assert resumed.history.loss.tolist() == whole.history.loss.tolist()
    assert resumed.history.val_loss.tolist() == whole.history.val_loss.tolist()
    assert whole.checkpoint.arrays.keys() == resumed.checkpoint.arrays.keys()
    for path, values in whole.checkpoint.arrays.items():
        assert np.array_equal(values, resumed.checkpoint.arrays[path]), path


def test_a_checkpoint_of_other_arguments_is_refused(short):
    net, seen = nets.MLP(1, 1, width=8), []
    train.fit(net, train.squared_error, on_check=seen.append, **short)
    with pytest.raises(ParameterError, match="made with seed=0, not 3"):
        train.fit(net, train.squared_error, resume=seen[0], seed=3, **short)


def times(factor):
    """Return a loss; those of other factors have the same name and code."""

    def multiplied(net, rows, key):
        return factor * train.squared_error(net, rows, key)

    return multiplied


@pytest.mark.t0
def test_a_checkpoint_of_another_loss_network_or_of_other_data_is_refused(short):
    """All of them train alike many rows and weights of the same shapes."""
    net, seen, (x, y) = nets.MLP(1, 1, width=8), [], short["data"].values()
    train.fit(net, train.squared_error, on_check=seen.append, **short)
    stored = train.Checkpoint.from_bytes(seen[0].to_bytes())
    with pytest.raises(ParameterError, match=r"made with loss='hven.*squared_error .*', not '.*multiplied"):
        train.fit(net, times(2), resume=stored, **short)
    train.fit(net, times(2), on_check=seen.append, **short)
    with pytest.raises(ParameterError, match="made with loss="):
        train.fit(net, times(3), resume=seen[-1], **short)
    with pytest.raises(ParameterError, match="made with network="):
        train.fit(nets.MLP(1, 1, width=8, activation="relu"), train.squared_error, resume=stored, **short)
    for other in ({"x": x, "y": y + 1e-9}, {"x": x[::-1], "y": y[::-1]}, {"x": x, "y": y, "weight": np.full(600, 2.0)}):
        with pytest.raises(ParameterError, match="made with data="):
            train.fit(net, train.squared_error, resume=stored, **{**short, "data": other})
    with pytest.raises(ParameterError, match="made with data="):
        train.fit(net, train.squared_error, resume=stored, val=np.arange(600) < 60, **short)
    with pytest.raises(ParameterError, match="made with standardise="):
        train.fit(net, train.squared_error, resume=stored, standardise=(), **short)


@pytest.mark.t0
@pytest.mark.parametrize("n", [10, 1000, 30_011])
def test_columns_of_one_value_keep_their_unit(n):
    """A mean is rounded, so that constants lie a little beside it: what is left must not be blown up to spread 1."""
    constants = np.array([0.1, 1 / 3, -1e5 / 3, 0.0])
    for kind in ("float64", "float32"):
        scaler = train.Scaler.of(np.tile(constants, (n, 1)).astype(kind))
        assert scaler.std.tolist() == [1.0] * 4
        off = scaler.to_standard(constants.astype(kind))
        assert np.abs(off).max() < 1e-6
    large = train.Scaler.of(1e9 + np.arange(n, dtype=float))
    assert large.std == pytest.approx(np.sqrt((n**2 - 1) / 12))


@pytest.mark.t0
def test_a_saved_model_predicts_the_same_bits(short):
    names = {"features": ["colour"], "units": ["mag"], "data": "stars@3"}
    fit = train.fit(nets.MLP(1, 2, width=8), train.gaussian_nll, names=names, **short)
    back = models.load(*models.save(fit))
    x = np.linspace(-3, 3, 40)[:, None]
    assert all(np.array_equal(a, b) for a, b in zip(back.predict_gaussian(x), fit.predict_gaussian(x), strict=True))
    assert (back.names, back.seed, back.diverged) == (names, 0, False)
    assert back.history.val_loss.tolist() == fit.history.val_loss.tolist()
    through_dataset = models.from_dataset(models.to_dataset(fit))
    assert np.array_equal(through_dataset.predict_gaussian(x)[0], fit.predict_gaussian(x)[0])


@pytest.mark.t0
def test_the_weights_of_the_lowest_validation_loss_are_kept_and_patience_ends_early():
    """Forty noisy rows and a wide network: the validation loss turns up, and training ends long before its steps."""
    x, y, _ = curve(80)
    fit = train.fit(
        nets.MLP(1, 1, width=64), train.squared_error, {"x": x, "y": y},
        steps=20_000, batch=40, learning_rate=0.01, val=0.5, check_every=50, patience=5, schedule="constant",
    )  # fmt: skip
    val_loss = fit.history.val_loss
    assert len(val_loss) < 400
    assert len(val_loss) - 1 - np.argmin(val_loss) == 5
    assert fit.history.best_step == 50 * (1 + np.argmin(val_loss))
    assert val_loss[-1] > val_loss.min()


def test_held_out_rows_do_not_touch_the_training(short):
    x, y = short["data"].values()
    mask = np.arange(600) % 4 == 0
    spoilt = np.where(mask[:, None], 1e3, y)
    options = short | {"val": mask, "standardise": ()}
    net = nets.MLP(1, 1, width=8)
    clean = train.fit(net, train.squared_error, **options)
    other = train.fit(net, train.squared_error, **(options | {"data": {"x": x, "y": spoilt}}))
    assert clean.history.loss.tolist() == other.history.loss.tolist()
    assert other.history.val_loss[0] > 1e5


def test_rows_without_weight_count_for_nothing(short):
    x, y = short["data"].values()
    weight = (np.arange(600) < 300).astype(float)
    options = short | {"batch": 600, "val": 0.0, "standardise": ()}
    net = nets.MLP(1, 1, width=8)
    weighted = train.fit(net, train.squared_error, **(options | {"data": {"x": x, "y": y, "weight": weight}}))
    spoilt = {"x": x, "y": np.where(weight[:, None] > 0, y, 50.0), "weight": weight}
    assert same_bits(weighted, train.fit(net, train.squared_error, **(options | {"data": spoilt})))


@pytest.mark.t0
def test_members_of_an_ensemble_are_what_they_are_alone(short):
    """The same weights and batches when asked: to rounding the network trained alone, whoever stands beside it."""
    members = [nets.MLP(1, 1, width=8, seed=s) for s in (0, 1, 2)]
    ensemble = train.fit_ensemble(members, train.squared_error, same_batches=True, **short)
    for net, member in zip(members, ensemble, strict=True):
        alone = train.fit(net, train.squared_error, **short)
        for path, values in weights(alone).items():
            assert weights(member)[path] == pytest.approx(values, abs=1e-5)
    own_batches = train.fit_ensemble(members[:1] * 3, train.squared_error, **short)
    assert not same_bits(*own_batches[:2])


@pytest.mark.slow
def test_folds_hold_out_other_rows_for_each_member(short):
    folds = np.arange(600) % 3 == np.arange(3)[:, None]
    fits = train.fit_ensemble([nets.MLP(1, 1, width=8)] * 3, train.squared_error, val=folds, **short)
    assert len({fit.history.val_loss[-1] for fit in fits}) == 3


@pytest.mark.slow
def test_an_average_of_weights_is_smoother_than_they_are(short):
    """With a decay of 0.99 the averaged weights after 60 steps are still near those of the start."""
    net = nets.MLP(1, 1, width=8)
    start = models.leaves(net)["layers.0.weight"]
    plain, averaged = (weights(train.fit(net, train.squared_error, ema=ema, **short)) for ema in (None, 0.99))
    way = np.linalg.norm(plain["layers.0.weight"] - start)
    assert 0 < np.linalg.norm(averaged["layers.0.weight"] - start) < 0.8 * way


def test_a_loss_that_is_not_finite_ends_the_training_with_the_weights_of_before(short):
    fit = train.fit(nets.MLP(1, 1, width=8), train.squared_error, learning_rate=1e30, clip=None, **short)
    assert fit.diverged
    assert all(np.isfinite(values).all() for values in weights(fit).values())


@pytest.mark.slow
@pytest.mark.t0
def test_a_deep_ensemble_covers_68_percent_of_a_heteroscedastic_toy():
    """Target 68 +- 4 %; measured 69.3 %."""
    x, y, _ = curve(4000, seed=3)
    members = train.fit_ensemble(
        [nets.MLP(1, 2, width=48, seed=s) for s in range(5)], train.gaussian_nll, {"x": x, "y": y},
        steps=3000, batch=256, learning_rate=3e-3, val=0.15,
    )  # fmt: skip
    new_x, new_y, std = curve(4000, seed=4)
    mean, width = train.predict_ensemble(members, new_x)
    assert np.mean(np.abs(new_y - mean) < width) == pytest.approx(0.683, abs=0.04)
    assert np.median(width / std) == pytest.approx(1.0, abs=0.1)
    for low in (0.0, 1.0, 2.0):
        bin_ = (np.abs(new_x) >= low) & (np.abs(new_x) < low + 1)
        assert np.mean(np.abs(new_y - mean)[bin_] < width[bin_]) == pytest.approx(0.683, abs=0.06)


@pytest.mark.slow
def test_known_errors_of_y_are_not_learned_as_scatter():
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, (2000, 1))
    y_err = rng.uniform(0.5, 2.0, (2000, 1))
    y = 10 * x + np.hypot(1.0, y_err) * rng.normal(size=(2000, 1))
    fit = train.fit(
        nets.MLP(1, 2, width=16, depth=1), train.gaussian_nll, {"x": x, "y": y, "y_err": y_err},
        steps=600, batch=256, learning_rate=0.01,
    )  # fmt: skip
    assert np.median(fit.predict_gaussian(x)[1]) == pytest.approx(1.0, abs=0.15)


def test_misfits_are_refused_by_name(short, monkeypatch):
    x, y = short["data"].values()
    net = nets.MLP(1, 1, width=8)
    options = {name: value for name, value in short.items() if name != "data"}
    with pytest.raises(DataRefusedError, match="lengths"):
        train.fit(net, train.squared_error, {"x": x, "y": y[:5]}, **options)
    with pytest.raises(DataRefusedError, match="1 values are not finite"):
        train.fit(net, train.squared_error, {"x": np.where(np.arange(600)[:, None] == 3, np.nan, x), "y": y}, **options)
    with pytest.raises(DataRefusedError, match="val has shape"):
        train.fit(net, train.squared_error, val=np.zeros(3, bool), **short)
    with pytest.raises(TooFewObjectsError, match="no rows are left"):
        train.fit(net, train.squared_error, val=1.0, **short)
    with pytest.raises(ParameterError, match="schedule is 'linear'"):
        train.fit(net, train.squared_error, schedule="linear", **short)
    monkeypatch.setitem(__import__("sys").modules, "optax", None)
    with pytest.raises(MissingDependencyError, match=r"optax, which is not installed"):
        train.fit(net, train.squared_error, **short)
