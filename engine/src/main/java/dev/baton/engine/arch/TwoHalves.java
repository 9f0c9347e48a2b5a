package dev.baton.engine.arch;

import dev.baton.tensor.Tensor;

/**
 * A step that is computed in two halves; the first half's tokens come first.
 *
 * @param first context of the first half
 * @param second context of the second half
 * @param firstWanted I32, rows of the first half whose logits are wanted
 * @param secondWanted I32, rows of the second half, counted from its first one
 */
public record TwoHalves(ForwardContext first, ForwardContext second, Tensor firstWanted, Tensor secondWanted) {}
