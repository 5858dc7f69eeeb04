"""Reads event files with TensorBoard's own reader.

    python tensorboard_reads.py FOLDER

FOLDER holds event files and `metrics.jsonl` of the same run. Exits with 1 if what is read is not what was written; with 77
if a package is missing.
"""

import io
import json
import sys
from pathlib import Path

try:
    from PIL import Image
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as e:
    print(f"{e.name} is missing")
    sys.exit(77)

folder = Path(sys.argv[1])
board = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "images": 0, "tensors": 0})
board.Reload()
tags = board.Tags()
epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def scalars(tag):
    return [(event.step, event.value) for event in board.Scalars(tag)]


def close(found, wanted):
    assert len(found) == len(wanted), (found, wanted)
    for (step, value), (own, want) in zip(found, wanted):
        assert step == own and abs(value - want) <= 1e-6 * abs(want) + 1e-9, (found, wanted)


close(scalars("train/loss"), [(e["step"], e["train_loss"]) for e in epochs])
close(scalars("validation/accuracy"), [(e["step"], e["val_accuracy"]) for e in epochs])
assert len(scalars("step/loss")) > 1 and len(scalars("step/learning_rate")) > 1, tags

weight = board.Histograms("weights/stem.weight")
assert [event.step for event in weight] == [e["step"] for e in epochs]
for event in weight:
    histogram = event.histogram_value
    assert histogram.num == sum(histogram.bucket) == 5 * 3 * 3, histogram
    assert histogram.min < histogram.max and abs(histogram.bucket_limit[-1] - histogram.max) < 1e-6, histogram
    assert 0 < histogram.sum_squares < 45, histogram

for tag in ["samples", "filters"]:
    event = board.Images(tag)[-1]
    picture = Image.open(io.BytesIO(event.encoded_image_string))
    assert picture.size == (event.width, event.height) and min(picture.size) > 8, (tag, picture.size)
print("TensorBoard reads:", {kind: len(found) for kind, found in tags.items() if isinstance(found, list)})
