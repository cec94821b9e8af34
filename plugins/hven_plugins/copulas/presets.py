"""Selections of stars that papers of this family made, by name."""

import tomllib
from functools import cache
from importlib.resources import files

import hven


def preset(name: str) -> str:
    """Return a selection of stars by name, as ``where`` takes it: ``hven.run(..., where=preset("apogee_giants"))``.

    ``apogee_giants`` is that of arXiv:2306.09319 (from its code): no duplicates and no members of clusters, ASPCAPFLAG
    without bits 23 (STAR_BAD) and 27, STARFLAG without bits 0 and 3, distances to 20 %, ages to 40 %, 1 < logg < 3.8,
    4000 < teff < 5500 K, ages below 13 Gyr, within 20 kpc of the centre and 2 kpc of the plane.
    ``apogee_giants_latent_ages`` begins at logg 2.55. Flags have the names of the survey's files; ``teff``, ``logg``,
    ``age``, ``distance``, ``r_gal`` and ``z_gal`` are hven's. A missing value fails a cut.

    Raises
    ------
    ParameterError
        There is no such selection.

    Examples
    --------
    >>> preset("apogee_giants").splitlines()[:2]
    ['EXTRATARG = 0', 'AND ASPCAPFLAG & 142606336 = 0']
    """
    known = presets()
    if name not in known:
        raise hven.errors.ParameterError(
            f"there is no selection {name!r}", expected=", ".join(known), hint="Choose one of these."
        )
    return known[name]


@cache
def presets() -> dict[str, str]:
    """Return all selections by name.

    Examples
    --------
    >>> sorted(presets())
    ['apogee_giants', 'apogee_giants_latent_ages']
    """
    text = files("hven_plugins.copulas").joinpath("presets.toml").read_text(encoding="utf-8")
    return {name: told["where"].strip() for name, told in tomllib.loads(text).items()}
