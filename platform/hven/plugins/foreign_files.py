"""Files that no reader of hven reads, known by what they hold, so that they are refused by name."""

from pathlib import Path

from hven.plugins.archives import MEMBER, archive_members
from hven.plugins.claims import Claim, FileHead
from hven.plugins.foreign_texts import foreign_text

_CONVERT = "Convert it to Parquet, FITS or CSV with the software that made it."
_MAGIC: tuple[tuple[bytes, str, str, str], ...] = (
    (b"%PDF", "a PDF document", "it is a page to read, not a table", "Take the machine-readable table of the paper."),
    (b"root", "a ROOT file", "hven has no reader of it yet", "Convert it with uproot, to Parquet for instance."),
    (b"#ASDF", "an ASDF file", "hven has no reader of it yet", "Write its tables as FITS or ECSV with asdf-astropy."),
    (b"ORC", "an ORC file", "hven has no reader of it yet", "Convert it to Parquet with pyarrow."),
    (b"Obj\x01", "an Avro file", "hven has no reader of it yet", "Convert it to Parquet with fastavro or Polars."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "hven does not expand it", "Expand it, and ingest its files."),
    (b"Rar!", "a RAR archive", "hven does not expand it", "Expand it, and ingest its files."),
    (b"\x1f\x9d", "a file of the old program compress (.Z)", "hven does not expand it", "Expand it with gunzip first."),
    (b"CDF\x01", "a netCDF 3 file", "hven has no reader of it yet", "Open it with xarray and write Parquet or NPZ."),
    (b"CDF\x02", "a netCDF 3 file", "hven has no reader of it yet", "Open it with xarray and write Parquet or NPZ."),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old Office document",
        "hven has no reader of it",
        "Save its table as CSV.",
    ),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", "hven has no reader of it", _CONVERT),
    (b"SR\x00\x04", "a save file of IDL", "hven has no reader of it", "Write its structures as FITS with mwrfits."),
    (b"SR\x01\x04", "a save file of IDL", "hven has no reader of it", "Write its structures as FITS with mwrfits."),
    (b"\x7fELF", "a program", "it holds no data", "Leave it out."),
    (b"MZ\x90\x00", "a program", "it holds no data", "Leave it out."),
)
_POINTERS = (
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS", "git lfs pull"),
    (b"version https://hawser.github.com/spec/", "a pointer of Git LFS", "git lfs pull"),
    (b"/annex/objects/", "a pointer of git-annex", "git annex get"),
    (b"../.git/annex/objects/", "a pointer of git-annex", "git annex get"),
)
_FOLDERS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("hven.json",),
        "a lake of hven",
        "Open it with --lake, or name a dataset of it as URL#NAME where a dataset is asked.",
    ),
    (("zarr.json",), "a Zarr store", "Open it with xarray, and write what it holds with tx.write."),
    ((".zgroup",), "a Zarr store", "Open it with xarray, and write what it holds with tx.write."),
    ((".zarray",), "a Zarr store", "Open it with xarray, and write what it holds with tx.write."),
    (
        ("snapshots", "manifests"),
        "an Icechunk repository",
        "Open it with icechunk and xarray, and write it with tx.write.",
    ),
    ((".hoodie",), "a Hudi table", "Export it to Parquet first."),
    (("_versions", "data"), "a Lance dataset", "Export it to Parquet first."),
    (("table.dat", "table.info"), "a CASA table (a measurement set)", "Export it to FITS with CASA."),
)


def foreign_claim(head: FileHead) -> Claim | None:
    """Return what a file or folder is that no reader of hven reads; None when that is not known of it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "stars.csv"
    >>> _ = file.write_bytes(b"%PDF-1.7")
    >>> foreign_claim(FileHead(str(file))).what
    'a PDF document'
    """
    if head.is_folder:
        return foreign_folder(head.path)
    if not head.size:
        return _refused(
            "an empty file", "it has no bytes", "nothing is in it", "Fetch or copy it again, or leave it out."
        )
    raw = head.raw
    for start, what, command in _POINTERS:
        if raw.startswith(start) and head.size < 2000:
            return _refused(what, f"it begins with {start.decode()}", "its content was not fetched", f"Run: {command}")
    if b"/annex/objects/" in raw[:200] and head.size < 2000:
        return _refused("a pointer of git-annex", "its text", "its content was not fetched", "Run: git annex get")
    for start, what, why, hint in _MAGIC:
        if raw.startswith(start) and not (start == b"root" and not _is_root(raw)):
            return _refused(what, f"it begins with {start!r}", why, hint)
    if raw[257:262] == b"ustar":
        return _refused("a tar archive", "its header", "hven does not expand it", "Expand it, and ingest its files.")
    if raw[:1] == b"\x80" and raw[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and _end(head) == b".":
        return _refused(
            "a Python pickle", "its opcodes", "reading one runs whatever is in it, so hven reads none",
            "Write the object it holds as Parquet, FITS or NPZ.",
        )  # fmt: skip
    if raw[:2] == b"PK":
        return _zip(head)
    return foreign_text(head)


def foreign_folder(path: str) -> Claim | None:
    """Return what a folder is that no reader of hven reads: a Zarr store, a lake; None when it is none of them."""
    folder = Path(path)
    if any(folder.glob("metadata/*.metadata.json")):
        return _refused(
            "an Iceberg table", "metadata/*.metadata.json", "hven has no reader of it yet", "Export it to Parquet."
        )
    for inside, what, hint in _FOLDERS:
        if all((folder / name).exists() for name in inside):
            return _refused(what, f"it holds {', '.join(inside)}", "it is not read as survey files", hint)
    return None


def _refused(what: str, why: str, refusal: str, hint: str) -> Claim:
    return Claim(what, "survey", why, refusal, hint)


def _is_root(raw: bytes) -> bool:
    """Whether a file that begins with "root" is one of ROOT: a version and pointers follow, not text."""
    return b"\x00" in raw[4:12]


def _end(head: FileHead) -> bytes:
    with Path(head.path).open("rb") as file:
        file.seek(-1, 2)
        return file.read(1)


def _zip(head: FileHead) -> Claim | None:
    names = archive_members(head.path)
    if names is None:
        if head.path.lower().endswith((".xlsx", ".xlsm", ".ods", ".docx", ".pptx")):
            return _refused(
                "an office document", "a zip with office parts", "hven has no reader of it", "Save its table as CSV."
            )
        return None
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return _refused(
        f"a zip archive of {len(names)} files", f"it holds {shown}" if names else "it holds none",
        "one file is read at a time",
        f"Ingest the archive whole, or a file of it: '{head.path}{MEMBER}{names[0]}'." if names else "Leave it out.",
    )  # fmt: skip
