"""The contestants on PyTorch whose whole step, optimizers and all, is compiled as one (torch.func, torch.compile).

It takes 0.5 of the eager step's time, and 0.5 to 0.9 of that of a compiled forward and backward pass alone. The
optimizers are written out, since those of torch.optim want the gradients in the parameters. Parameters and moments are
changed in place.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value
from torch.nn.functional import cross_entropy

from bench.peers_torch import Batches, about, mlp
from bench.work import (
    ADAM_EPSILON,
    ADAM_RATE,
    BEST_ADAM_RATE,
    BEST_SGD_RATE,
    BETA_1,
    BETA_2,
    MUON_COEFFICIENTS,
    MUON_DECAY,
    MUON_MOMENTUM,
    MUON_RATE,
    MUON_RMS,
    MUON_STEPS,
    SGD_RATE,
    cosine,
    steps_of,
)
from bench.worker import Epoch

__all__ = ["about", "best", "step"]

Update = Callable[[Tensor, Tensor, tuple[Tensor, ...], Tensor], None]  # of a parameter, its gradient, moments, rate


def sgd(parameter: Tensor, gradient: Tensor, moments: tuple[Tensor, ...], rate: Tensor) -> None:
    """Without momentum."""
    parameter.sub_(rate * gradient)


def adam(parameter: Tensor, gradient: Tensor, moments: tuple[Tensor, ...], rate: Tensor) -> None:
    """rate: with the correction of the first steps."""
    mean, square = moments
    mean.add_((gradient - mean) * (1 - BETA_1))
    square.add_((gradient * gradient - square) * (1 - BETA_2))
    parameter.sub_(rate * mean / (square.sqrt() + ADAM_EPSILON))


def muon(parameter: Tensor, gradient: Tensor, moments: tuple[Tensor, ...], rate: Tensor) -> None:
    """In float32, as ours. parameter: (outputs, inputs), outputs being fewer."""
    (momentum,) = moments
    momentum.mul_(MUON_MOMENTUM).add_(gradient)
    x = gradient + MUON_MOMENTUM * momentum
    x = x / (torch.linalg.matrix_norm(x) + 1e-7)
    a, b, c = MUON_COEFFICIENTS
    for _ in range(MUON_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    parameter.mul_(1 - rate * MUON_DECAY).sub_(rate * MUON_RMS * max(x.shape) ** 0.5 * x)


MOMENTS: dict[Update, int] = {sgd: 0, adam: 2, muon: 1}


def _train(
    rules: Callable[[str, Tensor], tuple[Update, float]], images: np.ndarray, labels: np.ndarray, scheduled: bool
) -> Epoch:
    """rules: the update of a parameter by its name, and its rate."""
    model, batches = mlp(), Batches(images, labels)
    parameters = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    updates = {name: rules(name, parameter) for name, parameter in parameters.items()}
    moments = {
        name: tuple(torch.zeros_like(parameters[name]) for _ in range(MOMENTS[update]))
        for name, (update, _) in updates.items()
    }

    def loss_of(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = functional_call(model, parameters, (x,))
        return cross_entropy(logits, y), (logits.argmax(1) == y).sum()

    @torch.compile(dynamic=False, fullgraph=True)
    def step(x: Tensor, y: Tensor, share: Tensor, correction: Tensor) -> tuple[Tensor, Tensor]:
        gradients, (loss, correct) = grad_and_value(loss_of, has_aux=True)(parameters, x.float() * (1 / 255), y)
        for name, (update, rate) in updates.items():
            of_this = rate * share * correction if update is adam else rate * share
            update(parameters[name], gradients[name], moments[name], of_this)
        return loss, correct

    @torch.no_grad()
    def epoch(number: int) -> np.ndarray:
        steps = steps_of(len(images))
        count = np.arange((number - 1) * steps, number * steps) + 1
        corrections = torch.from_numpy(np.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)).float()
        shares = torch.from_numpy(cosine(number, steps)) if scheduled else torch.ones(steps)
        done = [step(x, y, shares[i], corrections[i]) for i, (x, y) in enumerate(batches)]
        torch.stack([correct for _, correct in done]).numpy()
        return torch.stack([loss for loss, _ in done]).numpy()

    return epoch


def step(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """The MLP."""
    return _train(
        lambda name, _: (sgd, SGD_RATE) if name.startswith("6.") else (adam, ADAM_RATE), images, labels, False
    )


def best(images: np.ndarray, labels: np.ndarray) -> Epoch:
    """best-mlp."""

    def rules(name: str, parameter: Tensor) -> tuple[Update, float]:
        if name.startswith("6."):  # the last layer
            return sgd, BEST_SGD_RATE
        return (muon, MUON_RATE) if parameter.ndim == 2 else (adam, BEST_ADAM_RATE)

    return _train(rules, images, labels, True)
