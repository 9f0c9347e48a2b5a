"""Makes and re-measures golden checkpoints: tiny random models with what transformers computes from them.

Usage:
  python make_golden.py make NAME          writes NAME/ with config.json, model.safetensors (bf16), golden.json, golden.safetensors
  python make_golden.py measure DIR STEM   measures the checkpoint in DIR again and writes DIR/STEM.json and DIR/STEM.safetensors
  python make_golden.py compare DIR STEM   prints how far transformers is from the stored values, with exact and with rounded rope frequencies

Needs torch, transformers and safetensors. README.md beside this describes the files.
"""
import json
import pathlib
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (AutoModelForCausalLM, DeepseekV2Config, DeepseekV3Config, LlamaConfig, MixtralConfig, Qwen2Config, Qwen3Config,
                          Qwen3MoeConfig)

PROMPT_TOKENS = [1, 7, 33, 130]
NEW_TOKENS = 24
LOGITS_ROWS = 8
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "vocab_size": 512}
TINY = {**SPECIAL, "vocab_size": 256, "max_position_embeddings": 4096}
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 256}
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 1024, "beta_fast": 32,
        "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}

# Add an entry to get one more checkpoint.
CONFIGS = {
    "llama-mha-tied": lambda: LlamaConfig(
        hidden_size=96, intermediate_size=160, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=6,
        max_position_embeddings=4096, tie_word_embeddings=True, rope_parameters=PLAIN, **SPECIAL),
    "llama-gqa-llama3rope": lambda: LlamaConfig(
        hidden_size=128, intermediate_size=256, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2, rms_norm_eps=1e-5,
        max_position_embeddings=4096, rope_parameters=LLAMA3, **SPECIAL),
    "qwen2-bias-tied": lambda: Qwen2Config(
        hidden_size=112, intermediate_size=288, num_hidden_layers=3, num_attention_heads=7, num_key_value_heads=1,
        max_position_embeddings=4096, tie_word_embeddings=True, rope_parameters={**PLAIN, "rope_theta": 1e6}, **SPECIAL),
    "deepseek-v3": lambda: DeepseekV3Config(
        hidden_size=96, intermediate_size=160, moe_intermediate_size=32, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, n_routed_experts=16, num_experts_per_tok=4, n_group=4, topk_group=2, first_k_dense_replace=1,
        q_lora_rank=64, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, max_position_embeddings=4096,
        rope_parameters=YARN, **SPECIAL),
    "qwen3-qknorm": lambda: Qwen3Config(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
        rope_parameters={**PLAIN, "rope_theta": 1e6}, tie_word_embeddings=True, **TINY),
    "qwen3-moe": lambda: Qwen3MoeConfig(
        hidden_size=64, intermediate_size=96, moe_intermediate_size=32, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, num_experts=8, num_experts_per_tok=3, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[1],
        rope_parameters={**PLAIN, "rope_theta": 1e6}, **TINY),
    "mixtral": lambda: MixtralConfig(
        hidden_size=64, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        num_local_experts=6, num_experts_per_tok=2, rope_parameters={**PLAIN, "rope_theta": 1e6}, sliding_window=None, **TINY),
    "deepseek-v2-lite": lambda: DeepseekV2Config(
        hidden_size=64, intermediate_size=96, moe_intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        n_routed_experts=8, n_shared_experts=2, num_experts_per_tok=3, first_k_dense_replace=1, q_lora_rank=None, kv_lora_rank=32,
        qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16, topk_method="greedy", norm_topk_prob=False, routed_scaling_factor=1.0,
        rope_parameters=PLAIN, **TINY),
    # Sizes on both sides of the 128 x 128 blocks: 160 and 192 cut a block off, 64 is less than one.
    "deepseek-v3-fp8": lambda: DeepseekV3Config(
        hidden_size=160, intermediate_size=192, moe_intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, n_routed_experts=8, num_experts_per_tok=2, n_group=4, topk_group=2, first_k_dense_replace=1,
        q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, rope_parameters=YARN, **TINY),
}
FP8_MAX, BLOCK = 448.0, 128


@torch.no_grad()
def randomise(model):
    """Wider than the usual initial weights, so that logits differ enough for greedy choices to be clear."""
    for name, t in [*model.named_parameters(), *model.named_buffers()]:
        if "norm" in name and name.endswith("weight"):
            t.copy_(1 + 0.2 * torch.randn_like(t))
        elif name.endswith("bias"):
            t.copy_(0.1 * torch.randn_like(t))
        elif t.is_floating_point() and name.endswith(("weight", "proj")):
            t.copy_(torch.randn_like(t) * 1.3 * t.shape[-1] ** -0.5)


def set_frequencies(model, rounded):
    rope = model.model.rotary_emb
    exact = type(rope)(model.config).inv_freq.float()
    rope.inv_freq = exact.bfloat16().float() if rounded else exact


