"""Change one thing at a time in a module and see whether its unit tests notice.

    python tests/mutation/mutate.py [scoring nn.losses splitting batches calibration]

Each change is tried in a process of its own, with that module's unit tests alone, for at most a minute. Ends
with 1 where a change survives that is not listed, with its reason, in EQUIVALENT. Some minutes.
"""

import ast
import copy
import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = ("scoring", "nn.losses", "splitting", "batches", "calibration")
SECONDS = 60
LIBRARIES = ("h5py", "hypothesis.extra.numpy", "pandas", "pytest", "scipy.stats", "sklearn.metrics", "torch")

EQUIVALENT: dict[str, str] = {
    "batches: index[['utterance_id']].merge(fold, on='utterance_id', how='left') -> "
    "index[['utterance_id']].merge(fold, how='left')": "the one column that both have",
    "splitting: roles.merge(index[['utterance_id', 'label']], on='utterance_id', how='left') -> "
    "roles.merge(index[['utterance_id', 'label']], how='left')": "the one column that both have",
    "splitting: roles.merge(index[['utterance_id', 'speaker']], on='utterance_id') -> "
    "roles.merge(index[['utterance_id', 'speaker']])": "the one column that both have",
    "splitting: sorted -> list in available = sorted(range(1, 2 * _sessions(index) + 1) if by_rule else "
    'set(pack_folds["fold"]))': "whoever takes these settles their order again",
    "calibration: bins - 1 -> bins + 1": "no probability is above 1",
    "splitting: zip(training['a_offset'], training['a_length'], strict=True) -> "
    "zip(training['a_offset'], training['a_length'])": "two columns of one table",
    "splitting: set -> list in tested_in: dict[str, list[int]] = {name: [] for name in "
    'sorted(set(index["speaker"]))}': "the dict has each name once all the same",
    "splitting: np.square(x, out=x) -> np.square(x)": "the same numbers, in memory of their own",
    'splitting: set -> list in for name in sorted(by_role.get("test", set())):': "none of them, in either",
    "splitting: True -> False in sequences = [frames[o : o + n] for o, n in "
    'zip(training["a_offset"], training["a_length"], strict=True)]': "two columns of one table",
    'splitting: set -> list in if name in by_role.get("train", set()):': "none of them, in either",
    'splitting: set -> list in present = set(labels.loc[labels["role"] == role, "label"])': "only asked",
    "calibration: high - low > 1e-09 -> high - low >= 1e-09": "halving never meets the limit itself",
    "calibration: (expected - target).mean -> (expected - target).sum in if (expected - target).mean() > 0:  "
    "# derivative with respect to 1/T: overconfident": "only the sign is asked",
    "calibration: np.bincount(bin_of, weights=correct - confidence, minlength=bins) -> "
    "np.bincount(bin_of, weights=correct - confidence)": "bins without an utterance add nothing to the sum",
}
"""Changes that no test can notice: "module: line: before -> after" without the line's number, and why."""

OTHER = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {
    "max": "min",
    "min": "max",
    "argmax": "argmin",
    "ceil": "floor",
    "any": "all",
    "mean": "sum",
    "sum": "mean",
    "maximum": "minimum",
    "sorted": "list",
    "set": "list",
    "exp": "exp2",
    "sqrt": "square",
    "square": "sqrt",
}


def changes(tree):
    """Yield (node's number in ast.walk, what to do with it), every change once; texts for people stay."""
    nodes = list(ast.walk(tree))
    left = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    left += [node.value for node in nodes if isinstance(node, ast.Expr)]  # docstrings
    types = [getattr(node, field, None) for node in nodes for field in ("annotation", "returns")]
    left += [part for part in types if part]
    shown = {id(part) for node in left for part in ast.walk(node)}
    for number, node in enumerate(nodes):
        if id(node) not in shown:
            yield from ((number, act) for act, fits in ACTS.items() if fits(node))
            if isinstance(node, ast.Call):
                yield from ((number, f"keyword {n}") for n, given in enumerate(node.keywords) if given.arg)


def _operator(node):
    if isinstance(node, ast.Compare):
        return type(node.ops[0])
    return type(getattr(node, "op", None))


