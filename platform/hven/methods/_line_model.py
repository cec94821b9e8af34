"""A fit in the making: standardised data, what is fitted to them, and the climb to the maximum of the likelihood."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hven.methods._line_likelihood import Data, Layout, densities, value_gradient_hessian
from hven.methods._line_means import NO_BASIS, Basis, basis_of
from hven.methods._line_search import Evaluate, Maximum, maximise
from hven.methods._line_start import start
from hven.methods.padding import pad, padded_length

Array = NDArray[np.float64]

NODES, MOST_NODES = 48, 192
"""Nodes of the integral over the true x, to begin with and at most."""

_QUADRATURE_ERROR = 1e-4
"""The error of ln L that is let pass; with more the nodes are doubled and the climb goes on."""

_FIRST_CLIMB = 4096


@dataclass(frozen=True)
class Model:
    """Standardised data, what is fitted to them, the knots of a spline, and the scatter when it is fixed."""

    data: Data
    layout: Layout
    knots: Array
    scatter: float | None

    def maximum(self) -> Maximum:
        """Return the maximum of the likelihood, from a start of its own."""
        guess = start(self.data, self.layout, self.knots)
        step = len(self.data.x) // _FIRST_CLIMB
        if step > 1:  # climb with few objects first: the rest then takes a handful of steps instead of tens
            few = replace(self, data=Data(*(v[::step] for v in self.data)))
            guess = few.climb(guess).as_start(guess)
        return self.climb(guess)

    def climb(self, guess: Array) -> Maximum:
        """Return the maximum reached from `guess`."""
        return maximise(self.evaluator(), guess, None if self.scatter is None else self.scatter**2)

    def with_exact_integrals(self, maximum: Maximum) -> tuple["Model", Maximum, bool]:
        """Return model and maximum with as many nodes as the integral over x wants, and whether there are enough."""
        model, total = self, self.data.weight.sum()
        while model.layout.mean.kind != "line":
            nodes = model.layout.n_nodes
            fine = replace(model, layout=replace(model.layout, n_nodes=max(MOST_NODES, 2 * nodes)))
            error = abs(fine.loglike(maximum.z) + total * maximum.value)
            if error < _QUADRATURE_ERROR or nodes >= MOST_NODES:
                return model, maximum, bool(error < _QUADRATURE_ERROR)
            model = replace(model, layout=replace(model.layout, n_nodes=2 * nodes))
            maximum = model.climb(maximum.as_start(maximum.z))
        return model, maximum, True

    def loglike(self, z: Array) -> float:
        """Return ln L of all objects at `z`."""
        rows = np.asarray(densities(self.layout)(z, padded(self.data), self.basis()))[: len(self.data.x)]
        return float(self.data.weight @ rows)

    def evaluator(self) -> Evaluate:
        """Return the function z -> mean negative log-likelihood, gradient, Hessian."""
        rows, basis, compiled = padded(self.data), self.basis(), value_gradient_hessian(self.layout)
        known: dict[bytes, tuple[float, Array, Array]] = {}  # The end of a climb is asked for once more.

        def evaluate(z: Array) -> tuple[float, Array, Array]:
            key = z.tobytes()
            if key not in known:
                value, gradient, hessian = compiled(z, rows, basis)
                known[key] = float(value), np.asarray(gradient), np.asarray(hessian)
            return known[key]

        return evaluate

    def basis(self) -> Basis:
        """Return the spline's basis."""
        return basis_of(self.knots, self.layout.mean.degree) if self.layout.mean.kind == "spline" else NO_BASIS


def padded(data: Data) -> Data:
    """Return the data on the device, padded with rows of no weight."""
    import jax.numpy as jnp

    length = padded_length(len(data.x))
    fills = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)  # no weight, and variances that divide
    return Data(*(jnp.asarray(pad(v, length, f)) for v, f in zip(data, fills, strict=True)))
