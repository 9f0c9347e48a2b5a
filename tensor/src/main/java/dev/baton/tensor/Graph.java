package dev.baton.tensor;

/** Operators recorded once and launched as a whole, on the memory they were recorded with. Used by its device's thread. */
public interface Graph extends AutoCloseable {
    /** Queues all of it. */
    void launch();

    @Override
    void close();
}
