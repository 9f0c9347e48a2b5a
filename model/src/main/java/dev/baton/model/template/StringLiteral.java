package dev.baton.model.template;

/** Escape sequences of string literals, as Python's unicode-escape codec reads them. */
final class StringLiteral {
    private StringLiteral() {}

    static String unescape(String text, int line) {
        if (text.indexOf('\\') < 0) {
            return text;
        }
        StringBuilder out = new StringBuilder(text.length());
        int at = 0;
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c != '\\') {
                out.append(c);
                continue;
            }
            char escape = text.charAt(at++);
            switch (escape) {
                case '\n' -> {}
                case '\\', '\'', '"' -> out.append(escape);
                case 'a' -> out.append('\u0007');
                case 'b' -> out.append('\b');
                case 'f' -> out.append('\f');
                case 'n' -> out.append('\n');
                case 'r' -> out.append('\r');
                case 't' -> out.append('\t');
                case 'v' -> out.append('\u000B');
                case 'x' -> at = hex(text, at, 2, out, line);
                case 'u' -> at = hex(text, at, 4, out, line);
                case 'U' -> at = hex(text, at, 8, out, line);
                case 'N' -> at = named(text, at, out, line);
                case '0', '1', '2', '3', '4', '5', '6', '7' -> at = octal(text, at - 1, out);
                default -> out.append('\\').append(escape);
            }
        }
        return out.toString();
    }

    private static int hex(String text, int at, int digits, StringBuilder out, int line) {
        int end = at + digits;
        int value = 0;
        for (int i = at; i < end; i++) {
            int digit = i < text.length() ? Character.digit(text.charAt(i), 16) : -1;
            if (digit < 0) {
                throw TemplateFault.syntax("truncated escape of " + digits + " hexadecimal digits", line);
            }
            value = value << 4 | digit;
        }
        if (!Character.isValidCodePoint(value)) {
            throw TemplateFault.syntax("illegal Unicode character", line);
        }
        out.appendCodePoint(value);
        return end;
    }

    private static int octal(String text, int at, StringBuilder out) {
        int value = 0;
        int end = at;
        while (end < text.length() && end < at + 3 && text.charAt(end) >= '0' && text.charAt(end) <= '7') {
            value = value * 8 + text.charAt(end++) - '0';
        }
        out.append((char) value);
        return end;
    }

    private static int named(String text, int at, StringBuilder out, int line) {
        int end = text.indexOf('}', at);
        if (!text.startsWith("{", at) || end < 0) {
            throw TemplateFault.syntax("malformed \\N character escape", line);
        }
        try {
            out.appendCodePoint(Character.codePointOf(text.substring(at + 1, end)));
        } catch (IllegalArgumentException e) {
            throw TemplateFault.syntax("unknown Unicode character name", line);
        }
        return end + 1;
    }
}
