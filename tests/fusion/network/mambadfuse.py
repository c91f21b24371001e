"""A small MambaDFuse, and its definition written out token by token, by the names in its files."""

import torch
from torch.nn import functional

from fusion.network.mambadfuse import Architecture, MambaDFuse

BLOCKS = (2, 2, 3, 1)


def drawn(width=8, blocks=BLOCKS, scan="auto"):
    """All weights random, as nothing at its start value would show where it goes."""
    torch.manual_seed(0)
    network = MambaDFuse(Architecture(width=width, blocks=blocks), scan=scan)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def written_out(weights, blocks, ir, vis):
    """The network of [1, 1, H, W] images by its definition, without padding, in their dtype."""
    p = {key: value.to(ir.dtype) for key, value in weights.items()}
    height, width = ir.shape[2:]

    def conv(name, x, **options):
        return functional.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], padding=1, **options)

    def lrelu(x):
        return torch.where(x > 0, x, 0.2 * x)

    def norm(name, x):
        centred = x - x.mean(-1, keepdim=True)
        root = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / root * p[f"{name}.weight"] + p[f"{name}.bias"]

    def tokens(image):  # [1, C, H, W] to [L, C]
        return image[0].flatten(1).T

    def image(x):
        return x.T.view(1, -1, height, width)

    def scan(v, at, enter, suffix="", a="A_log"):
        x, z = (v @ p[f"{at}.{enter}.weight"].T).chunk(2, -1)
        taps, bias = p[f"{at}.conv1d{suffix}.weight"][:, 0], p[f"{at}.conv1d{suffix}.bias"]
        before = torch.cat((x.new_zeros(3, x.shape[1]), x))
        x = functional.silu(bias + sum(taps[:, j] * before[j : j + len(x)] for j in range(4)))
        decay = -p[f"{at}.{a}"].exp()  # [E, N]
        rank = p[f"{at}.dt_proj{suffix}.weight"].shape[1]
        d, b, c = (x @ p[f"{at}.x_proj{suffix}.weight"].T).split([rank, 16, 16], -1)
        step = d @ p[f"{at}.dt_proj{suffix}.weight"].T + p[f"{at}.dt_proj{suffix}.bias"]
        step, h, y = functional.softplus(step), torch.zeros_like(decay), []
        for t in range(len(x)):
            h = (step[t, :, None] * decay).exp() * h + (step[t] * x[t])[:, None] * b[t]
            y.append(h @ c[t] + p[f"{at}.D{suffix}"] * x[t])
        return torch.stack(y) * functional.silu(z)

    def mamba(v, at):
        return scan(v, at, "in_proj") @ p[f"{at}.out_proj.weight"].T

    def chain(x, name, count):
        r = torch.zeros_like(x)
        for i in range(count):
            r = x + r
            x = mamba(norm(f"{name}.{i}.norm.body", r), f"{name}.{i}.encoder")
        return x, r

    low = "low_level_feature_extraction"
    x = [tokens(lrelu(conv(f"{low}2", lrelu(conv(f"{low}1", i))))) for i in (ir, vis)]
    x = [norm("patch_embed.norm", part) for part in x]
    high = "high_level_feature_extraction"
    (x1, r1), (x2, r2) = (chain(x[i], f"{high}{i + 1}", blocks[0]) for i in range(2))
    for i in range(1, blocks[1] + 1):
        at = f"channel_exchange{i}"
        r1, r2 = x1 + r1, x2 + r2
        n1, n2 = norm(f"{at}.norm1.body", r1), norm(f"{at}.norm2.body", r2)
        e1, e2 = n1.clone(), n2.clone()
        e1[:, 0::2], e2[:, 0::2] = n2[:, 0::2], n1[:, 0::2]
        x1, x2 = mamba(e1, f"{at}.I1encoder"), mamba(e2, f"{at}.I2encoder")
    x1, x2 = image(x1), image(x2)
    g1 = conv("shallow_fusion1", torch.cat((x1, x2), 1)) + x1
    g2 = conv("shallow_fusion2", torch.cat((x2, g1), 1)) + x2
    t1, t2, f = (norm("patch_embed.norm", tokens(i)) for i in (g1, g2, (g1 + g2) / 2))
    r = torch.zeros_like(f)
    for i in range(1, blocks[2] + 1):
        at, inner = f"M3_block{i}", f"M3_block{i}.multi_modal_mamba_block"
        r = f + r
        u, v, w = (
            norm(f"{at}.norm{n}.body", norm(f"{at}.norm{n}.body", given))
            for n, given in ((1, r), (2, t2), (3, t1))
        )
        s = scan(u, inner, "in_proj") + scan(v, inner, "in_proj_extra1", "_b", "A_b_log")
        s = s + scan(w, inner, "in_proj_extra2", "_c", "A_b_log")
        q = s @ p[f"{inner}.out_proj.weight"].T
        f = tokens(conv(f"{at}.dwconv", image(q), groups=q.shape[1])) + q
    x, _ = chain(norm("patch_embed.norm", f), "feature_re", blocks[3])
    return conv("conv_last3", lrelu(conv("conv_last2", lrelu(conv("conv_last1", image(x))))))
