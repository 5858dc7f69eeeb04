"""Weights of torchvision's models for `pumice import`, and the scores that PyTorch gives with them.

    python torch_weights.py FOLDER

Writes for each model NAME.pth and NAME.safetensors, with random weights and statistics, and NAME.scores.safetensors with
`input` [N, H, W, C] of whole numbers from 0 to 255 as f32, and `scores`. Exits with 77 if a package is missing.
"""

import sys
from pathlib import Path

try:
    import torch
    import torchvision
    from safetensors.torch import save_file
except ImportError as e:
    print(f"{e.name} is missing")
    sys.exit(77)

torch.manual_seed(1)
folder = Path(sys.argv[1])
mean = torch.tensor([0.485, 0.456, 0.406])
std = torch.tensor([0.229, 0.224, 0.225])
models = {
    "resnet18": torchvision.models.resnet18(weights=None),
    "vgg16": torchvision.models.vgg16(weights=None),
    "squeezenet": torchvision.models.squeezenet1_1(weights=None),
    "mobilenet_v2": torchvision.models.mobilenet_v2(weights=None),
    "googlenet_bn": torchvision.models.googlenet(weights=None, init_weights=False),
    "ssd300_vgg16": torchvision.models.detection.ssd300_vgg16(weights=None, weights_backbone=None),
    "mask_rcnn_resnet50_fpn": torchvision.models.detection.maskrcnn_resnet50_fpn(weights=None, weights_backbone=None),
}
for name, network in models.items():
    # With 64 x 64 pixels the last map of VGG is 2 x 2, so that the order of the first dense layer's columns matters.
    if name == "vgg16":
        network.avgpool = torch.nn.Identity()
        network.classifier[0] = torch.nn.Linear(512 * 2 * 2, 4096)
    network.eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            torch.nn.init.normal_(module.bias, std=0.2)
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, std=0.1)
    # The auxiliary heads of GoogLeNet are made for the whole size.
    size = {"googlenet_bn": 224, "ssd300_vgg16": 300}.get(name, 64)
    pixels = torch.randint(0, 256, (1 if name == "ssd300_vgg16" else 10, size, size, 3))
    batch = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
    scores = torch.zeros(1)
    with torch.no_grad():
        if name == "ssd300_vgg16":  # what it says of each box, before boxes are chosen
            head = network.head(list(network.backbone(batch).values()))
            scores = torch.cat([head["bbox_regression"], head["cls_logits"]], 2)
        elif name != "mask_rcnn_resnet50_fpn":
            scores = network(batch)
    torch.save(network.state_dict(), folder / f"{name}.pth")
    save_file(network.state_dict(), folder / f"{name}.safetensors")
    save_file({"input": pixels.float().contiguous(), "scores": scores}, folder / f"{name}.scores.safetensors")
