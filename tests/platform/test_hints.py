"""Every next step that an error names is there: commands, options, functions, methods, arguments, modes."""

import ast
import importlib
import inspect
import pkgutil
import re
import typing
from pathlib import Path

import pytest

import hven
from hven.lake import DatasetHandle, Lake, Transaction

ROOT = Path(__file__).parents[2]
CODE = [path for folder in ("platform/hven", "plugins/hven_plugins") for path in sorted((ROOT / folder).rglob("*.py"))]
PROSE = {"and", "as", "can", "cannot", "does", "has", "is", "keeps", "knows", "needs", "reads", "that", "to", "writes"}
"""What may follow the word hven in a hint without being a verb of the command."""


def literal(node):
    """The text of a node, with X where a value is put in; empty for what is no text."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
    return ""


def texts_in(node):
    """Every text of an expression, f-strings as one."""
    if isinstance(node, ast.JoinedStr):
        yield literal(node)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from texts_in(part.value)
    elif isinstance(node, ast.Constant):
        yield literal(node)
    else:
        for child in ast.iter_child_nodes(node):
            yield from texts_in(child)


def is_hint(name):
    return any(word in name.lower() for word in ("hint", "advice"))


def hints_of(tree):
    """Every text that may end as a hint: arguments and names called so, and what `did_you_mean` says otherwise."""
    for node in ast.walk(tree):
        names = [node.arg or ""] if isinstance(node, ast.keyword) else []
        names += [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign) else []
        if any(map(is_hint, names)):
            yield from texts_in(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "did_you_mean":
            yield from (text for argument in node.args[2:] for text in texts_in(argument))
        elif isinstance(node, ast.FunctionDef) and is_hint(node.name):
            yield from (text for line in node.body[1:] for text in texts_in(line))


def all_hints():
    return sorted(
        {
            (str(path.relative_to(ROOT)), " ".join(text.split()))
            for path in CODE
            for text in hints_of(ast.parse(path.read_text()))
            if text.strip()
        }
    )


def shown_commands():
    """Commands in quotes in any other text of the code: what people are shown to type."""
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            for quoted in re.findall(r"['`]hven ([a-z][^'`]*)['`]", literal(node)):
                yield str(path.relative_to(ROOT)), f"hven {quoted}"


def verbs():
    import typer.main

    from hven.cli import app

    def below(group, path):
        for name, verb in group.commands.items():
            yield " ".join((*path, name)), verb
            if hasattr(verb, "commands"):
                yield from below(verb, (*path, name))

    return dict(below(typer.main.get_command(app), ()))


VERBS = verbs()


def options_of(verb):
    return {option for parameter in VERBS[verb].params for option in parameter.opts + parameter.secondary_opts}


GENERAL = {"--traceback", "--disable-plugin", "--enable-plugin", "--version", "--help"}
OPTIONS = GENERAL | {option for verb in VERBS for option in options_of(verb)}


def modes():
    from hven.cli.data import ingest

    return set(typing.get_args(typing.get_type_hints(ingest)["mode"]))


EXAMPLES = {"column", "data_columns", "extinction", "feh", "format", "object_id", "stars"}
"""Names that a hint makes up, and those of other packages."""


def arguments():
    """Every name that may stand before an equals sign: of public functions, methods, options of readers."""
    from hven.catalog import Catalog
    from hven.plugins import plugins

    modules = ["hven", "hven.mocks", "hven.sky", "hven.testing"]
    modules += [f"hven.methods.{found.name}" for found in pkgutil.iter_modules(hven.methods.__path__)]
    homes = [importlib.import_module(name) for name in modules if "._" not in name]
    public = [getattr(home, name) for home in homes for name in getattr(home, "__all__", vars(home)) if name[0] != "_"]
    classes = [Lake, DatasetHandle, Transaction, Catalog, *(one for one in public if inspect.isclass(one))]
    called = [one for one in public if callable(one)]
    called += [member for one in classes for name, member in vars(one).items() if callable(member) and name[0] != "_"]
    called += [one.function for one in plugins().analyses.values()]
    names = set(EXAMPLES)
    for one in called:
        try:
            names |= set(inspect.signature(one).parameters)
        except (ValueError, TypeError):
            continue
    for one in (*plugins().readers.values(), *plugins().exporters.values()):
        names |= set(one.options.model_fields)
    return names


def wrong_in(text):
    """What a text names that is not there."""
    for words in re.findall(r"(?<![\w./-])hven((?: [a-z][a-z-]*)+)", text):
        first, *rest = words.split()
        if first in PROSE:
            continue
        if first not in VERBS:
            yield f"the verb 'hven {first}'"
        elif hasattr(VERBS[first], "commands") and rest and f"{first} {rest[0]}" not in VERBS:
            is_group_only = not getattr(VERBS[first], "invoke_without_command", False)
            if is_group_only:
                yield f"the verb 'hven {first} {rest[0]}'"
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text):
        if option not in OPTIONS:
            yield f"the option {option}"
    for command in re.findall(r"['`]hven ([a-z][^'`]*)['`]", text):
        words = command.split()
        verb = next((v for v in (" ".join(words[:2]), words[0]) if v in VERBS), None)
        if verb is not None:
            for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(words[1:])):
                if option not in options_of(verb) | GENERAL:
                    yield f"the option {option} of 'hven {verb}'"
    for name in re.findall(r"(?<![\w.])hven((?:\.[A-Za-z_]+)+)", text):
        if name in {".json", ".readthedocs", ".plugins"}:
            continue
        found = hven
        for part in name[1:].split("."):
            found = getattr(found, part, None)
        if found is None:
            yield f"hven{name}"
    for prefix, kind in (("lake", Lake), ("tx", Transaction)):
        for name in re.findall(rf"(?<![\w.]){prefix}\.([a-z_]+)", text):
            if not hasattr(kind, name):
                yield f"{prefix}.{name}"
    for name in re.findall(r"(?<![\w.\])])\.([a-z_]+)\(", text):
        if not any(hasattr(kind, name) for kind in (Lake, DatasetHandle, Transaction)):
            yield f".{name}()"
    for mode in re.findall(r"(?:--mode |\bmode(?:=| )['\"]?)([a-z]+)", text):
        if mode not in modes():
            yield f"the mode {mode}"


def test_hints_are_found():
    hints = all_hints()
    assert len(hints) > 400
    assert any("hven create PATH" in text for _, text in hints)


def test_every_hint_names_what_is_there():
    wrong = [f"{path}: {what} in {text!r}" for path, text in all_hints() for what in wrong_in(text)]
    assert wrong == []


def test_every_command_that_the_code_shows_is_there():
    wrong = [f"{path}: {what} in {text!r}" for path, text in shown_commands() for what in wrong_in(f"'{text}'")]
    assert wrong == []


def test_every_argument_that_a_hint_names_is_there():
    known = arguments()
    wrong = [
        f"{path}: {name}= in {text!r}"
        for path, text in all_hints()
        for name in re.findall(r"(?<![\w.\-\[{'\"])([a-z_]{3,})=(?![=\s])", re.sub(r"-[a-z]+ \S+", "", text))
        if name not in known
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "Say hven destroy it.",
        "See 'hven published list'.",
        "Give --nonsense.",
        "Write 'hven drop X --dry-run'.",
        "Call hven.nonsense(lake).",
        "Use tx.nonsense().",
        "Open it with .nonsense().",
        "Take mode 'merge'.",
        "With --mode merge.",
    ],
)
def test_what_is_not_there_would_be_found(text):
    assert list(wrong_in(text))


def test_the_modes_of_an_ingest_are_known():
    assert {"create", "append", "replace"} <= modes()
