package dev.baton.serve.openai.tool;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds tool calls in text that arrives in pieces, a character at a time: however the text is cut, the same calls with the same
 * arguments are found. Text that may be the beginning of a call is held back; what turns out to be none is told as text.
 */
public final class ToolCallParser {
    private final ToolCallFormat format;
    private final Set<String> functions;
    private final StringBuilder text = new StringBuilder();
    /** White space that is told only when text follows: what stands around calls is dropped. */
    private final StringBuilder space = new StringBuilder();
    /** What the reader has taken, to be told as text when it fails. */
    private final StringBuilder raw = new StringBuilder();

    private @Nullable CallReader reader;
    private int calls;
    /** Nothing but white space and calls so far, or since the last call. */
    private boolean atStart = true;

    /** @param functions names that a call may have; a call of another one is text */
    public ToolCallParser(ToolCallFormat format, Set<String> functions) {
        this.format = format;
        this.functions = Set.copyOf(functions);
    }

    /** Calls that have begun. */
    public int calls() {
        return calls;
    }

    /** Takes more text. */
    public void push(String piece, ToolEvents events) {
        for (int i = 0; i < piece.length(); i++) {
            take(piece.charAt(i), events);
        }
        flushText(events);
        if (reader != null) {
            reader.flush(events);
        }
    }

    /** The text has ended. */
    public void end(ToolEvents events) {
        while (reader != null) {
            CallReader last = reader;
            if (last.objectDone()) {
                String rest = last.afterObject();
                finish(last, events);
                again(rest, events);
            } else if (last.begun()) {
                flushText(events);
                last.flush(events);
                reader = null;
                events.broken(calls - 1, raw.toString());
            } else {
                failed(events);
            }
        }
        if (calls == 0) {
            text.append(space);
        }
        flushText(events);
    }

    private void flushText(ToolEvents events) {
        if (!text.isEmpty()) {
            events.text(text.toString());
            text.setLength(0);
        }
    }

    private void take(char c, ToolEvents events) {
        if (reader == null && !start(c)) {
            outside(c);
            return;
        }
        CallReader current = java.util.Objects.requireNonNull(reader);
        raw.append(c);
        switch (current.next(c)) {
            case MORE -> {
                if (current.begun() && !current.told()) {
                    flushText(events);
                    space.setLength(0);
                    events.begin(calls, current.name());
                    current.tell(calls++);
                }
            }
            case NOISE -> {
                reader = null;
                raw.setLength(0);
            }
            case DONE -> finish(current, events);
            case FAILED -> {
                if (current.objectDone()) {
                    String rest = current.afterObject();
                    finish(current, events);
                    again(rest, events);
                } else if (current.begun()) {
                    current.flush(events);
                    events.broken(calls - 1, raw.toString());
                    reader = null;
                    raw.setLength(0);
                    atStart = false;
                } else {
                    failed(events);
                }
            }
        }
    }

    private boolean start(char c) {
        boolean free = atStart && format.openings().contains("");
        boolean opens = free && c == '{';
        for (String mark : format.openings()) {
            opens |= !mark.isEmpty() && mark.charAt(0) == c;
        }
        for (String mark : format.noise()) {
            opens |= mark.charAt(0) == c;
        }
        if (opens) {
            reader = new CallReader(format, functions, free);
            raw.setLength(0);
        }
        return opens;
    }

    private void outside(char c) {
        boolean between =
                atStart && format.dividers().indexOf(c) >= 0 && (calls > 0 || format == ToolCallFormat.JSON_ARRAY);
        if (Character.isWhitespace(c) || between) {
            space.append(c);
            return;
        }
        text.append(space).append(c);
        space.setLength(0);
        atStart = false;
    }

    private void finish(CallReader done, ToolEvents events) {
        if (!done.told()) {
            flushText(events);
            space.setLength(0);
            events.begin(calls, done.name());
            done.tell(calls++);
        }
        done.flush(events);
        events.end(calls - 1);
        reader = null;
        raw.setLength(0);
        atStart = true;
    }

    /** What was held is text after all: its first character is, and the rest is looked at again. */
    private void failed(ToolEvents events) {
        String held = raw.toString();
        reader = null;
        raw.setLength(0);
        outside(held.charAt(0));
        atStart = false;
        again(held.substring(1), events);
    }

    private void again(String held, ToolEvents events) {
        for (int i = 0; i < held.length(); i++) {
            take(held.charAt(i), events);
        }
    }
}
