package dev.baton.tensor;

/**
 * A residual stream whose next norm is under way: fused operators ({@link Ops#startRows} and those after it) leave in
 * {@code scaled} and {@code squares} what the next one needs to go on from the normed stream. Only they know what that is.
 *
 * @param residual F32 [T, hidden]
 * @param scaled activations [T, hidden]
 * @param squares F32 [T, hidden / {@link #GROUP}]
 * @param epsilon of the norms
 */
public record NormedRows(Tensor residual, Tensor scaled, Tensor squares, float epsilon) {
    /** {@code hidden} is a multiple of this. */
    public static final int GROUP = 64;
}
