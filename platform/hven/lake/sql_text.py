"""SQL texts, held against a grammar before Polars sees them: its parser opens files and addresses that a text names.

Conditions and derived columns are expressions: no query inside of them. Queries read the datasets of a lake alone. In
both, functions are those of a list: what is not in it may read a file (``read_csv``), or depend on the clock.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hven.errors import HvenError, QueryError, WhereError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

MAX_JOINED = 256
"""AND and OR of one text: Polars needs more than linear time for them."""

MAX_WORDS = 2000
"""Names, operators and keywords of one text, values of an IN list not counted: Polars follows them by recursion."""

MAX_DEPTH = 40
"""Brackets inside of brackets."""

MAX_LENGTH = 4_000_000
"""Letters of one text."""

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
    |(?P<string>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<comment>--|/\*)
    |(?P<sign><=>|<>|<=|>=|!=|==|\|\||::|//|!~\*|!~|~\*|[-+*/%<>=&|~(),.\[\]])""",
    re.VERBOSE,
)

_WORDS_SCALAR_FUNCTIONS = """
    abs acos acosd array_contains array_get array_length array_lower array_mean array_reverse array_sum
    array_to_string array_unique array_upper asin asind atan atan2 atan2d atand bit_and bit_count bit_length bit_not
    bit_or bit_xor bitand bitnot bitor bitxor cast cbrt ceil ceiling char_length character_length coalesce concat
    concat_ws cos cosd cot cotd date date_part datetime degrees div ends_with exp extract floor greatest if ifnull
    initcap least left length ln log log10 log1p log2 lower ltrim mod normalize nullif octet_length pi position pow
    power radians regexp_like replace reverse right round rtrim sign sin sind split_part sqrt starts_with strftime
    string_to_array strpos strptime substr substring tan tand time timestamp trim trunc truncate try_cast upper
    xor
"""
SCALAR_FUNCTIONS = frozenset(_WORDS_SCALAR_FUNCTIONS.split())
"""Functions of one row by itself."""

_WORDS_OTHER_FUNCTIONS = """
    approx_quantile array_agg avg corr count covar covar_pop covar_samp cume_dist dense_rank first first_value
    grouping lag last last_value lead listagg max median min nth_value ntile percent_rank quantile_cont quantile_disc
    rank row_number stddev stddev_samp stdev stdev_samp string_agg sum unnest var var_samp variance
"""
OTHER_FUNCTIONS = frozenset(_WORDS_OTHER_FUNCTIONS.split())
"""Functions of several rows."""

