"""What there is: entries, catalogs, search; each catalog is an ordinary Intake v2 catalog."""

from hven.catalog.catalog import FORMAT, Catalog, Commit, commit_of
from hven.catalog.entry import Counts, Entry, Pin
from hven.catalog.foreign import open_catalog
from hven.catalog.found import Found, own_columns, search
from hven.catalog.listing import listing, spans_of
from hven.catalog.matching import Conditions, matching
from hven.catalog.published import Published, published
from hven.catalog.published_entry import PublishedEntry
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
    "Published",
    "PublishedEntry",
    "Query",
    "Searchable",
    "commit_of",
    "listing",
    "matching",
    "open_catalog",
    "own_columns",
    "published",
    "search",
    "spans_of",
]