@torch.no_grad()
def measure_prompt(model, ids):
    """Returns the prompt's logits [tokens, vocabulary], the greedy continuation and for each token the best logit less the second."""
    logits = model(torch.tensor([ids])).logits[0]
    greedy, gaps = [], []
    while len(greedy) < NEW_TOKENS:
        best = model(torch.tensor([ids + greedy])).logits[0, -1].topk(2)
        greedy.append(best.indices[0].item())
        gaps.append((best.values[0] - best.values[1]).item())
    return logits, greedy, gaps


def quantise(weight):
    """F8_E4M3 codes and one multiplier for each block; blocks at the edges are cut off."""
    rows, columns = weight.shape
    scales = torch.zeros(-(-rows // BLOCK), -(-columns // BLOCK))
    codes = torch.zeros(rows, columns, dtype=torch.float8_e4m3fn)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            part = slice(i * BLOCK, (i + 1) * BLOCK), slice(j * BLOCK, (j + 1) * BLOCK)
            scales[i, j] = weight[part].abs().max() / FP8_MAX
            codes[part] = (weight[part] / scales[i, j]).to(torch.float8_e4m3fn)
    return codes, scales


def quantise_checkpoint(folder):
    """Turns the matrices of the layers, but not the routers, into DeepSeek's block-scaled F8, in place."""
    path = folder / "model.safetensors"
    out = {}
    for name, t in load_file(path).items():
        if t.dim() == 2 and "layers." in name and not name.endswith("mlp.gate.weight"):
            out[name], out[name + "_scale_inv"] = quantise(t.float())
        else:
            out[name] = t
    save_file(out, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK]}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder):
    """The model in F32; block-scaled matrices are multiplied out first, because transformers' own F8 arithmetic needs a GPU."""
    config = json.loads((folder / "config.json").read_text())
    if "quantization_config" not in config:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    del config["quantization_config"]
    tensors = load_file(folder / "model.safetensors")
    for name in [n for n in tensors if n.endswith("_scale_inv")]:
        scales = tensors.pop(name).repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
        codes = tensors[name.removesuffix("_scale_inv")]
        tensors[name.removesuffix("_scale_inv")] = codes.float() * scales[: codes.shape[0], : codes.shape[1]]
    with tempfile.TemporaryDirectory() as plain:
        save_file({n: t.float() for n, t in tensors.items()}, pathlib.Path(plain) / "model.safetensors", metadata={"format": "pt"})
        (pathlib.Path(plain) / "config.json").write_text(json.dumps(config))
        return AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32).eval()


def measure(folder, stem, prompts):
    model = load(folder)
    set_frequencies(model, rounded=False)
    entries, tensors = [], {}
    for n, ids in enumerate(prompts):
        logits, greedy, gaps = measure_prompt(model, ids)
        rows = min(len(ids), LOGITS_ROWS)
        tensors[f"logits.{n}"] = logits[-rows:].contiguous()
        entries.append({"input_ids": ids, "greedy": greedy, "top1_minus_top2": gaps, "logits_rows": rows})
    save_file(tensors, folder / f"{stem}.safetensors")
    record = {"transformers": transformers.__version__, "dtype": "float32 compute on the stored weights", "rope_frequencies": "float32",
              "prompts": entries}
    (folder / f"{stem}.json").write_text(json.dumps(record) + "\n")


def make(name):
    torch.manual_seed(len(name))
    folder = pathlib.Path(name)
    model = AutoModelForCausalLM.from_config(CONFIGS[name](), dtype=torch.float32)
    randomise(model)
    model.to(torch.bfloat16).save_pretrained(folder)
    generator = torch.Generator().manual_seed(1)
    vocabulary = model.config.vocab_size
    if name.endswith("fp8"):
        quantise_checkpoint(folder)
    measure(folder, "golden", [torch.randint(3, vocabulary, (n,), generator=generator).tolist() for n in PROMPT_TOKENS])


def compare(folder, stem):
    model = load(folder)
    stored, tensors = json.loads((folder / f"{stem}.json").read_text()), load_file(folder / f"{stem}.safetensors")
    for rounded in (False, True):
        set_frequencies(model, rounded)
        for n, p in enumerate(stored["prompts"]):
            logits, greedy, _ = measure_prompt(model, p["input_ids"])
            worst = (logits[-p["logits_rows"] :] - tensors[f"logits.{n}"]).abs().max().item()
            same = next((i for i, (a, b) in enumerate(zip(greedy, p["greedy"])) if a != b), len(greedy))
            print(f"rope {'rounded' if rounded else 'exact':8} prompt {n}: logits differ by {worst:.1e}, first {same} of {len(greedy)} tokens equal")


def main():
    command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if command == "make":
        make(sys.argv[2])
    elif command == "measure":
        prompts = json.loads((folder / "golden.json").read_text())["prompts"]
        measure(folder, sys.argv[3], [p["input_ids"] for p in prompts])
    elif command == "compare":
        compare(folder, sys.argv[3])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
