"""Which files of a folder take part in a cross-match."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from hven.compute.crossmatching.files import find_parquet
from hven.errors import UnreadableFileError


def rows(addresses):
    return sorted(pl.read_parquet(list(addresses), glob=False)["source_id"].to_list())


def test_of_a_delta_table_the_files_of_its_log_are_taken(tmp_path):
    path = str(tmp_path / "stars")
    write_deltalake(path, pa.table({"source_id": [1, 2, 3]}))
    DeltaTable(path).delete("source_id = 2")
    write_deltalake(path, pa.table({"source_id": [4]}), mode="append")
    DeltaTable(path).optimize.compact()
    assert rows(find_parquet(path)) == [1, 3, 4]


def test_a_delta_table_with_deletion_vectors_is_refused(tmp_path):
    write_deltalake(str(tmp_path), pa.table({"source_id": [1]}))
    features = '"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]'
    line = f'{{"protocol":{{"minReaderVersion":3,"minWriterVersion":7,{features}}}}}'
    (tmp_path / "_delta_log" / "00000000000000000001.json").write_text(line)
    with pytest.raises(UnreadableFileError, match="delet"):
        find_parquet(str(tmp_path))


def test_hidden_files_of_a_folder_are_not_taken(tmp_path):
    for name in ("a.parquet", ".a.parquet", "_metadata.parquet", ".ipynb_checkpoints/a.parquet", "night/b.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pl.DataFrame({"source_id": [1]}).write_parquet(tmp_path / name)
    assert [Path(address).name for address in find_parquet(str(tmp_path))] == ["a.parquet", "b.parquet"]
