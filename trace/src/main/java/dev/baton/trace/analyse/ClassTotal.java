package dev.baton.trace.analyse;

import dev.baton.trace.classify.KernelClass;
import java.util.List;

/**
 * One kernel class of a device over the whole trace.
 *
 * @param kernelClass which
 * @param kernels how many
 * @param sumNanos sum of durations
 * @param rules ids of the rules that decided, the one with most time first
 */
public record ClassTotal(KernelClass kernelClass, int kernels, long sumNanos, List<String> rules) {}
