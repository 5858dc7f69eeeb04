"""ONNX files of PyTorch's exporter for `pumice import`, and the scores that PyTorch gives.

    python torch_onnx.py FOLDER

Writes for each model NAME.onnx, with random weights and statistics, and NAME.safetensors with `input` [N, C, H, W] and
`scores`. Exits with 77 if a package is missing.
"""

import sys
import warnings
from pathlib import Path

try:
    import onnx  # noqa: F401, which the exporter needs
    import torch
    import torchvision
    from safetensors.torch import save_file
except ImportError as e:
    print(f"{e.name} is missing")
    sys.exit(77)

warnings.simplefilter("ignore")
torch.manual_seed(1)
folder = Path(sys.argv[1])


class Lenet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = torch.nn.Conv2d(6, 16, 5)
        self.fc1 = torch.nn.Linear(400, 84)
        self.fc2 = torch.nn.Linear(84, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = torch.nn.functional.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.relu(self.fc1(x.view(x.size(0), -1)))
        return torch.softmax(self.fc2(x), 1)


models = {
    "lenet": (Lenet(), (1, 28, 28), 9),
    "resnet18": (torchvision.models.resnet18(weights=None), (3, 64, 64), 17),
    "mobilenet_v2": (torchvision.models.mobilenet_v2(weights=None), (3, 64, 64), 13),
    "squeezenet": (torchvision.models.squeezenet1_1(weights=None), (3, 64, 64), 11),
}
for name, (network, shape, opset) in models.items():
    network.eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    x = torch.rand(3, *shape)
    with torch.no_grad():
        scores = network(x)
    names = {"input_names": ["input"], "output_names": ["scores"], "dynamic_axes": {"input": {0: "n"}, "scores": {0: "n"}}}
    file = folder / f"{name}.onnx"
    torch.onnx.export(network, (x[:1],), str(file), dynamo=False, opset_version=opset, **names)
    save_file({"input": x, "scores": scores.contiguous()}, folder / f"{name}.safetensors")
