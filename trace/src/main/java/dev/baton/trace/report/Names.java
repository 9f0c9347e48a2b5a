package dev.baton.trace.report;

/** Kernel names for people: C++ names of a thousand characters cut to what tells them apart. */
public final class Names {
    private Names() {}

    /** At most {@code most} characters, without return type and argument list. */
    public static String shorten(String name, int most) {
        String text = name.startsWith("void ") ? name.substring(5) : name;
        int arguments = argumentList(text);
        text = arguments > 0 ? text.substring(0, arguments) : text;
        return text.length() <= most ? text : text.substring(0, most - 1) + "…";
    }

    /** Where the argument list begins: the first round bracket outside of angle brackets, not at the start. */
    private static int argumentList(String text) {
        int depth = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '<') {
                depth++;
            } else if (c == '>') {
                depth--;
            } else if (c == '('
                    && depth == 0
                    && i > 0
                    && !text.startsWith("(anonymous", i)
                    && text.charAt(i - 1) != ':') {
                return i;
            }
        }
        return -1;
    }
}
