"""Cross-match: the objects of one catalog found in another, by position, block by block."""

from hven.compute.crossmatching.request import LARGEST
from hven.compute.crossmatching.result import BLOCK_ROWS, Crossmatch, crossmatch

__all__ = ["BLOCK_ROWS", "LARGEST", "Crossmatch", "crossmatch"]
