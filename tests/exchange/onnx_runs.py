"""Runs ONNX files and compares their outputs with those of Pumice.

    python onnx_runs.py FOLDER

FOLDER holds NAME.onnx and NAME.safetensors: `input` [N, C, H, W] of values from 0 to 1, and for each head its output as
`output/HEAD`. Exits with 1 if a file is not sound, or an output differs by more than 1e-4 of its largest number; with 77
if a package is missing.
"""

import sys
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
    from safetensors.numpy import load_file
except ImportError as e:
    print(f"{e.name} is missing")
    sys.exit(77)

wrong = False
for file in sorted(Path(sys.argv[1]).glob("*.onnx")):
    onnx.checker.check_model(str(file), full_check=True)
    tensors = load_file(file.with_suffix(".safetensors"))
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    heads = [output.name for output in session.get_outputs()]
    expected = {name.removeprefix("output/"): t for name, t in tensors.items() if name.startswith("output/")}
    batch = tensors["input"]
    found = dict(zip(heads, session.run(heads, {"input": batch})))
    one = dict(zip(heads, session.run(heads, {"input": batch[:1]})))
    if not expected:
        print(f"{file.stem}: nothing to compare with")
        wrong = True
    for head, want in expected.items():
        got = found[head]
        if got.shape != want.shape or one[head].shape[0] != 1 or not np.abs(want).max() > 0:
            print(f"{file.stem}: {head} is {got.shape}, expected {want.shape}, not all zero")
            wrong = True
            continue
        error = np.abs(got - want).max() / max(1, np.abs(want).max())
        spread = want.std(axis=0).max() / np.abs(want).max()
        print(f"{file.stem}: {head} {got.shape} differs by {error:.2e}, samples by {spread:.2e}")
        wrong |= not error <= 1e-4
sys.exit(wrong)
