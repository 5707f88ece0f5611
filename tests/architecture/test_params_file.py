"""params.yaml states each value once, with its source."""

import re

from architecture.project import ROOT

SOURCE = re.compile(r"\b(paper|code|ours|demonstration|default)\b")


def unsourced(text: str) -> list[str]:
    """Lines with a value for which neither they nor a key above them say a source.

    A comment belongs to the line that it ends, or to the key that it stands directly above.
    """
    found, above, keys = [], "", []  # keys: indent and comment of each key that is open
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
        if has_value and not any(SOURCE.search(said) for _, said in keys):
            found.append(f"{number}: {line.strip()}")
    return found


def test_every_value_has_its_source_in_a_comment():
    """The words are those of the file's head: paper, code, ours (demonstration and default say whose)."""
    assert unsourced((ROOT / "params.yaml").read_text("utf-8")) == []


def test_a_value_without_a_source_is_seen():
    text = "# Of Adam.\nfit:\n  lr: 0.1  # paper\n  eps: 0.2  # small\n  betas:  # code\n    - 1\nseed: 0\n"

    assert unsourced(text) == ["4: eps: 0.2  # small", "7: seed: 0"]
