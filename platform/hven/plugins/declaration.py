"""What is checked when an analysis is declared, long before any data: that description and function fit together."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from hven.errors import DeclarationError, UnitError, did_you_mean
from hven.plugins.inputs import Input
from hven.plugins.parameters import signature
from hven.schema import check_name, parse_unit

ANGLES = {"deg": 1.0, "arcmin": 1 / 60, "arcsec": 1 / 3600, "mas": 1 / 3_600_000}
"""Units of a margin, in degrees."""


def check_inputs(
    inputs: Mapping[str, Input], function: Callable[..., Any], parameters: Collection[str], where: str
) -> dict[str, Input]:
    """Return `inputs` in the order of the function's positional arguments, whose names they must be.

    Raises
    ------
    DeclarationError
        For an input without argument, an argument without input, or a ``named_by`` that is no parameter.
    """
    arguments = []
    for name, argument in signature(function).parameters.items():
        if argument.kind is inspect.Parameter.VAR_POSITIONAL:
            raise DeclarationError(f"*{name} leaves the inputs open", where=where, hint="Name each input.")
        if argument.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            arguments.append(name)
    if not arguments:
        raise DeclarationError("the function has no input", where=where, hint="Let it take at least one Dataset.")
    for name, given in inputs.items():
        if not isinstance(given, Input):
            raise DeclarationError(
                f"input {name!r} is declared as {given!r}",
                where=where,
                expected="Table, Spectra, Images, Cube, Model or Whole",
                hint=f'Write it as {name}=Table(feh="dex").',
            )
        if name not in arguments:
            raise DeclarationError(
                f"input {name!r} is no positional argument of the function",
                where=where,
                hint=did_you_mean(name, arguments, f"Its positional arguments are: {', '.join(arguments)}."),
            )
        if given.named_by is not None and given.named_by not in parameters:
            raise DeclarationError(
                f"input {name!r} takes columns named by {given.named_by!r}, which is no parameter",
                where=where,
                hint=f"Add the keyword-only argument '{given.named_by}: list[str]'.",
            )
    for name in arguments:
        if name not in inputs:
            raise DeclarationError(
                f"argument {name!r} of the function is not declared",
                where=where,
                hint=f"Declare it ({name}=Table(...)), or put '*' before it if it is a parameter.",
            )
    return {name: inputs[name] for name in arguments}


def check_units(produces: Mapping[str, Any], where: str) -> dict[str, dict[str, str]]:
    """Return the units of result variables by part; a plain ``{variable: unit}`` becomes the part ``""``.

    Raises
    ------
    DeclarationError
        If nothing is produced, or a name or unit is not one.

    Examples
    --------
    >>> check_units({"slope": "dex/kpc"}, "")
    {'': {'slope': 'dex/kpc'}}
    """
    in_parts = [isinstance(value, Mapping) for value in produces.values()] if isinstance(produces, Mapping) else []
    if not in_parts or any(in_parts) != all(in_parts):
        raise DeclarationError(
            "the analysis declares no result" if not in_parts else "produces mixes units and parts",
            where=where,
            expected='produces=dict(slope="dex/kpc"), or a dict like it for each part',
            hint="Name every variable of the result with its unit.",
        )
    parts = {p and check_name(p, "part"): dict(u) for p, u in (produces if all(in_parts) else {"": produces}).items()}
    for part, units in parts.items():
        for name, unit in units.items():
            try:
                parse_unit(unit)
            except (UnitError, TypeError, AttributeError) as error:
                raise DeclarationError(
                    f"result variable {name!r} is declared in {unit!r}, which is not a unit",
                    where=f"{where}, part {part!r}" if part else where,
                    expected="a unit as astropy writes it, or '' for none",
                    hint="Correct the unit.",
                ) from error
    return parts


def check_margin(margin: str | None, per_object: bool, where: str) -> str | None:
    """Return `margin` when it is an angle such as ``"10 arcsec"`` and blocks are what is computed.

    Raises
    ------
    DeclarationError
        If it is not.

    Examples
    --------
    >>> check_margin("10 arcsec", True, "")
    '10 arcsec'
    """
    if margin is None:
        return None
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]+)\s*", margin)
    if match is None or match[2] not in ANGLES or not 0 < float(match[1]) * ANGLES[match[2]] <= 180:
        raise DeclarationError(
            f"the margin {margin!r} is not an angle",
            where=where,
            expected=f"a number above 0 and one of {', '.join(ANGLES)}",
            hint="Write it as margin='10 arcsec'.",
        )
    _check_has_blocks("a margin", per_object, where)
    return f"{match[1]} {match[2]}"


def check_min_objects(
    min_objects: int | str | None, per_object: bool, parameters: Mapping[str, Any], where: str
) -> int | str | None:
    """Return `min_objects` when it is a number, or names a parameter, of an analysis that sees all objects at once.

    Raises
    ------
    DeclarationError
        If it is not.

    Examples
    --------
    >>> check_min_objects(3, False, {}, ""), check_min_objects("n_min", False, {"n_min": ...}, "")
    (3, 'n_min')
    """
    if min_objects is None:
        return None
    if per_object:
        raise DeclarationError(
            "min_objects is declared, and objects are independent of each other (per_object)",
            where=where,
            hint="Leave min_objects out, or declare per_object=False.",
        )
    is_number = isinstance(min_objects, int) and not isinstance(min_objects, bool) and min_objects > 0
    if not is_number and not (isinstance(min_objects, str) and min_objects in parameters):
        raise DeclarationError(
            f"min_objects is {min_objects!r}",
            where=where,
            expected="a whole number of at least 1, or the name of a parameter",
            hint=did_you_mean(str(min_objects), parameters, "Or leave it out."),
        )
    return min_objects


def check_block_rows(block_rows: int | None, per_object: bool, where: str) -> int | None:
    """Return `block_rows` when it is a number of objects and blocks are what is computed.

    Raises
    ------
    DeclarationError
        If it is not.

    Examples
    --------
    >>> check_block_rows(512, True, "")
    512
    """
    if block_rows is None:
        return None
    if not isinstance(block_rows, int) or isinstance(block_rows, bool) or block_rows < 1:
        raise DeclarationError(
            f"block_rows is {block_rows!r}",
            where=where,
            expected="a whole number of at least 1",
            hint="Or leave it out: blocks are then what reads well.",
        )
    _check_has_blocks("block_rows", per_object, where)
    return block_rows


def _check_has_blocks(what: str, per_object: bool, where: str) -> None:
    if not per_object:
        raise DeclarationError(
            f"{what} is declared for an analysis that sees everything at once",
            where=where,
            hint="Leave it out, or declare per_object=True.",
        )
