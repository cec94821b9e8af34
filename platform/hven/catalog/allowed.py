"""What a catalog from elsewhere may name: the data types and readers that only read, each by its full name.

A name is on this list when the code behind it, called with the arguments given here, opens a file and parses it: no
module of the catalog's choice is imported, nothing is unpickled, no server is started, nothing is written. So these are
not on it, among others: `PythonModule` (runs the file), everything of scikit-learn, Keras and Torch (pickles),
`PandasHDF5`, `DaskHDF` and `DaskNPYStack` (pickles inside the format), `DuckDB` and SQL readers (statements can write),
`HuggingfaceReader` (may run the data set's script), llama.cpp and Tiled (servers), `Condition`, `Retry`, `Pipeline` and
every converter (call what they are told), and Zarr before format 3, whose codecs may unpickle.
"""

from collections.abc import Mapping

_TYPES = "intake.readers.datatypes"
_READERS = "intake.readers.readers"
_FILE = frozenset({"url", "storage_options"})
_PINNED = frozenset({"url", "version", "schema"})

DATATYPES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        (f"{_TYPES}:{name}" for name in ("CSV", "Parquet", "Feather2", "FITS", "JSONFile", "Text", "PNG", "JPEG")),
        _FILE,
    ),
    **dict.fromkeys((f"{_TYPES}:{name}" for name in ("FileData", "NetCDF3", "DeltalakeTable")), _FILE),
    f"{_TYPES}:HDF5": _FILE | {"path"},
    **dict.fromkeys((f"{_TYPES}:{name}" for name in ("YAMLFile", "CatalogFile")), _FILE),
    "hven.lake.intake_readers:PinnedTable": _PINNED,
    "hven.lake.intake_readers:PinnedArrays": _PINNED,
}
"""Data type -> the arguments it may be given."""

_CSV = frozenset(
    {"separator", "has_header", "comment_prefix", "skip_rows", "null_values", "n_rows", "infer_schema_length"}
)
_PANDAS_CSV = frozenset(
    {"sep", "header", "names", "usecols", "comment", "skiprows", "nrows", "na_values", "compression"}
)
_PARQUET = frozenset({"n_rows", "glob", "hive_partitioning"})
_XARRAY = frozenset(
    {"engine", "group", "chunks", "decode_times", "mask_and_scale", "drop_variables", "concat_dim", "combine"}
)

READERS: Mapping[str, frozenset[str]] = {
    f"{_READERS}:PolarsCSV": _CSV | {"storage_options"},
    f"{_READERS}:PolarsParquet": _PARQUET | {"storage_options"},
    f"{_READERS}:PolarsFeather": frozenset({"n_rows", "storage_options"}),
    f"{_READERS}:PolarsJSON": frozenset({"n_rows", "infer_schema_length", "storage_options"}),
    f"{_READERS}:PolarsDeltaLake": frozenset({"version", "storage_options"}),
    f"{_READERS}:PandasCSV": _PANDAS_CSV,
    f"{_READERS}:PandasParquet": frozenset({"columns"}),
    f"{_READERS}:PandasFeather": frozenset({"columns"}),
    f"{_READERS}:DaskCSV": _PANDAS_CSV | {"blocksize"},
    f"{_READERS}:DaskParquet": frozenset({"columns", "blocksize", "split_row_groups"}),
    f"{_READERS}:FITSReader": frozenset({"memmap", "lazy_load_hdus", "ignore_missing_simple"}),
    f"{_READERS}:XArrayDatasetReader": _XARRAY,
    f"{_READERS}:OpenFilesReader": frozenset(),
    f"{_READERS}:FileByteReader": frozenset(),
    f"{_READERS}:FileTextReader": frozenset({"encoding"}),
    f"{_READERS}:FileSizeReader": frozenset(),
    f"{_READERS}:FileExistsReader": frozenset(),
    f"{_READERS}:YAMLCatalogReader": frozenset(),
    "hven.lake.intake_readers:PinnedTableReader": frozenset(),
    "hven.lake.intake_readers:PinnedArraysReader": frozenset(),
}
"""Reader -> the arguments it may be given, next to its data."""

TAKES: Mapping[str, frozenset[str]] = {
    f"{_READERS}:XArrayDatasetReader": frozenset({f"{_TYPES}:HDF5", f"{_TYPES}:NetCDF3"}),
}
"""Reader -> the data types it may be given; any on the list when it is not named here.

Of other data xarray would guess the engine, Zarr among them.
"""

CHOICES: Mapping[str, frozenset[str]] = {
    "engine": frozenset({"h5netcdf", "netcdf4", "scipy"}),
    "token": frozenset({"anon"}),
}
"""Arguments and storage options of which only some values are allowed.

Others of xarray's engines come from any package; other tokens are files of whoever opens the catalog.
"""

OUTPUTS = frozenset(
    {
        "polars:LazyFrame",
        "polars:DataFrame",
        "pandas:DataFrame",
        "dask.dataframe:DataFrame",
        "xarray:Dataset",
        "astropy.io.fits:HDUList",
        "fsspec.core:OpenFiles",
        "builtin:bytes",
        "builtins:bytes",
        "builtins:str",
        "builtins:int",
        "builtins:bool",
        "intake.readers.entry:Catalog",
    }
)
"""What readers may say that they return."""

STORAGE_OPTIONS = frozenset(
    {"anon", "requester_pays", "token", "aws_region", "aws_skip_signature", "skip_signature", "region"}
)
"""Of a store. An endpoint is not among them: it would be sent the credentials of whoever opens the catalog."""

SCHEMES = frozenset({"file", "http", "https", "s3", "gs", "gcs", "az", "abfs", "abfss", "hf"})
"""Of addresses. Chains (``a::b``) are not allowed: `reference::` renders templates that can call Python."""

PARAMETERS: Mapping[str, frozenset[str]] = {
    f"intake.readers.user_parameters:{name}": frozenset({"cls", "default", "description", *more})
    for name, more in {
        "BaseUserParameter": (),
        "SimpleUserParameter": ("dtype",),
        "OptionsUserParameter": ("dtype", "options"),
        "MultiOptionUserParameter": ("dtype", "options"),
        "BoundedNumberUserParameter": ("dtype", "max", "min"),
    }.items()
}
"""Class of a user parameter -> the keys it may have."""

PARAMETER_TYPES = frozenset({"object", "str", "int", "float", "bool", "list"})
"""Of user parameters: names that Intake looks up among Python's built-ins and calls."""
