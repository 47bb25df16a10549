"""The network of longsight-tiny: Qwen3-VL's architecture, written for training many short clips on a CPU.

Parameter names are those of transformers' Qwen3VLForConditionalGeneration, so the state dict is the checkpoint.
Two things differ from transformers in form, not in value: the vision tower runs over all temporal patches of a
batch at once, and the language model takes several questions behind one clip (see `pack` in data.py).
`export.py --check` holds both to transformers' own numbers.
"""
import torch
from torch import nn
from torch.nn import functional as F

PATCH, MERGE, TEMPORAL = 16, 2, 2

# Up to so many tokens attention is written out: with a mask, PyTorch's fused attention is slower than that on a CPU. Beyond, the
# scores of all layers would take gigabytes.
WRITTEN_OUT = 2048

CONFIG = {
    "vision": dict(depth=3, hidden_size=160, intermediate_size=480, num_heads=5, num_position_embeddings=36,
                   deepstack_visual_indexes=[1], out_hidden_size=256),
    "text": dict(hidden_size=256, intermediate_size=512, num_hidden_layers=6, num_attention_heads=4,
                 num_key_value_heads=2, head_dim=64, rms_norm_eps=1e-6, rope_theta=100000.0, mrope_section=[12, 10, 10]),
}


def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


def rotate(x, cos, sin):
    return x * cos + rotate_half(x) * sin


class RMSNorm(nn.Module):
    def __init__(self, size, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(size)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps).to(x.dtype)


class VisionAttention(nn.Module):
    def __init__(self, size, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x, cos, sin):
        n, p, c = x.shape
        q, k, v = self.qkv(x).view(n, p, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype), v)
        return self.proj(out.transpose(1, 2).reshape(n, p, c))


class VisionMlp(nn.Module):
    def __init__(self, size, inner):
        super().__init__()
        self.linear_fc1, self.linear_fc2 = nn.Linear(size, inner), nn.Linear(inner, size)

    def forward(self, x):
        return self.linear_fc2(F.gelu(self.linear_fc1(x), approximate="tanh"))


class VisionBlock(nn.Module):
    def __init__(self, size, inner, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size, eps=1e-6), nn.LayerNorm(size, eps=1e-6)
        self.attn, self.mlp = VisionAttention(size, heads), VisionMlp(size, inner)

    def forward(self, x, cos, sin):
        x = x + self.attn(self.norm1(x), cos, sin)
        return x + self.mlp(self.norm2(x))


class Merger(nn.Module):
    def __init__(self, size, out, after_shuffle):
        super().__init__()
        wide = size * MERGE * MERGE
        self.wide, self.after_shuffle = wide, after_shuffle
        self.norm = nn.LayerNorm(wide if after_shuffle else size, eps=1e-6)
        self.linear_fc1, self.linear_fc2 = nn.Linear(wide, wide), nn.Linear(wide, out)

    def forward(self, x):
        n = x.shape[0]
        x = self.norm(x.reshape(n, -1, self.wide)) if self.after_shuffle else self.norm(x).reshape(n, -1, self.wide)
        return self.linear_fc2(F.gelu(self.linear_fc1(x)))


