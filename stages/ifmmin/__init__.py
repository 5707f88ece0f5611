"""IF-MMIN, reproducible: a library of rooms, each of which knows those below it and none beside it.

    inference | parallel
    entry | presets | training
    exporting | notes | reporting | robustness
    comparison | contrast | evaluating | marks
    significance
    artifacts | averaging | batches | costs | figures | indexing | media | planning | pretrainings |
        synthesis | systems
    calibration | files | hdf5 | loading | nn | params | project | scoring | splitting
    errors | identifiers | schema | terms

The scripts beside this package are the stages of dvc.yaml; each reads files, calls the library, writes files.
"""

import signal
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - before anything is imported that an older Python cannot read
    version = ".".join(map(str, sys.version_info[:2]))
    sys.exit("This is Python " + version + "; expected 3.11 or newer. Make the virtual environment with it.")

# Ctrl-C while a script loads its libraries ends it without a word; then ifmmin.entry hears it.
if Path(sys.argv[0]).parent.name == "stages" and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
