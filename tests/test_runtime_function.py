"""A jit function before it is compiled: its source, its parameters, what it captures."""

import ast
import linecache
import types

import pytest

import tiledsl.language as tl
from tiledsl.errors import CompilationError
from tiledsl.frontend.function import JITFunction
from tiledsl.source import first_function


def module_of(text: str, name: str = "sample") -> types.SimpleNamespace:
    """What a file with this text defines."""
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope = {"jit": JITFunction, "tl": tl, "__name__": name}
    exec(compile(text, file, "exec"), scope)
    return types.SimpleNamespace(**scope)


SHAPES = '''
def passes(fn=None, **options):
    return fn if fn else lambda fn: fn

@jit
@passes(
    option=1,
)
def decorated(x,
    y = (1,
2)
):
    """a text
that runs to the margin
"""
    z = [x,
y]
# a comment at the margin

    return z \\
+ y

# not part of it
after = 1

def maker():
    if True:
        @jit
        def nested(x): return x
        return nested

@jit
def last(x):
    é = "é"; return é'''


def test_the_source_is_that_of_the_whole_function_and_no_more():
    module = module_of(SHAPES)
    assert module.decorated.source == SHAPES[SHAPES.index("@jit\n@passes") : SHAPES.index("\n# not part")]
    assert module.maker().source == "        @jit\n        def nested(x): return x\n"
    assert module.last.source == SHAPES[SHAPES.rindex("@jit") :]


def test_lines_and_columns_are_those_of_the_file():
    module = module_of(SHAPES)
    whole = ast.parse(SHAPES)
    expected = {node.name: node for node in ast.walk(whole) if isinstance(node, ast.FunctionDef)}
    for function in (module.decorated, module.maker(), module.last):
        assert ast.dump(function.tree, include_attributes=True) == ast.dump(expected[function.name], include_attributes=True)


def test_a_parameter_has_a_place():
    place = module_of(SHAPES).decorated.place("y")
    assert (place.line, place.column, place.end_column) == (10, 4, 5)
    assert module_of(SHAPES).decorated.place().line == 9


def test_a_function_without_a_file_says_so():
    scope = {"jit": JITFunction}
    exec("@jit\ndef lost(x): pass", scope)
    with pytest.raises(CompilationError, match="the source of `lost` is not available"):
        _ = scope["lost"].source
    assert scope["lost"].place("x") is None


def test_other_text_in_its_place_is_noticed():
    module = module_of(SHAPES, "moved")
    lines = linecache.cache["<moved>"][2]
    lines.insert(0, "# one more\n")
    with pytest.raises(CompilationError, match="import it again"):
        _ = module.last.source
    assert first_function(["x = 1\n"]) is None
    assert first_function(["def f(:\n", "  pass\n"]) is None


def test_parameters_are_described():
    f = module_of("""
@jit
def f(a, b: tl.constexpr, c: "tl.constexpr", d: "constexpr" = 3, *e, k: tl.constexpr = None): pass
""").f
    assert [p.name for p in f.params] == list("abcdek")
    assert [p.is_constexpr for p in f.params] == [False, True, True, True, False, True]
    assert [p.has_default for p in f.params] == [False, False, False, True, False, True]
    assert [p.is_variadic for p in f.params] == [False] * 4 + [True, False]
    assert f.params[5].default is None


CALLS = """
import types
SCALE = tl.constexpr({scale})
UNUSED = tl.constexpr({unused})
space = types.ModuleType("space"); space.OFFSET = tl.constexpr({offset})

def host(n):
    return n + {host}

@jit
def given(x):
    return x {given} 2

class Pair:
    a: int

    @jit
    def method(self):
        return self.a {method} 1

@jit
def leaf(x, f: tl.constexpr = given):
    return Pair(f(x) {leaf} 1).method() + anonymous(1)

anonymous = lambda n: n + {anonymous}

@jit
def middle(x, n: tl.constexpr = {default}):
    # {comment}
    return leaf(x) * SCALE

def maker(captured):
    @jit
    def kernel(x):
        tl.store(x, middle(captured) + space.OFFSET + host(1))
    return kernel
kernel = maker(tl.constexpr({closure}))
"""
VALUES = dict(scale=2, unused=0, offset=1, host=1, leaf="+", given="+", method="+", anonymous=1, default=0, comment="", closure=3)


def fingerprint(**changes) -> str:
    return module_of(CALLS.format(**{**VALUES, **changes})).kernel.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 3},
        {"scale": 2.0},
        {"offset": 2},
        {"leaf": "-"},
        {"default": 1},
        {"closure": 4},
        {"comment": "any"},
        {"host": 2},
        {"given": "-"},
        {"method": "-"},
        {"anonymous": 2},
    ],
)
def test_the_fingerprint_covers_sources_and_captured_values(change):
    assert fingerprint(**change) != fingerprint()


def test_the_fingerprint_covers_nothing_else():
    assert fingerprint(unused=1) == fingerprint()


def test_recursion_has_a_fingerprint():
    f = module_of("""
@jit
def f(x, n: tl.constexpr):
    return x if n == 0 else f(x, n - 1)
""").f
    assert len(f.fingerprint) == 64


def test_names_resolve_as_python_resolves_them():
    kernel = module_of(CALLS.format(**VALUES)).kernel
    assert kernel.lookup("captured").value == 3
    assert kernel.lookup("SCALE").value == 2
    assert kernel.lookup("len") is len
    with pytest.raises(KeyError):
        kernel.lookup("nowhere")
