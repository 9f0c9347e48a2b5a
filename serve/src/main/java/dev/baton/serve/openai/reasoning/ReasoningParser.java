package dev.baton.serve.openai.reasoning;

import java.util.function.Consumer;

/**
 * Divides an answer that arrives in pieces into its reasoning ({@code <think>} to {@code </think>}) and the rest, a character at a
 * time: however the text is cut, the parts are the same. White space at the edges of either part is dropped.
 */
public final class ReasoningParser {
    private static final String OPEN = "<think>";
    private static final String CLOSE = "</think>";

    private enum Part {
        START,
        REASONING,
        ANSWER
    }

    private final boolean streamed;
    private final Consumer<String> reasoning;
    private final Consumer<String> answer;
    /** Text that is certain and not told yet. */
    private final StringBuilder ready = new StringBuilder();
    /** White space, then what may be a mark: told only when something else follows. */
    private final StringBuilder held = new StringBuilder();

    private Part part;
    /** Nothing of the part has been seen but white space. */
    private boolean fresh = true;

    /**
     * @param begun the answer begins within the reasoning: the prompt ended with the opening mark, or the model never writes it
     * @param streamed reasoning is told as it comes; else in one piece when it has ended
     */
    public ReasoningParser(boolean begun, boolean streamed, Consumer<String> reasoning, Consumer<String> answer) {
        this.part = begun ? Part.REASONING : Part.START;
        this.streamed = streamed;
        this.reasoning = reasoning;
        this.answer = answer;
    }

    /** Takes more text. */
    public void push(String piece) {
        for (int i = 0; i < piece.length(); i++) {
            take(piece.charAt(i));
        }
        if (part != Part.REASONING || streamed) {
            tell();
        }
    }

    /** The text has ended. */
    public void end() {
        if (part != Part.REASONING || !held.toString().isBlank()) {
            ready.append(held);
        }
        held.setLength(0);
        tell();
    }

    private void tell() {
        if (!ready.isEmpty()) {
            (part == Part.REASONING ? reasoning : answer).accept(ready.toString());
            ready.setLength(0);
        }
    }

    private void take(char c) {
        if (part == Part.ANSWER) {
            if (!fresh || !Character.isWhitespace(c)) {
                ready.append(c);
                fresh = false;
            }
            return;
        }
        held.append(c);
        String text = held.toString().stripLeading();
        String mark = part == Part.START || fresh && OPEN.startsWith(text) ? OPEN : CLOSE;
        if (text.equals(mark)) {
            held.setLength(0);
            if (mark.equals(CLOSE)) {
                tell();
                part = Part.ANSWER;
            } else {
                part = Part.REASONING;
            }
            fresh = true;
        } else if (!mark.startsWith(text)) {
            release();
        }
    }

    /** What is held is no mark: all of it is text but an end that may begin one. */
    private void release() {
        if (part == Part.START) {
            ready.append(held);
            held.setLength(0);
            part = Part.ANSWER;
            fresh = false;
            return;
        }
        // The shortest beginning behind which there is nothing but white space before what may be the mark.
        int cut = held.length();
        for (int from = 1; from <= held.length(); from++) {
            if (mayGoOn(from)) {
                cut = from;
                break;
            }
        }
        String certain = held.substring(0, cut);
        ready.append(fresh ? certain.stripLeading() : certain);
        fresh = fresh && certain.isBlank();
        held.delete(0, cut);
    }

    private boolean mayGoOn(int from) {
        String rest = held.substring(from).stripLeading();
        return CLOSE.startsWith(rest);
    }
}
