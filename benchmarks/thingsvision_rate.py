"""Images/s through thingsvision's extraction of the layer before the classifier, from tensors that are there already.

thingsvision pins other versions of PyTorch and NumPy than epsball's, so it needs an environment of its own:

    python3 -m venv other && other/bin/pip install thingsvision
    other/bin/python benchmarks/thingsvision_rate.py

To be set against the product of the columns "uniform ÷ bare" and "bare" of benchmarks/extract.py on the same machine.
It prints a row a network; weights are random, all cores are used, as by default.
"""

from __future__ import annotations

import time

import torch
from thingsvision import get_extractor

LAYERS = {"resnet50": "avgpool", "googlenet": "avgpool"}
BATCH, BATCHES = 32, 4  # its own default is 32

if __name__ == "__main__":
    for name, layer in LAYERS.items():
        extractor = get_extractor(model_name=name, source="torchvision", device="cpu", pretrained=False)
        batches = [torch.rand(BATCH, 3, 224, 224) for _ in range(BATCHES)]
        for _ in range(2):  # the first is a warm-up
            start = time.perf_counter()
            features = extractor.extract_features(
                batches=batches, module_name=layer, flatten_acts=True, output_type="ndarray"
            )
            seconds = time.perf_counter() - start
        print(f"{name}: {len(features) / seconds:.1f} images/s, features {features.shape}", flush=True)
