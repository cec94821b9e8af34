"""Text tables that look like something else: rules, separators at the end, numbers with something beside them."""

import pytest

from hven.errors import DataRefusedError, HvenError
from hven_plugins.files import csv


def read(path, text, **options):
    path.write_text(text)
    (batch,) = csv(str(path), **options)
    return batch


def attention(batch):
    return [str(note) for note in batch.notes if note.needs_attention]


@pytest.mark.parametrize("last", ["2.5,", ","])
def test_rows_that_end_with_a_separator_have_no_names_of_rows(tmp_path, last):
    batch = read(tmp_path / "t.csv", f"source_id,teff,logg\n1,5000,2.5,\n2,4000,{last}\n3,4100,3.6,\n")
    assert batch.parts[""].columns == ["source_id", "teff", "logg"]
    assert batch.parts[""]["teff"].to_list() == [5000, 4000, 4100]


def test_names_of_rows_are_still_found(tmp_path):
    batch = read(tmp_path / "t.csv", '"teff","logg"\n"1",5000,2.5\n"2",4000,3.5\n"3",4100,3.6\n')
    assert batch.parts[""].columns == ["row", "teff", "logg"]


RULED = {
    "rst": "==== ==== ====\nname teff logg\n==== ==== ====\nA    5000 2.5\nB    4000 3.5\n==== ==== ====\n",
    "places": "====== ==== ====\nname   teff logg\n====== ==== ====\nHD 1   5000 2.5\nHD 2   4000 3.5\n"
    "HD 3   1    3.5\n====== ==== ====\n",
    "grid": "+------+------+\n| name | teff |\n+------+------+\n| A    | 5000 |\n| B    | 4000 |\n+------+------+\n",
}


@pytest.mark.parametrize(("text", "count"), [(RULED["rst"], 2), (RULED["places"], 3), (RULED["grid"], 2)], ids=RULED)
def test_a_rule_below_the_rows_is_no_row(tmp_path, text, count):
    batch = read(tmp_path / "t.txt", text)
    assert batch.parts[""].height == count
    assert batch.parts[""]["teff"].to_list()[:2] == [5000, 4000]
    assert not attention(batch)


def test_a_rule_between_rows_parts_tables_and_is_refused(tmp_path):
    text = "x | y\n-----\n1 | 2\n3 | 4\n-----\nsome words\n-----\n5 | 6\n7 | 8\n"
    with pytest.raises(HvenError):
        read(tmp_path / "t.txt", text)


@pytest.mark.parametrize("before", [1, 2])
def test_a_row_of_dashes_among_rows_is_a_row_without_values(tmp_path, before):
    rows = [f"{number} 2 3" for number in range(before)]
    batch = read(tmp_path / "t.txt", "\n".join(["id x y", *rows, "-- -- --", "7 8 9"]) + "\n")
    assert batch.parts[""]["id"].to_list() == [*range(before), None, 7]


def test_units_stand_above_a_rule_whatever_stands_between(tmp_path):
    batch = read(tmp_path / "t.tsv", "id\tdist\n-\tpc\nthe id\tits distance\n---\t---\n1\t5\n2\t6\n")
    assert {column.name: column.unit for column in batch.columns}["dist"] == "pc"
    assert batch.parts[""]["dist"].to_list() == [5, 6]


@pytest.mark.parametrize(
    "values",
    [
        ("50%", "45%"),
        ("5000±50", "4000±50"),
        ("50 pc", "45 pc"),
        ("<-2.5", "-1.0", ">0.3"),
        ("1.5:", "1.6", "1.7?", "1.8:"),
        ('"1,234"', "999", '"12,345"'),
        ("0x1F", "0x2"),
        ("1_000", "2_000"),
        ('"10,5"', '"11,5"'),
    ],
)
def test_numbers_with_something_beside_them_stay_text_and_need_attention(tmp_path, values):
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    batch = read(tmp_path / "t.csv", f"id,x\n{rows}")
    assert batch.parts[""]["x"].to_list() == [value.strip('"') for value in values]
    assert any("'x'" in note and "text" in note for note in attention(batch))


@pytest.mark.parametrize(
    "values", [("3C 273", "4C 12"), ("5V", "6V"), ("12:30", "12:31"), ("2020-01-02", "2020-01-03")]
)
def test_names_types_and_dates_are_no_numbers_with_something_beside_them(tmp_path, values):
    rows = "".join(f"{number},{value}\n" for number, value in enumerate(values))
    assert not attention(read(tmp_path / "t.csv", f"id,x\n{rows}"))


def test_minus_signs_of_print_are_minus_signs(tmp_path):
    batch = read(
        tmp_path / "t.csv",
        "id,x,n,name\n1,\N{MINUS SIGN}5.5,\N{MINUS SIGN}3,a\N{MINUS SIGN}b\n2,\N{MINUS SIGN}1e\N{MINUS SIGN}3,4,c\n",
    )
    assert batch.parts[""].rows() == [(1, -5.5, -3, "a\N{MINUS SIGN}b"), (2, -0.001, 4, "c")]


def test_numbers_too_large_for_64_bits_need_attention(tmp_path):
    batch = read(tmp_path / "t.csv", "id,x,y\n1,1e400,inf\n2,2.5,1\n")
    assert batch.parts[""]["x"].to_list() == [float("inf"), 2.5]
    (note,) = attention(batch)
    assert "'x': 1 value too large" in note


