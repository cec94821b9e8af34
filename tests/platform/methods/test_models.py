import json
import sys

import numpy as np
import pytest

from hven.errors import DataRefusedError, DeclarationError, MissingDependencyError, ParameterError
from hven.methods import models, nets


@pytest.mark.t0
@pytest.mark.parametrize("activation", nets.ACTIVATIONS)
def test_a_network_comes_back_bit_for_bit_through_files_without_pickle(activation, tmp_path):
    net = nets.MLP(3, 2, width=8, depth=3, activation=activation, residual=True, seed=5)
    arrays, spec = models.save(net)
    np.savez(tmp_path / "net.npz", allow_pickle=False, **arrays)
    (tmp_path / "net.json").write_text(json.dumps(spec))
    with np.load(tmp_path / "net.npz", allow_pickle=False) as stored:
        back = models.load(
            {name: stored[name] for name in stored.files}, json.loads((tmp_path / "net.json").read_text())
        )
    x = np.random.default_rng(0).normal(size=3).astype(np.float32)
    assert np.array_equal(net(x), back(x))
    assert net(x).dtype == np.float32


@pytest.mark.t0
@pytest.mark.parametrize(
    ("made", "stored", "arrays"),
    [
        (
            lambda: nets.MLP(2, 1, width=4, depth=1, residual=True, activation="silu"),
            {"kind": "mlp", "n_in": 2, "n_out": 1, "width": 4, "depth": 1, "activation": "silu", "residual": True},
            4,
        ),
        (
            lambda: nets.UNet(
                1, (8, 4), n_theta=2, base=8, multipliers=(1, 2), attention=(4,), heads=2, periodic=True, seed=3
            ),
            {"kind": "unet", "channels": 1, "size": [8, 4], "n_theta": 2, "base": 8, "multipliers": [1, 2], "blocks": 1}
            | {"attention": [4], "heads": 2, "periodic": True},
            103,
        ),
        (
            lambda: nets.DenoisingMLP(2, n_theta=1, width=8, depth=2),
            {"kind": "denoising-mlp", "n": 2, "n_theta": 1, "width": 8, "depth": 2},
            17,
        ),
        (
            lambda: nets.StyleGenerator(1, 8, n_theta=2, n_latent=8, base=4, seed=2),
            {"kind": "style-generator", "channels": 1, "size": [8, 8], "n_theta": 2, "n_latent": 8, "base": 4}
            | {"most": 128, "periodic": False},
            31,
        ),
        (
            lambda: nets.ImageCritic(2, (8, 4), n_theta=1, base=4, most=8, periodic=True),
            {"kind": "image-critic", "channels": 2, "size": [8, 4], "n_theta": 1, "base": 4, "most": 8}
            | {"periodic": True},
            12,
        ),
    ],
)
def test_a_network_is_stored_as_format_1_says_and_read_again(made, stored, arrays):
    net = made()
    weights, spec = models.save(net)
    assert list(spec.items()) == [("format", 1), *stored.items()]
    assert len(weights) == arrays
    back = models.load(weights, {"format": 1, **stored})
    assert type(back) is type(net)
    assert np.array_equal(models.to_vector(back), models.to_vector(net))


def test_a_network_is_the_composition_of_its_layers():
    net = nets.MLP(3, 2, width=4, depth=2, activation="tanh", residual=True)
    weight = models.leaves(net)
    x = np.array([0.3, -1.0, 2.0])
    first = np.tanh(weight["layers.0.weight"] @ x + weight["layers.0.bias"])
    second = first + np.tanh(weight["layers.1.weight"] @ first + weight["layers.1.bias"])
    out = weight["layers.2.weight"] @ second + weight["layers.2.bias"]
    assert np.asarray(net(x.astype(np.float32))) == pytest.approx(out, abs=1e-6)


def test_a_dataset_holds_a_model_in_variables_that_zarr_can_name():
    data = models.to_dataset(nets.MLP(3, 2, width=4, depth=1))
    assert all(name.replace(".", "").replace("_", "").isalnum() for name in data.variables)
    assert models.from_dataset(data).spec() == nets.MLP(3, 2, width=4, depth=1).spec()


def test_models_that_do_not_fit_are_refused_by_name():
    arrays, spec = models.save(nets.MLP(3, 2, width=4, depth=1))
    with pytest.raises(DataRefusedError, match="format 99"):
        models.load(arrays, spec | {"format": 99})
    with pytest.raises(DataRefusedError, match=r"kind 'mlq'.*Did you mean 'mlp'"):
        models.load(arrays, spec | {"kind": "mlq"})
    with pytest.raises(DataRefusedError, match=r"array 'layers\.0\.weight' is float32"):
        models.load(arrays, spec | {"width": 5})
    with pytest.raises(DataRefusedError, match=r"no array 'layers\.1\.bias'"):
        models.load({k: v for k, v in arrays.items() if k != "layers.1.bias"}, spec)
    with pytest.raises(DataRefusedError, match=r"an array too many: 'layers\.9'"):
        models.load(arrays | {"layers.9": np.ones(1)}, spec)
    with pytest.raises(ParameterError, match="activation is 'sin'"):
        nets.MLP(1, 1, activation="sin")


def test_a_kind_of_somebody_elses_has_three_methods_and_a_name_of_its_own():
    class Half:
        def spec(self):
            return {"kind": "half"}

    with pytest.raises(DeclarationError, match="no arrays and no build"):
        models.register("half", Half)
    with pytest.raises(DeclarationError, match="'mlp' is taken"):
        models.register("mlp", nets.MLP)


def test_without_equinox_networks_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "equinox", None)
    monkeypatch.delitem(sys.modules, "hven.methods.nets")
    with pytest.raises(MissingDependencyError, match=r"pip install 'hven\[science\]'"):
        __import__("hven.methods.nets")
