"""A normal approximation of p(z|x) for each sample, found by Gauss-Newton steps to its mode."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus._chunks import chunks
from isthmus._distributions import LatentDistribution, WhitenedGaussian
from isthmus.evaluation._derivatives import gradient, gradient_and_hessian, hessian_products, jacobian
from isthmus.evaluation._proposals import from_prior
from isthmus.evaluation._rows import Rows
from isthmus.model import Model

__all__ = ["best_code", "climb", "codes_of_prior", "laplace_approximation", "numbers_per_row"]

_N_STARTS = 16  # codes among which a start is looked for
_N_STEPS = 8
_LENGTHS = (1.0, 0.5, 0.2, 0.05)  # of a step; the one with the largest log p(x, z) is taken
_CONVERGED = 0.03  # nats that a step promises: it is the last one, as the curvature hardly changes
_LEAST_PRECISION = 1e-3  # in directions in which log p(x, z) is not concave
_BUDGET = 1 << 22  # numbers in the widest tensor


@torch.no_grad()
def laplace_approximation(
    model: Model, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None, *, n_steps: int = _N_STEPS
) -> LatentDistribution:
    r"""Return a normal distribution that approximates p(z|x), for each sample: at its mode, with its curvature.

    .. math:: N(z; \hat z, H^{-1}), \qquad \hat z = \mathrm{argmax}_z \log p(x|z) + \log p(z)

    .. math:: H = J^\top F J - \nabla^2 \log p(z)

    where J is the Jacobian of the decoder's outputs h, and F minus the Hessian of log p(x|h). The mode is found by
    Gauss-Newton steps with the matrix H, shortened where log p(x, z) would fall, from the mean of q(z|x) or from a
    draw of the prior, if log p(x, z) is larger there. Missing cells are left out of p(x|z), whether the encoder was
    trained with them or not.

    For a linear decoder with a Gaussian likelihood and a normal prior it is the posterior itself.

    Parameters
    ----------
    model : Model
        The model.
    x : Tensor of shape (N, D)
        Samples in the model's units, finite also where a cell is missing.
    c : Tensor of shape (N, C), optional
        Conditions.
    mask : Tensor of shape (N, D), optional
        1 where a cell was observed.
    n_steps : int, default=8
        Maximum number of steps. Each costs about K + 5 passes through the decoder; two to four are usually enough.

    Returns
    -------
    LatentDistribution
        Of batch shape (N,); a sample's distribution does not depend on the other samples.

    References
    ----------
    Tierney & Kadane (1986), Accurate Approximations for Posterior Moments and Marginal Densities; Kim et al. (2018),
    Semi-Amortized Variational Autoencoders; Park, Kim & Kim (2019), Variational Laplace Autoencoders.

    Examples
    --------
    >>> from isthmus import VAE
    >>> from isthmus.training import Trainer
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> model = VAE(2, max_epochs=1, random_state=0, trainer=Trainer(precision="float64")).fit(X).model_
    >>> q = laplace_approximation(model, model.scaling(torch.from_numpy(X)))
    >>> q.mean.shape
    torch.Size([150, 2])
    """
    k = model.network.sizes.n_components
    mean, root = x.new_zeros(len(x), k), x.new_zeros(len(x), k, k)
    everything = Rows(model, x, c, mask).with_prior()
    for part in chunks(len(x), numbers_per_row(model, _N_STARTS), _BUDGET):
        rows = everything.take(part)
        z = codes_of_prior(rows, _N_STARTS)
        mean[part], root[part] = climb(rows, best_code(z, rows.log_joint(z))[0], n_steps)
    return WhitenedGaussian(mean, root.mT, upper=True)


def numbers_per_row(model: Model, n_starts: int) -> int:
    """Return how many numbers the largest tensors hold for each sample."""
    return 2 * max(model.network.sizes.n_components, n_starts) * model.numbers_per_row


def codes_of_prior(rows: Rows, n: int) -> Tensor:
    """Return the mean of q(z|x), and `n` draws from the prior that fill space evenly: (n + 1, N, K)."""
    mean = rows.encode().mean
    uniform = torch.quasirandom.SobolEngine(mean.shape[-1], scramble=True, seed=0).draw(n, dtype=torch.float64)
    noise = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6)).to(mean).unsqueeze(1)
    return torch.cat([mean.unsqueeze(0), from_prior(rows.p_z(), noise.expand(-1, *mean.shape))])


def best_code(z: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes (N, K) of the largest values among (A, N, K) and (A, N), and these values (N,)."""
    highest, index = value.max(0)
    return z.take_along_dim(index.reshape(1, -1, 1), 0)[0], highest


