package dev.baton.lab.client;

import java.util.Arrays;

/** A growing array of doubles. */
final class Doubles {
    private double[] values = new double[16];
    private int size;

    void add(double value, int times) {
        if (size + times > values.length) {
            values = Arrays.copyOf(values, Math.max(size + times, 2 * values.length));
        }
        Arrays.fill(values, size, size + times, value);
        size += times;
    }

    double[] toArray() {
        return Arrays.copyOf(values, size);
    }
}