ACTS = {
    "operator": lambda node: _operator(node) in OTHER,
    "sign": lambda node: isinstance(node, ast.UnaryOp),
    "constant": lambda node: isinstance(getattr(node, "value", None), bool | int | float | str),
    "test": lambda node: isinstance(node, ast.If | ast.IfExp | ast.While),
    "filter": lambda node: isinstance(node, ast.comprehension) and node.ifs,
    "name": lambda node: isinstance(node, ast.Attribute | ast.Name) and _name(node) in NAMES,
    "return": lambda node: isinstance(node, ast.Return) and node.value,
}
"""What can be done, and to which nodes."""


def _name(node):
    return node.attr if isinstance(node, ast.Attribute) else node.id


def changed(tree, number, act):
    """A tree with one change, and the change in words."""
    new = copy.deepcopy(tree)
    node = list(ast.walk(new))[number]
    before = _words(node)
    if act == "sign":
        _replace(new, node, node.operand)
        return new, f"{before} -> {_words(node.operand)}"
    if act.startswith("keyword"):
        del node.keywords[int(act.split()[1])]
    else:
        CHANGE[act](node)
    return new, f"{before} -> {_words(node)}"


def _words(node):
    return " ".join(ast.unparse(node).split())[:90]


def _other(node):
    if isinstance(node, ast.Compare):
        node.ops[0] = OTHER[type(node.ops[0])]()
    else:
        node.op = OTHER[type(node.op)]()


def _constant(node):
    if isinstance(node.value, bool):
        node.value = not node.value
    else:
        node.value += "X" if isinstance(node.value, str) else 1


def _renamed(node):
    setattr(node, "attr" if isinstance(node, ast.Attribute) else "id", NAMES[_name(node)])


CHANGE = {
    "operator": _other,
    "constant": _constant,
    "test": lambda node: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test)),
    "filter": lambda node: setattr(node, "ifs", []),
    "name": _renamed,
    "return": lambda node: setattr(node, "value", ast.Constant(None)),
}


def _replace(tree, old, new):
    for node in ast.walk(tree):
        for field, value in ast.iter_fields(node):
            if value is old:
                setattr(node, field, new)
            elif isinstance(value, list) and old in value:
                value[value.index(old)] = new


def survives(module, tree):
    """Whether the module's unit tests pass with this tree in its place."""
    child = os.fork()
    if not child:
        signal.alarm(SECONDS)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os._exit(_tested(module, tree))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _tested(module, tree):
    import pytest

    name = f"ifmmin.{module}"
    spec = importlib.util.find_spec(name)
    there = importlib.util.module_from_spec(spec)
    sys.modules[name] = there
    try:
        exec(compile(ast.fix_missing_locations(tree), spec.origin, "exec"), there.__dict__)  # noqa: S102 - our own
        above, _, last = name.rpartition(".")
        setattr(sys.modules[above], last, there)
        tests = ROOT / "tests" / "unit" / f"test_{last}.py"
        quiet = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        return int(pytest.main([*quiet, "-m", "", str(tests)]))
    except BaseException:
        return 1


def main(modules):
    """Try all changes of some modules; say which survive."""
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    sys.dont_write_bytecode = True
    for library in LIBRARIES:
        importlib.import_module(library)  # once, for all processes
    return sum(tried(module) for module in modules) > 0


def say(text):
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tried(module):
    """Try all changes of one module; the number of those that survive without a reason."""
    started, source = time.time(), ROOT / "ifmmin" / f"{module.replace('.', '/')}.py"
    tree = ast.parse(source.read_text("utf-8"))
    if not survives(module, tree):
        sys.exit(f"{module}: its tests fail as it is. Mend them first.")
    made = explained = unexplained = 0
    for number, act in changes(tree):
        new, words = changed(tree, number, act)
        line = getattr(list(ast.walk(tree))[number], "lineno", 0)
        if act in ("name", "constant"):
            words += f" in {source.read_text('utf-8').splitlines()[line - 1].strip()}"
        made += 1
        if survives(module, new):
            reason = EQUIVALENT.get(f"{module}: {words}")
            explained, unexplained = explained + bool(reason), unexplained + (not reason)
            say(f"  {source.name}, line {line}: {words}: {reason or 'SURVIVES'}")
    say(
        f"{module}: {made} changes, {made - explained - unexplained} noticed, {explained} explained, "
        f"{unexplained} survive; {time.time() - started:.0f} s"
    )
    return unexplained


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or MODULES))
