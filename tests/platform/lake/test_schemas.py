import pickle

import polars as pl
import pytest

import hven
from hven import errors
from hven.lake.schemas import Schemas, forget_schemas
from hven.lake.source import schema_key
from hven.lake.store import Store
from hven.schema import Column, Schema


@pytest.fixture
def described(lake):
    frame = pl.DataFrame({"object_id": [1], "v": [2.0]})
    with lake.transaction() as tx:
        for unit in ("km/s", "m/s", "km s-1"):
            column = Column("v", "float64", unit=unit, description=f"Speed in {unit}")
            tx.write(f"in_{unit.replace('/', '_').replace(' ', '_')}", frame, schema=Schema((column,)))
    forget_schemas()
    return lake


def digests(lake):
    return [lake.catalog[name].schema for name in lake]


def test_a_search_finds_units_and_descriptions_in_the_lake(described):
    catalog = described.catalog
    assert catalog.search(unit="km/s").names == ("in_km_s", "in_km_s-1")
    assert catalog.search(column="v", unit="m/s").names == ("in_m_s",)
    assert catalog.search("speed").names == ("in_km_s", "in_km_s-1", "in_m_s")
    assert described.at(0).catalog.search("speed").names == ()


@pytest.mark.parametrize("is_local", [True, False])
def test_schemas_are_read_once_one_by_one_or_many_at_once(described, monkeypatch, is_local):
    wanted = digests(described)
    monkeypatch.setattr(Store, "is_local", property(lambda store: is_local))
    found = Schemas(described.store)(wanted)
    assert list(found) == wanted
    assert all(schema.digest == digest for digest, schema in found.items())
    described.store.delete(*map(schema_key, wanted))
    assert Schemas(described.store)(wanted) == found


def test_a_damaged_schema_is_told_by_its_file_and_only_when_it_is_needed(described):
    digest = described.catalog["in_m_s"].schema
    described.store.put(schema_key(digest), b"{")
    assert described.catalog.search(unit="m/s").names == ("in_m_s",)
    with pytest.raises(errors.LakeFormatError, match=digest):
        described.catalog.search(column="v", unit="m/s")


def test_a_catalog_and_what_was_found_travel(described):
    found = described.catalog.search(column="v", unit="m/s")
    there = pickle.loads(pickle.dumps(found))
    assert there == found
    assert there.searched["in_m_s"] == described.catalog["in_m_s"]
    catalog = pickle.loads(pickle.dumps(hven.open(described.url).catalog))
    assert catalog.search(column="v", unit="m/s").names == ("in_m_s",)
