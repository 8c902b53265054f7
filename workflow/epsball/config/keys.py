"""Keys of a configuration: types, bounds, defaults and meaning, each said once.

pydantic checks a file against these classes and makes the schema and the reference page from them. Objects built in
code are not checked: bounds are for what users write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, Strict
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from epsball.config import values

T = TypeVar("T")

Norm = Literal["l2", "linf"]
Noise = Literal["uniform", "sphere", "gaussian"]
Normaliser = Literal["global", "per-feature"]
Selection = Literal["all", "share", "each"]
# How each norm is written: on an axis, and in full.
NORMS: dict[Norm, tuple[str, str]] = {
    "l2": ("L2", "L2 norm, [0, 1] scale"),
    "linf": ("L∞, 8-bit levels", "L∞ norm, 8-bit levels"),
}
Attack = Literal["fgsm", "lbfgs", "deepfool", "aghdam", "ddn", "brendel_bethge"]
ATTACK_NAMES: tuple[Attack, ...] = get_args(Attack)
Device = Literal["auto", "cpu", "cuda", "mps"]

# Strict: 1 is no boolean. An integer can stand for a float; see `values.as_meant` for text that is a number.
Text = Annotated[str, Strict()]
FolderText = Annotated[Text, AfterValidator(values.path)]
FileText = Annotated[Text, AfterValidator(values.file)]
Boolean = Annotated[bool, Strict()]
Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Arguments = Annotated[Mapping[Text, Any], AfterValidator(values.arguments)]
Count = Annotated[Integer, Field(ge=1)]
Positive = Annotated[Number, Field(gt=0)]
Score = Annotated[Positive, Field(lt=1)]
FileName = Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


class _NotEmpty:
    """Mark a key that can be left out, but not be left empty."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner: CoreSchema = handler(source)["schema"]
        return inner


LeftOut = Annotated[T | None, _NotEmpty()]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise PydanticCustomError("repeated", "{name} is repeated", {"name": name})
    return names


Names = Annotated[tuple[Text, ...], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]


def _not_alone(names: tuple[str, ...]) -> tuple[str, ...]:
    if names == ("brendel_bethge",):
        raise PydanticCustomError("alone", "brendel_bethge goes on from what another attack has found; add one")
    return names


Attacks = Annotated[
    tuple[Attack, ...],
    AfterValidator(_distinct),
    AfterValidator(_not_alone),
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
]


def _key(description: str, **bounds: Any) -> Any:
    return Field(description=description, **bounds)


