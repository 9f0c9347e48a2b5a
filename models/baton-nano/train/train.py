"""Trains baton-nano on one GPU and writes the float32 weights.

Usage: python train.py --tokenizer ../tokenizer.json --out DIR [--steps 6000] [--rows 32] [--minutes 9] [--init DIR]
"""
import argparse
import json
import math
import pathlib
import random
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch.nn.attention.flex_attention import create_block_mask

import domains
import stream
from model import Nano, nano_config
from optim import optimizers

BIAS_SPEED = 0.002  # how far the correction bias of an expert moves in a step
WARM_UP = 0.02  # share of the training during which the learning rate rises
SHARD_BYTES = 14 << 20


def dev_records(per_domain):
    rng = random.Random("baton-nano dev")
    lengths = [30 + 1950 * i // (per_domain - 1) for i in range(per_domain)]
    return [domains.held_out_prompt(d, rng, lengths[i]) for d in domains.DOMAINS for i in range(per_domain)]


def schedule(progress):
    """Share of the full learning rate: linear rise, flat, linear fall to zero over the last 60%."""
    return min(1.0, (progress + 1e-4) / WARM_UP, (1 - progress) / 0.6)


def attention_mask(document, positions, compiled):
    """A token sees earlier tokens of its own document."""
    B, S = document.shape
    if compiled is None:
        rows, columns = torch.arange(S)[:, None], torch.arange(S)
        return ((document[:, :, None] == document[:, None, :]) & (rows >= columns))[:, None]

    def visible(b, h, q, k):
        return (document[b, q] == document[b, k]) & (q >= k)

    return compiled(visible, B, None, S, S, device=document.device)


def to_device(arrays, device):
    tokens, positions, document, weight = (torch.from_numpy(a) for a in arrays)
    pin = (lambda t: t.pin_memory().to(device, non_blocking=True)) if device == "cuda" else (lambda t: t)
    return pin(tokens.long()), pin(positions.int()), pin(document.int()), pin(weight.float())


def cross_entropy(hidden, head, targets):
    """hidden: [B, S, H] predicts targets [B, S]; returns the loss of each token [B*S]."""
    return F.cross_entropy(F.linear(hidden, head).view(-1, head.shape[0]).float(), targets.reshape(-1), reduction="none")


class Trainer:
    def __init__(self, args):
        self.args = args
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(args.seed)
        torch.set_float32_matmul_precision("high")
        self.config = nano_config()
        self.model = Nano(self.config).to(self.device)
        if args.init:
            load(self.model, args.init)
        self.muon, self.adam = optimizers(self.model)
        self.loss_of = cross_entropy
        self.mask_maker = None
        if self.device == "cuda":
            for layer in self.model.model.layers:
                layer.compile(dynamic=False)
            self.loss_of = torch.compile(cross_entropy, dynamic=False)
            self.mask_maker = torch.compile(create_block_mask, dynamic=False)
        self.dev = dev_records(args.dev)

    def forward(self, arrays):
        tokens, positions, document, weight = to_device(arrays, self.device)
        mask = attention_mask(document, positions, self.mask_maker)
        with torch.autocast(self.device, dtype=torch.bfloat16):
            hidden, chosen = self.model.hidden(tokens, positions, mask)
            losses = self.loss_of(hidden, self.model.lm_head.weight, tokens.roll(-1, 1))
        return tokens, hidden, losses, weight.roll(-1, 1).reshape(-1), chosen

    def move_bias(self, chosen, speed):
        """Balance without a loss term: an expert with less than the mean load becomes more attractive. Returns mean over max load."""
        balance = []
        layers = [layer for layer in self.model.model.layers if not layer.dense]
        with torch.no_grad():
            for layer, c in zip(layers, chosen):
                load = c.sum(0).float()
                layer.mlp.gate.e_score_correction_bias += speed * torch.sign(load.mean() - load)
                balance.append(load.mean() / load.max())
        return torch.stack(balance).mean()

    def evaluate(self):
        """Share of held-out answers whose every token, the end token too, is the most likely one: {domain: share}."""
        right = {d: [] for d in domains.DOMAINS}
        batches = [self.dev[i::3] for i in range(3)]
        for records in batches:
            arrays, spans = stream.held_out_batch(self.args.tokenizer, records, self.args.rows)
            tokens, hidden, _, _, _ = self.forward(arrays)
            with torch.no_grad():
                guess = F.linear(hidden.detach().bfloat16(), self.model.lm_head.weight.bfloat16()).argmax(-1)
                hit = (guess[:, :-1] == tokens[:, 1:]).cpu()
            for r, found in enumerate(spans):
                for n, first, end in found:
                    right[records[n]["domain"]].append(bool(hit[r, first - 1 : end - 1].all()))
        return {d: round(sum(v) / len(v), 3) for d, v in right.items()}

    def run(self):
        args, start = self.args, time.time()
        batches = stream.Stream(args.tokenizer, args.seed, args.rows, args.steps, args.workers)
        log = (pathlib.Path(args.out) / "train.jsonl").open("w")
        window = time.time()
        for step, arrays in enumerate(batches):
            progress = max(step / args.steps, (time.time() - start) / (60 * args.minutes))
            if progress >= 1:
                break
            rate = args.rate * schedule(progress)
            _, _, losses, weight, chosen = self.forward(arrays)
            loss = (losses * weight).sum() / weight.sum()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0, foreach=True)
            for group in self.adam.param_groups:
                group["lr"] = rate
            self.muon.step(rate)
            self.adam.step()
            self.model.zero_grad(set_to_none=True)
            balance = self.move_bias(chosen, BIAS_SPEED * schedule(progress))
            if step % 100 == 0 or step == 10:
                value = loss.item()
                assert math.isfinite(value), f"loss is {value} at step {step}"
                line = {"step": step, "seconds": round(time.time() - start, 1), "loss": round(value, 4),
                        "balance": round(balance.item(), 3), "rate": round(rate, 6)}
                if step % args.evaluate_every == 0:
                    line["exact"] = self.evaluate()
                print(json.dumps(line), flush=True)
                log.write(json.dumps(line) + "\n")
                log.flush()
        batches.close()
        line = json.dumps({"steps": step + 1, "seconds": round(time.time() - start, 1), "exact": self.evaluate()})
        print(line, flush=True)
        log.write(line + "\n")
        log.close()
        save(self.model, args.out)


