"""What holds for the repository as a whole: nothing undocumented, untested, heavy, too long or tied to one machine."""

import ast
import importlib
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hven
from hven import errors

ROOT = Path(__file__).parents[2]
PACKAGES = ("platform/hven", "plugins/hven_plugins")
HEAVY = {
    *("apscheduler", "astropy", "bokeh", "cdshealpix", "dask", "deltalake", "distributed", "icechunk", "intake", "jax"),
    *("jinja2", "matplotlib", "mocpy", "numpy", "obstore", "pandas", "polars", "pyarrow", "pydantic", "scipy"),
    *("xarray", "zarr"),
}
PUBLIC_FLOORS = {"errors", "methods", "mocks", "sky", "testing"}


def texts(*folders, ending=".py"):
    return {path: path.read_text() for folder in folders for path in sorted((ROOT / folder).rglob(f"*{ending}"))}


def committed():
    """Every text file that git keeps, or would if it were added now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    for path in paths:
        if path.is_file():
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


def error_classes(kind=errors.HvenError):
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == "hven.errors":
            yield from error_classes(below)


def public_names(module):
    return getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])


def all_tests():
    return "\n".join(texts("tests").values())


def test_error_codes_are_kebab_case_and_no_two_are_equal():
    codes = [kind.code for kind in error_classes()]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("kind", list(error_classes()), ids=lambda kind: kind.code)
def test_every_error_code_has_a_line_in_the_docs(kind):
    assert f"| `{kind.code}` | `{kind.__name__}` |" in (ROOT / "docs/reference/errors.md").read_text()


@pytest.mark.parametrize("kind", list(error_classes()), ids=lambda kind: kind.code)
def test_every_error_code_has_a_test(kind):
    said = all_tests()
    is_tested = kind is errors.HvenError or kind.__name__ in said or kind.code in said
    assert is_tested, f"no test names {kind.__name__} or {kind.code}"


def verbs(group=None, path=()):
    """Every verb of the command with its full name."""
    import typer.main

    from hven.cli import app

    group = typer.main.get_command(app) if group is None else group
    for name, verb in group.commands.items():
        yield (*path, name), verb
        if hasattr(verb, "commands"):
            yield from verbs(verb, (*path, name))


def test_every_verb_has_help_with_an_example_a_test_and_a_line_in_the_docs():
    page = (ROOT / "docs/reference/cli.md").read_text()
    said = all_tests()
    for path, verb in verbs():
        name = " ".join(path)
        if not hasattr(verb, "commands") or getattr(verb, "invoke_without_command", False):
            assert f"Example: `hven {name}" in verb.help, f"the help of 'hven {name}' has no example"
            assert f"| `hven {name}` |" in page, f"'hven {name}' has no line in docs/reference/cli.md"
            assert re.search(rf"""["']{name}\b""", said), f"'hven {name}' has no test"


def test_every_verb_shows_its_help(command):
    for path, _ in verbs():
        said = command(f"{' '.join(path)} --help")
        assert said.status == 0
        assert "Usage" in said.out


def hooks():
    from hven.plugins import hookspecs

    return [name for name in vars(hookspecs) if name.startswith("hven_")]


def hook_gaps(named, page, tests, users):
    """What is missing of hooks: a line on the page, a test that implements or calls it, a user."""
    for hook in named:
        if f"| `{hook}` |" not in page:
            yield f"{hook} has no line in docs/reference/hooks.md"
        if not re.search(rf"\bdef {hook}\(|[\"']{hook}[\"']", tests):
            yield f"{hook} has no test"
        if f"def {hook}(" not in users:
            yield f"{hook} has no user among the built-in plugins"


def test_every_hook_has_a_test_a_line_in_the_docs_and_a_user_among_the_built_in_plugins():
    page = (ROOT / "docs/reference/hooks.md").read_text()
    users = "\n".join(texts("plugins", "platform/hven/monitor").values())
    assert hooks()
    assert list(hook_gaps(hooks(), page, all_tests(), users)) == []


def test_a_hook_without_test_docs_or_user_would_be_told():
    right = "| `hven_x` |", "def hven_x(run): ...", "def hven_x(run): ..."
    assert list(hook_gaps(["hven_x"], *right)) == []
    for left_out, told in enumerate(["no line", "no test", "no user"]):
        gap = [text if n != left_out else "a word on hven_x, and hven_xy()" for n, text in enumerate(right)]
        (only,) = hook_gaps(["hven_x"], *gap)
        assert told in only


def test_every_setting_has_a_test_and_a_line_in_the_docs():
    settings = set()
    for text in (*texts(*PACKAGES).values(), (ROOT / "Makefile").read_text()):
        settings |= set(re.findall(r"\bHVEN_[A-Z_]+[A-Z]\b", text)) - {"HVEN_API"}
    page = (ROOT / "docs/reference/settings.md").read_text()
    assert settings
    for setting in settings:
        assert f"| `{setting}` |" in page, f"{setting} has no line in docs/reference/settings.md"
        assert setting in all_tests(), f"{setting} has no test"


def packages():
    for name in ("hven", "hven_plugins"):
        package = importlib.import_module(name)
        yield name
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if found.ispkg:
                yield found.name


