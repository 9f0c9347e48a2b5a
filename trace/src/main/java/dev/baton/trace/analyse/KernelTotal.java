package dev.baton.trace.analyse;

import dev.baton.trace.classify.KernelClass;

/**
 * All launches of one kernel name on a device.
 *
 * @param name full name
 * @param kernelClass its class
 * @param rule id of the rule that decided
 * @param count launches
 * @param sumNanos sum of durations
 * @param minNanos shortest
 * @param medianNanos the middle one
 * @param maxNanos longest
 * @param longestEvent position in the file of the longest
 */
public record KernelTotal(
        String name,
        KernelClass kernelClass,
        String rule,
        int count,
        long sumNanos,
        long minNanos,
        long medianNanos,
        long maxNanos,
        long longestEvent) {}
