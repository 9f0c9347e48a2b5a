package dev.baton.tensor;

/**
 * Host memory of {@link Device#hostBuffer} through which steps get their integers and give their choices, without copies
 * in the device's queue. Steps take turns between two rows, so that the host can write the next step's while the device has
 * yet to read this one's.
 *
 * @param inputs I32 [2, n] in host memory
 * @param choices I32 [2, rows] in host memory
 * @param turn I32 [1] on the device: the row that the next step takes; {@link Ops#beginStep} turns it over
 */
public record StepExchange(Tensor inputs, Tensor choices, Tensor turn) {}
