package dev.baton.trace.read;

import org.jspecify.annotations.Nullable;

/** Reads the few arguments of an event that analysis needs. */
final class ArgumentScanner {
    private static final int MOST_NAMED = 16;

    long correlation;
    long device;
    long stream;
    private final String[] keys = new String[MOST_NAMED];
    private final String[] values = new String[MOST_NAMED];
    private int named;

    /** Scans the object {@code b[from, to)}, which is known to be well formed. */
    void scan(byte[] b, int from, int to, boolean lenient) {
        correlation = -1;
        device = -1;
        stream = -1;
        named = 0;
        int i = from == to ? to : Json.skipSpace(b, from + 1);
        while (i < to && b[i] == '"') {
            int keyFrom = i + 1;
            int keyTo = Json.stringEnd(b, keyFrom, to, false);
            if (keyTo < 0) {
                return;
            }
            int value = Json.skipSpace(b, Json.skipSpace(b, keyTo + 1) + 1);
            int end = value >= to ? Json.BAD : Json.skipValue(b, value, to, lenient);
            if (end < 0) {
                return;
            }
            argument(b, keyFrom, keyTo, value, end);
            i = Json.skipSpace(b, end);
            i = b[i] == ',' ? Json.skipSpace(b, i + 1) : to;
        }
    }

    private void argument(byte[] b, int keyFrom, int keyTo, int from, int to) {
        int textFrom = b[from] == '"' ? from + 1 : from;
        int textTo = b[from] == '"' ? to - 1 : to;
        switch (b[keyFrom]) {
            case 'c' -> {
                if (Json.is(b, keyFrom, keyTo, "correlation")) {
                    correlation = Numbers.whole(b, textFrom, textTo);
                }
            }
            case 'd' -> {
                if (Json.is(b, keyFrom, keyTo, "device")) {
                    device = Numbers.whole(b, textFrom, textTo);
                } else if (Json.is(b, keyFrom, keyTo, "dtype")) {
                    keep("dtype", b, textFrom, textTo);
                }
            }
            case 's' -> {
                if (Json.is(b, keyFrom, keyTo, "stream")) {
                    stream = Numbers.whole(b, textFrom, textTo);
                }
            }
            case 'C', 'P', 'G', 'I', 'O' -> collective(b, keyFrom, keyTo, textFrom, textTo);
            default -> {}
        }
    }

    private void collective(byte[] b, int keyFrom, int keyTo, int from, int to) {
        for (String key : CollectiveKeys.ALL) {
            if (Json.is(b, keyFrom, keyTo, key)) {
                keep(key, b, from, to);
                return;
            }
        }
    }

    private void keep(String key, byte[] b, int from, int to) {
        if (named < MOST_NAMED) {
            keys[named] = key;
            values[named++] = Json.text(b, from, to);
        }
    }

    /** What the arguments say of a collective; null when they say nothing. */
    @Nullable
    CollectiveCall collective() {
        if (text(CollectiveKeys.NAME).isEmpty()
                && text(CollectiveKeys.GROUP_RANKS).isEmpty()) {
            return null;
        }
        return new CollectiveCall(
                text(CollectiveKeys.NAME),
                text(CollectiveKeys.GROUP_NAME),
                text(CollectiveKeys.GROUP_RANKS),
                (int) Math.max(0, number(CollectiveKeys.GROUP_SIZE)),
                number(CollectiveKeys.IN_ELEMENTS),
                number(CollectiveKeys.OUT_ELEMENTS),
                text("dtype"));
    }

    private String text(String key) {
        for (int i = 0; i < named; i++) {
            if (keys[i].equals(key)) {
                return values[i];
            }
        }
        return "";
    }

    private long number(String key) {
        byte[] digits = text(key).getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
        long value = digits.length == 0 ? -1 : Numbers.whole(digits, 0, digits.length);
        return value == Numbers.NONE ? -1 : value;
    }

    /** Kineto's names of the arguments of a collective. */
    private static final class CollectiveKeys {
        static final String NAME = "Collective name";
        static final String GROUP_NAME = "Process Group Name";
        static final String GROUP_RANKS = "Process Group Ranks";
        static final String GROUP_SIZE = "Group size";
        static final String IN_ELEMENTS = "In msg nelems";
        static final String OUT_ELEMENTS = "Out msg nelems";
        static final String[] ALL = {NAME, GROUP_NAME, GROUP_RANKS, GROUP_SIZE, IN_ELEMENTS, OUT_ELEMENTS};
    }
}
