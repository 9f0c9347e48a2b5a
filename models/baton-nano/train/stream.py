"""Packed training batches, made by worker processes while the GPU works. Seeded: batch n is the same in every run with as many workers."""
import multiprocessing
import random
import re

import numpy as np
from tokenizers import Tokenizer

import domains

ROW = 4096  # tokens a row
SHARES = {"arithmetic": 0.16, "copy": 0.07, "recall": 0.27, "json": 0.07, "story": 0.35, "chat": 0.08}  # of the tokens

# The tokenizer's split for ASCII text, and the special tokens; a cache of its pieces makes encoding fast enough for a small GPU job.
PIECES = re.compile(
    r"<\|[a-z_]+\|>|'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+?(?=<\|)"
    r"| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Encoder:
    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(path)
        self.cache = {}

    def exact(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode(self, text):
        ids = []
        for piece in PIECES.findall(text):
            known = self.cache.get(piece)
            if known is None:
                known = self.cache[piece] = self.exact(piece)
            ids += known
        return ids

    def document(self, segments):
        """Returns (ids, weights) of a document."""
        ids, weights = [], []
        for text, weight in segments:
            part = self.encode(text)
            ids += part
            weights += [weight] * len(part)
        return ids, weights


def recall_limit(progress, rng):
    """Longest recall text in tokens: grows from 150 to 2000 in the first half of the training; later some reach the whole context."""
    if progress > 0.7 and rng.random() < 0.08:
        return 3700
    return int(150 * (2000 / 150) ** min(1.0, progress / 0.5))


class Row:
    def __init__(self):
        self.documents, self.used = [], 0


class Packer:
    """Packs documents into rows [ROW], first fit among a few open rows."""

    def __init__(self, rows_wanted):
        self.rows_wanted, self.open, self.done = rows_wanted, [], []

    def add(self, ids, weights, tag=None):
        ids, weights = ids[:ROW], weights[:ROW]
        for row in self.open:
            if row.used + len(ids) <= ROW:
                break
        else:
            if len(self.open) == 6:
                fullest = max(self.open, key=lambda r: r.used)
                self.open.remove(fullest)
                self.done.append(fullest)
            row = Row()
            self.open.append(row)
        row.documents.append((ids, weights, tag))
        row.used += len(ids)

    def arrays(self):
        """tokens, positions, document numbers (0 is padding): [rows, ROW] uint16; weights of the token as a target: [rows, ROW] float16."""
        rows = self.done[: self.rows_wanted]
        self.done = self.done[self.rows_wanted :]
        tokens, positions, document = (np.zeros((self.rows_wanted, ROW), np.uint16) for _ in range(3))
        weight = np.zeros((self.rows_wanted, ROW), np.float16)
        for r, row in enumerate(rows):
            at = 0
            for d, (ids, weights, _) in enumerate(row.documents):
                n = len(ids)
                tokens[r, at : at + n] = ids
                positions[r, at : at + n] = np.arange(n)
                document[r, at : at + n] = d + 1
                weight[r, at + 1 : at + n] = weights[1:]
                at += n
        return tokens, positions, document, weight


def work(worker, workers, path, seed, rows, steps, queue):
    rng = random.Random(f"baton-nano {seed} {worker}")
    encoder, packer = Encoder(path), Packer(rows)
    spent = {d: 1.0 for d in domains.DOMAINS}
    for step in range(worker, steps, workers):
        while len(packer.done) < rows:
            domain = min(spent, key=lambda d: spent[d] / SHARES[d])
            segments = domains.GENERATORS[domain](rng, recall_limit(step / steps, rng))
            ids, weights = encoder.document(segments)
            spent[domain] += len(ids)
            packer.add(ids, weights)
        queue.put(packer.arrays())


class Stream:
    """Iterates over steps batches of rows x ROW tokens."""

    def __init__(self, path, seed, rows, steps, workers):
        context = multiprocessing.get_context("spawn")
        self.steps, self.queues = steps, [context.Queue(maxsize=6) for _ in range(workers)]
        self.processes = [
            context.Process(target=work, args=(w, workers, path, seed, rows, steps, q), daemon=True) for w, q in enumerate(self.queues)
        ]
        for p in self.processes:
            p.start()

    def __iter__(self):
        for step in range(self.steps):
            yield self.queues[step % len(self.queues)].get(timeout=120)

    def close(self):
        for p in self.processes:
            p.terminate()


def check(path):
    """The cached encoder must agree with the tokenizer on every segment."""
    encoder = Encoder(path)
    for domain in domains.DOMAINS:
        for seed in range(60):
            for text, _ in domains.sample_document(domain, f"check {seed}", 500):
                assert encoder.encode(text) == encoder.exact(text), repr(text)


def held_out_batch(path, records, rows):
    """Packs held-out prompts with their answers. Returns the arrays and, for each row, [(record number, first, end)] of the answers."""
    encoder = Encoder(path)
    packer = Packer(rows)
    for n, record in enumerate(records):
        if "messages" in record:
            prompt = domains.BOS + "".join(domains.turn(m["role"], m["content"]) for m in record["messages"]) + "<|assistant|>"
        else:
            prompt = domains.BOS + record["prompt"]
        ids, answer = encoder.encode(prompt), encoder.encode(record["answer"] + domains.END)
        packer.add(ids + answer, [0.0] * len(ids) + [1.0] * len(answer), (n, len(ids)))
    packer.done += packer.open
    packer.open = []
    assert len(packer.done) <= rows, len(packer.done)
    spans = []
    for row in packer.done:
        at, found = 0, []
        for ids, _, (n, start) in row.documents:
            found.append((n, at + start, at + len(ids)))
            at += len(ids)
        spans.append(found)
    return packer.arrays(), spans
