"""What there is: entries, catalogs, search; each catalog is an ordinary Intake v2 catalog."""

from hven.catalog.catalog import FORMAT, Catalog, Commit
from hven.catalog.entry import Counts, Entry, Pin
from hven.catalog.found import Found, own_columns, search
from hven.catalog.listing import listing
from hven.catalog.matching import Conditions, matching
from hven.catalog.query import Query, Searchable

__all__ = [
    "FORMAT",
    "Catalog",
    "Commit",
    "Conditions",
    "Counts",
    "Entry",
    "Found",
    "Pin",
    "Query",
    "Searchable",
    "listing",
    "matching",
    "own_columns",
    "search",
]
