"""Run mutmut and fail if the tests do not detect a mutation that equivalent.toml does not explain.

    nice -n 19 python tests/mutation/check.py

pyproject.toml, section tool.mutmut, lists the mutated modules and their tests. Uses one process and prints
the result after about 4 minutes. Then `mutmut browse` shows the mutations.
"""

import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUTMUT = Path(sys.executable).with_name("mutmut")
EXPLAINED = Path(__file__).with_name("equivalent.toml")
DETECTED = {"killed", "timeout"}


def main():
    """Mutate from scratch and compare with equivalent.toml; the exit status is 1 if they differ."""
    shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    mutmut("run", "--max-children", "1")
    statuses = dict(line.strip().split(": ") for line in mutmut("results", "--all", "true").splitlines())
    counts = ", ".join(f"{n} {status}" for status, n in Counter(statuses.values()).most_common())
    sys.stdout.write(f"{len(statuses)} mutations: {counts}\n")
    undetected = {change(name): name for name, status in statuses.items() if status not in DETECTED}
    explained = equivalents()
    problems = [
        f"{name}: {statuses[name]}, and {EXPLAINED.name} does not explain it:\n  - {before}\n  + {after}"
        for (function, before, after), name in undetected.items()
        if (function, before, after) not in explained
    ]
    problems += [
        f"{EXPLAINED.name} explains a mutation that is detected or no longer made; remove it:\n"
        f"  {function}\n  - {before}\n  + {after}"
        for function, before, after in explained - undetected.keys()
    ]
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return int(not statuses or bool(problems))


def mutmut(*arguments):
    """Return the output of a mutmut command; if it fails, end with its last lines."""
    done = subprocess.run(
        [MUTMUT, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        sys.exit("\n".join([*done.stdout.splitlines()[-60:], f"mutmut {arguments[0]}: see the lines above."]))
    return done.stdout


def change(name):
    """Function of a mutation, and its lines before and after. The number in its name is not stable."""
    lines = [line for line in mutmut("show", name).splitlines() if not line.startswith(("---", "+++"))]
    before, after = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return name.partition("__mutmut_")[0], before, after


def equivalents():
    """The mutations that equivalent.toml explains, as `change` returns them."""
    entries = tomllib.loads(EXPLAINED.read_text("utf-8"))["equivalent"]
    return {(entry["function"], entry["before"], after) for entry in entries for after in entry["after"]}


if __name__ == "__main__":
    sys.exit(main())
