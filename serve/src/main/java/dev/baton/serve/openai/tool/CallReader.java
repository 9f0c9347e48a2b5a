package dev.baton.serve.openai.tool;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/** Reads one tool call, or a mark that says nothing, character by character. */
final class CallReader {
    private static final JsonMapper JSON = new JsonMapper();
    private static final int MAX_NAME = 256;

    enum Result {
        MORE,
        /** A mark around calls has ended. */
        NOISE,
        /** The call has ended, with what closes it. */
        DONE,
        /** The character does not fit. */
        FAILED
    }

    private enum Part {
        OPENING,
        NAME,
        OBJECT,
        CLOSING
    }

    private final ToolCallFormat format;
    private final Set<String> functions;
    private final StringBuilder seen = new StringBuilder();
    private final List<String> marks = new ArrayList<>();
    private Part part = Part.OPENING;
    private JsonObjectScan scan = new JsonObjectScan();
    /** Of the outermost object: the name of the member that is read. */
    private final StringBuilder key = new StringBuilder();

    private @Nullable StringBuilder value;
    private @Nullable String name;
    private boolean argumentsBegun;
    private boolean argumentsDone;
    private boolean objectDone;
    private final StringBuilder arguments = new StringBuilder();
    private final StringBuilder after = new StringBuilder();
    private int closed;
    private int call = -1;

    /** @param free the call may begin without an opening */
    CallReader(ToolCallFormat format, Set<String> functions, boolean free) {
        this.format = format;
        this.functions = functions;
        marks.addAll(format.openings());
        marks.addAll(format.noise());
        if (!free) {
            marks.remove("");
        }
    }

    /** The function is known and its arguments have begun. */
    boolean begun() {
        return name != null && argumentsBegun;
    }

    boolean told() {
        return call >= 0;
    }

    /** The call has been told under this number. */
    void tell(int number) {
        call = number;
    }

    String name() {
        return java.util.Objects.requireNonNull(name);
    }

    /** The call is whole, though what closes it may be missing. */
    boolean objectDone() {
        return objectDone;
    }

    /** What came behind the whole object and closes nothing. */
    String afterObject() {
        return after.toString();
    }

    /** Tells the arguments that have come since the last time. */
    void flush(ToolEvents events) {
        if (told() && !arguments.isEmpty()) {
            events.arguments(call, arguments.toString());
            arguments.setLength(0);
        }
    }

    Result next(char c) {
        return switch (part) {
            case OPENING -> opening(c);
            case NAME -> name(c);
            case OBJECT -> object(c);
            case CLOSING -> closing(c);
        };
    }

    private Result opening(char c) {
        if (seen.isEmpty() && c == '{' && marks.contains("")) {
            part = Part.OBJECT;
            return object(c);
        }
        seen.append(c);
        String text = seen.toString();
        if (format.noise().contains(text)) {
            return Result.NOISE;
        }
        if (!text.isEmpty() && format.openings().contains(text)) {
            part = format.nameEnd() == null ? Part.OBJECT : Part.NAME;
            seen.setLength(0);
            return Result.MORE;
        }
        return marks.stream().anyMatch(mark -> mark.startsWith(text)) ? Result.MORE : Result.FAILED;
    }

    /** {@code function<｜tool▁sep｜>NAME}, up to what ends a name. */
    private Result name(char c) {
        seen.append(c);
        String end = java.util.Objects.requireNonNull(format.nameEnd());
        if (seen.length() > MAX_NAME + end.length()) {
            return Result.FAILED;
        }
        if (seen.length() < end.length()
                || !seen.substring(seen.length() - end.length()).equals(end)) {
            return Result.MORE;
        }
        String text = seen.substring(0, seen.length() - end.length());
        String separator = "<｜tool▁sep｜>";
        int at = text.indexOf(separator);
        name = at < 0 ? "" : text.substring(at + separator.length()).strip();
        part = Part.OBJECT;
        return functions.contains(name) ? Result.MORE : Result.FAILED;
    }

    private Result object(char c) {
        boolean wasKey = scan.inOuterKey();
        boolean wasValue = scan.atOuterValue();
        JsonObjectScan.State state = scan.next(c);
        if (state == JsonObjectScan.State.BROKEN) {
            return Result.FAILED;
        }
        if (format.nameEnd() != null) {
            return bareArguments(c, state);
        }
        if (!wasKey && scan.inOuterKey()) {
            key.setLength(0);
        }
        if (scan.inOuterKey() || wasKey) {
            key.append(c);
        }
        if (wasValue && !Character.isWhitespace(c) && value == null) {
            value = new StringBuilder();
            if (isArguments() && (c != '{' || argumentsBegun)) {
                return Result.FAILED;
            }
            argumentsBegun |= isArguments();
        }
        if (value != null) {
            member(c, state);
        }
        if (state == JsonObjectScan.State.COMPLETE) {
            return ended();
        }
        return name != null && !functions.contains(name) ? Result.FAILED : Result.MORE;
    }

    private Result bareArguments(char c, JsonObjectScan.State state) {
        if (argumentsBegun || !Character.isWhitespace(c)) {
            argumentsBegun = true;
            arguments.append(c);
        }
        if (state == JsonObjectScan.State.COMPLETE) {
            return ended();
        }
        return Result.MORE;
    }

    private boolean isArguments() {
        return key.toString().equals("\"" + format.argumentsKey() + "\"");
    }

    /** A character of a member's value, or the one behind it. */
    private void member(char c, JsonObjectScan.State state) {
        boolean over = state == JsonObjectScan.State.COMPLETE || scan.betweenOuterMembers();
        boolean belongs = !over || c == '"' || c == '}' && state == JsonObjectScan.State.OPEN || c == ']';
        StringBuilder text = java.util.Objects.requireNonNull(value);
        if (belongs) {
            text.append(c);
            if (isArguments()) {
                arguments.append(c);
            }
        }
        if (over) {
            argumentsDone |= isArguments();
            if (key.toString().equals("\"name\"") && name == null) {
                name = string(text.toString());
            }
            value = null;
        }
    }

    private static String string(String json) {
        try {
            return JSON.readTree(json).asString("");
        } catch (JacksonException e) {
            return "";
        }
    }

    private Result ended() {
        if (name == null || !functions.contains(name)) {
            return Result.FAILED;
        }
        if (!argumentsBegun) {
            arguments.append("{}");
        }
        argumentsBegun = true;
        objectDone = true;
        part = Part.CLOSING;
        return format.closing().isEmpty() ? Result.DONE : Result.MORE;
    }

    /** White space may stand before what closes a call. */
    private Result closing(char c) {
        after.append(c);
        String closing = format.closing();
        if (c == closing.charAt(closed)) {
            closed++;
            return closed == closing.length() ? Result.DONE : Result.MORE;
        }
        return closed == 0 && Character.isWhitespace(c) ? Result.MORE : Result.FAILED;
    }
}
