package dev.baton.trace.read;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * A stretch of a stream in memory. {@code bytes[position, limit)} is unread; {@code bytes[limit]} is always 0, so a scan
 * that stops at bytes outside a set stops at the limit as well. A stream that breaks off is an end with a reason, never
 * an exception.
 */
final class ByteWindow {
    private static final int FIRST_BYTES = 1 << 20;
    /** No event or header value may be longer: a damaged file must not fill the memory. */
    static final int MOST_BYTES = 64 << 20;

    private final InputStream in;
    private boolean isAtEnd;
    private String breakReason = "";
    private long droppedBytes;

    byte[] bytes = new byte[FIRST_BYTES + 1];
    int position;
    int limit;

    ByteWindow(InputStream in) {
        this.in = in;
    }

    /**
     * Moves {@code keepFrom} to index 0 (and {@code position} with it) and reads on. False when nothing more comes, or
     * when what must be kept is longer than {@link #MOST_BYTES}.
     */
    boolean more(int keepFrom) {
        if (isAtEnd) {
            return false;
        }
        System.arraycopy(bytes, keepFrom, bytes, 0, limit - keepFrom);
        droppedBytes += keepFrom;
        position -= keepFrom;
        limit -= keepFrom;
        if (limit > bytes.length / 2) {
            if (bytes.length > MOST_BYTES) {
                return false;
            }
            bytes = Arrays.copyOf(bytes, 2 * (bytes.length - 1) + 1);
        }
        int before = limit;
        try {
            while (limit < bytes.length - 1) {
                int n = in.read(bytes, limit, bytes.length - 1 - limit);
                if (n < 0) {
                    isAtEnd = true;
                    break;
                }
                limit += n;
            }
        } catch (IOException e) {
            isAtEnd = true;
            breakReason = String.valueOf(e.getMessage());
        }
        bytes[limit] = 0;
        return limit > before;
    }

    /** Gives the memory back; nothing can be read any more. */
    void release() {
        droppedBytes += limit;
        isAtEnd = true;
        bytes = new byte[1];
        position = 0;
        limit = 0;
    }

    /** Bytes of the stream before {@code index}. */
    long offset(int index) {
        return droppedBytes + index;
    }

    /** Why the stream broke off; empty when it did not. */
    String breakReason() {
        return breakReason;
    }
}
