"""Where data rests: the lake, its transactions, tables, arrays and releases."""

from hven.lake.compaction import Compacted
from hven.lake.growth import GrowingArrays, GrowingTable, grow, settle
from hven.lake.handle import DatasetHandle, Version
from hven.lake.holds import Hold, hold
from hven.lake.lake import Lake, create, open  # noqa: A004
from hven.lake.parts import BLOCK_ROWS, FILE, HIDDEN, INPUT, Block, Part
from hven.lake.repairing import repair
from hven.lake.source import Source
from hven.lake.sql_text import sql_expression
from hven.lake.staging import StagedArrays, StagedTable
from hven.lake.tables import WrittenPart, new_segment
from hven.lake.transaction import Transaction
from hven.lake.verifying import Fault, verify
from hven.lake.where import check_columns, parse_column, parse_where, where_text
from hven.lake.where_sql import where_sql

__all__ = [
    "BLOCK_ROWS",
    "FILE",
    "HIDDEN",
    "INPUT",
    "Block",
    "Compacted",
    "DatasetHandle",
    "Fault",
    "GrowingArrays",
    "GrowingTable",
    "Hold",
    "Lake",
    "Part",
    "Source",
    "StagedArrays",
    "StagedTable",
    "Transaction",
    "Version",
    "WrittenPart",
    "check_columns",
    "create",
    "grow",
    "hold",
    "new_segment",
    "open",
    "parse_column",
    "parse_where",
    "repair",
    "settle",
    "sql_expression",
    "verify",
    "where_sql",
    "where_text",
]
