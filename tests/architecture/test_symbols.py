"""The symbol table: docs/symbols.md shows it, ruff enforces it."""

import re
import tomllib

from architecture.project import ROOT


def table() -> set[str]:
    """Names with a capital in backticks in the table of docs/symbols.md; an index, `H_m[m]`, is left out.

    Lower-case names, `lambda1` or `h_prime`, may stand there too: ruff has nothing against those.
    """
    text = (ROOT / "docs/symbols.md").read_text("utf-8")
    section = re.search(r"^# Symbols$(.*)\Z", text, re.MULTILINE | re.DOTALL)
    assert section, "docs/symbols.md has no heading '# Symbols'"
    rows = "\n".join(line for line in section[1].splitlines() if line.startswith("|"))
    quoted = re.findall(r"`([A-Za-z_]\w*)(?:\[\w+\])?`", rows)
    return {symbol for symbol in quoted if symbol != symbol.lower()}


def test_symbols_of_the_docs_are_those_that_ruff_lets_pass():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    allowed = set(settings["tool"]["ruff"]["lint"]["pep8-naming"]["ignore-names"])

    assert table() == allowed, (
        f"only in the docs: {sorted(table() - allowed)}; only in pyproject: {sorted(allowed - table())}"
    )
