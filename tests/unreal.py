"""A survey that is not there: tables of any size without files, and blocks that are done without being computed."""

import hashlib
import json

import hven
from hven.compute.task import Outcome
from hven.lake import BLOCK_ROWS, StagedTable, WrittenPart
from hven.schema import Schema
from simulated import make_stars

BLOCKS_A_FILE = 16
CELLS = 206
"""HEALPix cells of order 9 on which a block of a survey of 1e9 stars lies."""

_STAR = make_stars(0, 1).select("object_id", "_healpix_29", "feh", doubled="feh")


def write_unreal(lake, name, blocks):
    """Write a table of stars of which only Delta knows: files of 16 blocks each, none of them there."""
    frame = _STAR.drop("doubled")
    rows = BLOCKS_A_FILE * BLOCK_ROWS
    with lake.transaction() as tx:
        staged = StagedTable(lake.store, tx.new_path(name, "table"))
        files = [
            unreal_file(f"segment-00000000-1a2b3c4d/part-{number:05d}-0123456789.parquet", number, rows, frame.columns)
            for number in range(blocks // BLOCKS_A_FILE)
        ]
        tx.publish_table(name, staged, files, frame.head(0), Schema.of_frame(frame))


def unreal_file(path, number, rows, columns):
    """Return a file that is not there: its name, and what Delta would know of it."""
    low, high = dict.fromkeys(columns, number * 10**12), dict.fromkeys(columns, number * 10**12 + 10**11)
    told = {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": dict.fromkeys(columns, 0)}
    return WrittenPart(path, rows, rows * 20, json.dumps(told))


@hven.analysis(stars=hven.Table(feh="dex"), produces={"doubled": "dex"}, per_object=True)
def unreal(stars):
    """Twice the metallicity."""
    raise AssertionError("nobody computes it")


def done_at_once(task, blocks, *_, cells=CELLS):
    """Return what a worker tells of blocks that it computed, though it did not; only the first one is written."""
    return [_outcome(block, place, cells) for block, place in blocks]


def _outcome(block, place, cells):
    frame = _STAR.drop("feh")
    written = unreal_file(f"{place.segment}/{place.key}-0123456789ab.parquet", block.index, block.rows, frame.columns)
    if block.index == 0:
        written = place.staged[""].write(place.segment, place.key, frame)
    digest = hashlib.sha256(block.key.encode()).hexdigest()
    return Outcome(
        block.index,
        block.key,
        rows_in=block.rows,
        rows_out=block.rows,
        digest=digest,
        written={"": written},
        schemas={"": Schema.of_frame(frame).to_json().decode()},
        footprint=(9, tuple(range(block.index * cells, (block.index + 1) * cells))),
        seconds=0.001,
    )
