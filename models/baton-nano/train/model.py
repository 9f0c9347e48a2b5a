"""The architecture of transformers' DeepseekV3ForCausalLM, written for fast training.

Same parameters under the same names, same mathematics; two things differ. Attention runs over packed documents. And the routed experts are
computed densely: all experts for all tokens as two large matrix products, with weight 0 for the experts that the gate did not choose. For 32
small experts on a large GPU that is far faster than gathering tokens expert by expert. export.py checks that transformers computes the same.

Shapes: B rows, S tokens a row, T = B*S, H hidden, E experts, I expert width.
"""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention
from transformers import DeepseekV3Config
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3RotaryEmbedding


def nano_config():
    return DeepseekV3Config(
        vocab_size=4096, hidden_size=256, intermediate_size=512, moe_intermediate_size=64, num_hidden_layers=5,
        num_attention_heads=8, num_key_value_heads=8, n_shared_experts=1, n_routed_experts=32, num_experts_per_tok=4,
        n_group=4, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5, first_k_dense_replace=1,
        q_lora_rank=128, kv_lora_rank=128, qk_nope_head_dim=32, qk_rope_head_dim=32, v_head_dim=32,
        max_position_embeddings=4096, rms_norm_eps=1e-6, tie_word_embeddings=False, num_mtp_layers=0, attention_bias=False,
        rope_parameters={
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 1024,
            "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
        },
        pad_token_id=0, bos_token_id=1, eos_token_id=2, scoring_func="sigmoid", topk_method="noaux_tc", moe_layer_freq=1,
    )


class Norm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * y


def linear(fan_in, fan_out):
    layer = nn.Linear(fan_in, fan_out, bias=False)
    nn.init.normal_(layer.weight, std=fan_in**-0.5)
    return layer


