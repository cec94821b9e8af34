"""Arrays: Zarr v3 in Icechunk, a repository a dataset, a group a segment, every write through one guarded writer.

Two versions of Icechunk are served (1.1 on Python 3.11, 2 on later ones); where they differ is kept in this file.
Repositories are made in the format that both read.
"""

import inspect
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from hven.errors import ConflictError, DataRefusedError, HvenError, LakeFormatError
from hven.lake.axes import Axes, axes_of
from hven.lake.locks import locked
from hven.lake.parts import CHUNK, HIDDEN, ROW_GROUP, SHARD, Part
from hven.lake.store import Store, storage_error
from hven.lake.validation import check_values
from hven.schema import Schema
from hven.schema.columns import plain
from hven.schema.conventions import STRING

if TYPE_CHECKING:
    from datetime import datetime

    import icechunk
    import xarray as xr

_TEXT_VALID = "_valid"
_SMALL = 8 * 2**20
_COMFORT = 64 * 2**20
OWN = "hven"
"""The attribute under which a segment tells what hven knows it by."""


@dataclass(frozen=True)
class ArraysAt:
    """A repository of arrays: the lake's store and the repository's key in it."""

    store: Store
    path: str

    @property
    def lock(self) -> str:
        """Name of the lock under which references of this repository change (local stores only)."""
        return f"refs-{self.path}"


def create_arrays(at: ArraysAt) -> str:
    """Create an empty repository and return the snapshot it begins with."""
    import icechunk

    options: dict[str, Any] = {}
    if "spec_version" in inspect.signature(icechunk.Repository.create).parameters:
        options["spec_version"] = 1  # Icechunk 1.1 cannot open the newer format.
    with _told(at), locked(at.store, at.lock):
        repository = icechunk.Repository.create(_storage(at), **options)
        return str(repository.lookup_branch("main"))


def begin_branch(at: ArraysAt, branch: str, snapshot: str) -> None:
    """Make a branch at a snapshot; every transaction or run writes on one of its own."""
    with _told(at), locked(at.store, at.lock):
        _repository(at).create_branch(branch, snapshot)


def branch_snapshot(at: ArraysAt, branch: str) -> str | None:
    """Return the snapshot at the tip of a branch, or None when there is no such branch."""
    with _told(at):
        repository = _repository(at)
        return str(repository.lookup_branch(branch)) if branch in set(repository.list_branches()) else None


@contextmanager
def writing(at: ArraysAt, branch: str) -> Iterator["icechunk.Session"]:
    """Give a writable session on a branch, for `add_group` and forks; `commit` it."""
    with _told(at):
        yield _repository(at).writable_session(branch)


def commit(at: ArraysAt, session: "icechunk.Session", message: str) -> str:
    """Commit a session and return the new snapshot; nothing to commit gives the snapshot it began with."""
    with _told(at), locked(at.store, at.lock):
        if not session.has_uncommitted_changes:
            return str(session.snapshot_id)
        return str(session.commit(message))


def expire(at: ArraysAt, snapshots: Collection[str], before: "datetime", young: Collection[str] = ()) -> None:
    """Keep these snapshots, each by a branch of its own; forget other branches, and what only they held till then.

    Branches in `young` stay: somebody may be writing on them.
    """
    with _told(at), locked(at.store, at.lock):
        repository = _repository(at)
        for snapshot in snapshots:
            if f"keep-{snapshot}" not in set(repository.list_branches()):
                repository.create_branch(f"keep-{snapshot}", snapshot)
        for branch in set(repository.list_branches()) - {"main", *young, *(f"keep-{s}" for s in snapshots)}:
            repository.delete_branch(branch)
        repository.expire_snapshots(older_than=before)
        repository.garbage_collect(before)


