"""One number for all images: a bound of the features' Lipschitz constant, as a product over the layers.

After Szegedy et al. (2014, "Intriguing properties of neural networks", section 4.3): the constant of a composition is
at most the product of its parts'. Where branches meet, sums add up bounds and concatenations their squares.
"""

from __future__ import annotations

import contextlib
import io
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.export.graph_signature import InputKind
from torch.fx import Node
from torch.fx.node import map_arg

from epsball.errors import EpsballError
from epsball.networks.model import Network
from epsball.robustness.operation_bounds import Call, UnboundedError, Varying, Whole, bound, call, scale_of_batch_norm

_BATCH_NORMS = (torch.ops.aten._native_batch_norm_legit_no_training, torch.ops.aten.batch_norm)


class Step(NamedTuple):
    """One operation on the way to the features."""

    layer: str  #: the module that does it, by `named_modules()`; "" if there is none
    operation: str  #: its name in PyTorch
    norm: float  #: by what it multiplies the largest bound that enters it; nan where that is 0
    bound: float  #: of what leaves it


@dataclass(frozen=True)
class Bound:
    """A bound of a network's Lipschitz constant, from images to features, in Euclidean norms."""

    value: float  #: units of the features per unit of the [0, 1] scale; nan if there is no bound
    unavailable: str  #: why there is none, in one sentence; else ""
    by_layer: tuple[Step, ...]  #: the operations in their order, as far as they are known


@torch.no_grad()
def global_bound(network: Network, image_shape: tuple[int, int, int]) -> Bound:
    """Bound ‖Φ_L(x) - Φ_L(y)‖ / ‖x - y‖ of a network in eval mode, over all pairs of images (3, height, width).

    `torch.export` traces the network: its graph has few kinds of operations, no side effects, and includes hooks; what
    depends on the image's shape is settled in it, and what depends on its values cannot be traced. A convolution and
    the batch normalisation that alone follows it are one linear operation.
    """
    steps: list[Step] = []
    device = next((parameter.device for parameter in network.parameters()), None)
    network.find_classifier(torch.zeros(image_shape, device=device))  # before a trace, in which values are not known
    try:
        value = _features_bound(network, image_shape, steps)
    except UnboundedError as error:
        return Bound(math.nan, str(error), tuple(steps))
    if not math.isfinite(value):
        return Bound(math.nan, "the product over the layers is not finite", tuple(steps))
    return Bound(value, "", tuple(steps))


_COPIES = ("clone", "_to_copy")  # by which a network is kept from writing over its images


def _features_bound(network: Network, image_shape: tuple[int, int, int], steps: list[Step]) -> float:
    graph, values = _traced(network, image_shape)
    features = next(node for node in graph.nodes if node.op == "output").args[0][-1]
    if not isinstance(features, Node):
        return 0.0
    needed = {features}
    for node in reversed(graph.nodes):
        needed.update(node.all_input_nodes if node in needed else ())
    folded: set[Node] = set()
    for node in graph.nodes:
        if node in needed and node not in values:
            values[node] = _value(node, values, folded, steps)
    result = values[features]
    return result.bound if isinstance(result, Varying) else 0.0


def _traced(network: Network, image_shape: tuple[int, int, int]) -> tuple[torch.fx.Graph, dict[Node, Any]]:
    """Trace a network: return the graph of one image's logits and features, and the values of what enters it."""
    like = next((parameter for parameter in network.parameters() if parameter.is_floating_point()), torch.empty(0))
    image = like.new_zeros(1, *image_shape)
    try:
        with Whole(), contextlib.redirect_stderr(io.StringIO()):  # which it would show its code on
            program = torch.export.export(network, (image,), strict=False).run_decompositions({})
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), "")
        told = first if isinstance(error, EpsballError) else f"{type(error).__name__}: {first}"
        raise UnboundedError(f"the network cannot be traced ({told})") from error
    held = {**program.constants, **program.state_dict}
    entering = {
        spec.arg.name: Varying(1.0, image.shape) if spec.kind is InputKind.USER_INPUT else held[str(spec.target)].cpu()
        for spec in program.graph_signature.input_specs
    }
    nodes = program.graph.nodes
    return program.graph, {node: entering[node.name] for node in nodes if node.op == "placeholder"}


def _value(node: Node, values: Mapping[Node, Any], folded: set[Node], steps: list[Step]) -> Any:
    """Return the value of a node that is constant, and the bound of any other."""
    if node.op == "get_attr":
        return operator.attrgetter(str(node.target))(node.graph.owning_module)
    # The module that it belongs to, in the network's own names.
    stack = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    layer = stack[-1].removeprefix("module").removeprefix(".") if stack else ""
    where = f" in layer '{layer}'" if layer else ""
    args, kwargs = map_arg(node.args, values.__getitem__), map_arg(node.kwargs, values.__getitem__)
    entering = [value for value in map(values.__getitem__, node.all_input_nodes) if isinstance(value, Varying)]
    target: Any = node.target
    name = getattr(target, "overloadpacket", target).__name__
    if not entering:
        if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
            raise UnboundedError(f"no bound holds of the random operation '{name}'{where}")
        return target(*args, **kwargs)
    given = node.meta["val"]
    first = given[0] if isinstance(given, (list, tuple)) else given
    if not isinstance(first, Tensor) or not first.is_floating_point():
        raise UnboundedError(f"no bound is known of the operation '{name}'{where}: it gives no real numbers")
    if target is operator.getitem:
        return Varying(entering[0].bound, first.shape)
    if not isinstance(target, torch._ops.OpOverload):
        raise UnboundedError(f"no bound is known of the operation '{name}'{where}")
    made = call(target, args, kwargs, first.shape)
    try:
        result = _bound(node, made, values, folded)
    except EpsballError as error:
        raise UnboundedError(f"{error}{where}") from None
    most = max(value.bound for value in entering)
    if layer or name not in _COPIES:
        steps.append(Step(layer, name, result / most if most else math.nan, result))
    return Varying(result, first.shape)


def _bound(node: Node, made: Call, values: Mapping[Node, Any], folded: set[Node]) -> float:
    """Bound one operation, or a convolution with the batch normalisation that follows it."""
    if node in folded:
        return made.entering.bound
    if made.operation.overloadpacket is torch.ops.aten.conv2d and isinstance(made["weight"], Tensor):
        scale = _scale_after(node, values)
        if scale is not None:
            folded.update(node.users)
            weight = made["weight"].double() * scale[:, None, None, None]
            made = replace(made, arguments={**made.arguments, "weight": weight})
    return bound(made)


def _scale_after(node: Node, values: Mapping[Node, Any]) -> Tensor | None:
    """Return the scale of the batch normalisation that alone uses a node, if one does."""
    user = next(iter(node.users))
    if len(node.users) > 1 or getattr(user.target, "overloadpacket", None) not in _BATCH_NORMS:
        return None
    if user.args[0] is not node or any(x is not node and x not in values for x in user.all_input_nodes):
        return None
    arguments = map_arg(user.args, lambda x: None if x is node else values[x])
    made = call(user.target, arguments, user.kwargs, node.meta["val"].shape)
    # By the batch's own statistics, or by numbers that depend on the image, it is not linear.
    linear = not made.arguments.get("training", False) and isinstance(made["running_var"], Tensor)
    return scale_of_batch_norm(made) if linear and not isinstance(made["weight"], Varying) else None