def save(model, out):
    """Writes the float32 weights in files of at most SHARD_BYTES."""
    shards, size = [{}], 0
    for name, tensor in model.state_dict().items():
        tensor = tensor.detach().float().cpu().contiguous()
        if size + tensor.nbytes > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    for n, shard in enumerate(shards):
        save_file(shard, pathlib.Path(out) / f"weights-{n}.safetensors")


def load(model, folder):
    state = {}
    for path in sorted(pathlib.Path(folder).glob("weights-*.safetensors")):
        state.update(load_file(path))
    model.load_state_dict(state)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--init", help="folder with the weights to go on from")
    p.add_argument("--steps", type=int, default=6000)
    p.add_argument("--rows", type=int, default=32, help="rows of 4096 tokens a step")
    p.add_argument("--minutes", type=float, default=9.0, help="the learning rate reaches zero by then, whatever the step")
    p.add_argument("--rate", type=float, default=3e-3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--workers", type=int, default=14)
    p.add_argument("--dev", type=int, default=64, help="held-out prompts per domain")
    p.add_argument("--evaluate-every", type=int, default=500)
    args = p.parse_args()
    pathlib.Path(args.out).mkdir(parents=True, exist_ok=True)
    stream.check(args.tokenizer)
    Trainer(args).run()


if __name__ == "__main__":
    main()
