package dev.baton.serve;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** One token a UTF-8 byte. */
public class ByteCodec implements TextCodec {
    public static final int VOCABULARY = 256;

    @Override
    public int[] encode(String text, boolean special) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        int[] ids = new int[bytes.length];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = bytes[i] & 0xFF;
        }
        return ids;
    }

    @Override
    public String decode(int[] ids, boolean skipSpecial) {
        byte[] bytes = new byte[ids.length];
        for (int i = 0; i < ids.length; i++) {
            bytes[i] = (byte) ids[i];
        }
        return new String(bytes, StandardCharsets.UTF_8);
    }

    @Override
    public String renderChat(List<Map<String, Object>> messages, boolean continueFinal, Map<String, Object> more) {
        StringBuilder text = new StringBuilder();
        for (Map<String, Object> message : messages) {
            if (message.get("role").equals("alien")) {
                throw new ServeException(ServeException.Code.BAD_REQUEST, "The template knows no role 'alien'.");
            }
            text.append('<').append(message.get("role")).append('>').append(message.get("content"));
        }
        return continueFinal ? text.toString() : text + "<assistant>";
    }

    @Override
    public String text(int id) {
        return decode(new int[] {id}, false);
    }

    @Override
    public byte[] bytes(int id) {
        return new byte[] {(byte) id};
    }
}
