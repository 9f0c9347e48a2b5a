package dev.baton.trace.read;

/**
 * Reads one trace event out of a {@link ByteWindow} into fields. Nothing is allocated but what a kept event needs. Strings
 * stay as index ranges of the window until the next read from the stream.
 */
final class EventScanner {
    private static final int NO_KIND = -1;

    private final ByteWindow window;
    private final boolean lenient;
    private final byte[][] frames;

    /** First character of {@code ph}; 0 when there is none. */
    byte phase;
    /** Ordinal of the {@link EventKind}, -1 when the event is of no kind that is kept. */
    int kind;

    boolean isFrame;
    int nameFrom;
    int nameTo;
    int pidFrom;
    int pidTo;
    int tidFrom;
    int tidTo;
    long startNanos;
    long durationNanos;
    boolean hasDuration;
    int argsFrom;
    int argsTo;

    /** @param frames pieces of names: a Python frame is kept when its name holds one */
    EventScanner(ByteWindow window, boolean lenient, byte[][] frames) {
        this.window = window;
        this.lenient = lenient;
        this.frames = frames;
    }

    /** Scans the object that begins at {@code from}: the index after it, or {@link Json#CUT}, {@link Json#BAD}. */
    int scan(int from) {
        byte[] b = window.bytes;
        int limit = window.limit;
        clear();
        int i = Json.skipSpace(b, from + 1);
        if (b[i] == '}') {
            return i + 1;
        }
        while (true) {
            if (b[i] != '"') {
                return i >= limit ? Json.CUT : Json.BAD;
            }
            int keyFrom = i + 1;
            int keyTo = Json.stringEnd(b, keyFrom, limit, false);
            if (keyTo < 0) {
                return keyTo;
            }
            i = Json.skipSpace(b, keyTo + 1);
            if (b[i] != ':') {
                return i >= limit ? Json.CUT : Json.BAD;
            }
            i = Json.skipSpace(b, i + 1);
            if (i >= limit) {
                return Json.CUT;
            }
            int end = Json.skipValue(b, i, limit, lenient);
            if (end < 0) {
                return end;
            }
            field(b, keyFrom, keyTo, i, end);
            i = Json.skipSpace(b, end);
            if (b[i] == ',') {
                i = Json.skipSpace(b, i + 1);
            } else if (b[i] == '}') {
                return i + 1;
            } else {
                return i >= limit ? Json.CUT : Json.BAD;
            }
        }
    }

    private void clear() {
        phase = 0;
        kind = NO_KIND;
        isFrame = false;
        nameFrom = nameTo = pidFrom = pidTo = tidFrom = tidTo = argsFrom = argsTo = 0;
        startNanos = Numbers.NONE;
        durationNanos = 0;
        hasDuration = false;
    }

    private void field(byte[] b, int keyFrom, int keyTo, int from, int to) {
        int textFrom = b[from] == '"' ? from + 1 : from;
        int textTo = b[from] == '"' ? to - 1 : to;
        switch (keyTo - keyFrom) {
            case 2 -> {
                if (b[keyFrom] == 'p' && b[keyFrom + 1] == 'h') {
                    phase = textTo > textFrom ? b[textFrom] : 0;
                } else if (b[keyFrom] == 't' && b[keyFrom + 1] == 's') {
                    startNanos = Numbers.nanos(b, textFrom, textTo);
                }
            }
            case 3 -> threeLetters(b, keyFrom, textFrom, textTo);
            case 4 -> {
                if (b[keyFrom] == 'n' && b[keyFrom + 1] == 'a') {
                    nameFrom = textFrom;
                    nameTo = textTo;
                } else if (b[keyFrom] == 'a' && b[keyFrom + 1] == 'r' && b[from] == '{') {
                    argsFrom = from;
                    argsTo = to;
                }
            }
            default -> {}
        }
    }

    private void threeLetters(byte[] b, int key, int from, int to) {
        if (b[key] == 'c' && b[key + 1] == 'a' && b[key + 2] == 't') {
            kind(b, from, to);
        } else if (b[key] == 'd' && b[key + 1] == 'u' && b[key + 2] == 'r') {
            durationNanos = Numbers.nanos(b, from, to);
            hasDuration = true;
        } else if (b[key] == 'p' && b[key + 1] == 'i' && b[key + 2] == 'd') {
            pidFrom = from;
            pidTo = to;
        } else if (b[key] == 't' && b[key + 1] == 'i' && b[key + 2] == 'd') {
            tidFrom = from;
            tidTo = to;
        }
    }

    private void kind(byte[] b, int from, int to) {
        EventKind found = switch (to - from) {
            case 6 ->
                Json.is(b, from, to, "kernel") || Json.is(b, from, to, "Kernel")
                        ? EventKind.KERNEL
                        : Json.is(b, from, to, "cpu_op") ? EventKind.OPERATOR : null;
            case 8 -> Json.is(b, from, to, "Operator") ? EventKind.OPERATOR : null;
            case 10 ->
                Json.is(b, from, to, "gpu_memcpy")
                        ? EventKind.MEMCPY
                        : Json.is(b, from, to, "gpu_memset") ? EventKind.MEMSET : null;
            case 11 -> Json.is(b, from, to, "cuda_driver") ? EventKind.RUNTIME : null;
            case 12 -> Json.is(b, from, to, "cuda_runtime") ? EventKind.RUNTIME : null;
            case 15 ->
                Json.is(b, from, to, "user_annotation")
                        ? EventKind.ANNOTATION
                        : Json.is(b, from, to, "python_function") ? EventKind.FRAME : null;
            case 19 -> Json.is(b, from, to, "gpu_user_annotation") ? EventKind.DEVICE_ANNOTATION : null;
            default ->
                Json.is(b, from, to, "hip_runtime") || Json.is(b, from, to, "Runtime") ? EventKind.RUNTIME : null;
        };
        isFrame = found == EventKind.FRAME;
        kind = found == null ? NO_KIND : found.ordinal();
    }

    /** Whether the event scanned last is one to keep. */
    boolean isKept() {
        return phase == 'X' && kind != NO_KIND && (!isFrame || isFrameKept());
    }

    private boolean isFrameKept() {
        for (byte[] piece : frames) {
            if (Json.find(window.bytes, nameFrom, nameTo, piece) >= 0) {
                return true;
            }
        }
        return false;
    }
}
