package dev.baton.model.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Cuts a template into tokens, with trim_blocks and lstrip_blocks: the line end after a block or comment tag goes, and so
 * does the white space between the begin of a line and such a tag; {@code -} and {@code +} in a tag overrule both.
 */
final class Lexer {
    private static final String SPACE = "[" + PythonText.SPACE_CLASS + "]*";
    private static final Pattern NEW_LINE = Pattern.compile("\r\n|\r|\n");
    private static final Pattern TAG = Pattern.compile(
            "\\{%([-+]?)" + SPACE + "raw" + SPACE + "(?:(-)%\\}" + SPACE + "|%\\})|(\\{%|\\{\\{|\\{#)([-+]?)");
    private static final Pattern COMMENT_END = Pattern.compile("\\+#\\}|-#\\}" + SPACE + "|#\\}\n?");
    private static final Pattern RAW_END =
            Pattern.compile("\\{%([-+]?)" + SPACE + "endraw" + SPACE + "(?:\\+%\\}|-%\\}" + SPACE + "|%\\}\n?)");
    private static final Pattern BLOCK_END = Pattern.compile("\\+%\\}|-%\\}" + SPACE + "|%\\}\n?");
    private static final Pattern VARIABLE_END = Pattern.compile("-\\}\\}" + SPACE + "|\\}\\}");
    private static final Pattern BLANK = Pattern.compile("[" + PythonText.SPACE_CLASS + "]+");
    private static final Pattern FLOAT = Pattern.compile(
            "(?<!\\.)(?:\\d+_)*\\d+(?:(?:\\.(?:\\d+_)*\\d+)?[eE][+-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)");
    private static final Pattern INTEGER =
            Pattern.compile("0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?\\d)*|0(?:_?0)*");
    private static final Pattern NAME = Pattern.compile("[\\p{L}\\p{Nd}\\p{Nl}\\p{M}_]+");
    private static final Pattern OPERATOR = Pattern.compile("\\*\\*|//|==|!=|>=|<=|[-+*/%~\\[\\](){}.:|,;<>=]");

    private final String source;
    private final List<Token> tokens = new ArrayList<>();
    private int at;
    private int line = 1;
    /** Whether what was read last ended with a line end. */
    private boolean lineStarting = true;

    private Lexer(String source) {
        this.source = source;
    }

    static List<Token> tokens(String template) {
        String source = NEW_LINE.matcher(template).replaceAll("\n");
        if (source.endsWith("\n")) {
            source = source.substring(0, source.length() - 1);
        }
        Lexer lexer = new Lexer(source);
        lexer.root();
        lexer.add(Token.Type.END, "", null);
        return lexer.tokens;
    }

    private void root() {
        Matcher tag = TAG.matcher(source);
        while (at < source.length()) {
            if (!tag.find(at)) {
                data(source.substring(at));
                at = source.length();
                return;
            }
            boolean raw = tag.group(3) == null;
            String sign = raw ? tag.group(1) : tag.group(4);
            boolean variable = !raw && tag.group(3).equals("{{");
            stripped(source.substring(at, tag.start()), sign, variable);
            advance(tag.end());
            if (raw) {
                raw();
            } else {
                switch (tag.group(3)) {
                    case "{#" -> comment();
                    case "{%" -> inside(Token.Type.BLOCK_BEGIN, Token.Type.BLOCK_END, BLOCK_END);
                    default -> inside(Token.Type.VARIABLE_BEGIN, Token.Type.VARIABLE_END, VARIABLE_END);
                }
            }
        }
    }

    /** Adds the text before a tag without what the tag strips, and counts its lines. */
    private void stripped(String text, String sign, boolean variable) {
        String kept = text;
        if (sign.equals("-")) {
            kept = PythonText.stripRight(text);
        } else if (!sign.equals("+") && !variable) {
            int lineBegin = text.lastIndexOf('\n') + 1;
            if (lineBegin > 0 || lineStarting) {
                String rest = text.substring(lineBegin);
                if (BLANK.matcher(rest).matches()) {
                    kept = text.substring(0, lineBegin);
                }
            }
        }
        data(kept);
        countLines(text);
        at += text.length();
    }

    private void data(String text) {
        if (!text.isEmpty()) {
            add(Token.Type.DATA, text, null);
        }
    }

    private void comment() {
        Matcher end = COMMENT_END.matcher(source);
        if (!end.find(at)) {
            throw TemplateFault.syntax("Missing end of comment tag", line);
        }
        advance(end.end());
    }

