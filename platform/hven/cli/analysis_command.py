"""Verbs that take an analysis: its parameters are options of theirs (``--bins 10``), with help.

``hven run --help`` knows no analysis and stays quick; ``hven run metallicity_gradients --help`` looks it up.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from hven.cli.output import print_table, print_text
from hven.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from hven.plugins import Analysis

_OPTIONS, _WORDS = "hven.parameter-options", "hven.words"


class AnalysisCommand(TyperCommand):
    """A verb whose unknown options are parameters of the analysis that it is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options apart that are none of the verb's own; they wait until the analysis is known."""
        known = {text: _takes_value(param) for param in self.params for text in (*param.opts, *param.secondary_opts)}
        known |= dict.fromkeys(ctx.help_option_names, False)
        own, others = _apart(args, known)
        ctx.meta[_OPTIONS], ctx.meta[_WORDS] = others, list(_words(own, known))
        parsed: list[str] = super().parse_args(ctx, own)
        return parsed

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help of the verb, and that of the parameters of the analysis that is named."""
        super().format_help(ctx, formatter)
        from hven.plugins import plugins

        for word in ctx.meta.get(_WORDS, ()):
            if word in plugins().analyses:
                _print_parameters(plugins().analyses[word])


def parameter_texts(context: typer.Context, analysis: "Analysis", texts: dict[str, str]) -> dict[str, str]:
    """Return the parameters that the command line gives as ``-p bins=10`` (in `texts`) or as ``--bins 10``.

    Raises
    ------
    ParameterError
        For an option that is neither the verb's nor a parameter, or comes without a value, or twice.
    """
    found = dict(texts)
    for option, value in context.meta.get(_OPTIONS, ()):
        name = option.removeprefix("--").replace("-", "_")
        fields = analysis.parameters.model_fields
        if name not in fields:
            options = [*(f"--{field.replace('_', '-')}" for field in fields), *_own_options(context)]
            raise ParameterError(
                f"{option} is neither an option of this verb nor a parameter of {analysis.name!r}",
                hint=did_you_mean(option, options, f"See 'hven run {analysis.name} --help'."),
            )
        if value is None:
            raise ParameterError(f"{option} has no value", hint=f"Write {option} VALUE.")
        if name in found:
            raise ParameterError(f"parameter {name!r} is given twice", hint="Give it once.")
        found[name] = value
    return found


def other_options(context: typer.Context) -> dict[str, str | None]:
    """Return the options given that are none of the verb's own, with their values; parameters, of an analysis."""
    return {option: value or "true" for option, value in context.meta.get(_OPTIONS, ())}


def parameter_rows(model: "type[BaseModel]") -> list[list[Any]]:
    """Return a row of a table for each parameter: its name, default, what is allowed, and its description."""
    from hven.plugins.parameters import allowed_values

    return [
        [name, default_text(field), allowed_values(model, name), field.description]
        for name, field in model.model_fields.items()
    ]


def default_text(field: "FieldInfo") -> str:
    """Return the default of a parameter as people would write it."""
    if field.is_required():
        return "required"
    plain = {"None": "none", "True": "true", "False": "false"}
    return plain.get(str(field.default), str(field.default))


def _apart(args: list[str], known: dict[str, bool]) -> tuple[list[str], list[tuple[str, str | None]]]:
    """Return the arguments that are the verb's own, and the options that are not, each with its value."""
    own: list[str] = []
    others: list[tuple[str, str | None]] = []
    rest = iter(args)
    for argument in rest:
        option, separator, value = argument.partition("=")
        if option.startswith("--") and option != "--" and option not in known:
            others.append((option, value if separator else next(rest, None)))
            continue
        own.append(argument)
        if not separator and known.get(option):
            own += [text for text in (next(rest, None),) if text is not None]
        elif argument == "--":
            own += rest
    return own, others


def _words(own: list[str], known: dict[str, bool]) -> Iterator[str]:
    """Give the arguments that are neither options nor their values."""
    rest = iter(own)
    for argument in rest:
        if known.get(argument):
            next(rest, None)
        elif not argument.startswith("-"):
            yield argument


def _takes_value(param: Any) -> bool:
    return param.param_type_name == "option" and not getattr(param, "is_flag", False)


def _own_options(context: typer.Context) -> Iterator[str]:
    for param in context.command.params:
        yield from (text for text in param.opts if text.startswith("--"))


def _print_parameters(analysis: "Analysis") -> None:
    from hven.plugins.parameters import allowed_values

    print_text(f"Parameters of {analysis.name}, each also as -p name=value")
    print_table(
        ["option", "default", "allowed", "description"],
        (
            [
                f"--{name.replace('_', '-')}",
                default_text(field),
                allowed_values(analysis.parameters, name),
                field.description,
            ]
            for name, field in analysis.parameters.model_fields.items()
        ),
    )
