"""Muon for the matrices inside the layers (Jordan et al. 2024, step scaled as in Moonlight, arXiv 2502.16982), AdamW for everything else."""
import torch


def orthogonalise(m):
    """Newton-Schulz iteration: the nearest matrix with singular values near 1. m: [N, rows, columns]."""
    x = m.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.mT if tall else x


class Muon:
    """Matrices of one shape are updated together. A parameter [E, rows, columns] counts as E matrices, and parts splits its rows."""

    def __init__(self, parameters, momentum=0.95, weight_decay=0.05):
        self.momentum, self.weight_decay = momentum, weight_decay
        self.groups = {}
        for p, parts in parameters:
            rows, columns = p.shape[-2] // parts, p.shape[-1]
            self.groups.setdefault((rows, columns), []).append(p)
        self.buffers = {p: torch.zeros_like(p) for ps in self.groups.values() for p in ps}

    @torch.no_grad()
    def step(self, lr):
        for (rows, columns), ps in self.groups.items():
            grads, buffers = [p.grad for p in ps], [self.buffers[p] for p in ps]
            torch._foreach_lerp_(buffers, grads, 1 - self.momentum)
            nesterov = torch._foreach_lerp(grads, buffers, self.momentum)
            u = orthogonalise(torch.cat([g.reshape(-1, rows, columns) for g in nesterov])).float()
            u = u * (0.2 * max(rows, columns) ** 0.5)
            updates = [x.view_as(p) for x, p in zip(u.split([p.numel() // (rows * columns) for p in ps]), ps)]
            torch._foreach_mul_(ps, 1 - lr * self.weight_decay)
            torch._foreach_add_(ps, updates, alpha=-lr)


def optimizers(model):
    """Returns (Muon, AdamW) over all parameters of a Nano model."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        if "experts.gate_up_proj" in name:
            matrices.append((p, 2))
        elif p.ndim >= 2 and "embed" not in name and "lm_head" not in name and "mlp.gate.weight" not in name:
            matrices.append((p, 1))
        else:
            others.append(p)
    decay = [p for p in others if p.ndim == 2]
    plain = [p for p in others if p.ndim < 2]
    adam = torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], betas=(0.9, 0.98), eps=1e-9,
        fused=others[0].is_cuda,
    )
    return Muon(matrices), adam