class PatchEmbed(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.proj = nn.Conv3d(3, size, (TEMPORAL, PATCH, PATCH), (TEMPORAL, PATCH, PATCH))

    def forward(self, x):
        return F.linear(x, self.proj.weight.flatten(1), self.proj.bias)


class Visual(nn.Module):
    """u8 pixels [n, 2, height, width, 3] -> visual tokens [n, height / 32 * width / 32, hidden] and one such tensor per DeepStack layer."""

    def __init__(self, cfg):
        super().__init__()
        size, self.taps = cfg["hidden_size"], cfg["deepstack_visual_indexes"]
        self.patch_embed = PatchEmbed(size)
        self.pos_embed = nn.Embedding(cfg["num_position_embeddings"], size)
        self.blocks = nn.ModuleList(VisionBlock(size, cfg["intermediate_size"], cfg["num_heads"]) for _ in range(cfg["depth"]))
        self.merger = Merger(size, cfg["out_hidden_size"], False)
        self.deepstack_merger_list = nn.ModuleList(Merger(size, cfg["out_hidden_size"], True) for _ in self.taps)
        self.side = int(cfg["num_position_embeddings"] ** 0.5)
        quarter = size // cfg["num_heads"] // 2
        self.register_buffer("freq", 1.0 / 10000.0 ** (torch.arange(0, quarter, 2).float() / quarter), persistent=False)

    def turns(self, rows, columns):
        """Cosines and sines [patches, dim] of every patch's rotation."""
        grid = torch.meshgrid(torch.arange(rows, device=self.freq.device), torch.arange(columns, device=self.freq.device), indexing="ij")
        angle = torch.cat([patch_order(axis)[:, None] * self.freq for axis in grid], -1)
        angle = torch.cat([angle, angle], -1)
        return angle.cos(), angle.sin()

    def places(self, rows, columns):
        """The table of positions stretched over a picture, between its points linearly: [patches, size]."""
        table = self.pos_embed.weight.T.view(1, -1, self.side, self.side)
        if (rows, columns) != (self.side, self.side):
            table = F.interpolate(table, (rows, columns), mode="bilinear", align_corners=True)
        return table[0].flatten(1).T[patch_order(torch.arange(rows * columns, device=table.device).view(rows, columns))]

    def forward(self, pixels):
        rows, columns = pixels.shape[2] // PATCH, pixels.shape[3] // PATCH
        x = self.patch_embed(patches(pixels)) + self.places(rows, columns)
        (cos, sin), deep = self.turns(rows, columns), []
        for i, block in enumerate(self.blocks):
            x = block(x, cos, sin)
            if i in self.taps:
                deep.append(self.deepstack_merger_list[self.taps.index(i)](x))
        return self.merger(x), deep


def patch_order(grid):
    """[rows, cols] -> flat, the 2 x 2 patches that merge into one token standing together."""
    r, c = grid.shape
    return grid.view(r // MERGE, MERGE, c // MERGE, MERGE).permute(0, 2, 1, 3).reshape(-1)


def patches(pixels):
    n, t, h, w, _ = pixels.shape
    x = pixels.float() / 127.5 - 1.0
    x = x.view(n, t, h // PATCH // MERGE, MERGE, PATCH, w // PATCH // MERGE, MERGE, PATCH, 3)
    return x.permute(0, 2, 5, 3, 6, 8, 1, 4, 7).reshape(n, (h // PATCH) * (w // PATCH), -1)


class Attention(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        size, self.dim = cfg["hidden_size"], cfg["head_dim"]
        q, kv = cfg["num_attention_heads"] * self.dim, cfg["num_key_value_heads"] * self.dim
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(size, n, bias=False) for n in (q, kv, kv))
        self.o_proj = nn.Linear(q, size, bias=False)
        self.q_norm, self.k_norm = RMSNorm(self.dim, cfg["rms_norm_eps"]), RMSNorm(self.dim, cfg["rms_norm_eps"])

    def forward(self, x, cos, sin, mask):
        b, t, _ = x.shape
        heads = lambda y: y.view(b, t, -1, self.dim)
        q = self.q_norm(heads(self.q_proj(x))).transpose(1, 2)
        k = self.k_norm(heads(self.k_proj(x))).transpose(1, 2)
        v = heads(self.v_proj(x)).transpose(1, 2)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        if t > WRITTEN_OUT:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.to(v.dtype), enable_gqa=True)
            return self.o_proj(out.transpose(1, 2).reshape(b, t, -1))
        kv, share = k.shape[1], q.shape[1] // k.shape[1]
        scores = (q.reshape(b, kv, share * t, -1) @ k.transpose(-1, -2)).view(b, kv, share, t, t)
        weights = (scores.float().mul(self.dim ** -0.5) + mask[:, :, None]).softmax(-1).to(v.dtype)
        out = (weights.view(b, kv, share * t, t) @ v).view(b, kv * share, t, -1)
        return self.o_proj(out.transpose(1, 2).reshape(b, t, -1))


class Mlp(nn.Module):
    def __init__(self, size, inner):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(size, inner, bias=False), nn.Linear(size, inner, bias=False)
        self.down_proj = nn.Linear(inner, size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        size, eps = cfg["hidden_size"], cfg["rms_norm_eps"]
        self.self_attn, self.mlp = Attention(cfg), Mlp(size, cfg["intermediate_size"])
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(size, eps), RMSNorm(size, eps)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Language(nn.Module):
    def __init__(self, cfg, vocab):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocab, cfg["hidden_size"])
        self.layers = nn.ModuleList(Layer(cfg) for _ in range(cfg["num_hidden_layers"]))
        self.norm = RMSNorm(cfg["hidden_size"], cfg["rms_norm_eps"])
        dim = cfg["head_dim"]
        self.register_buffer("freq", 1.0 / cfg["rope_theta"] ** (torch.arange(0, dim, 2).float() / dim), persistent=False)
        axis = torch.zeros(dim // 2, dtype=torch.long)
        for a in (1, 2):  # interleaved M-RoPE: every third frequency turns with the row, every third with the column
            axis[a:cfg["mrope_section"][a] * 3:3] = a
        self.register_buffer("axis", axis, persistent=False)

    def turns(self, positions):
        """Cosines and sines [b, 1, t, dim] of every position's rotation."""
        angle = positions[..., self.axis].float() * self.freq
        angle = torch.cat([angle, angle], -1)[:, None]
        return angle.cos(), angle.sin()

    def forward(self, x, positions, mask, visual, deep):
        """x [b, t, c]; positions [b, t, 3]; mask [b, 1, t, t], added to the scores; visual [b, t] bool; deep: rows added there, layer by layer.

        -> hidden states after the last norm, and before every layer."""
        (cos, sin), before = self.turns(positions), []
        for i, layer in enumerate(self.layers):
            before.append(x)
            x = layer(x, cos, sin, mask)
            if i < len(deep):
                x = x.masked_scatter(visual[..., None], x[visual] + deep[i].to(x.dtype))
        return self.norm(x), before


class Inner(nn.Module):
    def __init__(self, config, vocab):
        super().__init__()
        self.visual, self.language_model = Visual(config["vision"]), Language(config["text"], vocab)


class Tiny(nn.Module):
    def __init__(self, vocab, config=CONFIG):
        super().__init__()
        self.model = Inner(config, vocab)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding, nn.Conv3d)):
                nn.init.normal_(module.weight, std=0.02)
                if getattr(module, "bias", None) is not None:
                    nn.init.zeros_(module.bias)

    def compile_layers(self):
        """Fuses what lies between the matrix products, which is most of the time at these widths."""
        for layer in [*self.model.visual.blocks, *self.model.language_model.layers]:
            layer.compile(dynamic=True)

    def forward(self, batch):
        """batch: pixels u8 [n, 2, h, w, 3] of all clips, kept [n, cells], ids, positions, mask, visual.

        -> hidden states [b, t, c]: the last, and those before every layer; and every visual token [n, cells, c], kept or not."""
        tokens, deep = self.model.visual(batch["pixels"])
        x, kept = self.model.language_model.embed_tokens(batch["ids"]), batch["kept"].flatten()
        only = lambda t: t.reshape(-1, x.shape[-1])[kept]
        x = x.masked_scatter(batch["visual"][..., None], only(tokens).to(x.dtype))
        hidden, before = self.model.language_model(x, batch["positions"], batch["mask"], batch["visual"], [only(d) for d in deep])
        return hidden, before, tokens.reshape(len(batch["kept"]), -1, x.shape[-1])

    def logits(self, hidden):
        return F.linear(hidden, self.model.language_model.embed_tokens.weight)
