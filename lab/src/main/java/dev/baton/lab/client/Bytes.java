package dev.baton.lab.client;

/** Searching in byte arrays. */
final class Bytes {
    private Bytes() {}

    static boolean startsWith(byte[] bytes, int from, int to, byte[] what) {
        if (to - from < what.length) {
            return false;
        }
        for (int i = 0; i < what.length; i++) {
            if (bytes[from + i] != what[i]) {
                return false;
            }
        }
        return true;
    }

    /** First place of {@code what} in {@code bytes[from, to)}, or -1. */
    static int indexOf(byte[] bytes, int from, int to, byte[] what) {
        for (int i = from; i <= to - what.length; i++) {
            if (bytes[i] == what[0] && startsWith(bytes, i, to, what)) {
                return i;
            }
        }
        return -1;
    }

    /** Last place of {@code what} in {@code bytes[from, to)}, or -1. */
    static int lastIndexOf(byte[] bytes, int from, int to, byte[] what) {
        for (int i = to - what.length; i >= from; i--) {
            if (bytes[i] == what[0] && startsWith(bytes, i, to, what)) {
                return i;
            }
        }
        return -1;
    }

    /** The first place at or after {@code from} that is no space. */
    static int skipSpaces(byte[] bytes, int from, int to) {
        int i = from;
        while (i < to && bytes[i] == ' ') {
            i++;
        }
        return i;
    }
}
