"""By how much errors of measurement pull Kendall's tau towards zero: a simulation of how the data were observed."""

import numpy as np
from numpy.typing import NDArray

from hven.methods import ranks
from hven.methods.copulas import Copula
from hven_plugins.copulas.pairs import RESAMPLED, Pairs

Array = NDArray[np.float64]
_DRAWS, _BISECTIONS = 8, 14


def attenuation(group: Pairs, copula: Copula, seed: int) -> float:
    """Return tau of the observed values over tau of the true ones; NaN where there are no errors, or nothing is left.

    The distribution of the true values of each column is the one that, with the errors added, has the observed
    quantiles. True values with a copula of the family of `copula` are drawn from both, errors are added, and the tau of
    the true values at which tau comes out as observed is found. Errors stay with the ranks of their values.
    """
    if group.x_err is None and group.y_err is None:
        return float("nan")
    columns = [np.zeros(group.n) if e is None else e for e in (group.x_err, group.y_err)]
    known = np.logical_and.reduce([np.isfinite(e) & (e >= 0) for e in columns])
    if known.sum() < 2:
        return float("nan")
    w = None if group.w is None else group.w[known]
    observed = ranks.kendall(group.u[known], group.v[known], w).value
    if not observed:
        return float("nan")
    if not any(e[known].any() for e in columns):
        return 1.0
    rng = np.random.default_rng([seed, group.n])
    n = min(int(known.sum()), RESAMPLED)
    share = None if w is None or np.ptp(w) == 0 else w / w.sum()
    taken = np.sort(rng.choice(int(known.sum()), n, replace=share is not None, p=share))
    x, y = (np.asarray(v, dtype=np.float64)[known][taken] for v in (group.x, group.y))
    x_err, y_err = (e[known][taken] for e in columns)
    sides = [_Side(values, errors, rng) for values, errors in ((x, x_err), (y, y_err))]
    family = "gaussian" if copula.family == "independence" or copula.tau * observed <= 0 else copula.family
    turn, nu = (copula.rotation, copula.nu) if family == copula.family else (0, np.inf)
    sign = 1.0 if turn or observed > 0 else -1.0
    if family in ("gaussian", "student", "frank"):
        turn, sign = 0, float(np.sign(observed))

    def seen(true: float) -> tuple[float, float]:
        drawn = Copula.from_tau(family, sign * true, nu, rotation=turn).sample(n, seed)
        a, b = (side.observe(u) for side, u in zip(sides, drawn, strict=True))
        after = np.mean([ranks.kendall(a[i], b[i]).value for i in range(2)])
        return abs(float(after)), abs(ranks.kendall(*drawn).value)

    low, high = 0.001, 0.98
    if seen(high)[0] < abs(observed):
        return float("nan")
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if seen(middle)[0] < abs(observed) else (low, middle)
    return float(np.clip(abs(observed) / seen(0.5 * (low + high))[1], 0.0, 1.0))


class _Side:
    """The distribution of true values of one column, and draws of it as they are observed."""

    def __init__(self, values: Array, errors: Array, rng: np.random.Generator) -> None:
        order = np.argsort(values, kind="stable")
        self.errors = errors[order]
        self.noise = rng.standard_normal((_DRAWS, len(values)))
        observed = values[order]
        kept = np.sqrt(max(1 - float((errors**2).mean() / max(observed.var(), 1e-300)), 0.05))
        true = observed.mean() + kept * (observed - observed.mean())
        drawn = np.sort((true + self.errors * self.noise).ravel()).reshape(len(true), _DRAWS).mean(axis=1)
        self.true = np.sort(true + observed - drawn)  # once: more steps make clumps of the noise of the sample

    def observe(self, u: Array) -> Array:
        """Return observed values of stars whose true values have these ranks, two draws (2, n)."""
        place = np.argsort(np.argsort(u, kind="stable"), kind="stable")
        return np.asarray(self.true[place] + self.errors[place] * self.noise[:2])
