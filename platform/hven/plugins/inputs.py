"""What an analysis asks for: tables, spectra, images, cubes and models, by column name and unit.

`Table`, `Spectra`, `Images`, `Cube` and `Model` each make an `Input`; `Whole` makes one that every block sees whole. A
declaration knows nothing of any dataset: `hven.plugins.binding` holds the two against each other.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hven.errors import DeclarationError, HvenError
from hven.schema import CANONICAL, Column, describe, parse_unit

OBJECT = ("object",)
ANY = "any"
"""Declared in place of a unit: a number in whatever unit it has."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATTERN = re.compile(r"[A-Za-z0-9_]*(<[a-z]+>[A-Za-z0-9_]*)+")

Units = Mapping[str, str | None]


@dataclass(frozen=True)
class Variable:
    """One variable that an input asks for.

    Attributes
    ----------
    name
        Its name inside the analysis, or a pattern such as ``<x>_fe`` that stands for every column like it.
    unit
        The unit that it arrives in; ``"any"`` takes numbers in the unit they have, None takes anything as it is.
    dims
        The dimensions it may have, one tuple for each layout that is accepted.
    is_required
        Whether a dataset without it is refused.
    power
        For spectra and images: its unit is the flux unit to this power (-2 for ``ivar``), 0 when it stands for itself.
    """

    name: str
    unit: str | None
    dims: tuple[tuple[str, ...], ...] = (OBJECT,)
    is_required: bool = True
    power: int = 0

    @property
    def is_pattern(self) -> bool:
        """Whether the name stands for several columns."""
        return "<" in self.name

    def matches(self, name: str) -> bool:
        """Return whether a column called `name` is meant.

        Examples
        --------
        >>> Variable("<x>_fe", "dex").matches("mg_fe"), Variable("<x>_fe", "dex").matches("mg_fe_err")
        (True, False)
        >>> Variable("<x>_h_<y>_h_corr", "").matches("mg_h_si_h_corr")
        True
        """
        if not self.is_pattern:
            return name == self.name
        return re.fullmatch(re.sub(r"<[a-z]+>", "[A-Za-z0-9]+", self.name), name) is not None


