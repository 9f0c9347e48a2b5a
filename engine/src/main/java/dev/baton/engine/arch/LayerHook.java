package dev.baton.engine.arch;

/** Told about each layer while a step runs. */
@FunctionalInterface
public interface LayerHook {
    /** Nothing to tell. */
    LayerHook NONE = layer -> {};

    /** The cache rows of {@code layer} that this step adds are written (on a GPU: queued to be written). */
    void cacheWritten(int layer);
}
