package dev.baton.tensor.parallel;

import java.nio.ByteBuffer;

/** Takes the messages of one channel, on the connection's own thread: it must hand on and return. */
public interface FrameReceiver {
    /** Memory for the payload, at least {@code frame.bytes()} from its position on; not called for an empty payload. */
    ByteBuffer buffer(int node, Frame frame);

    /** The message has come; its payload lies in what {@link #buffer} gave. */
    void received(int node, Frame frame);

    /** The connection broke before the payload was complete: nothing is written any more to what {@link #buffer} gave. */
    default void dropped(int node, Frame frame) {}
}
