/** Weights: safetensors files mapped into memory, sharded checkpoints, and random weights of any shape. */
@NullMarked
package dev.baton.model.safetensors;

import org.jspecify.annotations.NullMarked;
