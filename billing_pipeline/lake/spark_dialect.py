"""DuckDB's SQL as Spark's: every rule by which the two differ, stated once.

sqlglot transpiles a statement: quoting, types, the place of nulls in an order, lateral views and so on. What it does
not know is stated here. What Spark lacks, or would take otherwise without an error, is refused, never guessed.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from billing_pipeline.errors import DialectError
from billing_pipeline.lake.engine import PAYER_PART
from billing_pipeline.schemas.table import ColumnType

if TYPE_CHECKING:
    from sqlglot import exp

SPARK_TYPES = {
    ColumnType.DAY: "DATE",
    ColumnType.INSTANT: "TIMESTAMP",
    ColumnType.TEXT: "STRING",
    ColumnType.WHOLE: "BIGINT",
    ColumnType.QUANTITY: "DECIMAL(38,9)",
    ColumnType.AMOUNT: "DECIMAL(38,24)",
    ColumnType.FLAG: "BOOLEAN",
    ColumnType.BYTES: "BINARY",
}
_PART = ", ".join(f"{name}: {SPARK_TYPES[kind]}" for name, kind in PAYER_PART.items())

# Functions by another name, with the places of their arguments.
_FUNCTIONS = {
    "EPOCH_US": "UNIX_MICROS({0})",
    "MAKE_TIMESTAMPTZ": "TIMESTAMP_MICROS({0})",
    # Functions of ours (`lake/engine.py`). What is no JSON is an error, as in DuckDB.
    "PAYER_PARTS": f"FROM_JSON({{0}}, 'ARRAY<STRUCT<{_PART}>>', MAP('mode', 'FAILFAST'))",
    "JSON_MEMBER": "FROM_JSON({0}, 'MAP<STRING, STRING>', MAP('mode', 'FAILFAST'))[{1}]",
}
# DuckDB ends the text of an instant by its offset from UTC. `typeof` is known when the statement is planned.
_TEXT = "(CAST({0} AS STRING) || IF(TYPEOF({0}) = 'timestamp', '+00', ''))"
_FLOATS = "a binary floating point number; cast to DECIMAL"

ColumnsOf = Callable[[str], Sequence[str]]
"""The column names of a relation, for `* EXCLUDE` and `* REPLACE`."""


def to_spark(statement: str, columns_of: ColumnsOf) -> str:
    """A statement of DuckDB in Spark's SQL, for a session in UTC and ANSI mode.

    Raises:
        DialectError: it has a construct that Spark lacks, or would take otherwise.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(statement, read="duckdb")
        for node in list(tree.walk()):
            if (why := _refusal(node)) is not None:
                raise DialectError(node.sql("duckdb"), why)
        _keep_outer_unnests(tree)
        _expand_stars(tree, columns_of)
        text: str = _rewritten(tree).sql("spark", comments=False, unsupported_level=sqlglot.ErrorLevel.RAISE)
    except SqlglotError as error:
        raise DialectError(statement, str(error)) from error
    return text


def _refusal(node: "exp.Expr") -> str | None:
    """Why a construct is not to be used: sqlglot would write it as something else, without a word."""
    from sqlglot import exp

    if isinstance(node, exp.Div | exp.Avg):
        return f"DuckDB makes it {_FLOATS}, or count in whole numbers with //"
    if isinstance(node, exp.DataType) and node.this in {exp.DType.FLOAT, exp.DType.DOUBLE}:
        return f"it is {_FLOATS}"
    if isinstance(node, exp.ArrayAgg) and isinstance(node.this, exp.Order):
        return "Spark's list has no order of its own; order by a window function"
    if isinstance(node, exp.Join) and node.method == "ASOF":
        return "Spark has no such join; join on a range, or use a window function"
    if isinstance(node, exp.JSONExtractScalar) and _member(node) is None:
        return "give the name of one member of an object, as '$.\"name\"', or use json_member(text, name)"
    return None


def _rewritten(tree: "exp.Expr") -> "exp.Expr":
    """The tree with every rule applied, the innermost expressions first."""
    for node in reversed(list(tree.walk(bfs=True))):
        new = _spark_for(node)
        if new is not None:
            node.replace(new)
    return tree


def _spark_for(node: "exp.Expr") -> "exp.Expr | None":
    from sqlglot import exp

    if isinstance(node, exp.Anonymous) and node.name.upper() in _FUNCTIONS:
        return _filled(_FUNCTIONS[node.name.upper()], *node.expressions)
    # A negated decimal of more than 34 digits is rounded by Spark, without a word; a difference is exact.
    if isinstance(node, exp.Neg) and not isinstance(node.this, exp.Literal | exp.Interval):
        return _filled("(0 - {0})", exp.paren(node.this))
    if isinstance(node, exp.Abs):
        return _filled("IF({0} < 0, 0 - {0}, {0})", exp.paren(node.this))
    if isinstance(node, exp.JSONExtractScalar):
        return _filled(_FUNCTIONS["JSON_MEMBER"], node.this, exp.Literal.string(_member(node)))
    if isinstance(node, exp.Cast) and node.to.this in exp.DataType.TEXT_TYPES:
        return _filled(_TEXT, node.this)
    return None


