"""The sky: HEALPix index, regions, coverage, positions from names."""

from hven.sky.cover import in_ranges
from hven.sky.coverage import common_coverage, coverage, join_coverage
from hven.sky.galactic import from_galactic, to_galactic
from hven.sky.healpix import healpix_29
from hven.sky.margins import padded_ranges
from hven.sky.matching import Pairs, Points, all_within, nearest_within
from hven.sky.meeting import meeting, sky_fraction
from hven.sky.mocs import moc, pixels
from hven.sky.motion import propagate
from hven.sky.names import ra_dec_from_2mass
from hven.sky.nearness import is_near
from hven.sky.neighbourhood import bilinear_weights, neighbours
from hven.sky.polygon import Polygon, polygon
from hven.sky.region_text import parse_region
from hven.sky.regions import Complement, Intersection, Moc, Region, SymmetricDifference, Union, everywhere, nowhere
from hven.sky.shapes import Box, Cone, box, cone

__all__ = [
    "Box",
    "Complement",
    "Cone",
    "Intersection",
    "Moc",
    "Pairs",
    "Points",
    "Polygon",
    "Region",
    "SymmetricDifference",
    "Union",
    "all_within",
    "bilinear_weights",
    "box",
    "common_coverage",
    "cone",
    "coverage",
    "everywhere",
    "from_galactic",
    "healpix_29",
    "in_ranges",
    "is_near",
    "join_coverage",
    "meeting",
    "moc",
    "nearest_within",
    "neighbours",
    "nowhere",
    "padded_ranges",
    "parse_region",
    "pixels",
    "polygon",
    "propagate",
    "ra_dec_from_2mass",
    "sky_fraction",
    "to_galactic",
]