_WITHOUT_ARGUMENTS = frozenset(("pi", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist"))

_WORDS_BEFORE_BRACKETS = """
    all and any as between by case char cross decimal distinct else except exclude filter float from having ilike in
    intersect is join like limit not numeric offset on or order over precision regexp rename rlike select some then
    union using values varchar when where with within
"""
_BEFORE_BRACKETS = frozenset(_WORDS_BEFORE_BRACKETS.split())
"""Words that may stand before an opening bracket without being a function."""

_NOT_IN_EXPRESSIONS = frozenset(("select", "with", "table", "values", "exists", "union", "intersect", "except"))

_WORDS_NOT_IN_QUERIES = """
    alter analyze attach call copy create delete describe drop execute explain export grant import insert install
    into load merge pragma replace revoke set show truncate update use vacuum
"""
_NOT_IN_QUERIES = frozenset(_WORDS_NOT_IN_QUERIES.split())

_OF_THE_CLOCK = frozenset(("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "now"))

_ARITHMETIC = frozenset(("+", "-", "*", "/", "//", "%", "&", "|", "~"))

_WORDS_OF_EXPRESSIONS = """
    and as between bigint boolean case cast date double else end escape false float from ilike in int integer is
    like not null or precision real regexp rlike smallint text then timestamp tinyint true varchar when xor
"""
_KEYWORDS = frozenset(_WORDS_OF_EXPRESSIONS.split())
"""Words that are no columns unless they stand in quotes."""

_ADVICE = "Write it as in SQL, for example: logg > 2.3 AND teff < 5000."
_QUERY_ADVICE = "Write one query, for example: SELECT COUNT(*) FROM stars WHERE feh < 0."


@dataclass(frozen=True)
class Token:
    """One word, sign, number or text of SQL.

    Attributes
    ----------
    kind
        ``word``, ``quoted``, ``string``, ``number`` or ``sign``.
    text
        As it stands in the text.
    """

    kind: str
    text: str

    @property
    def name(self) -> str:
        """What a word or a quoted name says."""
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text


@dataclass(frozen=True)
class _Place:
    """Where a text stands, for errors, and of which class these are."""

    error: type[HvenError]
    where: str
    advice: str

    def refuse(self, what: str, hint: str = "", expected: str = "") -> HvenError:
        return self.error(what, where=self.where, expected=expected, hint=hint or self.advice)


def sql_expression(text: str, where: str = "", *, is_condition: bool = True, narrow: Collection[str] = ()) -> "pl.Expr":
    """Return the Polars expression of a SQL text, once it is known to be one and to open nothing.

    Whole numbers are calculated with in 64 bits: in the 16 bits in which a column may be kept, 200 * 200 is -25536.

    Parameters
    ----------
    text
        ``"logg > 2.3 AND teff < 5000"``, or ``"phot_g_mean_mag + 5*log10(parallax) - 10"``.
    where
        For errors.
    is_condition
        What errors call it: a condition, or an expression.
    narrow
        Columns of whole numbers of less than 64 bits.

    Raises
    ------
    WhereError
        If it cannot be understood, holds a query or a function that is not known, or is too long.

    Examples
    --------
    >>> sql_expression("logg > 2.3").meta.root_names()
    ['logg']
    >>> sql_expression("id IN (SELECT id FROM read_csv('/etc/passwd'))")
    Traceback (most recent call last):
    ...
    hven.errors.WhereError: ... cannot be understood: 'SELECT' begins a query. ...
    """
    import polars as pl

    place = _Place(WhereError, where, _ADVICE if is_condition else "Write it as in SQL, for example: teff / 5772.")
    shown = _shortened(text)
    tokens = list(_tokens(text, place))
    for token in tokens:
        if token.kind == "word" and token.text.lower() in _NOT_IN_EXPRESSIONS:
            raise place.refuse(
                f"{shown} cannot be understood: {token.text!r} begins a query",
                f'Write an expression of one row. A column of that name is written "{token.text}".',
            )
    _check_functions(tokens, SCALAR_FUNCTIONS | OTHER_FUNCTIONS, place)
    if narrow and calculates(tokens):
        text = _widened(tokens, narrow)
    try:
        return pl.sql_expr(text)
    except pl.exceptions.PolarsError as error:
        raise place.refuse(f"{shown} cannot be understood: {first_line(error)}") from error
    except pl.exceptions.PanicException as error:
        raise place.refuse(f"{shown} cannot be understood: {first_line(error)}") from error


def check_query(text: str, where: str = "") -> list[str]:
    """Return the names in a query (tables, columns and aliases alike), once it is known to read tables alone.

    Raises
    ------
    QueryError
        If it is not one SELECT, or calls a function that is not known, such as one that reads a file.

    Examples
    --------
    >>> check_query('SELECT AVG(feh) AS mean FROM "gaia.stars"')
    ['SELECT', 'AVG', 'feh', 'AS', 'mean', 'FROM', 'gaia.stars']
    >>> check_query("DROP TABLE stars")
    Traceback (most recent call last):
    ...
    hven.errors.QueryError: 'DROP' does not read data. Expected: SELECT ... or WITH ... SELECT ....
    Write one query, for example: SELECT COUNT(*) FROM stars WHERE feh < 0.
    """
    place = _Place(QueryError, where, _QUERY_ADVICE)
    tokens = list(_tokens(text.strip().removesuffix(";"), place))
    words = [token for token in tokens if token.kind in {"word", "quoted"}]
    first = tokens[0].text if tokens else ""
    wrong = [first] if first.lower() not in {"select", "with"} else []
    for token, following in pairwise([*tokens, Token("", "")]):
        is_called = following.text == "(" and token.text.lower() in SCALAR_FUNCTIONS
        if token.kind == "word" and token.text.lower() in _NOT_IN_QUERIES and not is_called:
            wrong.append(token.text)
    if wrong:
        hint = f'{_QUERY_ADVICE} A column of that name is written "{wrong[0]}".' if wrong[0] != first else ""
        raise place.refuse(
            f"{wrong[0]!r} does not read data" if wrong[0] else "the query is empty",
            hint,
            expected="SELECT ... or WITH ... SELECT ...",
        )
    _check_functions(tokens, SCALAR_FUNCTIONS | OTHER_FUNCTIONS, place)
    return [token.name for token in words]


def calculates(tokens: Sequence[Token]) -> bool:
    """Return whether a text computes numbers, rather than only compare or choose columns.

    Examples
    --------
    >>> [calculates(tokens_of(text)) for text in ("a > 2", "a * a > 2", "SELECT * FROM t", "SELECT SUM(a) FROM t")]
    [False, True, False, True]
    """
    known = SCALAR_FUNCTIONS | OTHER_FUNCTIONS
    for before, token, after in zip([Token("", ""), *tokens], tokens, [*tokens[1:], Token("", "")], strict=False):
        is_operand = before.kind in {"word", "quoted", "number"} or before.text in {")", "]"}
        is_operand = is_operand and before.text.lower() not in {"select", "distinct"}
        if token.text in _ARITHMETIC and (is_operand or token.text == "-"):
            return True
        if token.kind == "word" and token.text.lower() in known and after.text == "(":
            return True
    return False


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a query that `check_query` has let pass."""
    return list(_tokens(text.strip().removesuffix(";"), _Place(QueryError, "", _QUERY_ADVICE)))


def _widened(tokens: Sequence[Token], narrow: Collection[str]) -> str:
    """Return a text in which each narrow column is cast to 64 bits where it stands."""
    words = []
    for token, after in pairwise([*tokens, Token("", "")]):
        is_column = token.kind == "quoted" or (token.kind == "word" and token.text.lower() not in _KEYWORDS)
        if is_column and token.name in narrow and after.text != "(":
            quoted = token.name.replace('"', '""')
            words.append(f'CAST("{quoted}" AS BIGINT)')
        else:
            words.append(token.text)
    return " ".join(words)


def first_line(error: BaseException) -> str:
    """Return what Polars says in one line, without the syntax tree that it may print in braces."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return _cut(re.sub(r" ?\{.*\}", "", line), 300)


def _tokens(text: str, place: _Place) -> Iterator[Token]:
    """Give the tokens of a text; refuse one that is too long, or has letters that belong to no token."""
    if len(text) > MAX_LENGTH:
        raise place.refuse(f"the text has {len(text):,} letters", expected=f"at most {MAX_LENGTH:,}")
    at = joined = words = depth = 0
    before: Token | None = None
    while at < len(text):
        match = _TOKEN.match(text, at)
        kind = str(match.lastgroup) if match else ""
        token = Token(kind, match[0] if match else text[at])
        # E'...', X'...' and the like are read otherwise than a text: of those, there are none.
        glued = kind == "string" and at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")
        odd = kind == "word" and not all(c.isalpha() or c == "_" or (c.isascii() and c.isdecimal()) for c in token.text)
        # A backslash before a quote ends the text for some dialects and not for others.
        odd = odd or (kind == "string" and "\\'" in token.text[:-1]) or glued
        if match is None or odd or kind == "comment":
            shown = text[at : at + 12] if kind != "comment" else token.text
            raise place.refuse(
                f"{_shortened(text)} cannot be understood: {shown!r} (letter {at + 1})",
                "" if kind != "comment" else "Leave comments out.",
            )
        at = match.end()
        if kind == "blank":
            continue
        is_value = kind in {"number", "string"} or token.text in {",", "(", ")"}
        is_sign_of_value = token.text in {"-", "+"} and before is not None and before.text in {",", "("}
        words += not (is_value or is_sign_of_value)
        joined += kind == "word" and token.text.lower() in {"and", "or"}
        depth += (token.text in {"(", "["}) - (token.text in {")", "]"})
        if joined > MAX_JOINED or words > MAX_WORDS or depth > MAX_DEPTH:
            raise place.refuse(
                "the text has too many terms",
                "Write lists of values as 'id IN (1, 2, 3)', or filter the table with Polars.",
                f"at most {MAX_JOINED} AND and OR, {MAX_WORDS:,} names and operators, {MAX_DEPTH} brackets in brackets",
            )
        yield token
        before = token


def _check_functions(tokens: list[Token], known: Iterable[str], place: _Place) -> None:
    """Refuse calls of functions that are not known: a name before an opening bracket is one, in quotes or not."""
    known = frozenset(known)
    for number, token in enumerate(tokens):
        name = token.name.lower()
        if token.kind == "word" and name in _OF_THE_CLOCK:
            raise place.refuse(f"{token.text} gives another answer at another time", "Write the time itself.")
        follows = tokens[number + 1].text if number + 1 < len(tokens) else ""
        if token.kind not in {"word", "quoted"} or follows != "(":
            continue
        is_function = name in known and token.kind == "word"
        # Of 'WITH nearby AS (', the bracket is that of AS; of 'x IN (', that of IN.
        if not is_function and not (token.kind == "word" and name in _BEFORE_BRACKETS):
            hint = did_you_mean(name, known, place.advice)
            if name.startswith(("read", "scan")):
                hint = "Files are not read here: bring them into a lake with 'hven ingest'."
            raise place.refuse(f"there is no function {token.name!r}", hint)
        if is_function and name not in _WITHOUT_ARGUMENTS and tokens[number + 2 : number + 3] == [Token("sign", ")")]:
            raise place.refuse(f"{token.text}() has no arguments", f"Write {token.text}(column).")


def _shortened(text: Any) -> str:
    return _cut(repr(text), 120)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 20]}...{text[-10:]}"