class _Keys:
    """Base of what is read from a file: unknown keys are mistakes."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Ball(_Keys):
    """Perturbations of Eq. 4 and 6. `radii` has 0 and epsilon before the configured radii, rising."""

    radii: tuple[float, ...]
    epsilon: Annotated[Positive, _key("The small radius of Eq. 4. The paper does not give it.")] = 0.1
    draws: Annotated[Integer, _key("T, the perturbations for each sample, radius and family.", ge=3, lt=2**32)] = 100
    norm: Annotated[Norm, _key("Norm of the radius: l2, on the [0, 1] scale, or linf, in 8-bit levels.")] = "l2"
    clip: Annotated[Boolean, _key("Whether perturbed images are clipped to [0, 1]. The paper does not clip.")] = False
    noise: Annotated[
        Noise,
        _key(
            "Distribution of the elements: uniform, U(-1, 1), as in Eq. 4; sphere, normal, scaled to the norm as those "
            "are; gaussian, normal with standard deviation r/√d, so that the L2 norm is r on average only."
        ),
    ] = "uniform"


@dataclass(frozen=True)
class Compute(_Keys):
    """How forward passes run; each of these can change float rounding."""

    batch: Annotated[Count, _key("Images in every forward pass. Another number changes float rounding.")] = 20
    threads: Annotated[Count, _key("CPU threads of a job. Another number changes float rounding.")] = 1
    device: Annotated[Device, _key("Where forward passes run; auto takes a GPU where there is one.")] = "auto"
    float64_draws: Annotated[Integer, _key("Draws that are computed in float64 too, for the noise floor.", ge=2)] = 4
    compile: Annotated[Boolean, _key("Whether CPU passes are compiled, by a C++ compiler. Changes rounding.")] = False


@dataclass(frozen=True)
class WhiteBox(_Keys):
    """How far white-box probes go: those that ask the network itself."""

    draws: Annotated[Integer, _key("Draws of each family and radius to look at, the first ones of T.", ge=3)] = 20
    layers: Annotated[
        Mapping[Text, Annotated[tuple[Text, ...], Field(min_length=1)]],
        _key("By network, the modules that depth measures; without it, its blocks in the order of a pass."),
    ] = field(default_factory=dict)
    layer_memory: Annotated[Count, _key("Megabytes that the layers measured in one pass may take.")] = 500
    power_iterations: Annotated[Count, _key("Power iterations, at most, for the norm of a Jacobian.")] = 100
    clever_batches: Annotated[Integer, _key("Batches of gradients; CLEVER fits the largest norm of each.", ge=3)] = 20
    clever_size: Annotated[Count, _key("Gradients in such a batch.")] = 10
    clever_radius: Annotated[Positive, _key("L2 radius of the ball that they are sampled in.")] = 1.0
    directions: Annotated[Count, _key("Random directions in which the decision boundary is searched.")] = 10
    attacks: Annotated[Attacks, _key("Attacks whose smallest distance is the adversarial one.")] = ATTACK_NAMES


@dataclass(frozen=True)
class TrainingSpec(_Keys):
    """How the workflow trains the network on its dataset's training split: AdamW under a one-cycle schedule."""

    epochs: Annotated[Count, _key("Passes over the training split.")] = 1
    batch: Annotated[Count, _key("Images in a step.")] = 16
    learning_rate: Annotated[Positive, _key("Peak of the one-cycle schedule.")] = 1e-3
    weight_decay: Annotated[Number, _key("Weight decay of AdamW.", ge=0)] = 1e-2
    label_smoothing: Annotated[Number, _key("Share of each label that is spread over all classes.", ge=0, lt=1)] = 0.0
    validation: Annotated[
        Number, _key("Share of the tracks, or of images without any, held out for the learning curve.", ge=0, lt=1)
    ] = 0.1
    augment: Annotated[Boolean, _key("Whether images are rotated, scaled, shifted and relit at random.")] = False
    gaussian_noise: Annotated[
        Number, _key("Standard deviation, on the [0, 1] scale, of noise that is added to each image.", ge=0)
    ] = 0.0
    adversarial_radius: Annotated[
        Number, _key("L2 radius, on the [0, 1] scale, in which each image is moved to where the loss is largest.", ge=0)
    ] = 0.0
    adversarial_steps: Annotated[Count, _key("Steps of that search; a training step costs so many more.")] = 3
    threads: Annotated[Count, _key("CPU threads of the training; another number trains another network.")] = 1
    seed: Annotated[
        LeftOut[Annotated[Integer, Field(ge=0, lt=2**63)]], _key("Seed of the training, in place of the run's.")
    ] = None


@dataclass(frozen=True)
class NetworkSpec(_Keys):
    """A network under study."""

    # No key that anyone would write: it is the name that the network stands under.
    name: SkipJsonSchema[Annotated[str, Field(default="", validation_alias="<name>")]]
    dataset: Annotated[Text, _key("Name of the dataset that the network classifies.")]
    factory: Annotated[
        Text,
        _key(
            "What builds the network: torchvision:<name>, timm:<name>, transformers:<folder or name>, "
            "torchscript:<file>, onnx:<file>, efficientnet-lite:0 (1, 2), sign:ciresan2012, sign:aghdam2015, or your "
            "own as path/to/file.py:function or package.module:function.",
            pattern="^.+:.+$",
        ),
        AfterValidator(values.file),
    ]
    args: Annotated[Arguments, _key("Keyword arguments of the factory.")] = field(default_factory=dict)
    weights: Annotated[LeftOut[FileText], _key("Path handed to the factory as weights=.")] = None
    layer: Annotated[
        LeftOut[Text],
        _key("Module whose output is Phi_L, by named_modules(); without it, what enters the classification layer."),
    ] = None
    training: Annotated[LeftOut[TrainingSpec], _key("How the workflow trains the network on its dataset.")] = None
    # Not in the repr, which digests are made of, either: they are names.
    factors: Annotated[
        Mapping[Text, Text], _key("In what it differs from others, by factor, such as training: adversarial.")
    ] = field(default_factory=dict, repr=False)
    # Not in the repr, which digests are made of: what is measured of a network does not change it.
    extra_probes: Annotated[LeftOut[Names], _key("Extra probes of this network, in place of the study's.")] = field(
        default=None, repr=False
    )
    controls: Annotated[LeftOut[Names], _key("Controls of this network, in place of the study's.")] = field(
        default=None, repr=False
    )


# Keys of a network, which are checked as those of each network that they become part of.
Part = Mapping[Text, Any]


