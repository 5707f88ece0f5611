"""The symbols of docs/symbols.md are those that ruff allows."""

import re
import tomllib

from architecture.project import ROOT


def table() -> set[str]:
    """Names with a capital in backticks in the table of docs/symbols.md, without an index such as `[m]`.

    Lower-case names such as `lambda1` are left out, since ruff allows them anyway.
    """
    text = (ROOT / "docs/symbols.md").read_text("utf-8")
    section = re.search(r"^# Symbols$(.*)\Z", text, re.MULTILINE | re.DOTALL)
    assert section, "docs/symbols.md has no heading '# Symbols'"
    rows = "\n".join(line for line in section[1].splitlines() if line.startswith("|"))
    quoted = re.findall(r"`([A-Za-z_]\w*)(?:\[\w+\])?`", rows)
    return {symbol for symbol in quoted if symbol != symbol.lower()}


def test_symbols_of_the_docs_are_those_that_ruff_allows():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    allowed = set(settings["tool"]["ruff"]["lint"]["pep8-naming"]["ignore-names"])

    assert table() == allowed, (
        f"only in the docs: {sorted(table() - allowed)}; only in pyproject: {sorted(allowed - table())}"
    )
