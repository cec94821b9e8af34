"""The parameters of a plugin function: a pydantic model made from its keyword-only arguments.

Bounds are written ``Annotated[float, Field(gt=0)]``, units ``Annotated[float, Unit("kpc")]``, choices
``Literal["age", "teff"]``, datasets `DatasetPath`; descriptions come from the docstring. Values arrive from Python,
from JSON, or as texts of ``-p name=value``.
"""

import inspect
import json
import sys
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from hven.errors import DeclarationError, ParameterError, did_you_mean
from hven.plugins.docstring import read_docstring
from hven.plugins.quantities import unit_outermost

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_NONE_TEXTS = {"none", "null", ""}
_MANY = (list, tuple, set, frozenset)


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of `function`; annotations that cannot be resolved stay as they are written.

    Examples
    --------
    >>> list(signature(lambda stars, *, bins=6: stars).parameters)
    ['stars', 'bins']
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def parameters_model(
    function: Callable[..., Any], with_options_of: Callable[..., Any] | None = None
) -> "type[BaseModel]":
    """Return a pydantic model of the keyword-only arguments of `function`: types, bounds, defaults, descriptions.

    Parameters
    ----------
    function
        Whose parameters are meant.
    with_options_of
        Another function, whose keyword-only arguments `function` takes as ``**options`` and hands on to it. They
        follow those of `function`, and its docstring describes them.

    Raises
    ------
    DeclarationError
        If an argument has neither type nor default, a default outside its own bounds, or a name that pydantic keeps or
        both functions have; or if ``**options`` is there without another function, or missing with one.

    Examples
    --------
    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> def gradient(stars, *, bins: Annotated[int, Field(ge=1)] = 6): ...
    >>> parameters_model(gradient)(bins=4).bins
    4
    """
    from pydantic import BaseModel, ConfigDict, PydanticUserError, create_model

    where = _place(function)
    if with_options_of is not None:
        _check_options(function, with_options_of)
    config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
    try:
        fields = _fields(function, is_open=with_options_of is not None)
        if with_options_of is not None:
            fields |= _fields(with_options_of)
        model: type[BaseModel] = create_model(
            function.__qualname__, __config__=config, __module__=function.__module__, **fields
        )
    except PydanticUserError as error:
        raise DeclarationError(
            f"the parameters cannot be understood: {str(error).splitlines()[0]}",
            where=where,
            expected="numbers, true/false, text, Literal choices, lists of these, or None",
            hint="Correct the annotation.",
        ) from error
    return model


