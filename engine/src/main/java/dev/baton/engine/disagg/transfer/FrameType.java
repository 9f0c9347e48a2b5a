package dev.baton.engine.disagg.transfer;

import java.io.IOException;

/** What a frame says. The numbers are the wire form. */
enum FrameType {
    /** Decode to prefill: who I am, my cache, the rank I want. JSON. */
    HELLO(1),
    /** Prefill to decode: agreed, and how pages will travel. JSON. */
    WELCOME(2),
    /** Prefill to decode: refused, with the reason as text. */
    REFUSED(3),
    /** Decode to prefill: i32 pairs of the room, then i32 page numbers. */
    OPEN(4),
    /** Prefill to decode: i32 buffer, i32 first page, i32 pages; packed rows follow outside the body. */
    DATA(5),
    /** Prefill to decode: i64 bytes sent in this room, repetitions included, then the aux record. */
    DONE(6),
    /** Decode to prefill: everything has arrived. */
    RECEIVED(7),
    /** Prefill to decode: the room failed, with the reason as text; nothing of it follows. */
    FAILED(8),
    /** Decode to prefill: the room failed, with the reason as text. */
    ABORT(9),
    /** Prefill to decode: nothing of the aborted room follows and none of its pages is being written. */
    ABORTED(10);

    private static final FrameType[] BY_NUMBER = new FrameType[11];

    static {
        for (FrameType type : values()) {
            BY_NUMBER[type.number] = type;
        }
    }

    private final int number;

    FrameType(int number) {
        this.number = number;
    }

    int number() {
        return number;
    }

    static FrameType of(int number) throws IOException {
        if (number < 1 || number >= BY_NUMBER.length) {
            throw new IOException("corrupt frame: unknown type " + number);
        }
        return BY_NUMBER[number];
    }
}
