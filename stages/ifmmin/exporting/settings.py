"""What the header of a model's file says, in the forms that an export needs."""

from collections.abc import Mapping
from typing import Any

from ifmmin.errors import UserError
from ifmmin.terms import CONDITIONS, FULL, MODALITIES

SELF_CONTAINED = ("corpus", "scaling", "calibration")

NOTE = (
    "Inputs are unscaled: a, acoustic frames, is scaled by mean and std inside the model (units of the "
    "extractor; (x - mean) / std in float32), v and t are read as they are. Frames and tokens in order, "
    "zeros at the end of v and t cut off."
)


def given(header: Mapping[str, Any]) -> dict[str, Any]:
    """What the graph and its check need besides the system.

    Args:
        header: of the model's file.

    Returns:
        scaling: mean and std; temperatures: condition to temperature, of those that the system knows, in the
        order of Table 1.

    Raises:
        UserError: if the file does not hold all of it.
    """
    absent = [key for key in SELF_CONTAINED if key not in header]
    if absent:
        raise UserError(
            f"the model's header has no {', '.join(absent)}; expected what train writes today. Rerun train."
        )
    calibration = header["calibration"]
    return {
        "scaling": header["scaling"],
        "temperatures": {c: calibration[c]["temperature"] for c in (*CONDITIONS, FULL) if c in calibration},
    }


def sizes(header: Mapping[str, Any]) -> dict[str, int]:
    """Feature size D_m of each modality, in the order a, v, t."""
    start = header["start"]
    found = start["sizes"] if "sizes" in start else start["encoders"]["sizes"]
    return {m: found[m] for m in MODALITIES}


def config(header: Mapping[str, Any]) -> dict[str, Any]:
    """config.json: how to build the system, and what its answers mean."""
    classes = header["corpus"]["classes"]
    return {
        "model_type": "if-mmin",
        **{key: header[key] for key in ("system", "start", "build", "calibration")},
        "conditions": list(given(header)["temperatures"]),
        "id2label": {str(i): name for i, name in enumerate(classes)},
        "label2id": {name: i for i, name in enumerate(classes)},
        "extractors": header["corpus"].get("extractors", {}),
    }


def preprocessor(header: Mapping[str, Any]) -> dict[str, Any]:
    """preprocessor_config.json: what the frames have to be."""
    return {"feature_sizes": sizes(header), **header["scaling"], "note": NOTE}