@dataclass(frozen=True)
class Sweep(_Keys):
    """Networks by factors: one for each combination of their levels, called by these, joined with a dash."""

    factors: Annotated[
        Mapping[FileName, Annotated[Mapping[FileName, Part], Field(min_length=1)]],
        _key(
            "By factor, such as architecture, and by level, such as vgg: keys of networks that have it.", min_length=1
        ),
    ]
    common: Annotated[Part, _key("Keys that all networks have, unless a level sets them.")] = field(
        default_factory=dict
    )
    exclude: Annotated[
        tuple[Annotated[Mapping[Text, Text | tuple[Text, ...]], Field(min_length=1)], ...],
        _key("Combinations to leave out: levels, or lists of them, by factor."),
    ] = ()


class DatasetKeys(BaseModel):
    """Keys that datasets of every kind have. Each kind is a class, with its own keys, and an entry of `AnyDataset`."""

    model_config = ConfigDict(extra="forbid", defer_build=True)
    TRAINABLE: ClassVar[bool] = False  # whether it has a training split

    kind: str
    samples: LeftOut[Count] = Field(None, description="Samples wanted of this dataset.")
    threshold: LeftOut[Score] = Field(None, description="Threshold of this dataset.")
    limit: LeftOut[Count] = Field(None, description="Images of the pool to survey at most, evenly spaced.")
    selection: Selection = Field(
        "all",
        description="Images to take: all, of which every network is sure; share, of which a share of them is; each, "
        "for each network the first of which it is sure.",
    )
    share: Annotated[Number, Field(gt=0, le=1)] = Field(
        0.5, description="That share of the networks. A network is measured on the images of which it is sure itself."
    )
    balanced: Boolean = Field(
        False, description="Whether samples are spread over the classes, as far as there are any."
    )


Resize = Annotated[Count, _key("Length of the short side after resizing, in pixels.")]
Crop = Annotated[Count, _key("Side of the central square that is kept, in pixels.")]
Download = Annotated[Boolean, _key("Whether to download it where it is missing.")]


class Photographs(DatasetKeys):
    """The 20 labelled ImageNet photographs inside the foolbox package."""

    kind: Literal["photographs"]
    resize: Resize = 256
    crop: Crop = 224


class Signs(DatasetKeys):
    """Rendered traffic signs, 43 classes, 48 × 48, with a training and a held-out split."""

    TRAINABLE = True
    kind: Literal["signs"]
    train: Integer = Field(8000, ge=43, description="Images to train on.")
    test: Integer = Field(3000, ge=43, description="Held-out images: accuracy, survey, samples.")
    seed: Integer = Field(1, ge=0, description="Seed of the rendering.")


class Gtsrb(DatasetKeys):
    """The German Traffic Sign Recognition Benchmark, by torchvision: training tracks and labelled test frames."""

    TRAINABLE = True
    kind: Literal["gtsrb"]
    root: FolderText = Field(description="The folder that holds the folder gtsrb.")
    size: Count = Field(48, description="Side that frames are squeezed to, in pixels.")
    download: Download = False


class Imagenette(DatasetKeys):
    """Imagenette, by torchvision: the validation split, ten classes, labelled as ImageNet's 1000 outputs."""

    kind: Literal["imagenette"]
    root: FolderText = Field(description="The folder that holds imagenette2 (or imagenette2-320, imagenette2-160).")
    size: Literal["full", "320px", "160px"] = Field("full", description="Which of its sizes.")
    download: Download = False
    resize: Resize = 256
    crop: Crop = 224


class ImageFolder(DatasetKeys):
    """A folder of images for each class."""

    kind: Literal["imagefolder"]
    root: FolderText = Field(description="The folder that holds the classes' folders.")
    classes: LeftOut[FileText] = Field(
        None, description="File of class folders' names in the order of the outputs, one a line; else sorted names."
    )
    resize: LeftOut[Resize] = None
    crop: LeftOut[Crop] = None


class Arrays(DatasetKeys):
    """An .npz of images, uint8 (n, height, width, 3), and labels."""

    kind: Literal["arrays"]
    root: FileText = Field(description="The .npz file.")


class Torchvision(DatasetKeys):
    """An image classification dataset of torchvision, such as CIFAR10, in torchvision's own files."""

    TRAINABLE = True
    kind: Literal["torchvision"]
    name: Text = Field(description="Name of its class in torchvision.datasets.")
    root: FolderText = Field(description="The folder that the class is given as root=.")
    split: LeftOut[Text] = Field(None, description="Split to take samples from; else the test or validation split.")
    args: Arguments = Field({}, description="Further keyword arguments of the class.")
    download: Download = False
    resize: LeftOut[Resize] = None
    crop: LeftOut[Crop] = None