    private void raw() {
        Matcher end = RAW_END.matcher(source);
        if (!end.find(at)) {
            throw TemplateFault.syntax("Missing end of raw directive", line);
        }
        stripped(source.substring(at, end.start()), end.group(1), false);
        advance(end.end());
    }

    private void inside(Token.Type begin, Token.Type end, Pattern endPattern) {
        add(begin, "", null);
        Deque<Character> open = new ArrayDeque<>();
        while (at < source.length()) {
            Matcher endTag = endPattern.matcher(source);
            endTag.region(at, source.length());
            if (open.isEmpty() && endTag.lookingAt()) {
                add(end, "", null);
                advance(endTag.end());
                return;
            }
            token(open);
        }
        throw TemplateFault.syntax("unexpected end of template, expected " + describeEnd(end), line);
    }

    private static String describeEnd(Token.Type end) {
        return end == Token.Type.BLOCK_END ? "%}" : "}}";
    }

    private void token(Deque<Character> open) {
        if (match(BLANK) != null) {
            return;
        }
        String text = match(FLOAT);
        if (text != null) {
            add(Token.Type.FLOAT, text, Double.valueOf(text.replace("_", "")));
            return;
        }
        text = match(INTEGER);
        if (text != null) {
            add(Token.Type.INTEGER, text, integer(text.replace("_", "")));
            return;
        }
        text = match(NAME);
        if (text != null) {
            add(Token.Type.NAME, text, null);
            return;
        }
        int stringLine = line;
        text = string();
        if (text != null) {
            String value = StringLiteral.unescape(text.substring(1, text.length() - 1), stringLine);
            tokens.add(new Token(Token.Type.STRING, text, value, stringLine));
            return;
        }
        text = match(OPERATOR);
        if (text == null) {
            throw TemplateFault.syntax(
                    "unexpected char " + PythonText.repr(source.substring(at, source.offsetByCodePoints(at, 1))), line);
        }
        balance(text, open);
        add(Token.Type.OPERATOR, text, null);
    }

    /** A whole string literal with its quotes, null when there is none here. */
    private @Nullable String string() {
        char quote = source.charAt(at);
        if (quote != '\'' && quote != '"') {
            return null;
        }
        for (int i = at + 1; i < source.length(); i++) {
            char c = source.charAt(i);
            if (c == '\\') {
                i++;
            } else if (c == quote) {
                String text = source.substring(at, i + 1);
                advance(i + 1);
                return text;
            }
        }
        return null;
    }

    private void balance(String operator, Deque<Character> open) {
        switch (operator) {
            case "{" -> open.push('}');
            case "(" -> open.push(')');
            case "[" -> open.push(']');
            case "}", ")", "]" -> {
                if (open.isEmpty()) {
                    throw TemplateFault.syntax("unexpected '" + operator + "'", line);
                }
                char expected = open.pop();
                if (expected != operator.charAt(0)) {
                    throw TemplateFault.syntax("unexpected '" + operator + "', expected '" + expected + "'", line);
                }
            }
            default -> {}
        }
    }

    private Long integer(String text) {
        try {
            String lower = text.toLowerCase(Locale.ROOT);
            if (lower.startsWith("0x")) {
                return Long.valueOf(lower.substring(2), 16);
            }
            if (lower.startsWith("0o")) {
                return Long.valueOf(lower.substring(2), 8);
            }
            if (lower.startsWith("0b")) {
                return Long.valueOf(lower.substring(2), 2);
            }
            return Long.valueOf(lower);
        } catch (NumberFormatException e) {
            throw TemplateFault.syntax("integer " + text + " is beyond 64 bits", line);
        }
    }

    private @Nullable String match(Pattern pattern) {
        Matcher matcher = pattern.matcher(source);
        matcher.region(at, source.length());
        matcher.useTransparentBounds(true);
        if (!matcher.lookingAt()) {
            return null;
        }
        advance(matcher.end());
        return matcher.group();
    }

    private void advance(int end) {
        countLines(source.substring(at, end));
        if (end > at) {
            lineStarting = source.charAt(end - 1) == '\n';
        }
        at = end;
    }

    private void countLines(String text) {
        for (int i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) {
            line++;
        }
    }

    private void add(Token.Type type, String text, @Nullable Object value) {
        tokens.add(new Token(type, text, value, line));
    }
}
