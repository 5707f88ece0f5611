"""The project's files for the architecture tests: read and parsed, never run."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = ROOT / "stages"
PACKAGE = ROOT / "ifmmin"

SCRIPTS = sorted(path for path in STAGES.glob("*.py") if path.name != "__init__.py")
LIBRARY = sorted(PACKAGE.rglob("*.py"))


def name(path: Path) -> str:
    """A path as in dvc.yaml; also the id of a parametrised test."""
    return path.relative_to(ROOT).as_posix()


@cache
def params() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


@cache
def stages() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def script(stage: str) -> Path:
    """The script that a stage runs: `python -m stages.<script> ...`."""
    python, m, module, *_ = stages()[stage]["cmd"].split()
    assert (python, m) == ("python", "-m"), stage
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def imports(path: Path) -> Iterator[str]:
    """All names that a file imports: `a.b` for `import a.b`, `a.b.c` for `from a.b import c`."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}:{node.lineno}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def body(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[ast.stmt]:
    """The statements of a module, function or class, without its docstring."""
    return node.body if ast.get_docstring(node, clean=False) is None else node.body[1:]


def files() -> list[Path]:
    """Every file that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / path for path in listed.stdout.split("\0") if (ROOT / path).is_file()]
