package dev.baton.engine.arch;

import dev.baton.tensor.AttentionBatch;
import dev.baton.tensor.Tensor;

/**
 * One step's inputs on the device.
 *
 * @param tokens T
 * @param ids I32 [T]
 * @param positions I32 [T]
 * @param slots I32 [T] cache slot of each new token
 * @param tableIndices I32 [T] where each new token's slot lies in the slot table
 * @param batch who attends to what
 * @param tokenStart [B + 1] on the host
 * @param wholePrompts every sequence begins at position 0 and the step is no decode: nothing but the step's own tokens
 *     is attended to
 */
public record StepInputs(
        int tokens,
        Tensor ids,
        Tensor positions,
        Tensor slots,
        Tensor tableIndices,
        AttentionBatch batch,
        int[] tokenStart,
        boolean wholePrompts) {}
