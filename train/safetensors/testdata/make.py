"""Writes reference.safetensors, and metadata.safetensors with text beside the arrays, with
the reference implementation (safetensors 0.8)."""
import os
import numpy as np
from safetensors.numpy import save_file

folder = os.path.dirname(os.path.abspath(__file__))
arrays = {
    "weight": np.array([[1.5, -2.25, 3e38], [0, -0.0, np.inf]], np.float32),
    "momentum": np.array([1e-300, np.pi], np.float64),
    "mask <&>": np.array([[0, 255, 7]], np.uint8),
    "rng": np.array([-2**63, 2**63 - 1], np.int64),
    "counts": np.array([-2**31, 5], np.int32),
    "frozen": np.array([True, False, True]),
    "epoch": np.array(17, np.int64),
    "empty": np.zeros((0, 4), np.float32),
}
save_file(arrays, os.path.join(folder, "reference.safetensors"))
save_file(arrays, os.path.join(folder, "metadata.safetensors"), {"trunk": "mobilenetv2 \"1.0\""})
