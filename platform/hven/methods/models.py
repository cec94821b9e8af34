"""Trained models as arrays and JSON: nothing is pickled, so a model of somebody else's is data and not a program.

A model that can be saved has ``spec()`` (a JSON-able dict with its ``kind``), ``arrays()`` (NumPy arrays by path) and a
class method ``build(arrays, spec)``. `register` adds kinds to those that are built in.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hven.errors import DataRefusedError, DeclarationError, did_you_mean

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "FORMAT",
    "Model",
    "from_dataset",
    "from_vector",
    "leaves",
    "load",
    "register",
    "save",
    "to_dataset",
    "to_vector",
    "untrained",
    "with_leaves",
]

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]

FORMAT = 1
"""Version of the layout of arrays and specs; a newer one than this is refused."""

_HOMES = {
    "mlp": ("hven.methods.nets", "MLP"),
    "trained": ("hven.methods.train", "Trained"),
    "flow": ("hven.methods.flows", "Flow"),
    "unet": ("hven.methods.nets", "UNet"),
    "denoising-mlp": ("hven.methods.nets", "DenoisingMLP"),
    "style-generator": ("hven.methods.nets", "StyleGenerator"),
    "image-critic": ("hven.methods.nets", "ImageCritic"),
    "diffusion": ("hven.methods.diffusion", "Diffusion"),
    "gan": ("hven.methods.gan", "Gan"),
}
_REGISTERED: dict[str, type[Any]] = {}


class Model(Protocol):
    """What can be saved."""

    def spec(self) -> dict[str, Any]:
        """Return what is not an array, JSON-able, with the ``kind``."""
        ...

    def arrays(self) -> Arrays:
        """Return the arrays by path."""
        ...

    @classmethod
    def build(cls, arrays: Arrays, spec: dict[str, Any]) -> Any:
        """Return the model again."""
        ...


def register(kind: str, model: type[Any]) -> None:
    """Let models of class `model` be loaded by the name `kind`, which their ``spec()`` gives.

    Raises
    ------
    DeclarationError
        The kind is taken by another class, or the class lacks one of the three methods.

    Examples
    --------
    >>> class Line:
    ...     def __init__(self, slope): self.slope = np.asarray(slope)
    ...     def spec(self): return {"kind": "line-of-the-docs"}
    ...     def arrays(self): return {"slope": self.slope}
    ...     @classmethod
    ...     def build(cls, arrays, spec): return cls(arrays["slope"])
    >>> register("line-of-the-docs", Line)
    >>> float(load(*save(Line(2.5))).slope)
    2.5
    """
    missing = [name for name in ("spec", "arrays", "build") if not callable(getattr(model, name, None))]
    if missing:
        raise DeclarationError(
            f"{model.__name__} has no {' and no '.join(missing)}", where=f"model kind {kind!r}",
            hint="A model has spec(), arrays() and the class method build(arrays, spec).",
        )  # fmt: skip
    if kind in _HOMES or _REGISTERED.get(kind, model) is not model:
        raise DeclarationError(f"the model kind {kind!r} is taken", hint="Choose another name.")
    _REGISTERED[kind] = model


def save(model: Model) -> tuple[Arrays, dict[str, Any]]:
    """Return a model as arrays by path and a JSON-able spec.

    Examples
    --------
    >>> from hven.methods import nets
    >>> arrays, spec = save(nets.MLP(2, 1, width=4, depth=1))
    >>> sorted(arrays)
    ['layers.0.bias', 'layers.0.weight', 'layers.1.bias', 'layers.1.weight']
    >>> spec["kind"], spec["format"]
    ('mlp', 1)
    """
    spec = {"format": FORMAT, **model.spec()}
    return {path: np.asarray(values) for path, values in model.arrays().items()}, json.loads(json.dumps(spec))


def load(arrays: Mapping[str, Any], spec: Mapping[str, Any]) -> Any:
    """Return the model that `save` has taken apart, bit for bit.

    Raises
    ------
    DataRefusedError
        The format is newer than this one, the kind unknown, or an array is missing, superfluous or of another shape.

    Examples
    --------
    >>> from hven.methods import nets
    >>> net = nets.MLP(2, 1, width=4, depth=1)
    >>> x = np.ones(2, dtype=np.float32)
    >>> bool(net(x) == load(*save(net))(x))
    True
    """
    if spec.get("format") != FORMAT:
        raise DataRefusedError(
            f"a model of format {spec.get('format')!r}", expected=f"format {FORMAT}",
            hint="Update hven, or save the model again.",
        )  # fmt: skip
    kind = str(spec.get("kind"))
    return _class_of(kind).build({path: np.asarray(values) for path, values in arrays.items()}, dict(spec))


def _class_of(kind: str) -> Any:
    if kind in _HOMES:
        module, name = _HOMES[kind]
        return getattr(import_module(module), name)
    if kind in _REGISTERED:
        return _REGISTERED[kind]
    hint = "Import the package that brings it; it calls hven.methods.models.register."
    raise DataRefusedError(f"a model of kind {kind!r}", hint=did_you_mean(kind, [*_HOMES, *_REGISTERED], hint))


def untrained(spec: Mapping[str, Any]) -> Any:
    """Return a network of the structure that its ``spec()`` tells, with first weights.

    Examples
    --------
    >>> from hven.methods import nets
    >>> untrained(nets.MLP(2, 1, width=4).spec()).width
    4
    """
    told = {name: value for name, value in spec.items() if name not in {"kind", "format"}}
    arguments = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    return _class_of(str(spec["kind"]))(**arguments)


def to_vector(net: Any) -> NDArray[np.float32]:
    """Return all weights of a network as one vector, in the order of `leaves`.

    Examples
    --------
    >>> to_vector({"a": np.ones((2, 2)), "b": np.zeros(1)}).tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0]
    """
    return np.concatenate([np.asarray(values, dtype=np.float32).ravel() for values in leaves(net).values()])


def from_vector(tree: T, vector: Any) -> T:
    """Return `tree` with the weights that `to_vector` made a vector of; raises DataRefusedError where they misfit."""
    wanted, values = leaves(tree), np.asarray(vector)
    ends = np.cumsum([array.size for array in wanted.values()])
    if values.shape != (ends[-1],):
        raise DataRefusedError(
            f"weights of shape {values.shape}", where="model", expected=f"({ends[-1]},)",
            hint="The spec and the arrays do not belong together.",
        )  # fmt: skip
    parts = np.split(values, ends[:-1])
    return with_leaves(
        tree, {p: part.reshape(a.shape).astype(a.dtype) for (p, a), part in zip(wanted.items(), parts, strict=True)}
    )


def to_dataset(model: Model) -> "xr.Dataset":
    """Return a model as a Dataset: one variable per array, the spec as JSON in the attribute ``spec``.

    A Dataset like this is what an analysis that trains returns, and what one that applies takes in.

    Examples
    --------
    >>> from hven.methods import nets
    >>> data = to_dataset(nets.MLP(2, 1, width=4, depth=1))
    >>> data["layers.0.weight"].shape, from_dataset(data).width
    ((4, 2), 4)
    """
    import xarray as xr

    arrays, spec = save(model)
    variables = {
        path: (tuple(f"{path}.axis{axis}" for axis in range(values.ndim)), values) for path, values in arrays.items()
    }
    return xr.Dataset(variables, attrs={"format": FORMAT, "spec": json.dumps(spec)})


def from_dataset(data: "xr.Dataset") -> Any:
    """Return the model in a Dataset made by `to_dataset`; raises as `load` does.

    Examples
    --------
    >>> import xarray as xr
    >>> from_dataset(xr.Dataset())
    Traceback (most recent call last):
    ...
    hven.errors.DataRefusedError: no model in this Dataset. Expected: the attribute 'spec'. Give what to_dataset made.
    """
    if "spec" not in data.attrs:
        raise DataRefusedError(
            "no model in this Dataset", expected="the attribute 'spec'", hint="Give what to_dataset made."
        )
    spec = json.loads(data.attrs["spec"])
    return load({str(name): variable.values for name, variable in data.data_vars.items()}, spec)


def leaves(tree: Any) -> Arrays:
    """Return the arrays of a tree of equinox modules, dicts and tuples, by path.

    Examples
    --------
    >>> leaves({"a": (np.ones(2), "text"), "b": np.zeros(1)})
    {'a.0': array([1., 1.]), 'b': array([0.])}
    """
    import jax

    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if isinstance(leaf, jax.Array | np.ndarray)
    }


def with_leaves(tree: T, arrays: Mapping[str, Any]) -> T:
    """Return `tree` with its arrays replaced by those of the same paths; raises DataRefusedError where they misfit."""
    import jax
    import jax.numpy as jnp

    wanted = leaves(tree)
    if wanted.keys() != arrays.keys():
        odd = sorted(wanted.keys() ^ arrays.keys())
        raise DataRefusedError(
            f"{'no array' if odd[0] in wanted else 'an array too many:'} {odd[0]!r}", where="model",
            expected=f"{len(wanted)} arrays", hint="The spec and the arrays do not belong together.",
        )  # fmt: skip
    for path, values in wanted.items():
        given = np.asarray(arrays[path])
        if given.shape != values.shape or given.dtype != values.dtype:
            raise DataRefusedError(
                f"array {path!r} is {given.dtype} {given.shape}", where="model",
                expected=f"{values.dtype} {values.shape}", hint="The spec and the arrays do not belong together.",
            )  # fmt: skip

    def replaced(path: Any, leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array | np.ndarray):
            return leaf
        return jnp.asarray(arrays[jax.tree_util.keystr(path, simple=True, separator=".")])

    filled: T = jax.tree_util.tree_map_with_path(replaced, tree)
    return filled
