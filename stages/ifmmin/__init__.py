"""IF-MMIN, reproducible: a library of rooms with one direction of knowledge.

terms < files, params < artifacts | splitting, scoring, corpora | nn < pretrainings, systems | batches <
training < figures. The scripts beside this package are the stages of dvc.yaml; each reads files, calls one
function, writes files.
"""
