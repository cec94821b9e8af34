"""What there is: entries, catalogs, search; each catalog is an ordinary Intake v2 catalog."""

from hven.catalog.catalog import FORMAT, Catalog, Commit
from hven.catalog.entry import Counts, Entry, Pin

__all__ = ["FORMAT", "Catalog", "Commit", "Counts", "Entry", "Pin"]
