"""IF-MMIN, reproducible: a library of rooms, each of which knows those below it and none beside it.

    inference | parallel
    entry | presets | training
    exporting | notes | reporting | robustness
    comparison | contrast | evaluating | marks
    significance
    artifacts | averaging | batches | costs | figures | indexing | media | pretrainings | synthesis | systems
    calibration | files | hdf5 | loading | nn | params | scoring | splitting
    errors | identifiers | schema | terms

The scripts beside this package are the stages of dvc.yaml; each reads files, calls the library, writes files.
"""

import signal
import sys
from pathlib import Path

# Ctrl-C while a script loads its libraries ends it without a word; then ifmmin.entry hears it.
if Path(sys.argv[0]).parent.name == "stages" and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