class UserDataset(DatasetKeys):
    """A function of your own that returns images and labels, or a dataset of (image, label)."""

    TRAINABLE = True
    kind: Literal["factory"]
    factory: FileText = Field(
        description="The function, as path/to/file.py:function or package.module:function.", pattern="^.+:.+$"
    )
    args: Arguments = Field({}, description="Keyword arguments of the function.")
    resize: LeftOut[Resize] = None
    crop: LeftOut[Crop] = None


class HuggingFace(DatasetKeys):
    """A dataset of the package datasets: a name on the Hugging Face hub, or a local folder."""

    TRAINABLE = True
    kind: Literal["huggingface"]
    name: FolderText = Field(description="Name on the hub, or a folder.")
    subset: LeftOut[Text] = Field(None, description="Name of one of its configurations.")
    split: LeftOut[Text] = Field(None, description="Split to take samples from; else the test or validation split.")
    image: LeftOut[Text] = Field(None, description="Column of the images; else the only one of that type.")
    label: LeftOut[Text] = Field(None, description="Column of the labels; else the only one of that type.")
    download: Download = False
    resize: LeftOut[Resize] = None
    crop: LeftOut[Crop] = None


AnyDataset = Photographs | Signs | Gtsrb | Imagenette | ImageFolder | Arrays | Torchvision | UserDataset | HuggingFace

KINDS: dict[str, type[DatasetKeys]] = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(AnyDataset)
}


@dataclass(frozen=True, kw_only=True)
class RunSettings(_Keys):
    """Keys of a run that are handed on as they are."""

    run: Annotated[FileName, _key("Name of the run: all its files are under results/<run>/.")] = "default"
    seed: Annotated[Integer, _key("Seed of the run; a sample's own depends on its pixels, too.", ge=0, lt=2**64)] = 2017
    shard_size: Annotated[Count, _key("Samples in a shard, the unit of a job and a store. Changes no number.")] = 25
    mantel_permutations: Annotated[Integer, _key("Permutations of the Mantel test.", ge=99)] = 999
    normaliser: Annotated[
        Normaliser, _key("g of Eq. 9 for the verdicts: global, one span of all features; per-feature, one for each.")
    ] = "global"
    extra_probes: Annotated[Names, _key("Probes to measure beside the paper's four.")] = ()
    controls: Annotated[Names, _key("Networks made from each network, to compare it with.")] = ()
    on_failure: Annotated[
        Literal["stop", "gap"],
        _key("What follows where an extra probe or a control cannot do a network: stop, or a gap that says why."),
    ] = "stop"
    # Not in the repr, which digests are made of: it changes no number by itself.
    other_versions: Annotated[
        Literal["stop", "redo", "mix"],
        _key(
            "What follows where results were made with other versions of packages that decide numbers: stop before "
            "anything is computed beside them, redo them, or mix, which the report says."
        ),
    ] = field(default="stop", repr=False)
    white_box: Annotated[WhiteBox, _key("How far probes go that ask the network.")] = field(default_factory=WhiteBox)
    illustration_grid: Annotated[Integer, _key("Points a side of the score plane of Fig. 2.", ge=3)] = 21
    keep_activations: Annotated[Boolean, _key("Whether stores of activations are kept once they are measured.")] = True


@dataclass(frozen=True, kw_only=True)
class ConfigFile(Compute, Ball, RunSettings):
    """Keys of a configuration file."""

    radii: Annotated[
        tuple[Positive, ...],
        _key("The radii of Eq. 4 beyond epsilon, rising. Radius 0, a check, and epsilon are added.", min_length=1),
    ] = tuple(range(1, 21))
    samples: Annotated[Count, _key("Samples for each dataset; a dataset may have its own number.")] = 300
    threshold: Annotated[
        Score, _key("Score of the right class that each sample exceeds in every network; a dataset may have its own.")
    ] = 0.99
    datasets: Annotated[
        dict[FileName, Annotated[AnyDataset, Field(discriminator="kind")]],
        _key("Sources of images, by name.", min_length=1),
    ]
    networks: Annotated[dict[FileName, NetworkSpec], _key("Networks under study, by name.", min_length=1)]
    sweeps: Annotated[
        dict[FileName, Sweep], _key("Networks by all combinations of some factors, beside those by name.")
    ] = field(default_factory=dict)
