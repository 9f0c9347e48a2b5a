"""Turns trained weights into the files of a Hugging Face repository and checks them against transformers.

Usage: python export.py WEIGHTS_DIR OUT_DIR     (OUT_DIR already holds tokenizer.json and tokenizer_config.json)

Writes config.json, generation_config.json and bf16 weights in two safetensors files with their index; the correction bias stays float32, as
in DeepSeek-V3's own files. Then loads them with AutoModelForCausalLM and compares with the training code on the same rounded weights.
"""
import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DeepseekV3ForCausalLM, GenerationConfig

from model import Nano, nano_config
from train import attention_mask, load


def write(trained, out):
    model = DeepseekV3ForCausalLM(nano_config())
    missing = set(model.state_dict()) ^ set(trained.state_dict())
    assert not missing, missing
    model.load_state_dict(trained.state_dict())
    model = model.to(torch.bfloat16)
    for target, source in zip(model.model.layers, trained.model.layers):
        if not source.dense:
            target.mlp.gate.e_score_correction_bias = source.mlp.gate.e_score_correction_bias.float().clone()
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, do_sample=False)
    model.save_pretrained(out, max_shard_size="12MB")


def check(trained, out):
    """Largest difference of logits between transformers on the written files and the training code on the same weights."""
    reference = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert isinstance(reference, DeepseekV3ForCausalLM)
    for p in trained.parameters():
        p.data = p.data.bfloat16().float()
    worst = 0.0
    for text in ["12+34=\n", "copy: kite sun lamp\n", "memory\n" + "".join(f"lamp{i}: {i * 37 % 1000}\n" for i in range(60)) + "lamp7?\n"]:
        ids = torch.tensor([tokenizer(text).input_ids])
        positions = torch.arange(ids.shape[1])[None]
        with torch.no_grad():
            mask = attention_mask(torch.ones_like(ids), positions, None)
            hidden, _ = trained.hidden(ids, positions, mask)
            ours = trained.lm_head(hidden)
            theirs = reference(ids).logits
        worst = max(worst, (ours - theirs).abs().max().item())
    assert worst < 2e-3, worst
    return worst


def main(weights, out):
    trained = Nano(nano_config()).eval()
    load(trained, weights)
    write(trained, out)
    print("largest logit difference to the training code:", check(trained, out))
    size = sum(p.stat().st_size for p in pathlib.Path(out).glob("*.safetensors"))
    index = json.loads((pathlib.Path(out) / "model.safetensors.index.json").read_text())
    print("weights:", size, "bytes in", len(set(index["weight_map"].values())), "files")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
