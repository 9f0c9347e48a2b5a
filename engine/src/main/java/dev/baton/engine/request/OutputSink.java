package dev.baton.engine.request;

/** Receives one request's outputs, in order, on the scheduler's thread: it must hand on and return, never block. */
@FunctionalInterface
public interface OutputSink {
    void accept(RequestOutput output);
}
