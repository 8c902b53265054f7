"""Image classifiers of the package transformers: `transformers:<folder or hub name>`, with their own normalisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from epsball.config import NetworkSpec
from epsball.errors import EpsballError
from epsball.networks import sources
from epsball.networks.file_contents import require_content
from epsball.networks.layers import normalise

TERMS = "those of its model card; the code is Apache 2.0"
PACKAGES = ("transformers",)
READS_FILES = True

_WEIGHTS = {".safetensors", ".bin"}


class _Classifier(nn.Module):
    """A model that takes pixel values and returns an object with logits, as a map from images to logits."""

    def __init__(self, model: nn.Module, order: list[int]) -> None:
        super().__init__()
        self.model = model
        self._order = order if order != sorted(order) else None

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (n, classes) of normalised images (n, 3, height, width)."""
        logits: Tensor = self.model(images if self._order is None else images[:, self._order]).logits
        return logits


def fetch(spec: NetworkSpec) -> Path | None:
    """See `epsball.networks.model.fetch`; transformers keeps its files in the Hugging Face cache."""
    _model(spec, pretrained=True)
    return None


def build(spec: NetworkSpec, pretrained: bool) -> nn.Module:
    """See `epsball.networks.model.build`. Arguments go to `from_pretrained`, such as `revision`.

    The normalisation is that of the image processor, which has to be in the same place. Images are resized and cropped
    by the dataset, not by it.
    """
    model = _model(spec, pretrained)
    mean, std, order = _normalisation(spec)
    return normalise(_Classifier(model.float(), order), mean, std)


def _model(spec: NetworkSpec, pretrained: bool) -> Any:
    transformers = sources.import_package("transformers")
    transformers.utils.logging.disable_progress_bar()
    name, auto = _place(spec), transformers.AutoModelForImageClassification
    for file in (path for path in sorted(Path(name).glob("*")) if path.suffix in _WEIGHTS):
        require_content(file, f"factory's file '{file}'")
    try:
        if not pretrained:
            return auto.from_config(transformers.AutoConfig.from_pretrained(name, **spec.args))
        model, info = auto.from_pretrained(name, output_loading_info=True, **spec.args)
    except Exception as error:  # the package and the readers below it have many
        raise EpsballError(f"factory '{spec.factory}' fails: {' '.join(str(error).split())[:300]}") from None
    for lacking in ("missing_keys", "mismatched_keys"):  # which transformers would leave random
        if found := sorted(map(str, info[lacking])):
            raise EpsballError(
                f"factory '{spec.factory}' has no weights for '{found[0]}' of {type(model).__name__}; give a model "
                "that was trained as an image classifier"
            )
    if model.config.problem_type == "multi_label_classification":
        raise EpsballError(
            f"factory '{spec.factory}' has several labels for an image (problem_type: multi_label_classification), "
            "expected one"
        )
    return model


def _place(spec: NetworkSpec) -> str:
    """Return the folder or the name on the hub.

    Raises:
        EpsballError: it looks like a folder, which does not exist.
    """
    name = spec.factory.split(":", 1)[1]
    if not Path(name).is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise EpsballError(f"factory '{spec.factory}': folder '{name}' does not exist; save the model there")
    return name


def _normalisation(spec: NetworkSpec) -> tuple[list[float], list[float], list[int]]:
    """Return mean and standard deviation of each channel, and the order of channels that the model wants.

    They are read off what the image processor does with images of one colour: some processors rescale, shift, normalise
    twice or take BGR by options of their own.

    Raises:
        EpsballError: there is no processor, or it does something else with colours.
    """
    transformers, place = sources.import_package("transformers"), _place(spec)
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(place, **spec.args)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise EpsballError(
            f"factory '{spec.factory}' has no image processor, which has the normalisation "
            f"({' '.join(str(error).split())[:150]}); save it there with processor.save_pretrained"
        ) from None

    def shown(*colour: int) -> Tensor:
        picture = torch.tensor(colour, dtype=torch.uint8).expand(64, 64, 3).numpy()
        values: Tensor = processor(images=picture, return_tensors="pt")["pixel_values"][0].double()
        return values[:, values.shape[1] // 2, values.shape[2] // 2]

    black = shown(0, 0, 0)
    change = torch.stack([shown(255, 0, 0), shown(0, 255, 0), shown(0, 0, 255)]) - black  # from channel to channel
    order, slopes = change.abs().argmax(0), change.abs().amax(1)
    expected = black + torch.tensor([50, 100, 200]).double() / 255 @ change
    if not torch.allclose(shown(50, 100, 200), expected, atol=1e-4) or len(set(order.tolist())) < 3:
        raise EpsballError(
            f"factory '{spec.factory}' has an image processor that does more to colours than scale them; write a "
            "factory of your own"
        )
    to = order.argsort()  # where each channel goes
    return (-black[to] / slopes).tolist(), (1 / slopes).tolist(), order.tolist()