def test_points_between_thousands_are_no_decimal_points(tmp_path):
    batch = read(tmp_path / "t.csv", "id;x;mass\n1;10,5;1.234,5\n2;11,5;2.345\n3;12,5;12.345.678,9\n")
    assert batch.parts[""]["x"].to_list() == [10.5, 11.5, 12.5]
    assert batch.parts[""]["mass"].to_list() == ["1.234,5", "2.345", "12.345.678,9"]
    assert any("separators of thousands" in note for note in attention(batch))


@pytest.mark.parametrize("bad", ["01:70:00", "10,5.2", "abc"])
def test_texts_that_are_no_angles_are_refused_by_what_they_are(tmp_path, bad):
    text = f'id,ra,dec\n1,12:34:56.7,-00:30:00\n2,"{bad}",10:00:00\n3,,\n'
    with pytest.raises(DataRefusedError, match=f"such as '{bad}' in row 1"):
        read(tmp_path / "t.csv", text)
    batch = read(tmp_path / "t.csv", text, unplaced="drop")
    assert batch.parts[""].height == 1
    assert any("1 of 3 values are no angle" in note for note in attention(batch))
    assert "2 of 3 rows have no position: left out (unplaced=drop)" in map(str, batch.notes)


def test_decimal_hours_among_hours_and_minutes_are_hours_when_the_unit_says_so(tmp_path):
    batch = read(tmp_path / "t.csv", "id,ra [h],dec\n1,12:30:00,5\n2,12.5,6\n")
    assert batch.parts[""]["ra"].to_list() == [187.5, 187.5]
    batch = read(tmp_path / "t.csv", "id,ra,dec\n1,12:30:00,5\n2,12.5,6\n")
    assert batch.parts[""]["ra"].to_list() == [187.5, 12.5]
    assert any("plain numbers among hours" in note for note in attention(batch))


def test_hours_and_minutes_go_before_galactic_coordinates_of_few_digits(tmp_path):
    batch = read(tmp_path / "t.csv", "id,GLON,GLAT,RA,DEC\n1,0.5,12.5,12:00:00,-30:00:00\n2,4,-5,13:00:00,20:00:00\n")
    assert batch.parts[""]["RA"].to_list() == [180.0, 195.0]
    batch = read(tmp_path / "t.csv", "id,GLON,GLAT,RA,DEC\n1,0.5,12.5,seen,yes\n2,4,-5,not,no\n")
    assert any("converted from galactic" in str(note) for note in batch.notes)


def test_lines_that_begin_as_comments_and_go_on_as_rows_need_attention(tmp_path):
    text = "# made in May\nname,x\na,1\n#b,2\n# the end\nc,3\n"
    batch = read(tmp_path / "t.csv", text)
    assert batch.parts[""].rows() == [("a", 1), ("c", 3)]
    (note,) = attention(batch)
    assert "1 lines among the rows begin with #" in note
    kept = read(tmp_path / "u.csv", text.replace("# made in May\n", "").replace("# the end\n", ""), comment="")
    assert kept.parts[""].rows() == [("a", 1), ("#b", 2), ("c", 3)]
    assert not attention(read(tmp_path / "v.csv", "name,x\na,1\n# some, words\nc,3\n"))


def test_an_empty_option_of_a_command_line_is_an_empty_text():
    assert csv.parse_texts({"comment": "", "quote": "none"}) | {} == {
        **csv.parse_texts({}), "comment": "", "quote": None,
    }  # fmt: skip


def test_names_over_several_lines_in_quotes_are_names(tmp_path):
    batch = read(tmp_path / "t.csv", 'id,"ra\n(deg)","dec\n(deg)"\n1,10.5,20.5\n2,11,22\n')
    assert batch.parts[""].rows() == [(1, 10.5, 20.5), (2, 11.0, 22.0)]


def test_what_excel_is_told_of_the_separator_is_heard(tmp_path):
    batch = read(tmp_path / "t.csv", "sep=;\nid;ra;dec\n1;10,5;20,5\n2;11,5;21,5\n")
    assert batch.parts[""].rows() == [(1, 10.5, 20.5), (2, 11.5, 21.5)]


@pytest.mark.parametrize(
    ("head", "names", "units"),
    [
        ("Star,Gaia,Gaia,Spec\nid,ra,dec,teff", ["id", "ra", "dec", "teff"], {}),
        ("id,x,y,z\n,counts/fib,magg,foo", ["id", "x", "y", "z"], {"x": "counts/fib", "y": "magg", "z": "foo"}),
    ],
)
def test_a_second_line_of_words_above_numbers_is_no_row(tmp_path, head, names, units):
    rows = [(1, 10.5, 20.5, 5000), (2, 11.5, 21.5, 5100), (3, 12.5, 22.5, 5200)]
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    batch = read(tmp_path / "t.csv", f"{head}\n{text}")
    assert batch.parts[""].columns == names
    assert batch.parts[""].rows() == rows
    assert {column.name: column.unit for column in batch.columns if column.unit} == units


@pytest.mark.parametrize("rows", [("[1. 2.]", "[ 3.  4.5 ]"), ('"[1.\n 2.]"', "[3. nan]")])
def test_vectors_as_numpy_prints_them_are_vectors(tmp_path, rows):
    batch = read(tmp_path / "t.csv", f"id,v\n1,{rows[0]}\n2,{rows[1]}\n")
    assert batch.parts[""]["v"].arr.get(0).to_list() == [1, 3]
    short = read(tmp_path / "u.csv", "id,v\n1,[1. 2. ... 5.]\n2,[3. 4. ... 7.]\n")
    assert short.parts[""]["v"].to_list() == ["[1. 2. ... 5.]", "[3. 4. ... 7.]"]
    assert any("shortened" in note for note in attention(short))
