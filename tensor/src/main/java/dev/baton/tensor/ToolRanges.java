package dev.baton.tensor;

/**
 * Names stretches of a rank's time for a tool that watches the process from outside, such as Nsight Systems. Ranges of a
 * thread lie within each other. Called on the device's thread.
 */
public interface ToolRanges {
    /** A range begins. */
    void push(String name);

    /** The one that began last ends. */
    void pop();
}
