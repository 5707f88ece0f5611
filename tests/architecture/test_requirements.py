"""requirements.txt: exact versions of what is used, and nothing else."""

import re
import sys
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from architecture.project import LIBRARY, ROOT, SCRIPTS, imports

TOOLS = {
    "bokeh",
    "dvc-s3",
    "import-linter",
    "moto",
    "mypy",
    "pandas-stubs",
    "ruff",
    "types-PyYAML",
    "types-tqdm",
}


def lines() -> list[str]:
    text = (ROOT / "requirements.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "-c "))]


def names() -> set[str]:
    return {re.match(r"[\w.-]+", line)[0] for line in lines()}


def imported() -> set[str]:
    """Names that the package index knows of what stages/ and tests/ import."""
    tests = (ROOT / "tests").rglob("*.py")
    modules = {module.split(".")[0] for path in [*SCRIPTS, *LIBRARY, *tests] for module in imports(path)}
    distributions = metadata.packages_distributions()
    return {
        name for module in modules - sys.stdlib_module_names for name in set(distributions.get(module, ()))
    }


def normal(distributions: set[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in distributions}


def test_every_requirement_is_imported_or_a_tool():
    assert normal(names()) - normal(TOOLS) - normal(imported()) == set()


def test_every_import_is_required():
    """What comes along with another package today may not come along tomorrow."""
    assert normal(imported()) - normal(names()) == set()


def test_every_requirement_has_its_exact_version():
    loose = [line for line in lines() if not re.fullmatch(r"[\w.-]+(\[\w+\])?==\d[\w.+!-]*", line)]

    assert loose == []


def test_torch_is_the_one_that_made_the_lock():
    assert "torch==2.13.0" in lines()


def test_everything_that_the_requirements_bring_along_is_pinned_as_it_is_installed():
    """constraints.txt holds for every platform: a line counts where its marker does."""
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins = [Requirement(line) for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    here = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }

    open_, needed = [Requirement(line) for line in lines()], set()
    while open_:
        requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in needed:
            continue
        needed.add((name, *requirement.extras))
        for text in metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is None or any(
                need.marker.evaluate({"extra": e}) for e in ("", *requirement.extras)
            ):
                open_.append(need)
    installed = {name: metadata.version(name).partition("+")[0] for name, *_ in needed}

    assert len(installed) > 100
    assert {name: here.get(name) for name in installed} == installed
