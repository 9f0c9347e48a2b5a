"""Measures the exported model with transformers, float32 arithmetic on the stored weights, greedy.

Usage: python evaluate.py MODEL_DIR [--write]     (--write also stores golden.json and expert_load.json beside this script)

Prints exact match per domain, and how the load of the experts differs between domains.
"""
import json
import pathlib
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

GOLDEN_TOKENS = 32
GOLDEN = ["arithmetic-00", "arithmetic-01", "copy-00", "recall-05", "recall-32", "json-00", "story-00", "chat-00"]


class Loads:
    """Counts, for each expert layer, how many tokens chose each expert."""

    def __init__(self, model):
        self.gates = [layer.mlp.gate for layer in model.model.layers if hasattr(layer.mlp, "gate")]
        self.counts = torch.zeros(len(self.gates), model.config.n_routed_experts, dtype=torch.long)
        for n, gate in enumerate(self.gates):
            gate.register_forward_hook(lambda _, __, out, n=n: self.add(n, out[2]))

    def add(self, n, indices):
        self.counts[n] += torch.bincount(indices.flatten(), minlength=self.counts.shape[1])

    def take(self):
        counts, self.counts = self.counts, torch.zeros_like(self.counts)
        return counts


def input_ids(tokenizer, record):
    if "messages" in record:
        return tokenizer.apply_chat_template(record["messages"], add_generation_prompt=True)["input_ids"]
    return tokenizer(record["prompt"]).input_ids


@torch.no_grad()
def greedy(model, ids, most, end):
    """Returns the new tokens (the end token too, if reached) and, for each, the logit of the best token less that of the second."""
    tokens, gaps, cache, step = [], [], None, torch.tensor([ids])
    while len(tokens) < most and (not tokens or tokens[-1] != end):
        out = model(step, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        best = out.logits[0, -1].topk(2)
        tokens.append(best.indices[0].item())
        gaps.append((best.values[0] - best.values[1]).item())
        step = torch.tensor([[tokens[-1]]])
    return tokens, gaps


def describe_load(load):
    """load: {domain: counts [layers, experts]}. Prints balance and overlap figures as Markdown."""
    share = {d: c.double() / c.sum(1, keepdim=True) for d, c in load.items()}
    mixed = sum(share.values()) / len(share)
    print("\n| traffic | mean over max load | layer by layer | the four busiest experts of layer 1, share of tokens |\n|---|---|---|---|")
    for name, s in [*share.items(), ("all, equal parts", mixed)]:
        ratio = s.mean(1) / s.max(1).values
        top = s[0].topk(4)
        # a token chooses four experts, so 4 x share is the share of tokens that choose this expert
        busiest = ", ".join(f"{i} ({4 * v:.0%})" for i, v in zip(top.indices.tolist(), top.values.tolist()))
        print(f"| {name} | {ratio.mean():.2f} | {' '.join(f'{r:.2f}' for r in ratio.tolist())} | {busiest} |")
    names = list(share)
    print("\nShare of the expert choices that would have to move to turn one domain's load into the other's (mean over layers):\n")
    print("| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for a in names:
        row = [((share[a] - share[b]).abs().sum(1) / 2).mean().item() for b in names]
        print(f"| {a} | " + " | ".join(f"{v:.0%}" for v in row) + " |")


def main(folder, write):
    folder = pathlib.Path(folder)
    torch.set_grad_enabled(False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    loads, right, load, golden, smallest = Loads(model), {}, {}, [], {}
    for line in (folder / "eval.jsonl").read_text().splitlines():
        record = json.loads(line)
        ids = input_ids(tokenizer, record)
        tokens, gaps = greedy(model, ids, record["max_new_tokens"], tokenizer.eos_token_id)
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        ok = text.strip() == record["answer"].strip() and tokens[-1] == tokenizer.eos_token_id
        domain = record["domain"]
        right.setdefault(domain, []).append(ok)
        smallest[domain] = min(smallest.get(domain, 99.0), min(gaps))
        load[domain] = load.get(domain, 0) + loads.take()
        if not ok:
            print(f"{record['id']} ({len(ids)} tokens): {text!r}, right is {record['answer']!r}", flush=True)
        if record["id"] in GOLDEN:
            golden.append({"id": record["id"], "input_ids": ids, "greedy": tokens[:GOLDEN_TOKENS], "top1_minus_top2": gaps[:GOLDEN_TOKENS]})
    print("\n| domain | right | of | exact match | smallest gap of two best logits |\n|---|---|---|---|---|")
    for d, v in right.items():
        print(f"| {d} | {sum(v)} | {len(v)} | {sum(v) / len(v):.1%} | {smallest[d]:.2f} |")
    everything = sum(right.values(), [])
    print(f"| all | {sum(everything)} | {len(everything)} | {sum(everything) / len(everything):.1%} | {min(smallest.values()):.2f} |")
    describe_load(load)
    if write:
        here = pathlib.Path(__file__).parent
        text = {"transformers": transformers.__version__, "dtype": "float32 compute on the stored weights", "prompts": golden}
        (here / "golden.json").write_text(json.dumps(text) + "\n")
        counts = {d: c.tolist() for d, c in load.items()}
        (here / "expert_load.json").write_text(json.dumps({"what": "tokens per [expert layer][expert]", "domains": counts}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], "--write" in sys.argv[2:])
