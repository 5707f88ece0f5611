"""The stages of dvc.yaml, each run as `python -m stages.<name>` from the repository's root.

Python then puts the working folder first on its path, so a stage imports the `ifmmin/` of its own checkout.
"""

import signal
import sys

import ifmmin  # noqa: F401 - checks the Python version

# While a stage loads its libraries, Ctrl-C ends it silently; after that, ifmmin.core.entry handles Ctrl-C.
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
