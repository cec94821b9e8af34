"""How a catalog shows itself: in a terminal of 80 columns, and in a notebook."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hven.catalog import Catalog, Commit, Counts, Entry, Pin
from hven.catalog.listing import as_text, listing
from hven.catalog.sketch import HEIGHT, WIDTH, sketch
from hven.sky import box, cone, moc

VOID = {"br", "hr", "img", "input", "meta", "link"}


def entry(name, **told):
    return Entry(name, "spectra", Pin("delta", f"data/{name}/0a/table", 3), "5" * 64, **told)


def catalog_of(*entries):
    return Catalog(Commit(7, "t", "2026-01-01T00:00:00Z"), {e.name: e for e in entries})


@pytest.fixture
def catalog():
    return catalog_of(
        entry(
            "apogee_dr17_with_a_rather_long_name",
            survey="APOGEE DR17 and Gaia DR3",
            title="Abundances of giants, with <errors> & flags, in the disc and the bulge of the Milky Way",
            counts=Counts(733_901, 1_234_567_890, 3),
            coverage="3/0-300",
            wavelength=(15_100.0, 17_000.0),
            resolution=(22_500.0, 22_500.0),
        ),
        entry("small", coverage="10/7"),
    )


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps texts, tags and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_table_fits_80_columns_and_keeps_whole_what_identifies(catalog):
    lines = repr(catalog).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "catalog 7: 2 datasets"
    text = "\n".join(lines)
    assert "apogee_dr17_with_a_rather_long_name" in text
    assert "733,901" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120, 500])
def test_a_table_is_never_wider_than_its_terminal(catalog, width):
    lines = as_text(listing(catalog.entries.values(), "heading"), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("small" in line for line in lines)


def test_a_wide_terminal_sees_everything(catalog):
    text = as_text(listing(catalog.entries.values()), 500)
    assert catalog["apogee_dr17_with_a_rather_long_name"].title in text
    assert "APOGEE DR17 and Gaia DR3" in text
    assert "39%" in text
    assert "<0.1%" in text


def test_long_catalogs_are_cut_and_say_so():
    catalog = catalog_of(*(entry(f"d{n:03d}") for n in range(100)))
    assert len(repr(catalog).splitlines()) < 40
    assert "... and 70 more" in repr(catalog)
    assert "... and 50 more" in catalog._repr_html_()
    assert catalog._repr_html_().count("<tr>") == 51


def test_what_was_found_shows_the_question_and_the_note(catalog):
    found = catalog.search(region="cone(190, 5, 0.001)", kind="cube")
    for text in (" ".join(repr(found).split()), " ".join(Page(found._repr_html_()).texts)):
        assert "0 of 2 datasets of catalog 7: matching(kind='cube')" in text
        assert "No dataset of kind 'cube'" in text
    assert "<table>" not in found._repr_html_()
    assert "0 datasets" in repr(catalog_of())


def test_the_page_is_whole_and_takes_nothing_from_elsewhere(catalog):
    page = Page(catalog._repr_html_())
    assert set(page.tags) <= {
        *("div", "style", "p", "table", "thead", "tbody", "tr", "th", "td", "b", "small"),
        *("svg", "title", "g", "path", "ellipse"),
    }
    assert not any(name in {"src", "href"} or name.startswith("on") for name, _ in page.attributes)
    assert "url(" not in catalog._repr_html_()
    texts = " ".join(page.texts)
    assert ("aria-label", "small covers <0.1% of the sky") in page.attributes
    assert all(words in texts for words in ("with <errors> & flags", "15,100 - 17,000 Å", "R 22,500", "1.2 GB"))


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title></svg><b>"])
def test_text_of_an_entry_is_never_markup(evil):
    told = dict.fromkeys(("survey", "title", "description"), evil)
    page = catalog_of(entry("name", **told, coverage="0/1"), entry(evil, coverage="0/1"))._repr_html_()
    assert "<script" not in page
    assert "<img" not in page
    Page(page)


def test_a_lake_in_a_notebook_shows_its_catalog(small_lake):
    page = Page(small_lake._repr_html_())
    text = " ".join(page.texts)
    assert "<hven lake" in text
    assert "Simulated giants" in text
    assert "svg" in page.tags


CELLS = st.lists(st.integers(0, 12 * 4**4 - 1), min_size=1, max_size=40).map(
    lambda cells: moc(f"4/{','.join(map(str, cells))}").text
)


def drawn(svg):
    """Return the dots that the path of a sketch fills."""
    dots = np.zeros((HEIGHT, WIDTH), int)
    [path] = [e.get("d") for e in ET.fromstring(svg).iter() if e.get("class") == "hven-cells"]
    for x, y, w, h, back in re.findall(r"M(\d+) (\d+)h(\d+)v(\d+)h-(\d+)z", path):
        assert w == back
        dots[int(y) : int(y) + int(h), int(x) : int(x) + int(w)] += 1
    return dots


def area(svg):
    return drawn(svg).sum() / (np.pi / 4 * WIDTH * HEIGHT)


@settings(max_examples=30)
@given(CELLS)
def test_a_sketch_draws_each_dot_once_and_about_as_much_as_is_covered(text):
    dots = drawn(sketch(text))
    assert set(np.unique(dots)) <= {0, 1}
    assert dots.sum() >= 1
    cells = sum(b - a for a, b in moc(text).ranges().tolist()) / (12 * 4**29)
    assert area(sketch(text)) == pytest.approx(cells, abs=0.3 * cells + 0.004)


def test_north_is_up_and_right_ascension_grows_to_the_left():
    north = drawn(sketch(moc_of(box(0, 360, 30, 90))))
    assert north[: HEIGHT // 5].sum() > 0
    assert north[HEIGHT // 2 :].sum() == 0
    east = drawn(sketch(moc_of(cone(90, 0, 10))))
    assert east[:, : WIDTH // 2].sum() == east.sum() > 0
    middle = np.argwhere(drawn(sketch(moc_of(cone(0, 0, 5)))))
    assert np.allclose(middle.mean(axis=0), [(HEIGHT - 1) / 2, (WIDTH - 1) / 2], atol=1)
    seam = drawn(sketch(moc_of(cone(180, 0, 8))))
    assert seam[:, :5].sum() > 0
    assert seam[:, -5:].sum() > 0
    whole = sketch("0/0-11")
    assert area(whole) == pytest.approx(1, abs=0.02)


def test_a_coverage_of_one_tiny_cell_is_seen_and_told():
    svg = sketch("29/12345678901", "a <tiny> field")
    assert drawn(svg).sum() >= 1
    assert ET.fromstring(svg).get("aria-label") == "a <tiny> field"


def test_a_sketch_of_a_busy_sky_is_small():
    cells = np.unique(np.random.default_rng(1).integers(0, 12 * 4**5, 6000))
    assert len(sketch(f"5/{','.join(map(str, cells))}")) < 25_000


def moc_of(region):
    from hven.sky.moc_text import moc_text

    return moc_text(region.ranges(), 7)
