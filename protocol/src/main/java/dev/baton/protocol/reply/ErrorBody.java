package dev.baton.protocol.reply;

/** The error objects of the dialect. */
public final class ErrorBody {
    private ErrorBody() {}

    /** {@code {"error":{"message":..}}}: the native endpoints, and a stream that fails after it began. */
    public static byte[] nativeForm(String message) {
        return new JsonBytes(message.length() + 32)
                .raw("{\"error\":{\"message\":")
                .string(message)
                .raw("}}")
                .toByteArray();
    }

    /** {@code {"object":"error","message":..,"type":..,"param":null,"code":..}}. */
    public static byte[] flatForm(String message, String type, int code) {
        JsonBytes out = new JsonBytes(message.length() + 96);
        flat(out, message, type, code);
        return out.raw('}').toByteArray();
    }

    /**
     * The flat form with the OpenAI API's nested object added, where OpenAI's own clients look for the message.
     */
    public static byte[] openAiForm(String message, String type, int code) {
        JsonBytes out = new JsonBytes(2 * message.length() + 192);
        flat(out, message, type, code);
        out.raw(",\"error\":");
        flat(out, message, type, code);
        return out.raw("}}").toByteArray();
    }

    /** {@code {"error":{"object":"error",..}}}: an OpenAI stream that fails after it began. */
    public static byte[] openAiStreamForm(String message, String type, int code) {
        JsonBytes out = new JsonBytes(message.length() + 96);
        out.raw("{\"error\":");
        flat(out, message, type, code);
        return out.raw("}}").toByteArray();
    }

    private static void flat(JsonBytes out, String message, String type, int code) {
        out.raw("{\"object\":\"error\",\"message\":")
                .string(message)
                .raw(",\"type\":")
                .string(type)
                .raw(",\"param\":null,\"code\":")
                .number(code);
    }
}
