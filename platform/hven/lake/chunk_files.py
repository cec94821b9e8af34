"""Chunks of local arrays read from their files: Icechunk says where they lie, and the operating system reads them.

Icechunk hands on a local file in pieces of a few kilobytes, at about 0.4 GB/s, and that is most of the time of
reading spectra; a plain read of the same file takes a tenth of it. Icechunk tells where chunks lie since version 2.
With an older one, and for whatever is not a file here, its own way is taken.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.storage import WrapperStore

if TYPE_CHECKING:
    import icechunk

_NATIVE = 1
_AT_ONCE = 4096

_Place = tuple[Path, int, int]


def with_chunk_files(session: "icechunk.Session", folder: Path | None) -> Any:
    """Return the store of a read-only session, for Zarr; the chunks of a repository in a local folder come from files.

    Parameters
    ----------
    session
        Of a snapshot, which never changes.
    folder
        Of the repository, or None when it is not local.
    """
    store = session.store
    return ChunkFiles(store, folder / "chunks") if folder and hasattr(store, "array_chunk_iterator") else store


class ChunkFiles(WrapperStore[Any]):
    """A store of Icechunk whose chunks are read from the files they lie in."""

    # One chunk after the other through `get`; the wrapped store's own way would pass it by.
    get_ranges: Any = getattr(Store, "get_ranges", None)

    def __init__(self, store: Any, folder: Path) -> None:
        super().__init__(store)
        self._folder = folder
        self._known: dict[str, dict[tuple[int, ...], _Place]] = {}

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        """Return the bytes of a key, or of a part of it, or None; as every store of Zarr does."""
        place = await self._place(key)
        if place is not None:
            path, offset, length = place
            start, stop = _span(byte_range, length)
            content = await asyncio.to_thread(_read, path, offset + start, stop - start)
            # What is not there as told is left to Icechunk, to find it or to say what is wrong.
            if content is not None:
                return prototype.buffer.from_bytes(content)
        return await self._store.get(key, prototype, byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> list[Any]:
        """Return the bytes of several parts of keys."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def _place(self, key: str) -> _Place | None:
        """Return file, offset and length of a chunk; None for what is not a chunk in a file."""
        array, mark, cell = key.rpartition("/c/")
        indices = cell.split("/")
        if not mark or not all(index.isdigit() for index in indices):  # an array may be called 'c' itself
            return None
        if array not in self._known:
            self._known[array] = await self._places(array)
        return self._known[array].get(tuple(map(int, indices)))

    async def _places(self, array: str) -> dict[tuple[int, ...], _Place]:
        found = {}
        async for cells, kinds, ids, offsets, lengths, _ in self._store.array_chunk_iterator(f"/{array}", _AT_ONCE):
            told = zip(cells.tolist(), kinds.tolist(), ids, offsets.tolist(), lengths.tolist(), strict=True)
            for cell, kind, chunk, offset, length in told:
                if kind == _NATIVE:
                    found[tuple(cell)] = (self._folder / chunk, offset, length)
        return found


def _span(part: Any, length: int) -> tuple[int, int]:
    if isinstance(part, RangeByteRequest):
        return part.start, min(part.end, length)
    if isinstance(part, OffsetByteRequest):
        return part.offset, length
    if isinstance(part, SuffixByteRequest):
        return max(length - part.suffix, 0), length
    return 0, length


def _read(path: Path, start: int, count: int) -> bytes | None:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            content = file.read(count)
    except OSError:
        return None
    return content if len(content) == count else None
