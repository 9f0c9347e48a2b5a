package dev.baton.model.tokenizer;

import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Translates the regular expressions of tokenizer.json, which Oniguruma reads with Ruby's syntax, to Java's. Where the
 * two mean different things and no translation is known, {@link UnsupportedTokenizerException} says so.
 */
final class OnigurumaRegex {
    private static final String WHITE_SPACE = "\\p{IsWhite_Space}";
    private static final String WORD = "\\p{IsAlphabetic}\\p{M}\\p{Nd}\\p{Pc}";

    private final String source;
    private final StringBuilder out = new StringBuilder();
    private int at;
    /** Nesting of character classes. */
    private int classDepth;

    private OnigurumaRegex(String source) {
        this.source = source;
    }

    static Pattern compile(String regex) {
        try {
            return Pattern.compile(new OnigurumaRegex(regex).translate());
        } catch (PatternSyntaxException e) {
            throw new UnsupportedTokenizerException("regex " + regex + ": " + e.getDescription());
        }
    }

    private String translate() {
        while (at < source.length()) {
            char c = source.charAt(at);
            if (c == '\\') {
                escape();
            } else if (classDepth > 0) {
                inClass(c);
            } else {
                outsideClass(c);
            }
        }
        return out.toString();
    }

    private void inClass(char c) {
        if (source.startsWith("[:", at)) {
            throw unsupported("POSIX bracket");
        }
        if (c == '[') {
            classDepth++;
        } else if (c == ']') {
            classDepth--;
        }
        out.append(c);
        at++;
    }

    private void outsideClass(char c) {
        switch (c) {
            case '[' -> {
                classDepth++;
                out.append(c);
                at++;
                if (source.startsWith("^", at)) {
                    out.append('^');
                    at++;
                }
                if (source.startsWith("]", at)) {
                    throw unsupported("] at the beginning of a class");
                }
            }
            // Ruby's ^ and $ match at every line; Java's dot excludes more line ends than \n.
            case '^', '$' -> throw unsupported("anchor " + c);
            case '.' -> {
                out.append("[^\\n]");
                at++;
            }
            case '(' -> group();
            case '}' -> {
                if (source.startsWith("}+", at)) {
                    throw unsupported("repetition of an interval");
                }
                out.append(c);
                at++;
            }
            default -> {
                out.append(c);
                at++;
            }
        }
    }

    private void group() {
        if (source.startsWith("(?i:", at)) {
            out.append("(?iu:");
            at += 4;
        } else if (source.startsWith("(?i)", at)) {
            out.append("(?iu)");
            at += 4;
        } else if (source.startsWith("(?", at)) {
            String[] known = {"(?:", "(?!", "(?=", "(?<!", "(?<=", "(?>"};
            for (String opening : known) {
                if (source.startsWith(opening, at)) {
                    out.append(opening);
                    at += opening.length();
                    return;
                }
            }
            throw unsupported("group " + source.substring(at, Math.min(at + 4, source.length())));
        } else {
            out.append("(?:");
            at++;
        }
    }

    private void escape() {
        if (at + 1 >= source.length()) {
            throw unsupported("\\ at the end");
        }
        char c = source.charAt(at + 1);
        at += 2;
        switch (c) {
            case 's' -> out.append(WHITE_SPACE);
            case 'S' -> out.append("\\P{IsWhite_Space}");
            case 'd' -> out.append("\\p{Nd}");
            case 'D' -> out.append("\\P{Nd}");
            case 'w' -> out.append(classDepth > 0 ? WORD : "[" + WORD + "]");
            case 'W' -> out.append("[^").append(WORD).append(']');
            case 'p', 'P' -> property(c);
            case 'r', 'n', 't', 'f', 'u' -> out.append('\\').append(c);
            default -> {
                if (Character.isLetterOrDigit(c)) {
                    throw unsupported("escape \\" + c);
                }
                out.append('\\').append(c);
            }
        }
    }

    private void property(char kind) {
        int end = source.indexOf('}', at);
        if (!source.startsWith("{", at) || end < 0) {
            throw unsupported("property without braces");
        }
        String name = source.substring(at + 1, end);
        at = end + 1;
        if (name.startsWith("^")) {
            throw unsupported("property " + name);
        }
        // General categories have one or two letters; anything longer is a script such as Han.
        out.append('\\').append(kind).append('{');
        out.append(name.length() <= 2 ? name : "Is" + name).append('}');
    }

    private UnsupportedTokenizerException unsupported(String what) {
        return new UnsupportedTokenizerException("regex " + source + ": " + what);
    }
}
