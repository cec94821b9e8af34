"""Catalogs from elsewhere: opened only when they name nothing but readers that read."""

from typing import Any

from hven.catalog.documents import Document
from hven.catalog.intake_shape import check_shape
from hven.catalog.reaching import fetch
from hven.catalog.trust import check_trusted

_NESTED = ("intake.readers.readers:YAMLCatalogReader", "hven.catalog.nested:CheckedCatalogReader")


def open_catalog(address: str, *, trust: bool = False, timeout: float = 30.0) -> Any:
    """Return the Intake catalog at an address, after checking that it names only readers that read.

    A catalog file names functions for Intake to import and call, so opening one from elsewhere is running its author's
    code. Unless told to trust it, hven looks at the file's values first, imports nothing that it names, and refuses any
    data type, reader or argument that is not on the list in `hven.catalog.allowed`. Catalogs inside it are checked the
    same way when they are read.

    Parameters
    ----------
    address
        Of a YAML or JSON file: a path, ``https://...`` or ``s3://...``.
    trust
        Open it as Intake would, whatever it names. For catalogs that you wrote, or read.
    timeout
        Seconds to wait for a server.

    Returns
    -------
    intake.readers.entry.Catalog
        Each entry under its name: those without a name of their own under their key.

    Raises
    ------
    UntrustedCatalogError
        If it names something else, with file, entry, line and name. Nothing was run.
    CatalogFormatError
        If a key is missing, unknown or of the wrong type.
    SourceUnreachableError
        If the file cannot be fetched.

    Examples
    --------
    >>> catalog = open_catalog("https://example.org/stars.yaml")  # doctest: +SKIP
    >>> list(catalog), catalog["stars"].read()  # doctest: +SKIP
    """
    import intake  # noqa: F401 - registers its templates
    from intake.readers.entry import Catalog

    address = str(address)
    document = Document(fetch(address, timeout), address)
    check_shape(document)
    values = document.values
    if not trust:
        check_trusted(document)
        for entry in values["entries"].values():
            if entry["reader"] == _NESTED[0]:
                entry["reader"] = _NESTED[1]
    named = set(values["aliases"].values())
    values["aliases"] |= {key: key for key in values["entries"] if key not in named and key not in values["aliases"]}
    # The values that were checked, not the file again: it may answer otherwise the second time.
    catalog = Catalog.from_dict(values)
    path = address.replace("\\", "/")
    catalog.user_parameters |= {
        "CATALOG_PATH": path,
        "CATALOG_DIR": _folder(path),
        "STORAGE_OPTIONS": {},
    }
    return catalog


def _folder(path: str) -> str:
    """Return what Intake puts for ``{CATALOG_DIR}``: the folder as a URL."""
    from pathlib import Path

    if "://" in path:
        return path.rpartition("/")[0]
    return f"file://{Path(path).absolute().parent.as_posix()}"
