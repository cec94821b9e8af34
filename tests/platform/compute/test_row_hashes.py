"""Hashes of rows are equal where all values are, and follow the rows wherever they go."""

import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from hven.compute.ledger import Line, ledger_of, lines_of, read_ledger, same_rows, write_ledger
from hven.compute.row_hashes import row_hashes
from hven.lake import Block, Part
from hven.schema.conventions import STRING

COUNT = 200


def make(seed=0):
    rng = np.random.default_rng(seed)
    names = np.array([None if i % 9 == 0 else "x" * (i % 7) + str(i % 50) for i in range(COUNT)], dtype=STRING)
    return xr.Dataset(
        {
            "feh": ("object", rng.normal(size=COUNT)),
            "visits": ("object", rng.integers(0, 3, COUNT).astype("i2")),
            "good": ("object", rng.random(COUNT) < 0.5),
            "name": ("object", names),
            "flux": (("object", "wavelength"), rng.normal(size=(COUNT, 7)).astype("f4")),
            "wavelength": ("wavelength", np.linspace(4000, 5000, 7)),
        }
    )


@given(seed=st.integers(0, 2**31))
def test_hashes_follow_the_rows_in_any_order_and_any_cut(seed):
    data = make()
    hashes = row_hashes({"stars": data}, COUNT)
    order = np.random.default_rng(seed).permutation(COUNT)[: seed % COUNT + 1]
    assert (row_hashes({"stars": data.isel(object=order)}, len(order)) == hashes[order]).all()


@given(
    row=st.integers(0, COUNT - 1), key=st.sampled_from(["feh", "visits", "good", "flux", "name"]), at=st.integers(0, 6)
)
def test_one_changed_value_changes_the_hash_of_its_row_and_no_other(row, key, at):
    data, changed = make(), make().copy(deep=True)
    place = (row, at) if key == "flux" else row
    values = changed[key].values
    if key == "name":
        values[place] = "another"
    elif key == "good":
        values[place] = not values[place]
    else:
        values[place] += 1
    differs = row_hashes({"stars": data}, COUNT) != row_hashes({"stars": changed}, COUNT)
    assert np.flatnonzero(differs).tolist() == [row]


def test_names_types_shared_values_places_and_salt_count():
    data = make()
    hashes = row_hashes({"stars": data}, COUNT)
    assert len(set(hashes.tolist())) == COUNT
    others = [
        ({"other": data}, ""),
        ({"stars": data.rename(feh="mh")}, ""),
        ({"stars": data.assign(feh=data.feh.astype("f4"))}, ""),
        ({"stars": data.assign(wavelength=data.wavelength + 1)}, ""),
        ({"stars": data.isel(wavelength=[1, 0, 2, 3, 4, 5, 6]).assign(wavelength=data.wavelength)}, ""),
        ({"stars": data}, "salt"),
        ({"stars": data, "more": data[["feh"]]}, ""),
    ]
    for inputs, salt in others:
        assert not (row_hashes(inputs, COUNT, salt) == hashes).any()
    swapped = data.rename(feh="x", flux="y").rename(x="feh", y="flux")
    assert (row_hashes({"stars": swapped}, COUNT) == hashes).all()


def test_null_and_empty_text_differ():
    texts = np.array([None, "", "a", "a\x00", "\x00"], dtype=STRING)
    hashes = row_hashes({"s": xr.Dataset({"name": ("object", texts[:4])})}, 4)
    assert len(set(hashes.tolist())) == 4


def test_a_ledger_comes_back_as_it_was_and_finds_the_same_rows(lake):
    part = Part("segment-0/part-0.parquet", "segment-0", 300)
    lines = [
        Line(part.path, 0, 100, "a" * 64, 100, 90, ("x", "y"), (7, (1, 2, 3))),
        Line(part.path, 100, 200, "", 0, 0),
    ]
    write_ledger(lake.store, "runs/x/ledger.parquet", ledger_of(lines))
    back = read_ledger(lake.store, "runs/x/ledger.parquet")
    assert lines_of(back) == lines
    blocks = [Block(0, part, 100, 200), Block(1, part, 0, 100), Block(2, part, 0, 99), Block(3, part, 200, 300)]
    assert same_rows(back, blocks).tolist() == [1, 0, -1, -1]
    assert read_ledger(lake.store, "runs/y/ledger.parquet") is None