def rotate_pairs(x, cos, sin):
    """x: [B, heads, S, D] in pairs (0,1), (2,3), ...; cos and sin: [B, 1, S, D/2]. The result has the first parts, then the second parts."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        heads = c.num_attention_heads
        self.q_a_proj = linear(c.hidden_size, c.q_lora_rank)
        self.q_a_layernorm = Norm(c.q_lora_rank)
        self.q_b_proj = linear(c.q_lora_rank, heads * c.qk_head_dim)
        self.kv_a_proj_with_mqa = linear(c.hidden_size, c.kv_lora_rank + c.qk_rope_head_dim)
        self.kv_a_layernorm = Norm(c.kv_lora_rank)
        self.kv_b_proj = linear(c.kv_lora_rank, heads * (c.qk_nope_head_dim + c.v_head_dim))
        self.o_proj = linear(heads * c.v_head_dim, c.hidden_size)
        r = c.rope_parameters
        mscale = 0.1 * r["mscale_all_dim"] * torch.log(torch.tensor(r["factor"])).item() + 1.0
        self.scale = c.qk_head_dim**-0.5 * mscale * mscale

    def forward(self, x, cos, sin, mask):
        c, (B, S, _) = self.c, x.shape
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))).view(B, S, -1, c.qk_head_dim).transpose(1, 2)
        q_nope, q_rope = q.split([c.qk_nope_head_dim, c.qk_rope_head_dim], -1)
        latent, k_rope = self.kv_a_proj_with_mqa(x).split([c.kv_lora_rank, c.qk_rope_head_dim], -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).view(B, S, -1, c.qk_nope_head_dim + c.v_head_dim).transpose(1, 2)
        k_nope, v = kv.split([c.qk_nope_head_dim, c.v_head_dim], -1)
        k_rope = rotate_pairs(k_rope[:, None], cos, sin).expand(-1, c.num_attention_heads, -1, -1)
        q = torch.cat([q_nope, rotate_pairs(q_rope, cos, sin)], -1).to(v.dtype)
        k = torch.cat([k_nope, k_rope], -1).to(v.dtype)
        v = v.contiguous()
        if isinstance(mask, BlockMask):
            y = flex_attention(q, k, v, block_mask=mask, scale=self.scale)
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=self.scale)
        return self.o_proj(y.transpose(1, 2).reshape(B, S, -1))


class Mlp(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = linear(hidden, width), linear(hidden, width), linear(width, hidden)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Gate(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.weight = nn.Parameter(torch.randn(c.n_routed_experts, c.hidden_size) * 0.02)
        self.register_buffer("e_score_correction_bias", torch.zeros(c.n_routed_experts))

    def forward(self, x):
        """x: [T, H]. Returns the weight of each expert [T, E], 0 where not chosen. The bias takes part in the choice only."""
        c = self.c
        with torch.autocast(x.device.type, enabled=False):
            scores = F.linear(x.float(), self.weight).sigmoid()
        with torch.no_grad():
            choice = scores + self.e_score_correction_bias
            grouped = choice.view(-1, c.n_group, c.n_routed_experts // c.n_group)
            best = grouped.amax(-1, keepdim=True)
            second = grouped.masked_fill(grouped == best, -1e9).amax(-1, keepdim=True)
            group_score = best + second
            group_rank = (group_score.transpose(1, 2) > group_score).sum(-1, keepdim=True)
            choice = grouped.masked_fill(group_rank >= c.topk_group, -1e9).reshape(choice.shape)
            chosen = (choice[:, None, :] > choice[:, :, None]).sum(-1) < c.num_experts_per_tok
        weights = scores * chosen
        return weights / (weights.sum(-1, keepdim=True) + 1e-20) * c.routed_scaling_factor


class Experts(nn.Module):
    def __init__(self, c):
        super().__init__()
        E, I, H = c.n_routed_experts, c.moe_intermediate_size, c.hidden_size
        self.gate_up_proj = nn.Parameter(torch.randn(E, 2 * I, H) * H**-0.5)
        self.down_proj = nn.Parameter(torch.randn(E, H, I) * I**-0.5)

    def forward(self, x, weights):
        """x: [T, H], weights: [T, E]."""
        E, H, I = self.down_proj.shape
        gate, up = F.linear(x, self.gate_up_proj.view(E * 2 * I, H)).view(-1, E, 2 * I).chunk(2, -1)
        y = F.silu(gate) * up * weights[..., None].to(gate.dtype)
        return y.reshape(-1, E * I) @ self.down_proj.permute(0, 2, 1).reshape(E * I, H).to(y.dtype)


class Moe(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate = Gate(c)
        self.experts = Experts(c)
        self.shared_experts = Mlp(c.hidden_size, c.moe_intermediate_size * c.n_shared_experts)

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        weights = self.gate(flat)
        return self.experts(flat, weights).view(x.shape) + self.shared_experts(x), (weights > 0)


class Layer(nn.Module):
    def __init__(self, c, index):
        super().__init__()
        self.self_attn = Attention(c)
        self.dense = index < c.first_k_dense_replace
        self.mlp = Mlp(c.hidden_size, c.intermediate_size) if self.dense else Moe(c)
        self.input_layernorm = Norm(c.hidden_size)
        self.post_attention_layernorm = Norm(c.hidden_size)

    def forward(self, x, cos, sin, mask):
        """Returns the new hidden states [B, S, H] and which experts each token chose [T, E] (None in a dense layer)."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        y = self.post_attention_layernorm(x)
        if self.dense:
            return x + self.mlp(y), None
        y, chosen = self.mlp(y)
        return x + y, chosen


class Nano(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        nn.init.normal_(self.model.embed_tokens.weight, std=0.5)
        self.model.layers = nn.ModuleList(Layer(c, i) for i in range(c.num_hidden_layers))
        self.model.norm = Norm(c.hidden_size)
        self.lm_head = linear(c.hidden_size, c.vocab_size)
        for layer in self.model.layers:  # every block starts by adding little to the residual stream
            with torch.no_grad():
                layer.self_attn.o_proj.weight.mul_(0.3)
                for down in [layer.mlp] if layer.dense else [layer.mlp.shared_experts]:
                    down.down_proj.weight.mul_(0.3)
                if not layer.dense:
                    layer.mlp.experts.down_proj.mul_(0.3)
        rotary = DeepseekV3RotaryEmbedding(c)
        self.register_buffer("inv_freq", rotary.inv_freq.clone(), persistent=False)
        self.rope_scale = rotary.attention_scaling

    def hidden(self, tokens, positions, mask):
        """tokens, positions: [B, S]. Returns hidden states before the head and the chosen experts of each expert layer."""
        angle = positions[..., None].float() * self.inv_freq
        cos, sin = (angle.cos() * self.rope_scale)[:, None], (angle.sin() * self.rope_scale)[:, None]
        x = self.model.embed_tokens(tokens)
        chosen = []
        for layer in self.model.layers:
            x, c = layer(x, cos, sin, mask)
            if c is not None:
                chosen.append(c)
        return self.model.norm(x), chosen
