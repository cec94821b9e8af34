"""A catalog inside a catalog from elsewhere: read by hven, which checks it too."""

from typing import Any, ClassVar

from intake.readers.datatypes import YAMLFile
from intake.readers.readers import BaseReader


class CheckedCatalogReader(BaseReader):  # type: ignore[misc]
    """Reads a catalog file as `hven.open_catalog` does, without trust."""

    implements: ClassVar = {YAMLFile}
    output_instance = "intake.readers.entry:Catalog"

    def _read(self, data: Any, **_: Any) -> Any:
        from hven.catalog.foreign import open_catalog

        return open_catalog(data.url)