def climb(rows: Rows, z: Tensor, n_steps: int = _N_STEPS) -> tuple[Tensor, Tensor]:
    """Return the modes (N, K) that steps from `z` lead to, and Cholesky factors of the precisions there (N, K, K)."""
    z, value, root = z.clone(), rows.log_joint(z), z.new_zeros(*z.shape, z.shape[-1])
    lengths = z.new_tensor(_LENGTHS).reshape(-1, 1, 1)
    active = torch.arange(len(z), device=z.device)
    for step_left in range(n_steps, -1, -1):
        gradient, precision = _expansion(rows.take(active), z[active])
        factor = _cholesky(precision)
        root[active] = factor.to(root)
        step = torch.cholesky_solve(gradient.unsqueeze(-1), factor).squeeze(-1)
        promise = 0.5 * (gradient * step).sum(-1)
        last = (promise <= _CONVERGED).nonzero().squeeze(1)
        z[active[last]] += step[last].to(z)
        moving = (promise > _CONVERGED).nonzero().squeeze(1)
        if not step_left or not len(moving):
            break
        active = active[moving]
        tries = z[active] + lengths * step[moving].to(z)
        new, highest = best_code(tries, rows.take(active).log_joint(tries))
        higher = (highest > value[active]).nonzero().squeeze(1)
        active = active[higher]
        z[active], value[active] = new[higher], highest[higher]
        if not len(active):  # distributions of torch take no samples of length 0
            break
    return z, root


def _expansion(rows: Rows, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient (N, K) of log p(x, z), and the Gauss-Newton approximation (N, K, K) of minus its Hessian."""
    likelihood, mask = rows.model.likelihood, rows.mask
    x = rows.x if mask is None else likelihood.fill_missing(rows.x, mask)

    def observed(cells: Tensor) -> Tensor:
        return cells if mask is None else cells.masked_fill(mask == 0, 0.0)

    h, slopes = jacobian(lambda codes: rows.model.decode(codes, rows.c), z)
    along = gradient(lambda h: observed(likelihood.log_prob(h, x)), h)
    curved = hessian_products(lambda h: observed(likelihood.smooth_log_prob(h, x)), h, slopes)
    prior_gradient, prior_hessian = gradient_and_hessian(rows.p_z(), z)
    precision = -torch.einsum("kno,lno->nkl", slopes, curved) - prior_hessian
    return (
        (torch.einsum("kno,no->nk", slopes, along) + prior_gradient).double(),
        (0.5 * (precision + precision.mT)).double(),
    )


def _cholesky(precision: Tensor) -> Tensor:
    """Return Cholesky factors (N, K, K), with the absolute values of eigenvalues that are negative."""
    root, info = torch.linalg.cholesky_ex(precision)
    rows = (info != 0).nonzero().squeeze(1)
    if len(rows):
        values, vectors = torch.linalg.eigh(precision[rows].nan_to_num(0.0, 0.0, 0.0))
        fixed = vectors * values.abs().clamp_min(_LEAST_PRECISION).unsqueeze(-2) @ vectors.mT
        root[rows] = torch.linalg.cholesky(fixed)
    return root