@dataclass(frozen=True)
class Input:
    """One input of an analysis, as `Table`, `Spectra`, `Images`, `Cube` or `Model` declare it.

    Attributes
    ----------
    kind
        ``"table"``, ``"spectra"``, ``"images"``, ``"cube"`` or ``"model"``.
    variables
        What is asked for by name or pattern.
    one_of
        Groups of names of which at least one must be there.
    named_by
        The analysis's parameter that lists further columns.
    is_whole
        Whether every block sees the whole dataset (see `Whole`).
    takes_all
        Whether every variable of the dataset is taken, declared or not (models).
    """

    kind: str
    variables: tuple[Variable, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    named_by: str | None = None
    is_whole: bool = False
    takes_all: bool = False

    @property
    def is_by_object(self) -> bool:
        """Whether the dataset is one of objects, so that it can be cut into blocks and joined by id."""
        return self.kind in {"table", "spectra", "images"}

    def variable(self, name: str) -> Variable | None:
        """Return the declared variable that a column called `name` would be, an exact name before a pattern."""
        exact = [v for v in self.variables if v.name == name]
        return next(iter(exact or [v for v in self.variables if v.matches(name)]), None)

    def to_json(self) -> dict[str, Any]:
        """Return the declaration as plain values, for ``--json`` and pages about the analysis."""
        chosen = {name for group in self.one_of for name in group}
        return {
            "kind": self.kind,
            "required": {v.name: v.unit for v in self.variables if v.is_required},
            "optional": {v.name: v.unit for v in self.variables if not v.is_required and v.name not in chosen},
            "one_of": [{n: v.unit for n in group if (v := self.variable(n))} for group in self.one_of],
            "named_by": self.named_by,
            "whole": self.is_whole,
        }


def Table(  # noqa: N802
    *,
    optional: Units | None = None,
    one_of: Sequence[Sequence[str] | Units] = (),
    pattern: str | Sequence[str] | Units = (),
    named_by: str | None = None,
    **columns: str | None,
) -> Input:
    """Return an input of 1-D columns over ``object``: a table, or the per-object variables of spectra and images.

    Parameters
    ----------
    optional
        Columns bound when they are there, with units. Keys may be patterns, as ``{"<x>_fe_err": "dex"}``.
    one_of
        Groups of columns of which at least one must be there; all that are there are bound. Units are the canonical
        ones, or are given: ``one_of=[{"age": "Gyr", "prot": "d"}]``.
    pattern
        ``"<x>_fe"`` binds every column like it, and there must be one. Units are canonical or given, as for `one_of`.
    named_by
        Name of a parameter of the analysis that lists columns; they arrive in the units they have.
    **columns
        Required columns with the units they arrive in: as float64, NaN where they are null. ``""`` is a number without
        unit, ``"any"`` one in the unit it has. None takes ids, flags and text as they are, with ``<c>_valid``.

    Raises
    ------
    DeclarationError
        If a name or unit is not one, or a unit is neither given nor canonical.

    Examples
    --------
    >>> stars = Table(r_gal="kpc", feh="dex", optional=dict(feh_err="dex"), one_of=[("age", "teff")])
    >>> [v.name for v in stars.variables if v.is_required], stars.variable("teff").unit
    (['r_gal', 'feh'], 'K')
    """
    return Input("table", *_columns(columns, optional, one_of, pattern), named_by)


def Spectra(  # noqa: N802
    *,
    flux: str | None = None,
    ivar: bool = True,
    wavelength: str = "Angstrom",
    optional: Units | None = None,
    **columns: str | None,
) -> Input:
    """Return an input of spectra: ``flux``, ``ivar`` and ``mask`` over ``(object, wavelength)``, and columns.

    ``wavelength`` (vacuum) is 1-D, or ``(object, wavelength)`` when every object has its own grid. ``mask`` is
    bound when it is there.

    Parameters
    ----------
    flux
        The unit of the flux; None takes it as it is. ``ivar`` follows, in ``1 / flux**2``.
    ivar
        Whether the inverse variance is required; when False it is bound if it is there.
    wavelength
        The unit of the wavelengths.
    optional
        Per-object columns bound when they are there.
    **columns
        Required per-object columns with units, as for `Table`.

    Raises
    ------
    DeclarationError
        If a name or unit is not one.

    Examples
    --------
    >>> Spectra(flux="W / (m2 nm)", teff="K").variable("ivar").dims
    (('object', 'wavelength'),)
    """
    grid = (("object", "wavelength"),)
    more, one_of = _columns(columns, optional, (), ())
    return Input(
        "spectra",
        (
            Variable("flux", _unit("flux", flux), grid, power=1),
            Variable("ivar", ANY, grid, is_required=ivar, power=-2),
            Variable("mask", None, grid, is_required=False),
            Variable("wavelength", _unit("wavelength", wavelength), (("wavelength",), *grid)),
            *more,
        ),
        one_of,
    )


def Images(  # noqa: N802
    *, flux: str | None = None, ivar: bool = False, optional: Units | None = None, **columns: str | None
) -> Input:
    """Return an input of cut-outs: ``flux``, ``ivar`` and ``mask`` over ``(object, band, y, x)``, and columns.

    Parameters
    ----------
    flux
        The unit of the pixel values; None takes them as they are. ``ivar`` follows, in ``1 / flux**2``.
    ivar
        Whether the inverse variance is required; when False it is bound if it is there.
    optional
        Per-object columns bound when they are there.
    **columns
        Required per-object columns with units, as for `Table`.

    Raises
    ------
    DeclarationError
        If a name or unit is not one.

    Examples
    --------
    >>> Images(flux="nJy", redshift="").is_by_object
    True
    """
    grid = (("object", "band", "y", "x"),)
    more, one_of = _columns(columns, optional, (), ())
    return Input(
        "images",
        (
            Variable("flux", _unit("flux", flux), grid, power=1),
            Variable("ivar", ANY, grid, is_required=ivar, power=-2),
            Variable("mask", None, grid, is_required=False),
            Variable("band", None, (("band",),), is_required=False),
            *more,
        ),
        one_of,
    )


def Cube(*, optional: Units | None = None, **variables: str | None) -> Input:  # noqa: N802
    """Return an input of a 3D map: variables over ``(distance, pixel)`` (HEALPix nested) or ``(z, y, x)``.

    A leading ``sample`` dimension (posterior samples) is accepted. The axes arrive as coordinates, in their own units.

    Parameters
    ----------
    optional
        Variables bound when they are there.
    **variables
        Required variables with units.

    Raises
    ------
    DeclarationError
        If nothing is asked for, or a name or unit is not one.

    Examples
    --------
    >>> Cube(extinction="mag / kpc").variable("extinction").unit
    'mag / kpc'
    """
    layouts = (("distance", "pixel"), ("z", "y", "x"))
    dims = (*layouts, *(("sample", *layout) for layout in layouts))
    wanted, _ = _columns(variables, optional, (), ())
    if not wanted:
        raise DeclarationError("a Cube asks for no variable", hint='Name one, as in Cube(extinction="mag / kpc").')
    units = {"distance": ANY, "pixel": None, "z": ANY, "y": ANY, "x": ANY, "sample": None}
    axes = (Variable(name, unit, ((name,),), is_required=False) for name, unit in units.items())
    return Input("cube", (*(replace(v, dims=dims) for v in wanted), *axes))


def Model() -> Input:  # noqa: N802
    """Return an input of a trained model: all variables of a model dataset, as they are.

    Every block sees it whole.

    Examples
    --------
    >>> Model().is_whole
    True
    """
    return Input("model", is_whole=True, takes_all=True)


def Whole(given: Input) -> Input:  # noqa: N802
    """Return `given` as an input that every block sees whole: a calibration table, a list of clusters, a dust map.

    Parameters
    ----------
    given
        A declaration that `Table`, `Spectra`, `Images` or `Cube` made.

    Examples
    --------
    >>> Whole(Table(cluster_age="Gyr")).is_whole
    True
    """
    if not isinstance(given, Input):
        raise DeclarationError(
            f"Whole is given {given!r}", expected="an input", hint='Write it as Whole(Table(feh="dex")).'
        )
    return replace(given, is_whole=True)


def canonical_unit(name: str) -> str | None:
    """Return the unit of a canonical column name (``<c>_err`` and ``<x>_fe`` among them), None for any other name.

    Examples
    --------
    >>> canonical_unit("age"), canonical_unit("mg_fe_err"), canonical_unit("my_index")
    ('Gyr', 'dex', None)
    """
    known = describe(Column(name, "float64"))
    return known.unit if known.description or name in CANONICAL else None


def _columns(
    required: Units,
    optional: Units | None,
    one_of: Sequence[Sequence[str] | Units],
    pattern: str | Iterable[str] | Units,
) -> tuple[tuple[Variable, ...], tuple[tuple[str, ...], ...]]:
    patterns = _with_units([pattern] if isinstance(pattern, str) else pattern, "pattern")
    groups = [_with_units(group, "one_of") for group in one_of]
    asked: dict[str, Variable] = {}
    for units, is_required in (
        (required, True),
        (patterns, True),
        (optional or {}, False),
        *((group, False) for group in groups),
    ):
        for name, unit in units.items():
            if not (_NAME.fullmatch(name) or (units is not required and _PATTERN.fullmatch(name))):
                raise DeclarationError(
                    f"{name!r} cannot name a column",
                    expected="letters, digits and '_', or a pattern with one '<x>'",
                    hint="Correct the declaration.",
                )
            asked.setdefault(name, Variable(name, _unit(name, unit), is_required=is_required))
    for group in groups:
        if len(group) < 2:
            raise DeclarationError(
                f"one_of has a group of {len(group)}: {', '.join(group)}",
                expected='groups of alternatives, as one_of=[("age", "teff")]',
                hint="Add the alternative, or ask for the column as required.",
            )
    return tuple(asked.values()), tuple(tuple(group) for group in groups)


def _with_units(names: Iterable[str] | Units, what: str) -> dict[str, str | None]:
    if isinstance(names, Mapping):
        return dict(names)
    if isinstance(names, str):
        raise DeclarationError(f"{what} is the text {names!r}", expected="a list of groups", hint="Put it in a list.")
    units: dict[str, str | None] = {}
    for name in names:
        units[name] = canonical_unit(name.replace("<x>", "mg"))
        if units[name] is None:
            raise DeclarationError(
                f"{what} names {name!r} without a unit, and it is not a canonical name",
                hint=f"Give the unit: {{{name!r}: 'unit'}}.",
            )
    return units


def _unit(name: str, unit: str | None) -> str | None:
    if unit is None or unit == ANY or _is_unit(unit):
        return unit
    raise DeclarationError(
        f"{name!r} is declared in {unit!r}, which is not a unit",
        expected="a unit as astropy writes it, '' for a number without unit, 'any' for a number in the unit it has, "
        "or None for anything",
        hint="Correct the unit.",
    )


def _is_unit(unit: object) -> bool:
    try:
        return isinstance(unit, str) and parse_unit(unit) is not None
    except HvenError:
        return False
