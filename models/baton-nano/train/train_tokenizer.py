"""Trains the byte-level BPE tokenizer on generated text and writes tokenizer.json and tokenizer_config.json.

Usage: python train_tokenizer.py OUT_DIR
"""
import json
import pathlib
import sys

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

import domains
import facts
import words

VOCABULARY = 4096
CONTEXT = 4096
SPECIAL = ["<|pad|>", "<|begin_of_text|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|reserved|>"]

# The split of Qwen2 and Llama 3 with one digit at a time: contractions, words with one leading mark, digits, marks, line ends, spaces.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] not in ['system', 'user', 'assistant', 'tool'] %}"
    "{{- raise_exception('Unknown role: ' + message['role']) }}"
    "{%- endif %}"
    "{{- '<|' + message['role'] + '|>' + message['content'] | trim + '<|end|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def corpus():
    """Text of all domains, and every word often enough, alone and after a space, that it becomes a token of its own."""
    for domain in domains.DOMAINS:
        for seed in range(1500 if domain == "recall" else 8000):
            text = "".join(t for t, _ in domains.sample_document(domain, f"tokenizer {domain} {seed}", 600))
            for special in SPECIAL:
                text = text.replace(special, "\n")
            yield text
    plain = words.NOUNS + words.ADJECTIVES + words.FIRST_NAMES + words.LAST_NAMES + words.CITIES + words.JOBS + words.GOODS + words.COMMON
    for _ in range(40):
        for word in plain:
            yield f"{word} {word}"
    for asked, answer in facts.FACTS:
        yield from ["\n".join(asked + [answer])] * 40


def main(out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    bos = tokenizer.token_to_id(domains.BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{domains.BOS} $A", pair=f"{domains.BOS} $A {domains.BOS} $B", special_tokens=[(domains.BOS, bos)]
    )
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": domains.BOS,
        "eos_token": domains.END,
        "pad_token": "<|pad|>",
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": True,
        "add_eos_token": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    print("vocabulary", tokenizer.get_vocab_size())


if __name__ == "__main__":
    main(sys.argv[1])
