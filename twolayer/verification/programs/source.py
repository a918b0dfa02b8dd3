"""A file of people's code: read as Python (scripts, notebooks, pasted text), and cut down to what a function needs.

Of the top level only those statements run on which the wanted functions depend: imports, definitions, and assignments
to names that are read. So a script that loads its data and trains its network beside its derivation costs nothing.
"""

import ast
import contextlib
import dataclasses
import dis
import functools
import json
import pathlib
import re
import textwrap
import types
from collections.abc import Iterator

from twolayer.verification.programs import Refused

QUOTED = 120  # characters of a statement in an error
_MAGIC = re.compile(r"^\s*([%!?]|\w+\s*=\s*[%!])|^\s*[\w.]+\?{1,2}\s*$")


def read(path: str | pathlib.Path) -> str:
    """The Python text of a file: of a notebook its code cells in order; lines of magic commands are blank.

    Raises:
      Refused: the file cannot be read, or is no notebook although it is called one.
    """
    path = pathlib.Path(path)
    try:
        written = path.read_bytes()
    except OSError as e:
        raise Refused(f"{path}: {e.strerror}") from None
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = written.decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if path.suffix == ".ipynb" or text.lstrip().startswith('{"cells"') or text.lstrip().startswith('{\n "cells"'):
        text = _code_of_notebook(text, path)
    return without_magic(text)