@pytest.mark.parametrize("name", list(packages()))
def test_what_a_package_lists_as_public_is_what_it_hands_on(name):
    package = importlib.import_module(name)
    listed = getattr(package, "__all__", [])
    assert len(listed) == len(set(listed))
    for public in listed:
        assert getattr(package, public) is not None
    tree = ast.parse(Path(package.__file__).read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(name)
        for alias in node.names
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    handed_on = {public for public in imported - used if not public.startswith("_")}
    assert handed_on <= set(listed), "imported into the package's __init__, but not in its __all__"


def test_every_public_name_of_the_root_is_the_one_of_its_floor():
    for name, home in hven._HOMES.items():
        assert getattr(hven, name) is getattr(importlib.import_module(home), name)
        assert name in public_names(importlib.import_module(home))
    assert set(hven.__all__) >= set(hven._HOMES)


def loaded_by(code):
    """Names of the modules that a fresh Python has loaded after `code`."""
    told = "import sys; print('\\n'.join(['-- modules', *sys.modules]))"
    ended = subprocess.run([sys.executable, "-c", f"{code}\n{told}"], capture_output=True, text=True, check=True)
    return set(ended.stdout.split("-- modules\n")[1].split())


def test_importing_hven_loads_nothing_heavy():
    loaded = loaded_by("import hven")
    assert not HEAVY & loaded
    assert len(loaded - loaded_by("")) < 60


def test_asking_the_command_for_help_loads_nothing_heavy():
    code = "from hven.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    loaded = loaded_by(code)
    assert not HEAVY & loaded
    assert len(loaded - loaded_by("")) < 500


def test_the_list_of_analyses_loads_no_numerical_engine():
    loaded = loaded_by("import hven.plugins\nassert hven.plugins.plugins().analyses")
    assert not {"bokeh", "dask.array", "distributed", "equinox", "jax", "matplotlib", "mocpy", "optax"} & loaded


def test_no_file_is_longer_than_600_lines():
    long = {
        str(path.relative_to(ROOT)): text.count("\n")
        for path, text in committed()
        if path.suffix in {".py", ".md", ".sh", ".toml"} and text.count("\n") > 600
    }
    assert long == {}


def test_nothing_committed_names_a_path_of_one_machine():
    places = re.compile(r"(?<![\w.{])/(?:root|home/\w+|Users/\w+|work|opt)/\w|/tmp/(?:v3|bash)")
    found = {
        str(path.relative_to(ROOT)): places.search(text)[0]
        for path, text in committed()
        if places.search(text) and path != Path(__file__)
    }
    assert found == {}


def test_constraints_hold_versions_only_and_cover_every_dependency():
    line = re.compile(r'([a-z0-9][a-z0-9.-]*)==[0-9][\w.]*( ; python_version (<|>=) "3\.12")?')
    lines = [text for text in (ROOT / "constraints.txt").read_text().splitlines() if not text.startswith("#")]
    assert [text for text in lines if not line.fullmatch(text)] == []
    pinned = {line.fullmatch(text)[1] for text in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [
        project["dependencies"],
        *(project["optional-dependencies"][e] for e in ("science", "demo", "dev", "docs")),
    ]
    wanted = {re.match(r"[A-Za-z0-9_.-]+", text)[0].lower() for group in groups for text in group}
    assert wanted - {"hven"} <= pinned


def test_catalogs_that_ship_are_valid_json():
    for path, text in texts("catalogs", ending=".json").items():
        assert json.loads(text)["version"] == 2, path


def is_public(name):
    """Whether each part of a dotted name is listed by the one before it, and the floor is a public one."""
    parts = name.split(".")
    homes = [".".join(parts[:depth]) for depth in range(1, len(parts))]
    listed = all(
        part in public_names(importlib.import_module(home)) for home, part in zip(homes, parts[1:], strict=True)
    )
    return listed and (len(parts) < 3 or parts[1] in PUBLIC_FLOORS)


def imported_names(text):
    """Every name that a module imports, in full: ``hven.sky.cone`` for ``from hven.sky import cone``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_plugins_import_public_names_only():
    for path, text in texts("plugins").items():
        for name in imported_names(text):
            if name.split(".")[0] == "hven":
                assert is_public(name), f"{path.relative_to(ROOT)}: {name} is not public"


def test_continuous_integration_runs_lint_and_test_and_nothing_else():
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make lint", "make test"]


def test_the_five_words_are_targets_of_make():
    text = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{word}:", text, re.MULTILINE) for word in ("demo", "test", "lint", "docs", "bench"))


def test_the_python_that_is_chosen_by_name_has_to_be_one(tmp_path):
    chosen = {"HVEN_PYTHON": str(tmp_path / "python3"), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run([ROOT / "tools/newest-python"], env=chosen, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "HVEN_PYTHON" in ended.stderr


def test_the_newest_python_found_is_one_that_starts():
    ended = subprocess.run([ROOT / "tools/newest-python"], capture_output=True, text=True, check=True)
    version = subprocess.run([ended.stdout.strip(), "--version"], capture_output=True, text=True, check=True).stdout
    assert tuple(map(int, version.split()[1].split(".")[:2])) >= (3, 11)
