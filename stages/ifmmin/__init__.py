"""IF-MMIN, reproducible: a library of rooms, each of which knows those below it and none beside it.

    parallel
    entry | presets | training
    comparison | evaluating | marks | significance
    artifacts | averaging | batches | figures | indexing | media | pretrainings | synthesis | systems
    files | loading | nn | params | scoring | splitting
    errors | identifiers | schema | terms

The scripts beside this package are the stages of dvc.yaml; each reads files, calls the library, writes files.
"""
