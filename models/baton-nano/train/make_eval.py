"""Writes the 200 held-out prompts. Usage: python make_eval.py MODEL_DIR     (MODEL_DIR holds the tokenizer; eval.jsonl is written there)

One JSON object a line: id, domain, prompt (plain text, tokenised with its special tokens) or messages (for the chat template), answer,
max_new_tokens, stop. The answer is right if the greedy output up to the end token equals it, white space at both ends aside.
"""
import json
import pathlib
import random
import sys

from tokenizers import Tokenizer

import domains

COUNTS = {"arithmetic": 34, "copy": 33, "recall": 33, "json": 33, "story": 34, "chat": 33}
LONGEST_PROMPT = 2000  # tokens
SPARE_TOKENS = 8


def prompt_text(record):
    """The text that is tokenised, chat template applied, without the leading begin-of-text token."""
    if "prompt" in record:
        return record["prompt"]
    return "".join(domains.turn(m["role"], m["content"]) for m in record["messages"]) + "<|assistant|>"


def main(folder):
    folder = pathlib.Path(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def count(text):
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    rng = random.Random("baton-nano eval")
    with (folder / "eval.jsonl").open("w") as out:
        for domain, n in COUNTS.items():
            seen = set()
            while len(seen) < n:
                length = 30 + (LONGEST_PROMPT - 50) * len(seen) // (n - 1)
                record = domains.held_out_prompt(domain, rng, length)
                if prompt_text(record) in seen or count(prompt_text(record)) >= LONGEST_PROMPT:
                    continue
                line = {"id": f"{domain}-{len(seen):02d}", **record, "max_new_tokens": count(record["answer"]) + 1 + SPARE_TOKENS, "stop": []}
                seen.add(prompt_text(record))
                out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
