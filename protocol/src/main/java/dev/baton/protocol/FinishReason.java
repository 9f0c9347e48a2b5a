package dev.baton.protocol;

/** Why a request ended, in the forms that {@code meta_info.finish_reason} takes. */
public sealed interface FinishReason {
    /** {@code {"type":"stop","matched":id}}: a stop token. */
    record StopToken(int matched) implements FinishReason {}

    /** {@code {"type":"stop","matched":string}}: a stop string. */
    record StopString(String matched) implements FinishReason {}

    /** {@code {"type":"length","length":n}}: {@code max_new_tokens} reached. */
    record Length(int length) implements FinishReason {}

    /** {@code {"type":"abort","message":..,"status_code":..,"err_type":..}}: aborted or failed. */
    record Abort(String message, int statusCode, String errorType) implements FinishReason {}

    /** The word of the OpenAI API and of the {@code type} key: stop, length or abort. */
    default String type() {
        return switch (this) {
            case StopToken s -> "stop";
            case StopString s -> "stop";
            case Length l -> "length";
            case Abort a -> "abort";
        };
    }
}
