"""What a table shows, in three sentences: what ran, what differs significantly, and what does not. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ifmmin.core.terms import AVERAGE
from ifmmin.results import significance
from ifmmin.results.significance import LEVEL
from ifmmin.results.table1 import counted


def sentences(
    table: pd.DataFrame,
    tests: pd.DataFrame,
    corpus: Mapping[str, Any],
    names: Mapping[str, str],
    proposed: str,
) -> list[str]:
    """Sum up Table 1 and the primary tests, which compare the average UA.

    Args:
        table: Table 1.
        tests: result of `significance.compared`.
        corpus: name, classes and synthetic.
        names: system to display name; others keep their identifier.
        proposed: the proposed system.

    Returns:
        Sentences. For a synthetic corpus they compare no systems.
    """
    average = table[table["condition"] == AVERAGE].set_index("system")
    n = {thing: counted(average[f"n_{thing}s"].max(), thing) for thing in ("fold", "seed")}
    systems = counted(average["ua"].notna().sum(), "system")
    ran = f"Corpus: {corpus['name']}; {systems}, up to {n['fold']} and {n['seed']} per fold."
    ours = average["ua"].get(proposed, float("nan"))
    if pd.isna(ours):
        return [ran, f"{names.get(proposed, proposed)}, the proposed system, is not among them."]
    score = f"{names.get(proposed, proposed)} has an average UA of {100 * ours:.1f} %"
    if corpus["synthetic"]:
        chance = 100 / len(corpus["classes"])
        return [
            ran,
            f"{score}; chance is {chance:.1f} %.",
            "The corpus is synthetic, so differences between systems mean nothing.",
        ]
    primary = tests[significance.is_primary(tests)]
    tested = primary[primary["p_holm"].notna()]
    if tested.empty:
        reasons = "; ".join(dict.fromkeys(primary["note"]))
        return [ran, f"{score}.", f"No difference is tested: {reasons}."]
    differs, n_untested = tested["p_holm"] < LEVEL, len(primary) - len(tested)
    untested = f" {counted(n_untested, 'system')} could not be tested." if n_untested else ""
    return [
        ran,
        f"{score}. {_differing(tested[differs], names)}",
        _equal(tested[~differs], names) + untested,
    ]


def _differing(tests: pd.DataFrame, names: Mapping[str, str]) -> str:
    above, below = tests[tests["difference"] > 0], tests[tests["difference"] < 0]
    parts = [
        f"{word} than that of {_listed(rows, names)}"
        for word, rows in (("higher", above), ("lower", below))
        if len(rows)
    ]
    return (
        f"It is significantly {' and '.join(parts)} (Holm-corrected p < {LEVEL})."
        if parts
        else f"It does not differ significantly from any compared system (Holm-corrected p < {LEVEL})."
    )


def _equal(tests: pd.DataFrame, names: Mapping[str, str]) -> str:
    if tests.empty:
        return "Every tested difference is significant."
    detectable = 100 * tests["detectable"].max()
    return (
        f"It does not differ significantly from {_listed(tests, names)}; one test at {LEVEL} would have "
        f"detected a true difference of {detectable:.1f} points with a probability of {significance.POWER}."
    )


def _listed(tests: pd.DataFrame, names: Mapping[str, str]) -> str:
    parts: Sequence[str] = [
        f"{names.get(other, other)} ({100 * difference:+.1f} points)"
        for other, difference in zip(tests["other"], tests["difference"], strict=True)
    ]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
