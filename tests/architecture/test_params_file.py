"""Every value in params.yaml states its source."""

import re

from architecture.project import ROOT

SOURCE = re.compile(r"\b(paper|code|ours|demonstration|default)\b")


def unsourced(text: str) -> list[str]:
    """The lines with a value whose source is stated neither there nor at a key above.

    A comment belongs to its line or, if it has a line of its own, to the next key.
    """
    result, above, keys = [], "", []  # keys: indent and comment of each enclosing key
    for number, line in enumerate(text.splitlines(), 1):
        content, _, comment = line.partition("#")
        if not content.strip():
            above = f"{above} {comment}" if comment else ""
            continue
        indent = len(content) - len(content.lstrip())
        is_item = content.lstrip().startswith("- ")
        while keys and keys[-1][0] >= indent:
            keys.pop()
        keys.append((indent, f"{comment} {above}"))
        above = ""
        has_value = is_item or content.partition(":")[2].strip() not in ("", "{}")
        if has_value and not any(SOURCE.search(source) for _, source in keys):
            result.append(f"{number}: {line.strip()}")
    return result


def test_every_value_has_its_source_in_a_comment():
    """The words are explained at the top of params.yaml."""
    assert unsourced((ROOT / "params.yaml").read_text("utf-8")) == []


def test_a_value_without_a_source_is_detected():
    text = "# Of Adam.\nfit:\n  lr: 0.1  # paper\n  eps: 0.2  # small\n  betas:  # code\n    - 1\nseed: 0\n"

    assert unsourced(text) == ["4: eps: 0.2  # small", "7: seed: 0"]
