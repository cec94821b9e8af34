"""Parametric copula fits against pyvinecopulib."""

from pathlib import Path

import numpy as np

from benchmarks.harness import benchmark, best_of_each
from hven.methods import copulas
from hven.methods.ranks import pseudo_observations


@benchmark(target=0.5, against="pyvinecopulib's selection among the same families, one core each")
def copula_selection_of_1e4_stars(folder: Path) -> float:
    """How many times faster the choice among six families and their rotations is, at the same log-likelihood."""
    import pyvinecopulib as pv

    u, v = pseudo_observations(np.column_stack(copulas.Copula("student", 0.6, 4.0).sample(10_000, 1))).T
    both = np.column_stack([u, v])
    names = ("indep", "gaussian", "student", "clayton", "gumbel", "frank", "joe")
    controls = pv.FitControlsBicop(
        family_set=[getattr(pv.BicopFamily, name) for name in names], selection_criterion="aic", num_threads=1
    )

    def peer() -> object:
        chosen = pv.Bicop()
        chosen.select(both, controls)
        return chosen

    ours, theirs = copulas.fit(u, v), peer()
    assert ours.copula.family == "student"
    assert abs(ours.log_likelihood - theirs.loglik(both)) < 1e-3
    fast, slow = best_of_each(lambda: copulas.fit(u, v), peer, rounds=5)
    return slow / fast


@benchmark(target=0.5, against="pyvinecopulib, group by group, among the same families")
def copula_selection_of_200_groups(folder: Path) -> float:
    """How many times faster 200 groups of 1000 stars are fitted in one compiled call per family."""
    import pyvinecopulib as pv

    pairs = np.array([copulas.Copula("gumbel", 1.8).sample(1000, seed) for seed in range(200)])
    u, v = (np.stack([pseudo_observations(row) for row in pairs[:, side]]) for side in (0, 1))
    names = ("indep", "gaussian", "student", "clayton", "gumbel", "frank", "joe")
    controls = pv.FitControlsBicop(
        family_set=[getattr(pv.BicopFamily, name) for name in names], selection_criterion="aic", num_threads=1
    )

    def peer() -> None:
        for a, b in zip(u, v, strict=True):
            pv.Bicop().select(np.column_stack([a, b]), controls)

    copulas.fit_groups(u, v)
    fast, slow = best_of_each(lambda: copulas.fit_groups(u, v), peer, rounds=2)
    return slow / fast
