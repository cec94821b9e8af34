"""The sky: HEALPix index, regions, coverage, positions from names."""

from hven.sky.cover import in_ranges
from hven.sky.coverage import coverage, join_coverage
from hven.sky.healpix import healpix_29
from hven.sky.meeting import meeting, sky_fraction
from hven.sky.names import ra_dec_from_2mass
from hven.sky.neighbourhood import is_near, neighbourhood
from hven.sky.region_text import parse_region
from hven.sky.regions import Box, Cone, Moc, Region, box, cone, moc

__all__ = [
    "Box",
    "Cone",
    "Moc",
    "Region",
    "box",
    "cone",
    "coverage",
    "healpix_29",
    "in_ranges",
    "is_near",
    "join_coverage",
    "meeting",
    "moc",
    "neighbourhood",
    "parse_region",
    "ra_dec_from_2mass",
    "sky_fraction",
]
