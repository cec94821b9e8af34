"""What data looks like: kinds, columns, units, UCDs, and the conventions between tables and Datasets."""

from hven.schema.aliases import ALIASES, Sureness, canonical_name, find_column, means, read_name, same_column
from hven.schema.canonical import CANONICAL, PLAUSIBLE, canonical_column, describe, is_of_several_units
from hven.schema.columns import Column, Schema
from hven.schema.conventions import dataset_to_frame, frame_to_dataset
from hven.schema.fillers import Filler, fillers_of, find_fillers
from hven.schema.kinds import KINDS, Kind
from hven.schema.names import check_name
from hven.schema.note import Note
from hven.schema.quality import Quality, merged_quality, quality_of
from hven.schema.sketches import NumberSketch
from hven.schema.units import conversion_factor, is_same_quantity, parse_unit

__all__ = [
    "ALIASES",
    "CANONICAL",
    "KINDS",
    "PLAUSIBLE",
    "Column",
    "Filler",
    "Kind",
    "Note",
    "NumberSketch",
    "Quality",
    "Schema",
    "Sureness",
    "canonical_column",
    "canonical_name",
    "check_name",
    "conversion_factor",
    "dataset_to_frame",
    "describe",
    "fillers_of",
    "find_column",
    "find_fillers",
    "frame_to_dataset",
    "is_of_several_units",
    "is_same_quantity",
    "means",
    "merged_quality",
    "parse_unit",
    "quality_of",
    "read_name",
    "same_column",
]