def add_group(session: Any, name: str, data: "xr.Dataset", where: str = "") -> None:
    """Write a Dataset as one group of a session, shard by shard, computing lazy variables as they are needed.

    Parameters
    ----------
    session
        A writable session, or a fork of one.
    name
        The group: the segment.
    data
        Variables over ``object`` are cut into shards of whole objects; others are kept whole.
    where
        The dataset, as errors name it; lazy values are then looked at as they are computed (`check_values`).

    Raises
    ------
    DataRefusedError
        For values that cannot be.
    """
    import dask
    import zarr

    # What does not run over objects is looked at for its digest and then written: computed once.
    schema = Schema.of_dataset(data)
    data = data.assign({n: v.compute() for n, v in data.data_vars.items() if "object" not in v.dims})
    group = zarr.open_group(session.store, mode="a").create_group(
        name, attributes=_plain(data.attrs) | {OWN: _index(data)}
    )
    stored = _storable(data)
    arrays = {key: _create(group, str(key), variable) for key, variable in stored.items()}
    # Lazy variables are computed together, shard by shard; what is in memory is written whole, each call costs time.
    lazy = {key: v for key, v in stored.items() if v.dims[:1] == ("object",) and not isinstance(v.data, np.ndarray)}
    rows = int(data.sizes.get("object", 0))
    for start in range(0, rows if lazy else 0, SHARD):
        cut = {key: v[start : start + SHARD].data for key, v in lazy.items()}
        computed = dask.compute(cut, scheduler="threads")[0]
        if where:
            ids = {k: np.asarray(v[start : start + SHARD].values) for k, v in stored.items() if k == "object_id"}
            check_values(ids | {key: np.asarray(values) for key, values in computed.items()}, schema, start, where)
        for key, values in computed.items():
            arrays[key][start : start + SHARD] = np.asarray(values)
    for key, variable in stored.items():
        if key not in lazy:
            arrays[key][...] = np.asarray(variable.values)


def add_variable(session: Any, name: str, variable: str, values: "np.ndarray[Any, Any]") -> None:
    """Add a variable over objects to a group of a session, from values that are in memory."""
    import xarray as xr
    import zarr

    group = zarr.open_group(session.store, mode="a")[name]
    _create(group, variable, xr.Variable("object", values))[...] = values


def storage_errors(at: ArraysAt) -> AbstractContextManager[None]:
    """Give a block in which what Icechunk says comes as hven's errors: for what is done with a session."""
    return _told(at)


def remove_group(session: Any, name: str) -> None:
    """Remove one group of a session."""
    import zarr

    del zarr.open_group(session.store, mode="a")[name]


def remove_groups(session: Any, kept: Collection[str]) -> None:
    """Remove every group of a session that is not among those `kept`."""
    import zarr

    root = zarr.open_group(session.store, mode="a")
    for name in sorted(set(root.group_keys()) - set(kept)):
        del root[name]


@lru_cache(maxsize=256)
def array_parts(at: ArraysAt, snapshot: str) -> tuple[Part, ...]:
    """Return the segments of a pinned snapshot, in the order in which they came."""
    root = open_root(at, snapshot)
    parts = []
    for name in sorted(root.group_keys()):
        group: Any = root[name]
        told = group.attrs[OWN]
        reach = told.get("healpix")
        parts.append(Part(name, name, told["rows"], 0, SHARD, tuple(reach) if reach else None))
    return tuple(parts)


@lru_cache(maxsize=256)
def segment_axes(at: ArraysAt, snapshot: str) -> dict[str, Axes]:
    """Return the axes of each segment of a pinned snapshot; of segments that do not tell them, from what they hold."""
    root = open_root(at, snapshot)
    found: dict[str, Axes] = {}
    for part in array_parts(at, snapshot):
        group: Any = root[part.path]
        told = group.attrs[OWN].get("axes")
        if told is None:
            told = axes_of(_readable(_segment(at, snapshot, part.path, os.getpid()).copy()))
        found[part.path] = told
    return found


@lru_cache(maxsize=64)
def open_root(at: ArraysAt, snapshot: str) -> Any:
    """Return the root Zarr group of a pinned snapshot, read-only."""
    import zarr

    with _told(at):
        return zarr.open_group(_snapshot_store(at, snapshot), mode="r")


def open_segment(
    at: ArraysAt, snapshot: str, name: str, chunk: int | str | None = CHUNK, columns: Sequence[str] | None = None
) -> "xr.Dataset":
    """Return one segment (some variables) lazily: Dask arrays of `chunk` objects; with None, unread indexable arrays.

    ``"auto"`` takes as many whole shards a chunk as fill 64 MB: fewer tasks than shards, and few enough bytes.

    Text is read at once: it cannot be lazy and know its nulls.
    """
    data = _segment(at, snapshot, name, os.getpid()).copy()
    if columns is None:
        data = data.drop_vars(HIDDEN, errors="ignore")
    else:
        told = {*columns, *(f"{column}{_TEXT_VALID}" for column in columns)}
        data = data[[str(n) for n in data.variables if n in told]]
    if chunk is not None:
        rows = _comfortable(data) if chunk == "auto" else chunk
        data = data.chunk({"object": rows} if "object" in data.dims else {})
    with _told(at), damage_named(at, name):
        return _readable(data)


