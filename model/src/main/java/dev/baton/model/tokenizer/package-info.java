/** Text to token ids and back: an own byte-level BPE, the Hugging Face library for other kinds, streaming decode. */
@NullMarked
package dev.baton.model.tokenizer;

import org.jspecify.annotations.NullMarked;