def check_parameters(model: "type[BaseModel]", values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return `values` validated, converted and completed with defaults, in the order of the signature.

    Raises
    ------
    ParameterError
        For the first parameter that is unknown, missing or outside its range, saying which value is allowed.

    Examples
    --------
    >>> def gradient(stars, *, bins: int = 6, r_ref: float = 8.0): ...
    >>> check_parameters(parameters_model(gradient), {"bins": 4})
    {'bins': 4, 'r_ref': 8.0}
    """
    from pydantic import ValidationError

    for name in values:
        _known(model, name, where)
    try:
        checked = model.model_validate(dict(values))
    except ValidationError as error:
        raise _refusal(model, error.errors(include_url=False)[0], values, where) from error
    return {name: getattr(checked, name) for name in model.model_fields}


def parameter_misfits(model: "type[BaseModel]", values: Mapping[str, Any], where: str = "") -> list[ParameterError]:
    """Return everything for which `check_parameters` would refuse `values`, not only the first.

    Examples
    --------
    >>> def gradient(stars, *, bins: int = 6, r_ref: float = 8.0): ...
    >>> [error.what for error in parameter_misfits(parameters_model(gradient), {"bin": 4, "r_ref": "far"})]
    ["there is no parameter 'bin'", "parameter 'r_ref' is 'far'"]
    """
    from pydantic import ValidationError

    misfits = []
    for name in values:
        try:
            _known(model, name, where)
        except ParameterError as error:
            misfits.append(error)
    known = {name: value for name, value in values.items() if name in model.model_fields}
    try:
        model.model_validate(known)
    except ValidationError as error:
        firsts = {str(told["loc"][:1]): told for told in reversed(error.errors(include_url=False))}
        misfits += [_refusal(model, told, known, where) for told in reversed(firsts.values())]
    return misfits


def parse_texts(
    model: "type[BaseModel]", texts: Mapping[str, str], where: str = "", beneath: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the validated parameters that texts such as ``{"bins": "10"}`` mean, defaults included.

    Lists are separated by commas (``mg_fe,si_fe``) and mappings are pairs (``feh=FE_H,teff=TEFF``), or both are JSON;
    ``none`` is None where that is allowed. Values of `beneath` stand for parameters that no text names.

    Raises
    ------
    ParameterError
        As `check_parameters` does.

    Examples
    --------
    >>> def gradient(stars, *, bins: int = 6, columns: list[str] | None = None): ...
    >>> parse_texts(parameters_model(gradient), {"bins": "10", "columns": "mg_fe, si_fe"})
    {'bins': 10, 'columns': ['mg_fe', 'si_fe']}
    """
    values = {name: _value_of(_known(model, name, where).annotation, text) for name, text in texts.items()}
    return check_parameters(model, {**(beneath or {}), **values}, where)


def parameters_json(model: "type[BaseModel]", values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return validated `values` as plain JSON values; `check_parameters` gives them back.

    Raises
    ------
    ParameterError
        As `check_parameters` does.
    """
    checked = check_parameters(model, values, where)
    return model.model_construct(**checked).model_dump(mode="json")


def allowed_values(model: "type[BaseModel]", name: str) -> str:
    """Return in words what a parameter may be.

    Examples
    --------
    >>> from typing import Annotated, Literal
    >>> from pydantic import Field
    >>> def f(stars, *, by: Literal["age", "teff"] = "age", bins: Annotated[int, Field(ge=1, le=50)] = 6): ...
    >>> allowed_values(parameters_model(f), "by"), allowed_values(parameters_model(f), "bins")
    ("one of 'age', 'teff'", 'a whole number from 1 to 50')
    """
    schema = model.model_json_schema()
    return _words(schema["properties"][name], schema.get("$defs", {}))


def unit_of(model: "type[BaseModel]", name: str) -> str:
    """Return the unit of a parameter, empty when it has none.

    Examples
    --------
    >>> from typing import Annotated
    >>> from hven.plugins import Unit
    >>> def f(stars, *, r_ref: Annotated[float, Unit("kpc")] = 8.2, bins: int = 6): ...
    >>> unit_of(parameters_model(f), "r_ref"), unit_of(parameters_model(f), "bins")
    ('kpc', '')
    """
    return _unit_in(model.model_json_schema()["properties"][name])


def _place(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _check_options(function: Callable[..., Any], shared: Callable[..., Any]) -> None:
    """Refuse functions of which one cannot hand the options of the other on."""
    own, others = signature(function).parameters, signature(shared).parameters
    options = [name for name, argument in others.items() if argument.kind is inspect.Parameter.KEYWORD_ONLY]
    if not options:
        raise DeclarationError(
            f"{shared.__qualname__} has no options to share",
            where=_place(function),
            expected="a function with keyword-only arguments",
            hint="Put '*' before its options.",
        )
    if not any(argument.kind is inspect.Parameter.VAR_KEYWORD for argument in own.values()):
        raise DeclarationError(
            f"the function cannot take the options of {shared.__qualname__}",
            where=_place(function),
            expected="**options: Any",
            hint=f"Add it, and hand the options on: {shared.__name__}(..., **options).",
        )
    clash = next((name for name in options if name in own and own[name].kind is not inspect.Parameter.VAR_KEYWORD), "")
    if clash:
        raise DeclarationError(
            f"{clash!r} is an argument of the function and an option of {shared.__qualname__}",
            where=_place(function),
            hint="Take it out of one of them, or give it another name.",
        )


def _fields(function: Callable[..., Any], *, is_open: bool = False) -> dict[str, Any]:
    """Return what pydantic is to know of each keyword-only argument; ``**options`` only where it `is_open`."""
    from pydantic import BaseModel

    where, texts = _place(function), read_docstring(function.__doc__).parameters
    fields: dict[str, Any] = {}
    for name, argument in signature(function).parameters.items():
        if argument.kind is inspect.Parameter.VAR_KEYWORD and not is_open:
            raise DeclarationError(
                f"**{name} leaves the parameters open", where=where, hint="Name each parameter, keyword-only."
            )
        if argument.kind is inspect.Parameter.KEYWORD_ONLY:
            if name.startswith("_") or hasattr(BaseModel, name):
                raise DeclarationError(f"{name!r} cannot name a parameter", where=where, hint="Choose another name.")
            fields[name] = _field(function, argument, texts.get(name, ""), where)
    return fields


def _field(function: Callable[..., Any], argument: inspect.Parameter, text: str, where: str) -> tuple[Any, Any]:
    from pydantic import Field, TypeAdapter, ValidationError

    kind, is_given = argument.annotation, argument.default is not inspect.Parameter.empty
    if isinstance(kind, str):
        try:
            kind = eval(kind, function.__globals__)  # noqa: S307 - the author's own annotation, as typing resolves it
        except Exception as error:
            raise DeclarationError(
                f"the type {kind!r} of parameter {argument.name!r} cannot be resolved",
                where=where,
                hint="Import what it names at the top of the module, not under TYPE_CHECKING.",
            ) from error
    if kind is inspect.Parameter.empty:
        if not is_given or argument.default is None:
            raise DeclarationError(
                f"parameter {argument.name!r} has neither type nor default",
                where=where,
                hint=f"Annotate it, as in '{argument.name}: float'.",
            )
        kind = type(argument.default)
    kind = unit_outermost(kind)
    if is_given:
        try:
            TypeAdapter(kind).validate_python(argument.default)
        except ValidationError as error:
            raise DeclarationError(
                f"the default {argument.default!r} of parameter {argument.name!r} is not one of its own values",
                where=where,
                hint="Correct the default or the annotation.",
            ) from error
    return kind, Field(argument.default if is_given else ..., description=text or None)


def _known(model: "type[BaseModel]", name: str, where: str) -> "FieldInfo":
    if name in model.model_fields:
        return model.model_fields[name]
    known = ", ".join(model.model_fields)
    raise ParameterError(
        f"there is no parameter {name!r}",
        where=where,
        hint=did_you_mean(name, model.model_fields, f"The parameters are: {known}." if known else "It has none."),
    )


def _refusal(model: "type[BaseModel]", first: Any, values: Mapping[str, Any], where: str) -> ParameterError:
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return ParameterError(
            f"parameter {name!r} is missing",
            where=where,
            expected=allowed_values(model, name),
            hint=f"Give it, as in -p {name}=VALUE.",
        )
    if name not in model.model_fields:
        return ParameterError(first["msg"], where=where, hint="Correct the parameters.")
    return ParameterError(
        f"parameter {name!r} is {values[name]!r}",
        where=where,
        expected=allowed_values(model, name),
        hint="Choose a value within this range.",
    )


def _value_of(kind: Any, text: str) -> Any:
    """Return what pydantic is to check: None, a list, parsed JSON, or the text itself, which pydantic converts."""
    origin = get_origin(kind)
    options = [_plain(one) for one in get_args(kind)] if origin in (Union, types.UnionType) else [_plain(kind)]
    if not text and str in options:
        return text  # an empty text is one, where texts are allowed: comment= means no comments
    if type(None) in options and text.strip().lower() in _NONE_TEXTS:
        return None
    if any((get_origin(o) or o) in (*_MANY, dict) for o in options):
        if text.lstrip()[:1] in {"[", "{"}:
            try:
                return json.loads(text)
            except ValueError:
                return text
        if any((get_origin(o) or o) is dict for o in options):
            pairs = [part.partition("=") for part in text.split(",")]
            return {key.strip(): value.strip() for key, _, value in pairs} if all(p[1] for p in pairs) else text
        if not any((get_origin(o) or o) is str for o in options):
            return [part.strip() for part in text.split(",") if part.strip()]
    for option in options:
        if get_origin(option) is Literal:
            return next((choice for choice in get_args(option) if str(choice) == text), text)
    return text


def _plain(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _unit_in(schema: Mapping[str, Any]) -> str:
    items = schema.get("items")
    inner = [*schema.get("anyOf", ()), *schema.get("prefixItems", ()), *([items] if isinstance(items, dict) else [])]
    return next(filter(None, (str(schema.get("unit", "")), *map(_unit_in, inner))), "")


def _words(schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        schema = named[str(schema["$ref"]).rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        return " or ".join(_words(option, named) for option in schema["anyOf"])
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(repr, schema['enum']))}"
    unit = f", in {schema['unit']}" if schema.get("unit") else ""
    kind = schema.get("type", "")
    if kind == "array":
        return _list_words(schema, named) + unit
    if schema.get("format") == "hven-dataset":
        return "a dataset, as NAME, NAME@VERSION or URL#NAME@VERSION"
    plain = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
    words = {"null": "none"}.get(kind, plain.get(kind, kind or "anything"))
    low = schema.get("minimum", schema.get("minLength"))
    high = schema.get("maximum", schema.get("maxLength"))
    ranges = [
        f"above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else "",
        f"below {schema['exclusiveMaximum']}" if "exclusiveMaximum" in schema else "",
        f"from {low} to {high}" if low is not None and high is not None else "",
        f"at least {low}" if low is not None and high is None else "",
        f"at most {high}" if high is not None and low is None else "",
    ]
    return " ".join([words, " and ".join(r for r in ranges if r)]).strip() + unit


def _list_words(schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        each = [_words(one, named) for one in schema["prefixItems"]]
        return f"{len(each)} values, each {each[0]}" if len(set(each)) == 1 else f"a list of {'; '.join(each)}"
    low, high = schema.get("minItems"), schema.get("maxItems")
    least = (
        f" of {low} to {high}"
        if low and high
        else f" of at least {low}"
        if low
        else f" of at most {high}"
        if high
        else ""
    )
    return f"a list{least}, each {_words(schema['items'], named) if 'items' in schema else 'anything'}"
