import numpy as np

from hven.methods import in_float64


def test_jax_computes_in_float64_inside_and_in_float32_outside():
    import jax
    import jax.numpy as jnp

    @in_float64
    def slope_of_cube(x):
        return np.asarray(jax.jit(jax.vmap(jax.grad(lambda v: v**3)))(jnp.asarray(x)))

    x = np.array([1.0, 1.0 + 1e-12])
    assert slope_of_cube(x).dtype == np.float64
    assert np.diff(slope_of_cube(x))[0] > 0
    assert jnp.asarray(x).dtype == np.float32


def test_an_error_inside_leaves_jax_as_it_was():
    import jax.numpy as jnp
    import pytest

    @in_float64
    def broken():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        broken()
    assert jnp.asarray(np.ones(1)).dtype == np.float32


def test_without_jax_the_error_says_what_to_install(monkeypatch):
    import sys

    import pytest

    from hven.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'hven\[science\]'"):
        in_float64(lambda: None)()