@lru_cache(maxsize=64)
def _segment(at: ArraysAt, snapshot: str, name: str, _pid: int) -> "xr.Dataset":
    """Return a segment of a snapshot, unread. It never changes; users copy it, for reading fills the variables."""
    import xarray as xr

    with _told(at):
        data: xr.Dataset = xr.open_zarr(
            _snapshot_store(at, snapshot), group=name, consolidated=False, chunks=None, decode_cf=False, zarr_format=3
        )
        return data


def _snapshot_store(at: ArraysAt, snapshot: str) -> Any:
    from hven.lake.chunk_files import with_chunk_files

    folder = at.store.local_path
    session = _repository(at).readonly_session(snapshot_id=snapshot)
    return with_chunk_files(session, folder / at.path if folder is not None else None)


def _comfortable(data: "xr.Dataset") -> int:
    """Return how many objects, in whole shards, fill a chunk of the widest variable."""
    count = max(data.sizes.get("object", 1), 1)
    widest = max((v.nbytes // count for v in data.variables.values() if "object" in v.dims), default=1)
    return max(_COMFORT // max(widest, 1) // SHARD, 1) * SHARD


def read_segment(
    at: ArraysAt, snapshot: str, name: str, start: int, stop: int, columns: Sequence[str] | None = None
) -> "xr.Dataset":
    """Return objects of one segment in memory (variables without ``object`` whole)."""
    data = open_segment(at, snapshot, name, None, columns)
    if "object" in data.dims:
        data = data.isel(object=slice(start, stop))
    with _told(at), damage_named(at, name):
        return data.load()


@contextmanager
def damage_named(at: ArraysAt, group: str) -> Iterator[None]:
    """Give a block in which chunks that fail their checksum, or cannot be decoded, are a `LakeFormatError`."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if isinstance(error, HvenError):
            raise
        raise LakeFormatError(
            f"a chunk of the arrays is damaged: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            where=f"{at.store.address(at.path)}, {group}",
            hint="Restore the folder from a copy of the lake, or go back with 'hven restore' to a state that is whole.",
        ) from error


def _create(group: Any, name: str, variable: "xr.Variable") -> Any:
    from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

    text = variable.dtype.kind == "T"
    by_object = variable.dims[:1] == ("object",)
    shape = tuple(variable.shape)
    shards: tuple[int, ...] | None = None
    chunks: Any = "auto"
    if by_object and shape[0] > 0 and len(shape) == 1:
        # Columns are read whole or by the block: small chunks in shards would make writing one several times slower.
        chunks = (min(CHUNK if text else ROW_GROUP, shape[0]),)
    elif by_object and shape[0] > 0:
        chunks = (min(CHUNK, shape[0]), *shape[1:])
        if not text and shape[0] > CHUNK:
            shards = (SHARD, *shape[1:])
    elif variable.nbytes <= _SMALL or text:
        chunks = tuple(max(n, 1) for n in shape)
    return group.create_array(
        name,
        shape=shape,
        dtype=variable.dtype,
        chunks=chunks,
        shards=shards,
        # The checksum comes last, so that it is looked at before anything is made of what was read.
        compressors=(ZstdCodec() if text else BloscCodec(cname="lz4", shuffle="shuffle"), Crc32cCodec()),
        fill_value=_fill(variable.dtype),
        # Looking for chunks of nothing but fill values costs more than such chunks take up, compressed.
        config={"write_empty_chunks": True},
        dimension_names=[str(d) for d in variable.dims],
        attributes=_plain(variable.attrs),
    )


def _fill(dtype: np.dtype[Any]) -> Any:
    return {"f": float("nan"), "b": False, "T": ""}.get(dtype.kind, 0)


def _storable(data: "xr.Dataset") -> dict[str, "xr.Variable"]:
    """Return the variables as Zarr keeps them: text without nulls, and what was null in ``<c>_valid``."""
    import xarray as xr

    stored: dict[str, xr.Variable] = {}
    for key, variable in data.variables.items():
        name, plain = str(key), variable.to_base_variable()
        if "object" in plain.dims and plain.dims[0] != "object":
            plain = plain.transpose("object", ...)
        if plain.dtype.kind in "OSUT":
            texts = np.asarray(plain.values, dtype=object)
            null = np.array([t is None for t in texts.ravel()], dtype=bool).reshape(texts.shape)
            clean = np.where(null, "", texts).astype(np.dtypes.StringDType())
            stored[name] = xr.Variable(plain.dims, clean, plain.attrs)
            if null.any():
                stored[name + _TEXT_VALID] = xr.Variable(plain.dims, ~null)
        elif plain.dtype.kind in "fiub":
            stored[name] = plain
        else:
            raise DataRefusedError(
                f"variable {name!r} has type {plain.dtype}",
                expected="numbers, true/false or text",
                hint="Convert it, or leave it out.",
            )
    return stored


def _readable(data: "xr.Dataset") -> "xr.Dataset":
    for name in [str(n) for n, v in data.variables.items() if v.dtype.kind == "T"]:
        valid = name + _TEXT_VALID
        values = data[name].values.astype(STRING)
        if valid in data.variables:
            values[~data[valid].values] = None
            data = data.drop_vars(valid)
        data[name] = (data[name].dims, values, data[name].attrs)
    coordinates = [n for n, v in data.variables.items() if v.dims and "object" not in v.dims and v.dims == (n,)]
    data.attrs.pop(OWN, None)
    return data.set_coords(coordinates)


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): plain(value) for key, value in attrs.items()}


def _index(data: "xr.Dataset") -> dict[str, Any]:
    """Return what a segment's group tells under `OWN`: rows, axes, and the reach of ``_healpix_29`` if it has one."""
    told: dict[str, Any] = {"rows": int(data.sizes.get("object", 0))}
    if "object" in data.dims:
        told["axes"] = axes_of(data)
    if "_healpix_29" in data.variables and told["rows"]:
        values = np.asarray(data["_healpix_29"].values)
        told["healpix"] = [int(values.min()), int(values.max())]
    return told


@lru_cache(maxsize=64)
def _opened(at: ArraysAt, _pid: int) -> "icechunk.Repository":
    import icechunk

    with _told(at):
        return icechunk.Repository.open(_storage(at))


def _repository(at: ArraysAt) -> "icechunk.Repository":
    return _opened(at, os.getpid())


def _storage(at: ArraysAt) -> Any:
    import icechunk

    # It warns on every local open that local commits are not safe; hven's lock is what makes them so.
    icechunk.set_logs_filter("error")
    address = at.store.address(at.path)
    if at.store.is_local:
        return icechunk.local_filesystem_storage(address)
    scheme, rest = address.split("://", 1)
    bucket, prefix = rest.split("/", 1)
    if scheme == "s3":
        # The same variables that the other engine follows; Icechunk reads only some of them by itself.
        told = {**os.environ, **{f"AWS_{key.upper()}": value for key, value in at.store.options}}
        endpoint = told.get("AWS_ENDPOINT_URL")
        return icechunk.s3_storage(
            bucket=bucket,
            prefix=prefix,
            region=told.get("AWS_REGION") or told.get("AWS_DEFAULT_REGION") or "us-east-1",
            endpoint_url=endpoint,
            allow_http=told.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
            force_path_style=endpoint is not None,
            from_env=True,
        )
    raise LakeFormatError(
        f"arrays cannot rest in a {scheme} store", where=address, expected="a folder or s3://", hint="Move the lake."
    )


@contextmanager
def _told(at: ArraysAt) -> Iterator[None]:
    import icechunk

    where = at.store.address(at.path)
    try:
        yield
    except icechunk.ConflictError as error:
        raise ConflictError(
            "another writer changed the arrays at the same moment",
            where=where,
            hint="Nothing of this change was published. Do it again.",
        ) from error
    except icechunk.IcechunkError as error:
        if "doesn't exist" in str(error) or "not found" in str(error):
            raise LakeFormatError(
                "the arrays of a dataset, or the pinned version of them, are missing",
                where=where,
                hint="Restore them from a copy of the lake, or open a newer catalog.",
            ) from error
        raise storage_error(error, where) from error
