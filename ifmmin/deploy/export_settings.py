"""Settings of an export, taken from the header of a model file."""

from collections.abc import Mapping
from typing import Any

from ifmmin.core.errors import UserError
from ifmmin.core.terms import CONDITIONS, FULL, MODALITIES

REQUIRED_KEYS = ("corpus", "scaling", "calibration")

NOTE = (
    "Pass unscaled features, in the units of the extractor. The model standardises acoustic frames (a) as "
    "(x - mean) / std in float32; it uses v and t unchanged. Keep frames and tokens in order, and cut "
    "trailing all-zero rows of v and t."
)


def scaling_and_temperatures(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scaling and temperatures of the graph.

    Args:
        header: header of the model file.

    Returns:
        scaling: mean and std; temperatures: condition to temperature, for the conditions that the system
        supports, in the order of Table 1.

    Raises:
        UserError: if the header lacks one of them.
    """
    absent = [key for key in REQUIRED_KEYS if key not in header]
    if absent:
        raise UserError(
            f"the model's header has no {', '.join(absent)}; expected the current format. Rerun train."
        )
    calibration = header["calibration"]
    return {
        "scaling": header["scaling"],
        "temperatures": {c: calibration[c]["temperature"] for c in (*CONDITIONS, FULL) if c in calibration},
    }


def sizes(header: Mapping[str, Any]) -> dict[str, int]:
    """Return the feature size D_m of each modality, in the order a, v, t."""
    start = header["start"]
    by_modality = start["sizes"] if "sizes" in start else start["encoders"]["sizes"]
    return {m: by_modality[m] for m in MODALITIES}


def config(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return config.json: the settings of the system and the meaning of its outputs."""
    classes = header["corpus"]["classes"]
    return {
        "model_type": "if-mmin",
        **{key: header[key] for key in ("system", "start", "build", "calibration")},
        "conditions": list(scaling_and_temperatures(header)["temperatures"]),
        "id2label": {str(i): name for i, name in enumerate(classes)},
        "label2id": {name: i for i, name in enumerate(classes)},
        "extractors": header["corpus"].get("extractors", {}),
    }


def preprocessor(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return preprocessor_config.json: feature sizes and scaling of the input frames."""
    return {"feature_sizes": sizes(header), **header["scaling"], "note": NOTE}
