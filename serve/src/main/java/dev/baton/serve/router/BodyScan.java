package dev.baton.serve.router;

import dev.baton.protocol.ProtocolException;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * What the router needs of a request body, found in one pass over its bytes without building anything: where the
 * top-level object ends, so that fields can be put in front of its last brace, and the few fields that decide the route.
 * Checks that strings end and brackets balance; the rest of the validation is the worker's.
 *
 * @param bytes the body, may be longer than it
 * @param close place of the object's last brace
 * @param empty the object has no member
 * @param stream member {@code stream} is true
 * @param returnLogprob member {@code return_logprob} is there and not false, null or 0
 * @param batch items of a batch; -1 for a single request
 * @param bootstrap the body already has a member whose name begins with {@code bootstrap_}
 * @param prompt the value of {@code text}, {@code prompt}, {@code messages} or {@code input_ids} as it stands; null when
 *     there is none
 */
@SuppressWarnings("ArrayRecordComponent")
record BodyScan(
        byte[] bytes,
        int close,
        boolean empty,
        boolean stream,
        boolean returnLogprob,
        int batch,
        boolean bootstrap,
        Policy.@Nullable Prompt prompt) {

    /** Scans {@code bytes[0, length)}. @throws ProtocolException INVALID_REQUEST when it is no JSON object */
    static BodyScan of(byte[] bytes, int length) {
        return new Scanner(bytes, length).scan();
    }

    /** A larger {@code n} is left to the worker to refuse. */
    private static final int LARGEST_N = 1024;

    private static final class Scanner {
        private final byte[] bytes;
        private final int length;
        private int at;
        private boolean stream;
        private boolean returnLogprob;
        private boolean bootstrap;
        private int listed = -1;
        private int n = 1;
        private Policy.@Nullable Prompt prompt;

        Scanner(byte[] bytes, int length) {
            this.bytes = bytes;
            this.length = length;
        }

        BodyScan scan() {
            space();
            expect('{', "a JSON object");
            space();
            boolean empty = peek() == '}';
            int close = at;
            while (!empty) {
                int key = at + 1;
                string();
                int keyEnd = at - 1;
                space();
                expect(':', "':' after a name");
                space();
                int value = at;
                value();
                member(key, keyEnd, value, at);
                space();
                close = at;
                if (peek() == '}') {
                    break;
                }
                expect(',', "',' or '}'");
                space();
            }
            at = close + 1;
            space();
            if (at != length) {
                throw bad("nothing after the JSON object");
            }
            int batch = listed >= 0 ? listed : n > 1 && n <= LARGEST_N ? n : -1;
            return new BodyScan(bytes, close, empty, stream, returnLogprob, batch, bootstrap, prompt);
        }

        private void member(int key, int keyEnd, int from, int to) {
            switch (keyEnd - key) {
                case 1 -> {
                    if (bytes[key] == 'n') {
                        n = number(from, to);
                    }
                }
                case 4 -> prompt(key, keyEnd, "text", from, to);
                case 6 -> {
                    if (is(key, keyEnd, "stream")) {
                        stream = bytes[from] == 't';
                    } else {
                        prompt(key, keyEnd, "prompt", from, to);
                    }
                }
                case 8 -> {
                    if (is(key, keyEnd, "messages") && prompt == null) {
                        prompt = new Policy.Prompt(bytes, from, to);
                    }
                }
                case 9 -> prompt(key, keyEnd, "input_ids", from, to);
                case 14 -> {
                    if (is(key, keyEnd, "return_logprob")) {
                        returnLogprob = bytes[from] != 'f' && bytes[from] != 'n' && bytes[from] != '0';
                    } else if (is(key, keyEnd, "bootstrap_host")
                            || is(key, keyEnd, "bootstrap_port")
                            || is(key, keyEnd, "bootstrap_room")) {
                        bootstrap = true;
                    }
                }
                default -> {
                    // Not a member that decides anything.
                }
            }
        }

        private void prompt(int key, int keyEnd, String name, int from, int to) {
            if (!is(key, keyEnd, name) || bytes[from] == 'n') {
                return;
            }
            prompt = new Policy.Prompt(bytes, from, to);
            if (bytes[from] == '[') {
                int first = from + 1;
                while (first < to && isSpace(bytes[first])) {
                    first++;
                }
                // A list of numbers is one prompt of ids; a list of strings or lists is a batch.
                if (bytes[first] == '"' || bytes[first] == '[') {
                    listed = items(from, to);
                }
            }
        }

        /** Items of the array in {@code [from, to)}, which is known to balance and not to be empty. */
        private int items(int from, int to) {
            int items = 1;
            int depth = 0;
            for (int i = from; i < to; i++) {
                switch (bytes[i]) {
                    case '"' -> i = endOfString(i) - 1;
                    case '[', '{' -> depth++;
                    case ']', '}' -> depth--;
                    case ',' -> items += depth == 1 ? 1 : 0;
                    default -> {
                        // Part of a number or word.
                    }
                }
            }
            return items;
        }

        private void value() {
            switch (peek()) {
                case '"' -> string();
                case '{', '[' -> nested();
                case -1, ',', '}', ']', ':' -> throw bad("a value");
                default -> {
                    while (at < length && bytes[at] != ',' && bytes[at] != '}' && !isSpace(bytes[at])) {
                        at++;
                    }
                }
            }
        }

        private void nested() {
            int depth = 0;
            do {
                if (at >= length) {
                    throw bad("the end of a list or object");
                }
                switch (bytes[at]) {
                    case '"' -> at = endOfString(at) - 1;
                    case '[', '{' -> depth++;
                    case ']', '}' -> depth--;
                    default -> {
                        // Part of a number, word or space.
                    }
                }
                at++;
            } while (depth > 0);
        }

        private void string() {
            if (peek() != '"') {
                throw bad("a name in quotes");
            }
            at = endOfString(at);
        }

        /** The place after the closing quote of the string that opens at {@code open}. */
        private int endOfString(int open) {
            int i = open + 1;
            while (i < length && bytes[i] != '"') {
                i += bytes[i] == '\\' ? 2 : 1;
            }
            if (i >= length) {
                at = length;
                throw bad("the end of a string");
            }
            return i + 1;
        }

        private int number(int from, int to) {
            int value = 0;
            for (int i = from; i < to && i < from + 6; i++) {
                if (bytes[i] < '0' || bytes[i] > '9') {
                    return 1;
                }
                value = value * 10 + bytes[i] - '0';
            }
            return value;
        }

        private boolean is(int from, int to, String name) {
            for (int i = from; i < to; i++) {
                if (bytes[i] != name.charAt(i - from)) {
                    return false;
                }
            }
            return true;
        }

        private int peek() {
            return at < length ? bytes[at] : -1;
        }

        private void space() {
            while (at < length && isSpace(bytes[at])) {
                at++;
            }
        }

        private static boolean isSpace(byte b) {
            return b == ' ' || b == '\n' || b == '\r' || b == '\t';
        }

        private void expect(char wanted, String what) {
            if (peek() != wanted) {
                throw bad(what);
            }
            at++;
        }

        private ProtocolException bad(String expected) {
            int from = Math.min(at, length);
            String near = new String(bytes, from, Math.min(20, length - from), StandardCharsets.UTF_8);
            return new ProtocolException(
                    ProtocolException.Code.INVALID_REQUEST,
                    "the body is not valid JSON: expected " + expected + " at byte " + from
                            + (near.isEmpty() ? ", but it ends there" : ", found '" + near + "'"));
        }
    }
}
