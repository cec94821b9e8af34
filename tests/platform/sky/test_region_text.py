"""Regions as text: operators bind as in Python, and what is wrong is said with its place."""

import re
from pathlib import Path

import pytest

import hven.sky
from hven.errors import RegionError
from hven.sky import box, cone, everywhere, moc, nowhere, parse_region, pixels, polygon

A, B, C, D = (cone(ra, 0, 1) for ra in (1, 2, 3, 4))


def test_operators_bind_as_in_python():
    text = "{0} | {1} & ~{2} ^ {3} - {0} | {1}".format(*(str(shape) for shape in (A, B, C, D)))
    assert parse_region(text) == A | B & ~C ^ D - A | B
    assert parse_region(f"({A} | {B}) & {C}") == (A | B) & C
    assert parse_region(f"{A} - {B} - {C}") == A - B - C
    assert parse_region(f"{A} - ({B} - {C})") == A - (B - C)
    assert parse_region(f"~({A} ^ {B} ^ {C})") == ~(A ^ B ^ C)
    assert parse_region(f"~~~{A}") == ~A


def test_every_shape_has_a_text_that_may_hold_blanks_and_signs():
    assert parse_region(" cone( -10.5 ,+5e-1, 1 ) ") == cone(-10.5, 0.5, 1)
    assert parse_region("box(350,10,-5,5)-cone(0,0,1)") == box(350, 10, -5, 5) - cone(0, 0, 1)
    assert parse_region("polygon(0, 0, 10, 0, 10, 10)") == polygon([(0, 0), (10, 0), (10, 10)])
    assert parse_region("moc(3/7 4/1-2,9)") == moc("3/7 4/1-2,9")
    assert parse_region("pixels(1, 3, 2, order=6)") == pixels([1, 2, 3], order=6)
    assert parse_region("pixels(order=6)") == nowhere() == parse_region("nowhere()") == parse_region("moc()")
    assert parse_region("everywhere( )") == everywhere()


def test_the_reference_shows_texts_that_are_read_and_python_that_makes_the_same():
    page = (Path(__file__).parents[3] / "docs/reference/regions.md").read_text()
    shapes, operators = page.split("## Operators")
    pairs = re.findall(r"^\| `([a-z]+\(.*?\))`.*? \| `([a-z]+\(.*?\))`.*? \|", shapes, re.MULTILINE)
    assert {python.split("(")[0] for python, _ in pairs} == {
        *("cone", "box", "polygon", "moc", "pixels", "everywhere", "nowhere")
    }
    for python, text in pairs:
        assert eval(python, vars(hven.sky)) == parse_region(text)
    examples = re.findall(r"^\| `.*\| `(.*)` \|$", operators.split("## What")[0], re.MULTILINE)
    assert len(examples) == 4
    for text in examples:
        assert parse_region(text) == eval(text, vars(hven.sky))


def test_a_region_nested_deeply_is_read_and_one_nested_without_end_is_refused():
    assert parse_region("(" * 90 + str(A) + ")" * 90) == A
    assert parse_region("~" * 5001 + str(A)) == ~A
    with pytest.raises(RegionError, match="over 100 parentheses"):
        parse_region("(" * 5000 + str(A) + ")" * 5000)


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ("", "a region is missing", 1),
        ("cone(0, 0)", "cone takes ra, dec, radius, not 2 numbers", 1),
        ("box(0, 10, 5)", "box takes ra_min, ra_max, dec_min, dec_max, not 3 numbers", 1),
        ("cone()", "cone takes ra, dec, radius, not 0 numbers", 1),
        ("cone(0, 0, one)", "'one' is not a number", 1),
        ("polygon(0, 0, 10, 0, 10)", "not 5 numbers", 1),
        ("pixels(1, 2)", "order= is missing", 1),
        ("pixels(1, 2.5, order=6)", "'2.5' is not an integer", 1),
        ("pixels(1, order=6, 7)", "one order= comes last", 1),
        ("pixels(1, order=)", "one order= comes last", 1),
        ("everywhere(3)", "everywhere takes nothing, not '3'", 1),
        ("cone(0, 0, 1", "not understood", 1),
        ("cone(0, 0, 1) + cone(1, 1, 1)", "'. cone.1, 1, 1.' is not understood", 15),
        ("cone(0, 0, 1) &", "a region is missing", 16),
        ("cone(0, 0, 1) cone(1, 1, 1)", "'cone' is left over", 15),
        ("(cone(0, 0, 1) cone(1, 1, 1))", "'cone' is left over", 16),
        ("(cone(0, 0, 1)", "a parenthesis is not closed", 1),
        ("cone(0, 0, 1))", "'.' is left over", 14),
        ("| cone(0, 0, 1)", "a region is missing before '.'", 1),
        ("cone(0, 0, 1) & | cone(0, 0, 1)", "a region is missing before '.'", 17),
        ("cone(0, 0, 1) | circle(0, 0, 1)", "there is no region 'circle'", 17),
    ],
)
def test_a_text_that_is_no_region_is_refused_with_its_place(text, what, place):
    with pytest.raises(RegionError, match=what) as refused:
        parse_region(text)
    assert refused.value.code == "bad-region"
    assert f"at character {place}" in refused.value.where
    assert refused.value.hint
    assert refused.value.expected


def test_a_text_opens_a_file_only_when_it_was_typed_here(tmp_path):
    path = tmp_path / "field.txt"
    path.write_text("3/7")
    with pytest.raises(RegionError, match="no file is opened") as refused:
        parse_region(f"moc({path})")
    assert "hven.sky.moc" in refused.value.hint
    with pytest.raises(RegionError, match="no file is opened"):
        parse_region(f"cone(0, 0, 1) & moc({path})")
    assert parse_region(f"moc({path})", files=True) == moc("3/7")


@pytest.mark.parametrize(("name", "near"), [("con", "cone"), ("poligon", "polygon"), ("mocs", "moc"), ("Box", "box")])
def test_a_misspelt_region_is_answered_with_the_nearest(name, near):
    with pytest.raises(RegionError, match=f"Did you mean '{near}'"):
        parse_region(f"{name}(0, 0, 1)")
    with pytest.raises(RegionError, match="There are: cone, box, polygon, moc, pixels, everywhere, nowhere"):
        parse_region("quux(0, 0, 1)")


@pytest.mark.parametrize(
    "text",
    [
        "cone(nan, 0, 1)",
        "cone(0, 0, -1)",
        "cone(0, 0, nan)",
        "cone(0, 0, 181)",
        "cone(0, 91, 1)",
        "cone(0, 0, inf)",
        "box(0, 10, 5, -5)",
        "box(0, 10, -95, 5)",
        "box(nan, 10, 0, 5)",
        "polygon(0, 0, 1, 0)",
        "polygon(0, 0, 1, 1, 1, 0, 0, 1)",
        "polygon()",
        "pixels(12, order=0)",
        "pixels(1, order=30)",
        "moc(3/5-2)",
        "moc(3/99999)",
        "moc(30/1)",
        "moc(5)",
        "moc(three)",
    ],
)
def test_a_malformed_shape_is_refused_with_its_code_a_next_step_and_its_place_among_others(text):
    with pytest.raises(RegionError) as alone:
        parse_region(text)
    assert alone.value.code == "bad-region"
    assert all((alone.value.where, alone.value.expected, alone.value.hint))
    with pytest.raises(RegionError) as among:
        parse_region(f"cone(0, 0, 1) | {text}")
    assert among.value.what == alone.value.what
    assert "at character 17" in among.value.where