def _member(node: "exp.JSONExtractScalar") -> str | None:
    """The member of an object that a JSON path names, where it names one."""
    from sqlglot import exp

    path = node.expression
    steps = path.expressions if isinstance(path, exp.JSONPath) else []
    kinds = [type(step) for step in steps]
    return str(steps[1].this) if kinds == [exp.JSONPathRoot, exp.JSONPathKey] else None


def _filled(template: str, *arguments: "exp.Expr") -> "exp.Expr":
    """A Spark expression with the arguments in its places."""
    import sqlglot
    from sqlglot import exp

    places = {f"__argument_{number}": argument for number, argument in enumerate(arguments)}
    tree = sqlglot.parse_one(template.format(*places), read="spark")
    for column in list(tree.find_all(exp.Column)):
        if column.name in places:
            column.replace(places[column.name].copy())
    return tree


def _keep_outer_unnests(tree: "exp.Expr") -> None:
    """`LEFT JOIN unnest(…) ON true` keeps rows with nothing to unnest; sqlglot would make it an inner one."""
    from sqlglot import exp

    for join in list(tree.find_all(exp.Join)):
        unnest, select = join.this, join.parent
        if not isinstance(unnest, exp.Unnest) or join.side != "LEFT" or not isinstance(select, exp.Select):
            continue
        if join.args.get("on") != exp.true() or len(unnest.expressions) != 1:
            raise DialectError(join.sql("duckdb"), "unnest one list, ON true")
        view = exp.Explode(this=unnest.expressions[0])
        select.append("laterals", exp.Lateral(this=view, view=True, outer=True, alias=unnest.args["alias"]))
        join.pop()


def _expand_stars(tree: "exp.Expr", columns_of: ColumnsOf) -> None:
    """Write out `* EXCLUDE`, `* REPLACE` and `* RENAME`, with every column in its place."""
    from sqlglot import exp

    for select in list(tree.find_all(exp.Select)):
        if any(map(_changes_columns, select.find_all(exp.Star))):
            columns = [
                each for one in select.expressions for each in _projected(tree, select, one, columns_of)
            ]
            select.set("expressions", columns)
    for star in filter(_changes_columns, tree.find_all(exp.Star)):
        raise DialectError(star.sql("duckdb"), "only a list of columns may have it")


def _changes_columns(star: "exp.Star") -> bool:
    return any(star.args.get(part) for part in ("except_", "replace", "rename"))


def _projected(
    tree: "exp.Expr", select: "exp.Select", projection: "exp.Expr", columns_of: ColumnsOf
) -> "list[exp.Expr]":
    """The columns that one entry of a list of columns stands for."""
    from sqlglot import exp

    star = projection.this if isinstance(projection, exp.Column) else projection
    if not isinstance(star, exp.Star):
        return [projection]
    excluded = {column.name for column in star.args.get("except_") or ()}
    replaced = {each.alias: each for each in star.args.get("replace") or ()}
    renamed = {each.this.name: each.alias for each in star.args.get("rename") or ()}
    joins = select.args.get("joins") or ()
    if any(join.args.get("using") for join in joins):
        raise DialectError(projection.sql("duckdb"), "its columns are not known with USING; join ON them")
    sources = [select.args["from_"].this, *(join.this for join in joins)]
    if isinstance(projection, exp.Column):
        sources = [source for source in sources if source.alias_or_name == projection.table]
    columns: list[exp.Expr] = []
    for source in sources:
        for name in _names(tree, source, columns_of):
            plain = exp.column(name, table=source.alias_or_name, quoted=True)
            if name in replaced:
                columns.append(replaced[name])
            elif name in renamed:
                columns.append(exp.alias_(plain, renamed[name], quoted=True))
            elif name not in excluded:
                columns.append(plain)
    return columns


def _names(tree: "exp.Expr", source: "exp.Expr", columns_of: ColumnsOf) -> Sequence[str]:
    """The column names of a source: of a relation of the session, of a named subquery, or of one on the spot."""
    from sqlglot import exp

    query = source.this if isinstance(source, exp.Subquery) else source
    if isinstance(source, exp.Table):
        named = [each.this for each in tree.find_all(exp.CTE) if each.alias == source.name]
        if not named:
            return columns_of(source.name)
        query = named[0]
    while isinstance(query, exp.SetOperation):
        query = query.left
    if not isinstance(query, exp.Select):
        raise DialectError(source.sql("duckdb"), "its columns are not known; name them")
    projections = [each for one in query.expressions for each in _projected(tree, query, one, columns_of)]
    return [each.alias_or_name for each in projections]
