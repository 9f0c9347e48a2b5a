package dev.baton.serve.openai.tool;

/** What a {@link ToolCallParser} finds, in order. */
public interface ToolEvents {
    /** Text that belongs to no call. */
    void text(String text);

    /** A call begins; calls count from 0. */
    void begin(int call, String function);

    /** More of the call's arguments: pieces of one JSON object. */
    void arguments(int call, String json);

    /** The call is complete. */
    void end(int call);

    /**
     * The call cannot be completed: its text is no valid JSON. What was told of its arguments stays the beginning of an object.
     *
     * @param raw the text of the call so far
     */
    void broken(int call, String raw);
}