def _code_of_notebook(text: str, path: pathlib.Path) -> str:
    try:
        cells = json.loads(text)["cells"]
        sources = [c["source"] for c in cells if c["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise Refused(f"{path}: it is no notebook of version 4; save it anew, or export it as .py") from None
    return "".join(f"# In [{i}]:\n{_code_of_cell(''.join(s))}\n" for i, s in enumerate(sources, 1))


def _code_of_cell(text: str) -> str:
    """The Python of a cell: none where it is in another language (%%bash)."""
    python = not text.lstrip().startswith("%%") or text.lstrip().startswith(("%%time", "%%timeit", "%%capture"))
    return text if python else "\n" * text.count("\n")


def without_magic(text: str) -> str:
    """The text with lines that only a notebook understands (%matplotlib, !pip) emptied, or `pass` where they indent."""
    for candidate in (text, textwrap.dedent(text)):
        with contextlib.suppress(SyntaxError, ValueError):
            ast.parse(candidate)
            return candidate
    lines = text.expandtabs(8).split("\n") if "\t" in text and "inconsistent" in _fault(text) else text.split("\n")
    return "\n".join(
        re.sub(r"\S.*", "pass", line) if _MAGIC.match(line) else re.sub(r"^(>>>|\.\.\.) ?", "", line) for line in lines
    )


def _fault(text: str) -> str:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as e:
        return str(e)
    return ""


@dataclasses.dataclass(frozen=True)
class Source:
    """The text of a file, under the name that people shall read, its statements and what they need."""

    filename: str
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        """Raises Refused where the text is no Python."""
        try:
            return ast.parse(self.text, self.filename)
        except (SyntaxError, ValueError) as e:
            hint = "; it is Python 2" if "print" in str(e) else ""
            line = getattr(e, "lineno", None)
            place = self.place(line) if line else self.filename
            raise Refused(f"{place}: {getattr(e, 'msg', None) or e}{hint}") from None

    @functools.cached_property
    def spans(self) -> list[tuple[int, int]]:
        """First and last line of every simple statement, and of the head of every compound one."""
        spans = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.stmt):
                body = getattr(node, "body", None)
                last = node.end_lineno if not isinstance(body, list) else max(node.lineno, body[0].lineno - 1)
                spans.append((node.lineno, last))
        return spans

    def uses(self, module: str) -> bool:
        """Whether it imports a module."""
        return module in self._imports

    @functools.cached_property
    def _imports(self) -> set[str]:
        return set(re.findall(r"^[ \t]*(?:import|from)[ \t]+(\w+)", self.text, re.M))

    @property
    def only_jax(self) -> bool:
        """Whether its arrays are JAX's: it imports jax, and not NumPy."""
        return self.uses("jax") and not self.uses("numpy")

    def thresholds(self, wanted: set[str]) -> tuple[str, ...]:
        """The comparisons with a number other than 0, clips and roundings of the needed code, with their lines."""
        found: dict[str, None] = {}
        nodes = (n for statement in self.needed(wanted) for n in ast.walk(statement))
        for node in (n for n in nodes if isinstance(n, (ast.Compare, ast.Call))):
            name = ""
            if isinstance(node, ast.Compare):
                if any(map(_is_number, (node.left, *node.comparators))):
                    name = {ast.Gt: "gt", ast.GtE: "ge", ast.Lt: "lt", ast.LtE: "le"}.get(type(node.ops[0]), "")
            else:
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                compares = called in ("maximum", "minimum", "max", "min") and any(map(_is_number, node.args))
                rounds = called in ("clip", "round", "around", "floor", "ceil", "rint", "trunc", "fix")
                name = called if compares or rounds else ""
            if name:
                found[f"{name} at {pathlib.Path(self.filename).name}:{node.lineno}"] = None
        return tuple(found)

    def span(self, line: int) -> tuple[int, int]:
        """The lines of the innermost statement at a line."""
        return self._innermost.get(line, (line, line))

    @functools.cached_property
    def _innermost(self) -> dict[int, tuple[int, int]]:
        return {
            line: s for s in sorted(self.spans, key=lambda s: (s[0] - s[1], s[0])) for line in range(s[0], s[1] + 1)
        }

    def place(self, line: int) -> str:
        """Where a line is: "homework.py:12", or "homework.ipynb, code cell 3, line 4"."""
        name, said = pathlib.Path(self.filename).name, self.line(line)
        return f"{name}, code {said}" if said.startswith("cell") else f"{name}:{line}"

    def line(self, number: int) -> str:
        """A line as people count it: "line 12", or "cell 3, line 4" of the code cells of a notebook."""
        above = self.text.split("\n")[:number]
        heads = [i for i, text in enumerate(above) if re.fullmatch(r"# In \[\d+\]:", text)]
        if not self.filename.endswith(".ipynb") or not heads:
            return f"line {number}"
        return f"cell {len(heads)}, line {number - heads[-1] - 1}"

    def statement(self, line: int) -> str:
        """The statement at a line, on one line."""
        first, last = self.span(line)
        lines = self.text.split("\n")[first - 1 : last]
        return " ".join(part.strip() for part in lines if part.strip())

    def quoted(self, line: int) -> str:
        """The statement at a line as an error quotes it."""
        text = self.statement(line)
        return f"`{text if len(text) <= QUOTED else text[: QUOTED - 3] + '...'}`"

    def entry(self, line: int, key: str | None) -> tuple[int, str]:
        """The statement at a line, or of a dict that is written over several lines the entry `key`: line and text."""
        first, last = self.span(line)
        if key is not None and last > first:
            node = self._entries.get((first, key))
            if node is not None:
                return node.lineno, f"{key!r}: {ast.get_source_segment(self.text, node)}"
        return first, self.statement(line)

    @functools.cached_property
    def _entries(self) -> dict[tuple[int, str], ast.expr]:
        """The values in dicts that are written out, by the line of their statement and their key."""
        found = {}
        for node in (n for n in ast.walk(self.tree) if isinstance(n, (ast.Return, ast.Assign))):
            value = node.value
            if isinstance(value, ast.Dict):
                pairs = (
                    (k.value, v) for k, v in zip(value.keys, value.values, strict=True) if isinstance(k, ast.Constant)
                )
            elif isinstance(value, ast.Call):
                pairs = ((k.arg, k.value) for k in value.keywords)
            else:
                continue
            found.update({(node.lineno, key): entry for key, entry in pairs})
        return found

    def names(self) -> set[str]:
        """What the top level defines."""
        return set().union(*(binds for _, _, binds in self._statements))

    @functools.cached_property
    def _statements(self) -> list[tuple[ast.stmt, set[str], set[str]]]:
        """The statements of the top level with the names that each reads, and binds or changes."""
        return [(s, *_needs(s)) for s in self.tree.body if not _is_main(s)]

    def needed(self, wanted: set[str]) -> list[ast.stmt]:
        """The statements of the top level that the wanted names depend on, in order."""
        whole = {"globals", "exec", "eval", "vars", "locals"}  # they see every name
        names, kept = set(wanted), set()
        while True:
            more = {i for i, (_, _, binds) in enumerate(self._statements) if i not in kept and binds & (names | {"*"})}
            if not more:
                return [self._statements[i][0] for i in sorted(kept)]
            kept |= more
            names |= set().union(*(self._statements[i][1] for i in more))
            if names & whole:
                return [s for s, _, _ in self._statements]

    def literals(self, wanted: set[str]) -> tuple[float, ...]:
        """The numbers in the needed statements, without 0, 1, -1 and indices."""
        found: dict[float, None] = {}
        for statement in self.needed(wanted):
            indices = {id(n) for s in ast.walk(statement) if isinstance(s, ast.Subscript) for n in ast.walk(s.slice)}
            keywords = {
                id(k.value)
                for k in ast.walk(statement)
                if isinstance(k, ast.keyword) and k.arg in ("axis", "ddof", "decimals", "ndmin")
            }
            for node in ast.walk(statement):
                number = number_of(node) if id(node) not in indices | keywords else None
                if number is not None and abs(number) not in (0, 1):
                    found[float(number)] = None
        return tuple(found)


def number_of(node: ast.AST) -> int | float | None:
    """The number that stands there as a literal, True and False being none."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is_number(node: ast.expr) -> bool:
    """Whether it is a literal other than 0, with or without a sign."""
    return bool(number_of(node.operand if isinstance(node, ast.UnaryOp) else node))


def _is_main(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in ast.unparse(statement.test)


def _needs(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The global names that a statement of the top level reads, and those that it binds or changes."""
    reads, binds = set(), set()
    code = compile(ast.Module([statement], []), "<statement>", "exec")
    for at_top, part in _codes(code, True):
        for instruction in dis.get_instructions(part):
            if instruction.opname in ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"):
                reads.add(instruction.argval)
            elif at_top and instruction.opname in ("STORE_NAME", "STORE_GLOBAL", "DELETE_NAME"):
                binds.add(instruction.argval)
            elif instruction.opname == "IMPORT_STAR" or "IMPORT_STAR" in str(instruction.argrepr):
                binds.add("*")
    return reads, binds | _changes(statement)


def _codes(code: types.CodeType, at_top: bool) -> Iterator[tuple[bool, types.CodeType]]:
    yield at_top, code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant, False)


def _changes(statement: ast.stmt) -> set[str]:
    """The names whose value a statement changes in place: x[0] = 1, x.y = 1, x.append(1), shuffle(x), @x.defjvp."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        calls = [one for one in statement.decorator_list if isinstance(one, ast.Call)]
        named = [arg for one in calls for arg in one.args if isinstance(arg, ast.Name)]  # @getattr(rule, "defjvp")
        methods = [one for one in statement.decorator_list if isinstance(one, ast.Attribute)]
        return set().union(*map(_root, [*named, *methods])) - {"jax", "functools"}  # @rule.defjvp gives its derivative
    changed: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Subscript, ast.Attribute)) and not isinstance(node.ctx, ast.Load):
            changed |= _root(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function, arguments = node.value.func, node.value.args
            called = _root(function)
            if not called & {"print", "plt", "display", "pylab", "sns", "os", "sys", "warnings"}:
                changed |= {a.id for a in arguments if isinstance(a, ast.Name)}
                changed |= called if isinstance(function, ast.Attribute) else set()
    return changed - {"np", "numpy", "math", "jnp", "jax"} | (
        {"np"} if "np.random.seed" in ast.unparse(statement) else set()
    )


def _root(node: ast.AST) -> set[str]:
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()
