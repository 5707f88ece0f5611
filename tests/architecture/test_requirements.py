"""The requirements files pin exact versions of the packages in use, and no others."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from architecture.project import LIBRARY, ROOT, SCRIPTS, imports

CORE, DEV, MEDIA = "requirements.txt", "requirements-dev.txt", "requirements-media.txt"
DATA_ONLY = {"fer"}
"""Not imported: only its weights are read."""
TOOLS = {
    "alembic",
    "bokeh",
    "dvc-s3",
    "import-linter",
    "mkdocs-material",
    "mkdocstrings-python",
    "pytest-xdist",
    "moto",
    "mutmut",
    "mypy",
    "pandas-stubs",
    "ruff",
    "sqlalchemy",
    "tabulate",
    "types-PyYAML",
    "types-tqdm",
}


def lines(file: str = CORE) -> list[str]:
    text = (ROOT / file).read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "-c ", "-r "))]


def names(file: str = CORE) -> set[str]:
    return {re.match(r"[\w.-]+", line)[0] for line in lines(file)}


def installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


needs_media = pytest.mark.skipif(
    not all(map(installed, names(MEDIA))), reason=f"not every package of {MEDIA} is installed"
)


def imported(*paths: Path) -> set[str]:
    """The distributions that files import; without arguments, all files including docs and tests."""
    files = paths or [*SCRIPTS, *LIBRARY, *(ROOT / "docs").glob("*.py"), *(ROOT / "tests").rglob("*.py")]
    modules = {module.split(".")[0] for path in files for module in imports(path)}
    distributions = metadata.packages_distributions()
    return {
        name
        for module in modules - sys.stdlib_module_names - {"ifmmin"}
        for name in set(distributions.get(module, ()))
    }


def normal(distributions: set[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in distributions}


def test_every_requirement_is_imported_or_a_tool():
    assert normal(names()) - normal(TOOLS) - normal(imported(*SCRIPTS, *LIBRARY)) == set()
    assert normal(names(DEV)) - normal(TOOLS) - normal(imported()) == set()


def test_every_import_is_required():
    """A package that only another package installs today may be missing tomorrow."""
    media = normal(names(MEDIA))
    assert (
        normal(imported(*SCRIPTS, *LIBRARY)) - normal(names()) - media - allowed("tracking").keys() == set()
    )
    assert normal(imported()) - normal(names()) - normal(names(DEV)) - media == set()


def allowed(*groups: str) -> dict[str, SpecifierSet]:
    """Packages and allowed versions of groups of pyproject.toml: dependencies, or an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needs = {"dependencies": project["dependencies"], **project["optional-dependencies"]}
    requirements = map(Requirement, (need for group in groups for need in needs[group]))
    return {canonicalize_name(r.name): r.specifier for r in requirements}


def pins(file: str = CORE) -> dict[str, str]:
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in map(Requirement, lines(file))}


def test_dependencies_of_the_package_are_pinned_in_requirements():
    """pyproject.toml has the same packages as requirements.txt and allows the pinned versions."""
    wanted = allowed("dependencies", "cluster", "export")

    assert wanted.keys() == pins().keys()
    assert [name for name, version in pins().items() if version not in wanted[name]] == []


def test_the_packages_of_the_trackers_are_pinned_for_development():
    wanted, pinned = allowed("tracking"), pins(DEV)

    assert wanted.keys() <= pinned.keys()
    assert [name for name in wanted if pinned[name] not in wanted[name]] == []


def needs(name: str) -> set[str]:
    """The packages that a package requires on this machine, without extras."""
    requirements = map(Requirement, metadata.requires(name) or [])
    return {need.name for need in requirements if need.marker is None or need.marker.evaluate({"extra": ""})}


@needs_media
def test_every_media_requirement_is_imported_or_required_by_one():
    used = normal(imported()) | DATA_ONLY
    reached, pending = set(), normal(names(MEDIA)) & used
    while pending:
        reached |= pending
        running = pending - DATA_ONLY  # none of its code runs
        pending = normal({need for name in running for need in needs(name)}) & normal(names(MEDIA)) - reached

    assert normal(names(MEDIA)) - reached == set()


@needs_media
def test_media_and_core_requirements_are_complete_and_agree():
    """So --no-deps is safe: nothing is missing, and the core keeps its versions."""
    pins = {canonicalize_name(r.name): r for r in map(Requirement, lines(MEDIA))}
    core = {canonicalize_name(r.name): r.specifier for r in constraints()}

    needed = normal({need for name in pins if name not in DATA_ONLY for need in needs(name)})
    assert needed - pins.keys() - core.keys() == set()
    assert {name for name in pins.keys() & core.keys() if pins[name].specifier != core[name]} == set()
    assert {name for name, pin in pins.items() if metadata.version(name) not in pin.specifier} == set()


@pytest.mark.parametrize("file", [CORE, DEV, MEDIA])
def test_every_requirement_has_an_exact_version(file):
    loose = [line for line in lines(file) if not re.fullmatch(r"[\w.-]+(\[\w+\])?==\d[\w.+!-]*", line)]

    assert loose == []


def test_torch_has_the_version_that_made_the_lock():
    assert "torch==2.13.0" in lines()


def constraints() -> list[Requirement]:
    """The lines of constraints.txt whose markers apply to this platform."""
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins = [Requirement(line) for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    return [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]


def test_all_indirect_dependencies_are_pinned_as_installed():
    here = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in constraints()}

    pending, needed = [Requirement(line) for line in lines()], set()
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if (name, *requirement.extras) in needed:
            continue
        needed.add((name, *requirement.extras))
        for text in metadata.requires(name) or []:
            need = Requirement(text)
            if need.marker is None or any(
                need.marker.evaluate({"extra": e}) for e in ("", *requirement.extras)
            ):
                pending.append(need)
    versions = {name: metadata.version(name).partition("+")[0] for name, *_ in needed}

    assert len(versions) > 100
    assert {name: here.get(name) for name in versions} == versions
