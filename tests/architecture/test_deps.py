"""dvc.yaml is complete: the deps of a stage are its imports, and its params are those that it reads."""

import ast
import re
from functools import cache
from pathlib import Path

import grimp
import pytest

from architecture.project import (
    LIBRARY,
    PACKAGE,
    ROOT,
    SCRIPTS,
    body,
    imports,
    name,
    params,
    script,
    stages,
    tree,
)

ROOMS_LOADED_BY_NAME = ("systems", "pretraining")
COMPUTE_NOTHING = {"ifmmin/__init__.py", "ifmmin/tracking/trackers.py", "stages/__init__.py"}
"""No result depends on them: they check the Python version, load models for users and handle Ctrl-C.

Trackers copy histories for TensorBoard or MLflow (tests/trust/test_tracking.py compares the bytes).
"""
BY_NAME = {
    "import_module",
    "__import__",
    "exec",
    "eval",
    "runpy.run_module",
    "runpy.run_path",
    "util.find_spec",
}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("ifmmin", cache_dir=None)


def file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def known(imported: str) -> str:
    """The module of an imported name: `ifmmin.core.terms` for `ifmmin.core.terms.MODALITIES`."""
    while imported not in graph().modules:
        imported = imported.rpartition(".")[0]
    return imported


def closure(modules: set[str]) -> set[str]:
    """The modules, everything they import, and the packages above, whose code runs too."""
    modules = modules.union(*(graph().find_upstream_modules(module) for module in modules))
    parts = [module.split(".") for module in modules]
    return modules | {".".join(names[:n]) for names in parts for n in range(1, len(names))}


def loaded(room: str, stage: str, item: str | None) -> set[str]:
    """The modules that a stage loads from a room by name: that of its first argument, or all."""
    argument = stages()[stage]["cmd"].split()[3]
    if argument.startswith("-"):
        return graph().find_children(f"ifmmin.{room}")
    assert argument in ("${item.system}", "${item.kind}")
    return {f"ifmmin.{room}.{item}"}


def rooms_loaded(paths: list[Path]) -> set[str]:
    """The rooms from which files load by name: `load("systems", ...)`."""
    calls = (node for path in paths for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    return {
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) == "load" and call.args and isinstance(call.args[0], ast.Constant)
    }


def imported_files(stage: str, system: str | None) -> set[str]:
    """The code files that a stage runs; an empty `__init__.py` does not count."""
    direct = {known(module) for module in imports(script(stage)) if module.split(".")[0] == "ifmmin"}
    modules = closure(direct)
    for room in rooms_loaded([script(stage), *(file(module) for module in modules)]):
        modules |= closure({f"ifmmin.{room}"} | loaded(room, stage, system))
    paths = (file(module) for module in modules)
    files = {name(path) for path in paths if path.name != "__init__.py" or body(tree(path))}
    return ({name(script(stage))} | files) - COMPUTE_NOTHING


def code_deps(stage: str, system: str | None) -> set[str]:
    deps = (re.sub(r"\$\{item\.(system|kind)\}", str(system), dep) for dep in stages()[stage]["deps"])
    return {dep for dep in deps if dep.startswith(("ifmmin/", "stages/"))}


def as_dep(path: str, deps: set[str]) -> str:
    """The dep that covers a file: a folder above it, or the file."""
    return next((str(p) for p in Path(path).parents if str(p) in deps), path)


def cases() -> list[tuple[str, str | None]]:
    """Each stage, paired with each system (or kind of pretraining) for which it runs."""
    groups = {f"${{systems.{kind}}}": list(group) for kind, group in params()["systems"].items()}
    every = [system for group in groups.values() for system in group]
    pairs: list[tuple[str, str | None]] = []
    for stage, content in stages().items():
        matrix = content.get("matrix", {})
        if "kind" in matrix:
            pairs += [(stage, kind) for kind in params()["pretrainings"]]
            continue
        systems = groups.get(str(matrix["system"]), every) if "system" in matrix else [None]
        pairs += [(stage, system) for system in systems]
    return pairs


@pytest.mark.parametrize(("stage", "system"), cases(), ids=lambda value: value or "")
def test_deps_are_imports(stage, system):
    """A folder among the deps covers all of its files; at least one of them must be imported."""
    deps = code_deps(stage, system)

    imported = {as_dep(path, deps) for path in imported_files(stage, system)}

    assert sorted(imported - deps) == [], "imported but not a dep"
    assert sorted(deps - imported) == [], "a dep but not imported"


@pytest.mark.parametrize("stage", stages())
def test_code_deps_exist(stage):
    for system in {system for case, system in cases() if case == stage}:
        missing = [dep for dep in code_deps(stage, system) if not (ROOT / dep).exists()]

        assert missing == []


def test_only_one_module_loads_by_name_and_only_from_two_rooms():
    """test_deps_are_imports cannot see other imports by name.

    Stages do not run the supervisor, visual plug-ins or verbs.
    """
    others = {PACKAGE / f"{name}.py" for name in ("parallel/supervising", "media/visual", "cli/main")}
    loaders = {
        name(path)
        for path in {*SCRIPTS, *LIBRARY} - others
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("importlib.") in BY_NAME
    }

    assert loaders == {name(PACKAGE / "core/loading.py")}
    assert rooms_loaded(SCRIPTS + LIBRARY) == set(ROOMS_LOADED_BY_NAME)


def test_every_script_is_run_by_a_stage():
    assert {script(stage) for stage in stages()} == set(SCRIPTS)


def constants(path: Path) -> dict[str, tuple[str, ...]]:
    """Module constants that are tuples of strings, with starred items resolved."""
    tuples: dict[str, tuple[str, ...]] = {}
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            values: list[str] = []
            for item in node.value.elts:
                values += tuples[item.value.id] if isinstance(item, ast.Starred) else [ast.literal_eval(item)]
            tuples[node.targets[0].id] = tuple(values)
    return tuples


@pytest.mark.parametrize("stage", stages())
def test_params_of_a_stage_are_those_of_its_script(stage):
    assert stages()[stage].get("params", []) == list(constants(script(stage)).get("PARAMS", ()))


@pytest.mark.parametrize("path", sorted({script(stage) for stage in stages()}), ids=name)
def test_a_stage_reads_params_only_through_its_constant(path):
    reads = [
        ast.unparse(node)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.read"
    ]

    expected = ["params.read(args.params, *PARAMS)"] if "PARAMS" in constants(path) else []
    assert reads == expected


@pytest.mark.parametrize("stage", stages())
def test_params_of_a_stage_are_keys_of_params_yaml(stage):
    for key in stages()[stage].get("params", []):
        value = params()
        for part in key.split("."):
            assert part in value, f"{stage}: {key}"
            value = value[part]
